//! Taking up or making each file of the development PKI.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;

use super::{Change, DevAuthority, DevError, DevParticipant, DevPrincipal, LENGTH, PairPaths, RENEW_WITHIN};
use crate::authority::{Ca, Issued, ServerNames, Validity};
use crate::ca_dir::{CaDir, CreateOptions};
use crate::denied::Denied;
use crate::files::{self, FileError};
use crate::identifiers::CertSha256;
use crate::keys::{Algorithm, PrivateKey};
use crate::pem;
use crate::spiffe::{SpiffeId, TrustDomain};
use crate::trust::TrustStoreBuilder;
use crate::x509::{self, Facts};

const PEM_BYTES_MAX: u64 = 1 << 20;
const CRL_BYTES_MAX: u64 = 16 << 20;

/// One run of [`ensure`].
pub(super) struct Shop {
    pub(super) dir: PathBuf,
    pub(super) now: Timestamp,
    pub(super) changes: Vec<(PathBuf, Change)>,
}

impl Shop {
    fn ends_soon(&self, end: Timestamp) -> bool {
        end.duration_since(self.now) < RENEW_WITHIN
    }

    fn changed(&mut self, path: PathBuf, change: Change) {
        self.changes.push((path, change));
    }

    pub(super) fn participant(&mut self, wanted: &DevParticipant<'_>) -> Result<DevAuthority, DevError> {
        let id = wanted.id;
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if id.is_empty() || id.len() > 64 || !id.bytes().all(allowed) {
            return Err(DevError::ParticipantId { id: id.to_owned() });
        }
        let name = |error| DevError::Name { id: id.to_owned(), error };
        let trust_domain: TrustDomain = wanted.trust_domain.parse().map_err(name)?;
        let mut authority = self.authority(id, &trust_domain)?;
        let mut principals = Vec::with_capacity(wanted.principals.len());
        for (role, person) in wanted.principals {
            let spiffe = SpiffeId::new(trust_domain.clone(), *role, person).map_err(name)?;
            principals.push(self.principal(id, &mut authority, spiffe)?);
        }
        Ok(DevAuthority {
            id: id.to_owned(),
            trust_domain,
            ca: authority.dir().join("ca.pem"),
            crl: authority.dir().join("crl.pem"),
            principals,
        })
    }

    fn authority(&mut self, id: &str, trust_domain: &TrustDomain) -> Result<CaDir, DevError> {
        let failed = |error| DevError::Authority { id: id.to_owned(), error };
        let dir = self.dir.join(id);
        let ca_pem = dir.join("ca.pem");
        let crl_pem = dir.join("crl.pem");
        if !ca_pem.exists() {
            let options = CreateOptions { algorithm: Algorithm::EcdsaP256, length: LENGTH, crl_length: LENGTH };
            let made = CaDir::create(&dir, trust_domain, options, self.now).map_err(failed)?;
            self.changed(ca_pem, Change::Created);
            self.changed(crl_pem, Change::Created);
            return Ok(made);
        }
        let mut found = CaDir::open(&dir).map_err(failed)?;
        if found.ca().trust_domain() != Some(trust_domain) {
            return Err(DevError::Unusable {
                path: ca_pem,
                reason: format!("it is not the authority of `{trust_domain}`"),
            });
        }
        if self.ends_soon(found.ca().validity().not_after) {
            found.renew(LENGTH, self.now).map_err(failed)?;
            self.changed(ca_pem, Change::Renewed);
        }
        let change = match found.written_crl().map_err(failed)? {
            None => Some(Change::Created),
            Some(crl) => self.ends_soon(crl.next_update).then_some(Change::Renewed),
        };
        if let Some(change) = change {
            found.sign_crl(LENGTH, self.now).map_err(failed)?;
            self.changed(crl_pem, change);
        }
        Ok(found)
    }

    fn principal(&mut self, id: &str, authority: &mut CaDir, spiffe: SpiffeId) -> Result<DevPrincipal, DevError> {
        let stem = format!("{}-{}", spiffe.role(), spiffe.name());
        let paths = PairPaths {
            certificate: authority.dir().join(format!("{stem}.pem")),
            key: authority.dir().join(format!("{stem}.key")),
        };
        let key = key_at(&paths.key)?;
        let found = certificate_at(&paths.certificate, &key)?;
        let mut revoked = false;
        let change = match &found {
            None => Some(Change::Created),
            Some((der, facts)) => {
                let judged = self.judge(authority, der)?;
                match judged {
                    Ok(named) if named == spiffe => self.ends_soon(facts.not_after).then_some(Change::Renewed),
                    // Whoever revoked it wants to see it refused.
                    Err(Denied::Revoked) => {
                        revoked = true;
                        None
                    }
                    // The authority was made anew, or it has ended.
                    Err(Denied::Expired { .. } | Denied::UnknownIssuer { .. } | Denied::BadSignature) => {
                        Some(Change::Renewed)
                    }
                    Ok(_) => {
                        return Err(unusable(&paths.certificate, "it names another principal"));
                    }
                    Err(denied) => return Err(unusable(&paths.certificate, &denied.to_string())),
                }
            }
        };
        let (cert_sha256, not_after) = match (change, found) {
            (None, Some((der, facts))) => (CertSha256::of(&der), facts.not_after),
            (change, _) => {
                let issued = authority
                    .issue_client(&spiffe, &key, LENGTH, self.now)
                    .map_err(|error| DevError::Authority { id: id.to_owned(), error })?;
                let change = change.unwrap_or(Change::Created);
                self.put(&paths.certificate, &issued, change)?;
                (issued.cert_sha256, issued.validity.not_after)
            }
        };
        Ok(DevPrincipal { spiffe, paths, cert_sha256, not_after, revoked })
    }

    /// What a gateway with this authority and its list would say to the certificate.
    fn judge(&self, authority: &CaDir, der: &CertificateDer<'_>) -> Result<Result<SpiffeId, Denied>, DevError> {
        let crl = files::read_text(&authority.dir().join("crl.pem"), CRL_BYTES_MAX)?;
        let mut store = TrustStoreBuilder::new();
        if let Some(trust_domain) = authority.ca().trust_domain() {
            store.add_domain(trust_domain.clone(), authority.ca().pem(), Some(&crl))?;
        }
        let judged = store.build().verify(std::slice::from_ref(der), self.now);
        Ok(judged.map(|verified| verified.spiffe().clone()))
    }

    pub(super) fn server(&mut self) -> Result<PairPaths, DevError> {
        let names = ServerNames {
            dns: vec!["localhost".to_owned()],
            ips: vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)],
        };
        let authority = self.server_authority(&names)?;
        let paths = PairPaths { certificate: self.dir.join("server.pem"), key: self.dir.join("server.key") };
        let key = key_at(&paths.key)?;
        let change = match certificate_at(&paths.certificate, &key)? {
            None => Some(Change::Created),
            Some((der, facts)) => {
                let ended = self.ends_soon(facts.not_after);
                (ended || !is_signed_by(&der, &authority)).then_some(Change::Renewed)
            }
        };
        if let Some(change) = change {
            let issued = Validity::starting(self.now, LENGTH)
                .and_then(|validity| authority.issue_server(&names, &key, validity))
                .map_err(DevError::ServerAuthority)?;
            self.put(&paths.certificate, &issued, change)?;
        }
        Ok(paths)
    }

    fn server_authority(&mut self, names: &ServerNames) -> Result<Ca, DevError> {
        let path = self.dir.join("trust.pem");
        let key = key_at(&self.dir.join("trust.key"))?;
        let found = match files::read_text(&path, PEM_BYTES_MAX) {
            Ok(text) => {
                let ca = Ca::load(&text, &key.to_pem()).map_err(DevError::ServerAuthority)?;
                if !self.ends_soon(ca.validity().not_after) {
                    return Ok(ca);
                }
                true
            }
            Err(FileError::Missing { .. }) => false,
            Err(error) => return Err(error.into()),
        };
        let ca = Validity::starting(self.now, LENGTH)
            .and_then(|validity| Ca::self_sign_for_servers(names, &key, validity))
            .map_err(DevError::ServerAuthority)?;
        let change = if found {
            files::replace_public_file(&path, ca.pem())?;
            Change::Renewed
        } else {
            files::write_public_file(&path, ca.pem())?;
            Change::Created
        };
        self.changed(path, change);
        Ok(ca)
    }

    fn put(&mut self, path: &Path, issued: &Issued, change: Change) -> Result<(), DevError> {
        match change {
            Change::Created => files::write_public_file(path, &issued.pem)?,
            Change::Renewed => files::replace_public_file(path, &issued.pem)?,
        }
        self.changed(path.to_owned(), change);
        Ok(())
    }
}

fn unusable(path: &Path, reason: &str) -> DevError {
    DevError::Unusable { path: path.to_owned(), reason: reason.to_owned() }
}

/// The key that is there, or a new one.
fn key_at(path: &Path) -> Result<PrivateKey, DevError> {
    match files::read_text(path, PEM_BYTES_MAX) {
        Ok(text) => PrivateKey::from_pem(&text).map_err(|error| unusable(path, &error.to_string())),
        Err(FileError::Missing { .. }) => {
            let key = PrivateKey::generate(Algorithm::EcdsaP256).map_err(|error| unusable(path, &error.to_string()))?;
            files::write_key_file(path, &key.to_pem())?;
            Ok(key)
        }
        Err(error) => Err(error.into()),
    }
}

type FoundCertificate = (CertificateDer<'static>, Facts);

/// The certificate that is there, which must be of `key`.
fn certificate_at(path: &Path, key: &PrivateKey) -> Result<Option<FoundCertificate>, DevError> {
    let text = match files::read_text(path, PEM_BYTES_MAX) {
        Ok(text) => text,
        Err(FileError::Missing { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let der = pem::certificates(&text).map_err(|error| unusable(path, &error.to_string()))?.swap_remove(0);
    let facts = Facts::read(&der).map_err(|error| unusable(path, &error.to_string()))?;
    if facts.key != key.public_key() {
        return Err(unusable(path, "the key beside it is not its key"));
    }
    Ok(Some((der, facts)))
}

fn is_signed_by(der: &[u8], authority: &Ca) -> bool {
    let Ok(ca) = pem::certificates(authority.pem()) else {
        return false;
    };
    let (Ok(cert), Some(Ok(ca))) = (x509::parse(der), ca.first().map(|der| x509::parse(der))) else {
        return false;
    };
    cert.issuer().as_raw() == ca.subject().as_raw() && cert.verify_signature(Some(ca.public_key())).is_ok()
}
