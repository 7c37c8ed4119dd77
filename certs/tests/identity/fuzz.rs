//! Certificates and revocation lists that are almost right: bytes changed, lengths stretched, parts cut out, doubled or swapped.
//! Nothing panics, and nothing that its authority did not sign is accepted.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certs::TrustStoreBuilder;
use proptest::prelude::*;
use proptest::sample::Index;
use rustls_pki_types::CertificateDer;

use super::pki::{ALICE, Authority, domain, hku, now, root};

/// One change of DER: to a byte, a length, or the order and number of parts.
#[derive(Debug, Clone)]
enum Edit {
    Byte(Index, u8),
    /// A byte becomes a length that is tempting.
    Length(Index, u8),
    Cut(Index, u8),
    Double(Index, u8),
    Swap(Index, Index, u8),
    End(Index),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Edit::Byte(at, byte)),
        (any::<Index>(), prop::sample::select(vec![0, 1, 0x7f, 0x80, 0x81, 0x82, 0x84, 0x88, 0xff]))
            .prop_map(|(at, length)| Edit::Length(at, length)),
        (any::<Index>(), 1_u8..40).prop_map(|(at, count)| Edit::Cut(at, count)),
        (any::<Index>(), 1_u8..40).prop_map(|(at, count)| Edit::Double(at, count)),
        (any::<Index>(), any::<Index>(), 1_u8..20).prop_map(|(one, other, count)| Edit::Swap(one, other, count)),
        any::<Index>().prop_map(Edit::End),
    ];
    prop::collection::vec(edit, 1..4)
}

fn changed(original: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut der = original.to_vec();
    for edit in edits {
        if der.is_empty() {
            break;
        }
        let length = der.len();
        let span = |at: &Index, count: u8| {
            let at = at.index(length);
            at..(at + usize::from(count)).min(length)
        };
        match edit {
            Edit::Byte(at, byte) | Edit::Length(at, byte) => der[at.index(length)] = *byte,
            Edit::Cut(at, count) => drop(der.drain(span(at, *count))),
            Edit::Double(at, count) => {
                let part = der[span(at, *count)].to_vec();
                der.splice(at.index(length)..at.index(length), part);
            }
            Edit::Swap(one, other, count) => {
                for step in 0..usize::from(*count) {
                    let (one, other) = (one.index(length) + step, other.index(length) + step);
                    if one < length && other < length {
                        der.swap(one, other);
                    }
                }
            }
            Edit::End(at) => der.truncate(at.index(length)),
        }
    }
    der
}

fn der(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    STANDARD.decode(body).unwrap()
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

fn authority() -> (Authority, String, CertificateDer<'static>) {
    let root = root("HKU");
    let (list, leaf) = (root.crl(7, &[&[1, 2]]), root.leaf(ALICE, |_| {}));
    (root, list, leaf)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 12_000, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_certificate_is_refused(edits in edits()) {
        thread_local!(static MADE: (certs::TrustStore, CertificateDer<'static>) = {
            let (root, list, leaf) = authority();
            (hku(&root.pem(), Some(&list)), leaf)
        });
        MADE.with(|(store, leaf)| {
            assert!(store.verify(std::slice::from_ref(leaf), now()).is_ok());
            let other = changed(leaf, &edits);
            if other != leaf.as_ref() {
                let verdict = store.verify(&[CertificateDer::from(other)], now());
                assert!(verdict.is_err(), "accepted: {verdict:?}");
            }
        });
    }

    #[test]
    fn a_changed_list_is_refused(edits in edits()) {
        thread_local!(static MADE: (String, Vec<u8>) = {
            let (root, list, _) = authority();
            (root.pem(), der(&list))
        });
        MADE.with(|(root, list)| {
            let other = changed(list, &edits);
            if other != *list {
                let mut builder = TrustStoreBuilder::new();
                let taken = builder.add_domain(domain("hku.hk"), root, Some(&pem("X509 CRL", &other)));
                assert!(taken.is_err(), "taken");
            }
        });
    }

    #[test]
    fn a_changed_authority_never_vouches(edits in edits()) {
        thread_local!(static MADE: (Vec<u8>, String, CertificateDer<'static>) = {
            let (root, list, leaf) = authority();
            (root.der().to_vec(), list, leaf)
        });
        MADE.with(|(root, list, leaf)| {
            let other = changed(root, &edits);
            let mut builder = TrustStoreBuilder::new();
            // A root is trusted for its name and key: other parts of it may change, and it is still that root.
            let taken = builder.add_domain(domain("hku.hk"), &pem("CERTIFICATE", &other), Some(list));
            if taken.is_ok() {
                let _ = builder.build().verify(std::slice::from_ref(leaf), now());
            }
        });
    }
}
