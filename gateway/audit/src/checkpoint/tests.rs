#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use super::*;
use crate::note::Ed25519Signer;
use crate::tree::EMPTY_ROOT;

const ROOT: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

fn checkpoint() -> Checkpoint {
    Checkpoint { origin: "gw.example/audit".into(), size: 20_852_163, root: EMPTY_ROOT }
}

#[test]
fn signed_checkpoints_read_back() {
    let signer = Ed25519Signer::from_seed("gw.example/audit", &[1; 32]).unwrap();
    let signed = checkpoint().sign(&[&signer]).unwrap();
    let text = signed.to_text();
    assert!(text.starts_with(&format!("gw.example/audit\n20852163\n{ROOT}\n\n— gw.example/audit ")));
    let read = SignedCheckpoint::parse(text.as_bytes()).unwrap();
    assert_eq!(read.verify(signer.verifier()).unwrap(), &checkpoint());
    // The same checkpoint signed again gives the same bytes: publishing can be repeated.
    assert_eq!(checkpoint().sign(&[&signer]).unwrap().to_text(), text);
}

#[test]
fn a_key_vouches_only_for_its_own_log() {
    let signer = Ed25519Signer::from_seed("other.example", &[1; 32]).unwrap();
    assert!(matches!(checkpoint().sign(&[&signer]), Err(NoteError::Origin { .. })));
    let note = Note::sign(&checkpoint().to_string(), &[&signer]).unwrap();
    let signed = SignedCheckpoint::parse(note.to_text().as_bytes()).unwrap();
    assert!(matches!(signed.verify(signer.verifier()), Err(NoteError::Origin { .. })));
}

#[test]
fn texts_are_parsed_strictly() {
    let parse = |text: &str| text.parse::<Checkpoint>();
    assert!(parse(&format!("a\n0\n{ROOT}\n")).is_ok());
    let extended = parse(&format!("a b\n1\n{ROOT}\nextension\n")).unwrap();
    assert_eq!((extended.origin.as_str(), extended.size), ("a b", 1));
    for wrong in [
        String::new(),
        format!("a\n0\n{ROOT}"),
        "a\n0\n".into(),
        format!("\n0\n{ROOT}\n"),
        format!("a\n00\n{ROOT}\n"),
        format!("a\n+1\n{ROOT}\n"),
        format!("a\n-1\n{ROOT}\n"),
        format!("a\n \n{ROOT}\n"),
        format!("a\n18446744073709551616\n{ROOT}\n"),
        format!("a\n1\n{}\n", ROOT.trim_end_matches('=')),
        format!("a\n1\n{ROOT} \n"),
        format!("a\n1\n{ROOT}\n\n"),
    ] {
        assert!(matches!(parse(&wrong), Err(NoteError::Checkpoint(_))), "{wrong:?}");
    }
}
