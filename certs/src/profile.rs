//! What a client certificate must look like, whoever issued it.
//!
//! webpki accepts a leaf without ExtendedKeyUsage and never looks at KeyUsage; these checks
//! close that, and keep out every name that is not the SPIFFE ID.

use jiff::Timestamp;

use crate::denied::Denied;
use crate::spiffe::SpiffeId;
use crate::x509::Facts;

/// The one SPIFFE ID that a leaf names.
pub(crate) fn principal(leaf: &Facts) -> Result<SpiffeId, Denied> {
    let names = leaf.names.as_ref().ok_or(Denied::NoUriSan)?;
    let uri = match names.uris.as_slice() {
        [] => return Err(Denied::NoUriSan),
        [uri] => uri,
        _ => return Err(Denied::TwoUriSans),
    };
    let spiffe = uri.parse().map_err(Denied::NotSpiffe)?;
    if !names.dns.is_empty() || !names.ips.is_empty() || names.others > 0 {
        return Err(Denied::OtherNames);
    }
    Ok(spiffe)
}

/// That a leaf is a client's and nothing else, whatever it names.
pub(crate) fn check_client(leaf: &Facts, now: Timestamp) -> Result<(), Denied> {
    let may_sign = leaf.key_usage.is_some_and(|usage| usage.cert_sign || usage.crl_sign);
    if leaf.is_ca() || may_sign || leaf.has_name_constraints {
        return Err(Denied::CaAsClient);
    }
    if leaf.unknown_critical_extension {
        return Err(Denied::UnknownCriticalExtension);
    }
    if leaf.key_is_weak {
        return Err(Denied::WeakKey);
    }
    if !leaf.key_usage.is_some_and(|usage| usage.digital_signature) {
        return Err(Denied::KeyUsage);
    }
    let eku = leaf.extended_key_usage.ok_or(Denied::NoEku)?;
    if eku.any || !eku.client_auth {
        let server_only = eku.server_auth && !eku.any;
        return Err(if server_only { Denied::ServerCertAsClient } else { Denied::WrongEku });
    }
    if now < leaf.not_before {
        return Err(Denied::NotYetValid { not_before: leaf.not_before });
    }
    if now > leaf.not_after {
        return Err(Denied::Expired { not_after: leaf.not_after });
    }
    Ok(())
}
