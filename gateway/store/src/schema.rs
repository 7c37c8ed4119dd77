//! The database's tables, and how an older database becomes a newer one.
//!
//! Hot tables are keyed by a sequence number: random keys cost a factor of three at half a million rows. Times are
//! milliseconds since 1970, digests 32-byte blobs.

use rusqlite::Connection;

use crate::records::OpenError;

/// One step each; a database's `user_version` says how many it has taken. Append, never edit.
const MIGRATIONS: [&str; 11] = [V1, V2, V3, LEDGER, ACCESS, LOOKUP, SUBJECTS, GRANTS, UNITS, RUNS, PARTIES];

const V1: &str = "
CREATE TABLE head (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    revision INTEGER NOT NULL,
    clean INTEGER NOT NULL
);
INSERT INTO head VALUES (1, 0, 1);

CREATE TABLE entry (idx INTEGER PRIMARY KEY, body BLOB NOT NULL);

CREATE TABLE facts (seq INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, body BLOB NOT NULL);

CREATE TABLE doc (
    seq INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (kind, id)
);

CREATE TABLE lease (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    key BLOB NOT NULL,
    principal TEXT NOT NULL,
    certificate TEXT NOT NULL,
    participant TEXT NOT NULL,
    agreement TEXT NOT NULL,
    provider TEXT NOT NULL,
    dataset TEXT NOT NULL,
    version TEXT NOT NULL,
    columns TEXT NOT NULL,
    redact INTEGER NOT NULL,
    purpose TEXT NOT NULL,
    price TEXT,
    state TEXT NOT NULL,
    leaf INTEGER NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    reason TEXT,
    granted_bytes INTEGER NOT NULL DEFAULT 0,
    sent_bytes INTEGER NOT NULL DEFAULT 0,
    unit_bytes INTEGER NOT NULL DEFAULT 0,
    first_period TEXT,
    closed_leaf INTEGER
);
CREATE UNIQUE INDEX lease_live ON lease (key) WHERE state = 'active';
CREATE INDEX lease_unclosed ON lease (seq) WHERE state <> 'active' AND closed_leaf IS NULL;
CREATE INDEX lease_expiry ON lease (expires) WHERE state = 'active';
CREATE INDEX lease_agreement ON lease (agreement, first_period);
CREATE INDEX lease_participant ON lease (participant, seq);
CREATE INDEX lease_provider ON lease (provider, seq);

CREATE TABLE egress_grant (
    seq INTEGER PRIMARY KEY,
    lease INTEGER NOT NULL REFERENCES lease (seq),
    representation TEXT NOT NULL,
    first INTEGER NOT NULL,
    past INTEGER NOT NULL,
    at INTEGER NOT NULL
);
CREATE INDEX egress_grant_lease ON egress_grant (lease);

CREATE TABLE delivered (
    seq INTEGER PRIMARY KEY,
    agreement TEXT NOT NULL,
    dataset TEXT NOT NULL,
    version TEXT NOT NULL,
    file BLOB NOT NULL,
    period TEXT NOT NULL,
    consumer TEXT NOT NULL,
    provider TEXT NOT NULL,
    intervals BLOB NOT NULL,
    unit_bytes INTEGER NOT NULL,
    data_bytes INTEGER NOT NULL,
    rows INTEGER,
    wire_bytes INTEGER NOT NULL,
    UNIQUE (agreement, dataset, version, file, period)
);
CREATE INDEX delivered_consumer ON delivered (consumer, period);
CREATE INDEX delivered_provider ON delivered (provider, period);

CREATE TABLE counter (
    exporter TEXT NOT NULL,
    year INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    PRIMARY KEY (exporter, year)
) WITHOUT ROWID;
CREATE TABLE contribution (
    exporter TEXT NOT NULL,
    year INTEGER NOT NULL,
    dataset TEXT NOT NULL,
    persons INTEGER NOT NULL,
    sensitive INTEGER NOT NULL,
    PRIMARY KEY (exporter, year, dataset)
) WITHOUT ROWID;

CREATE TABLE denial (
    seq INTEGER PRIMARY KEY,
    key BLOB NOT NULL,
    leaf INTEGER NOT NULL,
    opened INTEGER NOT NULL,
    latest INTEGER NOT NULL,
    repeats INTEGER NOT NULL DEFAULT 0,
    closed INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX denial_key ON denial (key, opened);
CREATE INDEX denial_due ON denial (opened) WHERE repeats > 0 AND closed = 0;

CREATE TABLE idempotency (
    seq INTEGER PRIMARY KEY,
    scope TEXT NOT NULL,
    key TEXT NOT NULL,
    body BLOB NOT NULL,
    leaf INTEGER,
    response BLOB NOT NULL,
    UNIQUE (scope, key)
);

CREATE TABLE opening (
    leaf INTEGER NOT NULL,
    field TEXT NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (leaf, field)
) WITHOUT ROWID;

CREATE TABLE crl (issuer TEXT PRIMARY KEY, number BLOB NOT NULL) WITHOUT ROWID;

CREATE TABLE guard (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    size INTEGER NOT NULL,
    root BLOB NOT NULL,
    facts INTEGER NOT NULL
);
";

/// A lease says which mechanism and which release it rests on, so that revoking one ends those leases and no others. What
/// an active lease of before rests on is not known: it is closed, and its consumer's next request is decided anew.
const V2: &str = "
ALTER TABLE lease ADD COLUMN mechanism TEXT;
ALTER TABLE lease ADD COLUMN release TEXT;
UPDATE lease SET state = 'closed', reason = 'decided by an earlier release' WHERE state = 'active';
";

/// Persons by keyed hash, who of them a file holds, and which lease reserved whom. What was counted before is kept for ever,
/// as numbers: no lease stands behind it that could give it back.
const V3: &str = "
CREATE TABLE tally (
    id INTEGER PRIMARY KEY,
    exporter TEXT NOT NULL,
    year INTEGER NOT NULL,
    revision INTEGER NOT NULL DEFAULT 0,
    next_person INTEGER NOT NULL DEFAULT 0,
    persons BLOB NOT NULL DEFAULT x'',
    sensitive BLOB NOT NULL DEFAULT x'',
    UNIQUE (exporter, year)
);
CREATE TABLE person (
    tally INTEGER NOT NULL,
    mac BLOB NOT NULL,
    person INTEGER NOT NULL,
    PRIMARY KEY (tally, mac)
) WITHOUT ROWID;
CREATE TABLE keyset (
    seq INTEGER PRIMARY KEY,
    tally INTEGER NOT NULL REFERENCES tally (id),
    scope BLOB NOT NULL,
    persons BLOB NOT NULL,
    sensitive BLOB NOT NULL,
    blank_rows INTEGER NOT NULL,
    UNIQUE (tally, scope)
);
CREATE TABLE share (
    seq INTEGER PRIMARY KEY,
    tally INTEGER NOT NULL REFERENCES tally (id),
    dataset TEXT NOT NULL,
    version TEXT NOT NULL,
    persons INTEGER NOT NULL,
    sensitive INTEGER NOT NULL,
    keyset INTEGER NOT NULL,
    keyed_sensitive INTEGER NOT NULL,
    UNIQUE (tally, dataset, version, persons, sensitive, keyset, keyed_sensitive)
);
CREATE TABLE reservation (
    lease INTEGER NOT NULL REFERENCES lease (seq),
    share INTEGER NOT NULL REFERENCES share (seq),
    PRIMARY KEY (lease, share)
) WITHOUT ROWID;
CREATE INDEX reservation_share ON reservation (share);
INSERT INTO tally (exporter, year, revision) SELECT exporter, year, revision FROM counter;
INSERT INTO share (tally, dataset, version, persons, sensitive, keyset, keyed_sensitive)
    SELECT tally.id, dataset, '', contribution.persons, contribution.sensitive, 0, 0
    FROM contribution JOIN tally USING (exporter, year);
DROP TABLE contribution;
DROP TABLE counter;
ALTER TABLE lease ADD COLUMN streams INTEGER NOT NULL DEFAULT 0;
";

/// Double entry and receipts. Balances are kept for reading; the log's `ledger_batch` leaves hold every transfer.
const LEDGER: &str = "
ALTER TABLE lease ADD COLUMN quote INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lease ADD COLUMN quote_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lease ADD COLUMN unreceipted_max INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lease ADD COLUMN reserved INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lease ADD COLUMN posted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lease ADD COLUMN pulled INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lease ADD COLUMN unsent_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lease ADD COLUMN doubt_bytes INTEGER NOT NULL DEFAULT 0;
CREATE INDEX lease_held ON lease (seq) WHERE state <> 'active' AND reserved > posted;

ALTER TABLE delivered ADD COLUMN receipted BLOB NOT NULL DEFAULT x'';
ALTER TABLE delivered ADD COLUMN receipt_bytes INTEGER NOT NULL DEFAULT 0;

CREATE TABLE entitlement (
    seq INTEGER PRIMARY KEY,
    agreement TEXT NOT NULL,
    dataset TEXT NOT NULL,
    version TEXT NOT NULL,
    usage TEXT NOT NULL,
    sent_bytes INTEGER NOT NULL DEFAULT 0,
    receipt_bytes INTEGER NOT NULL DEFAULT 0,
    amount INTEGER NOT NULL DEFAULT 0,
    fee INTEGER NOT NULL DEFAULT 0,
    tax INTEGER NOT NULL DEFAULT 0,
    credited_amount INTEGER NOT NULL DEFAULT 0,
    credited_fee INTEGER NOT NULL DEFAULT 0,
    credited_tax INTEGER NOT NULL DEFAULT 0,
    UNIQUE (agreement, dataset, version)
);

CREATE TABLE posting (
    seq INTEGER PRIMARY KEY,
    entitlement INTEGER NOT NULL REFERENCES entitlement (seq),
    code TEXT NOT NULL,
    reference TEXT NOT NULL,
    period TEXT NOT NULL,
    service_period TEXT NOT NULL,
    currency TEXT NOT NULL,
    amount INTEGER NOT NULL,
    fee INTEGER NOT NULL,
    tax INTEGER NOT NULL,
    unit_bytes INTEGER NOT NULL,
    leaf INTEGER NOT NULL,
    at INTEGER NOT NULL
);
CREATE INDEX posting_line ON posting (entitlement, period);
CREATE INDEX posting_period ON posting (period);

CREATE TABLE subscribed (agreement TEXT NOT NULL, period TEXT NOT NULL, PRIMARY KEY (agreement, period)) WITHOUT ROWID;

CREATE TABLE balance (
    currency TEXT NOT NULL,
    account TEXT NOT NULL,
    debits INTEGER NOT NULL,
    credits INTEGER NOT NULL,
    pending_debits INTEGER NOT NULL,
    pending_credits INTEGER NOT NULL,
    PRIMARY KEY (currency, account)
) WITHOUT ROWID;

CREATE TABLE closed_period (period TEXT PRIMARY KEY, leaf INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE receipt (
    seq INTEGER PRIMARY KEY,
    lease INTEGER NOT NULL REFERENCES lease (seq),
    number INTEGER NOT NULL,
    ack BLOB NOT NULL,
    body BLOB NOT NULL,
    evidence BLOB NOT NULL,
    unit_bytes INTEGER NOT NULL,
    new_bytes INTEGER NOT NULL,
    currency TEXT NOT NULL,
    amount INTEGER NOT NULL,
    leaf INTEGER NOT NULL,
    at INTEGER NOT NULL,
    UNIQUE (lease, number)
);
";

/// Windows in which reads of the log are counted. A closed window's row goes: its leaves say all that it did.
const ACCESS: &str = "
CREATE TABLE access (
    seq INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    leaf INTEGER NOT NULL,
    ends INTEGER NOT NULL,
    members TEXT NOT NULL,
    reads INTEGER NOT NULL,
    first INTEGER,
    last INTEGER,
    interrupted INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX access_ends ON access (ends);
";

/// No index over random keys on what every decision writes: see [`crate::lookup`].
const LOOKUP: &str = "
CREATE TABLE lookup (
    kind INTEGER NOT NULL,
    print INTEGER NOT NULL,
    row INTEGER NOT NULL,
    PRIMARY KEY (kind, print, row)
) WITHOUT ROWID;
CREATE TABLE lookup_past (kind INTEGER PRIMARY KEY, row INTEGER NOT NULL);

CREATE TABLE facts_by_seq (seq INTEGER PRIMARY KEY, digest BLOB NOT NULL, body BLOB NOT NULL);
INSERT INTO facts_by_seq SELECT seq, digest, body FROM facts ORDER BY seq;
DROP TABLE facts;
ALTER TABLE facts_by_seq RENAME TO facts;

CREATE TABLE idempotency_by_seq (
    seq INTEGER PRIMARY KEY,
    scope TEXT NOT NULL,
    key TEXT NOT NULL,
    body BLOB NOT NULL,
    leaf INTEGER,
    response BLOB NOT NULL
);
INSERT INTO idempotency_by_seq SELECT seq, scope, key, body, leaf, response FROM idempotency ORDER BY seq;
DROP TABLE idempotency;
ALTER TABLE idempotency_by_seq RENAME TO idempotency;

DROP INDEX lease_live;
";

/// A key for each natural person, wrapped by the node's: destroying one erases what is sealed under it. What was sealed before
/// has no subject. An erased subject keeps its handle, so that its rows can say what became of them.
const SUBJECTS: &str = "
CREATE TABLE vault (id INTEGER PRIMARY KEY CHECK (id = 1), kek TEXT NOT NULL, retired TEXT);
CREATE TABLE subject_key (
    handle BLOB PRIMARY KEY,
    subject TEXT UNIQUE,
    participant TEXT NOT NULL,
    kek TEXT,
    wrapped BLOB,
    created INTEGER NOT NULL,
    erased_leaf INTEGER,
    erased_at INTEGER
) WITHOUT ROWID;
ALTER TABLE opening ADD COLUMN subject BLOB;
ALTER TABLE receipt ADD COLUMN subject BLOB;
";

/// Grants stand under their lease: one tree instead of a table and an index.
const GRANTS: &str = "
CREATE TABLE grant_by_lease (
    lease INTEGER NOT NULL REFERENCES lease (seq),
    number INTEGER NOT NULL,
    representation TEXT NOT NULL,
    first INTEGER NOT NULL,
    past INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (lease, number)
) WITHOUT ROWID;
INSERT INTO grant_by_lease
    SELECT lease, row_number() OVER (PARTITION BY lease ORDER BY seq) - 1, representation, first, past, at
    FROM egress_grant ORDER BY lease, seq;
DROP TABLE egress_grant;
ALTER TABLE grant_by_lease RENAME TO egress_grant;
";

/// Sets of delivered units instead of intervals of bytes. To convert one takes its file's index, which may be damaged or gone:
/// what stands there is marked as the form it has, and becomes units when something is added to it.
const UNITS: &str = "
ALTER TABLE delivered RENAME COLUMN intervals TO units;
UPDATE delivered SET units = CAST(x'00' || units AS BLOB) WHERE length(units) > 0;
UPDATE delivered SET receipted = CAST(x'00' || receipted AS BLOB) WHERE length(receipted) > 0;
";

/// Sorted runs instead of a tree of single entries. A start reads all rows anew, as it does those beyond `lookup_past`.
const RUNS: &str = "
DROP TABLE lookup;
DELETE FROM lookup_past;
CREATE TABLE lookup_run (run INTEGER PRIMARY KEY, kind INTEGER NOT NULL, entries INTEGER NOT NULL);
CREATE TABLE lookup_part (
    run INTEGER NOT NULL,
    first INTEGER NOT NULL,
    entries BLOB NOT NULL,
    PRIMARY KEY (run, first)
) WITHOUT ROWID;
";

/// A party's leases are those of its agreements: one index for each lease instead of three.
const PARTIES: &str = "
CREATE TABLE lease_party (
    participant TEXT NOT NULL,
    agreement TEXT NOT NULL,
    PRIMARY KEY (participant, agreement)
) WITHOUT ROWID;
INSERT INTO lease_party SELECT participant, agreement FROM lease UNION SELECT provider, agreement FROM lease;
DROP INDEX lease_participant;
DROP INDEX lease_provider;
DROP INDEX lease_agreement;
CREATE INDEX lease_agreement ON lease (agreement);
";

/// Brings the database up to this version. Returns whether it was empty before.
pub(crate) fn migrate(connection: &mut Connection) -> Result<bool, OpenError> {
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let found = usize::try_from(found).unwrap_or(usize::MAX);
    let known = MIGRATIONS.len();
    if found > known {
        return Err(OpenError::Newer { found, known });
    }
    for (number, step) in (1_u32..).zip(MIGRATIONS).skip(found) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(found == 0)
}

#[cfg(test)]
mod tests;
