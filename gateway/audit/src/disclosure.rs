//! Selective disclosure: the openings of chosen members of one leaf, for an auditor. Whoever has it checks it against the
//! leaf's commitments with nothing but HMAC-SHA-256; the members that are not disclosed stay closed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::leaf::{Leaf, commitment};
use crate::tree::NodeHash;

/// Longest disclosure, in bytes.
pub const DISCLOSURE_BYTES_MAX: u64 = 1 << 20;

/// What is handed to the auditor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disclosure {
    /// The log's origin.
    pub origin: String,
    /// Index of the leaf.
    pub index: u64,
    /// The leaf.
    pub leaf: Map<String, Value>,
    /// The members that are opened.
    pub fields: Vec<DisclosedField>,
    /// Index of the `access` leaf that records this disclosure.
    pub access: u64,
}

/// One opened member.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DisclosedField {
    /// The member of the leaf.
    pub field: String,
    /// 32 bytes, base64.
    pub salt: String,
    /// What was committed to, base64.
    pub value: String,
    /// The same as text, if it is text: for reading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Neither the salt nor the value: they must not reach a log line.
impl std::fmt::Debug for DisclosedField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DisclosedField").field("field", &self.field).finish_non_exhaustive()
    }
}

/// Why a disclosure does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DisclosureError {
    /// It is not of this form.
    #[error("not a disclosure: {0}")]
    Form(String),
    /// It opens nothing.
    #[error("it discloses no member")]
    Empty,
    /// A member does not open what the leaf commits to.
    #[error("`{field}` is not what entry {index} commits to: {why}")]
    Field {
        /// Which member.
        field: String,
        /// Of which leaf.
        index: u64,
        /// In what way.
        why: &'static str,
    },
}

impl DisclosedField {
    /// The opening `salt` and `value` of the member `field`.
    pub fn new(field: &str, salt: &[u8], value: &[u8]) -> Self {
        let text = std::str::from_utf8(value).ok().map(str::to_owned);
        Self { field: field.to_owned(), salt: STANDARD.encode(salt), value: STANDARD.encode(value), text }
    }

    fn check(&self, leaf: &Map<String, Value>) -> Result<(), &'static str> {
        let salt = STANDARD.decode(&self.salt).ok().and_then(|salt| salt.try_into().ok());
        let salt: [u8; 32] = salt.ok_or("the salt is not base64 of 32 bytes")?;
        let value = STANDARD.decode(&self.value).map_err(|_| "the value is not base64")?;
        let printed = leaf.get(&self.field).and_then(Value::as_str).ok_or("the leaf has no such member")?;
        if commitment(&salt, &self.field, &value) != printed {
            return Err("the commitment is another");
        }
        match &self.text {
            Some(text) if text.as_bytes() != value => Err("`text` is not `value`"),
            _ => Ok(()),
        }
    }
}

impl Disclosure {
    /// Reads one.
    ///
    /// # Errors
    /// [`DisclosureError::Form`].
    pub fn parse(bytes: &[u8]) -> Result<Self, DisclosureError> {
        serde_json::from_slice(bytes).map_err(|error| DisclosureError::Form(error.to_string()))
    }

    /// Checks every member against the leaf. Gives the leaf as it stands in the log, and its hash: that it does stand there
    /// is for a proof to show.
    ///
    /// # Errors
    /// The first member that does not open its commitment.
    pub fn verify(&self) -> Result<(Leaf, NodeHash), DisclosureError> {
        if self.fields.is_empty() {
            return Err(DisclosureError::Empty);
        }
        for field in &self.fields {
            let (index, name) = (self.index, field.field.clone());
            field.check(&self.leaf).map_err(|why| DisclosureError::Field { field: name, index, why })?;
        }
        let form = |error: &dyn std::fmt::Display| DisclosureError::Form(format!("the leaf: {error}"));
        let bytes = serde_json_canonicalizer::to_vec(&self.leaf).map_err(|error| form(&error))?;
        let leaf = Leaf::parse(&bytes).map_err(|error| form(&error))?;
        let hash = leaf.hash();
        Ok((leaf, hash))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use serde_json::json;

    use super::*;

    fn disclosure() -> Disclosure {
        let commit = |field: &str, value: &[u8]| commitment(&[7; 32], field, value);
        let leaf = json!({
            "v": 1, "kind": "decision", "at": "2026-11-28T04:00:00.000Z",
            "person": commit("person", "spiffe://hku.hk/researcher/李明".as_bytes()),
            "certificate": commit("certificate", &[0xff; 32]),
        });
        let fields = vec![
            DisclosedField::new("person", &[7; 32], "spiffe://hku.hk/researcher/李明".as_bytes()),
            DisclosedField::new("certificate", &[7; 32], &[0xff; 32]),
        ];
        let leaf = leaf.as_object().unwrap().clone();
        Disclosure { origin: "gw.example/audit".to_owned(), index: 4, leaf, fields, access: 9 }
    }

    #[test]
    fn it_survives_its_text_and_opens_what_the_leaf_commits_to() {
        let text = serde_json::to_vec(&disclosure()).unwrap();
        let read = Disclosure::parse(&text).unwrap();
        assert_eq!(read, disclosure());
        assert_eq!(read.fields[0].text.as_deref(), Some("spiffe://hku.hk/researcher/李明"));
        assert_eq!(read.fields[1].text, None, "bytes that are no text");
        let (leaf, hash) = read.verify().unwrap();
        assert_eq!((leaf.kind(), hash), ("decision", leaf.hash()));
        assert!(!format!("{read:?}").contains("researcher"), "{read:?}");
    }

    #[test]
    fn each_change_is_named() {
        let refused = |change: &dyn Fn(&mut Disclosure)| {
            let mut changed = disclosure();
            change(&mut changed);
            changed.verify().unwrap_err().to_string()
        };
        assert!(refused(&|d| d.fields.clear()).contains("no member"));
        assert!(refused(&|d| d.fields[0].value = STANDARD.encode("bob")).contains("`person` is not what entry 4"));
        assert!(refused(&|d| d.fields[0].salt = STANDARD.encode([8; 32])).contains("the commitment is another"));
        assert!(refused(&|d| d.fields[0].salt = STANDARD.encode([7; 31])).contains("32 bytes"));
        assert!(refused(&|d| d.fields[0].value = "*".to_owned()).contains("base64"));
        assert!(refused(&|d| d.fields[0].text = Some("bob".to_owned())).contains("`text`"));
        assert!(refused(&|d| d.fields[1].field = "person".to_owned()).contains("`person`"));
        assert!(refused(&|d| d.fields[1].field = "reason".to_owned()).contains("no such member"));
        assert!(refused(&|d| drop(d.leaf.remove("at"))).contains("not a disclosure"));
        assert!(Disclosure::parse(b"{}").is_err());
    }
}
