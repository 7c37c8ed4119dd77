"""Witnesses that are missing while data flow: a stream ends at its window's edge, nothing new leaves, and all of it goes on when
they are back (FAULTS, "Witness down"). And a witness whose own disk fails: it ends with 74 and has told nobody of what it lost."""

import signal

import pytest

from harness import corpus, invariants, store, trace, witness
from harness.border import Border
from harness.lines import Broken, Http1
from harness.story import Prepared, Story
from harness.wait import until

IO = 74


@pytest.fixture(scope="module")
def prepared(memory):
    return Prepared(memory)


def edge(gateway, lease):
    """Where the grants of a lease end."""
    with store.database(gateway) as records:
        return max((past for intervals in store.grants(records, lease).values() for _, past in intervals), default=0)


@pytest.mark.parametrize(
    ("reason", "limits"),
    [("quorum_lost", {"lost_after": 3}), ("witness_backlog", {"lost_after": 600, "backlog_max": 20})],
    ids=["quorum", "backlog"],
)
def test_a_stream_ends_at_its_edge_and_goes_on(prepared, memory, reason, limits):
    folder = memory / reason
    folder.mkdir()
    gateway = prepared.copy(folder / "node")
    border, story = Border(gateway, folder, **limits), Story(prepared, gateway)
    border.start()
    try:
        gateway.serve()
        until("a quorum has cosigned", 20, lambda: witness.ready(gateway)[1]["witness"] == "ok")
        alice = gateway.api(gateway.alice)
        story.keyed(alice, "agree", "/v1/agreements", 201, json={"dataset": "story-new", "purpose": "academic-research"})
        stream = Http1(gateway, gateway.alice, prepared.new.url, receive_buffer=65536)
        lease, etag = stream.headers["kouan-lease"], stream.headers["etag"]
        border.tested.kill()

        def stopped():
            # Each is an entry that no quorum sees.
            corpus.register(gateway, corpus.manifest(f"story-unseen-{next(numbers)}"))
            return witness.ready(gateway)[1]["witness"].startswith(f"{reason}: ")

        numbers = iter(range(10_000))
        until("nothing new may leave", 30, stopped)
        last = edge(gateway, lease)
        got = stream.buffer
        with pytest.raises(Broken):
            while data := stream.read():
                got += data
        assert 0 < len(got) <= last < stream.expected, (len(got), last, stream.expected)
        assert got == prepared.new.source[: len(got)]
        story.heard(stream, lease, 0)
        assert edge(gateway, lease) == last, "granted without a quorum"
        for path in (prepared.new.url, f"{prepared.new.url}?columns=n1"):
            refused = alice.refused("GET", path, 503, "unavailable", headers={"range": "bytes=0-9"})
            assert refused["reason"] == reason, refused

        border.start()
        until("the quorum is back", 30, lambda: witness.ready(gateway)[1]["witness"] == "ok")
        rest = Http1(gateway, gateway.alice, prepared.new.url, headers=(f"Range: bytes={len(got)}-", f"If-Range: {etag}"))
        assert (rest.status, rest.headers["kouan-lease"]) == (206, lease)
        whole = got + rest.buffer
        while data := rest.read():
            whole += data
        assert whole == prepared.new.source
        story.heard(rest, lease, len(got))
        assert gateway.stop() == 0, gateway.log()
        invariants.recorded(gateway, folder / "records", story)
    finally:
        gateway.kill()
        border.stop()


@pytest.fixture(scope="module")
def log(prepared):
    return witness.Log("log.example/audit", bytes(range(32)))


def told(one, log, sizes):
    """Sizes that a witness cosigned, until it answers no more."""
    leaves, cosigned = witness.history(60), 0
    for size in sizes:
        try:
            answer = one.add(log.request(leaves, size, cosigned))
        except OSError:
            return cosigned, False
        assert answer.status_code == 200, answer.text
        cosigned = size
    return cosigned, True


@pytest.mark.parametrize("number", range(1, 13))
def test_a_failed_sync_ends_a_witness(prepared, memory, log, number):
    one = witness.Witness(memory / f"sync-{number}", prepared.folder / "pki", "witness.example/w", [log.vkey])
    record = memory / f"sync-{number}.trace"
    one.wrapper = trace.injecting(("fsync", "fdatasync"), "error=EIO", number, record)
    try:
        cosigned, lives = 0, False
        try:
            one.start()
            cosigned, lives = told(one, log, range(1, 31))
        except AssertionError:
            # At its start already: it makes sure that it can write before it answers anybody.
            assert one.process.poll() == IO
        if lives:
            # SQLite overlooks that of the folder, in which no name is new.
            one.stop(signal.SIGTERM)
            assert set(trace.where(record)) == {str(one.folder)}, trace.where(record)
            return
        assert one.process.wait(15) == IO, (one.folder / "log").read_text()
        lost = [path for path in trace.where(record) if path != str(one.folder)]
        assert len(lost) <= 1, (lost, "a sync that failed is not asked for again")
        one.wrapper = []
        one.start()
        # The one that was on its way may be remembered or not; what was told is.
        leaves = witness.history(60)
        said = one.add(log.request(leaves, cosigned + 2, 0))
        seen = int(said.text) if said.status_code == 409 else 0
        assert said.status_code in (200, 409) and seen in (cosigned, cosigned + 1), (said.text, cosigned)
        if seen:
            assert one.add(log.request(leaves, cosigned + 2, seen)).status_code == 200
        fork = witness.history(60, forks_at=0)
        assert one.add(log.request(fork, cosigned + 5, cosigned + 2)).status_code == 422
    finally:
        one.kill()


def test_a_full_disk_makes_a_witness_wait(prepared, memory, log):
    one = witness.Witness(memory / "full", prepared.folder / "pki", "witness.example/w", [log.vkey])
    one.wrapper = trace.injecting(("pwrite64",), "error=ENOSPC", "9", memory / "full.trace")
    leaves, cosigned, refused = witness.history(60), 0, 0
    try:
        one.start()
        for size in range(1, 41):
            answer = one.add(log.request(leaves, size, cosigned))
            if answer.status_code == 200:
                cosigned = size
            else:
                assert answer.status_code == 503, answer.text
                refused += 1
        assert refused > 0 and cosigned == 40, (refused, cosigned)
        assert one.stop(signal.SIGTERM) == 0
    finally:
        one.kill()
