"""Which core runs what, and how much CPU time a server took."""

import os
import time
from contextlib import contextmanager
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def pair():
    """The server's core and the client's. With one core for both, wall times would say nothing."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("the benches need two cores: one for the server, one for the client")
    return cores[0], cores[1]


@contextmanager
def on(core):
    """Runs the block, and every process that it starts for all of its life, on `core`."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(pid):
    """User and system time of a process and its living children: nginx's worker is a child."""
    total, pending = 0, [pid]
    while pending:
        each = pending.pop()
        # The name may hold spaces and parentheses: count fields from the last one.
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
        for task in Path(f"/proc/{each}/task").iterdir():
            pending += map(int, (task / "children").read_text().split())
    return total / TICKS


class Span:
    """What a server spends on a block: `with Span(pid) as span: …; span.cpu, span.wall`."""

    # Deliveries are settled after the last byte: that work is part of the price.
    SETTLE_SECONDS = 0.1

    def __init__(self, pid):
        self.pid, self.cpu, self.wall = pid, 0.0, 0.0

    def __enter__(self):
        self._cpu, self._wall = cpu_seconds(self.pid), time.monotonic()
        return self

    def __exit__(self, *_):
        self.wall = time.monotonic() - self._wall
        time.sleep(self.SETTLE_SECONDS)
        self.cpu = cpu_seconds(self.pid) - self._cpu
