//! What the verifier says of logs that were rewritten, shortened or badly written.

use gateway_audit::tiles::{TileBuilder, TileError, TilePath, bundle_entries, encode_entry};
use gateway_audit::verify::{Fault, LogFiles, Trust, VerifyError, VerifyOptions, for_each_entry, verify_log};
use gateway_audit::{Ed25519Signer, LeafDraft, LeafKind, Signer as _, VerifyReport};

use super::memory_log::{Files, MemoryLog, ORIGIN, at, decision, small_leaf, verify};

fn log_of(entries: &[Vec<u8>]) -> MemoryLog {
    let mut log = MemoryLog::new();
    log.append(entries);
    log.publish();
    log
}

fn leaves(count: i64) -> Vec<Vec<u8>> {
    (0..count).map(small_leaf).collect()
}

fn found(report: &VerifyReport) -> (Fault, &str, Option<u64>) {
    let finding = report.finding.as_ref().unwrap();
    (finding.what, finding.file.as_str(), finding.index)
}

#[test]
fn sizes_around_tiles_verify() {
    for size in [0, 1, 2, 255, 256, 257, 511, 512, 513] {
        let report = log_of(&leaves(size)).verify();
        assert!(report.ok, "{size}: {report:?}");
        assert_eq!(report.checked.entries, u64::try_from(size).unwrap());
    }
}

#[test]
fn every_entry_is_read_in_order_or_the_missing_file_is_named() {
    let entries = leaves(600);
    let mut log = log_of(&entries);
    let mut read = Vec::new();
    let size = for_each_entry(&log.files, |index, entry| read.push((index, entry.to_vec()))).unwrap();
    assert_eq!(size, 600);
    assert_eq!(read, (0..).zip(entries).collect::<Vec<_>>());
    for gone in ["tile/entries/001", "checkpoint"] {
        log.files.all.remove(gone);
        let VerifyError::Read { path, .. } = for_each_entry(&log.files, |_, _| ()).unwrap_err();
        assert_eq!(path, gone);
    }
}

#[test]
fn without_a_key_the_report_says_so() {
    let log = log_of(&leaves(3));
    let report = verify(&log.files, None, None);
    assert_eq!((report.ok, report.trust), (true, Trust::SelfConsistentOnly));
    assert_eq!(report.verdict(), "self-consistent only");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["trust"], "self_consistent_only");
    assert_eq!(json["checked"]["entries"], 3);
}

#[test]
fn another_key_is_refused() {
    let log = log_of(&leaves(3));
    let other = Ed25519Signer::from_seed(ORIGIN, &[8; 32]).unwrap();
    let report = verify(&log.files, Some(other.verifier()), None);
    assert_eq!(found(&report), (Fault::Signature, "checkpoint", None));
}

#[test]
fn an_entry_rewritten_together_with_its_tiles_is_named() {
    // 600 entries; number 70 is exchanged, and ever more of what covers it is made to fit.
    let mut entries = leaves(600);
    let honest = log_of(&entries);
    entries[70] = String::from_utf8(small_leaf(70)).unwrap().replace("halt", "cut").into_bytes();
    let forged = log_of(&entries);
    let mut files = honest.files.clone();
    for (path, fault, named) in [
        ("tile/entries/000", Fault::Entry, "tile/entries/000"),
        ("tile/0/000", Fault::Entry, "tile/entries/000"),
        ("tile/1/000.p/2", Fault::Root, "checkpoint"),
    ] {
        files.all.insert(path.into(), forged.files.all[path].clone());
        let report = verify(&files, Some(&honest.key), None);
        let (what, file, index) = found(&report);
        assert_eq!((what, file), (fault, named), "after {path}");
        match path {
            "tile/entries/000" => assert_eq!(index, Some(70)),
            "tile/0/000" => assert_eq!(index, Some(0)),
            _ => assert_eq!(index, None),
        }
    }
}

#[test]
fn since_holds_history_fast() {
    let mut log = log_of(&leaves(100));
    let old = log.files.all["checkpoint"].clone();
    let more: Vec<_> = (100..700).map(small_leaf).collect();
    log.append(&more);
    log.publish();
    let report = verify(&log.files, Some(&log.key), Some(&old));
    assert_eq!((report.ok, report.since), (true, Some(100)));

    // The operator makes another log with the same key: it is right in itself, but not ours.
    let mut other = leaves(700);
    other[99] = String::from_utf8(small_leaf(99)).unwrap().replace("halt", "cut").into_bytes();
    let other = log_of(&other);
    assert!(other.verify().ok);
    let report = verify(&other.files, Some(&other.key), Some(&old));
    assert_eq!(found(&report), (Fault::Since, "since", None));

    // A log that has shrunk.
    let short = log_of(&leaves(99));
    let report = verify(&short.files, Some(&short.key), Some(&old));
    assert_eq!(found(&report), (Fault::Since, "since", None));

    // Every size, the edges of tiles and the empty log among them, is found in the pass.
    for size in [0, 1, 255, 256, 257, 512, 700] {
        let old = log_of(&leaves(size)).files.all["checkpoint"].clone();
        let report = verify(&log.files, Some(&log.key), Some(&old));
        assert!(report.ok, "{size}: {:?}", report.finding);
    }
    let empty = MemoryLog::new();
    let checkpoint = empty.files.all["checkpoint"].clone();
    assert!(verify(&empty.files, Some(&empty.key), Some(&checkpoint)).ok);
}

#[test]
fn what_is_wrong_first_is_named() {
    // Each case repairs the fault that the case before it reported.
    let mut entries = leaves(300);
    entries[290] = b"{\"at\":\"2026-11-22T00:00:00Z\",\"kind\":\"halt\",\"v\":2}".to_vec();
    entries[270] = small_leaf(268);
    entries[260] = small_leaf(290);
    let missing = format!("sha256:{}", "a".repeat(64));
    entries[20] = decision(20, &missing).build().unwrap().leaf.bytes().to_vec();
    let without = format!("sha256:{}", "b".repeat(64));
    entries[30] =
        LeafDraft::new(LeafKind::PolicyPublish, at(30)).policy(&without).build().unwrap().leaf.bytes().to_vec();
    entries[10] = b"{\"v\":1,\"kind\":\"halt\",\"at\":\"2026-11-22T00:00:00Z\"}".to_vec();
    let facts_file = format!("facts/{}.json", "a".repeat(64));
    let rules_file = format!("facts/{}.json", "b".repeat(64));
    for (index, fault, file) in [
        (10, Fault::Leaf, "tile/entries/000"),
        (20, Fault::Missing, facts_file.as_str()),
        (30, Fault::Missing, rules_file.as_str()),
        (261, Fault::Order, "tile/entries/001.p/44"),
        (270, Fault::Order, "tile/entries/001.p/44"),
        (290, Fault::Leaf, "tile/entries/001.p/44"),
    ] {
        let report = log_of(&entries).verify();
        assert_eq!(found(&report), (fault, file, Some(index)));
        let culprit = if index == 261 { 260 } else { index };
        entries[usize::try_from(culprit).unwrap()] = small_leaf(i64::try_from(culprit).unwrap());
    }
    assert!(log_of(&entries).verify().ok);
}

#[test]
fn partials_replaced_by_their_full_form_verify() {
    // An append went through and removed the partial forms; the checkpoint is not yet new.
    let mut log = log_of(&leaves(200));
    let old = log.files.all["checkpoint"].clone();
    let writes = log.builder.append(&(200..260).map(small_leaf).collect::<Vec<_>>()).unwrap();
    assert_eq!(writes.completed.len(), 2);
    for completed in &writes.completed {
        let dir = completed.partial_dir();
        log.files.all.retain(|path, _| !path.starts_with(&dir));
    }
    for file in writes.files {
        log.files.all.insert(file.path.to_string(), file.bytes);
    }
    log.files.all.insert("checkpoint".into(), old);
    let report = log.verify();
    assert_eq!((report.ok, report.size), (true, Some(200)), "{:?}", report.finding);
    // The builder too goes on from such a state.
    let resumed = resume(200, &log.files).unwrap();
    assert_eq!(resumed, log_of(&leaves(200)).builder);
}

fn resume(size: u64, files: &Files) -> Result<TileBuilder, TileError> {
    TileBuilder::resume(size, |path: &TilePath| {
        let forms = [path.to_string(), path.as_full().to_string()];
        let bytes = forms.iter().find_map(|form| files.all.get(form));
        bytes.cloned().ok_or(TileError::Missing(*path))
    })
}

#[test]
fn resume_refuses_an_edge_that_contradicts_itself() {
    let log = log_of(&leaves(300));
    let path: TilePath = "tile/entries/001.p/44".parse().unwrap();
    let mut bundle = Vec::new();
    for entry in bundle_entries(&path, &log.files.all[&path.to_string()]).unwrap().iter().rev() {
        encode_entry(&mut bundle, entry).unwrap();
    }
    let mut files = log.files.clone();
    files.all.insert(path.to_string(), bundle);
    assert!(resume(300, &files).is_err());
    assert!(resume(300, &log.files).is_ok());
}

#[test]
fn of_two_faults_the_earlier_is_named_though_the_later_ends_the_pass() {
    let log = log_of(&leaves(600));
    let mut files = log.files.clone();
    files.all.remove("tile/entries/001");
    let report = verify(&files, Some(&log.key), None);
    assert_eq!(found(&report), (Fault::Missing, "tile/entries/001", Some(256)));
    // The tile's entries are right, and the tiles no longer give the root: the tile is wrong.
    files.all.get_mut("tile/0/000").unwrap()[32 * 9] ^= 1;
    files.all.get_mut("tile/1/000.p/2").unwrap()[0] ^= 1;
    let report = verify(&files, Some(&log.key), None);
    assert_eq!(found(&report), (Fault::Tile, "tile/0/000", Some(9)));
    // The tiles give the root, so the entry under them was changed.
    let mut files = log.files.clone();
    files.all.remove("tile/entries/001");
    let bundle = files.all.get_mut("tile/entries/000").unwrap();
    let at = bundle.windows(4).position(|window| window == b"halt").unwrap();
    bundle[at] = b'm';
    let report = verify(&files, Some(&log.key), None);
    assert_eq!(found(&report), (Fault::Entry, "tile/entries/000", Some(0)));
}

/// A folder of which one file cannot be read.
struct Unreadable(Files, &'static str);

impl LogFiles for Unreadable {
    type Error = &'static str;

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, &'static str> {
        if path == self.1 { Err("permission denied") } else { Ok(self.0.all.get(path).cloned()) }
    }
}

#[test]
fn what_cannot_be_read_is_no_finding() {
    let log = log_of(&leaves(300));
    let options = VerifyOptions { key: Some(&log.key), since: None };
    for path in ["checkpoint", "tile/entries/000", "tile/0/001.p/44", "tile/1/000.p/1"] {
        let files = Unreadable(log.files.clone(), path);
        let error = verify_log(&files, &options, &mut |_, _| ()).unwrap_err();
        assert_eq!(error.to_string(), format!("`{path}` could not be read: permission denied"));
    }
    // Progress counts up to the log's size.
    let mut seen = Vec::new();
    verify_log(&log.files, &options, &mut |done, all| {
        seen.push((done, all));
    })
    .unwrap();
    assert_eq!(seen, [(256, 300), (300, 300)]);
}
