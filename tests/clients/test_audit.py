"""The log: verified offline with its key, spoilt byte by byte, proved leaf by leaf; and what it does not hold."""

import json
import random
import shutil

import pytest

from harness import corpus
from harness.gateway import binary, told
from harness.wait import until


def verify(folder, key=None, *more):
    args = ["--key", str(key)] if key else []
    return told([binary(), "audit", "verify", str(folder), *args, *map(str, more), "--json"])


@pytest.fixture(scope="module")
def log(gateway, mixed, people, tmp_path_factory):
    """The published log with every leaf of a few exports, copied with its facts, as an auditor would have it."""
    api = gateway.api(gateway.alice)
    assert api.request("GET", mixed.url).status_code == 200
    leaf = api.refused("GET", people.url, 403, "denied")["leaf"]
    until("the checkpoint covers the denial", 3, lambda: size(gateway.log_folder()) > leaf)
    # Facts lie beside the log, where the verifier looks for them.
    target = tmp_path_factory.mktemp("audit") / "data"
    target.mkdir()
    until("a copy that holds together", 10, lambda: copied(gateway, target))
    return target / "log"


def size(folder):
    return int((folder / "checkpoint").read_text().splitlines()[1])


def copied(gateway, target):
    """Copies log and facts; the live log may move on in between, so it is tried again until it verifies."""
    for name in ("log", "facts"):
        shutil.rmtree(target / name, ignore_errors=True)
        shutil.copytree(gateway.data / name, target / name)
    return verify(target / "log", gateway.pki / "log.vkey").status == 0


def test_verifies_with_the_key_and_says_so_without(gateway, log):
    said = verify(log, gateway.pki / "log.vkey")
    assert said.status == 0 and said.json["ok"] is True, said
    assert said.json["checked"]["entries"] == size(log) and said.json["checked"]["facts"] > 0
    bare = verify(log)
    assert bare.status == 0 and "self-consistent" in bare.out, bare


def test_another_logs_key(log):
    key = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
    assert verify(log, key).status == 6


def files(log):
    found = [path for path in log.rglob("*") if path.is_file()] + [path for path in (log.parent / "facts").rglob("*") if path.is_file()]
    assert len(found) > 3
    return sorted(found)


def test_one_flipped_byte_is_found_and_its_file_named(gateway, log, tmp_path):
    """In every kind of file, at places from a fixed seed."""
    random_ = random.Random(41)
    for original in files(log):
        data = original.read_bytes()
        if not data:
            continue
        for _ in range(3):
            shutil.rmtree(tmp_path / "copy", ignore_errors=True)
            shutil.copytree(log.parent, tmp_path / "copy")
            path = tmp_path / "copy" / original.relative_to(log.parent)
            at = random_.randrange(len(data))
            path.chmod(0o600)
            path.write_bytes(data[:at] + bytes([data[at] ^ 1 << random_.randrange(8)]) + data[at + 1 :])
            said = verify(tmp_path / "copy" / "log", gateway.pki / "log.vkey")
            assert said.status == 6, (original, at, said)
            message = said.json["error"]["message"]
            relative = str(original.relative_to(log.parent))
            named = relative.removeprefix("log/") in message or original.name in message
            # A leaf's bytes and its hash in a tile accuse each other: either may be named.
            assert named or "tile" in message or "entr" in message or "facts" in message, (relative, at, message)


def test_a_missing_file_is_named(gateway, log, tmp_path):
    for original in files(log):
        if original.name == "checkpoint":
            continue
        shutil.rmtree(tmp_path / "copy", ignore_errors=True)
        shutil.copytree(log.parent, tmp_path / "copy")
        (tmp_path / "copy" / original.relative_to(log.parent)).unlink()
        said = verify(tmp_path / "copy" / "log", gateway.pki / "log.vkey")
        # Partial tiles that a longer one replaces may go.
        assert said.status in (5, 6, 74) or ".p" in str(original) or size(log) >= 256, (original, said)


def test_an_older_checkpoint_must_be_extended(gateway, log, tmp_path):
    old = tmp_path / "old"
    old.write_bytes((log / "checkpoint").read_bytes())
    api = gateway.api(gateway.alice)
    before = size(gateway.log_folder())
    corpus.publish(gateway, "test-audit-grows", {"n.parquet": corpus.parquet(corpus.numbers(10, 40))})
    until("the log has grown", 3, lambda: size(gateway.log_folder()) > before)
    copy = tmp_path / "data"
    copy.mkdir()
    until("a copy that holds together", 10, lambda: copied(gateway, copy))
    assert verify(copy / "log", gateway.pki / "log.vkey", "--since", old).status == 0
    # The shorter log does not extend the longer one's checkpoint.
    newer = tmp_path / "newer"
    newer.write_bytes((copy / "log" / "checkpoint").read_bytes())
    assert verify(log, gateway.pki / "log.vkey", "--since", newer).status == 6
    assert api.get("/v1/log-key")["vkey"] == (gateway.pki / "log.vkey").read_text().strip()


def test_proofs(gateway, people, tmp_path):
    leaf = gateway.api(gateway.alice).refused("GET", people.url, 403, "denied")["leaf"]
    out = tmp_path / "leaf.tlog-proof"

    def proved():
        said = gateway.kouan(
            gateway.alice, "audit", "proof", leaf, "--out", out, "--key", gateway.pki / "log.vkey", "--json"
        )
        return said if said.status == 0 else None

    until("the leaf can be proved", 3, proved)
    assert out.read_text().startswith("c2sp.org/tlog-proof@v1")
    # Bob is no party of it.
    assert gateway.kouan(gateway.bob, "audit", "proof", leaf, "--json").status == 5
    assert gateway.kouan(gateway.bob, "audit", "show", leaf, "--json").status == 5


def test_what_is_served_is_what_lies_there(gateway):
    api = gateway.api(gateway.chan)
    served = api.request("GET", "/log/checkpoint")
    assert served.status_code == 200
    note = served.text
    origin, count, _root = note.splitlines()[:3]
    assert origin == api.get("/v1/log-key")["origin"] and int(count) > 0
    tile = next(path for path in (gateway.log_folder() / "tile" / "0").rglob("*") if path.is_file())
    path = "/log/" + str(tile.relative_to(gateway.log_folder()))
    data = tile.read_bytes()
    assert api.request("GET", path).content == data or not tile.exists()
    gateway.api(gateway.alice).refused("GET", path, 403, "forbidden")


def test_an_export_verifies_elsewhere(gateway, tmp_path):
    said = gateway.kouan(gateway.chan, "audit", "export", "--out", tmp_path / "export", "--json")
    assert said.status == 0 and said.json["facts"] > 0 and said.json["facts_missing"] == 0, said
    [checkpoint] = list((tmp_path / "export").rglob("checkpoint"))
    exported = verify(checkpoint.parent, gateway.pki / "log.vkey")
    assert exported.status == 0 and exported.json["verdict"] == "verified", exported
    blobs = list((tmp_path / "export").rglob("facts/*.json"))
    assert exported.json["checked"]["facts"] == len(blobs) > 0, "every facts blob came along and was checked"


def test_a_decision_is_on_record_before_its_bytes(gateway, mixed):
    """The leaf in a response's head is in the log by the time the head can be read."""
    answer = gateway.api(gateway.alice).request("GET", mixed.url, headers={"range": "bytes=0-0"})
    leaf = gateway.api(gateway.alice).get(f"/v1/audit/{answer.headers['kouan-leaf']}")["leaf"]
    assert leaf["effect"] == "allow" and leaf["lease"] == answer.headers["kouan-lease"]
    assert leaf["facts"].startswith("sha256:") and leaf["policy"].startswith("sha256:")
    facts = [path for path in (gateway.data / "facts").rglob("*") if leaf["facts"].removeprefix("sha256:") in str(path).replace("/", "")]
    assert facts, "the facts blob lies beside the log"
    replayed = told([binary(), "policy", "decide", "--facts", str(facts[0]), "--json"])
    assert replayed.status == 0 and replayed.json["rules"] == leaf["rules"], "and decides the same again"


def test_no_natural_person_in_log_facts_or_output(gateway, mixed, people):
    """Names of principals and of their certificates stay out of everything that is kept in the open (INV-10)."""
    api = gateway.api(gateway.alice)
    api.request("GET", mixed.url)
    api.request("GET", people.url)
    canaries = [b"alice", b"researcher/", b"broker/lin", b"compliance/chan", b"spiffe://"]
    kept = [path for folder in ("log", "facts") for path in (gateway.data / folder).rglob("*") if path.is_file()]
    kept += [gateway.data / "kouan.db", gateway.data / "kouan.db-wal"]
    for path in kept:
        if path.exists():
            data = path.read_bytes()
            assert not [canary for canary in canaries if canary in data], path
    entries = json.dumps(gateway.api(gateway.chan).get("/v1/audit?limit=500"))
    assert "alice" not in entries and "spiffe" not in entries
