"""H2: the Nth call of a kind fails, or kills, for N from 1 until runs meet none: an fsync that fails (the gateway ends with 74 and
never asks again), no room for a write, a name or a new file, and a kill in the middle of each. The story is told under the fault,
then once more without it, and all of it must be right.

Writes to files are tried one by one in a short story, which has a few hundred; of those of the whole story, which are more than a
thousand, the seed of the run chooses some, and there it is strace that makes them fail."""

import os
import random
import re
import shutil
import signal
import subprocess
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest

from harness import invariants, preload, trace
from harness.fault import Fault
from harness.lines import Broken
from harness.story import Prepared, PreparedForLittle, Refused, ShortStory, Story
from harness.wait import until

TOGETHER = 6
IO = 74
# What a faulty call may lead to, where it is not deadly: the gateway goes on, does not start, or says that its disk failed.
LIVES = (0, IO)
KILLED = (-signal.SIGKILL,)

SYNCS = ("fsync", "fdatasync", "syncfs")
NAMES = ("linkat", "rename", "mkdir", "unlink", "unlinkat")
WRITES = ("pwrite64", "write", "writev", "ftruncate", "fallocate")
# No run makes so many calls.
NEVER = 65_535


@pytest.fixture(scope="module")
def library(memory):
    return preload.library("fault", memory)


@pytest.fixture(scope="module")
def whole(memory):
    return Prepared(memory), Story


@pytest.fixture(scope="module")
def short(memory):
    folder = memory / "little"
    folder.mkdir()
    return PreparedForLittle(folder), ShortStory


class Counted:
    """The Nth call, over all threads."""

    def __init__(self, library, calls, fault):
        self.library, self.calls, self.fault = library, calls, fault

    def arm(self, gateway, folder, number):
        fault = Fault(self.library, folder / "page", gateway.folder, self.calls, self.fault, number)
        gateway.extra.update(fault.environment)
        return lambda: fault.counted()[1]


class Traced:
    """The Nth call of each thread, by strace."""

    def __init__(self, calls, fault):
        self.calls, self.fault = calls, {"KILL": "signal=KILL"}.get(fault, f"error={fault}")

    def arm(self, gateway, folder, number):
        log = folder / "trace"
        gateway.wrapper = trace.injecting(self.calls, self.fault, number, log)

        def met():
            until("strace is done", 10, lambda: trace.ended(log, gateway.pid))
            return trace.injected(log)

        return met


def seed():
    """Which calls fail differs from commit to commit, so that runs together try every one, and the same tree fails again."""
    told = subprocess.run(["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True)
    return int(told.stdout[:8], 16) if told.returncode == 0 else random.randrange(1 << 32)


SEED = int(os.environ.get("FAULTS_SEED") or seed())


def some(grow):
    """One number of each interval, by the seed; the intervals cover all numbers, and grow."""
    chosen, at = random.Random(SEED), 1.0
    while True:
        past = max(at + 1, at * grow)
        if past > NEVER:
            return
        yield chosen.randrange(int(at), int(past))
        at = past


def run(scene, folder, how, number, statuses):
    """One case; how many calls met the fault."""
    prepared, told = scene
    gateway = prepared.copy(folder / "node")
    try:
        met = tell(gateway, told(prepared, gateway), folder, how, number, statuses)
    except BaseException as error:
        ended = gateway.process and gateway.process.poll()
        raise AssertionError(f"{error!r}; ended with {ended}:\n{gateway.log(12)}") from error
    finally:
        gateway.kill()
    shutil.rmtree(folder, ignore_errors=True)
    return met


def tell(gateway, story, folder, how, number, statuses):
    """The story with the fault, and once more without it."""
    gateway.extra = {"KOUAN_LOG": "info"}
    met = how.arm(gateway, folder, number)
    started = False
    try:
        gateway.serve()
        started = True
        story.tell()
    except (OSError, Broken, Refused):
        pass
    except AssertionError:
        # It ended before it answered for the first time; anything else that is not as it should be is a failure.
        if started or gateway.process.poll() is None:
            raise
    status = gateway.stop()
    met = met()
    assert status in (statuses if met else (0,)), f"ended with {status} after {met} faults"
    signed = invariants.guard(gateway)
    seen = invariants.checkpoint(gateway)
    invariants.recorded(gateway, folder / "records", story)

    gateway.extra, gateway.wrapper = {}, []
    gateway.serve()
    story.told += 1
    story.tell()
    assert gateway.stop() == 0
    invariants.recorded(gateway, folder / "records", story)
    invariants.offline(gateway, folder, [seen] if seen else [])
    assert invariants.guard(gateway)["size"] >= signed["size"]
    return met


def until_clean(scene, folder, how, statuses, numbers):
    """Every number, until so many runs in a row as there are at once met nothing; the numbers that met the fault."""
    hit, waiting, clean = [], deque(), 0
    with ThreadPoolExecutor(TOGETHER) as pool:
        while True:
            while clean < TOGETHER and len(waiting) < TOGETHER and (number := next(numbers, None)):
                waiting.append((number, pool.submit(run, scene, folder / str(number), how, number, statuses)))
            if not waiting:
                return hit
            number, case = waiting.popleft()
            try:
                met = case.result()
            except BaseException as error:
                # The others would go on for long.
                pool.shutdown(cancel_futures=True)
                raise AssertionError(f"the {number}th of {','.join(how.calls)}: {how.fault}: {error}") from error
            hit += [number] if met else []
            clean = 0 if met else clean + 1


@pytest.mark.parametrize(
    ("story", "calls", "fault", "statuses", "least"),
    [
        ("whole", SYNCS, "EIO", (IO,), 80),
        ("whole", SYNCS, "KILL", KILLED, 80),
        ("whole", NAMES[:3], "ENOSPC", LIVES, 15),
        ("whole", NAMES, "KILL", KILLED, 20),
        ("whole", ("openat",), "ENOSPC", LIVES, 100),
        ("short", WRITES, "ENOSPC", LIVES, 300),
        ("short", WRITES, "EIO", LIVES, 300),
        ("short", WRITES, "KILL", KILLED, 300),
    ],
    ids=["eio_loop", "kill_sync", "enospc_names", "kill_names", "enospc_open", "enospc_loop", "eio_write", "kill_write"],
)
def test_every_call(request, memory, library, story, calls, fault, statuses, least):
    folder = memory / f"every-{calls[0]}-{fault}"
    hit = until_clean(request.getfixturevalue(story), folder, Counted(library, calls, fault), statuses, count(1))
    missed = sorted(set(range(1, hit[-1])) - set(hit)) if hit else []
    print(f"{len(hit)} runs met {fault} in {','.join(calls)}, the last at {hit[-1:]}, none at {missed}")
    # Runs differ by a few calls at their end.
    assert hit[:least] == list(range(1, least + 1)), f"{fault} was met at {hit}"


@pytest.mark.parametrize(
    ("calls", "fault", "statuses", "numbers", "least"),
    [
        (("pwrite64", "pwritev", "ftruncate", "fallocate"), "ENOSPC", LIVES, some(1.4), 10),
        (("pwrite64",), "EIO", LIVES, some(2), 6),
        (("pwrite64",), "KILL", KILLED, some(1.7), 8),
    ],
    ids=["enospc", "eio", "kill"],
)
def test_some_writes_of_the_whole_story(memory, whole, calls, fault, statuses, numbers, least):
    print(trace.version(), f"FAULTS_SEED={SEED}")
    hit = until_clean(whole, memory / f"some-{calls[0]}-{fault}", Traced(calls, fault), statuses, numbers)
    print(f"runs met {fault} in {','.join(calls)} at {hit}")
    assert len(hit) >= least, f"FAULTS_SEED={SEED}: {fault} was met at {hit} only"


def test_no_call_escapes(memory, library, whole):
    """What is counted is what the kernel was asked for."""
    prepared, told = whole
    calls, folder = ("openat", *SYNCS, *NAMES, *WRITES), memory / "escapes"
    gateway = prepared.copy(folder / "node")
    log = folder / "trace"
    gateway.wrapper = trace.injecting(calls, "error=EIO", NEVER, log)
    fault = Fault(library, folder / "page", gateway.folder, calls, "EIO", NEVER)
    gateway.extra = fault.environment
    try:
        gateway.serve()
        told(prepared, gateway).tell()
        assert gateway.stop() == 0, gateway.log()
    finally:
        gateway.kill()
    until("strace is done", 10, lambda: trace.ended(log, gateway.pid))
    # The file or the first path of each call.
    asked = re.compile(rf"(?m)^\d+ +(\w+)\((?:\d+<|(?:AT_FDCWD<[^>]*>, )?\"){re.escape(str(gateway.folder))}[/>\"]")
    seen = Counter(asked.findall(log.read_text(errors="replace")))
    assert fault.counted() == (seen.total(), 0), seen
    assert {"openat", "fsync", "linkat", "rename", "mkdir", "unlink", "unlinkat", "pwrite64", "write", "ftruncate", "fallocate"} <= set(seen), seen
