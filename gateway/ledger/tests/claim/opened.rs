//! Receipts with their signatures and certificates inside: what both verifiers check of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gateway_audit::leaf::commitment;
use gateway_ledger::claim::Opened;

use super::*;

const FILE: &str = "receipts/openings.json";
const SALTS: ([u8; 32], [u8; 32]) = ([3; 32], [4; 32]);

/// Stands for a certificate's key: a signature is the certificate, a colon, and the digest of what was signed.
fn sign(certificate: &[u8], message: &[u8]) -> Vec<u8> {
    [certificate, b":", Digest::of(message).as_bytes().as_slice()].concat()
}

const CHECKING: Trust<'_> =
    Trust { signature: Some(|by, message, signature| sign(by, message) == signature), ..NOBODY };

fn evidence(committed: bool, change: impl FnOnce(&mut Opened)) -> Evidence {
    let (annex, _) = annex();
    let (certificate, signature) =
        (b"certificate".as_slice(), sign(b"certificate", &annex.receipts[0].ack.signed_bytes()));
    let text = STANDARD.encode(&signature);
    let mut evidence = super::evidence(|leaves| {
        leaves[1]["certificate"] = json!(commitment(&SALTS.0, "certificate", Digest::of(certificate).as_bytes()));
        if committed {
            leaves[1]["signature"] = json!(commitment(&SALTS.1, "signature", text.as_bytes()));
        }
    });
    let mut opened = Opened {
        leaf: 3,
        certificate: STANDARD.encode(certificate),
        certificate_salt: STANDARD.encode(SALTS.0),
        signature: text.clone(),
        signature_salt: committed.then(|| STANDARD.encode(SALTS.1)),
    };
    change(&mut opened);
    evidence.openings = Some(vec![opened]);
    evidence
}

fn told(evidence: &Evidence) -> Result<u32, String> {
    let first = verify(&packed(evidence), CHECKING).map(|verified| verified.signed).map_err(|fault| fault.file);
    assert_eq!(first.as_ref().map(|_| ()).map_err(Clone::clone), second(&packed(evidence)));
    first
}

#[test]
fn what_is_opened_is_what_the_leaf_commits_to_and_the_share_says_how_much_was_verified() {
    // A third of the line is signed for.
    for committed in [true, false] {
        let evidence = evidence(committed, |_| ());
        assert_eq!(told(&evidence), Ok(333_333));
        let face = verify(&packed(&evidence), CHECKING).unwrap().face;
        assert!(face.contains("签名在内: 33.3333 %"), "{face}");
        // Who cannot check signatures does not say that they hold.
        assert_eq!(verify(&packed(&evidence), NOBODY).unwrap_err().file, FILE);
    }
    let mut closed = evidence(true, |_| ());
    closed.openings = None;
    assert_eq!(told(&closed), Ok(0));
    assert!(!bundle::files(&closed, None).unwrap().contains_key(FILE));
    assert!(!format!("{:?}", evidence(true, |_| ()).openings).contains("ertificate"));
}

type Change<'a> = &'a dyn Fn(&mut Opened);

#[test]
fn another_certificate_signature_or_salt_is_refused_by_both() {
    let other = |text: &[u8]| STANDARD.encode(text);
    let cases: [Change<'_>; 6] = [
        &|opened| opened.certificate = other(b"another"),
        &|opened| opened.certificate_salt = other(&[5; 32]),
        &|opened| opened.signature = other(b"another"),
        &|opened| opened.signature_salt = Some(other(&[5; 32])),
        &|opened| opened.signature_salt = None,
        &|opened| opened.leaf = 5,
    ];
    for (number, change) in cases.into_iter().enumerate() {
        assert_eq!(told(&evidence(true, change)), Err(FILE.to_owned()), "case {number}");
    }
    let mut twice = evidence(true, |_| ());
    twice.openings = twice.openings.map(|opened| [opened.clone(), opened].concat());
    assert_eq!(verify(&packed(&twice), CHECKING).unwrap_err().file, FILE);
    // A signature that nothing in the log commits to is still checked against the certificate: by ours alone.
    let forged = evidence(false, |opened| opened.signature = other(b"another"));
    assert_eq!(verify(&packed(&forged), CHECKING).unwrap_err().file, FILE);
    assert_eq!(second(&packed(&forged)), Ok(()));
}
