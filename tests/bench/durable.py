"""Durable decisions at the sequencer, in process, on a store that holds many already; and the same rows written one decision
at a time into SQLite and PostgreSQL, each with a sync of its own."""

import contextlib
import os
import re
import secrets
import shutil
import sqlite3
import subprocess
import time
from pathlib import Path

from .figures import Row

SCHEMA = Path(__file__).with_name("decision.sql")
LEAF, FACTS, SEALED, RESPONSE = 850, 1600, 108, 200

# What pgbench runs as one transaction. Random where the gateway's are random.
PGBENCH = r"""
BEGIN;
INSERT INTO entry (body) VALUES (convert_to(repeat('x', {leaf}), 'UTF8')) RETURNING idx AS leaf \gset
INSERT INTO facts (digest, body)
    VALUES (sha256(convert_to(random()::text || :client_id, 'UTF8')), convert_to(repeat('x', {facts}), 'UTF8'));
INSERT INTO opening VALUES (:leaf, 'person', decode(repeat('07', {sealed}), 'hex')),
    (:leaf, 'certificate', decode(repeat('07', {sealed}), 'hex'));
INSERT INTO lease (id, key, principal, certificate, participant, agreement, dataset, version, columns, price, state, leaf,
        created, expires, granted_bytes)
    VALUES ('l-' || :leaf, sha256(convert_to(random()::text || :client_id, 'UTF8')), repeat('a', 64), repeat('b', 64), 'hku',
        'a-1', 'yue-speech', '1', '["text","speaker","seconds"]', '{{"model":"per_gib","amount":"120000"}}', 'active', :leaf,
        :leaf, :leaf, 67108864) RETURNING seq AS lease \gset
INSERT INTO egress_grant (lease, representation, first, past) VALUES (:lease, 'part-0.parquet', 0, 67108864);
INSERT INTO reservation VALUES (:lease, 1);
INSERT INTO idempotency (scope, key, body, leaf, response)
    VALUES (repeat('a', 64), md5(random()::text || :client_id), sha256(convert_to(random()::text, 'UTF8')), :leaf,
        decode(repeat('00', {response}), 'hex'));
COMMIT;
""".format(leaf=LEAF, facts=FACTS, sealed=SEALED, response=RESPONSE)


def sequencer(examples, work, held):
    """What the example prints: commits a second with one and 256 callers, and the wait of callers who come evenly."""
    command = [
        f"{examples}/commits_per_second", "--held", str(held), "--callers", "1,256", "--seconds", "5", "--paced", "500",
        "--quote", "1200", "--dir", str(work),
    ]  # fmt: skip
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    lines, rates = [], {}
    found = re.findall(r"^\s*(\d+) callers:\s+(\d+) commits/s, .*; (\d+) groups of ([0-9.]+), (\d+) syncs, (\d+) copies", out, re.M)
    for callers, rate, groups, batch, syncs, copies in found:
        rates[int(callers)] = int(rate)
        name = f"durable decisions, {held:,} held, {callers} caller{'s' if callers != '1' else ''}"
        lines.append(Row(name, "per s", int(rate)))
        lines.append(Row("  decisions a group", "", float(batch)))
        lines.append(Row("  groups, and syncs of the log", "", int(groups), "", int(syncs)))
        lines.append(Row("  copies of the log (two syncs each)", "", int(copies)))
    held_too = re.search(r"^\s*256 callers, money held:\s+(\d+) commits/s", out, re.M)
    lines.append(Row("  the same where money is held, in a leaf more", "per s", int(held_too.group(1))))
    paced = re.search(r"^paced at 500/s: p50 (\S+), p99 (\S+), slowest (\S+)", out, re.M)
    assert found and paced, out
    for name, text in zip(("p50", "p99", "slowest"), paced.groups(), strict=True):
        lines.append(Row(f"  wait at 500 a second, {name}", "ms", milliseconds(text)))
    return lines, rates


def milliseconds(text):
    number, unit = re.fullmatch(r"([0-9.]+)(µs|ms|s)", text).groups()
    return float(number) * {"µs": 0.001, "ms": 1, "s": 1000}[unit]


def syncs(examples, work):
    """fsync and fdatasync calls a decision with 256 callers, counted by strace, which slows the run down."""
    log = Path(work) / "syncs"
    command = ["strace", "-f", "--seccomp-bpf", "-c", "-e", "trace=fsync,fdatasync", "-o", str(log)]
    run = [f"{examples}/commits_per_second", "--callers", "256", "--seconds", "2", "--dir", str(work)]
    out = subprocess.run([*command, *run], check=True, capture_output=True, text=True).stdout
    calls = sum(int(n) for n in re.findall(r"^\s*[0-9.]+\s+[0-9.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?f(?:data)?sync$", log.read_text(), re.M))
    rate = int(re.search(r"callers:\s+(\d+) commits/s", out).group(1))
    return [Row("syncs a decision, 256 callers", "", calls / max(rate * 2, 1))]


def sqlite_singly(work, seconds=3.0):
    """Decisions a second, one transaction each, `synchronous=FULL`."""
    path = Path(work) / "singly.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.executescript(SCHEMA.read_text())
        begun, done = time.monotonic(), 0
        while time.monotonic() - begun < seconds:
            one(database)
            done += 1
        rate = done / (time.monotonic() - begun)
    for file in Path(work).glob("singly.db*"):
        file.unlink()
    return rate


def one(database):
    database.execute("BEGIN IMMEDIATE")
    leaf = database.execute("INSERT INTO entry (body) VALUES (?)", (b"x" * LEAF,)).lastrowid
    database.execute("INSERT INTO facts (digest, body) VALUES (?, ?)", (secrets.token_bytes(32), b"x" * FACTS))
    for field in ("person", "certificate"):
        database.execute("INSERT INTO opening VALUES (?, ?, ?)", (leaf, field, b"7" * SEALED))
    lease = database.execute(
        "INSERT INTO lease (id, key, principal, certificate, participant, agreement, dataset, version, columns, price, state,"
        " leaf, created, expires, granted_bytes) VALUES (?, ?, ?, ?, 'hku', 'a-1', 'yue-speech', '1', ?, ?, 'active', ?, ?, ?, ?)",
        (f"l-{leaf}", secrets.token_bytes(32), "a" * 64, "b" * 64, '["text","speaker","seconds"]',
         '{"model":"per_gib","amount":"120000"}', leaf, leaf, leaf, 64 << 20),
    ).lastrowid  # fmt: skip
    database.execute(
        "INSERT INTO egress_grant (lease, representation, first, past) VALUES (?, 'part-0.parquet', 0, ?)", (lease, 64 << 20)
    )
    database.execute("INSERT INTO reservation VALUES (?, 1)", (lease,))
    database.execute(
        "INSERT INTO idempotency (scope, key, body, leaf, response) VALUES (?, ?, ?, ?, ?)",
        ("a" * 64, secrets.token_hex(32), secrets.token_bytes(32), leaf, b"\0" * RESPONSE),
    )
    database.execute("COMMIT")


def postgres_tools():
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pgbench"))
    assert found, "PostgreSQL's server and pgbench are not here"
    return found[-1].parent


@contextlib.contextmanager
def postgres(work):
    """A cluster of its own on a socket, with the defaults that matter: fsync and synchronous_commit on."""
    tools, home = postgres_tools(), Path(work) / "postgres"
    home.mkdir()
    # PostgreSQL refuses to run as root.
    as_user = []
    if os.geteuid() == 0:
        shutil.chown(home, "postgres", "postgres")
        for folder in [home, *home.parents][:-1]:
            folder.chmod(folder.stat().st_mode | 0o011)
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    run = lambda *command: subprocess.run([*as_user, *command], check=True, capture_output=True, text=True, cwd=home)  # noqa: E731
    run(f"{tools}/initdb", "-D", f"{home}/data", "-A", "trust", "--no-sync")
    log = home / "log"
    options = f"-c listen_addresses='' -c unix_socket_directories={home} -c max_connections=300"
    run(f"{tools}/pg_ctl", "-D", f"{home}/data", "-l", str(log), "-w", "-o", options, "start")
    try:
        yield lambda tool, *arguments: run(f"{tools}/{tool}", "-h", str(home), *arguments)
    finally:
        run(f"{tools}/pg_ctl", "-D", f"{home}/data", "-w", "-m", "fast", "stop")


def postgres_singly(work, seconds=3):
    """Decisions a second with 1 and 64 clients."""
    work = Path(work)
    schema = SCHEMA.read_text().replace("INTEGER PRIMARY KEY", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY").replace("BLOB", "BYTEA")
    rates = {}
    with postgres(work) as call:
        for name, text in (("schema.sql", schema), ("decision.pgbench", PGBENCH)):
            (work / "postgres" / name).write_text(text)
        call("psql", "-q", "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-f", "schema.sql")
        for clients in (1, 64):
            out = call("pgbench", "-n", "-f", "decision.pgbench", "-c", str(clients), "-j", "2", "-T", str(seconds), "postgres").stdout
            rates[clients] = float(re.search(r"^tps = ([0-9.]+)", out, re.M).group(1))
    return rates


def rows(examples, work, held):
    """All lines."""
    lines, rates = sequencer(examples, work, held)
    sqlite = sqlite_singly(work)
    postgres = postgres_singly(work)
    many = rates[256]
    lines.append(Row("durable decisions, 256 callers, against singly", "per s", many, "SQLite", sqlite, many / sqlite))
    for clients, rate in postgres.items():
        peer = f"PostgreSQL, {clients} client{'s' if clients > 1 else ''}"
        lines.append(Row("durable decisions, 256 callers, against singly", "per s", many, peer, rate, many / rate))
    return lines + syncs(examples, work)
