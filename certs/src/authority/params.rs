//! From our terms to rcgen's parameters.

use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, GeneralSubtree, IsCa, KeyUsagePurpose, NameConstraints,
    SerialNumber,
};

use super::{AuthorityError, ServerNames, Validity};
use crate::keys::KeyError;
use crate::spiffe::TrustDomain;
use crate::x509::Facts;

/// Longest common name (RFC 5280 appendix A, `ub-common-name`).
const COMMON_NAME_MAX: usize = 64;

pub(super) fn ca_params(
    organization: &str,
    purpose: &str,
    validity: Validity,
) -> Result<CertificateParams, AuthorityError> {
    let mut params = blank_params(validity)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    push_name(&mut params, DnType::OrganizationName, organization);
    push_name(&mut params, DnType::CommonName, &format!("Kouan {purpose}"));
    Ok(params)
}

pub(super) fn blank_params(validity: Validity) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + since_epoch(validity.not_before);
    params.not_after = rcgen::date_time_ymd(1970, 1, 1) + since_epoch(validity.not_after);
    params.serial_number = Some(SerialNumber::from_slice(&random_serial()?));
    Ok(params)
}

/// 16 bytes, of which 126 bits are random: positive, and never shorter in DER.
pub(super) fn random_serial() -> Result<[u8; 16], KeyError> {
    let mut serial = [0; 16];
    getrandom::fill(&mut serial).map_err(|_| KeyError::Randomness)?;
    if let Some(first) = serial.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    Ok(serial)
}

/// A name that would be too long is left out: nothing depends on it.
pub(super) fn push_name(params: &mut CertificateParams, kind: DnType, value: &str) {
    if value.len() <= COMMON_NAME_MAX {
        params.distinguished_name.push(kind, value);
    }
}

pub(super) fn check_server_names(names: &ServerNames) -> Result<&str, AuthorityError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'*');
    let is_name = |name: &String| !name.is_empty() && name.len() <= 253 && name.bytes().all(allowed);
    match names.dns.first() {
        Some(first) if names.dns.iter().all(is_name) => Ok(first),
        _ => Err(AuthorityError::ServerNames),
    }
}

pub(super) fn server_constraints(names: &ServerNames) -> NameConstraints {
    let dns = names.dns.iter().cloned().map(GeneralSubtree::DnsName);
    let ips = names.ips.iter().map(|ip| {
        let prefix = if ip.is_ipv4() { 32 } else { 128 };
        GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(*ip, prefix))
    });
    let excluded_subtrees = if names.ips.is_empty() {
        vec![
            GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([0; 4], 0)),
            GeneralSubtree::IpAddress(CidrSubnet::from_v6_prefix([0; 16], 0)),
        ]
    } else {
        Vec::new()
    };
    NameConstraints { permitted_subtrees: dns.chain(ips).collect(), excluded_subtrees }
}

pub(super) fn trust_domain_of(ca: &Facts) -> Result<Option<TrustDomain>, AuthorityError> {
    let uris = ca.names.as_ref().map_or(&[][..], |names| &names.uris);
    match uris {
        [] => Ok(None),
        [uri] => uri
            .strip_prefix("spiffe://")
            .and_then(|domain| domain.parse().ok())
            .map(Some)
            .ok_or(AuthorityError::TrustDomain),
        _ => Err(AuthorityError::TrustDomain),
    }
}

pub(super) fn ia5(text: &str) -> Result<rcgen::string::Ia5String, AuthorityError> {
    text.try_into().map_err(AuthorityError::Encoding)
}

pub(super) fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

pub(super) fn since_epoch(time: Timestamp) -> Duration {
    Duration::from_secs(u64::try_from(time.as_second()).unwrap_or(0))
}
