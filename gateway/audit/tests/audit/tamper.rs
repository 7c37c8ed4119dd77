//! I15: flipping any byte of any file is detected and that file is named.

use super::memory_log::{MemoryLog, decision, small_leaf, verify};

/// 300 entries, so that there is a full tile, a partial one and a level above; with earlier
/// partial forms, facts blobs and a checkpoint.
fn small_log() -> MemoryLog {
    let mut log = MemoryLog::new();
    let facts = [log.add_facts("{\"a\":1}"), log.add_facts("{\"b\":[2]}")];
    let mut entries: Vec<_> = (0..300).map(small_leaf).collect();
    for (index, facts) in [(3, &facts[0]), (4, &facts[1]), (200, &facts[0]), (299, &facts[1])] {
        let built = decision(index, facts).build().unwrap();
        entries[usize::try_from(index).unwrap()] = built.leaf.bytes().to_vec();
    }
    let mut rest = entries.as_slice();
    for batch in [5, 258, 7, 30] {
        let (now, later) = rest.split_at(batch);
        log.append(now);
        log.publish();
        rest = later;
    }
    assert!(rest.is_empty());
    log
}

#[test]
fn every_flipped_byte_is_detected_and_its_file_is_named() {
    let log = small_log();
    let report = log.verify();
    assert!(report.ok, "{report:?}");
    assert_eq!(report.verdict(), "verified");
    assert!(report.checked.earlier_partials >= 6, "{:?}", report.checked);
    assert!(log.files.all.contains_key("tile/0/000"));
    assert!(log.files.all.contains_key("tile/1/000.p/1"));

    // One thread for each of the runner's two cores.
    let paths: Vec<_> = log.files.all.keys().cloned().collect();
    std::thread::scope(|scope| {
        for part in 0..2 {
            let (log, paths) = (&log, &paths);
            scope.spawn(move || {
                for path in paths {
                    let original = &log.files.all[path];
                    for at in (0..original.len()).filter(|at| at % 2 == part) {
                        // Another bit for each byte, so that each of them is tried.
                        let mut bytes = original.clone();
                        bytes[at] ^= 1 << (at % 8);
                        let mut files = log.files.clone();
                        files.replaced = Some((path.clone(), bytes));
                        let report = verify(&files, Some(&log.key), None);
                        let named = report.finding.as_ref().map(|finding| finding.file.as_str());
                        assert!(!report.ok, "{path} byte {at} went unnoticed");
                        assert_eq!(named, Some(path.as_str()), "byte {at}: {:?}", report.finding);
                    }
                }
            });
        }
    });
}

#[test]
fn every_truncated_lengthened_or_missing_file_is_named() {
    let log = small_log();
    for (path, original) in &log.files.all {
        let mut longer = original.clone();
        longer.push(b'\n');
        for bytes in [longer, original[..original.len() - 1].to_vec(), Vec::new()] {
            let mut files = log.files.clone();
            files.replaced = Some((path.clone(), bytes));
            let report = verify(&files, Some(&log.key), None);
            assert_eq!(report.finding.unwrap().file, *path);
        }
        // A partial form of an earlier checkpoint may go once there is a later one.
        let mut files = log.files.clone();
        files.all.remove(path);
        let report = verify(&files, Some(&log.key), None);
        let needed = ["tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/001.p/44"];
        if path.contains(".p/") && !needed.contains(&path.as_str()) {
            assert!(report.ok, "{path}: {:?}", report.finding);
        } else {
            let finding = report.finding.unwrap();
            assert_eq!((finding.file, finding.got.as_str()), (path.clone(), "no file"));
        }
    }
}
