//! An authority's folder: `ca.pem`, `ca.key` (0600), `crl.pem`, and `issued.jsonl`, the durable
//! record of what it issued, what it revoked, and which CRL numbers it used.
//!
//! Order of writes: a serial is on record before its certificate is handed out, a revocation
//! and a CRL number before the list that carries them. After a crash at any point no
//! certificate exists that the record does not know, and no CRL number is used twice.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use crate::authority::{AuthorityError, Ca, Issued, Revocation, RevocationReason, ServerNames, Validity};
use crate::crl::{CrlError, CrlFacts};
use crate::files::{self, FileError};
use crate::identifiers::{CrlNumber, Serial};
use crate::keys::{Algorithm, PrivateKey};
use crate::pem::{self, PemError};
use crate::spiffe::{SpiffeId, TrustDomain};

mod record;

use record::Record;
pub use record::{Event, IssuedTo, RecordError};

const CA_BYTES_MAX: u64 = 1 << 20;
const KEY_BYTES_MAX: u64 = 64 << 10;
const CRL_BYTES_MAX: u64 = 16 << 20;

/// Why an authority's folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CaDirError {
    /// A file of it.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its certificate or key, or what was asked of it.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// Its record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Its `crl.pem` is no PEM.
    #[error("`crl.pem`: {0}")]
    CrlPem(#[from] PemError),
    /// Its `crl.pem` is not a list of ours.
    #[error("`crl.pem`: {0}")]
    Crl(#[from] CrlError),
    /// The folder already has an authority.
    #[error("`{}` already has an authority", dir.display())]
    Taken {
        /// Which folder.
        dir: PathBuf,
    },
    /// A serial that this authority did not issue.
    #[error("serial `{0}` is not on record as issued here")]
    NotIssued(Serial),
    /// Already revoked.
    #[error("serial `{0}` is revoked already")]
    AlreadyRevoked(Serial),
    /// CRL numbers have run out.
    #[error("CRL number is the largest possible")]
    NumbersExhausted,
}

/// A list that was just written to `crl.pem`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenCrl {
    /// Its number.
    pub number: CrlNumber,
    /// Its validity.
    pub validity: Validity,
    /// How many certificates it revokes.
    pub revoked: usize,
}

/// An authority's folder, locked against other processes while this value lives.
#[derive(Debug)]
pub struct CaDir {
    dir: PathBuf,
    ca: Ca,
    record: Record,
}

impl CaDir {
    /// Makes an authority in `dir`, with an empty revocation list of `crl_length`.
    ///
    /// A `ca.key` that is there without a `ca.pem` (a crash in between, or a key brought
    /// along) is taken up.
    ///
    /// # Errors
    ///
    /// [`CaDirError::Taken`] if there is a `ca.pem`.
    pub fn create(
        dir: &Path,
        trust_domain: &TrustDomain,
        options: CreateOptions,
        now: Timestamp,
    ) -> Result<Self, CaDirError> {
        files::create_folder(dir)?;
        // Locks first: two processes must not both find the folder empty.
        let record = Record::open(&dir.join("issued.jsonl"))?;
        if dir.join("ca.pem").exists() {
            return Err(CaDirError::Taken { dir: dir.to_owned() });
        }
        let validity = Validity::starting(now, options.length)?;
        let key_path = dir.join("ca.key");
        let key = match files::read_text(&key_path, KEY_BYTES_MAX) {
            Ok(text) => PrivateKey::from_pem(&text).map_err(AuthorityError::from)?,
            Err(FileError::Missing { .. }) => {
                let key = PrivateKey::generate(options.algorithm).map_err(AuthorityError::from)?;
                files::write_key_file(&key_path, &key.to_pem())?;
                key
            }
            Err(error) => return Err(error.into()),
        };
        let ca = Ca::self_sign(trust_domain, &key, validity)?;
        files::write_public_file(&dir.join("ca.pem"), ca.pem())?;
        let mut made = Self { dir: dir.to_owned(), ca, record };
        made.sign_crl(options.crl_length, now)?;
        Ok(made)
    }

    /// Opens an existing one, waiting for another process to be done with it.
    pub fn open(dir: &Path) -> Result<Self, CaDirError> {
        let ca_pem = files::read_text(&dir.join("ca.pem"), CA_BYTES_MAX)?;
        let key_pem = files::read_text(&dir.join("ca.key"), KEY_BYTES_MAX)?;
        Ok(Self {
            dir: dir.to_owned(),
            ca: Ca::load(&ca_pem, &key_pem)?,
            record: Record::open(&dir.join("issued.jsonl"))?,
        })
    }

    /// The authority.
    pub fn ca(&self) -> &Ca {
        &self.ca
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Signs `ca.pem` anew with the same key and name.
    pub fn renew(&mut self, length: SignedDuration, now: Timestamp) -> Result<(), CaDirError> {
        let trust_domain = self.ca.trust_domain().cloned().ok_or(AuthorityError::ServersOnly)?;
        let key_pem = files::read_text(&self.dir.join("ca.key"), KEY_BYTES_MAX)?;
        let key = PrivateKey::from_pem(&key_pem).map_err(AuthorityError::from)?;
        self.ca = Ca::self_sign(&trust_domain, &key, Validity::starting(now, length)?)?;
        files::replace_public_file(&self.dir.join("ca.pem"), self.ca.pem())?;
        Ok(())
    }

    /// Issues a client certificate for `key` and puts it on record. The caller writes it out.
    pub fn issue_client(
        &mut self,
        spiffe: &SpiffeId,
        key: &PrivateKey,
        length: SignedDuration,
        now: Timestamp,
    ) -> Result<Issued, CaDirError> {
        let issued = self.ca.issue_client(spiffe, key, Validity::starting(now, length)?)?;
        self.put_on_record(IssuedTo::Client(spiffe.clone()), &issued, now)?;
        Ok(issued)
    }

    /// Issues a server certificate for `key` and puts it on record. The caller writes it out.
    pub fn issue_server(
        &mut self,
        names: &ServerNames,
        key: &PrivateKey,
        length: SignedDuration,
        now: Timestamp,
    ) -> Result<Issued, CaDirError> {
        let issued = self.ca.issue_server(names, key, Validity::starting(now, length)?)?;
        self.put_on_record(IssuedTo::Server(names.clone()), &issued, now)?;
        Ok(issued)
    }

    fn put_on_record(&mut self, to: IssuedTo, issued: &Issued, now: Timestamp) -> Result<(), CaDirError> {
        self.record.append(Event::Issued {
            at: now,
            serial: issued.serial.clone(),
            to,
            x5t_s256: issued.cert_sha256,
            not_after: issued.validity.not_after,
        })?;
        Ok(())
    }

    /// Revokes a serial and signs a fresh list.
    ///
    /// # Errors
    ///
    /// [`CaDirError::NotIssued`], [`CaDirError::AlreadyRevoked`].
    pub fn revoke(
        &mut self,
        serial: &Serial,
        reason: RevocationReason,
        crl_length: SignedDuration,
        now: Timestamp,
    ) -> Result<WrittenCrl, CaDirError> {
        if !self.record.issued(serial) {
            return Err(CaDirError::NotIssued(serial.clone()));
        }
        if self.revoked()?.contains_key(serial) {
            return Err(CaDirError::AlreadyRevoked(serial.clone()));
        }
        self.record.append(Event::Revoked { at: now, serial: serial.clone(), reason })?;
        self.sign_crl(crl_length, now)
    }

    /// Signs a fresh complete list under the next number and puts it in place of `crl.pem`.
    pub fn sign_crl(&mut self, length: SignedDuration, now: Timestamp) -> Result<WrittenCrl, CaDirError> {
        let validity = Validity::starting(now, length)?;
        let revoked: Vec<Revocation> = self.revoked()?.into_values().collect();
        let used = self.record.last_crl_number();
        let written = self.written_crl()?.map(|crl| crl.number);
        let number = match used.max(written) {
            Some(last) => last.next().ok_or(CaDirError::NumbersExhausted)?,
            None => CrlNumber::from(1),
        };
        let pem = self.ca.sign_crl(number, validity, &revoked)?;
        self.record.append(Event::Crl { at: now, number, next_update: validity.not_after })?;
        files::replace_public_file(&self.dir.join("crl.pem"), &pem)?;
        Ok(WrittenCrl { number, validity, revoked: revoked.len() })
    }

    /// What is revoked: what the record says, and what `crl.pem` says, so that a lost record
    /// never makes a revoked certificate valid again.
    pub fn revoked(&self) -> Result<BTreeMap<Serial, Revocation>, CaDirError> {
        let listed = self.written_crl()?.map_or_else(Vec::new, |crl| crl.revoked);
        let listed = listed.into_iter().map(|entry| Revocation {
            serial: entry.serial,
            at: entry.at,
            reason: RevocationReason::Unspecified,
        });
        // The record comes last, since it knows the reason.
        Ok(listed.chain(self.record.revoked()).map(|entry| (entry.serial.clone(), entry)).collect())
    }

    /// What `crl.pem` says, if it is there.
    pub fn written_crl(&self) -> Result<Option<CrlFacts>, CaDirError> {
        let text = match files::read_text(&self.dir.join("crl.pem"), CRL_BYTES_MAX) {
            Ok(text) => text,
            Err(FileError::Missing { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut newest: Option<CrlFacts> = None;
        for der in pem::crls(&text)? {
            let crl = CrlFacts::read(&der)?;
            if newest.as_ref().is_none_or(|other| crl.number > other.number) {
                newest = Some(crl);
            }
        }
        Ok(newest)
    }
}

/// How to make an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreateOptions {
    /// Kind of its key.
    pub algorithm: Algorithm,
    /// How long it lives.
    pub length: SignedDuration,
    /// How long its first revocation list lives.
    pub crl_length: SignedDuration,
}
