#!/usr/bin/env python3
"""Verifies a claim bundle of Kouan without a network and without Kouan: `python3 verify.py BUNDLE.zip [LOG.vkey]`.

Python 3.11 or newer, standard library only. Exit status 0: everything holds; 6: something does not, and its file is named; 2: usage.
Without the log's key from elsewhere, it is only shown to agree with itself."""

import base64, binascii, hashlib, json, struct, sys, tomllib, zlib
from datetime import date, datetime, timedelta, timezone

SHANGHAI = timezone(timedelta(hours=8))
LISTS = ("MANIFEST.json", "SHA256SUMS")

class Fault(Exception):
    def __init__(self, file, why):
        super().__init__(f"`{file}`: {why}")

def need(holds, file, why):
    if not holds:
        raise Fault(file, why)

# --- the archive: stored, sorted, dated 1980-01-01, nothing between the files -------------------------------------------

def headers(name, crc, size, offset):
    shared = struct.pack("<5H3I2H", 20, 0x0800, 0, 0, 0x21, crc, size, size, len(name), 0)
    local = struct.pack("<I", 0x04034B50) + shared + name
    return local, struct.pack("<IH", 0x02014B50, 20) + shared + bytes(10) + struct.pack("<I", offset) + name

def pack(files):
    archive, directory = b"", b""
    for name in sorted(files):
        local, central = headers(name.encode(), zlib.crc32(files[name]), len(files[name]), len(archive))
        archive += local + files[name]
        directory += central
    end = struct.pack("<I4x2H2I2x", 0x06054B50, len(files), len(files), len(directory), len(archive))
    return archive + directory + end

def unpack(archive):
    need(len(archive) >= 22, "the archive", "it is cut off")
    end = len(archive) - 22
    count, at = struct.unpack_from("<H4xI", archive, end + 10)
    files, last = {}, "the archive"
    for _ in range(count):
        need(at + 46 <= end, last, "the directory breaks off behind it")
        crc, size, length, offset = struct.unpack_from("<I4xIH12xI", archive, at + 16)
        raw = archive[at + 46 : at + 46 + length]
        try:
            name = raw.decode()
        except UnicodeDecodeError:
            raise Fault(last, "the next entry has no name, or the directory beside it is altered") from None
        local, central = headers(raw, crc, size, offset)
        data = offset + 30 + length
        same = archive[offset:data] == local and archive[at : at + 46 + length] == central
        need(same or archive[offset + 26 : data] == struct.pack("<2H", length, 0) + raw, "the archive", "its directory lists a file where another lies")
        need(same, name, "its header in the archive is altered")
        files[name] = archive[data : data + size]
        need(zlib.crc32(files[name]) == crc, name, "its bytes do not have its checksum: it is altered")
        at, last = at + 46 + length, name
    need(pack(files) == archive, "the archive", "it is not packed as a bundle is")
    return files

def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()

def canonical(value):
    # RFC 8785 for what stands in a manifest: strings, and objects with ASCII names.
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()

def lists(files):
    for name in LISTS:
        need(name in files, name, "it is missing")
    digests = {name: digest(data) for name, data in files.items() if name != "MANIFEST.json"}
    sums = "".join(f"{digests[name][7:]}  {name}\n" for name in sorted(digests) if name not in LISTS).encode()
    if files["SHA256SUMS"] == sums:
        manifest = canonical({"format": "kouan-claim/1", "files": digests})
        need(files["MANIFEST.json"] == manifest, "MANIFEST.json", "it does not list the files as they are")
        return
    listed = json.loads(files["MANIFEST.json"])["files"]
    for name, found in digests.items():
        need(name in listed, name, "it is not in the manifest")
        need(listed[name] == found, name, "it does not have its digest: it is altered")
    for name in listed:
        need(name in files, name, "it is missing")
    raise Fault("SHA256SUMS", "it does not list the files as they are")

# --- the log: Ed25519 (RFC 8032), signed notes, RFC 6962 inclusion ------------------------------------------------------

P, ORDER = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)

def add(a, b):
    x, y, z, t = a
    u, v, w, s = b
    e, f = (y - x) * (v - u) % P, (y + x) * (v + u) % P
    g, h = 2 * t * s * D % P, 2 * z * w % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return e * f % P, g * h % P, f * g % P, e * h % P

def times(number, point):
    result = (0, 1, 1, 0)
    while number:
        if number & 1:
            result = add(result, point)
        point, number = add(point, point), number >> 1
    return result

def point(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if x * x % P == square else x * ROOT % P
    if y >= P or x * x % P != square or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P

BASE = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))

def signed(public, message, signature):
    key, nonce = point(public), point(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or nonce is None or len(signature) != 64 or scalar >= ORDER:
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % ORDER
    x, y, z, _ = times(scalar, BASE)
    u, v, w, _ = add(nonce, times(challenge, key))
    return (x * w - u * z) % P == 0 and (y * w - v * z) % P == 0

def verifier(text, kind, file):
    try:
        name, ident, key = text.strip().split("+", 2)
        key = base64.b64decode(key, validate=True)
    except (ValueError, binascii.Error):
        raise Fault(file, "it holds no verifier key") from None
    known = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]
    need(len(key) == 33 and key[0] == kind and known.hex() == ident, file, "it holds no verifier key of that kind")
    return name, known, key[1:]

def note(text):
    body, lines = text[: text.rindex("\n\n") + 1], text[text.rindex("\n\n") + 2 :]
    signatures = []
    for line in lines.removesuffix("\n").split("\n"):
        dash, name, data = line.split(" ")
        data = base64.b64decode(data, validate=True)
        assert dash == "\u2014" and len(data) > 4
        signatures.append((name, data[:4], data[4:]))
    return body, signatures

def checkpoint(files, trusted):
    own = files["log.vkey"].decode()
    need(trusted is None or trusted.strip() == own.strip(), "log.vkey", "it is not the key of the log that you trust")
    name, ident, public = verifier(own, 1, "log.vkey")
    try:
        body, signatures = note(files["checkpoint"].decode())
        origin, size, root = body.split("\n")[:3]
        size, root = int(size), base64.b64decode(root, validate=True)
    except (ValueError, AssertionError, binascii.Error):
        raise Fault("checkpoint", "it is not a signed checkpoint") from None
    mine = [data for who, key, data in signatures if (who, key) == (name, ident)]
    good = origin == name and mine and all(signed(public, body.encode(), data) for data in mine)
    need(good, "checkpoint", "the log's signature on it does not verify")
    return body, signatures, size, root

def witnessed(files, body, signatures, base_year):
    """Parts per million that both sides of the border cosigned before the base year's periods closed."""
    earliest = {}
    for line in files["trust.policy"].decode().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        words = line.split()
        need(len(words) == 3 and words[0] == "witness" and words[1] in ("HK", "QH"), "trust.policy", "a line is wrong")
        name, ident, public = verifier(words[2], 4, "trust.policy")
        for data in (data for who, key, data in signatures if (who, key) == (name, ident)):
            time = int.from_bytes(data[:8], "big")
            if signed(public, f"cosignature/v1\ntime {time}\n{body}".encode(), data[8:]):
                earliest[words[1]] = min(time, earliest.get(words[1], time))
    closes = datetime(base_year + 1, 1, 16, tzinfo=SHANGHAI).timestamp()
    return 1_000_000 if len(earliest) == 2 and max(earliest.values()) <= closes else 0

def included(leaf, index, size, hashes, root):
    inner = lambda left, right: hashlib.sha256(b"\x01" + left + right).digest()
    found, last = hashlib.sha256(b"\x00" + leaf).digest(), size - 1
    for sibling in hashes:
        if last == 0:
            return False
        if index & 1 or index == last:
            found = inner(sibling, found)
            while index & 1 == 0 and index:
                index, last = index >> 1, last >> 1
        else:
            found = inner(found, sibling)
        index, last = index >> 1, last >> 1
    return last == 0 and found == root

def leaves(files, size, root):
    found = []
    for name in sorted(name for name in files if name.startswith(("leaves/", "proofs/"))):
        index = name.split("/")[1].split(".")[0]
        leaf_name, proof_name = f"leaves/{index}.json", f"proofs/{index}.tlog-proof"
        need(index.isdigit() and name in (leaf_name, proof_name), name, "it has no index")
        need(leaf_name in files and proof_name in files, name, "its leaf or its proof is missing")
        if name == proof_name:
            continue
        head, _, note_text = files[proof_name].partition(b"\n\n")
        need(note_text == files["checkpoint"], proof_name, "it leads to another checkpoint")
        lines = [line for line in head.decode().split("\n") if not line.startswith("extra ")]
        need(lines[:2] == ["c2sp.org/tlog-proof@v1", f"index {index}"], proof_name, "it is of another leaf")
        hashes = [base64.b64decode(line) for line in lines[2:]]
        holds = int(index) < size and included(files[leaf_name], int(index), size, hashes, root)
        need(holds, leaf_name, "it is not in the log")
        found.append(json.loads(files[leaf_name]))
    return found

# --- the amount: the programme over the transactions --------------------------------------------------------------------

def evaluated(programme, base_year, sales, claimant):
    base, conditions, award = programme["base"], programme["conditions"], programme["award"]
    when = {sale["id"]: datetime.fromisoformat(sale["at"]) for sale in sales}
    first, last = programme["effective"]["from"], programme["effective"].get("to", "9999-12-31")
    near = timedelta(days=conditions.get("round_trip_days", -1))

    def counts(sale):
        day = when[sale["id"]].astimezone(SHANGHAI).date()
        kind, apart = sale["kind"], not sale["affiliated"] and sale["broker"] != sale["consumer"]
        trip = any((o["broker"], o["consumer"]) == (sale["consumer"], sale["broker"]) and abs(when[o["id"]] - when[sale["id"]]) <= near for o in sales)
        return (
            (not base.get("kinds") or kind in base["kinds"])
            and kind not in base.get("other_kinds", [])
            and sale["currency"] == "CNY"
            and (base["year"] == "before" or date.fromisoformat(first) <= day <= date.fromisoformat(last))
            and (apart or not conditions.get("non_affiliated"))
            and not trip
            and (sale["enterprise"] or not conditions.get("enterprise"))
            and (sale.get("platform") or not conditions.get("platform"))
        )

    total, held = 0, set()
    for sale in sorted(sales, key=lambda sale: (when[sale["id"]], sale["id"])):
        need("reversal_of" not in sale and "rate" not in sale, "transactions.json", "this verifier knows sales in CNY only")
        if when[sale["id"]].astimezone(SHANGHAI).year != base_year or not counts(sale):
            continue
        if conditions.get("contract_once") and sale["contract"] in held:
            continue
        held.add(sale["contract"])
        total += int(sale["amount"]) if sale[base["participant"]] == claimant else 0
    enough = total >= int(award.get("threshold", "1"))
    return total, min(total * award["rate_percent"] // 100, int(award["cap"])) if enough else 0

def verify(bundle, trusted):
    files = unpack(bundle)
    lists(files)
    for name in ("claim.json", "checkpoint", "log.vkey", "trust.policy", "FACE.txt"):
        need(name in files, name, "it is missing")
    body, signatures, size, root = checkpoint(files, trusted)
    claim, known = json.loads(files["claim.json"]), digest(files["claim.json"])
    log = leaves(files, size, root)
    for state, own in (("proposed", True), ("released", False)):
        said = (leaf for leaf in log if leaf["kind"] == "claim" and leaf["state"] == state and leaf["claim_digest"] == known)
        fits = any((leaf["participant"] == claim["participant"]) == own for leaf in said)
        need(fits, "claim.json", f"no leaf of the right participant says that it was {state}")
    for name, frozen in claim["contents"].items():
        need(name in files and digest(files[name]) == frozen, name, "it is not the file that the claim was filed with")
    for contract in claim["contracts"]:
        fits = any((leaf["kind"], leaf.get("agreement"), leaf.get("effect")) == ("decision", contract, "allow") for leaf in log)
        need(fits, "claim.json", f"no decision of the log is under its contract `{contract}`")
    programme = tomllib.loads(files["rules/programme.toml"].decode())
    sales = json.loads(files["transactions.json"])["transactions"]
    need(programme["id"] == claim["programme"], "rules/programme.toml", "it is another programme")
    found = evaluated(programme, claim["base_year"], sales, claim["participant"])
    need(found == (int(claim["base"]), int(claim["amount"])), "claim.json", f"the transactions give {found}, not what it claims")
    shares = claim["shares"]
    ppm = [shares["receipted"], witnessed(files, body, signatures, claim["base_year"]), shares["non_affiliated"]]
    face = files["FACE.txt"].decode()
    printed = [line.split(": ")[1] for line in face.splitlines() if line.endswith(" %")]
    need(printed == [f"{share // 10000}.{share % 10000:04} %" for share in ppm], "FACE.txt", "it does not say what the bundle shows")
    return face

def main():
    if len(sys.argv) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        with open(sys.argv[1], "rb") as file:
            bundle = file.read()
        trusted = open(sys.argv[2], encoding="utf-8").read() if len(sys.argv) == 3 else None
        face = verify(bundle, trusted)
    except OSError as error:
        return print(error, file=sys.stderr) or 74
    except Fault as fault:
        print(fault)
        return 6
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        print(f"`the bundle`: it is not of the form that this verifier knows: {error!r}")
        return 6
    print(face + ("verified" if trusted else "self-consistent only: give the log's key, from elsewhere, to know whose log it is"))
    return 0

if __name__ == "__main__":
    sys.exit(main())
