"""A regulator's mirror of the log: it grows with the log, refuses another one, and can be put back into a gateway."""

import shutil
import subprocess
import tomllib

import pytest

from harness import store
from harness import witness as w
from harness.gateway import binary, told
from harness.wait import until


def mirror(gateway, folder, *more, identity=None):
    key = ("--key", gateway.pki / "log.vkey")
    # A principal's own key comes from the environment; this one is the log's.
    return gateway.kouan(identity or gateway.chan, "audit", "mirror", folder, *key, *more, "--json")


def verify(gateway, folder):
    return told([binary(), "audit", "verify", str(folder), "--key", str(gateway.pki / "log.vkey"), "--json"])


def size(folder):
    return int((folder / "checkpoint").read_text().splitlines()[1])


def grow(gateway):
    """At least one entry more, published."""
    before = size(gateway.log_folder())
    gateway.api(gateway.chan).post("/v1/participants/cuhk/restricted", {"flag": False})
    until("the log has grown", 5, lambda: size(gateway.log_folder()) > before)
    until("everything is published", 5, lambda: size(gateway.log_folder()) == recorded(gateway))


def recorded(gateway):
    with store.database(gateway) as records:
        return records.execute("SELECT count(*) FROM entry").fetchone()[0]


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def entries(folder):
    """The entries of a log with two bundles."""
    found = []
    for bundle in (folder / "tile" / "entries" / "000", folder / "tile" / "entries" / "001.p" / str(size(folder) - 256)):
        data = bundle.read_bytes()
        while data:
            length = int.from_bytes(data[:2], "big")
            found.append(data[2 : 2 + length])
            data = data[2 + length :]
    return found


@pytest.fixture(scope="module")
def copy(own_gateway, tmp_path_factory):
    """A mirror with more than one bundle of entries."""
    gateway = own_gateway
    officer = gateway.api(gateway.chan)
    while recorded(gateway) < 300:
        officer.post("/v1/participants/cuhk/restricted", {"flag": False})
    grow(gateway)
    folder = tmp_path_factory.mktemp("mirror") / "copy"
    said = mirror(gateway, folder)
    assert said.status == 0 and said.json["size"] == said.json["entries"] > 256, said
    return folder


def test_a_full_copy_verifies_and_only_what_is_new_is_fetched(own_gateway, copy):
    gateway = own_gateway
    said = verify(gateway, copy)
    assert said.status == 0 and said.json["verdict"] == "verified" and said.json["checked"]["facts"] > 0, said
    # The copy of the first day made one entry of its own; then the log and the copy are at rest.
    until("the trace of the first copy is published", 5, lambda: size(gateway.log_folder()) == recorded(gateway))
    mirror(gateway, copy)
    again = mirror(gateway, copy)
    assert again.json["entries"] == again.json["bundles"] == again.json["facts"] == 0, again
    grow(gateway)
    more = mirror(gateway, copy)
    assert 0 < more.json["entries"] < 60 and more.json["bundles"] == 1, more
    assert verify(gateway, copy).status == 0
    served = content(gateway.log_folder())
    for path, data in content(copy).items():
        if path.parts[0] == "tile" and ".p" not in str(path):
            assert served[path] == data, path


def test_an_interrupted_mirror_goes_on(own_gateway, copy, tmp_path):
    """Killed at any moment it verifies as what it was, and the next run completes it."""
    gateway = own_gateway
    for delay in (0.02, 0.05, 0.08, 0.12, 0.2):
        folder = tmp_path / str(delay)
        command = [binary(), "audit", "mirror", str(folder), "--key", str(gateway.pki / "log.vkey")]
        process = subprocess.Popen(command, env=gateway.environment(gateway.chan), stdout=subprocess.DEVNULL)
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if (folder / "checkpoint").exists():
            assert verify(gateway, folder).status == 0
        assert mirror(gateway, folder).status == 0
        assert verify(gateway, folder).status == 0 and not (folder / "incoming").exists()


def test_it_follows(own_gateway, copy):
    gateway = own_gateway
    command = [binary(), "audit", "mirror", str(copy), "--key", str(gateway.pki / "log.vkey"), "--follow", "1"]
    process = subprocess.Popen(command, env=gateway.environment(gateway.chan), stdout=subprocess.PIPE)
    try:
        until("it has begun", 5, lambda: process.stdout.readline())
        # Nobody else writes in its folder meanwhile.
        assert mirror(gateway, copy).status == 2
        grow(gateway)
        until("what came is copied", 10, lambda: size(copy) == recorded(gateway))
    finally:
        process.terminate()
        process.wait(10)
    assert verify(gateway, copy).status == 0


def test_a_mirror_alone_shows_who_has_seen_it(own_gateway, copy, tmp_path):
    """The quorum's checkpoint comes along, is checked on the way, and never gets older."""
    gateway, policy = own_gateway, own_gateway.pki / "witness-policy"
    grow(gateway)
    until("the witnesses have seen it all", 20, lambda: size(gateway.data / "witnessed") == recorded(gateway))
    said = mirror(gateway, copy)
    held = copy / "checkpoint.witnessed"
    assert said.status == 0 and said.json["witnessed"] == int(held.read_text().splitlines()[1]) <= size(copy), said
    verify = lambda folder: told([binary(), "audit", "verify", str(folder), "--policy", str(policy), "--json"])
    said = verify(copy)
    assert said.status == 0 and said.json["witnessed"]["quorum"] is True, said
    assert said.json["witnessed"]["size"] == int(held.read_text().splitlines()[1])
    # Cosignatures over another beginning, or of fewer entries than they say, are found.
    whole = held.read_text()
    lines = whole.splitlines()
    other = ("\n".join([*lines[:2], w.b64(bytes(32)), *lines[3:]]) + "\n", whole.replace(lines[1], str(int(lines[1]) - 1), 1))
    log = w.Log.of_key_file(gateway.pki / "log.key")
    for number, wrong in enumerate([*other, log.checkpoint(5, bytes(32))]):
        altered = tmp_path / str(number)
        shutil.copytree(copy, altered)
        (altered / "checkpoint.witnessed").write_text(wrong)
        said = verify(altered)
        assert said.status == 6, said
    assert "not the beginning of this log" in said.json["error"]["message"], said
    # It goes on with the log, and is never replaced by an older one.
    grow(gateway)
    until("the witnesses have seen it all", 20, lambda: size(gateway.data / "witnessed") == recorded(gateway))
    assert mirror(gateway, copy).status == 0 and verify(copy).status == 0
    newer = held.read_text()
    assert int(newer.splitlines()[1]) > int(lines[1])


def test_only_an_authority_may(own_gateway, tmp_path):
    assert mirror(own_gateway, tmp_path / "copy", identity=own_gateway.alice).status == 3


def test_a_damaged_copy_is_named(own_gateway, copy, tmp_path):
    damaged = tmp_path / "copy"
    shutil.copytree(copy, damaged)
    edge = damaged / "tile" / "0" / "001.p" / str(size(damaged) - 256)
    store.change_byte(edge, 5)
    said = mirror(own_gateway, damaged)
    assert said.status == 6 and "damaged" in said.json["error"]["message"], said


def test_what_the_gateway_did_not_sign_does_not_come_in(own_gateway, copy, tmp_path):
    gateway = own_gateway
    bundle = gateway.log_folder() / "tile" / "entries" / "000"
    store.change_byte(bundle, 700)
    before = content(copy)
    try:
        said = mirror(gateway, tmp_path / "new")
        assert said.status == 6 and "tile/entries/000" in said.json["error"]["message"], said
        # What it has it has: only what is new is fetched, and that is right.
        assert mirror(gateway, copy).status == 0
    finally:
        store.change_byte(bundle, 700)
    assert mirror(gateway, tmp_path / "new").status == 0
    assert verify(gateway, tmp_path / "new").status == 0
    assert {path for path in before if ".p" not in str(path)} <= set(content(copy))


def test_lost_files_come_back_from_the_mirror(own_gateway, copy):
    """The published log and the facts are lost; the records are there. README's own steps."""
    gateway = own_gateway
    assert mirror(gateway, copy).status == 0
    gateway.stop()
    for lost in ("log", "facts"):
        shutil.rmtree(gateway.data / lost)
    shutil.copytree(copy / "tile", gateway.data / "log" / "tile")
    shutil.copy(copy / "checkpoint", gateway.data / "log")
    shutil.copytree(copy / "facts", gateway.data / "facts")
    gateway.serve()
    grow(gateway)
    assert verify(gateway, gateway.log_folder()).status == 0
    assert mirror(gateway, copy).status == 0 and verify(gateway, copy).status == 0


def test_a_shorter_log_and_a_fork_are_refused(own_gateway, copy):
    """A gateway whose data and guard are both put back does not know what it has signed. The mirror does."""
    gateway = own_gateway
    config = tomllib.loads((gateway.folder / "kouan.toml").read_text())
    kept = [gateway.data, gateway.folder / config["guard"]]
    gateway.stop()
    backup = gateway.folder / "backup"
    backup.mkdir()
    shutil.copytree(kept[0], backup / "data")
    shutil.copy(kept[1], backup / "guard")
    gateway.serve()
    grow(gateway)
    assert mirror(gateway, copy).status == 0
    held, before = size(copy), content(copy)
    gateway.stop()
    shutil.rmtree(kept[0])
    shutil.copytree(backup / "data", kept[0])
    shutil.copy(backup / "guard", kept[1])
    gateway.serve()
    short = mirror(gateway, copy)
    message = short.json["error"]["message"]
    assert short.status == 6 and "cut off or restored" in message and str(held) in message, short
    while recorded(gateway) <= held:
        grow(gateway)
    fork = mirror(gateway, copy)
    message = fork.json["error"]["message"]
    assert fork.status == 6 and "does not continue" in message, fork
    with store.database(gateway) as records:
        theirs = [row["body"] for row in records.execute("SELECT body FROM entry ORDER BY idx")]
    first = next(index for index, (one, other) in enumerate(zip(entries(copy), theirs)) if one != other)
    assert f"entry {first} is the first that differs" in message, (first, message)
    after = content(copy)
    assert after == before, "the copy is kept as it is"
    assert verify(gateway, copy).status == 0


def test_a_lost_guard_is_written_anew_only_when_somebody_says_so(own_gateway):
    gateway = own_gateway
    guard = gateway.folder / tomllib.loads((gateway.folder / "kouan.toml").read_text())["guard"]
    gateway.stop()
    guard.unlink()
    serve = [binary(), "serve", "--config", str(gateway.folder / "kouan.toml")]
    refused = told(serve, timeout=60)
    assert refused.status == 2 and "--adopt-missing-guard" in refused.err and not guard.exists(), refused
    # An empty NO_COLOR is none: what goes into a file has no colours all the same.
    gateway.extra = {**gateway.extra, "NO_COLOR": ""}
    gateway.serve("--adopt-missing-guard")
    grow(gateway)
    until("the guard is written", 10, guard.exists)
    assert " INFO " in gateway.log() and "\x1b" not in gateway.log(), gateway.log()[-500:]
    gateway.stop()
    gateway.serve()
