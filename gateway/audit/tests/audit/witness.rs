//! Witnesses and the logs that ask them: each refusal in its order, two histories against one witness, hostile texts.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_audit::note::{Ed25519Signer, NoteSignature, Signer as _};
use gateway_audit::tiles::{TilePath, TileReader};
use gateway_audit::tree::{Frontier, leaf_hash, verify_consistency};
use gateway_audit::witness::server::Authentic;
use gateway_audit::witness::{
    AddCheckpoint, Answer, Refusal, SIZE_MEDIA_TYPE, Seen, Submission, Witness, WitnessReply,
};
use gateway_audit::{Checkpoint, Cosigner, CosignerKey, NodeHash, NoteError, SignedCheckpoint, TileBuilder};
use proptest::prelude::*;

const ORIGIN: &str = "gw.example/audit";
const NOW: Duration = Duration::from_secs(1_790_000_000);

/// A history of a log: entries are numbers, from `forks_at` on other ones.
struct History {
    files: BTreeMap<String, Vec<u8>>,
    entries: Vec<Vec<u8>>,
    signer: Ed25519Signer,
}

impl History {
    fn new(size: u64, forks_at: u64) -> Self {
        let entries: Vec<Vec<u8>> =
            (0..size).map(|n| if n < forks_at { format!("{n}") } else { format!("other {n}") }.into_bytes()).collect();
        let mut builder = TileBuilder::new();
        let mut files = BTreeMap::new();
        for file in builder.append(&entries).unwrap().files {
            files.insert(file.path.to_string(), file.bytes);
        }
        Self { files, entries, signer: Ed25519Signer::from_seed(ORIGIN, &[1; 32]).unwrap() }
    }

    fn root(&self, size: u64) -> NodeHash {
        let mut tree = Frontier::new();
        for entry in &self.entries[..usize::try_from(size).unwrap()] {
            tree.push(leaf_hash(entry));
        }
        tree.root()
    }

    fn checkpoint(&self, size: u64) -> SignedCheckpoint {
        Checkpoint { origin: ORIGIN.to_owned(), size, root: self.root(size) }.sign(&[&self.signer]).unwrap()
    }

    fn proof(&self, old: u64, size: u64) -> Vec<NodeHash> {
        let full = self.entries.len() as u64;
        assert!(size <= full);
        // Tiles of the whole history serve every smaller tree.
        let read = |path: &TilePath| {
            Ok::<_, String>(self.files.get(&path.to_string()).cloned().or_else(|| {
                let wide = (path.width()..=256).find_map(|width| {
                    let path = TilePath::new(path.level(), path.index(), width).ok()?;
                    self.files.get(&path.to_string()).cloned()
                })?;
                Some(wide[..usize::from(path.width()) * 32].to_vec())
            }))
        };
        TileReader::new(size, read).consistency(old).unwrap()
    }

    fn request(&self, old: u64, size: u64) -> String {
        let submission = Submission { old, checkpoint: self.checkpoint(size) };
        submission.body(|old| Ok::<_, ()>(self.proof(old, size))).unwrap()
    }
}

fn witness() -> Witness {
    let log = Ed25519Signer::from_seed(ORIGIN, &[1; 32]).unwrap();
    Witness::new(Cosigner::from_seed("witness.example/w1", &[7; 32]).unwrap(), vec![log.verifier().clone()])
}

fn ask(witness: &Witness, seen: Seen, body: &str) -> Result<(Seen, String), Refusal> {
    let request: Authentic = witness.authenticate(body.as_bytes())?;
    witness.step(seen, &request, NOW).map(|cosigned| (cosigned.seen, cosigned.line))
}

#[test]
fn refusals_come_in_their_order() {
    let (log, witness) = (History::new(20, 20), witness());
    let seen = Seen { size: 8, root: log.root(8) };
    let stranger = Ed25519Signer::from_seed("other.example/audit", &[1; 32]).unwrap();
    let forger = Ed25519Signer::from_seed(ORIGIN, &[2; 32]).unwrap();
    let other = Checkpoint { origin: "other.example/audit".to_owned(), size: 4, root: log.root(4) };
    let unknown = other.sign(&[&stranger]).unwrap().to_text();
    let forged =
        Checkpoint { origin: ORIGIN.to_owned(), size: 4, root: log.root(4) }.sign(&[&forger]).unwrap().to_text();
    let fork = History::new(20, 3);
    // Each case repairs only the fault that the one before it reported.
    let cases = [
        ("old 09\n".to_owned(), 400),
        (format!("old 9\n\n{unknown}"), 404),
        (format!("old 9\n\n{forged}"), 403),
        (format!("old 9\n\n{}", log.checkpoint(4).to_text()), 400),
        (format!("old 4\n\n{}", fork.checkpoint(8).to_text()), 409),
        (format!("old 8\n\n{}", fork.checkpoint(8).to_text()), 409),
        (format!("old 8\n\n{}", log.checkpoint(20).to_text()), 422),
        (log.request(8, 20), 200),
    ];
    for (body, status) in cases {
        let answer = ask(&witness, seen, &body);
        assert_eq!(answer.as_ref().map_or_else(Refusal::status, |_| 200), status, "{body}: {answer:?}");
        if let Err(refusal) = answer {
            let (media_type, text) = refusal.body();
            let size = status == 409;
            assert_eq!((media_type == SIZE_MEDIA_TYPE, text == "8\n"), (size, size), "{refusal:?}");
        }
    }
    // A proof that is not asked for is one that does not hold.
    let padded = log.request(8, 8).replace("old 8\n", &format!("old 8\n{}\n", log.root(3)));
    assert_eq!(ask(&witness, seen, &padded).unwrap_err().status(), 422);
    let padded = log.request(0, 8).replace("old 0\n", &format!("old 0\n{}\n", log.root(3)));
    assert_eq!(ask(&witness, Seen::default(), &padded).unwrap_err().status(), 422);
}

#[test]
fn either_of_a_logs_keys_will_do_and_foreign_lines_are_ignored() {
    let log = History::new(3, 3);
    let newer = Ed25519Signer::from_seed(ORIGIN, &[9; 32]).unwrap();
    let logs = vec![newer.verifier().clone(), log.signer.verifier().clone()];
    let witness = Witness::new(Cosigner::from_seed("witness.example/w1", &[7; 32]).unwrap(), logs);
    let foreign = Cosigner::from_seed("elsewhere.example/w", &[8; 32]).unwrap();
    let mut line = foreign.cosign(&log.checkpoint(2), 5).unwrap();
    line.signature[20] ^= 1;
    let checkpoint = log.checkpoint(3).with_signatures(vec![line]).unwrap();
    let body = AddCheckpoint { old: 0, proof: Vec::new(), checkpoint: checkpoint.clone() }.to_text();
    let (seen, line) = ask(&witness, Seen::default(), &body).unwrap();
    assert_eq!(seen, Seen { size: 3, root: log.root(3) });
    let line = NoteSignature::parse_lines(&line).unwrap();
    let cosigned = checkpoint.with_signatures(line).unwrap();
    assert_eq!(witness.key().cosigned(cosigned.note()), Ok(Some(NOW.as_secs())));
    assert_eq!(foreign.key().cosigned(cosigned.note()), Err(NoteError::Signature("elsewhere.example/w".to_owned())));
}

/// As a client would: asks, and follows what the answer says, at most so many times.
fn submit(witness: &Witness, seen: &mut Seen, log: &History, mut old: u64, size: u64) -> Answer {
    for _ in 0..3 {
        let submission = Submission { old, checkpoint: log.checkpoint(size) };
        let body = submission.body(|old| Ok::<_, ()>(log.proof(old, size))).unwrap();
        let answer = match ask(witness, *seen, &body) {
            Ok((now, line)) => {
                *seen = now;
                submission.judge(witness.key(), &WitnessReply { status: 200, media_type: None, body: line.as_bytes() })
            }
            Err(refusal) => {
                let (media_type, text) = refusal.body();
                let reply =
                    WitnessReply { status: refusal.status(), media_type: Some(media_type), body: text.as_bytes() };
                submission.judge(witness.key(), &reply)
            }
        };
        match answer {
            Answer::Resend { old: from } => old = from,
            answer => return answer,
        }
    }
    panic!("it never came to an end");
}

#[test]
fn what_a_log_does_about_answers() {
    let (log, fork, witness) = (History::new(30, 30), History::new(30, 10), witness());
    let mut seen = Seen::default();
    let cosigned = |answer: &Answer| matches!(answer, Answer::Cosigned { time, .. } if *time == NOW.as_secs());
    assert!(cosigned(&submit(&witness, &mut seen, &log, 0, 12)));
    // The same again is a sign of life.
    assert!(cosigned(&submit(&witness, &mut seen, &log, 12, 12)));
    // A log that has forgotten what was witnessed is told.
    assert!(cosigned(&submit(&witness, &mut seen, &log, 3, 20)));
    assert_eq!(submit(&witness, &mut seen, &log, 0, 15), Answer::Ahead { seen: 20 });
    for size in [20, 25] {
        assert!(matches!(submit(&witness, &mut seen, &fork, 0, size), Answer::Fork { .. }), "{size}");
    }
    assert_eq!(seen, Seen { size: 20, root: log.root(20) });

    let key = witness.key();
    let submission = Submission { old: 20, checkpoint: log.checkpoint(25) };
    let judge = |status, media_type, body: &[u8]| submission.judge(key, &WitnessReply { status, media_type, body });
    let other = Cosigner::from_seed("witness.example/w1", &[7; 32]).unwrap().cosign(&log.checkpoint(24), 5).unwrap();
    assert!(matches!(judge(200, None, format!("{other}\n").as_bytes()), Answer::Fork { .. }));
    let stranger = Cosigner::from_seed("witness.example/w2", &[8; 32]).unwrap().cosign(&log.checkpoint(25), 5).unwrap();
    assert!(matches!(judge(200, None, format!("{stranger}\n").as_bytes()), Answer::Later { .. }));
    assert_eq!(judge(409, Some("Text/X.tlog.size; charset=utf-8"), b"7\n"), Answer::Resend { old: 7 });
    for (status, media_type, body) in [
        (200, None, b"".as_slice()),
        (200, None, b"\xff\n"),
        (409, None, b"7\n"),
        (409, Some("text/plain"), b"7\n"),
        (409, Some(SIZE_MEDIA_TYPE), b"07\n"),
        (409, Some(SIZE_MEDIA_TYPE), b"7"),
        // From where it was asked: asking again would go round for ever.
        (409, Some(SIZE_MEDIA_TYPE), b"20\n"),
        (400, None, b""),
        (403, None, b""),
        (404, None, b""),
        (302, None, b""),
        (500, None, b""),
    ] {
        assert!(matches!(judge(status, media_type, body), Answer::Later { .. }), "{status} {body:?}");
    }
}

#[test]
fn cosigner_keys_as_text() {
    let file = Cosigner::key_file("witness.example/w1", &[7; 32]).unwrap();
    let cosigner = Cosigner::parse(&file).unwrap();
    let vkey = cosigner.key().to_string();
    assert_eq!(vkey.parse::<CosignerKey>().unwrap(), *cosigner.key());
    // A log's key is no witness's, and the other way round, although the same name and bytes are under both.
    assert!(vkey.parse::<gateway_audit::VerifierKey>().is_err());
    assert!(
        Ed25519Signer::from_seed("witness.example/w1", &[7; 32])
            .unwrap()
            .verifier()
            .to_string()
            .parse::<CosignerKey>()
            .is_err()
    );
    assert!(Ed25519Signer::parse(&file).is_err());
    assert!(!format!("{cosigner:?}").contains("BwcH"));
    for wrong in ["", "PRIVATE+KEY+", &file.replace("w1", "w2"), &file[..file.len() - 5]] {
        let error = Cosigner::parse(wrong).unwrap_err().to_string();
        assert!(!error.contains("BwcH"), "{error}");
    }
}

#[test]
fn a_cosignature_is_bound_to_text_time_and_key() {
    let (log, cosigner) = (History::new(3, 3), Cosigner::from_seed("witness.example/w1", &[7; 32]).unwrap());
    let checkpoint = log.checkpoint(3);
    let line = cosigner.cosign(&checkpoint, 1_790_000_000).unwrap();
    let cosigned = |line: NoteSignature, checkpoint: &SignedCheckpoint| {
        cosigner.key().cosigned(checkpoint.with_signatures(vec![line]).unwrap().note())
    };
    assert_eq!(cosigned(line.clone(), &checkpoint), Ok(Some(1_790_000_000)));
    assert!(cosigned(line.clone(), &log.checkpoint(2)).is_err());
    assert_eq!(cosigner.key().cosigned(checkpoint.note()), Ok(None));
    for at in 0..line.signature.len() {
        let mut changed = line.clone();
        changed.signature[at] ^= 1;
        assert!(cosigned(changed, &checkpoint).is_err(), "{at}");
    }
    for length in [0, 8, 71, 73] {
        let mut changed = line.clone();
        changed.signature.resize(length.max(1), 0);
        assert!(cosigned(changed, &checkpoint).is_err(), "{length}");
    }
    // Times beyond the specification's limit are none, although they are well signed.
    let late = cosigner.cosign(&checkpoint, 1 << 63).unwrap();
    assert!(cosigned(late, &checkpoint).is_err());
    let extended = SignedCheckpoint::parse(
        b"gw.example/audit\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\nmore\n\n\xe2\x80\x94 x AAAAAAA=\n",
    )
    .unwrap();
    let line = cosigner.cosign(&extended, 5).unwrap();
    assert_eq!(cosigned(line, &extended), Ok(Some(5)));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    /// Whatever two histories of one log ask in whatever order, all that a witness ever cosigns is one history.
    #[test]
    fn a_witness_never_cosigns_two_histories(
        forks_at in 0u64..40,
        asked in prop::collection::vec((any::<bool>(), 0u64..60, 0u64..60, any::<bool>()), 1..24),
    ) {
        let (logs, witness) = ([History::new(60, 60), History::new(60, forks_at)], witness());
        let (mut seen, mut cosigned) = (Seen::default(), Vec::new());
        for (which, old, size, honest) in asked {
            let log = &logs[usize::from(which)];
            let old = if honest { seen.size.min(size) } else { old.min(size) };
            let before = seen;
            let body = log.request(old, size);
            match ask(&witness, seen, &body) {
                Ok((now, _)) => {
                    prop_assert_eq!((old, now), (before.size, Seen { size, root: log.root(size) }));
                    seen = now;
                    cosigned.push((which, size));
                }
                Err(refusal) => prop_assert!(matches!(refusal.status(), 409 | 422), "{refusal:?}"),
            }
        }
        for pair in cosigned.windows(2) {
            let ([one, other], (a, size)) = ([&logs[0], &logs[1]], pair[0]);
            let (b, larger) = pair[1];
            prop_assert!(size <= larger);
            let root = if a { other } else { one }.root(size);
            prop_assert_eq!(root, if b { other } else { one }.root(size));
        }
    }

    /// The proof that a request carries is the one that RFC 9162 asks for.
    #[test]
    fn requests_print_and_parse(size in 1u64..300, old in any::<prop::sample::Index>()) {
        let log = History::new(size, size);
        let old = old.index(usize::try_from(size).unwrap()) as u64 + 1;
        let request = AddCheckpoint::parse(log.request(old, size).as_bytes()).unwrap();
        prop_assert!(verify_consistency(old, size, &request.proof, &log.root(old), &log.root(size)).is_ok());
        prop_assert_eq!(request.to_text(), log.request(old, size));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn damaged_requests_never_move_a_witness(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let (log, witness) = (History::new(9, 9), witness());
        let good = log.request(5, 9);
        let mut bytes = good.clone().into_bytes();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        prop_assume!(bytes != good.as_bytes());
        if let Ok(request) = AddCheckpoint::parse(&bytes) {
            prop_assert_eq!(request.to_text().into_bytes(), bytes.clone());
        }
        let seen = Seen { size: 5, root: log.root(5) };
        if let Ok(request) = witness.authenticate(&bytes) {
            // What is still signed by the log is the checkpoint; a changed proof or size is refused.
            prop_assert!(witness.step(seen, &request, NOW).is_err());
        }
    }
}
