#![allow(clippy::unwrap_used)]
use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn windows_are_hours_and_for_files_days_in_shanghai() {
    let late = at("2026-11-22T15:59:59.999Z");
    let ends = |read: &Read, now| read.window(now).1;
    assert_eq!(ends(&Read::Search, late), at("2026-11-22T16:00:00Z"));
    assert_eq!(ends(&Read::Files, late), at("2026-11-22T16:00:00Z"));
    assert_eq!(ends(&Read::Files, at("2026-11-22T16:00:00Z")), at("2026-11-23T16:00:00Z"));
    assert_eq!(ends(&Read::Entry, at("2026-11-22T16:00:00Z")), at("2026-11-22T17:00:00Z"));
    let (before, after) = (Read::Proof.window(late), Read::Proof.window(at("2026-11-22T16:00:00Z")));
    assert_eq!(after.0, before.0 + 1);
}

#[test]
fn what_is_counted_is_taken_out_once_and_ended_windows_are_forgotten() {
    let accesses = Accesses::default();
    let (key, ended) = (Digest::of(b"open"), Digest::of(b"ended"));
    let (now, earlier) = (at("2026-11-22T10:00:00Z"), at("2026-11-22T09:00:00Z"));
    assert!(!accesses.add(&key, None), "a window that nobody has opened");
    accesses.join(key, at("2026-11-22T11:00:00Z"), 0, None);
    accesses.join(ended, earlier, 1, Some((7, 7)));
    assert!(accesses.add(&key, Some((5, 9))) && accesses.add(&key, None) && accesses.add(&key, Some((3, 4))));
    let mut waiting = accesses.waiting();
    waiting.sort_by_key(|waiting| *waiting == key);
    let taken = waiting.iter().filter_map(|key| accesses.take(key, now));
    let counts: Vec<_> = taken.map(|counted| (counted.reads, counted.range)).collect();
    assert_eq!(counts, [(1, Some((7, 7))), (3, Some((3, 9)))]);
    assert_eq!(accesses.waiting(), [], "once");
    assert!(accesses.add(&key, None) && !accesses.add(&ended, None));
    accesses.forget(at("2026-11-22T12:00:00Z"));
    assert!(accesses.add(&key, None), "what is not written is kept");
}
