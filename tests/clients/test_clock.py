"""A wall clock that is set while the gateway runs: forward it is believed, back nothing new leaves, and what has expired stays
expired."""

import datetime
import json

import pytest

from harness import corpus, store
from harness import witness as w
from harness.authority import Authority
from harness.checkpoints import published
from harness.clock import Clock
from harness.lines import Broken, Http1
from harness.wait import until

WINDOW = 4 << 20


@pytest.fixture(scope="module")
def clock(own_gateway, tmp_path_factory):
    """The module's gateway, with a clock that can be moved and small windows."""
    clock = Clock(tmp_path_factory.mktemp("clock"))
    own_gateway.stop()
    config = own_gateway.folder / "kouan.toml"
    config.write_text(f"{config.read_text()}\n[limits]\ngrant_bytes = {WINDOW}\n")
    own_gateway.extra = clock.environment
    own_gateway.serve()
    return clock


def off(clock, seconds):
    """From now on the gateway's clock is so far from the true time."""
    clock.set(datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds))


def recorded(gateway):
    with store.database(gateway) as records:
        return records.execute("SELECT count(*) FROM entry").fetchone()[0]


def anomalies(gateway, since):
    with store.database(gateway) as records:
        rows = records.execute("SELECT body FROM entry WHERE idx >= ? ORDER BY idx", (since,)).fetchall()
    leaves = [json.loads(row["body"]) for row in rows]
    return [leaf for leaf in leaves if leaf["kind"] == "clock_anomaly"]


def told(gateway, since, event, by, granting):
    """The one leaf that says so: `by` seconds, about."""
    found = [leaf for leaf in anomalies(gateway, since) if (leaf["event"], leaf["granting"]) == (event, granting)]
    return [leaf for leaf in found if abs(leaf["by_ms"] - by * 1000) < 2000]


def data(gateway, identity):
    return gateway.api(identity).request("GET", "/v1/datasets/opencc-phrases/versions/1/data?purpose=academic-research")


def decisions(gateway):
    return len(gateway.api(gateway.chan).get("/v1/leases")["leases"])


def refused(gateway, identity):
    answer = data(gateway, identity)
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["reason"]) == (503, "unavailable", "clock_behind"), answer.text
    assert int(answer.headers["retry-after"]) > 0 and "the gateway's clock is" in problem["detail"], problem


def test_a_jump_forward_is_in_the_log_and_all_goes_on(own_gateway, clock):
    gateway = own_gateway
    assert data(gateway, gateway.alice).status_code == 200 and anomalies(gateway, 0) == []
    before = recorded(gateway)
    off(clock, 10)
    [leaf] = until("the jump is in the log", 10, lambda: told(gateway, before, "jumped", 10, True))
    assert set(leaf) == {"v", "kind", "at", "event", "by_ms", "wall", "granting"}, leaf
    assert data(gateway, gateway.alice).status_code == 200
    assert w.ready(gateway)[1]["clock"] == "ok" and w.metric(gateway, "kouan_clock_behind_seconds") == 0


def test_a_jump_back_stops_what_is_new_until_the_clock_is_right_again(own_gateway, clock):
    gateway = own_gateway
    gateway.api(gateway.bob).post("/v1/agreements", {"dataset": "opencc-phrases", "purpose": "academic-research"}, status={200, 201})
    table = corpus.parquet(corpus.numbers(1_500_000, seed=5, columns=2), compression="none", use_dictionary=False)
    large = corpus.publish(gateway, "test-clock", {"large.parquet": table})
    stream = Http1(gateway, gateway.alice, large.url, receive_buffer=65536)
    assert stream.status == 200 and stream.read() and stream.expected > 3 * WINDOW
    before, leases = recorded(gateway), decisions(gateway)
    off(clock, 0)
    # At once, before any tick of the watch: a lease that would be new, and one that lives.
    refused(gateway, gateway.bob)
    refused(gateway, gateway.alice)
    [leaf] = until("the jump is in the log", 10, lambda: told(gateway, before, "jumped", -10, False))
    # A leaf's own time never goes back; what the clock said stands beside it.
    assert leaf["wall"] < leaf["at"], leaf
    assert decisions(gateway) == leases
    status, checks = w.ready(gateway)
    assert status == 503 and "behind" in checks["clock"], checks
    until("the metric says so", 5, lambda: 9 < w.metric(gateway, "kouan_clock_behind_seconds") < 11)
    # The stream ends at the edge of what was granted, and does not look complete; reading and looking go on.
    with pytest.raises(Broken):
        while stream.read():
            pass
    assert stream.received < stream.expected
    assert gateway.api(gateway.alice).get("/v1/datasets")["datasets"]
    assert gateway.api(gateway.chan).get("/v1/audit?kind=clock_anomaly")["entries"]
    refused(gateway, gateway.bob)

    off(clock, 10)
    until("the return is in the log", 10, lambda: told(gateway, before, "jumped", 10, True))
    assert data(gateway, gateway.bob).status_code == 200 and w.ready(gateway)[1]["clock"] == "ok"
    assert decisions(gateway) == leases + 1


def test_what_has_expired_stays_expired_across_a_restart_too(own_gateway, clock):
    gateway = own_gateway
    authority = Authority.of(gateway.pki / "hku", "hku.hk")
    short = authority.by_hand("short", "URI:spiffe://hku.hk/researcher/alice", end=3600)
    assert gateway.api(short).get("/v1/whoami")["participant"] == "hku"
    before = recorded(gateway)
    off(clock, 7200)
    until("the jump is in the log", 10, lambda: told(gateway, before, "jumped", 7190, True))
    # A row can be read here while its sync is under way; what is published was recorded before.
    until("it is published", 10, lambda: published(gateway) >= recorded(gateway))

    def turned_away():
        with pytest.raises(OSError):
            gateway.api(short).get("/v1/whoami")

    turned_away()
    off(clock, 0)
    # By the wall clock it has an hour left. By the log it has ended.
    turned_away()
    assert gateway.api(gateway.alice).get("/v1/whoami")["participant"] == "hku"
    refused(gateway, gateway.alice)
    gateway.stop()
    before = recorded(gateway)
    gateway.serve()
    turned_away()
    refused(gateway, gateway.alice)
    until("the new run says so too", 10, lambda: told(gateway, before, "behind", 7200, False))


def test_independent_witnesses_are_believed(own_gateway, clock, tmp_path):
    """The log is two hours ahead, by a clock that was wrong. Both sides say that the wall clock is right now."""
    gateway = own_gateway
    off(clock, 7200)
    until("the log is ahead", 10, lambda: anomalies(gateway, 0) and data(gateway, gateway.alice).status_code == 200)
    off(clock, 0)
    gateway.stop()
    with w.both(gateway, tmp_path):
        before = recorded(gateway)
        gateway.serve()
        until("the clock is believed", 20, lambda: w.ready(gateway)[1]["clock"] == "ok")
        until("the log says so", 10, lambda: [leaf for leaf in anomalies(gateway, before) if leaf["event"] == "in_step"])
        assert data(gateway, gateway.alice).status_code == 200
        # Thirty seconds behind, and at the next start too: nobody vouches for that.
        off(clock, -30)
        refused(gateway, gateway.alice)
        gateway.stop()
        gateway.serve()
        until("the witnesses say that it is behind", 20, lambda: w.ready(gateway)[1]["clock"] != "ok")
        refused(gateway, gateway.alice)
        off(clock, 0)
        until("the clock is believed", 20, lambda: w.ready(gateway)[1]["clock"] == "ok")
        assert data(gateway, gateway.alice).status_code == 200
        # Ahead of them it is told, and goes on.
        before = recorded(gateway)
        off(clock, 60)
        until("it is ahead", 20, lambda: [leaf for leaf in anomalies(gateway, before) if leaf["event"] in ("jumped", "ahead")])
        assert data(gateway, gateway.alice).status_code == 200
        off(clock, 0)
