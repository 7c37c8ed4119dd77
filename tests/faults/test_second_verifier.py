"""H8: two verifiers that share no code agree on every log: whole ones, and ones with a changed byte, a missing file, another
key, a proof of another entry."""

import base64
import json
import random
import shutil

import pytest

from harness import second
from harness.gateway import binary, told
from harness.story import Prepared, Story
from harness.wait import until


@pytest.fixture(scope="module")
def story(memory):
    """A node that has told the whole story and stopped: more entries than one tile holds."""
    prepared = Prepared(memory)
    gateway = prepared.copy(memory / "node")
    gateway.serve()
    try:
        told_once = Story(prepared, gateway)
        told_once.tell()
        size = lambda: int((gateway.log_folder() / "checkpoint").read_text().split("\n")[1])
        until("a tile is full", 10, lambda: size() > second.WIDTH)
        chan = gateway.api(gateway.chan)
        proofs = {index: proof(chan, index) for index in (0, 1, 100, 255, size() - 1)}
        # As an auditor gets it, over the API.
        told_export = gateway.kouan(gateway.chan, "audit", "export", "--out", memory / "export", "--json")
        assert told_export.status == 0, told_export
        assert gateway.stop() == 0, gateway.log()
    finally:
        gateway.kill()
    return gateway, proofs, memory / "export"


def proof(api, index):
    """A proof, and the entry's bytes."""
    answer = api.request("GET", f"/v1/audit/{index}/proof")
    assert answer.status_code == 200, answer.text
    return answer.content


def vkey(gateway):
    return (gateway.pki / "log.vkey").read_text()


def first(folder, gateway, *more):
    said = told([binary(), "audit", "verify", str(folder), "--key", str(gateway.pki / "log.vkey"), *map(str, more), "--json"])
    return said.status == 0, said


def agreed(folder, gateway):
    """What both say; they must say the same."""
    try:
        second.log(folder, vkey(gateway))
        ours, why = True, ""
    except second.Fault as fault:
        ours, why = False, str(fault)
    theirs, said = first(folder, gateway)
    assert ours == theirs, (why, said)
    return ours, why, said


def test_both_accept_what_was_published_and_what_was_exported(story):
    gateway, _, export = story
    size, hashes = second.log(gateway.log_folder(), vkey(gateway))
    assert size > second.WIDTH and len(hashes) == size
    folder = next(path.parent for path in export.rglob("checkpoint"))
    assert agreed(folder, gateway)[0]
    assert agreed(gateway.log_folder(), gateway)[0]


def test_both_refuse_every_damaged_file(story, tmp_path):
    gateway, _, _ = story
    seeded, refused = random.Random(8), 0
    originals = sorted(path for path in gateway.log_folder().rglob("*") if path.is_file())
    originals += sorted((gateway.data / "facts").iterdir())
    for original in originals:
        copy = tmp_path / "copy"
        shutil.copytree(gateway.log_folder(), copy / "log")
        shutil.copytree(gateway.data / "facts", copy / "facts")
        path = copy / original.relative_to(gateway.data)
        data = bytearray(original.read_bytes())
        data[seeded.randrange(len(data))] ^= 1 << seeded.randrange(8)
        path.chmod(0o600)
        path.write_bytes(data)
        # Partial tiles that a longer one has replaced are no part of the log any more: only ours looks at those.
        mine = True
        try:
            second.log(copy / "log", vkey(gateway))
        except second.Fault as fault:
            mine, refused = False, refused + 1
            named = str(fault)
            assert str(path.relative_to(copy / "log" if "log" in path.parts else copy)) in named or "entry" in named or "tile" in named, (path, named)
        theirs, said = first(copy / "log", gateway)
        assert not theirs, (path, said)
        assert not mine or ".p/" in str(path), path
        shutil.rmtree(copy)
    assert refused > 10


def test_both_refuse_another_key_and_a_shorter_log(story, tmp_path):
    gateway, _, _ = story
    other = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
    with pytest.raises(second.Fault, match="checkpoint"):
        second.log(gateway.log_folder(), other)
    newer = (gateway.log_folder() / "checkpoint").read_bytes()
    second.log(gateway.log_folder(), vkey(gateway), since=newer)
    changed = newer.replace(b"\n", b"0\n", 2).replace(b"0\n", b"\n", 1)
    with pytest.raises(second.Fault):
        second.log(gateway.log_folder(), vkey(gateway), since=changed)


def test_proofs_prove_their_entry_and_no_other(story):
    gateway, proofs, _ = story
    size = second.checkpoint((gateway.log_folder() / "checkpoint").read_bytes(), vkey(gateway))[0]
    leaves = [entry for _, entry in second.entries(gateway.log_folder(), size)]
    for index, answer in proofs.items():
        text = answer if answer.startswith(b"c2sp") else base64.b64decode(json.loads(answer)["proof"])
        assert second.proof(text, vkey(gateway), leaves[index])[0] == index
        with pytest.raises(second.Fault):
            second.proof(text, vkey(gateway), leaves[index - 1])
        lines = text.decode().split("\n")
        for at in (1, 2):
            changed = lines[:at] + [lines[at].translate(str.maketrans("0123456789ABab", "1234567890BAba"))] + lines[at + 1 :]
            if changed != lines:
                with pytest.raises(second.Fault):
                    second.proof("\n".join(changed).encode(), vkey(gateway), leaves[index])
