//! The node's own secrets: the keys that turn principals and subject keys into keyed hashes, the key that seals openings,
//! and randomness.
//!
//! INV-10: the store keeps a principal as a keyed hash and a sealed name; a leaf holds salted commitments only.

use std::fmt::Write as _;
use std::path::Path;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

/// The node's secrets.
pub struct Secrets {
    principal: hmac::Key,
    subject: hmac::Key,
    seal: LessSafeKey,
    random: SystemRandom,
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
    /// The system has no randomness.
    #[error("the system gives no random bytes")]
    Random,
}

impl Secrets {
    /// Takes up the secrets in `folder`, or makes them (mode 0600).
    pub fn open(folder: &Path) -> Result<Self, SecretsError> {
        let random = SystemRandom::new();
        let principal = file(&folder.join("principal.key"), &random)?;
        let subject = file(&folder.join("subject.key"), &random)?;
        let seal = file(&folder.join("seal.key"), &random)?;
        let seal = UnboundKey::new(&AES_256_GCM, &seal).map_err(|_| SecretsError::Length("seal.key".to_owned()))?;
        Ok(Self {
            principal: hmac::Key::new(hmac::HMAC_SHA256, &principal),
            subject: hmac::Key::new(hmac::HMAC_SHA256, &subject),
            seal: LessSafeKey::new(seal),
            random,
        })
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

    /// Whether `mac` is [`Secrets::keyed`] of `value` under `domain`, in a time that does not tell where they differ.
    pub fn is_keyed(&self, domain: &str, value: &[u8], mac: &[u8]) -> bool {
        let mut bytes = [0; 32];
        let digits = std::str::from_utf8(mac).unwrap_or("");
        if digits.len() != 64 || hex_into(digits, &mut bytes).is_none() {
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

    /// Seals `plain` (AES-256-GCM): nonce, then ciphertext and tag. `context` must be given again to open it.
    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<Vec<u8>, SecretsError> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| SecretsError::Random)?;
        let mut sealed = plain.to_vec();
        self.seal
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context.as_bytes()), &mut sealed)
            .map_err(|_| SecretsError::Random)?;
        Ok([nonce.as_slice(), &sealed].concat())
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn secrets_survive_a_restart_and_are_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let first = Secrets::open(folder.path()).unwrap();
        let again = Secrets::open(folder.path()).unwrap();
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
        let mode = std::fs::metadata(folder.path().join("seal.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn ids_are_distinct_tokens() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = Secrets::open(folder.path()).unwrap();
        let at = jiff::Timestamp::UNIX_EPOCH;
        let ids: std::collections::BTreeSet<String> = (0..1000).map(|_| secrets.id("l-", at).unwrap()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| catalog::LeaseId::parse(id).is_ok()));
    }
}
