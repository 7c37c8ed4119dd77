"""H1: the gateway dies at every crash point that it has, at the first, second and seventh pass, in the middle of one story.
Started again, the story is told once more: nothing that was answered is lost, nothing is billed twice, no byte went beyond a
durable grant, the log continues every checkpoint, whoever was erased stays so. At the points `witness.…` a witness dies instead.
The points are asked of the binary: a new one needs nothing here."""

import json
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import invariants
from harness.border import Border
from harness.gateway import binary, told
from harness.lines import Broken
from harness.story import Prepared, Refused, Story
from harness.wait import until

PASSES = (1, 2, 7)


def points():
    """The registry of the binary under test."""
    said = told([binary(), "serve", "--crashpoints", "--json"])
    assert said.status == 0, said
    return [point["name"] for point in said.json["crashpoints"]]


def pytest_generate_tests(metafunc):
    if "point" in metafunc.fixturenames:
        metafunc.parametrize("point", points())


@pytest.fixture(scope="module")
def prepared(memory):
    return Prepared(memory, turning=True)


def killed(gateway):
    """Whether the armed point was passed. A gateway that ends in any other way has not crashed but failed."""
    try:
        status = gateway.process.wait(0.5)
    except TimeoutError:
        return False
    except subprocess.TimeoutExpired:
        return False
    assert status == -signal.SIGKILL, f"ended with {status}:\n{gateway.log()}"
    return True


def start(gateway):
    """Starts it, or is told that it died on the way."""
    try:
        gateway.serve()
    except AssertionError:
        if not killed(gateway):
            raise


def run(prepared, folder, point, number):
    """One case; whether the point was reached."""
    gateway = prepared.copy(folder / "node")
    story = Story(prepared, gateway)
    checkpoints = [seen for seen in [invariants.checkpoint(gateway)] if seen]
    armed = {"KOUAN_CRASHPOINT": f"{point}:{number}"}
    # Two more processes, for the points that need them.
    border = Border(gateway, folder, armed if point.startswith("witness.") else {}) if "witness" in point else None
    try:
        return tell(prepared, folder, gateway, story, checkpoints, armed, border)
    finally:
        gateway.kill()
        if border:
            border.stop()


def tell(prepared, folder, gateway, story, checkpoints, armed, border):
    """The story with the fault, and once more without it."""
    if border:
        border.start()
    gateway.extra = armed
    try:
        start(gateway)
        if border:
            until("a quorum has cosigned, or somebody has died", 20, lambda: border.goes_on() or gateway.process.poll() is not None)
        if gateway.process.poll() is None:
            story.tell()
    except (OSError, Broken):
        assert killed(gateway), f"a client broke off, and the gateway lives:\n{gateway.log()}"
    except Refused:
        # Nothing leaves before a quorum has cosigned once.
        assert border and border.killed(), gateway.log()
    # What is left to the background is reached on the way out.
    status = gateway.stop()
    reached = status == -signal.SIGKILL
    if border:
        border.remembers()
        reached |= border.killed()
        border.start()
    signed = invariants.guard(gateway)
    invariants.recorded(gateway, folder / "records", story)
    checkpoints += [seen for seen in [invariants.checkpoint(gateway)] if seen]

    gateway.extra = {}
    gateway.serve()
    try:
        if border:
            border.catches_up()
        story.tell()
        paid(gateway, prepared)
        # The sweeper's first round is over when nothing that has ended waits for its leaf.
        until("what was due is closed", 10, lambda: closed(gateway))
        if border:
            border.catches_up()
            border.remembers()
        assert gateway.stop() == 0, gateway.log()
        if border:
            border.refuses("second.key")
    finally:
        gateway.kill()
    invariants.turned(gateway, prepared)
    invariants.recorded(gateway, folder / "records", story)
    invariants.offline(gateway, folder, checkpoints)
    assert invariants.guard(gateway)["size"] >= signed["size"]
    return reached


def closed(gateway):
    with invariants.store.database(gateway) as records:
        left = records.execute("SELECT count(*) FROM lease WHERE dataset = 'story-old' AND closed_leaf IS NULL").fetchone()[0]
        months = records.execute("SELECT count(*) FROM closed_period").fetchone()[0]
    return left == 0 and months == 1


def paid(gateway, prepared):
    """Exactly the price, however often it was sent, asked for and signed."""
    alice = gateway.api(gateway.alice)
    price = alice.post("/v1/plan", {"dataset": prepared.new.dataset})["price"]["amount"]
    statement = alice.get("/v1/statements?participant=hku")
    lines = [line for part in statement["statements"] for line in part["lines"] if line["dataset"] == prepared.new.dataset]
    assert [line["amount"] for line in lines] == [price], (price, lines)
    assert lines[0]["evidence"]["receipt"] == lines[0]["unit_bytes"], lines


def test_a_death_at_every_point(prepared, point, memory):
    folder = memory / point
    with ThreadPoolExecutor(len(PASSES)) as pool:
        cases = {number: pool.submit(run, prepared, folder / str(number), point, number) for number in PASSES}
    reached = {}
    for number, case in cases.items():
        try:
            reached[number] = case.result()
        except BaseException as error:
            raise AssertionError(f"KOUAN_CRASHPOINT={point}:{number}: {error!r}") from error
    print(json.dumps({"point": point, "reached": reached}))
    shutil.rmtree(folder)
    assert reached[1], "the story does not pass this point: let it"
