//! `kouan cert …`.

use std::net::IpAddr;
use std::path::PathBuf;

use certs::authority::RevocationReason;
use certs::keys::Algorithm;
use certs::{Serial, SpiffeId, TrustDomain};
use clap::{Args, Subcommand, ValueEnum};

/// `kouan cert …`: works on files, needs no gateway.
#[derive(Debug, Clone, Subcommand)]
pub enum CertCommand {
    /// Make a participant's authority: ca.pem, ca.key, crl.pem
    Ca(CaArgs),
    /// Issue a certificate with a new key, for a SPIFFE id or a server
    Issue(IssueArgs),
    /// Revoke a certificate and sign a fresh list
    Revoke(RevokeArgs),
    /// Sign a fresh revocation list
    Crl(CrlArgs),
    /// Show the certificates and lists in a PEM file
    Show {
        /// PEM file
        file: PathBuf,
    },
    /// Bundle a certificate and its key for a browser (PKCS#12)
    P12(P12Args),
}

/// `kouan cert ca`.
#[derive(Debug, Clone, Args)]
pub struct CaArgs {
    /// Folder of the authority
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Whose, such as hku.hk
    #[arg(long, value_name = "NAME")]
    pub trust_domain: TrustDomain,
    /// ecdsa-p256 or ed25519
    #[arg(long, default_value = "ecdsa-p256")]
    pub algorithm: Algorithm,
    /// How long it lives
    #[arg(long, value_name = "DAYS", default_value_t = 3650, value_parser = clap::value_parser!(u32).range(1..=18_250))]
    pub days: u32,
    /// How long its first revocation list lives
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub crl_days: u32,
}

/// `kouan cert issue`.
#[derive(Debug, Clone, Args)]
pub struct IssueArgs {
    /// Folder of the authority
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// spiffe://TRUST-DOMAIN/ROLE/NAME
    #[arg(value_name = "SPIFFE-ID", required_unless_present_any = ["dns", "ip"], conflicts_with_all = ["dns", "ip"])]
    pub id: Option<SpiffeId>,
    /// A server certificate for this name; may be repeated
    #[arg(long, value_name = "NAME")]
    pub dns: Vec<String>,
    /// A server certificate for this address; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    pub ip: Vec<IpAddr>,
    /// Where the two files go; the authority's folder if absent
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// File name without ending; ROLE-NAME or server if absent
    #[arg(long, value_name = "STEM")]
    pub stem: Option<String>,
    /// ecdsa-p256 or ed25519
    #[arg(long, default_value = "ecdsa-p256")]
    pub algorithm: Algorithm,
    /// How long it lives; never longer than the authority
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub days: u32,
}

/// `kouan cert revoke`.
#[derive(Debug, Clone, Args)]
pub struct RevokeArgs {
    /// Folder of the authority
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// The certificate
    #[arg(value_name = "FILE", required_unless_present = "serial", conflicts_with = "serial")]
    pub certificate: Option<PathBuf>,
    /// Its serial, hexadecimal
    #[arg(long, value_name = "HEX")]
    pub serial: Option<Serial>,
    /// Why
    #[arg(long, value_enum, default_value_t = ReasonArg::Unspecified)]
    pub reason: ReasonArg,
    /// How long the fresh list lives
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub crl_days: u32,
}

/// `kouan cert crl`.
#[derive(Debug, Clone, Args)]
pub struct CrlArgs {
    /// Folder of the authority
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// How long the list lives
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub days: u32,
}

/// `kouan cert p12`.
#[derive(Debug, Clone, Args)]
pub struct P12Args {
    /// The certificate, PEM
    #[arg(value_name = "CERT")]
    pub certificate: PathBuf,
    /// Its key, PEM; CERT with the ending .key if absent
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// The authority's certificate, to be put in as well
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// The bundle; CERT with the ending .p12 if absent
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// What the browser shows
    #[arg(long)]
    pub alias: Option<String>,
    /// File with the password on its first line; `KOUAN_P12_PASSWORD` if absent, so that it stays out of process lists
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

/// Why a certificate is revoked (RFC 5280 §5.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReasonArg {
    /// Not said
    Unspecified,
    /// The key is or may be in other hands
    KeyCompromise,
    /// The person left or changed role
    AffiliationChanged,
    /// Replaced by a new certificate
    Superseded,
    /// No longer needed
    CessationOfOperation,
    /// The right to it was taken back
    PrivilegeWithdrawn,
}

impl From<ReasonArg> for RevocationReason {
    fn from(reason: ReasonArg) -> Self {
        match reason {
            ReasonArg::Unspecified => Self::Unspecified,
            ReasonArg::KeyCompromise => Self::KeyCompromise,
            ReasonArg::AffiliationChanged => Self::AffiliationChanged,
            ReasonArg::Superseded => Self::Superseded,
            ReasonArg::CessationOfOperation => Self::CessationOfOperation,
            ReasonArg::PrivilegeWithdrawn => Self::PrivilegeWithdrawn,
        }
    }
}
