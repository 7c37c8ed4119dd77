"""What must be true of a node's disk after a fault, and at the end of a story: FAULTS' invariants by their numbers."""

import json
import shutil
import sqlite3

from . import log_keys, store
from .gateway import binary, told


def crashed(gateway, folder):
    """The database as a crash left it, in a copy: recovering it must not do the gateway's own work."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in ("kouan.db", "kouan.db-wal"):
        if (gateway.data / name).exists():
            shutil.copy(gateway.data / name, folder / name)
    connection = sqlite3.connect(folder / "kouan.db")
    connection.row_factory = sqlite3.Row
    return connection


def gate(records, received):
    """I1: no byte was received that no durable grant covers. `received` is {lease: {representation: {first: count}}}."""
    for lease, representations in received.items():
        granted = store.grants(records, lease)
        for representation, spans in representations.items():
            for first, count in spans.items():
                assert store.covered(granted.get(representation, []), first, first + count), (lease, representation, first, count, granted)


def rows(records, query):
    return [tuple(row) for row in records.execute(query)]


def tables(records):
    """I5, I6, I8, I13, as far as tables show them."""
    assert rows(records, "PRAGMA quick_check(1)") == [("ok",)]
    # I13: dense and unique.
    count, last = rows(records, "SELECT count(*), max(idx) FROM entry")[0]
    assert count == last + 1, (count, last)
    # I5: what was denied has no lease.
    leases = rows(records, "SELECT lease.id, entry.body FROM lease JOIN entry ON entry.idx = lease.leaf")
    for lease, body in leases:
        leaf = json.loads(body)
        assert leaf["lease"] == lease and leaf["effect"] in ("allow", "released"), leaf
    # I6: billed ⊆ acknowledged ⊆ sent ⊆ granted, in bytes.
    assert rows(records, "SELECT id FROM lease WHERE sent_bytes + unsent_bytes > granted_bytes OR sent_bytes < 0") == []
    assert rows(records, "SELECT seq FROM delivered WHERE receipt_bytes > unit_bytes") == []
    granted = "SELECT sum(past - first) FROM egress_grant WHERE lease = lease.seq"
    assert rows(records, f"SELECT id FROM lease WHERE granted_bytes <> coalesce(({granted}), 0)") == []
    # I7: a unit is billed once. A month's rows of one file are disjoint from its other months' by their sums.
    sums = "SELECT sum(unit_bytes), sum(receipt_bytes) FROM delivered AS d WHERE (d.agreement, d.dataset, d.version) = (e.agreement, e.dataset, e.version)"
    for sent, receipted, *of in rows(records, f"SELECT sent_bytes, receipt_bytes, agreement, dataset, version FROM entitlement AS e"):
        kept = rows(records, f"SELECT * FROM ({sums.replace('(e.agreement, e.dataset, e.version)', repr(tuple(of)))})")[0]
        assert kept == (sent, receipted), (of, kept, sent, receipted)
    posted = "SELECT coalesce(sum(amount), 0), coalesce(sum(fee), 0), coalesce(sum(tax), 0) FROM posting WHERE entitlement = {} AND code = 'post'"
    for seq, *owed in rows(records, "SELECT seq, amount, fee, tax FROM entitlement"):
        assert rows(records, posted.format(seq))[0] == tuple(owed), (seq, owed)
    # I8: debits are credits, in each ledger.
    balances = "SELECT currency, sum(debits) - sum(credits), sum(pending_debits) - sum(pending_credits), min(pending_debits), min(pending_credits) FROM balance GROUP BY currency"
    for currency, posted, pending, *least in rows(records, balances):
        assert (posted, pending) == (0, 0) and min(least) >= 0, (currency, posted, pending, least)
    # I10: a closed month is closed once, and holds what its leaf counted.
    for period, body in rows(records, "SELECT period, entry.body FROM closed_period JOIN entry ON entry.idx = closed_period.leaf"):
        counted = rows(records, f"SELECT count(*) FROM posting WHERE period = '{period}'")[0][0]
        assert json.loads(body)["postings"]["count"] == counted, (period, counted)


def journal(records, leaves):
    """I12: every index that was told of is in the log with that leaf."""
    for index, wanted in leaves.items():
        found = rows(records, f"SELECT body FROM entry WHERE idx = {index}")
        assert found, f"leaf {index} is gone"
        leaf = json.loads(found[0][0])
        assert {name: leaf.get(name) for name in wanted} == wanted, (index, leaf)


def recorded(gateway, folder, story):
    """What the records of a stopped gateway must say of `story`, read from a copy in `folder`."""
    with crashed(gateway, folder) as records:
        gate(records, story.received)
        tables(records)
        journal(records, story.leaves)


def turned(gateway, prepared):
    """I18: of a node that has stopped, whoever was erased has no key in any file, one key of keys is left, and it is the one that
    counts. The log's keys were changed once, and those that are configured sign."""
    with store.database(gateway) as records:
        erased = {row[0] for row in rows(records, "SELECT handle FROM subject_key WHERE wrapped IS NULL AND erased_leaf IS NOT NULL")}
        vault = rows(records, "SELECT kek, retired FROM vault")
    assert len(erased) == len(prepared.persons), erased
    assert [(path.name, None) for path in (gateway.pki / "kek").iterdir()] == [(f"{kek}.kek", retired) for kek, retired in vault], vault
    for path in gateway.data.glob("kouan.db*"):
        kept = path.read_bytes()
        assert not any(prepared.wrapped[handle] in kept for handle in erased), path
    assert len(log_keys.rotations(gateway)) == 3 and len(log_keys.signatures(gateway.log_folder())) == 2


def checkpoint(gateway):
    """The published checkpoint, if there is one."""
    path = gateway.log_folder() / "checkpoint"
    return path.read_bytes() if path.exists() else None


def guard(gateway):
    """I16: what was signed last."""
    return json.loads((gateway.folder / "log-guard.json").read_text())


def offline(gateway, folder, checkpoints):
    """I11, I14, I16, of a node that has stopped: the log verifies with no network, and continues every checkpoint that was seen."""
    command = [binary(), "audit", "verify", str(gateway.log_folder()), "--key", str(log_keys.every(gateway)), "--json"]
    for number, seen in enumerate(checkpoints):
        path = folder / f"checkpoint-{number}"
        path.write_bytes(seen)
        said = told([*command, "--since", str(path)])
        assert said.status == 0, said
    # I9: the ledger, from the log alone.
    store.audit_books(gateway)
