"""H2: the Nth system call of a kind fails, or kills, for growing N until runs meet none, N by the seed of the run: an fsync that fails (the gateway ends
with 74 and never asks again), no room for a write, a name or a new file, and a kill in the middle of each. The story is told
under the fault, then once more without it, and all of it must be right."""

import os
import random
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness import invariants, trace
from harness.lines import Broken
from harness.story import Prepared, Refused, Story
from harness.wait import until

TOGETHER = 4
IO = 74
# What a faulty call may lead to, where it is not deadly: the gateway goes on, does not start, or says that its disk failed.
LIVES = (0, IO)


@pytest.fixture(scope="module")
def prepared(memory):
    return Prepared(memory)


def seed():
    """Which calls fail differs from commit to commit, so that runs together try every one, and the same tree fails again."""
    told = subprocess.run(["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True)
    return int(told.stdout[:8], 16) if told.returncode == 0 else random.randrange(1 << 32)


SEED = int(os.environ.get("FAULTS_SEED") or seed())


def every(step=1, grow=1.0):
    """One number of each interval, by the seed; the intervals cover all numbers, and grow."""
    chosen, at = random.Random(SEED), 1.0
    while True:
        past = max(at + step, at * grow)
        yield chosen.randrange(int(at), int(past))
        at = past


def run(prepared, folder, calls, fault, number, statuses):
    """One case; how many calls met the fault."""
    gateway, log = prepared.copy(folder / "node"), folder / "trace"
    story = Story(prepared, gateway)
    gateway.wrapper = trace.injecting(calls, fault, number, log)
    gateway.extra = {"KOUAN_LOG": "info"}
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
    until("strace is done", 10, lambda: trace.ended(log, gateway.pid))
    met = trace.injected(log)
    assert status in (statuses if met else (0,)), f"ended with {status} after {met} faults:\n{gateway.log()}"
    signed = invariants.guard(gateway)
    seen = invariants.checkpoint(gateway)
    invariants.recorded(gateway, folder / "records", story)

    gateway.wrapper = []
    gateway.serve()
    try:
        story.told += 1
        story.tell()
        assert gateway.stop() == 0, gateway.log()
    finally:
        gateway.kill()
    invariants.recorded(gateway, folder / "records", story)
    invariants.offline(gateway, folder, [seen] if seen else [])
    assert invariants.guard(gateway)["size"] >= signed["size"]
    shutil.rmtree(folder)
    return met


def until_clean(prepared, memory, calls, fault, statuses, numbers):
    """Every number, until a whole batch of runs met nothing; how many runs did."""
    name, hit = f"{calls[0]}-{fault}-{os.getpid()}".replace("=", "-"), 0
    with ThreadPoolExecutor(TOGETHER) as pool:
        while True:
            batch = [next(numbers) for _ in range(TOGETHER)]
            cases = {n: pool.submit(run, prepared, memory / f"{name}-{n}", calls, fault, n, statuses) for n in batch}
            met = []
            for number, case in cases.items():
                try:
                    met.append(case.result())
                except BaseException as error:
                    raise AssertionError(f"FAULTS_SEED={SEED} inject={','.join(calls)}:{fault}:when={number}: {error!r}") from error
            hit += sum(bool(count) for count in met)
            if not any(met):
                return hit


@pytest.mark.parametrize(
    ("calls", "fault", "statuses", "numbers", "least"),
    [
        (("fsync", "fdatasync", "syncfs"), "error=EIO", (IO,), every(grow=1.06), 25),
        (("pwrite64", "pwritev", "ftruncate", "fallocate"), "error=ENOSPC", LIVES, every(grow=1.4), 10),
        (("pwrite64",), "error=EIO", LIVES, every(grow=2), 6),
        (("linkat", "rename", "mkdir"), "error=ENOSPC", LIVES, every(), 8),
        (("openat",), "error=ENOSPC", LIVES, every(2), 8),
        (("fsync", "fdatasync"), "signal=KILL", (-signal.SIGKILL,), every(grow=1.35), 8),
        (("pwrite64",), "signal=KILL", (-signal.SIGKILL,), every(grow=1.7), 8),
        (("linkat", "rename", "unlink"), "signal=KILL", (-signal.SIGKILL,), every(), 5),
    ],
    ids=["eio_loop", "enospc_loop", "eio_write", "enospc_names", "enospc_open", "kill_sync", "kill_write", "kill_names"],
)
def test_the_nth_call(prepared, memory, calls, fault, statuses, numbers, least):
    print(trace.version(), f"FAULTS_SEED={SEED}")
    hit = until_clean(prepared, memory, calls, fault, statuses, numbers)
    print(f"{hit} runs met {fault} in {','.join(calls)}")
    assert hit >= least, f"only {hit} runs met the fault"
