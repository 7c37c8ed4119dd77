"""H1: the gateway dies at every crash point that it has, at each of its passes in one story, from the first until a run does not
come so far. Started again, the story is told once more: nothing that was answered is lost, nothing is billed twice, no byte went
beyond a durable grant, the log continues every checkpoint, whoever was erased stays so. At the points `witness.…` a witness dies
instead. Points and passes are asked of the binary: a new one needs nothing here."""

import json
import shutil
import signal
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import invariants
from harness.border import Border
from harness.checkpoints import cosigned
from harness.checkpoints import published as published_size
from harness.gateway import binary, told
from harness.lines import Broken
from harness.story import Prepared, Refused, Story
from harness.wait import until

# Cases at once: much of one is waiting.
TOGETHER = 6
# Undisturbed runs that say how often a point is passed.
COUNTED = 4
# What the publisher passes: it gathers what comes in some time, so that runs differ. There every part of the story is published
# before the next begins.
BACKGROUND = ("s13.", "s14.", "file.", "witness.")
# How often a number is tried that every counted run came to, and one did not.
TRIES = 4


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
    """One case; whether the point was reached, and how often it was passed if a gateway came to its end instead."""
    counts = folder / "counts"
    armed = {"KOUAN_CRASHPOINT": f"{point}:{number}", "KOUAN_CRASHPOINT_COUNTS": str(counts)}
    gateway, story, border = scene(prepared, folder, point, armed)
    checkpoints = [seen for seen in [invariants.checkpoint(gateway)] if seen]
    try:
        reached = tell(prepared, folder, gateway, story, checkpoints, armed, border)
    except BaseException as error:
        ended = gateway.process and gateway.process.poll()
        raise AssertionError(f"KOUAN_CRASHPOINT={point}:{number}: {error!r}; ended with {ended}:\n{gateway.log(12)}") from error
    finally:
        gateway.kill()
        if border:
            border.stop()
    passed = passes(counts)[point] if counts.exists() else 0
    shutil.rmtree(folder, ignore_errors=True)
    return reached, passed


def passes(counts):
    """One line of each process that came to its end."""
    passed = Counter()
    for line in counts.read_text().splitlines():
        passed.update(json.loads(line))
    return passed


def scene(prepared, folder, point, extra):
    """A gateway, and who tells it the story; for the points that need them, two witnesses, the first with `extra`."""
    gateway = prepared.copy(folder / "node")
    border = Border(gateway, folder, extra if point.startswith("witness.") else {}) if "witness" in point else None

    def published():
        wanted = story.last_leaf() + 1

        def seen():
            if gateway.process.poll() is not None or (border and border.died()):
                raise Broken("somebody has died")
            return published_size(gateway) >= wanted and (not border or cosigned(gateway) >= wanted)

        until(f"{wanted} entries are published", 30, seen)

    story = Story(prepared, gateway, published if point.startswith(BACKGROUND) else None)
    return gateway, story, border


def count(prepared, folder, point):
    """How often each point is passed in the story of `point` when nothing disturbs it, up to the gateway's end."""
    counts = folder / "counts"
    counted = {"KOUAN_CRASHPOINT_COUNTS": str(counts)}
    gateway, story, border = scene(prepared, folder, point, counted)
    try:
        if border:
            border.start()
        gateway.extra = counted
        gateway.serve()
        if border:
            until("a quorum has cosigned", 20, border.goes_on)
        story.tell()
        assert gateway.stop() == 0, gateway.log()
        if border:
            border.tested.stop()
    finally:
        gateway.kill()
        if border:
            border.stop()
    passed = passes(counts)
    shutil.rmtree(folder, ignore_errors=True)
    return passed


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
        assert killed(gateway) or (border and border.died()), f"a client broke off, and the gateway lives:\n{gateway.log()}"
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


@pytest.fixture(scope="module")
def pool():
    pool = ThreadPoolExecutor(TOGETHER)
    yield pool
    pool.shutdown(cancel_futures=True)


class Cases:
    """Every pass of one point. All points' are given to the pool at once, so that it is never idle."""

    def __init__(self, pool, prepared, folder, point, counted):
        self.pool, self.prepared, self.folder, self.point = pool, prepared, folder / point, point
        self.least, self.most = min(counted), max(counted)
        assert self.least > 0, f"the story does not pass {point}: let it"
        self.cases = {number: self.submit(number) for number in range(1, self.most + 2)}

    def submit(self, number):
        return self.pool.submit(self.run, number, 1)

    def run(self, number, attempt):
        return run(self.prepared, self.folder / f"{number}-{attempt}", self.point, number)

    def reached(self, number):
        """Whether a death at that pass was met, and all was right after it."""
        for attempt in range(1, TRIES + 1):
            # Again at once: in the pool it would wait for all other points.
            reached, passed = self.cases[number].result() if attempt == 1 else self.run(number, attempt)
            if reached:
                return True
            assert passed < number, f"KOUAN_CRASHPOINT={self.point}:{number} was passed {passed} times, and nobody died"
            if number > self.least:
                break
        return False

    def all(self):
        """The passes that were met, up to the first beyond the counted ones that was not."""
        met, number = [], 0
        while number < self.most or number in met:
            number += 1
            if number not in self.cases:
                self.cases[number] = self.submit(number)
            if self.reached(number):
                met.append(number)
        return met


@pytest.fixture(scope="module")
def cases(request, pool, prepared, memory):
    """Of the points that this run tests."""
    wanted = [item.callspec.params["point"] for item in request.session.items if item.module is request.module]
    # One story of each kind is counted for all the points for which it is told so.
    kinds = {}
    for point in wanted:
        kinds.setdefault((point.startswith(BACKGROUND), "witness" in point, point.startswith("witness.")), []).append(point)
    runs = [(of, [pool.submit(count, prepared, memory / f"counted-{of[0]}-{n}", of[0]) for n in range(COUNTED)]) for of in kinds.values()]
    counted = {point: [run.result()[point] for run in told] for of, told in runs for point in of}
    return {point: Cases(pool, prepared, memory, point, counted[point]) for point in wanted}


def test_a_death_at_every_pass(cases, point):
    tried = cases[point]
    met = tried.all()
    print(json.dumps({"point": point, "counted": [tried.least, tried.most], "met": met}))
    # Which of the others are met is for the background to say: the runs that met none came to their end before.
    assert 1 in met, f"no run died at {point}"
