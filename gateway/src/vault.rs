//! Persons' keys. Whatever names a natural person and must be kept (openings, receipts' evidence, free text) is sealed
//! under a key of that person's own; destroying the key erases it everywhere at once, and no leaf changes (LEDGER.md, 2.4).
//!
//! A person's key is random and lies in the store, wrapped with the node's key, which lies in a file elsewhere (`vault/kek`).
//! It comes into the store in the commit that first needs it: no decision costs a sync of its own.

mod erase;
mod kek;
mod prose;
pub mod reseal;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use catalog::ParticipantId;
use gateway_store::{Erased, ReadError, Records, SubjectHandle, SubjectKey, SubjectRow, Transaction, Write};
use jiff::Timestamp;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

use crate::secrets::{SecretsError, hex};
use kek::Kek;

pub use erase::{Rotation, moved_on};
pub use prose::SEALED;

/// Persons whose keys are held in memory; beyond it all are forgotten and read again as they are needed.
const AUTHORS_MAX: usize = 65_536;

/// Persons' keys.
pub struct Vault {
    records: Records,
    folder: PathBuf,
    random: SystemRandom,
    /// What everything was sealed with before persons had keys, until `reseal` is through.
    before: Option<LessSafeKey>,
    before_file: PathBuf,
    open: Mutex<Open>,
}

struct Open {
    kek: Arc<Kek>,
    authors: HashMap<String, Arc<Author>>,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(•••)")
    }
}

/// A person who writes: seals what is that person's.
pub struct Author {
    handle: SubjectHandle,
    key: LessSafeKey,
    /// The row, until it is known to be in the store.
    row: Mutex<Option<SubjectKey>>,
}

impl std::fmt::Debug for Author {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Author(•••)")
    }
}

impl Author {
    /// What rows sealed by this author name the key by.
    pub const fn handle(&self) -> SubjectHandle {
        self.handle
    }

    /// What has to be written with anything that this author seals: its key, unless that is known to be in the store.
    pub fn key(&self) -> Option<Write> {
        self.row().clone().map(Write::SubjectKey)
    }

    fn row(&self) -> MutexGuard<'_, Option<SubjectKey>> {
        self.row.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why something sealed does not open.
#[derive(Debug, thiserror::Error)]
pub enum UnsealError {
    /// The person was erased.
    #[error("erased on {} by leaf {}", crate::clock::text(.0.at), .0.leaf)]
    Erased(Erased),
    /// It is not what was sealed in this place, or the key is not the one.
    #[error("what is sealed here does not open: it was altered, or its key is another")]
    Altered,
    /// The store cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl Vault {
    /// Takes up the key in `folder` that the store names, or makes the first. `before` is the file that everything was sealed
    /// with by releases that had no keys for persons.
    ///
    /// # Errors
    /// The named key is not there: nothing sealed would open, and new keys would not be readable by whoever has the right
    /// one.
    pub fn open(records: Records, folder: &Path, before: &Path, now: Timestamp) -> Result<Self, SecretsError> {
        let random = SystemRandom::new();
        let before_file = before.to_owned();
        let before = match std::fs::read(before) {
            Ok(bytes) => {
                let wrong = |_| SecretsError::Length(before.display().to_string());
                Some(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes).map_err(wrong)?))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        let (named, retired) = records.read(|reader| Ok((reader.kek()?, reader.retired_kek()?)))?;
        let kek = if let Some(id) = named {
            Kek::load(folder, &id)?
        } else {
            let kek = Kek::prepare(folder, &random)?;
            let mut transaction = Transaction::new(now);
            transaction.writes.push(Write::FirstKek { kek: kek.id.clone() });
            records.commit_blocking(transaction)?;
            Kek::keep(folder, &kek.id)?;
            kek
        };
        // What an erasure prepared and did not record.
        Kek::forget_others(folder, &kek.id)?;
        // What an erasure recorded and did not destroy; the sweeper does the rest, see `Vault::settle`.
        if let Some(retired) = retired {
            Kek::destroy(folder, &retired)?;
        }
        let open = Mutex::new(Open { kek: Arc::new(kek), authors: HashMap::new() });
        Ok(Self { records, folder: folder.to_owned(), random, before, before_file, open })
    }

    /// The person with this keyed hash, as author.
    pub fn author(&self, subject: &str, participant: &ParticipantId) -> Result<Arc<Author>, SecretsError> {
        let known = self.held().authors.get(subject).cloned();
        if let Some(author) = &known
            && author.row().is_none()
        {
            return Ok(Arc::clone(author));
        }
        let stored = self.records.read(|reader| reader.subject(subject))?;
        let mut open = self.held();
        if let Some(author) = open.authors.get(subject).cloned() {
            // Somebody's commit may have brought the key in since.
            if stored.is_some_and(|row| row.handle == author.handle) {
                *author.row() = None;
            }
            return Ok(author);
        }
        let author = match stored {
            Some(row) => Author { key: unwrap(&open.kek, &row)?, handle: row.handle, row: Mutex::new(None) },
            None => self.make(&open.kek, subject, participant)?,
        };
        let author = Arc::new(author);
        if open.authors.len() >= AUTHORS_MAX {
            open.authors.retain(|_, author| author.row().is_some());
        }
        open.authors.insert(subject.to_owned(), Arc::clone(&author));
        Ok(author)
    }

    /// Seals `plain` (AES-256-GCM): nonce, then ciphertext and tag. `place` must be given again to open it.
    pub fn seal(&self, author: &Author, place: &str, plain: &[u8]) -> Result<Vec<u8>, SecretsError> {
        self.encrypt(&author.key, &bound(place, &author.handle), plain)
    }

    /// Opens what was sealed in `place` under the key `subject`; without one, by an earlier release, which bound it to
    /// `earlier` only.
    pub fn unseal(
        &self,
        subject: Option<SubjectHandle>,
        place: &str,
        earlier: &str,
        sealed: &[u8],
    ) -> Result<Vec<u8>, UnsealError> {
        let Some(handle) = subject else {
            let key = self.before.as_ref().ok_or(UnsealError::Altered)?;
            return decrypt(key, earlier.as_bytes(), sealed).ok_or(UnsealError::Altered);
        };
        // Always read: an erasure takes effect at once.
        let row = self.records.read(|reader| reader.subject_of(&handle))?.ok_or(UnsealError::Altered)?;
        if let Some(erased) = row.erased {
            return Err(UnsealError::Erased(erased));
        }
        let kek = Arc::clone(&self.held().kek);
        let key = unwrap(&kek, &row).map_err(|_| UnsealError::Altered)?;
        decrypt(&key, &bound(place, &handle), sealed).ok_or(UnsealError::Altered)
    }

    fn held(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make(&self, kek: &Kek, subject: &str, participant: &ParticipantId) -> Result<Author, SecretsError> {
        let (mut handle, mut bytes) = ([0; 16], [0; 32]);
        self.random.fill(&mut handle).map_err(|_| SecretsError::Random)?;
        self.random.fill(&mut bytes).map_err(|_| SecretsError::Random)?;
        let wrapped = self.encrypt(&kek.key, &wrapping(&kek.id, &handle, subject), &bytes)?;
        let (subject, participant, kek) = (subject.to_owned(), participant.clone(), kek.id.clone());
        let row = SubjectKey { handle, subject, participant, kek, wrapped };
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| SecretsError::Random)?;
        Ok(Author { handle, key: LessSafeKey::new(key), row: Mutex::new(Some(row)) })
    }

    fn encrypt(&self, key: &LessSafeKey, bound: &[u8], plain: &[u8]) -> Result<Vec<u8>, SecretsError> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| SecretsError::Random)?;
        let mut sealed = nonce.to_vec();
        let mut inner = plain.to_vec();
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(bound), &mut inner)
            .map_err(|_| SecretsError::Random)?;
        sealed.append(&mut inner);
        Ok(sealed)
    }
}

/// What ties a sealed value to its place and its person.
fn bound(place: &str, handle: &SubjectHandle) -> Vec<u8> {
    format!("kouan sealed 1\0{place}\0{}", hex(handle)).into_bytes()
}

fn wrapping(kek: &str, handle: &SubjectHandle, subject: &str) -> Vec<u8> {
    format!("kouan subject key 1\0{kek}\0{}\0{subject}", hex(handle)).into_bytes()
}

fn unwrap(kek: &Kek, row: &SubjectRow) -> Result<LessSafeKey, SecretsError> {
    let key = UnboundKey::new(&AES_256_GCM, &unwrapped(kek, row)?);
    Ok(LessSafeKey::new(key.map_err(|_| SecretsError::Kek(kek.id.clone()))?))
}

fn unwrapped(kek: &Kek, row: &SubjectRow) -> Result<Vec<u8>, SecretsError> {
    let wrong = || SecretsError::Kek(kek.id.clone());
    let (Some(subject), Some((named, wrapped))) = (&row.subject, &row.wrapped) else { return Err(wrong()) };
    decrypt(&kek.key, &wrapping(named, &row.handle, subject), wrapped).ok_or_else(wrong)
}

fn decrypt(key: &LessSafeKey, bound: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
    let mut inner = sealed.to_vec();
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let length = key.open_in_place(nonce, Aad::from(bound), &mut inner).ok()?.len();
    inner.truncate(length);
    Some(inner)
}

#[cfg(test)]
mod tests;
