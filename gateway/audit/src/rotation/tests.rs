#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use crate::note::{Ed25519Signer, Note, verifier_keys};

fn signer(name: &str, seed: u8) -> Ed25519Signer {
    Ed25519Signer::from_seed(name, &[seed; 32]).unwrap()
}

fn leaf(mut members: Map<String, Value>) -> Leaf {
    members.insert("v".to_owned(), json!(1));
    members.insert("at".to_owned(), json!("2026-11-22T08:13:45Z"));
    Leaf::parse(&serde_json_canonicalizer::to_vec(&members).unwrap()).unwrap()
}

#[test]
fn both_keys_sign_and_neither_can_be_replaced() {
    let (old, new, other) =
        (signer("gw.example/audit", 1), signer("gw.example/audit", 2), signer("gw.example/audit", 3));
    let made = rotate(&old, &new).unwrap();
    let read = KeyChange::read(&leaf(made.clone())).unwrap();
    assert_eq!(read, KeyChange::Rotation { old: old.verifier().clone(), new: new.verifier().clone() });
    for member in ["old", "new"] {
        let mut forged = made.clone();
        forged.insert(member.to_owned(), json!(other.verifier().to_string()));
        assert!(KeyChange::read(&leaf(forged)).is_err(), "another key as `{member}`");
        let mut unsigned = made.clone();
        unsigned["signatures"].as_object_mut().unwrap().remove(member);
        assert!(KeyChange::read(&leaf(unsigned)).is_err(), "without the signature of `{member}`");
        let mut gone = made.clone();
        gone.remove(member);
        assert!(KeyChange::read(&leaf(gone)).is_err());
    }
    let foreign = rotate(&old, &signer("other.example/audit", 2)).unwrap_err();
    assert!(matches!(foreign, NoteError::Origin { .. }), "{foreign}");
}

#[test]
fn a_retirement_is_signed_by_who_goes_on() {
    let (old, new) = (signer("gw.example/audit", 1), signer("gw.example/audit", 2));
    let made = retire(old.verifier(), &new).unwrap();
    assert!(matches!(KeyChange::read(&leaf(made.clone())), Ok(KeyChange::Retirement { .. })));
    let mut forged = made;
    forged.insert("retired".to_owned(), json!(new.verifier().to_string()));
    assert!(KeyChange::read(&leaf(forged)).is_err());
}

#[test]
fn a_note_of_several_keys_is_signed_by_any_of_them_and_a_wrong_line_is_never_passed_over() {
    let (old, new) = (signer("gw.example/audit", 1), signer("gw.example/audit", 2));
    let text = format!("# keys of the log\n{}\n\n{}\n", old.verifier(), new.verifier());
    let keys = verifier_keys(&text).unwrap();
    let note = Note::sign("gw.example/audit\n", &[&new]).unwrap();
    assert_eq!(note.verify_any(&keys).unwrap(), new.verifier());
    assert!(matches!(note.verify_any(&keys[..1]), Err(NoteError::Unsigned(_))));
    let both = Note::sign("gw.example/audit\n", &[&new, &old]).unwrap();
    assert_eq!(both.verify_any(&keys).unwrap(), old.verifier(), "the first of the keys");
    // The old key's line over another text.
    let lines = Note::sign("gw.example/other\n", &[&old]).unwrap().to_text();
    let mixed = format!("{}{}", note.to_text(), lines.lines().last().unwrap()) + "\n";
    let mixed = Note::parse(mixed.as_bytes()).unwrap();
    assert!(matches!(mixed.verify_any(&keys), Err(NoteError::Signature(_))));
    for wrong in ["", "# nothing", "no key", &format!("{}\n{}", old.verifier(), signer("x", 1).verifier())] {
        assert!(verifier_keys(wrong).is_err(), "{wrong}");
    }
}
