"""Runs the benches and prints one table. Called by `tests/bench/run`, which builds and installs what they need."""

import argparse
import os
import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path

from . import cores, data, decisions, durable, flight, handshakes, log, peers, raw
from .figures import save, table
from .node import Node

SECTIONS = ("files", "flight", "handshakes", "decisions", "durable", "log")
# About 0.4 GB stored, 1.1 GB of Arrow buffers.
LARGE_ROWS = 28 << 18


def arguments():
    parser = argparse.ArgumentParser(prog="tests/bench/run", description="Figures beside nginx and pyarrow's Flight server.")
    parser.add_argument("sections", nargs="*", choices=(*SECTIONS, []), help="which; default all")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each comparison, medians are printed (5)")
    parser.add_argument("--rows", type=int, default=LARGE_ROWS, help="rows of the large corpus")
    parser.add_argument("--held", type=int, default=1_000_000, help="decisions in the store before durable ones are measured")
    parser.add_argument("--json", metavar="FILE", help="write the figures there, too")
    return parser.parse_args()


def note(begun, text):
    print(f"[{time.monotonic() - begun:5.1f} s] {text}", file=sys.stderr, flush=True)


def measure(args, work, begun, started):
    """All lines of the table. What is started goes into `started`."""
    wanted = args.sections or SECTIONS
    server, client = cores.pair()
    lines = []
    gateway = Node(work / "node")
    started.append(gateway)
    gateway.up(server)
    os.sched_setaffinity(0, {client})
    note(begun, "publishing the corpora")
    large = data.large(gateway, work, args.rows) if {"files", "flight"} & set(wanted) else None
    if {"files", "handshakes"} & set(wanted):
        with cores.on(server):
            nginx = peers.nginx(work / "nginx", gateway, {large.name: large.file} if large else {})
        started.append(nginx)
    if "files" in wanted:
        note(begun, f"files: {large.bytes / 1e6:.0f} MB stored")
        lines += raw.rows(gateway, nginx, large, args.rounds, client)
    if "flight" in wanted:
        note(begun, "flight")
        with cores.on(server):
            peer = peers.flight(work, gateway, large.file)
        started.append(peer)
        lines += flight.rows(gateway, peer, large, args.rounds, client)
    if "handshakes" in wanted:
        note(begun, "handshakes")
        lines += handshakes.rows(gateway, nginx, args.rounds, client)
    if "decisions" in wanted:
        note(begun, "decisions")
        small = data.small(gateway)
        lines += decisions.recorded(gateway, small, args.rounds, client)
        lines += decisions.in_process(Path(os.environ["KOUAN_EXAMPLES"]), server)
    if "durable" in wanted:
        note(begun, f"durable decisions: {args.held:,} first")
        os.sched_setaffinity(0, {server, client})
        lines += durable.rows(Path(os.environ["KOUAN_EXAMPLES"]), work, args.held)
    if "log" in wanted:
        note(begun, "log")
        lines += log.rows(os.environ["KOUAN_EXAMPLES"], work, server)
    return lines


def main():
    args = arguments()
    begun = time.monotonic()
    work = Path(tempfile.mkdtemp(prefix="kouan-bench-"))
    started = []
    try:
        lines = measure(args, work, begun, started)
    finally:
        for each in reversed(started):
            each.stop()
        shutil.rmtree(work, ignore_errors=True)
    note(begun, "done")
    print(f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}; one core for the server, one for the client")
    print(f"medians of {args.rounds} rounds taken in turn; recording, metering and verification on; ratio above 1: kouan is better")
    print()
    print(table(lines))
    if args.json:
        save(lines, args.json)


if __name__ == "__main__":
    main()
