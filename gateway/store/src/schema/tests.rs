//! An older database becomes a newer one.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use rusqlite::types::FromSql;

use super::*;

fn pairs<A: FromSql, B: FromSql>(connection: &Connection, sql: &str) -> Vec<(A, B)> {
    let mut query = connection.prepare(sql).unwrap();
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// Whatever bytes they are, zeros and what is no text included.
#[test]
fn deliveries_of_an_earlier_release_are_marked_as_intervals_of_bytes() {
    let mut connection = Connection::open_in_memory().unwrap();
    let before = MIGRATIONS.iter().position(|step| *step == UNITS).unwrap();
    for step in &MIGRATIONS[..before] {
        connection.execute_batch(step).unwrap();
    }
    connection.pragma_update(None, "user_version", i64::try_from(before).unwrap()).unwrap();
    let held: [(&[u8], &[u8]); 3] = [(&[], &[]), (&[0, 0x96, 1, 0xff, 0x7f, 0xc3], &[]), (&[4, 1], &[0, 0x80, 0])];
    for (number, (intervals, receipted)) in (0_i64..).zip(held) {
        connection
            .execute(
                "INSERT INTO delivered (agreement, dataset, version, file, period, consumer, provider, intervals,
                     unit_bytes, data_bytes, wire_bytes, receipted)
                 VALUES ('a-1', 'maps', '1', ?1, '2026-11', 'hku', 'qianhai', ?2, 0, 0, 0, ?3)",
                rusqlite::params![number, intervals, receipted],
            )
            .unwrap();
    }
    migrate(&mut connection).unwrap();
    let found: Vec<(Vec<u8>, Vec<u8>)> = pairs(&connection, "SELECT units, receipted FROM delivered ORDER BY seq");
    let marked = |bytes: &[u8]| if bytes.is_empty() { Vec::new() } else { [&[0], bytes].concat() };
    assert_eq!(found, held.map(|(intervals, receipted)| (marked(intervals), marked(receipted))));
}

/// What an older release left running says nowhere which mechanism it rests on: it ends, and its leaf is still owed.
#[test]
fn leases_of_an_earlier_release_are_closed_when_it_is_taken_up() {
    let mut connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(V1).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    connection
        .execute_batch(
            "INSERT INTO lease (id, key, principal, certificate, participant, agreement, provider, dataset, version,
                 columns, redact, purpose, state, leaf, created, expires)
             VALUES ('l-1', x'00', 'p', 'c', 'hku', 'a-1', 'qianhai', 'maps', '1', '[]', 0, 'x', 'active', 7, 0, 1)",
        )
        .unwrap();
    connection
        .execute_batch(
            "INSERT INTO egress_grant (lease, representation, first, past, at)
             VALUES (1, 'a', 5, 9, 1), (1, 'a', 0, 4, 2)",
        )
        .unwrap();
    assert!(!migrate(&mut connection).unwrap(), "it was not empty");
    let grants: Vec<(i64, i64)> =
        pairs(&connection, "SELECT number, first FROM egress_grant WHERE lease = 1 ORDER BY number");
    assert_eq!(grants, [(0, 5), (1, 0)], "grants keep their order");
    let found: (String, Option<i64>, Option<String>) = connection
        .query_row("SELECT state, closed_leaf, mechanism FROM lease", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap();
    assert_eq!(found, ("closed".to_owned(), None, None));
    let parties: Vec<(String, String)> =
        pairs(&connection, "SELECT participant, agreement FROM lease_party ORDER BY participant");
    let of = |party: &str| (party.to_owned(), "a-1".to_owned());
    assert_eq!(parties, [of("hku"), of("qianhai")], "it is found by both of its parties");
    assert!(!migrate(&mut connection).unwrap(), "once is enough");
    connection.pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(migrate(&mut connection), Err(OpenError::Newer { found: 99, .. })));
}
