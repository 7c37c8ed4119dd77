//! PEM files with a maximum: certificates and revocation lists, nothing else.

use rustls_pki_types::pem::{self, PemObject, SectionKind};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};

/// Most bytes of a PEM bundle of certificates.
pub(crate) const CERTIFICATES_BYTES_MAX: usize = 1 << 20;
/// Most certificates of one bundle or one handshake's chain file.
pub(crate) const CERTIFICATES_MAX: usize = 64;
/// Most bytes of a PEM file of revocation lists: about 200,000 revoked serials.
pub(crate) const CRLS_BYTES_MAX: usize = 16 << 20;

/// Why a PEM file could not be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// Over the limit.
    #[error("PEM text has {bytes} bytes, at most {max} are allowed")]
    TooLarge {
        /// Length that was found.
        bytes: usize,
        /// What would be allowed.
        max: usize,
    },
    /// Too many sections.
    #[error("PEM text has more than {max} sections")]
    TooMany {
        /// What would be allowed.
        max: usize,
    },
    /// Section {index} is no PEM.
    #[error("section {index} of the PEM text cannot be decoded")]
    Encoding {
        /// Counted from 1.
        index: usize,
    },
    /// Nothing of the wanted kind is in it.
    #[error("PEM text holds no `{label}` section")]
    Empty {
        /// The wanted label.
        label: &'static str,
    },
}

/// All certificates of `text`, at least one.
pub(crate) fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, PemError> {
    sections(text, CERTIFICATES_BYTES_MAX, SectionKind::Certificate, "CERTIFICATE")
}

/// All revocation lists of `text`, at least one.
pub(crate) fn crls(text: &str) -> Result<Vec<CertificateRevocationListDer<'static>>, PemError> {
    sections(text, CRLS_BYTES_MAX, SectionKind::Crl, "X509 CRL")
}

fn sections<T: From<Vec<u8>>>(
    text: &str,
    max: usize,
    kind: SectionKind,
    label: &'static str,
) -> Result<Vec<T>, PemError> {
    if text.len() > max {
        return Err(PemError::TooLarge { bytes: text.len(), max });
    }
    let mut found = Vec::new();
    let mut index = 0;
    for section in <(SectionKind, Vec<u8>) as PemObject>::pem_slice_iter(text.as_bytes()) {
        index += 1;
        if index > CERTIFICATES_MAX {
            return Err(PemError::TooMany { max: CERTIFICATES_MAX });
        }
        match section {
            Ok((found_kind, der)) if found_kind == kind => found.push(T::from(der)),
            Ok(_) => {}
            Err(pem::Error::NoItemsFound) => break,
            Err(_) => return Err(PemError::Encoding { index }),
        }
    }
    if found.is_empty() {
        return Err(PemError::Empty { label });
    }
    Ok(found)
}
