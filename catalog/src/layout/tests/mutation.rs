//! Any bytes, and any change of a sound file, are refused or read, and never bring the process down.

use std::sync::Arc;

use parquet::file::properties::WriterProperties;
use proptest::prelude::*;

use super::{read, write};
use crate::FileIndex;
use crate::file_index::BLOCK_BYTES;
use crate::layout::{Limits, index, pack};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn ranges_are_verified_whole(ranges in proptest::collection::vec((0.0f64..1.0, 0.0f64..1.0), 20)) {
        let file = FILE.with(Clone::clone);
        let index = INDEX.with(Clone::clone);
        for (a, b) in ranges {
            let size = file.len() as f64;
            let (a, b) = ((a * size) as u64, (b * size) as u64);
            let range = a.min(b)..a.max(b).max(a.min(b) + 1);
            let aligned = index.aligned(&range);
            prop_assert!(aligned.start <= range.start && range.end <= aligned.end && aligned.end <= index.bytes);
            let bytes = &file[usize::try_from(aligned.start).unwrap()..usize::try_from(aligned.end).unwrap()];
            prop_assert!(index.verify(aligned.start, bytes));
            prop_assert!(aligned.end - aligned.start < range.end - range.start + 2 * BLOCK_BYTES);
            let mut changed = bytes.to_vec();
            let at = usize::try_from(u64::midpoint(range.start - aligned.start, range.end)).unwrap() % changed.len();
            changed[at] ^= 0x40;
            prop_assert!(!index.verify(aligned.start, &changed));
        }
    }
}

thread_local! {
    static FILE: Arc<Vec<u8>> = Arc::new(write(40_000, WriterProperties::builder().build()));
    static INDEX: Arc<FileIndex> = Arc::new(index(&FILE.with(Clone::clone), &Limits::default()).unwrap());
    static SMALL: Arc<Vec<u8>> = Arc::new(write(60, WriterProperties::builder().set_bloom_filter_enabled(true).set_bloom_filter_max_ndv(10).build()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = read(&bytes);
        let mut framed = b"PAR1".to_vec();
        framed.extend_from_slice(&bytes);
        framed.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_le_bytes());
        framed.extend_from_slice(b"PAR1");
        let _ = read(&framed);
    }

    #[test]
    fn no_mutation_panics(changes in proptest::collection::vec((0.0f64..1.0, 0u8..=255, proptest::bool::ANY), 1..4)) {
        let mut file = SMALL.with(|file| (**file).clone());
        let footer = file.len() / 2;
        for (at, value, in_footer) in changes {
            // The footer is where most of the meaning is.
            let from = if in_footer { footer } else { 0 };
            let at = from + (at * (file.len() - from) as f64) as usize;
            file[at] = value;
        }
        if let Ok(layout) = read(&file) {
            let mut packed = Vec::new();
            if layout.gaps().is_empty() {
                let _ = layout.index(&file);
            } else if pack(&file, &layout, &mut packed).is_ok() {
                let _ = read(&packed);
            }
        }
    }
}
