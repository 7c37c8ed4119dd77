"""Who read what of the log: one leaf for a principal's first read of a kind, one for the count when the window ends."""

import datetime
import json

import pytest

from harness import store
from harness.checkpoints import published
from harness.clock import Clock
from harness.wait import until

SHANGHAI = datetime.timezone(datetime.timedelta(hours=8))


@pytest.fixture(scope="module")
def clock(own_gateway, tmp_path_factory):
    """The module's gateway at ten past two in Shanghai, so that neither an hour nor a day ends by itself."""
    clock = Clock(tmp_path_factory.mktemp("clock"))
    own_gateway.stop()
    clock.set(moment(hour=2))
    own_gateway.extra = clock.environment
    own_gateway.serve()
    return clock


def moment(hour, days=1):
    today = datetime.datetime.now(SHANGHAI).replace(minute=10, second=0, microsecond=0)
    return today.replace(hour=hour) + datetime.timedelta(days=days)


def accesses(gateway, identity, since=0, **wanted):
    """The `access` leaves on record, read beside the gateway: asking it would be one more read."""
    with store.database(gateway) as records:
        rows = records.execute("SELECT idx, body FROM entry WHERE idx >= ? ORDER BY idx", (since,)).fetchall()
    leaves = [(row["idx"], json.loads(row["body"])) for row in rows]
    participant = identity.cert.parent.name
    found = [(index, leaf) for index, leaf in leaves if leaf["kind"] == "access" and leaf["participant"] == participant]
    return [(index, leaf) for index, leaf in found if all(leaf.get(name) == value for name, value in wanted.items())]


def recorded(gateway):
    with store.database(gateway) as records:
        return records.execute("SELECT count(*) FROM entry").fetchone()[0]


def counted(gateway, read):
    """What is on record of the open windows of this kind."""
    with store.database(gateway) as records:
        rows = records.execute("SELECT reads FROM access WHERE members LIKE ?", (f'%"read":"{read}"%',)).fetchall()
    return [row["reads"] for row in rows]


def test_who_watches(own_gateway, clock):
    """A hostile reader of the log leaves a trace before it is answered, once a kind however often it reads."""
    gateway = own_gateway
    # The quickstart has read in the log as well, in an hour that is over.
    until("its windows are closed", 15, lambda: not any(counted(gateway, read) for read in ("search", "entry", "proof")))
    begun = recorded(gateway)
    chan = gateway.api(gateway.chan)
    searched = chan.get("/v1/audit?effect=deny")["entries"]
    [(_, first)] = accesses(gateway, gateway.chan, begun, read="search")
    assert first["role"] == "compliance" and first["entries"] == [searched[0]["index"], searched[-1]["index"]]
    # A person is a commitment: nothing in the leaf says which officer it was.
    assert first["person"].startswith("c:") and "chan" not in str(first)
    denial = searched[0]["index"]
    for _ in range(3):
        chan.get("/v1/audit?effect=deny")
        chan.get(f"/v1/audit/{denial}")
        chan.get(f"/v1/audit/{denial}/explain")
        assert chan.request("GET", f"/v1/audit/{denial}/proof").status_code == 200
        chan.get("/v1/statements?participant=hku")
    for read in ("search", "entry", "explain", "proof", "statement"):
        assert len(accesses(gateway, gateway.chan, begun, read=read)) == 1, read
    [(_, statement)] = accesses(gateway, gateway.chan, begun, read="statement")
    assert statement["of"] == "hku"
    # Another officer of the same authority is another reader.
    gateway.api(gateway.lee).get(f"/v1/audit/{denial}")
    assert len(accesses(gateway, gateway.chan, begun, read="entry")) == 2
    # Its own leaves and statements are a party's own; its reads of the log are reads all the same.
    alice = gateway.api(gateway.alice)
    alice.get("/v1/statements")
    alice.get(f"/v1/audit/{denial}")
    assert [leaf["read"] for _, leaf in accesses(gateway, gateway.alice, begun)] == ["entry"]
    # What nobody was given is no read.
    gateway.api(gateway.bob).refused("GET", f"/v1/audit/{denial}", 404, "not_found")
    assert accesses(gateway, gateway.bob, begun) == []
    # Compliance of an authority sees all of it.
    said = gateway.kouan(gateway.chan, "audit", "search", "--kind", "access", "--json")
    assert {entry["leaf"]["read"] for entry in said.json["entries"]} >= {"search", "entry", "explain", "proof", "statement"}


def test_a_mirror_that_fetches_its_own_trace_comes_to_rest(own_gateway, clock, tmp_path):
    gateway = own_gateway
    sizes = []
    for _ in range(4):
        said = gateway.kouan(gateway.chan, "audit", "export", "--out", tmp_path / "copy", "--json")
        assert said.status == 0, said
        until("what was read is published", 5, lambda: published(gateway) == recorded(gateway))
        sizes.append(said.json["size"])
    assert sizes[1] == sizes[2] == sizes[3] == recorded(gateway), sizes
    assert len(accesses(gateway, gateway.chan, read="files")) == 1


def test_the_count_follows_when_the_window_ends(own_gateway, clock):
    gateway = own_gateway
    clock.set(moment(hour=5))
    lee = gateway.api(gateway.lee)
    before = recorded(gateway)
    for index in (7, 3, 5, 3):
        lee.get(f"/v1/audit/{index}")
    lee.get("/v1/audit?limit=2")
    until("the count is written", 10, lambda: counted(gateway, "entry") == [4])
    assert recorded(gateway) >= before + 2
    # An orderly restart within the hour loses nothing, and goes on counting in the same window.
    gateway.stop()
    gateway.serve()
    gateway.api(gateway.lee).get("/v1/audit/9")
    clock.set(moment(hour=6))

    def closing():
        return [leaf for _, leaf in accesses(gateway, gateway.lee, before, read="entry") if leaf.get("reads") == 5]

    until("the window is closed", 15, closing)
    [leaf] = closing()
    [(first, opening)] = [(index, leaf) for index, leaf in accesses(gateway, gateway.lee, before, read="entry") if "first" not in leaf]
    assert leaf["first"] == first and leaf["entries"] == [3, 9] and opening["entries"] == [7, 7]
    assert "interrupted" not in leaf and "person" not in leaf
    # One search is one leaf: there is nothing to add to it.
    until("every window of the hour is closed", 15, lambda: counted(gateway, "search") == counted(gateway, "entry") == [])
    assert [leaf for _, leaf in accesses(gateway, gateway.lee, before, read="search") if leaf.get("first", 0) >= before] == []


def test_a_kill_within_the_window_is_told(own_gateway, clock):
    gateway = own_gateway
    clock.set(moment(hour=8))
    lee = gateway.api(gateway.lee)
    before = recorded(gateway)
    lee.get("/v1/audit/2")
    lee.get("/v1/audit/2")
    until("the count is written", 10, lambda: counted(gateway, "entry") == [2])
    gateway.kill()
    gateway.serve()
    clock.set(moment(hour=9))

    def closing():
        return [leaf for _, leaf in accesses(gateway, gateway.lee, before, read="entry") if leaf.get("first", 0) >= before]

    until("the window is closed", 15, closing)
    [leaf] = closing()
    assert leaf["reads"] == 2 and leaf["interrupted"] is True
