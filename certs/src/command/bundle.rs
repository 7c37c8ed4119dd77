//! `kouan cert p12`: a certificate and its key for a browser.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{CommandError, PEM_BYTES_MAX};
use crate::spiffe::SpiffeId;
use crate::x509::Facts;
use crate::{files, p12, pem, profile};

/// `kouan cert p12`.
#[derive(Debug, Clone)]
pub struct MakeP12<'a> {
    /// The certificate's PEM file.
    pub certificate: &'a Path,
    /// The key's PEM file.
    pub key: &'a Path,
    /// The authority's PEM file, to be put in as well.
    pub ca: Option<&'a Path>,
    /// The bundle's file; mode 0600, since the key is in it.
    pub out: &'a Path,
    /// What browsers show; by default the certificate's file name.
    pub alias: Option<&'a str>,
    /// What the browser will ask for.
    pub password: &'a str,
}

/// What `kouan cert p12` wrote.
#[derive(Debug, Clone, Serialize)]
pub struct P12Written {
    /// The bundle's file.
    pub p12: PathBuf,
    /// The name browsers show.
    pub alias: String,
    /// The principal, if it is a client's certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spiffe_id: Option<SpiffeId>,
}

/// Bundles a certificate and its key for a browser.
pub fn make_p12(args: &MakeP12<'_>) -> Result<P12Written, CommandError> {
    let cert = files::read_text(args.certificate, PEM_BYTES_MAX)?;
    let key = files::read_text(args.key, PEM_BYTES_MAX)?;
    let ca = args.ca.map(|path| files::read_text(path, PEM_BYTES_MAX)).transpose()?;
    let alias = match args.alias {
        Some(alias) => alias.to_owned(),
        None => args.certificate.file_stem().map_or_else(|| "kouan".to_owned(), |stem| stem.to_string_lossy().into()),
    };
    let bundle = p12::bundle(&cert, &key, ca.as_deref(), &alias, args.password)?;
    files::write_new(args.out, &bundle, 0o600)?;
    let leaf = pem::certificates(&cert).ok().and_then(|certs| Facts::read(certs.first()?).ok());
    Ok(P12Written { p12: args.out.to_owned(), alias, spiffe_id: leaf.and_then(|leaf| profile::principal(&leaf).ok()) })
}
