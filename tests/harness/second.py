"""H8: a second verifier of logs, checkpoints and proofs, written from the specifications (C2SP tlog-tiles, tlog-checkpoint,
tlog-proof, RFC 6962) in standard-library Python: what both it and `kouan audit verify` accept is hardly our own mistake.
Ed25519 and signed notes are those of the verifier that claim bundles carry."""

import base64
import binascii
import hashlib
import importlib.util
import json
from pathlib import Path

WIDTH = 256
HEADER = "c2sp.org/tlog-proof@v1"

_path = Path(__file__).parents[2] / "gateway/ledger/src/claim/verify.py"
_spec = importlib.util.spec_from_file_location("claim_verifier", _path)
_claim = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_claim)
Fault, need = _claim.Fault, _claim.need


def leaf_hash(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def root_of(hashes):
    """RFC 6962, section 2.1: from the bottom, level by level; an odd one out goes up as it is."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    while len(hashes) > 1:
        pairs = [node_hash(*hashes[at : at + 2]) for at in range(0, len(hashes) - 1, 2)]
        hashes = pairs + hashes[len(pairs) * 2 :]
    return hashes[0]


def checkpoint(data, vkey, file="checkpoint"):
    """Size and root of a checkpoint that the log's key signed."""
    name, ident, public = _claim.verifier(vkey, 1, "log.vkey")
    try:
        body, signatures = _claim.note(data.decode())
        origin, size, root = body.split("\n")[:3]
        count, root = int(size), base64.b64decode(root, validate=True)
    except (ValueError, AssertionError, binascii.Error):
        raise Fault(file, "it is not a signed checkpoint") from None
    need(str(count) == size and len(root) == 32 and body.endswith("\n"), file, "it is not a checkpoint")
    mine = [signature for who, key, signature in signatures if (who, key) == (name, ident)]
    good = mine and all(_claim.signed(public, body.encode(), signature) for signature in mine)
    need(origin == name and good, file, "the log's signature on it does not verify")
    return count, root


def tile_path(level, index, width):
    """`tile/0/x001/x234/067.p/12`"""
    digits = f"{index:03}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    parts = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    name = "/".join(["x" + part for part in parts[:-1]] + parts[-1:])
    return f"tile/{level}/{name}" + (f".p/{width}" if width < WIDTH else "")


def read(folder, file):
    path = folder / file
    need(path.is_file(), file, "it is missing")
    return path.read_bytes()


def entries(folder, size):
    """Every entry, with the bundle it stands in."""
    for first in range(0, size, WIDTH):
        width = min(WIDTH, size - first)
        file = tile_path("entries", first // WIDTH, width)
        data, at = read(folder, file), 0
        for _ in range(width):
            length = int.from_bytes(data[at : at + 2], "big")
            entry = data[at + 2 : at + 2 + length]
            need(at + 2 + length <= len(data), file, "it breaks off")
            yield file, entry
            at += 2 + length
        need(at == len(data), file, "something stands behind its last entry")


def tiles(folder, hashes):
    """Every level of hash tiles is what its entries give."""
    level = 0
    while hashes:
        for first in range(0, len(hashes), WIDTH):
            part = hashes[first : first + WIDTH]
            file = tile_path(level, first // WIDTH, len(part))
            need(read(folder, file) == b"".join(part), file, "it does not hold the hashes of what is below it")
        full = len(hashes) // WIDTH * WIDTH
        hashes = [root_of(hashes[at : at + WIDTH]) for at in range(0, full, WIDTH)]
        level += 1


def facts(folder, leaf, seen):
    for digest in (leaf.get("facts"), leaf.get("policy")):
        if digest and digest not in seen:
            file = f"facts/{digest.removeprefix('sha256:')}.json"
            # Beside the log's folder where a node keeps them, in it where it was exported.
            data = read(folder if (folder / "facts").is_dir() else folder.parent, file)
            need(digest == "sha256:" + hashlib.sha256(data).hexdigest(), file, "it does not have its digest")
            seen.add(digest)


def log(folder, vkey, since=None):
    """Verifies the folder that holds `checkpoint`; its size and leaf hashes. [Fault] names what is wrong."""
    size, root = checkpoint(read(folder, "checkpoint"), vkey)
    hashes, seen, last = [], set(), ""
    for file, entry in entries(folder, size):
        try:
            leaf = json.loads(entry)
            at = leaf["at"]
        except (ValueError, KeyError, TypeError):
            raise Fault(file, f"entry {len(hashes)} is no leaf") from None
        # Equal length and UTC: text sorts as time does.
        need(at >= last and at.endswith("Z"), file, f"entry {len(hashes)} is older than the one before it")
        facts(folder, leaf, seen)
        hashes.append(leaf_hash(entry))
        last = at
    tiles(folder, hashes)
    need(root_of(hashes) == root, "checkpoint", "its root is not that of the entries")
    if since is not None:
        old, old_root = checkpoint(since, vkey, "the earlier checkpoint")
        need(old <= size and root_of(hashes[:old]) == old_root, "checkpoint", "it does not continue the earlier one")
    return size, hashes


def proof(data, vkey, entry):
    """Verifies that `entry` is in the log, and gives its index and the size of the log that says so."""
    try:
        head, note = data.decode().split("\n\n", 1)
        lines = head.split("\n")
        need(lines.pop(0) == HEADER, "the proof", "it is no tlog-proof")
        if lines[0].startswith("extra "):
            lines.pop(0)
        index, path = int(lines.pop(0).removeprefix("index ")), [base64.b64decode(line, validate=True) for line in lines]
    except (ValueError, IndexError, binascii.Error):
        raise Fault("the proof", "it is no tlog-proof") from None
    size, root = checkpoint(note.encode(), vkey, "the proof")
    need(index < size, "the proof", "its entry is beyond its checkpoint")
    # RFC 9162, section 2.1.3.2.
    found, at, last = leaf_hash(entry), index, size - 1
    for sibling in path:
        need(last > 0, "the proof", "it has too many hashes")
        if at % 2 or at == last:
            found = node_hash(sibling, found)
            while at % 2 == 0 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        at, last = at >> 1, last >> 1
    need(last == 0 and found == root, "the proof", "it does not lead from the entry to the root")
    return index, size
