//! Changing a log's key. The old key and the new one sign a statement that names both, which stands in the log as a
//! `key_rotate` entry: whoever trusts the old key has its word for the new one, and nobody can name a key that is not his.
//!
//! Both keys bear the log's name. A statement begins with a line that no origin can be, so it is never taken for a
//! checkpoint, nor a checkpoint for it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::leaf::{Leaf, LeafKind};
use crate::note::{NoteError, Signer, VerifierKey};

/// What a `key_rotate` entry says; its signatures are verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyChange {
    /// A key vouches for another, which signs beside it from here on.
    Rotation {
        /// The key that was there.
        old: VerifierKey,
        /// The key that comes.
        new: VerifierKey,
    },
    /// A key signs no more.
    Retirement {
        /// That key.
        retired: VerifierKey,
        /// A key that goes on.
        by: VerifierKey,
    },
}

impl KeyChange {
    /// What is signed.
    fn statement(&self) -> String {
        match self {
            Self::Rotation { old, new } => format!("kouan log key rotation/v1\n{old}\n{new}\n"),
            Self::Retirement { retired, by } => format!("kouan log key retirement/v1\n{retired}\n{by}\n"),
        }
    }

    /// Reads an entry and verifies its signatures.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words.
    pub fn read(leaf: &Leaf) -> Result<Self, String> {
        let key = |member: &str| -> Result<VerifierKey, String> {
            let text = leaf.text(member).ok_or_else(|| format!("it has no `{member}`"))?;
            text.parse().map_err(|error: NoteError| format!("`{member}`: {error}"))
        };
        let (change, signers) = if leaf.text("retired").is_some() {
            let (retired, by) = (key("retired")?, key("by")?);
            (Self::Retirement { retired, by: by.clone() }, vec![("by", by)])
        } else {
            let (old, new) = (key("old")?, key("new")?);
            (Self::Rotation { old: old.clone(), new: new.clone() }, vec![("old", old), ("new", new)])
        };
        let (Self::Rotation { old: one, new: other } | Self::Retirement { retired: one, by: other }) = &change;
        if one.name() != other.name() {
            return Err(format!("its keys are of two logs, `{}` and `{}`", one.name(), other.name()));
        }
        let statement = change.statement();
        for (name, key) in signers {
            let signature = leaf.members().get("signatures").and_then(|signatures| signatures.get(name)?.as_str());
            let signature = signature.and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default();
            if !key.verifies(statement.as_bytes(), &signature) {
                return Err(format!("the signature of `{name}` does not verify"));
            }
        }
        Ok(change)
    }
}

/// The members of the entry by which `old` vouches for `new`.
///
/// # Errors
///
/// [`NoteError::Origin`] if they are keys of two logs; what the signers say.
pub fn rotate(old: &dyn Signer, new: &dyn Signer) -> Result<Map<String, Value>, NoteError> {
    let (from, to) = (old.verifier(), new.verifier());
    if from.name() != to.name() {
        return Err(NoteError::Origin { expected: from.name().to_owned(), got: to.name().to_owned() });
    }
    let statement = KeyChange::Rotation { old: from.clone(), new: to.clone() }.statement();
    let sign = |signer: &dyn Signer| signer.sign(statement.as_bytes()).map(|signature| STANDARD.encode(signature));
    Ok(members([
        ("old", json!(from.to_string())),
        ("new", json!(to.to_string())),
        ("signatures", json!({"old": sign(old)?, "new": sign(new)?})),
    ]))
}

/// The members of the entry by which `by` says that `retired` signs no more.
///
/// # Errors
///
/// What the signer says.
pub fn retire(retired: &VerifierKey, by: &dyn Signer) -> Result<Map<String, Value>, NoteError> {
    let change = KeyChange::Retirement { retired: retired.clone(), by: by.verifier().clone() };
    let signature = STANDARD.encode(by.sign(change.statement().as_bytes())?);
    Ok(members([
        ("retired", json!(retired.to_string())),
        ("by", json!(by.verifier().to_string())),
        ("signatures", json!({"by": signature})),
    ]))
}

fn members<const N: usize>(of: [(&str, Value); N]) -> Map<String, Value> {
    let kind = [("kind", json!(LeafKind::KeyRotate.as_str()))];
    kind.into_iter().chain(of).map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests;
