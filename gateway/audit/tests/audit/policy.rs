//! Trust policies: what is one, and which cosignatures meet it.

use std::fmt::Write as _;

use gateway_audit::note::{Ed25519Signer, Signer as _};
use gateway_audit::tree::leaf_hash;
use gateway_audit::witness::PolicyError;
use gateway_audit::{Checkpoint, Cosigner, SignedCheckpoint, WitnessPolicy};
use proptest::prelude::*;

const ORIGIN: &str = "gw.example/audit";

fn log() -> Ed25519Signer {
    Ed25519Signer::from_seed(ORIGIN, &[1; 32]).unwrap()
}

fn witness(number: u8) -> Cosigner {
    Cosigner::from_seed(&format!("witness.example/w{number}"), &[100 + number; 32]).unwrap()
}

fn vkey(number: u8) -> String {
    witness(number).key().to_string()
}

/// A checkpoint cosigned by these witnesses at these times.
fn cosigned(by: &[(u8, u64)]) -> SignedCheckpoint {
    let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size: 3, root: leaf_hash(b"x") };
    let checkpoint = checkpoint.sign(&[&log()]).unwrap();
    let lines = by.iter().map(|(number, time)| witness(*number).cosign(&checkpoint, *time).unwrap());
    checkpoint.with_signatures(lines.collect()).unwrap()
}

fn border() -> String {
    let mut text = format!("# 兩地\nlog {}\n\n", log().verifier());
    for (number, name) in [(1, "hk1"), (2, "hk2"), (3, "qh1"), (4, "qh2"), (5, "aud")] {
        writeln!(text, "  witness\t{name}  {} https://w{number}.example/", vkey(number)).unwrap();
    }
    text + "group HK any hk1 hk2\ngroup QH any qh1 qh2\ngroup BORDER all HK QH\nquorum BORDER\n"
}

#[test]
fn both_sides_of_the_border_make_the_quorum() {
    let policy = WitnessPolicy::parse(border().as_bytes()).unwrap();
    assert_eq!((policy.logs().len(), policy.witnesses().len(), policy.has_quorum()), (1, 5, true));
    assert_eq!(policy.witnesses()[1].url.as_deref(), Some("https://w2.example/"));
    for (by, quorum, since, text) in [
        (vec![], false, None, "unwitnessed"),
        (
            vec![(1, 10), (2, 11)],
            false,
            None,
            "unwitnessed: cosigned by HK witness.example/w1, HK witness.example/w2 only, not by QH",
        ),
        (vec![(5, 10)], false, None, "unwitnessed: cosigned by witness.example/w5 only, not by HK, QH"),
        (vec![(1, 10), (3, 20)], true, Some(20), "witnessed by HK witness.example/w1, QH witness.example/w3"),
        // A later cosignature of the same side takes nothing away.
        (
            vec![(1, 10), (2, 90), (4, 30), (5, 5)],
            true,
            Some(30),
            "witnessed by HK witness.example/w1, HK witness.example/w2, QH witness.example/w4, witness.example/w5",
        ),
    ] {
        let checkpoint = cosigned(&by);
        let witnessed = policy.judge(&checkpoint).unwrap();
        assert_eq!((witnessed.quorum, witnessed.since, witnessed.to_string().as_str()), (quorum, since, text));
        assert_eq!(policy.verify(&checkpoint).is_ok(), quorum, "{text}");
        for (until, parts, want) in [
            (u64::MAX, ["HK", "QH"].as_slice(), quorum),
            (since.unwrap_or(0), &["HK"], quorum),
            (since.map_or(0, |since| since - 1), &[], false),
            (u64::MAX, &["HK", "nobody"], false),
        ] {
            assert_eq!(policy.witnessed_until(&checkpoint, until, parts), Ok(want), "{text} {until} {parts:?}");
        }
    }
}

#[test]
fn only_what_was_signed_counts() {
    let policy = WitnessPolicy::parse(border().as_bytes()).unwrap();
    // Over another checkpoint of the same log.
    let other = Checkpoint { origin: ORIGIN.to_owned(), size: 4, root: leaf_hash(b"y") }.sign(&[&log()]).unwrap();
    let line = witness(1).cosign(&other, 10).unwrap();
    let wrong = cosigned(&[(3, 20)]).with_signatures(vec![line]).unwrap();
    assert!(matches!(policy.judge(&wrong), Err(PolicyError::Cosignature(_))));
    // The name of a witness over another key.
    let impostor = Cosigner::from_seed("witness.example/w1", &[9; 32]).unwrap().cosign(&cosigned(&[]), 10).unwrap();
    let wrong = cosigned(&[(3, 20)]).with_signatures(vec![impostor]).unwrap();
    assert!(!policy.judge(&wrong).unwrap().quorum);
    // Not signed by the log.
    let forger = Ed25519Signer::from_seed(ORIGIN, &[2; 32]).unwrap();
    let forged = Checkpoint { origin: ORIGIN.to_owned(), size: 3, root: leaf_hash(b"x") }.sign(&[&forger]).unwrap();
    let lines = [1, 3].map(|number| witness(number).cosign(&forged, 10).unwrap());
    let forged = forged.with_signatures(lines.to_vec()).unwrap();
    assert!(matches!(policy.verify(&forged), Err(PolicyError::Log { .. })));
    assert!(policy.judge(&forged).unwrap().quorum);
}

#[test]
fn a_policy_without_a_quorum_rule_is_never_witnessed() {
    let text = format!("witness a {}\nquorum none", vkey(1));
    let policy = WitnessPolicy::parse(text.as_bytes()).unwrap();
    let witnessed = policy.verify(&cosigned(&[(1, 5)])).unwrap();
    assert_eq!((policy.has_quorum(), witnessed.quorum), (false, false));
    let one = format!("witness a {}\nquorum a\n", vkey(1));
    let policy = WitnessPolicy::parse(one.as_bytes()).unwrap();
    let witnessed = policy.verify(&cosigned(&[(1, 5)])).unwrap();
    assert_eq!((witnessed.since, witnessed.to_string().as_str()), (Some(5), "witnessed by witness.example/w1"));
}

#[test]
fn what_is_no_policy() {
    let (a, b, l) =
        (format!("witness a {}", vkey(1)), format!("witness b {}", vkey(2)), format!("log {}", log().verifier()));
    let same_key = Cosigner::from_seed("another.example/name", &[101; 32]).unwrap().key().to_string();
    let good = format!("{l}\n{a}\n{b}\ngroup g 2 a b\nquorum g\n");
    assert!(WitnessPolicy::parse(good.as_bytes()).is_ok());
    for (text, want) in [
        (String::new(), "no `quorum` line"),
        (l.clone(), "no `quorum` line"),
        ("quorum none\nquorum none\n".to_owned(), "line 2 of the policy: there is a quorum already"),
        ("quorum a\n".to_owned(), "line 1"),
        (format!("quorum a\n{a}\n"), "line 1"),
        (format!("{a}\ngroup g any a a\nquorum g\n"), "a member already"),
        (format!("{a}\ngroup g any a\ngroup h any a\nquorum g\n"), "a member already"),
        (format!("{a}\ngroup g any\nquorum a\n"), "no members"),
        (format!("{a}\ngroup g any g\nquorum a\n"), "not a witness or group"),
        (format!("{a}\ngroup g any none\nquorum a\n"), "not a witness or group"),
        (format!("{a}\ngroup none any a\nquorum a\n"), "`none` cannot be"),
        (format!("{a}\n{a}\nquorum a\n"), "listed already"),
        (format!("{a}\nwitness b {same_key}\nquorum a\n"), "listed already"),
        (format!("{a}\nwitness a {}\nquorum a\n", vkey(2)), "defined already"),
        (format!("{l}\n{l}\nquorum none\n"), "listed already"),
        (good.replace(" 2 ", " 3 "), "not `3`"),
        (good.replace(" 2 ", " 0 "), "not `0`"),
        (good.replace(" 2 ", " 02 "), "not `02`"),
        (good.replace(" 2 ", " +2 "), "not `+2`"),
        (good.replace("log ", "Log "), "line 1"),
        (good.replace('\n', "\r\n"), "control characters"),
        (good.replace("quorum g", "quorum g g"), "line 5"),
        (format!("witness a {}\nquorum a\n", log().verifier()), "cosignature/v1"),
        (format!("log {}\nquorum none\n", vkey(1)), "Ed25519"),
    ] {
        let error = WitnessPolicy::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(want), "{text:?}: {error}");
    }
    assert!(WitnessPolicy::parse(b"# \xff comments may be anything\nquorum none").is_ok());
    assert!(WitnessPolicy::parse(b"quorum \xff\n").is_err());
    assert!(WitnessPolicy::parse(&vec![b'\n'; 300 * 1024]).is_err());
}

/// A group as a naive reader would have it.
#[derive(Debug, Clone)]
enum Tree {
    One(u8),
    Group(usize, Vec<Tree>),
}

impl Tree {
    fn text(&self, out: &mut String, next: &mut u8) -> String {
        let name = format!("n{next}");
        *next += 1;
        match self {
            Self::One(number) => writeln!(out, "witness {name} {}", vkey(*number)).unwrap(),
            Self::Group(threshold, members) => {
                let names: Vec<String> = members.iter().map(|member| member.text(out, next)).collect();
                writeln!(out, "group {name} {threshold} {}", names.join(" ")).unwrap();
            }
        }
        name
    }

    fn holds(&self, cosigned: &[u8]) -> bool {
        match self {
            Self::One(number) => cosigned.contains(number),
            Self::Group(threshold, members) => {
                members.iter().filter(|member| member.holds(cosigned)).count() >= *threshold
            }
        }
    }
}

/// Groups over the witnesses 0 to 7, each once.
fn trees() -> impl Strategy<Value = Tree> {
    prop::collection::vec((1usize..4, 1usize..4), 1..4).prop_map(|groups| {
        let (mut number, mut members) = (0, Vec::new());
        for (count, threshold) in groups {
            let inner: Vec<Tree> = (0..count)
                .map(|_| {
                    number += 1;
                    Tree::One(number - 1)
                })
                .collect();
            members.push(Tree::Group(threshold.min(count), inner));
        }
        let threshold = members.len().div_ceil(2);
        Tree::Group(threshold, members)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn quorums_are_those_of_a_naive_reader(tree in trees(), times in prop::collection::vec(prop::option::of(0u64..5), 9)) {
        let mut text = String::new();
        let quorum = tree.text(&mut text, &mut 0);
        let policy = WitnessPolicy::parse(format!("{text}quorum {quorum}\n").as_bytes()).unwrap();
        let by: Vec<(u8, u64)> = times.iter().zip(0..).filter_map(|(time, number)| Some((number, (*time)?))).collect();
        let witnessed = policy.judge(&cosigned(&by)).unwrap();
        let until = |moment: u64| by.iter().filter(|(_, time)| *time <= moment).map(|(number, _)| *number).collect::<Vec<_>>();
        prop_assert_eq!(witnessed.since, (0..5).find(|moment| tree.holds(&until(*moment))));
        prop_assert_eq!(witnessed.quorum, witnessed.since.is_some());
    }

    #[test]
    fn damaged_policies_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = border().into_bytes();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(policy) = WitnessPolicy::parse(&bytes) {
            let _ = policy.verify(&cosigned(&[(1, 10), (3, 20)]));
        }
    }
}
