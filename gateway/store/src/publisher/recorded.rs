//! What this run has recorded and not published yet, as hashes taken when it was written: what the database gives back later is
//! held against them, so that a bit that flips in between is not signed.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use gateway_audit::NodeHash;
use gateway_audit::tree::leaf_hash;

/// So many are remembered while nothing can be published: 32 MiB.
const MAX: usize = 1 << 20;

/// Hashes of consecutive entries.
#[derive(Debug, Default)]
pub(super) struct Recorded(Mutex<Run>);

#[derive(Debug, Default)]
struct Run {
    first: u64,
    hashes: VecDeque<NodeHash>,
}

impl Run {
    fn end(&self) -> u64 {
        self.first + self.hashes.len() as u64
    }
}

impl Recorded {
    /// A commit's entries.
    pub(super) fn add(&self, first: u64, hashes: &[NodeHash]) {
        let mut run = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if run.end() != first {
            *run = Run { first, hashes: VecDeque::new() };
        }
        let room = MAX.saturating_sub(run.hashes.len());
        run.hashes.extend(hashes.iter().take(room));
    }

    /// Compares entries, which begin with `first`, as far as they are remembered; those before are forgotten. The index of the
    /// first that is another.
    pub(super) fn check(&self, first: u64, entries: &[Vec<u8>]) -> Result<(), u64> {
        let mut run = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while run.first < first && run.hashes.pop_front().is_some() {
            run.first += 1;
        }
        let skipped = usize::try_from(run.first.saturating_sub(first)).unwrap_or(usize::MAX);
        let known = (run.first..).zip(&run.hashes).zip(entries.iter().skip(skipped));
        match known.into_iter().find(|((_, hash), entry)| **hash != leaf_hash(entry)) {
            Some(((index, _), _)) => Err(index),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn what_is_remembered_is_compared_and_what_is_not_is_not() {
        let entries: Vec<Vec<u8>> = (0..6_u8).map(|number| vec![number]).collect();
        let hashes: Vec<NodeHash> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        let recorded = Recorded::default();
        assert_eq!(recorded.check(0, &entries), Ok(()), "nothing is known of an earlier run's");
        recorded.add(2, &hashes[2..4]);
        recorded.add(4, &hashes[4..]);
        for at in 0..6 {
            let mut other = entries.clone();
            other[at] = b"another".to_vec();
            let wanted = if at < 2 { Ok(()) } else { Err(at as u64) };
            assert_eq!(recorded.check(0, &other), wanted);
        }
        assert_eq!(recorded.check(3, &entries[3..]), Ok(()));
        assert_eq!(recorded.check(3, &entries[2..]), Err(3));
        recorded.add(9, &hashes[..1]);
        assert_eq!(recorded.check(9, &entries[..1]), Ok(()));
        assert_eq!(recorded.check(9, &entries[1..]), Err(9));
    }
}
