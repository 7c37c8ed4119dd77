//! Claim bundles: what verifies, and that every byte that is changed is found and named.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use catalog::Digest;
use gateway_audit::note::KeyId;
use gateway_audit::{Checkpoint, Ed25519Signer, LogProof, Signer, TileBuilder, TilePath, TileReader, VerifierKey};
use gateway_ledger::claim::{ClaimError, Evidence, ProvenLeaf, Statements, bundle, verify, witnessed, zip};
use gateway_ledger::incentive::Programme;
use serde_json::{Value, json};

const REWARD: &str = "qianhai-broker-reward-2024";

fn statements(fee: &str, change: impl FnOnce(&mut Value)) -> Statements {
    let party = |registration: &str| json!({"names": {"en": "Name"}, "registration": registration, "affiliates": []});
    let mut value = json!({
        "participant": "qianhai", "made": "2026-02-01T00:00:00Z", "platform": null,
        "parties": {"qianhai": party("91440300MA5FAKE086"), "hku": party("00000000")},
        "lines": [{
            "period": "2025-11", "currency": "CNY", "agreement": "a-1", "dataset": "yue-speech", "version": "-1",
            "provider": "qianhai", "consumer": "hku", "broker": "qianhai", "units": 1, "rows": 2, "unit_bytes": 3,
            "wire_bytes": 4, "amount": "900000000", "fee": fee, "sent": 3, "receipt": 1,
        }],
    });
    change(&mut value);
    serde_json::from_value(value).unwrap()
}

fn signer() -> Ed25519Signer {
    Ed25519Signer::from_seed("gw.example/audit", &[1; 32]).unwrap()
}

/// The evidence of a claim on the reward of 2026, in a log with other entries around it.
fn evidence(change: impl FnOnce(&mut Vec<Value>)) -> Evidence {
    let programme = Programme::find(REWARD).unwrap();
    let (claim, contents) = statements("600000000", |_| ()).claim("c-1", &programme, 2026).unwrap();
    let text = claim.text().unwrap();
    let said = |participant: &str, state: &str| {
        json!({"kind": "claim", "claim": "c-1", "claim_digest": Digest::of(text.as_bytes()), "state": state,
               "participant": participant})
    };
    let decision = json!({"kind": "decision", "agreement": "a-1", "effect": "allow", "participant": "hku"});
    let mut leaves = vec![decision, said("qianhai", "proposed"), said("regulator", "released")];
    change(&mut leaves);
    let mut entries: Vec<Vec<u8>> = Vec::new();
    for (number, leaf) in leaves.iter().enumerate() {
        for mut entry in [json!({"kind": "access", "number": number}), leaf.clone()] {
            entry["v"] = json!(1);
            entry["at"] = json!("2026-02-01T00:00:00.000Z");
            entries.push(serde_json_canonicalizer::to_vec(&entry).unwrap());
        }
    }
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
        log_key: signer().verifier().to_string(),
        trust_policy: "# none\n".into(),
    }
}

fn packed(evidence: &Evidence) -> Vec<u8> {
    zip::pack(&bundle::files(evidence).unwrap()).unwrap()
}

#[test]
fn a_bundle_is_always_the_same_and_verifies() {
    let bundle = packed(&evidence(|_| ()));
    assert_eq!(bundle, packed(&evidence(|_| ())));
    let verified = verify(&bundle, Some(signer().verifier())).unwrap();
    assert!(verified.trusted && !verify(&bundle, None).unwrap().trusted);
    assert_eq!((verified.claim.amount.as_str(), verified.claim.base.as_str()), ("6000000", "600000000"));
    for line in ["Receipted 經用戶簽收 经用户签收: 33.3333 %", "两地及时见证: 0.0000 %", "非关联方: 100.0000 %"]
    {
        assert!(verified.face.contains(line), "{}", verified.face);
    }
    let other = Ed25519Signer::from_seed("gw.example/audit", &[2; 32]).unwrap();
    assert_eq!(verify(&bundle, Some(other.verifier())).unwrap_err().file, "log.vkey");
}

#[test]
fn every_byte_of_the_archive_that_is_flipped_is_found() {
    let bundle = packed(&evidence(|_| ()));
    let names: Vec<String> = zip::unpack(&bundle).unwrap().into_keys().collect();
    for place in 0..bundle.len() {
        let mut altered = bundle.clone();
        altered[place] ^= 1 << (place % 8);
        let fault = verify(&altered, None).unwrap_err();
        assert!(fault.file == "the archive" || names.contains(&fault.file), "byte {place}: {fault}");
    }
    for length in [0, 21, 22, bundle.len() - 1] {
        assert_eq!(verify(&bundle[..length], None).unwrap_err().file, "the archive");
    }
    assert_eq!(verify(&[&bundle[..], b"x"].concat(), None).unwrap_err().file, "the archive");
}

#[test]
fn a_file_that_is_altered_and_packed_again_is_named() {
    let bundle = packed(&evidence(|_| ()));
    let files = zip::unpack(&bundle).unwrap();
    for (name, bytes) in &files {
        for place in (0..bytes.len()).step_by(bytes.len().div_ceil(200).max(1)) {
            let mut altered = files.clone();
            altered.get_mut(name).unwrap()[place] ^= 1;
            let fault = verify(&zip::pack(&altered).unwrap(), None).unwrap_err();
            assert_eq!(&fault.file, name, "byte {place}: {fault}");
        }
        let mut less = files.clone();
        less.remove(name);
        assert_eq!(&verify(&zip::pack(&less).unwrap(), None).unwrap_err().file, name);
    }
    let mut more = files;
    more.insert("more.txt".into(), b"x".to_vec());
    assert_eq!(verify(&zip::pack(&more).unwrap(), None).unwrap_err().file, "more.txt");
}

#[test]
fn a_bundle_made_again_around_other_contents_does_not_verify() {
    let refused = |change: &dyn Fn(&mut Evidence)| {
        let mut evidence = evidence(|_| ());
        change(&mut evidence);
        bundle::files(&evidence).and_then(|files| verify(&zip::pack(&files)?, None)).unwrap_err().file
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
        refused(&|evidence| evidence.leaves[0].leaf = evidence.leaves[0].leaf.replace("hku", "hkv")),
        "leaves/1.json"
    );
    let another = evidence(|leaves| leaves.push(json!({"kind": "access"}))).checkpoint;
    assert_eq!(refused(&|evidence| evidence.checkpoint.clone_from(&another)), "proofs/1.tlog-proof");
    assert_eq!(refused(&|evidence| evidence.trust_policy = "witness".into()), "trust.policy");
}

#[test]
fn the_log_must_hold_filing_release_by_another_and_a_decision() {
    let refused = |change: fn(&mut Vec<Value>)| verify(&packed(&evidence(change)), None).unwrap_err().to_string();
    assert!(refused(|leaves| drop(leaves.remove(0))).contains("no decision"));
    assert!(refused(|leaves| leaves[0]["effect"] = json!("deny")).contains("no decision"));
    assert!(refused(|leaves| drop(leaves.remove(1))).contains("filed it"));
    assert!(refused(|leaves| drop(leaves.remove(2))).contains("released it"));
    assert!(refused(|leaves| leaves[2]["participant"] = json!("qianhai")).contains("released it"));
    assert!(refused(|leaves| leaves[2]["claim_digest"] = json!("sha256:0")).contains("released it"));
}

#[test]
fn nothing_is_claimed_that_the_programme_does_not_give() {
    let programme = Programme::find(REWARD).unwrap();
    let claim = |statements: Statements, year| statements.claim("c-1", &programme, year);
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
        .claim("c-2", &voucher, 2025)
    };
    assert!(buyer(Value::Null, "91440300MA5FAKE086").is_err());
    assert!(buyer(json!("exchange"), "00000000").is_err());
    let (claim, _) = buyer(json!("exchange"), "91440300MA5FAKE086").unwrap();
    assert_eq!((claim.base.as_str(), claim.amount.as_str()), ("1800000000", "200000000"));
}

/// A cosignature line (C2SP tlog-cosignature) of a witness with `seed`, over `checkpoint` at `time`.
fn cosigned(checkpoint: &str, name: &str, seed: u8, time: u64) -> (String, String) {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let signer = Ed25519Signer::from_seed(name, &[seed; 32]).unwrap();
    let public = signer.verifier().public().to_vec();
    let id = KeyId::of(name, 4, &public);
    let body = &checkpoint[..=checkpoint.rfind("\n\n").unwrap()];
    let signature = signer.sign(format!("cosignature/v1\ntime {time}\n{body}").as_bytes()).unwrap();
    let line = [&id.0[..], &time.to_be_bytes(), &signature].concat();
    let vkey = format!("{name}+{id}+{}", STANDARD.encode([&[4], public.as_slice()].concat()));
    (format!("— {name} {}\n", STANDARD.encode(line)), vkey)
}

#[test]
fn witnessed_in_time_is_cosigned_on_both_sides_before_the_periods_close() {
    // 2026-01-16T00:00:00+08:00.
    let closes = 1_768_492_800;
    for (hk, qh, share) in [(closes, closes, "100.0000"), (closes + 1, closes, "0.0000"), (closes, 0, "0.0000")] {
        let mut evidence = evidence(|_| ());
        let bare = evidence.checkpoint.clone();
        let (first, hk_key) = cosigned(&bare, "hk.example/w", 7, hk);
        let (second, qh_key) = cosigned(&bare, "qh.example/w", 8, qh.max(1));
        evidence.checkpoint.push_str(&first);
        if qh > 0 {
            evidence.checkpoint.push_str(&second);
        }
        for leaf in &mut evidence.leaves {
            leaf.proof = leaf.proof.replace(&bare, &evidence.checkpoint);
        }
        evidence.trust_policy = format!("witness HK {hk_key}\nwitness QH {qh_key}\n");
        let verified = verify(&packed(&evidence), None).unwrap();
        assert!(verified.face.contains(&format!("及时见证: {share} %")), "{}", verified.face);
        // The same lines without a policy that names their keys are worth nothing.
        evidence.trust_policy = String::new();
        assert_eq!(verify(&packed(&evidence), None).unwrap().witnessed, 0);
    }
    assert!(witnessed::policy("witness HK a+b+c").is_err());
    let log: VerifierKey = signer().verifier().to_string().parse().unwrap();
    assert!(witnessed::policy(&format!("witness HK {log}")).is_err());
}
