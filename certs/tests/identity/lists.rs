//! Revocation lists that no honest authority signs, written byte by byte.

use certs::TrustStoreBuilder;
use certs::crl::CrlError;
use certs::trust::TrustError;
use rcgen::KeyUsagePurpose;

use crate::pki::{Authority, der, domain, root, root_with};

/// OID, whether critical, content.
type Extension<'a> = (&'a [u8], bool, &'a [u8]);

const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const ECDSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01];
const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 0x14];
const DELTA_INDICATOR: &[u8] = &[0x55, 0x1d, 0x1b];
const NOBODY_KNOWS: &[u8] = &[0x2a, 0x03, 0x04];

/// What rcgen would not write: a list with these extensions, signed with this algorithm's name.
fn hand_made(ca: &Authority, algorithm: &[u8], next_update: bool, extensions: &[Extension<'_>]) -> String {
    let algorithm = der(0x30, &der(0x06, algorithm));
    let common_name = [der(0x06, &[0x55, 4, 3]), der(0x0c, b"HKU")].concat();
    let mut body = der(0x02, &[1]);
    body.extend(&algorithm);
    body.extend(der(0x30, &der(0x31, &der(0x30, &common_name))));
    body.extend(der(0x17, b"261101000000Z"));
    if next_update {
        body.extend(der(0x17, b"261201000000Z"));
    }
    let extensions: Vec<u8> = extensions
        .iter()
        .flat_map(|(oid, critical, content)| {
            let mut extension = der(0x06, oid);
            if *critical {
                extension.extend(der(0x01, &[0xff]));
            }
            extension.extend(der(0x04, content));
            der(0x30, &extension)
        })
        .collect();
    body.extend(der(0xa0, &der(0x30, &extensions)));
    let body = der(0x30, &body);
    let signature = [&[0], ca.sign(&body).as_slice()].concat();
    let list = der(0x30, &[body, algorithm, der(0x03, &signature)].concat());
    pem(&list)
}

fn pem(list: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(list);
    format!("-----BEGIN X509 CRL-----\n{text}\n-----END X509 CRL-----\n")
}

#[test]
fn lists_that_rfc_5280_forbids() {
    let ca = root("HKU");
    let number: Extension<'_> = (CRL_NUMBER, false, &[2, 1, 7]);
    let reason = |crl: &str| match add(&ca.pem(), Some(crl)).unwrap_err() {
        TrustError::Crl { error, .. } => error,
        other => panic!("{other}"),
    };
    // By hand, but right.
    let right = hand_made(&ca, ECDSA_SHA256, true, &[number]);
    assert_eq!(add(&ca.pem(), Some(&right)), Ok(()));
    let cases: [(&[u8], bool, &[Extension<'_>], CrlError); 8] = [
        (ECDSA_SHA1, true, &[number], CrlError::SignatureAlgorithm),
        (ECDSA_SHA256, false, &[number], CrlError::NoNextUpdate),
        (ECDSA_SHA256, true, &[(NOBODY_KNOWS, false, &[5, 0])], CrlError::NoNumber),
        (ECDSA_SHA256, true, &[(CRL_NUMBER, true, &[2, 1, 7])], CrlError::NumberCritical),
        (ECDSA_SHA256, true, &[(CRL_NUMBER, false, &[2, 1, 0xff])], CrlError::Malformed),
        (ECDSA_SHA256, true, &[number, number], CrlError::Malformed),
        (
            ECDSA_SHA256,
            true,
            &[number, (DELTA_INDICATOR, true, &[2, 1, 1])],
            CrlError::Unsupported(webpki::Error::UnsupportedDeltaCrl),
        ),
        (
            ECDSA_SHA256,
            true,
            &[number, (NOBODY_KNOWS, true, &[5, 0])],
            CrlError::Unsupported(webpki::Error::UnsupportedCriticalExtension),
        ),
    ];
    for (algorithm, next_update, extensions, want) in cases {
        let list = hand_made(&ca, algorithm, next_update, extensions);
        assert_eq!(reason(&list), want);
    }

    let may_not = root_with("HKU", |ca| {
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    });
    let list = hand_made(&may_not, ECDSA_SHA256, true, &[number]);
    assert!(matches!(add(&may_not.pem(), Some(&list)), Err(TrustError::Crl { error: CrlError::IssuerMayNotSign, .. })));
}

fn add(ca_pem: &str, crl_pem: Option<&str>) -> Result<(), TrustError> {
    TrustStoreBuilder::new().add_domain(domain("hku.hk"), ca_pem, crl_pem).map(|_| ())
}
