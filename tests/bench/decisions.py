"""Decisions: in process, recorded by the sequencer alone, and recorded by a running gateway that is asked over mutual TLS."""

import itertools
import re
import selectors
import ssl
import subprocess
import time
from statistics import median

from .cores import Span, on
from .data import SMALL_COLUMNS
from .figures import Row, in_turn, middle

SECONDS = 2.0


class Selections:
    """Columns that nobody asked for before: a lease is one per selection, so each request needs a decision of its own."""

    def __init__(self):
        # Odd multiples run through all selections before they repeat; each holds about half of the columns.
        mask = (1 << SMALL_COLUMNS) - 1
        self.numbers = (number * 0x9E3779B1 & mask for number in itertools.count(1))

    def __next__(self):
        number = next(self.numbers)
        return ",".join(f"c{column:02}" for column in range(SMALL_COLUMNS) if number >> column & 1)


class Asker:
    """One connection that asks, waits for the whole answer, and asks again."""

    def __init__(self, gateway, path, selections, leases):
        self.path, self.selections, self.leases = path, selections, leases
        self.tls = gateway.connect(gateway.alice, alpn=["http/1.1"])
        self.tls.setblocking(False)
        self.answer = b""

    def ask(self):
        self.tls.send(
            f"GET {self.path}?columns={next(self.selections)} HTTP/1.1\r\nhost: localhost\r\nrange: bytes=0-3\r\n\r\n".encode()
        )

    def hear(self):
        """Reads what has arrived; true once the answer is whole, and it must be that of a new lease."""
        while True:
            try:
                piece = self.tls.recv(16384)
            except ssl.SSLWantReadError:
                return False
            assert piece, f"the gateway closed after {self.answer!r}"
            self.answer += piece
            head, found, body = self.answer.partition(b"\r\n\r\n")
            if not found or len(body) < 4:
                continue
            assert head.startswith(b"HTTP/1.1 206 ") and body == b"PAR1", self.answer
            lease = re.search(rb"\r\nkouan-lease: (\S+)", head).group(1)
            assert lease not in self.leases, "a lease was used twice: that was no decision"
            self.leases.add(lease)
            self.answer = b""
            return True

    def close(self):
        self.tls.close()


def over_tls(gateway, stored, selections, callers, core):
    """Keeps `callers` requests in the air for a while; leases recorded a second, and per server CPU second."""
    leases, waiting = set(), selectors.DefaultSelector()
    askers = [Asker(gateway, stored.path, selections, leases) for _ in range(callers)]
    for asker in askers:
        waiting.register(asker.tls, selectors.EVENT_READ, asker)
    with Span(gateway.pid) as span, on(core):
        end = time.monotonic() + SECONDS
        for asker in askers:
            asker.ask()
        open_ = callers
        while open_:
            for key, _ in waiting.select(10):
                if key.data.hear():
                    if time.monotonic() < end:
                        key.data.ask()
                    else:
                        open_ -= 1
    for asker in askers:
        asker.close()
    waiting.close()
    return {"rate": len(leases) / span.wall, "per_cpu": len(leases) / span.cpu}


def recorded(gateway, stored, rounds, core):
    """Two lines a number of callers."""
    selections = Selections()
    samples = in_turn(
        rounds,
        one=lambda: over_tls(gateway, stored, selections, 1, core),
        many=lambda: over_tls(gateway, stored, selections, 64, core),
    )
    lines = []
    for name, callers in (("one", "1 caller"), ("many", "64 callers")):
        for key, unit in (("rate", "per s"), ("per_cpu", "per server CPU s")):
            lines.append(Row(f"new leases over mTLS, {callers}", unit, middle(samples[name], key)))
    return lines


def in_process(examples, core):
    """The median of what the policy's own example prints for `decide`."""
    with on(core):
        out = subprocess.run([f"{examples}/decisions_per_second", "20"], check=True, capture_output=True, text=True).stdout
    rate = re.search(r"^decide\s+([0-9.]+)/s", out, re.M)
    assert rate, out
    return [Row("decisions in process, 20 columns", "per s", float(rate.group(1)))]
