#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use proptest::prelude::*;

use super::*;
use crate::sample::Sample;

fn virtual_file(sample: &Sample) -> Representation {
    crate::redact::build(&sample.footer, &[0, 3, 4]).unwrap()
}

#[test]
fn the_original_is_one_segment_with_its_own_digest() {
    let sample = Sample::small();
    let original = Representation::original(Arc::clone(&sample.index));
    assert_eq!(original.bytes(), sample.file.len() as u64);
    assert_eq!(original.etag(), format!("\"{}\"", Digest::of(&sample.file).hex()));
    assert_eq!(original.sha256(), Some(&Digest::of(&sample.file)));
    assert_eq!(original.unit_bytes(), sample.index.units.iter().map(|unit| unit.bytes).sum::<u64>());
    let whole = original.delivered(0..original.bytes());
    assert_eq!(whole.iter().map(|part| part.range.end - part.range.start).sum::<u64>(), original.unit_bytes());
    // The footer is free.
    let footer = sample.index.regions.last().unwrap().range();
    assert!(original.delivered(footer).is_empty());
}

#[test]
fn segments_must_be_whole_regions() {
    let sample = Sample::small();
    let region = sample.index.regions[1].range();
    for range in
        [region.start + 1..region.end, region.start..region.end - 1, region.end..region.end + sample.index.bytes]
    {
        let error = Representation::of(Arc::clone(&sample.index), [Segment::Source(range)]);
        assert!(matches!(error, Err(RepresentationError::NotWholeRegions { .. })));
    }
}

#[test]
fn the_entity_tag_hangs_on_every_part() {
    let sample = Sample::small();
    let region = |number: usize| Segment::Source(sample.index.regions[number].range());
    let inline = |text: &'static str| Segment::Inline(Bytes::from_static(text.as_bytes()));
    let of = |parts: Vec<Segment>| Representation::of(Arc::clone(&sample.index), parts).unwrap().etag().to_owned();
    let tags = [
        of(vec![region(0), region(1), inline("a")]),
        of(vec![region(0), region(1), inline("b")]),
        of(vec![region(0), region(2), inline("a")]),
        of(vec![region(1), region(0), inline("a")]),
        of(vec![region(0), region(1)]),
        Representation::original(Arc::clone(&sample.index)).etag().to_owned(),
    ];
    for (number, tag) in tags.iter().enumerate() {
        assert!(tags.iter().skip(number + 1).all(|other| other != tag));
        assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() == 66);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn pieces_tile_any_range(start in 0_u64..60_000, length in 0_u64..60_000) {
        let sample = Sample::small();
        for representation in [Representation::original(Arc::clone(&sample.index)), virtual_file(&sample)] {
            let mut at = start;
            let end = (start + length).min(representation.bytes());
            for piece in representation.slice(start..start + length) {
                let (first, bytes) = match piece {
                    Piece::Source { at, range } => (at, range.end - range.start),
                    Piece::Inline { at, bytes } => (at, bytes.len() as u64),
                };
                prop_assert_eq!(first, at);
                at += bytes;
            }
            prop_assert_eq!(at, end.max(start));
            for block in representation.source_blocks(start..start + length) {
                prop_assert_eq!(sample.index.aligned(&block), block);
            }
        }
    }
}
