//! Places at which a test may kill the process, one at every step between a request and the published log.
//!
//! The shipped binary has them all, so that tests run what users run. None can be reached from outside: `kouan serve` and
//! `kouan witness` read `KOUAN_CRASHPOINT` and `KOUAN_CRASHPOINT_COUNTS` once at their start, and without them a point is one relaxed
//! load. `kouan serve --crashpoints` lists them; the test asks how often a story passes each and kills at each pass, so a new one
//! needs no more than its line here and its place in the code.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Every point and what is true there. A name begins with the step of the flow that it is in.
pub const POINTS: [(&str, &str); 52] = [
    ("start.before_recovery", "the records are open, the `recovery` leaf is not recorded"),
    ("start.after_recovery", "the `recovery` leaf is durable, nothing else has started"),
    ("change.before_commit", "a change of the catalog or of an agreement is written, not committed"),
    ("change.after_fsync", "the change is durable, nobody has been told"),
    ("change.before_answer", "the change is durable, its caller has no answer"),
    ("s4.before_commit", "decision, lease, hold and first grant are written, not committed"),
    ("s4.after_fsync", "they are durable, nobody has been told"),
    ("s4.before_stream", "the request knows of its lease, no stream is registered"),
    ("s5.before_head", "the gate is open, the response head has not been sent"),
    ("s6.after_read", "a frame is read and verified, none of it has been handed over"),
    ("s7.after_pass", "a piece has passed the gate, the transport does not have it yet"),
    ("s7.at_edge", "the last byte of what is granted has passed the gate"),
    ("s8.before_commit", "the next grant and the deliveries so far are written, not committed"),
    ("s8.after_fsync", "the next grant is durable, nobody has been told"),
    ("s8.before_open", "the stream knows of its next grant, the gate has not opened further"),
    ("s9.verified", "a signed acknowledgement is verified, nothing of it is recorded"),
    ("s10.before_commit", "receipt, billed units and posting are written, not committed"),
    ("s10.after_fsync", "the receipt is durable, nobody has been told"),
    ("s11.before_answer", "the receipt is durable, its consumer has no answer"),
    ("s12.settle_before_commit", "the deliveries of an ended stream are written, not committed"),
    ("s12.settle_after_fsync", "they are durable"),
    ("s12.close_before_commit", "the end of a lease, its leaf and its release are written, not committed"),
    ("s12.close_after_fsync", "the end of the lease is durable"),
    ("s13.between_facts", "one of several facts is written, none is synced"),
    ("s13.before_names", "new tiles are synced beside their place, none has its name"),
    ("s13.between_files", "one of several tiles has its name"),
    ("s13.before_folders", "all have their names, the folders are not synced"),
    ("s13.before_tidying", "tiles are durable, replaced partial ones are still there"),
    ("s14.before_guard", "tiles are durable, no guard says that they are about to be signed"),
    ("s14.between_guards", "the guard outside the data directory is written, the database's is not"),
    ("s14.guard_before_commit", "the database's guard is written, not committed"),
    ("s14.after_guard", "both guards are durable, nothing is signed"),
    ("s14.after_signature", "a checkpoint is signed, no file has it"),
    ("s14.after_publish", "the checkpoint is published, nobody has been told"),
    ("s14.after_witness", "a quorum of witnesses has cosigned the checkpoint, nothing here has their lines"),
    ("file.before_rename", "a replacement is synced beside its place: a guard or a checkpoint"),
    ("file.after_rename", "it has its name, the folder is not synced"),
    ("s15.before_commit", "the closing of a month is written, not committed"),
    ("s15.after_fsync", "the closing of a month is durable"),
    ("erase.next_synced", "the next key of keys is on disk, no person's key is wrapped with it"),
    ("erase.before_commit", "an erasure and everybody's keys, wrapped anew, are written, not committed"),
    ("erase.after_fsync", "they are durable, the key that now counts does not have its name yet"),
    ("erase.before_destroying", "it has its name, the key that it replaces is whole"),
    ("erase.overwritten", "the key that was replaced is overwritten and synced, its file is still there"),
    ("erase.removed", "its file is gone, the write-ahead log still holds what was overwritten"),
    ("erase.wal_emptied", "the write-ahead log is empty, the store does not know that the key is destroyed"),
    ("erase.before_answer", "an erasure is finished, the second officer has no answer"),
    ("rotate.before_commit", "keys of the log have vouched for their successors, nothing of it is recorded"),
    ("rotate.after_fsync", "that is durable, the successor has signed no checkpoint"),
    ("witness.before_key", "a witness's memory is made, its key is not"),
    ("witness.before_commit", "a witness has written what it is about to cosign, not committed it"),
    ("witness.after_fsync", "it is durable, the cosignature has not left the witness"),
];

/// Kills the process here if a test armed this point; the name must stand in [`POINTS`], which the compiler checks.
#[macro_export]
macro_rules! crashpoint {
    ($name:literal) => {{
        const POINT: usize = $crate::crashpoint::position($name);
        $crate::crashpoint::pass(POINT);
    }};
}

/// Whether passes are counted: a point is armed, or a test asked how often each is passed.
static COUNTED: AtomicBool = AtomicBool::new(false);
static PASSED: [AtomicU64; POINTS.len()] = [const { AtomicU64::new(0) }; POINTS.len()];
/// The point that kills, and at which of its passes.
static ARMED: OnceLock<(usize, u64)> = OnceLock::new();

/// Where a point stands in [`POINTS`].
///
/// # Panics
///
/// There is no such point. [`crashpoint!`](crate::crashpoint!) calls this while compiling.
#[expect(clippy::panic, clippy::indexing_slicing, reason = "evaluated by the compiler: it is a compile error")]
pub const fn position(name: &str) -> usize {
    let mut number = 0;
    while number < POINTS.len() {
        if same(POINTS[number].0.as_bytes(), name.as_bytes()) {
            return number;
        }
        number += 1;
    }
    panic!("a crash point that is not listed in `gateway_store::crashpoint::POINTS`");
}

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, within the length that is compared first")]
const fn same(one: &[u8], other: &[u8]) -> bool {
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

/// Passes a point: returns unless it is armed for this pass.
#[inline]
pub fn pass(point: usize) {
    if COUNTED.load(Ordering::Relaxed) {
        counted_pass(point);
    }
}

/// Whether passes are counted, as they are where any point is armed. Only what would cost something to find out is asked for
/// behind this.
#[inline]
pub fn is_counted() -> bool {
    COUNTED.load(Ordering::Relaxed)
}

#[cold]
fn counted_pass(point: usize) {
    let Some(passed) = PASSED.get(point) else { return };
    let number = passed.fetch_add(1, Ordering::Relaxed).saturating_add(1);
    if ARMED.get() != Some(&(point, number)) {
        return;
    }
    // SAFETY: both take numbers and keep nothing. What the kernel has of this process's writes it keeps; nothing more of
    // the process runs: no destructor, no flush, no answer.
    unsafe {
        libc::kill(libc::getpid(), libc::SIGKILL);
        libc::_exit(137);
    }
}

/// Why nothing is armed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArmError {
    /// There is no such point.
    #[error("`{0}` is no crash point: `kouan serve --crashpoints` lists them")]
    Unknown(String),
    /// The count is none.
    #[error("`{0}` is no pass of a crash point: 1 or more, as in `s4.after_fsync:2`")]
    Pass(String),
    /// One process dies once.
    #[error("`{0}` comes after another crash point was armed")]
    Twice(String),
}

/// Arms what `KOUAN_CRASHPOINT` says: `NAME`, or `NAME:N` for the Nth pass. Once, before anything runs.
///
/// # Errors
///
/// [`ArmError`]: nothing is armed.
pub fn arm(text: &str) -> Result<(), ArmError> {
    let (name, pass) = match text.split_once(':') {
        None => (text, 1),
        Some((name, pass)) => {
            let number = pass.parse().ok().filter(|number| *number > 0);
            (name, number.ok_or_else(|| ArmError::Pass(pass.to_owned()))?)
        }
    };
    let known = POINTS.iter().position(|(known, _)| *known == name);
    let point = known.ok_or_else(|| ArmError::Unknown(name.to_owned()))?;
    if ARMED.set((point, pass)).is_err() {
        return Err(ArmError::Twice(text.to_owned()));
    }
    count();
    Ok(())
}

/// From now on passes are counted. Once, before anything runs.
pub fn count() {
    COUNTED.store(true, Ordering::Relaxed);
}

/// How often each point has been passed since [`count`] or [`arm`].
pub fn counts() -> impl Iterator<Item = (&'static str, u64)> {
    POINTS.iter().zip(&PASSED).map(|((name, _), passed)| (*name, passed.load(Ordering::Relaxed)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_are_unique_what_is_not_one_arms_nothing_and_passes_are_counted() {
        for (number, (name, _)) in POINTS.iter().enumerate() {
            assert_eq!(position(name), number, "`{name}` stands twice");
        }
        for (text, want) in [
            ("s4.after", ArmError::Unknown("s4.after".to_owned())),
            ("", ArmError::Unknown(String::new())),
            ("s4.after_fsync:0", ArmError::Pass("0".to_owned())),
            ("s4.after_fsync:", ArmError::Pass(String::new())),
        ] {
            assert_eq!(arm(text).unwrap_err(), want);
        }
        assert!(!is_counted());
        pass(0);
        assert!(counts().all(|(_, passed)| passed == 0));
        count();
        pass(0);
        pass(2);
        pass(2);
        let passed: Vec<_> = counts().filter(|(_, passed)| *passed > 0).collect();
        assert_eq!(passed, [(POINTS[0].0, 1), (POINTS[2].0, 2)]);
    }
}
