//! Whom a year's exports concern: numbers for persons, reservations, and their agreement with a plain set.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::redundant_closure_for_method_calls)]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use catalog::{AgreementId, DatasetId, Digest, LeaseId, ParticipantId, Purpose, VersionName};
use gateway_ledger::{Contribution, IntervalSet, Keyset, Month, Share, Totals};
use gateway_store::{
    CommitError, Expect, FirstStream, Lease, LeaseState, OpenOptions, PersonKey, Records, Terms, Transaction, Write,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

const YEAR: i16 = 2026;

fn now() -> Timestamp {
    "2026-11-22T08:13:45.120Z".parse().unwrap()
}

fn open(dir: &tempfile::TempDir) -> Records {
    Records::open(&dir.path().join("data"), OpenOptions::new(now())).unwrap().0
}

fn exporter() -> ParticipantId {
    ParticipantId::parse("qianhai").unwrap()
}

fn members(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn lease_id(number: usize) -> LeaseId {
    LeaseId::parse(&format!("l-{number:04}")).unwrap()
}

fn lease(number: usize) -> Lease {
    Lease {
        id: lease_id(number),
        key: Digest::of(&number.to_be_bytes()),
        principal: "p".to_owned(),
        certificate: "c".to_owned(),
        participant: ParticipantId::parse("hku").unwrap(),
        agreement: AgreementId::parse("a-1").unwrap(),
        provider: exporter(),
        dataset: DatasetId::parse("yue-speech").unwrap(),
        version: VersionName::parse("1").unwrap(),
        columns: Vec::new(),
        redact: false,
        purpose: Purpose::parse("academic-research").unwrap(),
        price: None,
        mechanism: None,
        release: None,
        state: LeaseState::Active,
        leaf: 0,
        created: now(),
        expires: now() + SignedDuration::from_hours(24),
        reason: None,
        sent_bytes: 0,
        unit_bytes: 0,
    }
}

/// An export as the gateway records it: lease, open stream, reservation.
fn export(number: usize, dataset: &str, contribution: Contribution, keys: Option<Digest>) -> Transaction {
    let mut transaction = Transaction::new(now());
    let leaf = transaction.leaf(members(&json!({"kind": "decision", "lease": lease_id(number)})));
    let stream = FirstStream { representation: "file".to_owned(), ranges: Vec::new() };
    let (lease, terms) = (lease(number), Terms::default());
    transaction.writes.push(Write::PutLease { lease, terms, stream: Some(stream), leaf });
    transaction.writes.push(reservation(number, dataset, contribution, keys));
    transaction
}

fn reservation(number: usize, dataset: &str, contribution: Contribution, keys: Option<Digest>) -> Write {
    Write::Contribution {
        lease: lease_id(number),
        exporter: exporter(),
        year: YEAR,
        dataset: DatasetId::parse(dataset).unwrap(),
        version: VersionName::parse("1").unwrap(),
        contribution,
        keys,
    }
}

fn declared(persons: u64, sensitive: u64) -> Contribution {
    Contribution::of(Share { persons, sensitive, with_sensitive_values: Some(sensitive) }, None)
}

fn commit(records: &Records, write: Write) -> Result<(), CommitError> {
    let mut transaction = Transaction::new(now());
    transaction.writes.push(write);
    records.commit_blocking(transaction).map(drop)
}

fn end(records: &Records, number: usize) {
    let (state, reason, leaf) = (LeaseState::Closed, None, None);
    commit(records, Write::LeaseState { lease: lease_id(number), state, reason, leaf }).unwrap();
}

fn untouched(records: &Records, number: usize) {
    commit(records, Write::StreamUntouched { lease: lease_id(number) }).unwrap();
}

fn state(records: &Records) -> (u64, Totals) {
    let counted = records.read(|reader| reader.counted(&exporter(), YEAR)).unwrap();
    (counted.revision, counted.year.totals())
}

fn totals(persons: u64, sensitive: u64) -> Totals {
    Totals { persons, sensitive }
}

#[test]
fn counters_move_only_when_a_number_grows() {
    let dir = tempfile::tempdir().unwrap();
    let records = open(&dir);
    let add = |number, dataset: &str, persons, sensitive, revision| {
        let mut transaction = export(number, dataset, declared(persons, sensitive), None);
        transaction.expect.push(Expect::Contributions { exporter: exporter(), year: YEAR, revision });
        records.commit_blocking(transaction)
    };
    assert_eq!(state(&records), (0, totals(0, 0)));
    add(1, "aaa", 100, 10, 0).unwrap();
    assert_eq!(state(&records), (1, totals(100, 10)));
    add(2, "aaa", 90, 10, 1).unwrap();
    assert_eq!(state(&records), (1, totals(100, 10)));
    add(3, "aaa", 50, 20, 1).unwrap();
    assert_eq!(state(&records), (2, totals(100, 20)));
    // A second decision on the same reading does not pass.
    let error = add(4, "bbb", 1, 0, 1).unwrap_err();
    assert!(matches!(error, CommitError::Conflict(Expect::Contributions { revision: 1, .. })), "{error}");
    add(5, "bbb", 5, 0, 2).unwrap();
    assert_eq!(state(&records), (3, totals(105, 20)));
    let by_dataset = records.read(|reader| reader.counted_datasets(&exporter(), YEAR)).unwrap();
    let by_dataset: Vec<_> = by_dataset.iter().map(|row| (row.dataset.as_str(), row.numbers)).collect();
    assert_eq!(by_dataset, [("aaa", totals(100, 20)), ("bbb", totals(5, 0))]);
    assert_eq!(state(&records).1, records.read(|reader| reader.counted(&exporter(), YEAR)).unwrap().year.totals());
    assert_eq!(records.read(|reader| reader.counted(&exporter(), YEAR + 1)).unwrap().year.totals(), totals(0, 0));
}

/// The next share takes the row of one that is gone, or never was: it must not be taken for that.
#[test]
fn a_share_that_is_gone_is_reserved_anew() {
    let dir = tempfile::tempdir().unwrap();
    let records = open(&dir);
    let begin = |number, dataset: &str| {
        records.commit_blocking(export(number, dataset, declared(10, 0), None)).unwrap();
    };
    begin(1, "aaa");
    end(&records, 1);
    untouched(&records, 1);
    begin(2, "bbb");
    begin(3, "aaa");
    assert_eq!(state(&records).1, totals(20, 0), "given back and reserved again");

    let mut undone = export(4, "ccc", declared(10, 0), None);
    undone.writes.push(Write::StreamOpened { lease: lease_id(99) });
    assert!(matches!(records.commit_blocking(undone), Err(CommitError::Invalid(_))));
    begin(5, "ddd");
    begin(6, "ccc");
    assert_eq!(state(&records).1, totals(40, 0), "refused half-way and reserved again");
}

/// Given back only when the lease has ended and no stream under it is open or was used, whatever comes first.
#[test]
fn what_nobody_received_is_given_back_when_the_lease_ends() {
    let dir = tempfile::tempdir().unwrap();
    let records = open(&dir);
    let begin = |number, dataset: &str| {
        records.commit_blocking(export(number, dataset, declared(10, 0), None)).unwrap();
    };
    begin(1, "aaa");
    untouched(&records, 1);
    assert_eq!(state(&records).1, totals(10, 0), "the lease still stands");
    end(&records, 1);
    assert_eq!(state(&records), (2, totals(0, 0)));

    begin(2, "aaa");
    end(&records, 2);
    assert_eq!(state(&records).1, totals(10, 0), "a stream is still open");
    untouched(&records, 2);
    assert_eq!(state(&records).1, totals(0, 0));
    untouched(&records, 2);

    // Two streams, one of which was used: its end is never said.
    begin(3, "aaa");
    commit(&records, Write::StreamOpened { lease: lease_id(3) }).unwrap();
    untouched(&records, 3);
    end(&records, 3);
    assert_eq!(state(&records).1, totals(10, 0));

    // Another lease holds the same: what one gives back stays counted.
    begin(4, "aaa");
    begin(5, "bbb");
    for number in [4, 5] {
        untouched(&records, number);
        end(&records, number);
    }
    assert_eq!(state(&records).1, totals(10, 0));
    assert_eq!(records.read(|reader| reader.reservations()).unwrap(), 1);
    assert_eq!(records.read(|reader| reader.counted_year(&lease_id(3))).unwrap(), Some(YEAR));
    assert_eq!(records.read(|reader| reader.counted_year(&lease_id(4))).unwrap(), None);

    // A lease that expired is closed by its successor, and gives back then.
    begin(6, "ccc");
    untouched(&records, 6);
    let later = now() + SignedDuration::from_hours(25);
    let mut transaction = Transaction::new(later);
    let leaf = transaction.leaf(members(&json!({"kind": "decision"})));
    let mut successor = lease(6);
    (successor.id, successor.created, successor.expires) = (lease_id(7), later, later + SignedDuration::from_hours(24));
    transaction.writes.push(Write::PutLease { lease: successor, terms: Terms::default(), stream: None, leaf });
    records.commit_blocking(transaction).unwrap();
    assert_eq!(state(&records).1, totals(10, 0));
}

#[test]
fn a_reservation_names_a_lease_and_its_keyset() {
    let dir = tempfile::tempdir().unwrap();
    let records = open(&dir);
    records.commit_blocking(export(1, "aaa", declared(1, 0), None)).unwrap();
    let keyed = Contribution { keyed: true, ..Contribution::default() };
    let sensitive_only = Contribution { keyed_sensitive: true, ..Contribution::default() };
    for wrong in [
        reservation(2, "aaa", declared(1, 0), None),
        reservation(1, "aaa", keyed, None),
        reservation(1, "aaa", declared(1, 0), Some(Digest::of(b"x"))),
        reservation(1, "aaa", keyed, Some(Digest::of(b"x"))),
        reservation(1, "aaa", sensitive_only, None),
        reservation(1, "aaa", declared(u64::MAX, 0), None),
        Write::StreamOpened { lease: lease_id(2) },
    ] {
        let told = format!("{wrong:?}");
        assert!(matches!(commit(&records, wrong), Err(CommitError::Invalid(_))), "{told}");
    }
    assert_eq!(state(&records), (1, totals(1, 0)));
}

fn key(person: u32) -> PersonKey {
    let mut key = PersonKey::default();
    key.copy_from_slice(&Digest::of(&person.to_be_bytes()).as_bytes()[..16]);
    key
}

/// Numbers persons and keeps who is in a corpus, as the gateway does it.
fn keep(records: &Records, persons: &BTreeSet<u32>, sensitive: &BTreeSet<u32>, blank_rows: u64) -> (Digest, Keyset) {
    let keys: Vec<PersonKey> = persons.iter().map(|person| key(*person)).collect();
    commit(records, Write::Persons { exporter: exporter(), year: YEAR, keys: keys.clone() }).unwrap();
    let numbers = records.read(|reader| reader.persons(&exporter(), YEAR, &keys)).unwrap();
    let mut keyset = Keyset { blank_rows, ..Keyset::default() };
    for (person, number) in persons.iter().zip(numbers) {
        keyset.persons.insert(number.unwrap());
        if sensitive.contains(person) {
            keyset.sensitive.insert(number.unwrap());
        }
    }
    let scope = Digest::of(format!("{persons:?} {sensitive:?} {blank_rows}").as_bytes());
    let (exporter, year, keys) = (exporter(), YEAR, keyset.clone());
    commit(records, Write::Keyset { exporter, year, scope, keys }).unwrap();
    (scope, keyset)
}

#[test]
fn two_keys_never_share_a_number_and_a_year_knows_its_own_only() {
    let dir = tempfile::tempdir().unwrap();
    let records = open(&dir);
    let (all, some): (BTreeSet<u32>, BTreeSet<u32>) = ((0..5_000).collect(), (1_000..2_000).collect());
    let (_, first) = keep(&records, &some, &BTreeSet::new(), 0);
    let (scope, second) = keep(&records, &all, &some, 7);
    assert_eq!((first.persons.len(), second.persons.len()), (1_000, 5_000));
    assert_eq!(second.persons.union_len(&first.persons), 5_000);
    assert_eq!(second.sensitive, first.persons);
    drop(records);
    let records = open(&dir);
    assert_eq!(records.read(|reader| reader.keyset(&exporter(), YEAR, &scope)).unwrap(), Some(second));
    assert!(records.read(|reader| reader.has_keyset(&exporter(), YEAR, &scope)).unwrap());
    assert!(!records.read(|reader| reader.has_keyset(&exporter(), YEAR + 1, &scope)).unwrap());
    assert_eq!(records.read(|reader| reader.persons(&exporter(), YEAR + 1, &[key(1)])).unwrap(), [None]);
}

/// A fixed sequence: the test must be the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        // xorshift64 (Marsaglia 2003).
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

struct Corpus {
    name: String,
    persons: BTreeSet<u32>,
    sensitive: BTreeSet<u32>,
    share: Share,
    kept: Option<(Digest, Keyset)>,
}

fn corpus(records: &Records, random: &mut Random, number: usize) -> Corpus {
    let persons: BTreeSet<u32> = (0..random.below(300)).map(|_| u32::try_from(random.below(500)).unwrap()).collect();
    let sensitive: BTreeSet<u32> = persons.iter().copied().filter(|person| person % 3 == 0).collect();
    let blank_rows = random.below(3);
    let kept = (number % 4 != 3).then(|| keep(records, &persons, &sensitive, blank_rows));
    let floor = kept.as_ref().map_or(0, |(_, keys)| keys.floor());
    let share = Share {
        persons: floor.max(random.below(350)),
        sensitive: sensitive.len() as u64,
        with_sensitive_values: Some(sensitive.len() as u64),
    };
    let share = Share { sensitive: share.sensitive.min(share.persons), ..share };
    Corpus { name: format!("corpus-{number}"), persons, sensitive, share, kept }
}

/// What a plain set says of the exports that hold.
fn reference<'a>(held: impl Iterator<Item = &'a Corpus>) -> Totals {
    let (mut persons, mut sensitive) = (BTreeSet::<u32>::new(), BTreeSet::<u32>::new());
    let mut numbers: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for corpus in held {
        let number = numbers.entry(&corpus.name).or_default();
        if corpus.kept.is_some() && corpus.share.persons > 0 {
            persons.extend(corpus.persons.iter().copied());
            sensitive.extend(corpus.sensitive.iter().copied());
            number.0 = corpus.share.persons - corpus.persons.len() as u64;
        } else {
            *number = (corpus.share.persons, corpus.share.sensitive);
        }
    }
    Totals {
        persons: persons.len() as u64 + numbers.values().map(|number| number.0).sum::<u64>(),
        sensitive: sensitive.len() as u64 + numbers.values().map(|number| number.1).sum::<u64>(),
    }
}

/// Random exports of random corpora with overlapping persons; some streams are used, some not, leases end in any order, and
/// the node is started again in between.
#[test]
fn random_exports_agree_with_a_plain_set_after_every_step() {
    let dir = tempfile::tempdir().unwrap();
    let mut records = open(&dir);
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let corpora: Vec<Corpus> = (0..9).map(|number| corpus(&records, &mut random, number)).collect();
    // Leases that hold, with the corpus and whether a byte left.
    let mut open_leases: Vec<(usize, usize)> = Vec::new();
    let mut held: HashMap<usize, usize> = HashMap::new();
    for step in 0..160 {
        match random.below(3) {
            0 | 1 => {
                let number = usize::try_from(random.below(corpora.len() as u64)).unwrap();
                let corpus = &corpora[number];
                let keys = corpus.kept.as_ref().map(|(_, keys)| keys);
                let contribution = Contribution::of(corpus.share, keys);
                let scope = corpus.kept.as_ref().filter(|_| contribution.keyed).map(|(scope, _)| *scope);
                let before = records.read(|reader| reader.counted(&exporter(), YEAR)).unwrap().year;
                let foreseen = before.after(&corpus.name, &contribution, keys);
                records.commit_blocking(export(step, &corpus.name, contribution, scope)).unwrap();
                assert_eq!(state(&records).1, foreseen, "step {step}: what the decision saw");
                open_leases.push((step, number));
                held.insert(step, number);
            }
            _ if !open_leases.is_empty() => {
                let at = usize::try_from(random.below(open_leases.len() as u64)).unwrap();
                let (lease, _) = open_leases.swap_remove(at);
                if random.below(2) == 0 {
                    untouched(&records, lease);
                    held.remove(&lease);
                }
                end(&records, lease);
            }
            _ => {}
        }
        if step % 20 == 19 {
            drop(records);
            records = open(&dir);
        }
        // An unused stream gives back with the end of its lease, both in this step.
        let want = reference(held.values().map(|number| &corpora[*number]));
        assert_eq!(state(&records).1, want, "step {step}");
    }
    assert!(held.len() > 20, "{}", held.len());
}

/// 64 exports decide at once on the same counter, each of another dataset. The threshold holds for their sum, exactly.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_at_once_never_pass_a_threshold_together() {
    const THRESHOLD: u64 = 1_000;
    let dir = tempfile::tempdir().unwrap();
    let records = open(&dir);
    let turn = Arc::new(tokio::sync::Mutex::new(()));
    let tasks: Vec<_> = (0..64_usize)
        .map(|number| {
            let (records, turn) = (records.clone(), Arc::clone(&turn));
            tokio::spawn(async move {
                let (dataset, persons) = (format!("corpus-{number}"), 30);
                let mut alone = None;
                loop {
                    let counted = records.read(|reader| reader.counted(&exporter(), YEAR)).unwrap();
                    let contribution = declared(persons, 0);
                    if counted.year.after(&dataset, &contribution, None).persons >= THRESHOLD {
                        return 0;
                    }
                    let mut transaction = export(number, &dataset, contribution, None);
                    let revision = counted.revision;
                    transaction.expect.push(Expect::Contributions { exporter: exporter(), year: YEAR, revision });
                    match records.commit(transaction).await {
                        Ok(_) => return persons,
                        Err(CommitError::Conflict(Expect::Contributions { .. })) if alone.is_none() => {
                            alone = Some(turn.lock().await);
                        }
                        Err(CommitError::Conflict(_)) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        })
        .collect();
    let mut passed = 0;
    for task in tasks {
        passed += task.await.unwrap();
    }
    assert_eq!(passed, 990, "as many as fit: 33 of 30");
    assert_eq!(state(&records).1, totals(990, 0));
}

/// What was delivered before a crash is known by bytes; what was reserved stays without them.
#[test]
fn a_used_stream_keeps_its_reservation_whatever_is_known_of_its_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let records = open(&dir);
    records.commit_blocking(export(1, "aaa", declared(10, 0), None)).unwrap();
    let lease = lease(1);
    commit(
        &records,
        Write::Delivered {
            lease: lease.id.clone(),
            agreement: lease.agreement.clone(),
            dataset: lease.dataset.clone(),
            version: lease.version.clone(),
            file: Digest::of(b"file"),
            index: None,
            period: Month::of(now()),
            intervals: IntervalSet::new(),
            rows: None,
            wire_bytes: 0,
        },
    )
    .unwrap();
    end(&records, 1);
    assert_eq!(state(&records).1, totals(10, 0));
}
