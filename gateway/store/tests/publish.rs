//! The published log: resumes, is verified by the offline verifier, and is never signed after it was set back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::slice::from_ref;
use std::time::{Duration, Instant};

use catalog::Digest;
use gateway_audit::verify::{LogFiles, VerifyOptions, VerifyReport, verify_log, verify_log_by};
use gateway_audit::{Checkpoint, Cosigner, Ed25519Signer, SignedCheckpoint, Signer as _, VerifierKey};
use gateway_store::{
    OpenOptions, PublishError, Published, Publisher, PublisherOptions, Records, Transaction, witnessed_kept,
};
use jiff::Timestamp;
use serde_json::json;

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        place.write_key("gw.example/audit");
        place
    }

    fn write_key(&self, origin: &str) {
        let path = self.path("log.key");
        fs::write(&path, Ed25519Signer::key_file(origin, &[7; 32]).unwrap()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn records(&self) -> Records {
        let now: Timestamp = "2026-11-22T08:00:00Z".parse().unwrap();
        Records::open(&self.path("data"), OpenOptions::new(now)).unwrap().0
    }

    fn options(&self) -> PublisherOptions {
        PublisherOptions::new(self.path("log.key"), self.path("elsewhere/signed.json"))
    }

    fn publish(&self, records: &Records) -> Result<Publisher, PublishError> {
        Publisher::start(records, &self.options())
    }

    fn verify(&self, publisher: &Publisher, since: Option<&[u8]>) -> VerifyReport {
        let options = VerifyOptions { key: Some(publisher.key()), since };
        verify_log(&Files(self.path("data")), &options, &mut |_, _| {}).unwrap()
    }

    fn checkpoint(&self) -> Vec<u8> {
        fs::read(self.path("data/log/checkpoint")).unwrap()
    }
}

/// One key hands over to the next: never without both, and what was signed before stays signed.
#[test]
fn a_key_takes_over_only_from_one_that_vouches_for_it() {
    let place = Place::new();
    let write = |name: &str, origin: &str, seed: u8| {
        let path = place.path(name);
        fs::write(&path, Ed25519Signer::key_file(origin, &[seed; 32]).unwrap()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        Ed25519Signer::from_seed(origin, &[seed; 32]).unwrap().verifier().clone()
    };
    let old = write("log.key", "gw.example/audit", 7);
    let (new, other) = (write("next.key", "gw.example/audit", 8), write("other.key", "gw.example/other", 9));
    let options = |key: &str, next: Option<&str>| PublisherOptions {
        next_key_file: next.map(|name| place.path(name)),
        ..PublisherOptions::new(place.path(key), place.path("elsewhere/signed.json"))
    };
    let lines = || SignedCheckpoint::parse(&place.checkpoint()).unwrap().note().signatures().len();
    let verified = |keys: &[VerifierKey], since: Option<&[u8]>| {
        verify_log_by(&Files(place.path("data")), keys, since, &mut |_, _| {}).unwrap()
    };
    let records = place.records();
    let publisher = Publisher::start(&records, &options("log.key", None)).unwrap();
    assert_eq!(publisher.keys().len(), 1);
    add(&records, 3, "before");
    publisher.close();
    let before = place.checkpoint();
    let size = size_of(&records);

    // Nobody has vouched for it, it is the same, or it is another log's.
    for (key, next) in [("next.key", None), ("log.key", Some("log.key")), ("log.key", Some("other.key"))] {
        let error = Publisher::start(&records, &options(key, next)).unwrap_err();
        let refused = matches!(error, PublishError::Key { .. } | PublishError::Checkpoint(_));
        assert!(refused && place.checkpoint() == before, "{key} {next:?}: {error}");
    }
    for again in 0..2 {
        let publisher = Publisher::start(&records, &options("log.key", Some("next.key"))).unwrap();
        let keys = publisher.keys();
        assert_eq!((keys.len(), keys[1].from, keys[1].until), (2, size, None));
        publisher.close();
        assert_eq!(lines(), 2, "start {again}");
        assert_eq!(size_of(&records), size + 1, "vouched for once");
    }
    let overlap = place.checkpoint();
    for keys in [vec![old.clone()], vec![new.clone()], vec![other, new.clone()]] {
        assert!(verified(&keys, None).ok || keys.len() == 2, "{keys:?}");
    }
    assert!(verified(from_ref(&old), Some(&before)).ok);
    let rotations = verified(from_ref(&old), None).rotations;
    assert_eq!((rotations.len(), rotations[0].index), (1, size));
    assert_eq!((&rotations[0].old, &rotations[0].new), (&old.to_string(), &new.to_string()));

    let publisher = Publisher::start(&records, &options("next.key", None)).unwrap();
    assert_eq!(publisher.keys()[0].until, Some(size + 1));
    publisher.close();
    assert_eq!((lines(), size_of(&records)), (1, size + 2));
    assert!(!verified(from_ref(&old), None).ok && verified(from_ref(&new), Some(&overlap)).ok);
    // What only the old key signed needs that key beside the new one.
    assert!(!verified(from_ref(&new), Some(&before)).ok && verified(&[new, old], Some(&before)).ok);
    // A key that was taken out does not come back.
    for (key, next) in [("log.key", None), ("log.key", Some("next.key"))] {
        assert!(matches!(Publisher::start(&records, &options(key, next)), Err(PublishError::Key { .. })));
    }
}

#[expect(clippy::redundant_closure_for_method_calls, reason = "the method alone is not general over lifetimes")]
fn size_of(records: &Records) -> u64 {
    records.read(|reader| reader.log_size()).unwrap()
}

struct Files(PathBuf);

impl LogFiles for Files {
    type Error = std::io::Error;

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, std::io::Error> {
        let folder = if path.starts_with("facts/") { self.0.clone() } else { self.0.join("log") };
        match fs::read(folder.join(path)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            bytes => bytes.map(Some),
        }
    }
}

fn add(records: &Records, count: u64, name: &str) {
    for chunk in 0..count.div_ceil(50) {
        let mut transaction = Transaction::new("2026-11-22T08:00:00Z".parse().unwrap());
        for number in chunk * 50..count.min(chunk * 50 + 50) {
            let facts = format!("{{\"{name}\":{number}}}").into_bytes();
            let digest = Digest::of(&facts);
            let leaf = json!({"kind": "decision", "number": number, "name": name, "facts": digest});
            transaction.leaf(leaf.as_object().unwrap().clone());
            transaction.facts.push((digest, facts));
        }
        records.commit_blocking(transaction).unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn what_is_recorded_is_published_within_a_second_and_verifies() {
    let place = Place::new();
    let records = place.records();
    let publisher = place.publish(&records).unwrap();
    assert_eq!(publisher.published().borrow().size, 0);
    assert!(place.verify(&publisher, None).ok);
    let mut since = place.checkpoint();
    for (round, count) in [1, 254, 1, 300, 700].into_iter().enumerate() {
        add(&records, count, &format!("round-{round}"));
        let last = *records.recorded().borrow() - 1;
        let begun = Instant::now();
        let published = publisher.wait(last).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        assert_eq!(published.size, last + 1);
        assert_eq!(published.checkpoint.as_bytes(), place.checkpoint());
        let report = place.verify(&publisher, Some(&since));
        assert!(report.ok, "{report:?}");
        assert_eq!(report.size, Some(last + 1));
        since = place.checkpoint();
    }
    // 1256 entries: four full tiles and one of 232, whose earlier partial forms stay; those of full tiles are gone.
    let tiles = place.path("data/log/tile/0");
    for full in 0..4 {
        assert!(tiles.join(format!("00{full}")).is_file());
        assert!(!tiles.join(format!("00{full}.p")).exists(), "{full}");
    }
    assert!(tiles.join("004.p/232").is_file());
    assert_eq!(fs::read_dir(place.path("data/facts")).unwrap().count(), 1256);
}

#[test]
fn a_log_is_taken_up_where_it_was_even_without_its_tiles() {
    let place = Place::new();
    let records = place.records();
    let publisher = place.publish(&records).unwrap();
    add(&records, 600, "one");
    publisher.close(); // publishes what is recorded
    drop(records);

    let records = place.records();
    let publisher = place.publish(&records).unwrap();
    assert_eq!(publisher.published().borrow().size, 600);
    let tiles = fs::read(place.path("data/log/tile/0/001")).unwrap();
    let since = place.checkpoint();
    publisher.close();
    fs::remove_dir_all(place.path("data/log/tile")).unwrap();
    let publisher = place.publish(&records).unwrap();
    assert_eq!(fs::read(place.path("data/log/tile/0/001")).unwrap(), tiles);
    publisher.close();
    add(&records, 10, "two");
    let publisher = place.publish(&records).unwrap();
    let report = place.verify(&publisher, Some(&since));
    assert!(report.ok, "{report:?}");
    assert_eq!(report.size, Some(610));
}

#[test]
fn a_smaller_or_another_log_is_never_signed() {
    let place = Place::new();
    let records = place.records();
    let publisher = place.publish(&records).unwrap();
    add(&records, 300, "one");
    publisher.close();
    drop(records);
    copy(&place.path("data"), &place.path("backup"));

    let records = place.records();
    let publisher = place.publish(&records).unwrap();
    add(&records, 10, "two");
    publisher.close();
    drop(records);
    copy(&place.path("data"), &place.path("newest"));

    // The whole data directory is set back: only the file outside it knows.
    let restore = |from: &str| {
        fs::remove_dir_all(place.path("data")).unwrap();
        copy(&place.path(from), &place.path("data"));
        place.records()
    };
    let records = restore("backup");
    match place.publish(&records).unwrap_err() {
        PublishError::Behind { record, signed, size } => {
            assert!(record.contains("signed.json"), "{record}");
            assert_eq!((signed, size), (310, 300));
        }
        error => panic!("{error}"),
    }
    // And it does not help to grow to the same size with other entries, or beyond it.
    for count in [10, 40] {
        add(&records, count, "other");
        let error = place.publish(&records).unwrap_err();
        assert!(matches!(error, PublishError::Root { signed: 310, .. }), "{error}");
    }
    assert_eq!(place.checkpoint(), fs::read(place.path("backup/log/checkpoint")).unwrap());
    drop(records);

    // An empty directory is smaller too.
    fs::remove_dir_all(place.path("data")).unwrap();
    let records = place.records();
    assert!(matches!(place.publish(&records), Err(PublishError::Behind { signed: 310, size: 0, .. })));
    drop(records);

    // The newest one is taken up.
    let records = restore("newest");
    let publisher = place.publish(&records).unwrap();
    let backup = fs::read(place.path("backup/log/checkpoint")).unwrap();
    let report = place.verify(&publisher, Some(&backup));
    assert!(report.ok, "{report:?}");
    publisher.close();

    // The database alone is set back, and the outside file with it: the published checkpoint still knows.
    drop(records);
    fs::copy(place.path("backup/kouan.db"), place.path("data/kouan.db")).unwrap();
    fs::remove_file(place.path("elsewhere/signed.json")).unwrap();
    let records = place.records();
    let options = PublisherOptions { adopt_missing_guard: true, ..place.options() };
    let error = Publisher::start(&records, &options).unwrap_err();
    assert!(matches!(error, PublishError::Behind { .. }), "{error}");
}

#[test]
fn a_missing_or_strange_guard_is_an_error_with_a_way_out() {
    let place = Place::new();
    let records = place.records();
    place.publish(&records).unwrap().close();
    let guard = place.path("elsewhere/signed.json");
    let kept = fs::read(&guard).unwrap();
    fs::remove_file(&guard).unwrap();
    assert!(matches!(place.publish(&records), Err(PublishError::GuardMissing { signed: 0, .. })));
    let options = PublisherOptions { adopt_missing_guard: true, ..place.options() };
    Publisher::start(&records, &options).unwrap().close();
    assert_eq!(fs::read(&guard).unwrap(), kept);
    fs::write(&guard, "{}").unwrap();
    assert!(matches!(place.publish(&records), Err(PublishError::Guard { .. })));
    fs::write(&guard, String::from_utf8(kept).unwrap().replace("gw.example", "other.example")).unwrap();
    let error = place.publish(&records).unwrap_err();
    assert!(error.to_string().contains("it is of `other.example/audit`"), "{error}");
}

#[test]
fn altered_files_are_noticed_when_the_log_is_taken_up() {
    let place = Place::new();
    let records = place.records();
    let publisher = place.publish(&records).unwrap();
    add(&records, 20, "one");
    publisher.close();
    let change = |name: &str| {
        let path = place.path(name);
        let kept = fs::read(&path).unwrap();
        let mut bytes = kept.clone();
        bytes[40] ^= 1;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, bytes).unwrap();
        let error = place.publish(&records).unwrap_err();
        fs::write(&path, kept).unwrap();
        error
    };
    let error = change("data/log/tile/0/000.p/20");
    assert!(matches!(error, PublishError::Tile(_)), "{error}");
    let error = change("data/log/tile/entries/000.p/20");
    assert!(matches!(error, PublishError::Tile(_)), "{error}");
    let error = change("data/log/checkpoint");
    assert!(matches!(error, PublishError::Checkpoint(_)), "{error}");
    place.publish(&records).unwrap().close();

    // Another key is not this log's, and one that others may read is not used.
    place.write_key("other.example/audit");
    assert!(matches!(place.publish(&records), Err(PublishError::Checkpoint(_) | PublishError::Guard { .. })));
    place.write_key("gw.example/audit");
    fs::set_permissions(place.path("log.key"), fs::Permissions::from_mode(0o640)).unwrap();
    let error = place.publish(&records).unwrap_err();
    assert!(error.to_string().contains("mode 0640"), "{error}");
}

/// `published` with a cosignature of a witness that nobody else knows.
fn cosigned(published: &Published, time: u64) -> SignedCheckpoint {
    let checkpoint = SignedCheckpoint::parse(published.checkpoint.as_bytes()).unwrap();
    let line = Cosigner::from_seed("witness.example/w", &[9; 32]).unwrap().cosign(&checkpoint, time).unwrap();
    checkpoint.with_signatures(vec![line]).unwrap()
}

#[tokio::test]
async fn what_witnesses_cosigned_is_kept_and_published() {
    let place = Place::new();
    let records = place.records();
    let publisher = place.publish(&records).unwrap();
    add(&records, 3, "a");
    let three = publisher.wait(2).await.unwrap();
    let (mut witnessed, sink) = (publisher.witnessed(), publisher.sink());
    assert_eq!(*witnessed.borrow(), None);
    let signed = cosigned(&three, 5);
    sink.put(signed.clone(), Timestamp::UNIX_EPOCH);
    witnessed.wait_for(|witnessed| witnessed.as_ref().is_some_and(|witnessed| witnessed.size == 3)).await.unwrap();
    let kept = place.path("data/witnessed/checkpoint");
    assert_eq!(fs::read(&kept).unwrap(), signed.to_text().into_bytes());
    // The published log's own files do not change: each byte of them is checked with the log's key alone.
    assert_eq!(place.checkpoint(), three.checkpoint.as_bytes());
    publisher.close();
    let publisher = place.publish(&records).unwrap();
    assert_eq!(publisher.witnessed().borrow().as_ref().unwrap().size, 3);
    assert!(place.verify(&publisher, None).ok);
    // An older one that comes late takes nothing back.
    add(&records, 1, "b");
    let four = publisher.wait(3).await.unwrap();
    let (mut witnessed, sink) = (publisher.witnessed(), publisher.sink());
    sink.put(cosigned(&four, 6), Timestamp::UNIX_EPOCH);
    witnessed.wait_for(|witnessed| witnessed.as_ref().unwrap().size == 4).await.unwrap();
    sink.put(cosigned(&three, 7), Timestamp::UNIX_EPOCH);
    witnessed.changed().await.unwrap();
    assert_eq!(witnessed.borrow().as_ref().unwrap().size, 4);
    publisher.close();
    records.close();
}

/// Cosignatures of a year's turn: what was the newest when half a month ended stays, whatever happens to the process.
#[tokio::test]
async fn the_last_witnessed_checkpoint_of_each_half_of_a_month_is_kept() {
    let place = Place::new();
    let records = place.records();
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let seconds = |text: &str| u64::try_from(at(text).as_second()).unwrap();
    let kept = || {
        let kept = witnessed_kept(&place.path("data")).unwrap();
        kept.iter().map(|kept| kept.checkpoint().size).collect::<Vec<_>>()
    };
    assert_eq!(kept(), [0_u64; 0]);
    // (entries, cosigned at, by a witness that says so, and what is kept then)
    let steps: [(u64, &str, &str, &[u64]); 8] = [
        (1, "2026-12-31T15:59:58Z", "2026-12-31T15:59:58Z", &[]),
        (2, "2026-12-31T15:59:59Z", "2026-12-31T15:59:59Z", &[]),
        (3, "2026-12-31T16:00:00Z", "2026-12-31T16:00:00Z", &[2]),
        // A witness whose clock is a year ahead changes nothing.
        (4, "2027-01-10T00:00:00Z", "2028-01-01T00:00:00Z", &[2]),
        (5, "2027-01-15T15:59:59Z", "2027-01-15T15:59:59Z", &[2]),
        (6, "2027-03-20T00:00:00Z", "2027-03-20T00:00:00Z", &[5, 2]),
        // Nor does a clock that was set back take away what is kept: a larger log shows more.
        (7, "2026-12-20T00:00:00Z", "2026-12-20T00:00:00Z", &[5, 2]),
        (8, "2027-03-21T00:00:00Z", "2027-03-21T00:00:00Z", &[5, 7]),
    ];
    for (number, now, said, sizes) in steps {
        // Each time by another process.
        let mut options = place.options();
        options.now = at(now);
        let publisher = Publisher::start(&records, &options).unwrap();
        add(&records, 1, &number.to_string());
        let published = publisher.wait(number - 1).await.unwrap();
        let (mut witnessed, sink) = (publisher.witnessed(), publisher.sink());
        let before = fs::read(place.path("data/witnessed/checkpoint"));
        sink.put(cosigned(&published, seconds(said)), at(now));
        witnessed.wait_for(|seen| seen.as_ref().is_some_and(|seen| seen.size == number)).await.unwrap();
        publisher.close();
        assert_eq!(kept(), sizes, "{number}");
        // As if it had died between the two writes: the same again.
        if let Ok(before) = before {
            fs::write(place.path("data/witnessed/checkpoint"), before).unwrap();
            let publisher = Publisher::start(&records, &options).unwrap();
            let (mut witnessed, sink) = (publisher.witnessed(), publisher.sink());
            sink.put(cosigned(&published, seconds(said)), at(now));
            witnessed.wait_for(|seen| seen.as_ref().is_some_and(|seen| seen.size == number)).await.unwrap();
            publisher.close();
            assert_eq!(kept(), sizes, "{number}");
        }
    }
    // What is damaged is left out, and the others are there.
    fs::write(place.path("data/witnessed/before-2027-01-16"), b"?").unwrap();
    assert_eq!(kept(), [7]);
    records.close();
}

#[tokio::test]
async fn a_log_behind_its_witnessed_checkpoint_is_not_signed() {
    let place = Place::new();
    let records = place.records();
    let publisher = place.publish(&records).unwrap();
    add(&records, 3, "a");
    let three = publisher.wait(2).await.unwrap();
    publisher.close();
    let kept = place.path("data/witnessed/checkpoint");
    fs::create_dir_all(kept.parent().unwrap()).unwrap();
    let key = Ed25519Signer::from_seed("gw.example/audit", &[7; 32]).unwrap();
    let longer = Checkpoint { origin: "gw.example/audit".to_owned(), size: 9, root: three.root }.sign(&[&key]).unwrap();
    fs::write(&kept, longer.to_text()).unwrap();
    assert!(matches!(place.publish(&records), Err(PublishError::Behind { signed: 9, size: 3, .. })));
    let other = Checkpoint { origin: "gw.example/audit".to_owned(), size: 2, root: three.root }.sign(&[&key]).unwrap();
    fs::write(&kept, other.to_text()).unwrap();
    assert!(matches!(place.publish(&records), Err(PublishError::Root { signed: 2, .. })));
    let stranger = Ed25519Signer::from_seed("gw.example/audit", &[8; 32]).unwrap();
    let forged = Checkpoint { origin: "gw.example/audit".to_owned(), size: 3, root: three.root };
    fs::write(&kept, forged.sign(&[&stranger]).unwrap().to_text()).unwrap();
    assert!(matches!(place.publish(&records), Err(PublishError::Checkpoint(_))));
    fs::write(&kept, cosigned(&three, 5).to_text()).unwrap();
    place.publish(&records).unwrap().close();
    // What is asked of witnesses before anything is signed anew is what was signed last.
    let resumed = Publisher::resume(&records, &place.options()).unwrap();
    assert_eq!(resumed.signed().unwrap().checkpoint().size, 3);
    fs::remove_file(place.path("data/log/checkpoint")).unwrap();
    assert_eq!(resumed.signed().unwrap().checkpoint().root, three.root);
    records.close();
}
