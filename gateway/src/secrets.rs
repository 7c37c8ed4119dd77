//! The node's own secrets: the keys that turn principals and subject keys into keyed hashes, persons' keys, and randomness.
//!
//! INV-10: the store keeps a principal as a keyed hash; a leaf holds salted commitments only.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use gateway_store::SubjectHandle;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

use crate::identity::Principal;
use crate::vault::{Author, Vault};

/// The node's secrets.
pub struct Secrets {
    principal: hmac::Key,
    subject: hmac::Key,
    random: SystemRandom,
    /// Persons' keys.
    pub vault: Vault,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(•••)")
    }
}

/// Why the secrets are not usable.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The folder or a file cannot be read or written.
    #[error("cannot keep the node's secrets: {0}")]
    Io(#[from] std::io::Error),
    /// A file is not 32 bytes.
    #[error("{0} does not hold 32 bytes: restore it from a backup; a new one would orphan every lease")]
    Length(String),
    /// The key that wraps persons' keys is not where it should be.
    #[error(
        "{0} is missing: what is sealed in the store opens with this key only. Restore it, or name its folder as `kek` in \
         kouan.toml; if an erasure destroyed it, this data directory is a copy from before, and is dead on purpose"
    )]
    NoKek(String),
    /// A person's key does not open with the key that should wrap it.
    #[error("a person's key does not open with `{0}.kek`: the file is another node's, or the store was altered")]
    Kek(String),
    /// Persons' keys cannot be read.
    #[error(transparent)]
    Read(#[from] gateway_store::ReadError),
    /// The first key could not be recorded.
    #[error("the key of persons' keys was not recorded: {0}")]
    Commit(#[from] gateway_store::CommitError),
    /// The system has no randomness.
    #[error("the system gives no random bytes")]
    Random,
}

impl Secrets {
    /// Takes up the secrets in `folder`, or makes them (mode 0600).
    pub fn open(folder: &Path, vault: Vault) -> Result<Self, SecretsError> {
        let random = SystemRandom::new();
        let principal = file(&folder.join("principal.key"), &random)?;
        let subject = file(&folder.join("subject.key"), &random)?;
        Ok(Self {
            principal: hmac::Key::new(hmac::HMAC_SHA256, &principal),
            subject: hmac::Key::new(hmac::HMAC_SHA256, &subject),
            random,
            vault,
        })
    }

    /// The person behind `principal`, as author of what is sealed.
    pub fn author(&self, principal: &Principal) -> Result<Arc<Author>, SecretsError> {
        self.vault.author(&principal.keyed(self), &principal.participant)
    }

    /// The key that hashes the persons of one exporter's year: one for each, so that no year's hashes say anything about
    /// another's.
    pub fn subject_key(&self, exporter: &str, year: i16) -> hmac::Key {
        let mut context = hmac::Context::with_key(&self.subject);
        context.update(b"subject key of an exporter's year\0");
        context.update(exporter.as_bytes());
        context.update(&[0]);
        context.update(&year.to_be_bytes());
        hmac::Key::new(hmac::HMAC_SHA256, context.sign().as_ref())
    }

    /// A keyed hash of `value` under `domain`, 64 hex digits: equal for equal values on this node, meaningless elsewhere.
    pub fn keyed(&self, domain: &str, value: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.principal);
        context.update(domain.as_bytes());
        context.update(&[0]);
        context.update(value);
        hex(context.sign().as_ref())
    }

    /// The same as a digest, for what people sign by its digest but could be guessed from a plain one.
    pub fn keyed_digest(&self, domain: &str, value: &[u8]) -> catalog::Digest {
        catalog::Digest::of(self.keyed(domain, value).as_bytes())
    }

    /// Whether `mac` is [`Secrets::keyed`] of `value` under `domain`, in a time that does not tell where they differ.
    pub fn is_keyed(&self, domain: &str, value: &[u8], mac: &[u8]) -> bool {
        let mut bytes = [0; 32];
        let digits = std::str::from_utf8(mac).unwrap_or("");
        // One spelling: what is sealed is not to be had in another.
        let capital = digits.bytes().any(|digit| digit.is_ascii_uppercase());
        if digits.len() != 64 || capital || hex_into(digits, &mut bytes).is_none() {
            return false;
        }
        hmac::verify(&self.principal, &[domain.as_bytes(), &[0], value].concat(), &bytes).is_ok()
    }

    /// 32 random bytes: a fresh salt.
    pub fn salt(&self) -> Result<[u8; 32], SecretsError> {
        let mut salt = [0; 32];
        self.random.fill(&mut salt).map_err(|_| SecretsError::Random)?;
        Ok(salt)
    }

    /// A new id: `prefix`, then 26 digits and letters (time first, so that new rows stand together; then 80 random bits).
    pub fn id(&self, prefix: &str, now: jiff::Timestamp) -> Result<String, SecretsError> {
        const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        let mut random = [0; 10];
        self.random.fill(&mut random).map_err(|_| SecretsError::Random)?;
        let mut number = u128::try_from(now.as_millisecond()).unwrap_or(0) << 80;
        number |= random.iter().fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte));
        let mut id = String::from(prefix);
        for place in (0..26).rev() {
            let digit = usize::try_from((number >> (place * 5)) & 31).unwrap_or(0);
            id.push(DIGITS.get(digit).map_or('0', |digit| char::from(*digit)));
        }
        Ok(id)
    }
}

fn file(path: &Path, random: &SystemRandom) -> Result<Vec<u8>, SecretsError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;

    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    if !path.exists() {
        let mut bytes = [0; 32];
        random.fill(&mut bytes).map_err(|_| SecretsError::Random)?;
        // Written beside and renamed: a crash leaves no short key behind.
        let beside = path.with_extension("new");
        let _ = std::fs::remove_file(&beside);
        let mut new = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        new.write_all(&bytes)?;
        new.sync_all()?;
        std::fs::rename(&beside, path)?;
        if let Some(folder) = path.parent() {
            std::fs::File::open(folder)?.sync_all()?;
        }
    }
    let bytes = std::fs::read(path)?;
    if bytes.len() == 32 { Ok(bytes) } else { Err(SecretsError::Length(path.display().to_string())) }
}

fn hex_into(digits: &str, bytes: &mut [u8]) -> Option<()> {
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(())
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The handle of a person's key, as [`hex`] writes it.
pub fn handle(text: &str) -> Option<SubjectHandle> {
    let number = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32)?;
    Some(number.to_be_bytes())
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Each has a store of its own: what is asked here has nothing to do with it.
    pub(crate) fn open(folder: &Path) -> Secrets {
        let (data, at) = (tempfile::tempdir().unwrap(), jiff::Timestamp::UNIX_EPOCH);
        let (records, _) = gateway_store::Records::open(data.path(), gateway_store::OpenOptions::new(at)).unwrap();
        let vault = Vault::open(records, &data.path().join("kek"), &folder.join("seal.key"), at).unwrap();
        Secrets::open(folder, vault).unwrap()
    }

    #[test]
    fn secrets_survive_a_restart_and_are_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let (first, again) = (open(folder.path()), open(folder.path()));
        assert_eq!(first.keyed("person", b"alice"), again.keyed("person", b"alice"));
        assert_ne!(first.keyed("person", b"alice"), first.keyed("certificate", b"alice"));
        let mac = first.keyed("ticket", b"t");
        assert!(first.is_keyed("ticket", b"t", mac.as_bytes()));
        assert!(!first.is_keyed("ticket", b"u", mac.as_bytes()));
        assert!(!first.is_keyed("ticket", b"t", b"0"));
        let person = |secrets: &Secrets, exporter, year| {
            hmac::sign(&secrets.subject_key(exporter, year), b"a").as_ref().to_vec()
        };
        assert_eq!(person(&first, "qianhai", 2026), person(&again, "qianhai", 2026));
        assert_ne!(person(&first, "qianhai", 2026), person(&first, "qianhai", 2027));
        assert_ne!(person(&first, "qianhai", 2026), person(&first, "hku", 2026));
        let mode = std::fs::metadata(folder.path().join("principal.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn ids_are_distinct_tokens() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = open(folder.path());
        let at = jiff::Timestamp::UNIX_EPOCH;
        let ids: std::collections::BTreeSet<String> = (0..1000).map(|_| secrets.id("l-", at).unwrap()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| catalog::LeaseId::parse(id).is_ok()));
    }
}
