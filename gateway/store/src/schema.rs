//! The database's tables, and how an older database becomes a newer one.
//!
//! Hot tables are keyed by a sequence number: random keys cost a factor of three at half a million rows. Times are
//! milliseconds since 1970, digests 32-byte blobs.

use rusqlite::Connection;

use crate::records::OpenError;

/// One step each; a database's `user_version` says how many it has taken. Append, never edit.
const MIGRATIONS: [&str; 1] = [V1];

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
