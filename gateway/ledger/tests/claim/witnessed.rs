//! Witnessed in time: the share of postings below a checkpoint that both sides cosigned before the year closed, by the
//! bundle's own trust policy and by one from elsewhere.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gateway_audit::WitnessPolicy;

use super::*;

/// 2026-01-16T00:00:00+08:00.
const CLOSES: u64 = 1_768_492_800;
const WITNESSED: &str = "checkpoints/witnessed";

/// A cosignature line (C2SP tlog-cosignature) of a witness with `seed`, over `checkpoint` at `time`, and its key.
fn cosigned(checkpoint: &str, name: &str, seed: u8, time: u64) -> (String, String) {
    let signer = Ed25519Signer::from_seed(name, &[seed; 32]).unwrap();
    let public = signer.verifier().public().to_vec();
    let id = KeyId::of(name, 4, &public);
    let body = &checkpoint[..=checkpoint.rfind("\n\n").unwrap()];
    let signature = signer.sign(format!("cosignature/v1\ntime {time}\n{body}").as_bytes()).unwrap();
    let line = [&id.0[..], &time.to_be_bytes(), &signature].concat();
    let vkey = format!("{name}+{id}+{}", STANDARD.encode([&[4], public.as_slice()].concat()));
    (format!("— {name} {}\n", STANDARD.encode(line)), vkey)
}

/// Both sides at their times; a time of 0 is none.
fn both(hk: u64, qh: u64) -> Cosign {
    Box::new(move |checkpoint| {
        let sides = [("hk.example/w", 7, hk), ("qh.example/w", 8, qh)].into_iter().filter(|(_, _, time)| *time > 0);
        sides.map(|(name, seed, time)| cosigned(checkpoint, name, seed, time).0).collect()
    })
}

fn policy(quorum: &str) -> String {
    let key = |name, seed| cosigned("\n\n", name, seed, 1).1;
    let (hk, qh) = (key("hk.example/w", 7), key("qh.example/w", 8));
    let log = signer().verifier().to_string();
    format!("log {log}\nwitness HK {hk}\nwitness qh1 {qh}\ngroup QH any qh1\ngroup BORDER all HK QH\nquorum {quorum}\n")
}

/// Two postings of the claim's only line, of which the first stands below entry 10.
fn postings() -> Vec<Value> {
    let posting = |amount: &str, credit: &str| {
        json!({
            "kind": "ledger_batch", "currency": "CNY", "period": "2025-11", "agreement": "a-1", "version": "-1",
            "transfers": [
                {"code": "reserve", "debit": "consumer:hku:receivable", "credit": "suspense", "amount": "900000000"},
                {"code": "post", "debit": "consumer:hku:receivable", "credit": credit, "amount": amount},
            ],
        })
    };
    let own = "broker:qianhai:revenue:data_transaction_service";
    vec![
        posting("450000000", own),
        posting("150000000", own),
        posting("600000000", "broker:other:revenue:data_transaction_service"),
    ]
}

fn evidence(below: usize, lines: Cosign, trust: &str) -> Evidence {
    let log = Log { opening: 1, postings: postings(), witnessed: Some((below, lines)) };
    let mut evidence = evidence_at(&log, |_| (), |_| ());
    trust.clone_into(&mut evidence.trust_policy);
    evidence
}

/// The same, its closing checkpoint cosigned too.
fn closing_cosigned(mut evidence: Evidence, lines: &Cosign) -> Evidence {
    let bare = evidence.checkpoint.clone();
    evidence.checkpoint.push_str(&lines(&bare));
    for leaf in &mut evidence.leaves {
        leaf.proof = leaf.proof.replace(&bare, &evidence.checkpoint);
    }
    evidence
}

/// Files of a bundle, changed and listed anew, as whoever makes a bundle can.
fn again(evidence: &Evidence, change: impl FnOnce(&mut zip::Files)) -> Vec<u8> {
    let mut files = bundle::files(evidence, None).unwrap();
    change(&mut files);
    files.remove("MANIFEST.json");
    files.remove("SHA256SUMS");
    let sums: Vec<String> = files.iter().map(|(name, bytes)| format!("{}  {name}", Digest::of(bytes).hex())).collect();
    files.insert("SHA256SUMS".into(), (sums.join("\n") + "\n").into_bytes());
    let digests: BTreeMap<&String, Digest> = files.iter().map(|(name, bytes)| (name, Digest::of(bytes))).collect();
    let tools: Value = serde_json::from_slice(&files["tools.json"]).unwrap();
    let manifest = json!({
        "format": bundle::FORMAT, "rules": Digest::of(&files["rules/programme.toml"]), "tools": tools, "files": digests,
    });
    let manifest = serde_json_canonicalizer::to_vec(&manifest).unwrap();
    files.insert("MANIFEST.json".into(), manifest);
    zip::pack(&files).unwrap()
}

/// What both verifiers say, by `trust` from elsewhere: the face's share, or the file that does not hold.
fn told(bundle: &[u8], trust: Option<&str>) -> Result<u32, String> {
    let policy = trust.map(|text| WitnessPolicy::parse(text.as_bytes()).unwrap());
    let first = verify(bundle, Trust { policy: policy.as_ref(), ..NOBODY });
    assert_eq!(first.as_ref().map(|_| ()).map_err(|fault| fault.file.clone()), second_by(bundle, trust), "{first:?}");
    first.map(|verified| verified.witnessed).map_err(|fault| fault.file)
}

#[test]
fn the_share_is_that_of_postings_below_a_checkpoint_cosigned_on_both_sides_before_the_year_closed() {
    let border = policy("BORDER");
    // Entries 9, 11 and 13 are the postings.
    for (below, share) in [(9, 0), (10, 750_000), (11, 750_000), (12, 1_000_000), (14, 1_000_000)] {
        let made = evidence(below, both(CLOSES, CLOSES), &border);
        assert_eq!(told(&packed(&made), None), Ok(share), "{below}");
    }
    for (hk, qh, trust, share) in [
        (CLOSES, CLOSES, &border, 750_000),
        (CLOSES + 1, CLOSES, &border, 0),
        (CLOSES, CLOSES + 1, &border, 0),
        (CLOSES, 0, &border, 0),
        // A quorum of one side, and what both sides did all the same.
        (CLOSES, 1, &policy("HK"), 750_000),
        (CLOSES, 0, &policy("HK"), 0),
        (CLOSES, CLOSES, &policy("none"), 0),
        (CLOSES, CLOSES, &"quorum none\n".to_owned(), 0),
    ] {
        let bundle = packed(&evidence(10, both(hk, qh), trust));
        assert_eq!(told(&bundle, None), Ok(share), "{hk} {qh} {trust}");
        let face = verify(&bundle, NOBODY).unwrap().face;
        assert!(face.contains(&format!("两地及时见证: {}.0000 %", share / 10_000)), "{face}");
    }
}

#[test]
fn another_checkpoint_consistency_proof_or_cosignature_is_refused() {
    let good = || evidence(10, both(CLOSES, CLOSES), &policy("BORDER"));
    assert_eq!(told(&packed(&good()), None), Ok(750_000));
    let changed = |change: &dyn Fn(&mut zip::Files)| told(&again(&good(), change), None).unwrap_err();
    let (consistency, file) = ("checkpoints/witnessed-consistency", |text: String| text.into_bytes());
    let frozen = good().contents[WITNESSED].clone();
    // Another size, which the log's key did not sign.
    let resized = frozen.replacen("\n10\n", "\n14\n", 1);
    assert_eq!(changed(&|files| drop(files.insert(WITNESSED.into(), file(resized.clone())))), WITNESSED);
    // A history that the log's key signed beside its own, and both sides cosigned.
    let root = TileBuilder::new().append(&[&b"other"[..]; 14]).unwrap().root;
    let fork = Checkpoint { origin: "gw.example/audit".into(), size: 14, root }.sign(&[&signer()]).unwrap().to_text();
    let fork = fork.clone() + &both(CLOSES, CLOSES)(&fork);
    assert_eq!(changed(&|files| drop(files.insert(WITNESSED.into(), file(fork.clone())))), consistency);
    let proof = good().witnessed_consistency.unwrap();
    for other in [String::new(), proof.replacen(['A', 'b'], "c", 1), format!("{proof}\n{proof}")] {
        assert_ne!(other, proof);
        assert_eq!(changed(&|files| drop(files.insert(consistency.into(), file(other.clone())))), consistency);
    }
    assert_eq!(changed(&|files| drop(files.remove(consistency))), consistency);
    // A line by a witness's key that is over something else: no bundle is made of it either.
    let body = &frozen[..frozen.find("— hk.example").unwrap()];
    let moved = format!("{body}{}", both(CLOSES, CLOSES)(&frozen.replacen("\n10\n", "\n11\n", 1)));
    assert_eq!(changed(&|files| drop(files.insert(WITNESSED.into(), file(moved.clone())))), WITNESSED);
    let mut made = good();
    made.contents.insert(WITNESSED.into(), moved.clone());
    assert_eq!(bundle::files(&made, None).unwrap_err().file, WITNESSED);
    // Frozen is frozen: whoever holds the witnesses' keys later cannot put an earlier time in.
    let sooner = format!("{body}{}", both(CLOSES - 9, CLOSES - 9)(&frozen));
    assert_eq!(changed(&|files| drop(files.insert(WITNESSED.into(), file(sooner.clone())))), WITNESSED);
}

#[test]
fn a_stranger_that_signs_under_a_witness_s_name_counts_for_nothing() {
    let stranger: Cosign = Box::new(|checkpoint| {
        let line = |name, seed| cosigned(checkpoint, name, seed, CLOSES).0;
        line("hk.example/w", 7) + &line("qh.example/w", 99)
    });
    let border = policy("BORDER");
    let made = evidence(10, stranger, &border);
    assert_eq!(told(&packed(&made), None), Ok(0));
    let forged = again(&made, |files| {
        let face = String::from_utf8(files["FACE.txt"].clone()).unwrap();
        files.insert("FACE.txt".into(), face.replace("见证: 0.0000 %", "见证: 75.0000 %").into_bytes());
    });
    assert_eq!(told(&forged, None), Err("FACE.txt".to_owned()));
    // By the policy that an auditor brings the checkpoint is not witnessed at all.
    let made = closing_cosigned(made, &both(CLOSES, CLOSES));
    assert_eq!(told(&packed(&made), Some(&border)), Err(WITNESSED.to_owned()));
}

#[test]
fn a_policy_from_elsewhere_decides_whose_log_it_is_and_whose_cosignatures_count() {
    let border = policy("BORDER");
    let uncosigned = evidence(10, both(CLOSES, CLOSES), "quorum none\n");
    assert_eq!(told(&packed(&uncosigned), Some(&border)), Err("checkpoints/closing".to_owned()));
    // Long after the year, the closing checkpoint only has to be witnessed.
    let bundle = packed(&closing_cosigned(uncosigned, &both(CLOSES + 1000, CLOSES + 1000)));
    assert_eq!(told(&bundle, None), Ok(0));
    assert_eq!(told(&bundle, Some(&border)), Ok(750_000));
    // A policy without a quorum asks for none, and its log is the one that is trusted.
    assert_eq!(told(&bundle, Some(&policy("none"))), Ok(0));
    let trusted = |text: &str| {
        let policy = WitnessPolicy::parse(text.as_bytes()).unwrap();
        verify(&bundle, Trust { policy: Some(&policy), ..NOBODY }).map(|verified| verified.trusted)
    };
    assert_eq!(trusted(&border), Ok(true));
    assert_eq!(trusted(border.split_once('\n').unwrap().1), Ok(false));
    let another = Ed25519Signer::from_seed("gw.example/audit", &[2; 32]).unwrap().verifier().to_string();
    let other_log = border.replace(&signer().verifier().to_string(), &another);
    assert_eq!(told(&bundle, Some(&other_log)), Err("log.vkey".to_owned()));
    // A key that only a comment names is not trusted.
    let comment = format!("# log {}\n{other_log}", signer().verifier());
    assert_eq!(told(&bundle, Some(&comment)), Err("log.vkey".to_owned()));
}
