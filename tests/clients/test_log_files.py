"""`/log/…` is a C2SP tlog-tiles log: which files there are, how they are sent, and that a stranger's hashing agrees."""

import base64
import gzip
import hashlib

import pytest

from harness import store
from harness.wait import until

IMMUTABLE = "private, max-age=31536000, immutable"


def recorded(gateway):
    with store.database(gateway) as records:
        return records.execute("SELECT count(*) FROM entry").fetchone()[0]


def checkpoint(api):
    """Size and root of the served checkpoint."""
    _, count, root = api.request("GET", "/log/checkpoint").text.splitlines()[:3]
    return int(count), base64.b64decode(root)


def path(level, index, width=256):
    groups = [f"{index % 1000:03}"]
    while index >= 1000:
        index //= 1000
        groups.insert(0, f"x{index % 1000:03}")
    return f"/log/tile/{level}/" + "/".join(groups) + ("" if width == 256 else f".p/{width}")


def tiles(size):
    """Every hash tile of a tree of `size` entries: level, index, width."""
    level, hashes = 0, size
    while hashes:
        for index in range(-(-hashes // 256)):
            yield level, index, min(256, hashes - index * 256)
        level, hashes = level + 1, hashes // 256


def tree(hashes):
    """RFC 6962 §2.1."""
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return hashlib.sha256(b"\x01" + tree(hashes[:split]) + tree(hashes[split:])).digest()


@pytest.fixture(scope="module")
def log(own_gateway):
    """A gateway whose log has a full bundle and the beginning of a second one."""
    gateway = own_gateway
    officer = gateway.api(gateway.chan)
    officer.get("/v1/audit")
    officer.request("GET", "/log/checkpoint")
    while recorded(gateway) < 260:
        officer.post("/v1/participants/cuhk/restricted", {"flag": False})
    until("everything is published", 5, lambda: checkpoint(officer)[0] == recorded(gateway))
    return officer


def test_every_tile_of_the_tree_is_there_and_gives_the_root(log):
    size, root = checkpoint(log)
    leaves = []
    for index in range(-(-size // 256)):
        width = min(256, size - index * 256)
        answer = log.request("GET", path("entries", index, width))
        assert answer.headers["content-type"] == "application/octet-stream" and answer.headers["cache-control"] == IMMUTABLE
        data = answer.content
        for _ in range(width):
            length = int.from_bytes(data[:2], "big")
            leaves.append(hashlib.sha256(b"\x00" + data[2 : 2 + length]).digest())
            data = data[2 + length :]
        assert data == b"", "a bundle has as many entries as its path says"
    assert tree(leaves) == root
    for level, index, width in tiles(size):
        answer = log.request("GET", path(level, index, width))
        assert answer.status_code == 200 and answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["cache-control"] == IMMUTABLE and "content-encoding" not in answer.headers
        span = 256**level
        wanted = [tree(leaves[at * span : (at + 1) * span]) for at in range(index * 256, index * 256 + width)]
        assert answer.content == b"".join(wanted), (level, index, width)


def test_the_checkpoint_is_never_kept(log):
    answer = log.request("GET", "/log/checkpoint")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"


def test_bundles_are_compressed_for_those_who_ask(log):
    wanted = path("entries", 0)
    plain = log.request("GET", wanted, headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers and plain.headers["vary"] == "accept-encoding"
    packed = log.request("GET", wanted, headers={"accept-encoding": "gzip, identity"}, stream=True)
    assert packed.headers["content-encoding"] == "gzip"
    raw = packed.raw.read(decode_content=False)
    assert gzip.decompress(raw) == plain.content and len(raw) < len(plain.content) / 2
    refused = log.request("GET", wanted, headers={"accept-encoding": "gzip;q=0"})
    assert "content-encoding" not in refused.headers and refused.content == plain.content


def test_what_is_not_in_the_tree_or_not_written_so_is_not_there(log):
    size, _ = checkpoint(log)
    last = size - 256
    for wrong in [
        path(0, 1),  # not full yet
        path(0, 1, last + 1),
        path(0, 2),
        path(0, 0, 255),  # the full one has replaced it
        path(2, 0, 1),
        path(64, 0, 1),
        path("entries", 1),
        path("entries", 2),
        path(0, 1000),
        "/log/tile/0/000.p/256",
        "/log/tile/0/000.p/0",
        "/log/tile/0/0",
        "/log/tile/0/x000/000",
        "/log/tile/00/000",
        "/log/tile/0/001.p/0" + str(last),
        "/log/tile/0/000/",
        "/log/tile/0",
        "/log/tile/entries",
        "/log/",
        "/log/checkpoint/",
        "/log/..%2fkouan.db",
        "/log/facts/..%2f..%2fkouan.db",
        "/log/mirror.lock",
    ]:
        answer = log.request("GET", wrong)
        assert answer.status_code == 404, (wrong, answer.status_code)


def test_facts_lie_beside_the_log(log, own_gateway):
    facts = next((own_gateway.data / "facts").iterdir())
    answer = log.request("GET", f"/log/facts/{facts.name}")
    assert answer.content == facts.read_bytes() and answer.headers["cache-control"] == IMMUTABLE
    assert answer.headers["content-type"] == "application/json"
