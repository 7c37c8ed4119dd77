"""What a node has on disk, read as a tester may: with the node stopped, or beside it without writing."""

import json
import sqlite3

from .gateway import binary, told


def object_path(gateway, sha256):
    """The stored object of that digest."""
    path = gateway.data / "objects" / sha256
    assert path.is_file(), path
    return path


def change_byte(path, at):
    """Changes one byte behind the gateway's back; the file is read-only even to its owner."""
    mode = path.stat().st_mode
    path.chmod(0o600)
    with open(path, "r+b") as file:
        file.seek(at)
        old = file.read(1)
        file.seek(at)
        file.write(bytes([old[0] ^ 0x40]))
    path.chmod(mode)


def database(gateway):
    """The records, read-only."""
    connection = sqlite3.connect(f"file:{gateway.data / 'kouan.db'}?mode=ro", uri=True, timeout=10)
    connection.row_factory = sqlite3.Row
    return connection


def grants(connection, lease_id):
    """The granted intervals of a lease, by representation."""
    rows = connection.execute(
        "SELECT g.representation, g.first, g.past FROM egress_grant g JOIN lease l ON l.seq = g.lease WHERE l.id = ?", (lease_id,)
    )
    found = {}
    for row in rows:
        found.setdefault(row["representation"], []).append((row["first"], row["past"]))
    return found


def covered(intervals, first, past):
    """Whether `first..past` lies in the union of the intervals."""
    at = first
    for start, end in sorted(intervals):
        if start > at:
            break
        at = max(at, end)
    return at >= past


def audit_books(gateway):
    """The balances that a stopped node keeps are those that its published log gives, and they balance."""
    with open(gateway.log_folder() / "checkpoint") as file:
        published = int(file.read().splitlines()[1])
    with database(gateway) as connection:
        assert connection.execute("SELECT count(*) FROM entry").fetchone()[0] == published
        kept = {(row["currency"], row["account"]): tuple(row)[2:] for row in connection.execute("SELECT * FROM balance")}
    said = told([binary(), "audit", "rebuild", str(gateway.log_folder()), "--json"])
    assert said.status == 0, said
    sides = ("debits", "credits", "pending_debits", "pending_credits")
    made = {
        (currency, account["account"]): tuple(int(account[side]) for side in sides)
        for currency, accounts in said.json["balances"].items()
        for account in accounts
    }
    assert made == kept, json.dumps([str(made), str(kept)])
    for currency in said.json["balances"]:
        sums = [sum(row[side] for (of, _), row in kept.items() if of == currency) for side in range(4)]
        assert sums[0] == sums[1] and sums[2] == sums[3], (currency, sums)
