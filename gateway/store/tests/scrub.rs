//! A scrub of records that are in use: whatever has flipped on the disk is named, and nothing else is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use catalog::Digest;
use gateway_audit::Ed25519Signer;
use gateway_store::{
    Objects, OpenOptions, Place, PublishError, Publisher, PublisherOptions, Records, ScrubError, Scrubbed, Transaction,
};
use jiff::Timestamp;
use serde_json::json;

const ENTRIES: usize = 600;

struct Store {
    dir: tempfile::TempDir,
    records: Records,
    publisher: Publisher,
}

impl Store {
    fn new(entries: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("log.key");
        fs::write(&key, Ed25519Signer::key_file("gw.example/audit", &[7; 32]).unwrap()).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        let records = Records::open(&dir.path().join("data"), OpenOptions::new(Timestamp::now())).unwrap().0;
        let mut options = PublisherOptions::new(key, dir.path().join("guard.json"));
        options.interval = Duration::from_millis(1);
        let publisher = Publisher::start(&records, &options).unwrap();
        let store = Self { dir, records, publisher };
        for first in (0..entries).step_by(50) {
            store.commit(first, 50.min(entries - first));
        }
        let objects = Objects::open(store.records.dir()).unwrap();
        let mut spool = objects.spool().unwrap();
        std::io::Write::write_all(&mut spool, &vec![7; 300_000]).unwrap();
        objects.adopt_spool(spool).unwrap();
        store.settled(entries);
        store
    }

    fn commit(&self, first: usize, count: usize) {
        let mut transaction = Transaction::new(Timestamp::now());
        for number in first..first + count {
            let facts = format!("{{\"facts\":{number}}}").into_bytes();
            let leaf = json!({"kind": "decision", "name": format!("entry-{number:04}"), "facts": Digest::of(&facts)});
            transaction.leaf(leaf.as_object().unwrap().clone());
            transaction.facts.push((Digest::of(&facts), facts));
        }
        self.records.commit_blocking(transaction).unwrap();
    }

    /// Everything is published, and in the database's own file.
    fn settled(&self, entries: usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            self.publisher.wait(entries as u64 - 1).await.unwrap();
            self.records.empty_wal().await.unwrap();
        });
    }

    fn scrub(&self) -> Scrubbed {
        self.records.scrub(&[self.publisher.key().clone()], &mut || true).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("data").join(name)
    }

    /// What is found with one byte of `path` changed, which is changed back.
    fn flipped(&self, path: &Path, at: usize) -> Vec<Place> {
        let mode = fs::metadata(path).unwrap().permissions();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        flip(path, at);
        let found = self.scrub();
        flip(path, at);
        fs::set_permissions(path, mode).unwrap();
        assert_eq!(found.flaws.len() as u64, found.count);
        found.flaws.into_iter().map(|flaw| flaw.place).collect()
    }
}

/// In place: the file is in use.
fn flip(path: &Path, at: usize) {
    use std::os::unix::fs::FileExt as _;
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at as u64).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at as u64).unwrap();
}

fn find(path: &Path, what: &str) -> usize {
    let bytes = fs::read(path).unwrap();
    bytes.windows(what.len()).position(|window| window == what.as_bytes()).unwrap()
}

#[test]
fn what_has_flipped_is_named() {
    let store = Store::new(ENTRIES);
    let clean = store.scrub();
    assert_eq!((clean.flaws.as_slice(), clean.entries), ([].as_slice(), ENTRIES as u64));
    // Facts, tiles, bundles and the object were all read.
    assert!(clean.files > ENTRIES as u64 && clean.bytes > 300_000, "{clean:?}");

    let database = store.path("kouan.db");
    for entry in [0_usize, 17, 255, 256, 599] {
        let at = find(&database, &format!("\"entry-{entry:04}\""));
        for byte in [at + 3, at + 9] {
            assert_eq!(store.flipped(&database, byte), [Place::Entry(entry as u64)], "byte {byte}");
        }
    }
    let facts = Digest::of(b"{\"facts\":41}");
    assert_eq!(store.flipped(&database, find(&database, "{\"facts\":41}") + 10), [Place::Facts(facts)]);

    // A full and a partial one of each level, at their ends too.
    for name in ["tile/0/000", "tile/0/002.p/88", "tile/1/000.p/2", "tile/entries/001", "tile/entries/002.p/88"] {
        let path = store.path("log").join(name);
        let bytes = usize::try_from(fs::metadata(&path).unwrap().len()).unwrap();
        for at in [0, 1, bytes / 2, bytes - 1] {
            assert_eq!(store.flipped(&path, at), [Place::File(format!("log/{name}"))], "byte {at}");
        }
    }
    let exported = format!("facts/{}.json", facts.hex());
    assert_eq!(store.flipped(&store.path(&exported), 3), [Place::File(exported.clone())]);
    let object = Digest::of(&vec![7; 300_000]);
    assert_eq!(store.flipped(&store.path(&format!("objects/{}", object.hex())), 299_999), [Place::Object(object)]);
    assert_eq!(store.flipped(&store.path("log/checkpoint"), 20), [Place::File("log/checkpoint".to_owned())]);
    assert_eq!(store.scrub().count, 0, "all of it is back");

    for name in ["log/tile/0/001", "log/tile/entries/000", exported.as_str()] {
        let (path, aside) = (store.path(name), store.path("aside"));
        fs::rename(&path, &aside).unwrap();
        assert_eq!(store.scrub().flaws[0].to_string(), format!("{name}: missing"));
        fs::rename(&aside, &path).unwrap();
    }
}

/// Pages of the database: whatever byte of a page's header and cell pointers flips, the scrub says so or it changes nothing.
#[test]
fn a_damaged_page_is_noticed() {
    let store = Store::new(60);
    let database = store.path("kouan.db");
    let at = find(&database, "\"entry-0030\"");
    let page = at / 8192 * 8192;
    let mut noticed = 0;
    for offset in 0..24 {
        let found = store.flipped(&database, page + offset);
        noticed += usize::from(!found.is_empty());
        for place in found {
            let named = match &place {
                Place::Entry(index) => *index < 60,
                Place::Table(name) => !name.is_empty(),
                _ => false,
            };
            assert!(named, "byte {offset}: {place}");
        }
    }
    assert!(noticed > 15, "only {noticed} of 24 bytes");
    assert_eq!(store.scrub().count, 0);
}

/// Reading again goes on beside writing, rests between slices and stops when it is told to.
#[test]
fn a_scrub_of_a_log_that_grows_finds_nothing_and_can_be_stopped() {
    let store = Store::new(300);
    std::thread::scope(|scope| {
        scope.spawn(|| (0..40).for_each(|round| store.commit(300 + round * 25, 25)));
        for _ in 0..6 {
            let scrubbed = store.scrub();
            assert_eq!(scrubbed.flaws, [], "{} entries", scrubbed.entries);
        }
    });
    store.settled(1300);
    let mut rests = 0;
    let stopped = store.records.scrub(&[store.publisher.key().clone()], &mut || {
        rests += 1;
        rests < 3
    });
    assert!(matches!(stopped, Err(ScrubError::Stopped)), "{stopped:?}");
    assert_eq!(rests, 3);
}

/// An entry that flips after it was recorded and before it is in a tile is not signed: nobody else has it.
#[test]
fn an_entry_that_flips_before_it_is_published_is_not_signed() {
    let store = Store::new(60);
    let mut options = PublisherOptions::new(store.dir.path().join("log.key"), store.dir.path().join("guard.json"));
    options.interval = Duration::from_hours(1);
    let Store { dir, records, publisher } = store;
    publisher.close();
    let publisher = Publisher::start(&records, &options).unwrap();
    let store = Store { dir, records, publisher };
    store.commit(60, 3);
    let other = rusqlite::Connection::open(store.path("kouan.db")).unwrap();
    let changed = other
        .execute("UPDATE entry SET body = cast(replace(body, 'entry-0061', 'entry-0071') AS BLOB) WHERE idx = 61", []);
    assert_eq!(changed.unwrap(), 1);
    let (before, problem) = (fs::read(store.path("log/checkpoint")).unwrap(), store.publisher.problem());
    let Store { dir, records, publisher } = store;
    publisher.close();
    let why = problem.borrow().clone().unwrap();
    assert_eq!(why, PublishError::Altered(61).to_string());
    assert_eq!(fs::read(dir.path().join("data/log/checkpoint")).unwrap(), before);
    records.close();
}
