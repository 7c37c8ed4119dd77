//! Claim bundles: what verifies, and that every byte that is changed is found and named.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use catalog::Digest;
use gateway_audit::note::KeyId;
use gateway_audit::rotation::rotate;
use gateway_audit::{
    Checkpoint, Ed25519Signer, LogProof, SignedCheckpoint, Signer, TileBuilder, TilePath, TileReader, VerifierKey,
};
use gateway_ledger::claim::{
    Annex, ClaimError, Closed, Evidence, ProvenLeaf, Signed, Statements, Trust, bundle, verify, zip,
};
use gateway_ledger::incentive::{Programme, Side};
use gateway_ledger::sums::{Closing, SumProof};
use gateway_ledger::{Ack, Month, Payment};
use serde_json::{Value, json};

#[path = "claim/closed.rs"]
mod closed_months;
#[path = "claim/converted.rs"]
mod converted;
#[path = "claim/opened.rs"]
mod opened;
#[path = "claim/witnessed.rs"]
mod witnessed;

const REWARD: &str = "qianhai-broker-reward-2024";
const NOBODY: Trust<'_> = Trust { key: None, policy: None, signature: None };

fn by(key: &VerifierKey) -> Trust<'_> {
    Trust { key: Some(key), ..NOBODY }
}

fn statements(fee: &str, change: impl FnOnce(&mut Value)) -> Statements {
    let party = |registration: &str| json!({"names": {"en": "Name"}, "registration": registration, "affiliates": []});
    let mut value = json!({
        "participant": "qianhai", "made": "2026-02-01T00:00:00Z", "platform": null,
        "parties": {"qianhai": party("91440300MA5FAKE086"), "hku": party("00000000")},
        "lines": [{
            "period": "2025-11", "currency": "CNY", "agreement": "a-1", "dataset": "yue-speech", "version": "-1",
            "provider": "qianhai", "consumer": "hku", "broker": "qianhai", "units": 1, "rows": 2, "unit_bytes": 3,
            "wire_bytes": 4, "amount": "900000000", "fee": fee, "sent": 3, "receipt": 1, "tax": "0",
            "vat": "unknown",
        }],
    });
    change(&mut value);
    serde_json::from_value(value).unwrap()
}

fn signer() -> Ed25519Signer {
    Ed25519Signer::from_seed("gw.example/audit", &[1; 32]).unwrap()
}

/// A month that closed with `revenue` on the claimant's account: the account's proof, and the leaf.
fn closed(revenue: &str) -> (SumProof, Value) {
    let account = "broker:qianhai:revenue:data_transaction_service";
    let month = Month::parse("2025-11").unwrap();
    let none = json!({"debits": "0", "credits": "0"});
    let closing: Closing = serde_json::from_value(json!({"CNY": {
        "consumer:hku:receivable": {"opening": none, "closing": {"debits": "900000000", "credits": "0"}},
        "provider:qianhai:payable": {"opening": none, "closing": {"debits": "0", "credits": "300000000"}},
        account: {"opening": none, "closing": {"debits": "0", "credits": revenue}},
    }}))
    .unwrap();
    let tree = closing.trees(month).unwrap().remove(0);
    let leaf = json!({"kind": "period_close", "period": month, "sums": [tree.commitment().unwrap()]});
    (tree.proof(&account.parse().unwrap()).unwrap(), leaf)
}

/// What stands beside those statements: half of it paid, a third signed for, its month closed. `opening` is put in later.
fn annex() -> (Annex, Vec<Value>) {
    let payment: Payment = serde_json::from_value(json!({
        "id": "pay-1", "agreement": "a-1", "consumer": "hku", "broker": "qianhai", "on": "2025-12-01",
        "paid": {"amount": "450000000", "currency": "CNY"}, "settled": {"amount": "450000000", "currency": "CNY"},
        "shown": {"kind": "bank", "reference": "SW-1", "digest": Digest::of(b"slip")},
    }))
    .unwrap();
    let ack: Ack = serde_json::from_value(json!({
        "lease": "l-1", "manifest": Digest::of(b"manifest"), "seq": 1,
        "units": [{"file": Digest::of(b"file"), "column": "a", "row_groups": [[0, 1]]}],
    }))
    .unwrap();
    let (proof, close) = closed("600000000");
    let leaves = vec![
        json!({"kind": "payment", "payment": "pay-1", "payment_digest": Digest::of(&payment.canonical().unwrap())}),
        json!({"kind": "receipt", "agreement": "a-1", "ack": ack.digest(), "unit_bytes": "1"}),
        close,
    ];
    let contract = json!({
        "agreement": "a-1", "dataset": "yue-speech", "offer": Digest::of(b"offer"), "accepted": "2025-11-01T00:00:00Z",
        "consumer": "hku", "provider": "qianhai", "broker": "qianhai", "amount": "900000000", "currency": "CNY",
        "affiliated": false,
    });
    let annex = Annex {
        contracts: vec![serde_json::from_value(contract).unwrap()],
        payments: vec![payment],
        receipts: vec![Signed { agreement: "a-1".parse().unwrap(), leaf: 0, ack }],
        sums: vec![proof],
        opening: String::new(),
        witnessed: None,
        tools: BTreeMap::from([("kouan".to_owned(), "0.1.0".to_owned())]),
    };
    (annex, leaves)
}

/// The evidence of a claim on the reward of 2026, in a log with other entries around it.
fn evidence(change: impl FnOnce(&mut Vec<Value>)) -> Evidence {
    evidence_of(|_| (), change)
}

/// The same, with the annex changed before it is frozen.
fn evidence_of(alter: impl FnOnce(&mut Annex), change: impl FnOnce(&mut Vec<Value>)) -> Evidence {
    evidence_at(&Log { opening: 1, ..Log::default() }, alter, change)
}

/// The same, from an opening checkpoint of as many entries; those that come before the claim's are not of the claim.
fn evidence_from(opening: usize) -> Evidence {
    evidence_at(&Log { opening, ..Log::default() }, |_| (), |_| ())
}

/// The log around a claim.
#[derive(Default)]
struct Log {
    /// Entries of the opening checkpoint.
    opening: usize,
    /// What stands between the decision and the claim.
    postings: Vec<Value>,
    /// Entries of the checkpoint that was witnessed in time, and the lines that cosign its text.
    witnessed: Option<(usize, Cosign)>,
}

type Cosign = Box<dyn Fn(&str) -> String>;

fn evidence_at(log: &Log, alter: impl FnOnce(&mut Annex), change: impl FnOnce(&mut Vec<Value>)) -> Evidence {
    evidence_over(log, &statements("600000000", |_| ()), alter, change)
}

fn evidence_over(
    log: &Log,
    statements: &Statements,
    alter: impl FnOnce(&mut Annex),
    change: impl FnOnce(&mut Vec<Value>),
) -> Evidence {
    let programme = Programme::find(REWARD).unwrap();
    let (mut annex, beside) = annex();
    annex.receipts[0].leaf = 3;
    // Leaf 1 is the payment's, 3 the receipt's, 5 the month's.
    let mut leaves = beside;
    leaves.push(json!({"kind": "decision", "agreement": "a-1", "effect": "allow", "participant": "hku"}));
    leaves.extend(log.postings.iter().cloned());
    let before = entries(&leaves);
    let signed = |size: usize| {
        let before: Vec<&[u8]> = before.iter().take(size).map(Vec::as_slice).collect();
        let (root, size) = (TileBuilder::new().append(&before).unwrap().root, u64::try_from(size).unwrap());
        Checkpoint { origin: "gw.example/audit".into(), size, root }.sign(&[&signer()]).unwrap().to_text()
    };
    annex.opening = signed(log.opening);
    annex.witnessed = log.witnessed.as_ref().map(|(size, lines)| {
        let checkpoint = signed(*size);
        let lines = lines(&checkpoint);
        checkpoint + &lines
    });
    alter(&mut annex);
    let (claim, contents) = statements.claim("c-1", &programme, 2026, &annex).unwrap();
    let text = claim.text().unwrap();
    let said = |participant: &str, state: &str| {
        json!({"kind": "claim", "claim": "c-1", "claim_digest": Digest::of(text.as_bytes()), "state": state,
               "participant": participant})
    };
    leaves.extend([said("qianhai", "proposed"), said("regulator", "released")]);
    change(&mut leaves);
    let entries = entries(&leaves);
    let mut files = BTreeMap::new();
    let borrowed: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
    let writes = TileBuilder::new().append(&borrowed).unwrap();
    for file in writes.files {
        files.insert(file.path.to_string(), file.bytes);
    }
    let checkpoint = Checkpoint { origin: "gw.example/audit".into(), size: writes.size, root: writes.root };
    let checkpoint = checkpoint.sign(&[&signer()]).unwrap();
    let read = |path: &TilePath| Ok::<_, std::io::Error>(files.get(&path.to_string()).cloned());
    let mut reader = TileReader::new(writes.size, read);
    let mut consistency = |size: usize| {
        let hashes = reader.consistency(u64::try_from(size).unwrap()).unwrap();
        hashes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let opening = consistency(log.opening);
    let witnessed = log.witnessed.as_ref().map(|(size, _)| consistency(*size));
    let leaves = (0..entries.len()).filter(|index| index % 2 == 1).map(|place| {
        let index = u64::try_from(place).unwrap();
        let hashes = reader.inclusion(index).unwrap();
        let proof = LogProof { extra: None, index, hashes, checkpoint: checkpoint.clone() }.to_text();
        ProvenLeaf { index, leaf: String::from_utf8(entries[place].clone()).unwrap(), proof }
    });
    Evidence {
        claim: text.clone(),
        contents,
        leaves: leaves.collect(),
        checkpoint: checkpoint.to_text(),
        consistency: opening,
        witnessed_consistency: witnessed,
        openings: None,
        log_key: signer().verifier().to_string(),
        trust_policy: "quorum none\n".into(),
    }
}

/// The log's entries: before each of `leaves` another one.
fn entries(leaves: &[Value]) -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    for (number, leaf) in leaves.iter().enumerate() {
        for mut entry in [json!({"kind": "access", "number": number}), leaf.clone()] {
            entry["v"] = json!(1);
            entry["at"] = json!("2026-02-01T00:00:00.000Z");
            entries.push(serde_json_canonicalizer::to_vec(&entry).unwrap());
        }
    }
    entries
}

fn packed(evidence: &Evidence) -> Vec<u8> {
    zip::pack(&bundle::files(evidence, None).unwrap()).unwrap()
}

/// What the bundle's own verifier says of it: nothing, or the file that does not hold. It shares no line with ours.
fn second(bundle: &[u8]) -> Result<(), String> {
    second_by(bundle, None)
}

/// The same, by a key or policy from elsewhere.
fn second_by(bundle: &[u8], trust: Option<&str>) -> Result<(), String> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let name = format!("claim-{}-{}.zip", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let trusted = path.with_extension("trust");
    std::fs::write(&path, bundle).unwrap();
    std::fs::write(&trusted, trust.unwrap_or_default()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/claim/verify.py");
    let mut command = Command::new("python3");
    command.args(["-I", "-B"]).arg(script).arg(&path).args(trust.map(|_| &trusted));
    let told = command.output().unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::remove_file(&trusted).unwrap();
    let text = String::from_utf8(told.stdout).unwrap();
    match told.status.code() {
        Some(0) => Ok(()),
        Some(6) => Err(text.trim_start_matches('`').split('`').next().unwrap().to_owned()),
        other => panic!("{other:?}: {text}{}", String::from_utf8_lossy(&told.stderr)),
    }
}

#[test]
fn a_bundle_is_always_the_same_and_verifies() {
    let bundle = packed(&evidence(|_| ()));
    assert_eq!(bundle, packed(&evidence(|_| ())));
    let verified = verify(&bundle, by(signer().verifier())).unwrap();
    assert!(verified.trusted && !verify(&bundle, NOBODY).unwrap().trusted);
    assert_eq!((verified.claim.amount.as_str(), verified.claim.base.as_str()), ("6000000", "600000000"));
    for line in [
        "Receipted 經用戶簽收 经用户签收: 33.3333 %",
        "两地及时见证: 0.0000 %",
        "非关联方: 100.0000 %",
        "有付款凭证: 50.0000 %",
        "九十日内无回购: 100.0000 %",
        "前五大交易方: 100.0000 %",
        "已结算月份: 100.0000 %",
        "2025-11 - 2025-11: CNY 6000000.00 / 6000000.00",
        "是否含税未知",
    ] {
        assert!(verified.face.contains(line), "{}", verified.face);
    }
    let other = Ed25519Signer::from_seed("gw.example/audit", &[2; 32]).unwrap();
    assert_eq!(verify(&bundle, by(other.verifier())).unwrap_err().file, "log.vkey");
}

#[test]
fn every_byte_of_the_archive_that_is_flipped_is_found() {
    let bundle = packed(&evidence(|_| ()));
    let names: Vec<String> = zip::unpack(&bundle).unwrap().into_keys().collect();
    for place in 0..bundle.len() {
        let mut altered = bundle.clone();
        altered[place] ^= 1 << (place % 8);
        let fault = verify(&altered, NOBODY).unwrap_err();
        assert!(fault.file == "the archive" || names.contains(&fault.file), "byte {place}: {fault}");
    }
    for length in [0, 21, 22, bundle.len() - 1] {
        assert_eq!(verify(&bundle[..length], NOBODY).unwrap_err().file, "the archive");
    }
    assert_eq!(verify(&[&bundle[..], b"x"].concat(), NOBODY).unwrap_err().file, "the archive");
}

#[test]
fn a_file_that_is_altered_and_packed_again_is_named() {
    let bundle = packed(&evidence(|_| ()));
    let files = zip::unpack(&bundle).unwrap();
    for (name, bytes) in &files {
        for place in (0..bytes.len()).step_by(bytes.len().div_ceil(200).max(1)) {
            let mut altered = files.clone();
            altered.get_mut(name).unwrap()[place] ^= 1;
            let fault = verify(&zip::pack(&altered).unwrap(), NOBODY).unwrap_err();
            assert_eq!(&fault.file, name, "byte {place}: {fault}");
        }
        let mut less = files.clone();
        less.remove(name);
        assert_eq!(&verify(&zip::pack(&less).unwrap(), NOBODY).unwrap_err().file, name);
    }
    let mut more = files;
    more.insert("more.txt".into(), b"x".to_vec());
    assert_eq!(verify(&zip::pack(&more).unwrap(), NOBODY).unwrap_err().file, "more.txt");
}

#[test]
fn a_bundle_made_again_around_other_contents_does_not_verify() {
    let refused = |change: &dyn Fn(&mut Evidence)| {
        let mut evidence = evidence(|_| ());
        change(&mut evidence);
        bundle::files(&evidence, None).and_then(|files| verify(&zip::pack(&files)?, NOBODY)).unwrap_err().file
    };
    let swap = |name: &'static str, from: &'static str, to: &'static str| {
        move |evidence: &mut Evidence| {
            let text = evidence.contents.get_mut(name).unwrap();
            assert!(text.contains(from), "{name}");
            *text = text.replace(from, to);
        }
    };
    for name in ["statements.json", "transactions.json", "lines.csv", "rules/evaluation.json"] {
        assert_eq!(refused(&swap(name, "600000000", "700000000")), name);
    }
    assert_eq!(
        refused(&swap("rules/programme.toml", "rate_percent = 1\n", "rate_percent = 2\n")),
        "rules/programme.toml"
    );
    // The log holds the claim's digest, so another claim is nobody's.
    assert_eq!(refused(&|evidence| evidence.claim = evidence.claim.replace("6000000", "7000000")), "claim.json");
    assert_eq!(
        refused(&|evidence| evidence.leaves[3].leaf = evidence.leaves[3].leaf.replace("hku", "hkv")),
        "leaves/7.json"
    );
    let another = evidence(|leaves| leaves.push(json!({"kind": "access"})));
    assert_eq!(refused(&|evidence| evidence.checkpoint.clone_from(&another.checkpoint)), "proofs/1.tlog-proof");
    assert_eq!(refused(&|evidence| evidence.trust_policy = "witness".into()), "trust.policy");
}

#[test]
fn the_log_must_hold_filing_release_by_another_and_a_decision() {
    let refused = |change: fn(&mut Vec<Value>)| verify(&packed(&evidence(change)), NOBODY).unwrap_err().to_string();
    assert!(refused(|leaves| drop(leaves.remove(3))).contains("no decision"));
    assert!(refused(|leaves| leaves[3]["effect"] = json!("deny")).contains("no decision"));
    assert!(refused(|leaves| drop(leaves.remove(4))).contains("filed it"));
    assert!(refused(|leaves| drop(leaves.remove(5))).contains("released it"));
    assert!(refused(|leaves| leaves[5]["participant"] = json!("qianhai")).contains("released it"));
    assert!(refused(|leaves| leaves[5]["claim_digest"] = json!("sha256:0")).contains("released it"));
}

/// What stands beside the statements has a leaf each, and no more of it than statements and months allow.
#[test]
fn payments_receipts_contracts_and_months_are_those_of_the_log() {
    type Change<'a> = (&'a str, fn(&mut Annex), fn(&mut Vec<Value>));
    let cases: [Change<'_>; 13] = [
        ("payments/", |_| (), |leaves| leaves[0]["payment_digest"] = json!(Digest::of(b"another"))),
        ("payments/", |annex| annex.payments[0].settled.amount.0 += 1, |_| ()),
        (
            "payments/",
            |_| (),
            |leaves| {
                let mut reversal = leaves[0].clone();
                reversal["kind"] = json!("payment_reversal");
                leaves.push(reversal);
            },
        ),
        ("receipts/", |_| (), |leaves| leaves[1]["ack"] = json!(Digest::of(b"another"))),
        ("receipts/", |annex| annex.receipts[0].ack.seq = 2, |_| ()),
        ("receipts/", |annex| annex.receipts.clear(), |_| ()),
        ("receipts/", |annex| annex.receipts.push(annex.receipts[0].clone()), |_| ()),
        ("contracts/", |annex| annex.contracts[0].amount.0 -= 1, |_| ()),
        ("contracts/", |annex| annex.contracts[0].affiliated = true, |_| ()),
        ("contracts/", |annex| annex.contracts.clear(), |_| ()),
        ("sums/", |_| (), |leaves| leaves[2]["period"] = json!("2025-12")),
        ("sums/", |annex| annex.sums[0].sums.closing.credits += 1, |_| ()),
        // More is claimed for a month than its root holds.
        ("sums/", |annex| annex.sums = vec![closed("599999999").0], |leaves| leaves[2] = closed("599999999").1),
    ];
    for (number, (file, alter, change)) in cases.into_iter().enumerate() {
        let bundle = packed(&evidence_of(alter, change));
        let fault = verify(&bundle, NOBODY).unwrap_err();
        assert!(fault.file.starts_with(file), "case {number}: {fault}");
        let second = second(&bundle).unwrap_err();
        assert!(second.starts_with(file), "case {number}: {second}");
    }
    // Another log's opening, or one that this log does not begin with.
    let mut other = evidence(|_| ());
    other.consistency = "\n".to_owned();
    assert_eq!(verify(&packed(&other), NOBODY).unwrap_err().file, "checkpoints/consistency");
    assert_eq!(second(&packed(&other)).unwrap_err(), "checkpoints/consistency");
}

#[test]
fn a_sale_back_within_ninety_days_is_a_round_trip() {
    let shares = |period: &str| {
        let both = statements("600000000", |value| {
            let mut back = value["lines"][0].clone();
            (back["broker"], back["consumer"]) = (json!("hku"), json!("qianhai"));
            back["period"] = json!(period);
            value["lines"].as_array_mut().unwrap().push(back);
        });
        both.shares(Side::Broker, 2025, &Annex::default(), &Closed::default())
    };
    // From the end of November: to the end of January are sixty-two days, to the end of August ninety-one.
    assert_eq!((shares("2026-01").no_round_trip, shares("2025-08").no_round_trip), (0, 1_000_000));
    assert_eq!(shares("2026-01").payment_matched, 0);
}

#[test]
fn an_earlier_key_may_have_signed_the_opening_checkpoint_if_it_vouched_for_the_next() {
    let older = Ed25519Signer::from_seed("gw.example/audit", &[9; 32]).unwrap();
    let opened = |vouched: bool, by: &Ed25519Signer| {
        let signed = |annex: &mut Annex| {
            let opening = SignedCheckpoint::parse(annex.opening.as_bytes()).unwrap();
            annex.opening = opening.checkpoint().sign(&[by]).unwrap().to_text();
        };
        let change = |leaves: &mut Vec<Value>| {
            if vouched {
                leaves.push(Value::Object(rotate(&older, &signer()).unwrap()));
            }
        };
        packed(&evidence_of(signed, change))
    };
    let good = opened(true, &older);
    verify(&good, by(signer().verifier())).unwrap();
    assert_eq!(second(&good), Ok(()));
    let stranger = Ed25519Signer::from_seed("gw.example/audit", &[10; 32]).unwrap();
    for bad in [opened(false, &older), opened(true, &stranger)] {
        assert_eq!(verify(&bad, NOBODY).unwrap_err().file, "checkpoints/opening");
        assert_eq!(second(&bad).unwrap_err(), "checkpoints/opening");
    }
}

/// From every size of the opening log, and with witnesses on both sides, the second verifier agrees with the first.
#[test]
fn the_second_verifier_agrees() {
    assert_eq!(second(&packed(&evidence(|_| ()))), Ok(()));
    for opening in 1..=8 {
        let bundle = packed(&evidence_from(opening));
        verify(&bundle, NOBODY).unwrap();
        assert_eq!(second(&bundle), Ok(()), "{opening}");
    }
}

#[test]
fn nothing_is_claimed_that_the_programme_does_not_give() {
    let programme = Programme::find(REWARD).unwrap();
    let (annex, _) = annex();
    let claim = |statements: Statements, year| statements.claim("c-1", &programme, year, &annex);
    let error = claim(statements("499999999", |_| ()), 2026).unwrap_err();
    assert!(matches!(&error, ClaimError::NotEligible { base, trace, .. } if base == "499999999" && !trace.is_empty()));
    assert!(claim(statements("600000000", |_| ()), 2027).is_err());
    let affiliated = statements("600000000", |value| value["parties"]["hku"]["affiliates"] = json!(["qianhai"]));
    assert!(claim(affiliated, 2026).is_err());
    // A line still running when the statements were made belongs to the moment they were made.
    let early = statements("600000000", |value| value["made"] = json!("2025-11-20T00:00:00Z"));
    let (claim, contents) = claim(early, 2026).unwrap();
    assert!(contents["transactions.json"].contains("2025-11-20T00:00:00Z"));
    assert!(contents["lines.csv"].contains(",yue-speech,'-1,"));
    assert_eq!(claim.contracts.len(), 1);
    // A voucher's buyer is an enterprise with a mainland code, through a platform; a contract's months are one.
    let voucher = Programme::find("shenzhen-corpus-voucher-2024").unwrap();
    let buyer = |platform: Value, registration: &str| {
        statements("0", |value| {
            value["participant"] = json!("hku");
            value["platform"] = platform;
            value["parties"]["hku"]["registration"] = json!(registration);
            let mut next = value["lines"][0].clone();
            next["period"] = json!("2025-12");
            value["lines"].as_array_mut().unwrap().push(next);
        })
        .claim("c-2", &voucher, 2025, &Annex::default())
    };
    assert!(buyer(Value::Null, "91440300MA5FAKE086").is_err());
    assert!(buyer(json!("exchange"), "00000000").is_err());
    let (claim, _) = buyer(json!("exchange"), "91440300MA5FAKE086").unwrap();
    assert_eq!((claim.base.as_str(), claim.amount.as_str()), ("1800000000", "200000000"));
}
