//! H3: the disk after a crash at any moment. A run is traced; from the trace the disk is made again as it may be when the
//! machine loses power there: only what was synced, everything, or a random part of what was not, torn at sectors. Each image
//! is opened with the real code: what was answered or read before that moment is there, and the published log goes
//! on.
//!
//! SQLite copies its write-ahead log into the database several times in the run, and disks are made in the midst of it.
//!
//! The harness is tried on stores that must fail: one that does not sync its write-ahead log (SQLite's
//! `synchronous=NORMAL` alone), one that does not sync folders, one that answers before it has committed, one that does not sync the
//! database before it uses the log again. Their traces are the real one without those calls.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod check;
mod child;
mod disk;
#[path = "../shapes/files.rs"]
mod files;
mod trace;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Instant;

use check::Answers;
use disk::{Disk, Loss};
use trace::Event;

/// Moments at which the disk is made again, each in several ways.
const MOMENTS: usize = 160;

/// Of the writes by which the write-ahead log is copied, every so many is a moment more.
const COPIES: usize = 4;

/// Torn disks at each moment.
const TORN: u64 = 3;

fn main() {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("child") {
        return child::run(Path::new(&arguments.next().unwrap()));
    }
    let begun = Instant::now();
    let dir = tempfile::Builder::new().prefix("kouan-").tempdir_in(check::memory()).unwrap();
    child::prepare(dir.path());
    let events = trace::record(dir.path(), &dir.path().join("trace"));
    let syncs = events.iter().filter(|event| matches!(event, Event::Sync { .. })).count();
    assert!(syncs > 50, "{syncs} syncs of {} calls", events.len());

    let database = dir.path().join("data/kouan.db");
    let images = every_image(&events, dir.path(), 1);
    let copies = copying(&events, &database);
    println!("{copies} writes of the write-ahead log's pages into the database");
    assert!(copies > 50, "the write-ahead log is hardly copied");
    println!("{} calls, {syncs} syncs, {images} disks, each whole, in {:?}", events.len(), begun.elapsed());
    assert!(images > MOMENTS * 3, "too few disks");

    let begun = Instant::now();

    // Meta-tests: each of these must be caught.
    let wal = dir.path().join("data/kouan.db-wal");
    let normal = without(&events, |event| matches!(event, Event::Sync { path, .. } if *path == wal));
    caught("a write-ahead log that is not synced", &normal, dir.path());
    let folders = without(&events, |event| matches!(event, Event::Sync { folder: true, .. }));
    caught("folders that are not synced", &folders, dir.path());
    caught("an answer before its commit", &answered_early(&events, &wal), dir.path());
    let first = events.iter().position(|event| matches!(event, Event::Answer(_))).unwrap();
    let (opening, running) = events.split_at(first);
    let copied = without(running, |event| matches!(event, Event::Sync { path, .. } if *path == database));
    caught("a database that is not synced before its log is used again", &[opening, &copied].concat(), dir.path());
    println!("four faulty stores caught in {:?}", begun.elapsed());
}

fn without(events: &[Event], dropped: impl Fn(&Event) -> bool) -> Vec<Event> {
    let kept: Vec<Event> = events.iter().filter(|event| !dropped(event)).cloned().collect();
    assert!(kept.len() < events.len(), "nothing to leave out");
    kept
}

/// Each answer one sync of the write-ahead log earlier.
fn answered_early(events: &[Event], wal: &Path) -> Vec<Event> {
    let mut early: Vec<Event> = Vec::new();
    for event in events {
        if let Event::Answer(_) = event {
            let sync = early.iter().rposition(|event| matches!(event, Event::Sync { path, .. } if path == wal));
            early.insert(sync.unwrap(), event.clone());
        } else {
            early.push(event.clone());
        }
    }
    early
}

fn is_copy(event: &Event, database: &Path) -> bool {
    matches!(event, Event::Write { path, .. } if path == database)
}

/// Writes into the database while it is in use.
fn copying(events: &[Event], database: &Path) -> usize {
    let running = events.iter().skip_while(|event| !matches!(event, Event::Answer(_)));
    running.filter(|event| is_copy(event, database)).count()
}

fn caught(what: &str, events: &[Event], dir: &Path) {
    std::panic::set_hook(Box::new(|_| {}));
    let passed = catch_unwind(AssertUnwindSafe(|| every_image(events, dir, 1)));
    drop(std::panic::take_hook());
    match passed {
        Ok(_) => panic!("the harness does not notice {what}"),
        Err(found) => println!("{what}: {}", said(&*found)),
    }
}

fn said(panicked: &(dyn std::any::Any + Send)) -> &str {
    let text = panicked.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panicked.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

/// Makes and opens disks along the trace; how many.
fn every_image(events: &[Event], dir: &Path, seed: u64) -> usize {
    let (mut disk, mut answers) = (Disk::default(), Answers::default());
    let step = (events.len() / MOMENTS).max(1);
    let (mut images, mut copies, database) = (0, 0, dir.join("data/kouan.db"));
    for (number, event) in events.iter().enumerate() {
        match event {
            Event::Answer(line) => answers.add(line),
            event => disk.apply(event),
        }
        // An answer is the moment from which on something must be there; a copy of the log is what must not lose it.
        let copied = answers.any() && is_copy(event, &database);
        copies += usize::from(copied);
        if number % step != 0 && !matches!(event, Event::Answer(_)) && !(copied && copies % COPIES == 0) {
            continue;
        }
        let torn = (0..TORN).map(|which| Loss::Torn(seed ^ (number as u64) << 8 ^ which));
        for loss in [Loss::Unsynced, Loss::Nothing].into_iter().chain(torn) {
            let image = tempfile::Builder::new().prefix("kouan-").tempdir_in(check::memory()).unwrap();
            disk.write(loss, dir, image.path());
            let opened = catch_unwind(AssertUnwindSafe(|| check::open(image.path(), dir, &answers)));
            if let Err(found) = opened {
                panic!("call {number} ({event:?}), {loss:?}: {}", said(&*found));
            }
            images += 1;
        }
    }
    images
}
