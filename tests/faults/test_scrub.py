"""Bits that flip on the disk of a gateway in use (FAULTS, "Bit rot"): `kouan store scrub` names what is wrong, nothing new leaves
until it is restored, across restarts too; a damaged object takes its version out and nothing else."""

import sqlite3

import pytest

from harness import corpus, store
from harness.checkpoints import published
from harness.gateway import Gateway, binary, told
from harness.lines import Broken, Http1
from harness.wait import until
from harness.witness import metric, ready


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    gateway = Gateway(tmp_path_factory.mktemp("scrub") / "node")
    try:
        gateway.start()
        gateway.stop()
        (gateway.folder / "kouan.toml").open("a").write(f"\n[limits]\ngrant_bytes = {1 << 20}\n")
        # What is committed is now in the database's own file, where it is to flip.
        yield gateway.serve()
    finally:
        gateway.stop()


@pytest.fixture(scope="module")
def large(gateway):
    data = corpus.parquet(corpus.numbers(250_000, seed=7), compression="none", use_dictionary=False)
    return corpus.publish(gateway, "scrub-large", {"n.parquet": data})


def scrub(gateway, *more):
    """What the operator is told."""
    said = gateway.kouan(gateway.operator, "store", "scrub", *more, "--json")
    assert said.status in (0, 6) and said.json["running"] is False, said
    assert (said.status == 6) == (said.json["last"]["count"] > 0), said
    return said.json["last"]


def places(found):
    return [flaw["place"] for flaw in found["flaws"]]


def settled(gateway):
    """Has SQLite copy its write-ahead log into the database, as the writer does now and then."""
    with sqlite3.connect(gateway.data / "kouan.db", timeout=10) as database:
        busy, pages, copied = database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    assert (busy, pages) == (0, copied)


def flip(path, at):
    store.change_byte(path, at)


def recorded(gateway):
    with store.database(gateway) as records:
        return records.execute("SELECT count(*) FROM entry").fetchone()[0]


def halts(gateway):
    entries = gateway.api(gateway.chan).get("/v1/audit?kind=halt")["entries"]
    return [(entry["leaf"]["state"], entry["leaf"].get("places")) for entry in sorted(entries, key=lambda entry: entry["index"])]


def test_an_entry_that_flips_in_the_database_is_named_and_stops_everything(gateway, large):
    clean = scrub(gateway)
    assert clean["count"] == 0 and clean["entries"] > 20 and clean["bytes"] > len(large.source), clean
    assert gateway.api(gateway.alice).request("GET", large.url, headers={"range": "bytes=0-99"}).status_code == 206
    stream = Http1(gateway, gateway.alice, large.url, receive_buffer=65536)
    settled(gateway)
    with store.database(gateway) as records:
        entry, body = records.execute("SELECT idx, body FROM entry WHERE idx > 10 ORDER BY idx LIMIT 1").fetchone()
    database = gateway.data / "kouan.db"
    at = database.read_bytes().index(bytes(body)) + len(body) // 2
    flip(database, at)
    wrong = f"kouan.db: log entry {entry}"

    found = scrub(gateway)
    assert places(found) == [wrong] and found["flaws"][0]["halts"] is True, found
    # What runs ends at its edge, what is new is refused, and health and metrics say why.
    with pytest.raises(Broken):
        while stream.read():
            pass
    for identity in (gateway.alice, gateway.bob):
        refused = gateway.api(identity).request("GET", large.url, headers={"range": "bytes=0-9"})
        if identity == gateway.alice:
            assert (refused.status_code, refused.json()["reason"]) == (503, "records_damaged"), refused.text
            assert "kouan.db" not in refused.text, "which file is not for consumers"
    status, checks = ready(gateway)
    assert status == 503 and checks["scrub"].startswith("records_damaged: ") and wrong in checks["scrub"], checks
    assert metric(gateway, "kouan_scrub_flaws") == 1
    assert gateway.api(gateway.alice).get("/v1/datasets")["datasets"], "the catalog stays"
    assert halts(gateway) == [("begun", [wrong])]

    # A start finds it too, on the edge of the log. Restored, the gateway starts, and goes on when it has looked again.
    gateway.stop()
    refused = told([binary(), "serve", "--config", str(gateway.folder / "kouan.toml")])
    assert refused.status != 0 and f"log entry {entry} is not published as it is recorded" in refused.err, refused
    flip(database, at)
    gateway.serve()
    assert ready(gateway)[0] == 503 and places(scrub(gateway, "--last")) == [wrong]
    assert gateway.api(gateway.alice).request("GET", large.url, headers={"range": "bytes=0-9"}).status_code == 503
    assert scrub(gateway)["count"] == 0
    assert ready(gateway)[1]["scrub"] == "ok"
    assert gateway.api(gateway.alice).request("GET", large.url, headers={"range": "bytes=0-9"}).status_code == 206
    assert halts(gateway) == [("begun", [wrong]), ("ended", None)]


def test_tiles_and_facts_are_named_by_their_files(gateway):
    until("all is published", 10, lambda: published(gateway) == recorded(gateway))
    tile, width = divmod(published(gateway), 256)
    partial = gateway.data / "log" / "tile" / "0" / (f"{tile:03}.p/{width}" if width else f"{tile - 1:03}")
    facts = next((gateway.data / "facts").iterdir())
    for path, at in ((partial, 100), (facts, 5)):
        aside = path.read_bytes()
        flip(path, at)
        found = scrub(gateway)
        assert places(found) == [str(path.relative_to(gateway.data))], (path, found)
        flip(path, at)
        assert path.read_bytes() == aside
        assert scrub(gateway)["count"] == 0


def test_a_page_of_another_table_is_noticed(gateway):
    settled(gateway)
    with store.database(gateway) as records:
        page_size = records.execute("PRAGMA page_size").fetchone()[0]
        page = records.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'doc'").fetchone()[0]
    database = gateway.data / "kouan.db"
    # The number of cells on the root of the table.
    at = (page - 1) * page_size + 3
    flip(database, at)
    try:
        found = scrub(gateway)
    finally:
        flip(database, at)
    assert "kouan.db: table doc" in places(found), found
    assert scrub(gateway)["count"] == 0


def test_a_damaged_object_takes_its_version_out_and_nothing_else(gateway, large):
    data = corpus.parquet(corpus.numbers(2_000, seed=8))
    small = corpus.publish(gateway, "scrub-small", {"s.parquet": data})
    path = store.object_path(gateway, small.file["sha256"])
    kept = path.read_bytes()
    flip(path, len(kept) // 2)
    found = scrub(gateway)
    assert places(found) == [f"objects/{path.name}"] and found["halting"] == 0, found
    assert gateway.api(gateway.broker).get(small.path)["state"] == "quarantined"
    assert gateway.api(gateway.alice).request("GET", large.url, headers={"range": "bytes=0-9"}).status_code == 206
    assert ready(gateway)[1]["scrub"] == "ok" and metric(gateway, "kouan_scrub_flaws") == 1


def test_only_who_runs_the_node_or_watches_over_it_may_ask(gateway):
    for identity in (gateway.alice, gateway.broker):
        for method in ("GET", "POST"):
            gateway.api(identity).refused(method, "/v1/store/scrubs", 403, "forbidden")
    said = gateway.kouan(gateway.chan, "store", "scrub", "--last")
    assert said.status == 6 and "objects/" in said.out, said
