"""The log: verified from its first entry to its last, published after it is recorded, and the ledger made from it again."""

import re
import subprocess

from .cores import on
from .figures import Row

ENTRIES = 10_000_000
LEDGER_ENTRIES = 1_000_000


def printed(examples, core, name, *args):
    with on(core):
        return subprocess.run([f"{examples}/{name}", *map(str, args)], check=True, capture_output=True, text=True).stdout


def figure(pattern, out):
    found = re.search(pattern, out, re.M)
    assert found, out
    return float(found.group(1))


def milliseconds(text):
    """As Rust prints a duration."""
    number, unit = re.fullmatch(r"([0-9.]+)(ns|µs|ms|s)", text).groups()
    return float(number) * {"ns": 1e-6, "µs": 1e-3, "ms": 1, "s": 1000}[unit]


def rows(examples, work, core):
    """One line a promise (LEDGER.md, and "Speed" of the tracker): the aims are 500,000, 200,000 and a second."""
    verified = printed(examples, core, "verify_speed", ENTRIES, 1)
    rebuilt = printed(examples, core, "rebuild_speed", LEDGER_ENTRIES, work / "ledger-log")
    lines = [
        Row("log of 10 million entries verified, aim 500,000", "entries per CPU s", figure(r"([0-9]+) entries/s a core", verified)),
        Row("ledger rebuilt from its log, aim 200,000", "leaves per s", figure(r"^rebuilt .* ([0-9]+) leaves/s;", rebuilt)),
    ]
    published = printed(examples, core, "publish_speed", 5, work)
    found = re.findall(r"^\s*(\d+) leaves/s, .* p50 (\S+), p99 (\S+), longest", published, re.M)
    assert len(found) == 2, published
    for rate, middle, slow in found:
        for share, value in (("p50", middle), ("p99", slow)):
            what = f"recorded to published at {int(rate):,} leaves/s, {share}, aim 1,000"
            lines.append(Row(what, "ms", milliseconds(value)))
    return lines
