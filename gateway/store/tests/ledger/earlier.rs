//! What stores of an earlier release hold: intervals of bytes where units stand now.

use catalog::{EvidenceKind, Offer, PriceModel};
use gateway_ledger::{IntervalSet, UnitSet};
use gateway_store::{DeliveredFilter, DeliveredRow, OpenOptions, Records};
use rusqlite::{Connection, params};

use super::{Fixture, index, terms};

/// Both columns of the rows as an earlier release wrote them, marked as the migration marks them.
fn as_before(database: &Connection, rows: &[DeliveredRow]) {
    let marked = |units: &UnitSet| {
        let bytes = units.intervals(&index()).to_bytes();
        if bytes.is_empty() { bytes } else { [&[0], bytes.as_slice()].concat() }
    };
    for row in rows {
        let (units, receipted) = (row.units(&index()).unwrap(), row.receipted(&index()).unwrap());
        let changed = database
            .execute(
                "UPDATE delivered SET units = ?1, receipted = ?2 WHERE period = ?3 AND units <> ?1",
                params![marked(&units), marked(&receipted), row.period.to_string()],
            )
            .unwrap();
        assert_eq!(changed, 1, "{}", row.period);
    }
}

#[test]
fn bytes_of_an_earlier_release_are_not_billed_again_and_become_units_when_something_is_added() {
    let terms = Offer { fee: None, vat: None, evidence: EvidenceKind::Receipt, ..terms(PriceModel::PerGib, 1000) };
    let fixture = Fixture::new(terms);
    let lease = fixture.lease("l-1", 4000, true, 400);
    fixture.deliver(&lease, "2026-11", &[0..150], 150);
    fixture.deliver(&lease, "2026-12", &[150..170, 300..400], 120);
    fixture.ack(&lease, 1, &[0..100]).unwrap();
    let rows =
        |fixture: &Fixture| fixture.records.read(|reader| reader.delivered(&DeliveredFilter::default())).unwrap();
    let before = rows(&fixture);

    let Fixture { records, at, _dir: dir } = fixture;
    records.close();
    drop(records);
    let data = dir.path().join("data");
    let database = Connection::open(data.join("kouan.db")).unwrap();
    as_before(&database, &before);
    database.close().unwrap();
    let fixture = Fixture::of(Records::open(&data, OpenOptions::new(at)).unwrap().0, at, dir);

    let earlier = rows(&fixture);
    assert_ne!(earlier, before, "they stand there otherwise");
    for (row, was) in earlier.iter().zip(&before) {
        assert_eq!((row.units(&index()), row.receipted(&index())), (was.units(&index()), was.receipted(&index())));
    }
    // Nothing new: as it stood. The unit that was begun in November is finished.
    fixture.deliver(&lease, "2026-11", &[0..170], 170);
    assert_eq!(rows(&fixture)[0].unit_bytes, 150);
    fixture.deliver(&lease, "2026-12", &[100..300], 200);
    fixture.ack(&lease, 2, &[0..200]).unwrap();
    assert_eq!(fixture.owed().0, 2000);
    let found = rows(&fixture);
    let bytes = |units: UnitSet| units.intervals(&index());
    assert_eq!(bytes(found[0].units(&index()).unwrap()), IntervalSet::from(0..150));
    assert_eq!(bytes(found[1].units(&index()).unwrap()), IntervalSet::from(150..400));
    assert_eq!((found[0].receipt_bytes, found[1].receipt_bytes), (150, 50));
    // What something was added to is units again.
    let database = Connection::open(data.join("kouan.db")).unwrap();
    let forms: Vec<(Vec<u8>, Vec<u8>)> = database
        .prepare("SELECT substr(units, 1, 1), substr(receipted, 1, 1) FROM delivered ORDER BY period")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(forms, [(vec![0], vec![1]), (vec![1], vec![1])]);
    fixture.audit();
}

#[test]
fn a_damaged_row_is_an_error_and_no_delivery() {
    let fixture = Fixture::new(terms(PriceModel::PerGib, 1000));
    let lease = fixture.lease("l-1", 4000, false, 400);
    fixture.deliver(&lease, "2026-11", &[0..150], 150);
    let database = Connection::open(fixture.records.dir().join("kouan.db")).unwrap();
    let whole: Vec<u8> = database.query_row("SELECT units FROM delivered", [], |row| row.get(0)).unwrap();
    let set = |bytes: &[u8]| database.execute("UPDATE delivered SET units = ?1", [bytes]).unwrap();
    let owed = fixture.owed();
    for bytes in [&[7], &whole[..whole.len() - 1], &[whole.as_slice(), &[1, 0]].concat()] {
        set(bytes);
        let error = fixture.commit(super::delivered(&lease, "2026-11", &[0..200], 200)).unwrap_err().to_string();
        assert!(error.contains("is damaged"), "{error}");
        let rows = fixture.records.read(|reader| reader.delivered(&DeliveredFilter::default())).unwrap();
        assert!(rows[0].units(&index()).is_err());
        assert_eq!(fixture.owed(), owed);
    }
    set(&whole);
    fixture.deliver(&lease, "2026-11", &[0..200], 200);
    assert_eq!(fixture.owed().0, 2000);
    fixture.audit();
}
