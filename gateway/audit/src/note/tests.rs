#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use super::*;

fn signer(name: &str, seed: u8) -> Ed25519Signer {
    Ed25519Signer::from_seed(name, &[seed; 32]).unwrap()
}

#[test]
fn signing_and_verifying() {
    let (ours, other) = (signer("gw.example/audit", 1), signer("witness.example", 2));
    let note = Note::sign("a\n\nb\n", &[&ours, &other]).unwrap();
    let read = Note::parse(note.to_text().as_bytes()).unwrap();
    assert_eq!(read, note);
    assert_eq!(read.text(), "a\n\nb\n");
    read.verify(ours.verifier()).unwrap();
    read.verify(other.verifier()).unwrap();
    // A key that did not sign: same name, same id, neither.
    let stranger = signer("gw.example/audit", 3);
    assert!(matches!(read.verify(stranger.verifier()), Err(NoteError::Unsigned(_))));
    let changed = note.to_text().replace("a\n", "A\n");
    let changed = Note::parse(changed.as_bytes()).unwrap();
    assert!(matches!(changed.verify(ours.verifier()), Err(NoteError::Signature(_))));
    assert!(Note::sign("a\n", &[]).is_err());
    assert!(Note::sign("a", &[&ours]).is_err());
    assert!(Note::sign("a\t\n", &[&ours]).is_err());
}

#[test]
fn unknown_lines_are_ignored_and_kept() {
    let ours = signer("gw.example/audit", 1);
    let note = Note::sign("text\n", &[&ours]).unwrap();
    let long = STANDARD.encode(vec![6; 4 + 2420]);
    let text = format!("{}— witness.example {long}\n", note.to_text());
    let read = Note::parse(text.as_bytes()).unwrap();
    read.verify(ours.verifier()).unwrap();
    assert_eq!((read.signatures().len(), read.to_text()), (2, text));
}

#[test]
fn a_second_line_by_the_same_key_must_verify_too() {
    let ours = signer("gw.example/audit", 1);
    let mut note = Note::sign("text\n", &[&ours, &ours]).unwrap();
    note.verify(ours.verifier()).unwrap();
    note.signatures[1].signature[0] ^= 1;
    assert!(matches!(note.verify(ours.verifier()), Err(NoteError::Signature(_))));
}

#[test]
fn the_example_of_the_specification_parses() {
    let note = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\n\
        ed è subito sera.\n\n— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGI\
        TLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n";
    let note = Note::parse(note.as_bytes()).unwrap();
    assert!(note.text().ends_with("ed è subito sera.\n"));
    assert_eq!(note.signatures()[0].name, "quasimodo.example/salvatore");
    assert_eq!(note.signatures()[0].id.to_string(), "367ba04b");
}

#[test]
fn malformed_notes_are_refused() {
    let good = "text\n\n— name AAAAAAA=\n";
    assert!(Note::parse(good.as_bytes()).is_ok());
    for wrong in [
        "",
        "\n",
        "\n\n",
        "text\n",
        "text\n\n",
        "text\n\n\n",
        "text\n\n— name AAAAAAA=",
        "text\n— name AAAAAAA=\n",
        "text\n\n- name AAAAAAA=\n",
        "text\n\n—  AAAAAAA=\n",
        "text\n\n— na+me AAAAAAA=\n",
        "text\n\n— na me AAAAAAA=\n",
        "text\n\n— name AAAAAAA\n",
        "text\n\n— name AAAAAAB=\n",
        "text\n\n— name AAAAAA==\n",
        "text\n\n— name  AAAAAAA=\n",
        "text\n\n— name AAAAAAA=\n\n",
        "text\n\n— name AAAAAAA=\nmore\n",
        "te\txt\n\n— name AAAAAAA=\n",
        "text\r\n\n— name AAAAAAA=\n",
    ] {
        assert!(Note::parse(wrong.as_bytes()).is_err(), "{wrong:?}");
    }
    assert!(Note::parse(b"text\xff\n\n\xe2\x80\x94 name AAAAAAA=\n").is_err());
    let many = format!("text\n\n{}", "— name AAAAAAA=\n".repeat(NOTE_SIGNATURES_MAX + 1));
    assert_eq!(Note::parse(many.as_bytes()), Err(NoteError::TooLarge));
    let huge = format!("{}\n\n— name AAAAAAA=\n", "x".repeat(NOTE_BYTES_MAX));
    assert_eq!(Note::parse(huge.as_bytes()), Err(NoteError::TooLarge));
}

#[test]
fn keys_as_text() {
    let text = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx";
    let key: VerifierKey = text.parse().unwrap();
    assert_eq!((key.name(), key.to_string().as_str()), ("example.com/log/testdata", text));
    for wrong in [
        "",
        "name",
        "name+33d7b496",
        &text.replace("33d7", "33d8"),
        &text.replace("33d7", "33D7"),
        &text.replace("example", "example2"),
        &text.replace("+AeHT", "+AuHT"),
        &text[..text.len() - 1],
        &format!("{text}="),
        &text.replace("example.com", ""),
    ] {
        assert!(wrong.parse::<VerifierKey>().is_err(), "{wrong}");
    }
    for name in ["", "a b", "a+b", "a\u{3000}b", "a\n"] {
        assert!(matches!(VerifierKey::new(name, [0; 32]), Err(NoteError::KeyName(_))));
    }
}

#[test]
fn signing_key_files() {
    let file = Ed25519Signer::key_file("gw.example/audit", &[9; 32]).unwrap();
    let read = Ed25519Signer::parse(&file).unwrap();
    assert_eq!(read.verifier(), signer("gw.example/audit", 9).verifier());
    assert!(!format!("{read:?}").contains("CQkJ"));
    for wrong in [
        "",
        "PRIVATE+KEY+",
        &file.replace("PRIVATE", "PUBLIC"),
        &file.replace("audit", "other"),
        &file[..file.len() - 5],
    ] {
        let error = Ed25519Signer::parse(wrong).unwrap_err();
        assert!(!error.to_string().contains("CQkJ"), "{error}");
    }
}
