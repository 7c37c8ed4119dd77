#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use super::*;

fn path(text: &str) -> Result<TilePath, TileError> {
    text.parse()
}

#[test]
fn paths_of_the_specification() {
    for (text, level, index, width) in [
        ("tile/0/x001/x234/067", TileLevel::Hashes(0), 1_234_067, 256),
        ("tile/0/x001/x234/067.p/1", TileLevel::Hashes(0), 1_234_067, 1),
        ("tile/63/000.p/255", TileLevel::Hashes(63), 0, 255),
        ("tile/entries/999", TileLevel::Entries, 999, 256),
        ("tile/entries/x001/000.p/8", TileLevel::Entries, 1000, 8),
    ] {
        let parsed = path(text).unwrap();
        assert_eq!((parsed.level(), parsed.index(), parsed.width()), (level, index, width));
        assert_eq!(parsed.to_string(), text);
    }
}

#[test]
fn other_paths_are_refused() {
    for text in [
        "",
        "tile",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/0/x000/001",
        "tile/0/001/000",
        "tile/0/x001",
        "tile/0/x001/x000",
        "/tile/0/000",
        "tile/0/000/",
        "tile/0/../000",
        "tile/entries/abc",
        "tile/0/+01",
        "tile/data/000",
        "tile/0/x018/x446/x744/x073/x709/x551/x616",
    ] {
        assert!(matches!(path(text), Err(TileError::Path(_))), "{text}");
    }
    assert!(TilePath::new(TileLevel::Entries, 0, 0).is_err());
    assert!(TilePath::new(TileLevel::Entries, 0, 257).is_err());
    assert!(TilePath::new(TileLevel::Hashes(64), 0, 1).is_err());
}

#[test]
fn a_tree_of_seventy_thousand() {
    // The example of the specification.
    let names = |size| edge_tiles(size).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(70_000), ["tile/entries/273.p/112", "tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]);
    assert_eq!(names(256), ["tile/1/000.p/1"]);
    assert!(names(0).is_empty());
    assert!(names(u64::MAX).len() == 9);
    assert_eq!(TilePath::in_tree(TileLevel::Hashes(1), 0, 70_000).unwrap().width(), 256);
    assert_eq!(TilePath::in_tree(TileLevel::Hashes(3), 0, 70_000), None);
    assert_eq!(path("tile/1/001").unwrap().first_entry(), Some(65_536));
    assert_eq!(path("tile/9/001").unwrap().first_entry(), None);
}

#[test]
fn files_of_an_append() {
    let mut builder = TileBuilder::new();
    let entries: Vec<_> = (0..300u32).map(u32::to_be_bytes).collect();
    let names = |writes: &TileWrites| writes.files.iter().map(|file| file.path.to_string()).collect::<Vec<_>>();
    let writes = builder.append(&entries[..10]).unwrap();
    assert_eq!(names(&writes), ["tile/entries/000.p/10", "tile/0/000.p/10"]);
    assert!(writes.completed.is_empty());
    let writes = builder.append(&entries[10..]).unwrap();
    assert_eq!(
        names(&writes),
        ["tile/entries/000", "tile/entries/001.p/44", "tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1"]
    );
    let completed: Vec<_> = writes.completed.iter().map(TilePath::partial_dir).collect();
    assert_eq!(completed, ["tile/entries/000.p", "tile/0/000.p"]);
    assert_eq!((writes.size, writes.root), (300, builder.root()));
    // Nothing appended: only what is there already, byte for byte.
    let again = builder.append::<&[u8]>(&[]).unwrap();
    assert_eq!(again.root, writes.root);
    assert!(again.files.iter().all(|file| writes.files.contains(file)), "{:?}", names(&again));
}

#[test]
fn entries_up_to_the_limit() {
    let mut builder = TileBuilder::new();
    let longest = vec![1; ENTRY_BYTES_MAX];
    builder.append(&[longest.as_slice(), b""]).unwrap();
    let before = builder.clone();
    let too_long = vec![1; ENTRY_BYTES_MAX + 1];
    let refused = builder.append(&[b"fine".as_slice(), &too_long]);
    assert_eq!(refused, Err(TileError::EntryTooLong { got: ENTRY_BYTES_MAX + 1 }));
    assert_eq!(builder, before);
}

#[test]
fn bundles_hold_exactly_their_entries() {
    let mut bytes = Vec::new();
    for entry in [b"one".as_slice(), b"", b"three"] {
        encode_entry(&mut bytes, entry).unwrap();
    }
    let bundle = path("tile/entries/000.p/3").unwrap();
    assert_eq!(bundle_entries(&bundle, &bytes).unwrap(), [b"one".as_slice(), b"", b"three"]);
    let broken = |at| Err(TileError::Bundle { path: bundle, at });
    assert_eq!(bundle_entries(&bundle, &bytes[..bytes.len() - 1]), broken(7));
    assert_eq!(bundle_entries(&bundle, &[bytes.as_slice(), b"x"].concat()), broken(14));
    assert_eq!(bundle_entries(&bundle, b""), broken(0));
    let tile = path("tile/0/000.p/2").unwrap();
    assert_eq!(tile_hashes(&tile, &[0; 64]).unwrap().len(), 2);
    let expected = TileError::Bytes { path: tile, expected: 64, got: 63 };
    assert_eq!(tile_hashes(&tile, &[0; 63]), Err(expected));
}

#[test]
fn a_missing_tile_is_named() {
    let mut reader = TileReader::new(300, |_: &TilePath| Ok::<_, String>(None));
    let missing = reader.inclusion(299).unwrap_err();
    assert_eq!(missing.to_string(), "tile/0/001.p/44 is missing");
    let mut reader = TileReader::new(300, |_: &TilePath| Err("disk on fire"));
    let broken = reader.root().unwrap_err();
    assert_eq!(broken.to_string(), "tile/1/000.p/1 could not be read: disk on fire");
    assert!(matches!(reader.inclusion(300), Err(TileError::Proof(_))));
    assert!(matches!(reader.leaf(300), Err(TileError::Size(300) | TileError::Read { .. })));
}
