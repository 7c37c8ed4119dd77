-- The rows of one decision in a plain schema, for SQLite and PostgreSQL (where BLOB is BYTEA and an INTEGER PRIMARY KEY is
-- an identity): what anybody would write who wanted the same in either. `tests/bench/durable.py` makes both from it.
CREATE TABLE entry (idx INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE facts (seq INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, body BLOB NOT NULL);
CREATE TABLE opening (leaf BIGINT NOT NULL, field TEXT NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (leaf, field));
CREATE TABLE lease (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, key BLOB NOT NULL, principal TEXT NOT NULL, certificate TEXT NOT NULL,
    participant TEXT NOT NULL, agreement TEXT NOT NULL, dataset TEXT NOT NULL, version TEXT NOT NULL, columns TEXT NOT NULL,
    price TEXT, state TEXT NOT NULL, leaf BIGINT NOT NULL, created BIGINT NOT NULL, expires BIGINT NOT NULL,
    granted_bytes BIGINT NOT NULL
);
CREATE UNIQUE INDEX lease_live ON lease (key) WHERE state = 'active';
CREATE INDEX lease_expiry ON lease (expires) WHERE state = 'active';
CREATE INDEX lease_participant ON lease (participant, seq);
CREATE TABLE egress_grant (
    seq INTEGER PRIMARY KEY, lease BIGINT NOT NULL, representation TEXT NOT NULL, first BIGINT NOT NULL, past BIGINT NOT NULL
);
CREATE INDEX egress_grant_lease ON egress_grant (lease);
CREATE TABLE reservation (lease BIGINT NOT NULL, share BIGINT NOT NULL, PRIMARY KEY (lease, share));
CREATE TABLE idempotency (
    seq INTEGER PRIMARY KEY, scope TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, leaf BIGINT, response BLOB NOT NULL,
    UNIQUE (scope, key)
);
