"""A disk that is really full (FAULTS, ENOSPC): streams end at their window's edge and never look complete, the catalog stays
readable, nothing new leaves, what has happened is recorded, and all goes on when there is room again."""

import json
import shutil
import tomllib

import pytest
import requests

from harness import corpus, invariants
from harness.api import problem
from harness.disk import disk
from harness.lines import Broken, Http1
from harness.story import Prepared, Story
from harness.wait import until

BALLAST = 2 << 20


@pytest.fixture(scope="module")
def prepared(memory):
    return Prepared(memory)


def settings(gateway, **limits):
    config = gateway.folder / "kouan.toml"
    text = config.read_text()
    for name, value in limits.items():
        text = "".join(line for line in text.splitlines(True) if not line.startswith(f"{name} =")) + f"{name} = {value}\n"
    config.write_text(text)


def ready(gateway):
    """What /readyz says."""
    admin = tomllib.loads((gateway.folder / "kouan.toml").read_text())["admin"]
    answer = requests.get(f"http://{admin}/readyz", timeout=10)
    return answer.status_code, answer.text


def halts(gateway, folder):
    with invariants.crashed(gateway, folder) as records:
        bodies = invariants.rows(records, "SELECT body FROM entry WHERE CAST(body AS TEXT) LIKE '%\"kind\":\"halt\"%' ORDER BY idx")
    return [json.loads(body)["state"] for (body,) in bodies]


def end(gateway, story, folder, checkpoints):
    """The story comes to its end, and all of it is right."""
    story.tell()
    assert gateway.stop() == 0, gateway.log()
    invariants.recorded(gateway, folder / "records", story)
    invariants.offline(gateway, folder, checkpoints)


def test_a_full_data_directory_ends_streams_at_their_edge(prepared, memory):
    folder = memory / "full"
    folder.mkdir()
    gateway = prepared.copy(folder / "node")
    kept = folder / "kept"
    (gateway.folder / "data").rename(kept)
    size = sum(path.stat().st_size for path in kept.rglob("*") if path.is_file()) + BALLAST + (8 << 20)
    settings(gateway, ballast_bytes=BALLAST)
    with disk(gateway.folder / "data", size) as full:
        shutil.copytree(kept, full.path, dirs_exist_ok=True)
        story = Story(prepared, gateway)
        gateway.serve()
        try:
            assert ready(gateway)[0] == 200 and (full.path / "ballast").stat().st_size == BALLAST
            alice, broker = gateway.api(gateway.alice), gateway.api(gateway.broker)
            story.keyed(alice, "agree", "/v1/agreements", 201, json={"dataset": "story-new", "purpose": "academic-research"})
            stream = Http1(gateway, gateway.alice, prepared.new.url, receive_buffer=65536)
            assert stream.status == 200
            full.fill()
            # The next grant finds no room. What was granted still comes, and then nothing that looks like an end.
            with pytest.raises(Broken):
                while stream.read():
                    pass
            assert 0 < stream.received < stream.expected
            story.heard(stream, stream.headers["kouan-lease"], 0)
            until("the ballast is spent", 10, lambda: not (full.path / "ballast").exists())
            status, said = ready(gateway)
            assert status == 503 and "disk" in said, said
            # Reading goes on, and so does refusing and cutting; nothing new leaves or comes in.
            assert alice.get("/v1/datasets")["datasets"] and alice.get(prepared.new.path)["files"]
            for _ in range(3):
                problem(alice.request("GET", f"{prepared.new.url}?columns=n1", headers={"range": "bytes=0-9"}), 503, "unavailable")
            problem(alice.request("GET", prepared.new.url, headers={"range": "bytes=0-9"}), 503, "unavailable")
            until("what had arrived is on record", 10, lambda: sent(gateway, folder, stream.headers["kouan-lease"]) > 0)
            refused = alice.refused("GET", prepared.refused.url, 403, "denied")
            story.note(refused["leaf"], {"kind": "decision", "effect": "deny"})
            draft = corpus.register(gateway, corpus.manifest("story-late"))
            story.note(draft["leaf"], {"kind": "catalog_register"})
            late = broker.request("PUT", "/v1/datasets/story-late/versions/1/files/a.csv", data=b"a,b\n1,2\n")
            assert problem(late, 503, "unavailable")["detail"].startswith("the disk is full")
            assert halts(gateway, folder / "records") == ["begun"]
            with invariants.crashed(gateway, folder / "records") as records:
                invariants.gate(records, story.received)
            full.empty()
            until("there is room again", 10, lambda: ready(gateway)[0] == 200)
            assert (full.path / "ballast").stat().st_size == BALLAST
            until("that is recorded", 10, lambda: halts(gateway, folder / "records") == ["begun", "ended"])
            end(gateway, story, folder, [invariants.checkpoint(gateway)])
        finally:
            gateway.kill()


def sent(gateway, folder, lease):
    with invariants.crashed(gateway, folder / "records") as records:
        return invariants.rows(records, f"SELECT sent_bytes FROM lease WHERE id = '{lease}'")[0][0]


def test_a_start_without_room_for_the_ballast_grants_nothing(prepared, memory):
    folder = memory / "tight"
    folder.mkdir()
    gateway = prepared.copy(folder / "node")
    kept = folder / "kept"
    (gateway.folder / "data").rename(kept)
    size = sum(path.stat().st_size for path in kept.rglob("*") if path.is_file()) + BALLAST + (4 << 20)
    settings(gateway, ballast_bytes=16 << 20)
    with disk(gateway.folder / "data", size) as tight:
        shutil.copytree(kept, tight.path, dirs_exist_ok=True)
        gateway.serve()
        try:
            assert ready(gateway)[0] == 503
            alice = gateway.api(gateway.alice)
            alice.post("/v1/agreements", {"dataset": "story-new", "purpose": "academic-research"}, status=201)
            problem(alice.request("GET", prepared.new.url, headers={"range": "bytes=0-9"}), 503, "unavailable")
            assert not (tight.path / "ballast").exists()
            assert gateway.stop() == 0, gateway.log()
        finally:
            gateway.kill()


def test_a_full_folder_of_tiles_stops_grants_at_the_backlog(prepared, memory):
    folder = memory / "tiles"
    folder.mkdir()
    gateway = prepared.copy(folder / "node")
    log = gateway.folder / "data" / "log"
    kept = folder / "kept"
    log.rename(kept)
    settings(gateway, unpublished_entries_max=40, ballast_bytes=BALLAST)
    with disk(log, 2 << 20) as tiles:
        shutil.copytree(kept, tiles.path, dirs_exist_ok=True)
        story = Story(prepared, gateway)
        gateway.serve()
        try:
            alice = gateway.api(gateway.alice)
            story.keyed(alice, "agree", "/v1/agreements", 201, json={"dataset": "story-new", "purpose": "academic-research"})
            story.part(("n0",))
            stream = Http1(gateway, gateway.alice, prepared.new.url, receive_buffer=65536)
            tiles.fill()
            # Recording goes on without publishing, up to the bound.
            seen = invariants.checkpoint(gateway)
            story.part(("n1",))
            for number in range(45):
                leaf = corpus.register(gateway, corpus.manifest(f"story-backlog-{number}"))["leaf"]
                story.note(leaf, {"kind": "catalog_register"})
            answer = alice.request("GET", f"{prepared.new.url}?columns=n2", headers={"range": "bytes=0-9"})
            problem(answer, 503, "unavailable")
            # What runs has no further grant either.
            with pytest.raises(Broken):
                while stream.read():
                    pass
            assert 0 < stream.received < stream.expected
            story.heard(stream, stream.headers["kouan-lease"], 0)
            assert invariants.checkpoint(gateway) == seen
            status, said = until("it says so", 10, lambda: ready(gateway)[0] == 503 and ready(gateway))
            assert "log" in said, said
            assert alice.get("/v1/datasets")["datasets"]
            tiles.empty()
            until("it is published", 10, lambda: ready(gateway)[0] == 200 and invariants.checkpoint(gateway) != seen)
            end(gateway, story, folder, [seen])
        finally:
            gateway.kill()
