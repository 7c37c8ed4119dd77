//! A Bloom filter of what the table holds: four bits of one word for each entry. It may say yes to what is not there, never no
//! to what is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::generation::Generation;
use super::{Kind, Print, table};

/// With as many an entry few in a thousand pass that are not there.
const BITS_MIN: u64 = 16;

/// A new filter has room for twice as many entries.
const BITS_EACH: u64 = 2 * BITS_MIN;

/// 4 MiB, of which memory is used only as it fills.
const WORDS_MIN: u64 = 1 << 19;

/// 64 MiB. A store of more than some twenty million decisions has more that pass for nothing.
const WORDS_MAX: u64 = 1 << 23;

/// Entries that are read before anybody asks; more are read beside the work.
const AT_ONCE: u64 = 65_536;

#[derive(Debug)]
pub(super) struct Filter {
    words: Box<[AtomicU64]>,
    /// Whether all that was in the table is in here.
    full: AtomicBool,
    /// What was in the table.
    entries: u64,
}

impl Filter {
    pub(super) fn for_entries(entries: u64) -> Self {
        let words = (entries.saturating_mul(BITS_EACH) / 64).clamp(WORDS_MIN, WORDS_MAX).next_power_of_two();
        let words = std::iter::repeat_with(AtomicU64::default).take(usize::try_from(words).unwrap_or(1)).collect();
        Self { words, full: AtomicBool::new(false), entries }
    }

    /// Of what is in the table, and of a generation.
    pub(super) fn full(connection: &Connection, generation: &Generation, entries: u64) -> rusqlite::Result<Self> {
        let filter = Self::for_entries(entries);
        generation.each(|kind, print| filter.add(kind, print));
        fill(&filter, connection, &AtomicBool::new(false))?;
        Ok(filter)
    }

    /// Whether a larger one would let less through.
    pub(super) fn is_small_for(&self, entries: u64) -> bool {
        let words = u64::try_from(self.words.len()).unwrap_or(u64::MAX);
        words < WORDS_MAX && words.saturating_mul(64) < entries.saturating_mul(BITS_MIN)
    }

    pub(super) fn add(&self, kind: Kind, print: Print) {
        let (word, bits) = self.place(kind, print);
        if let Some(word) = word {
            word.fetch_or(bits, Ordering::Relaxed);
        }
    }

    /// What the table gives to a reader was added before it was committed; SQLite's own locks order the two.
    pub(super) fn may_hold(&self, kind: Kind, print: Print) -> bool {
        if !self.full.load(Ordering::Acquire) {
            return true;
        }
        let (word, bits) = self.place(kind, print);
        word.is_none_or(|word| word.load(Ordering::Relaxed) & bits == bits)
    }

    /// Prints are the beginnings of SHA-256 digests: their own bits are as good as any hash of them.
    fn place(&self, kind: Kind, print: Print) -> (Option<&AtomicU64>, u64) {
        let print = u64::from_ne_bytes(print.to_ne_bytes()).rotate_left(21 * u32::try_from(kind.number()).unwrap_or(0));
        let bits = (0..4).fold(0, |bits, part| bits | 1 << (print >> (6 * part) & 63));
        let word = usize::try_from(print >> 24).unwrap_or(0) & (self.words.len() - 1);
        (self.words.get(word), bits)
    }
}

/// A thread that reads the table into the filter.
pub(crate) struct Filling {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Filling {
    pub(super) fn begin(filter: Arc<Filter>, connection: Connection) -> rusqlite::Result<Self> {
        let stop = Arc::<AtomicBool>::default();
        if filter.entries <= AT_ONCE {
            fill(&filter, &connection, &stop)?;
            return Ok(Self { stop, thread: None });
        }
        let stopped = Arc::clone(&stop);
        let run = move || {
            if let Err(error) = fill(&filter, &connection, &stopped) {
                tracing::warn!(%error, "the filter is not filled: what is looked for is looked for in the database");
            }
        };
        let thread = std::thread::Builder::new().name("kouan-filter".to_owned()).spawn(run);
        let thread = thread.inspect_err(|error| tracing::warn!(%error, "no thread to fill the filter")).ok();
        Ok(Self { stop, thread })
    }

    /// Ends it, done or not.
    pub(crate) fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn fill(filter: &Filter, connection: &Connection, stop: &AtomicBool) -> rusqlite::Result<()> {
    let whole = table::each(connection, |kind, print| {
        filter.add(kind, print);
        !stop.load(Ordering::Relaxed)
    })?;
    filter.full.store(whole, Ordering::Release);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_larger_filter_holds_what_is_in_the_table_and_in_memory() {
        let print = |number: u64| super::super::print(&catalog::Digest::of(&number.to_be_bytes()));
        let mut connection = Connection::open_in_memory().unwrap();
        crate::schema::migrate(&mut connection).unwrap();
        let mut held: Vec<_> = (0..500).map(|number| (print(number), 1)).collect();
        held.sort_unstable();
        table::insert_parts(&connection, 1, &super::super::run::parts(&held)).unwrap();
        table::insert_run(&connection, Kind::Facts, 1, held.len()).unwrap();
        let generation = Generation::default();
        (500..900).for_each(|number| generation.add(Kind::Lease, print(number), 1));
        let filter = Filter::full(&connection, &generation, table::entries(&connection).unwrap()).unwrap();
        assert!((0..500).all(|number| filter.may_hold(Kind::Facts, print(number))));
        assert!((500..900).all(|number| filter.may_hold(Kind::Lease, print(number))));
        assert!((900..1900).filter(|number| filter.may_hold(Kind::Facts, print(*number))).count() < 20);
    }

    #[test]
    fn what_was_added_is_held_and_little_else() {
        let filter = Filter::for_entries(1000);
        let print = |number: u64| super::super::print(&catalog::Digest::of(&number.to_be_bytes()));
        assert!(filter.may_hold(Kind::Lease, print(1)), "not filled yet");
        filter.full.store(true, Ordering::Release);
        let kinds = [Kind::Facts, Kind::Lease, Kind::Idempotency];
        for (number, kind) in (0..1_500_000).zip(kinds.into_iter().cycle()) {
            filter.add(kind, print(number));
        }
        assert!(
            (0..1_500_000).zip(kinds.into_iter().cycle()).all(|(number, kind)| filter.may_hold(kind, print(number)))
        );
        let others = (2_000_000..2_100_000_u64).filter(|number| filter.may_hold(Kind::Facts, print(*number))).count();
        assert!(others < 2_000, "{others} of 100,000 pass for nothing");
        assert!(!filter.is_small_for(2_000_000) && filter.is_small_for(2_200_000));
        let of_another_kind = (0..300_000_u64).step_by(3).filter(|number| filter.may_hold(Kind::Lease, print(*number)));
        assert!(of_another_kind.count() < 2_000, "the kinds are mixed up");
    }
}
