//! The golden log of transparency-dev/tessera: the same 15 entries must give the same files and
//! roots, and its checkpoints must verify.

use std::fs;
use std::path::Path;

use gateway_audit::tiles::{TileLevel, TilePath, TileReader, bundle_entries};
use gateway_audit::tree::{leaf_hash, verify_consistency, verify_inclusion};
use gateway_audit::{SignedCheckpoint, TileBuilder, VerifierKey};

use super::vectors::unpack;

const KEY: &str = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx";

fn checkpoint(log: &Path, size: u64) -> SignedCheckpoint {
    SignedCheckpoint::parse(&fs::read(log.join(format!("checkpoint.{size}"))).unwrap()).unwrap()
}

#[test]
fn tessera_golden_log() {
    let Some(dir) = unpack("tessera-golden-log.tar.gz") else {
        return;
    };
    let log = dir.path().join("testdata/log");
    let key: VerifierKey = KEY.parse().unwrap();
    assert_eq!(key.to_string(), KEY);

    let bundle = TilePath::new(TileLevel::Entries, 0, 15).unwrap();
    let bytes = fs::read(log.join(bundle.to_string())).unwrap();
    let entries = bundle_entries(&bundle, &bytes).unwrap();
    let mut builder = TileBuilder::new();
    assert_eq!(builder.root(), checkpoint(&log, 0).verify(&key).unwrap().root);
    for (entry, size) in entries.iter().zip(1..) {
        let writes = builder.append(&[entry]).unwrap();
        for file in &writes.files {
            let golden = fs::read(log.join(file.path.to_string()));
            assert_eq!(golden.ok().as_ref(), Some(&file.bytes), "{}", file.path);
        }
        let golden = checkpoint(&log, size);
        let golden = golden.verify(&key).unwrap();
        assert_eq!((golden.size, golden.root), (writes.size, writes.root));
        let resumed = TileBuilder::resume(size, |path| {
            Ok::<_, gateway_audit::tiles::TileError>(fs::read(log.join(path.to_string())).unwrap())
        });
        assert_eq!(resumed.unwrap(), builder);
    }
    // Everything in the log but checkpoints came out of the builder.
    let partials = fs::read_dir(log.join("tile/0/000.p")).unwrap().count();
    assert_eq!((partials, entries.len()), (15, 15));

    let newest = checkpoint(&log, 15);
    let newest = newest.verify(&key).unwrap();
    let read = |path: &TilePath| Ok::<_, String>(fs::read(log.join(path.to_string())).ok());
    let mut reader = TileReader::new(15, read);
    for (entry, index) in entries.iter().zip(0..) {
        let proof = reader.inclusion(index).unwrap();
        verify_inclusion(&leaf_hash(entry), index, 15, &proof, &newest.root).unwrap();
    }
    for old in 1..=15 {
        let proof = reader.consistency(old).unwrap();
        let root = checkpoint(&log, old).verify(&key).unwrap().root;
        verify_consistency(old, 15, &proof, &root, &newest.root).unwrap();
    }
}
