//! What the gateway writes into the log (INTERFACE.md, "Log leaf"). Natural persons only as salted commitments, whose
//! openings are sealed beside them (INV-10).

use std::sync::Arc;

use gateway_store::{LeafRef, Write};
use serde_json::{Map, Value, json};

use crate::identity::Principal;
use crate::secrets::{Secrets, SecretsError};
use crate::vault::Author;

/// The members of a leaf of `kind`; the store sets `v` and `at`.
pub fn of(kind: &str) -> Map<String, Value> {
    Map::from_iter([("kind".to_owned(), json!(kind))])
}

/// Adds who did it: the participant in the clear, person and certificate as commitments. Returns the openings, to be
/// written with the leaf.
pub fn by(
    members: &mut Map<String, Value>,
    principal: &Principal,
    secrets: &Secrets,
) -> Result<Openings, SecretsError> {
    members.insert("participant".to_owned(), json!(principal.participant));
    members.insert("role".to_owned(), json!(principal.role));
    let person = principal.spiffe();
    let certificate = principal.verified.cert_sha256();
    let mut openings = Openings::of(secrets.author(principal)?);
    for (field, value) in [("person", person.as_bytes()), ("certificate", certificate.as_bytes().as_slice())] {
        openings.commit(members, field, value, secrets)?;
    }
    Ok(openings)
}

/// What opens a leaf's commitments, sealed under the key of the person who is behind them.
#[derive(Debug)]
pub struct Openings {
    author: Arc<Author>,
    sealed: Vec<(&'static str, Vec<u8>)>,
}

impl Openings {
    /// None yet, of `author`.
    pub const fn of(author: Arc<Author>) -> Self {
        Self { author, sealed: Vec::new() }
    }

    /// Adds `field` as a commitment to `value` under a fresh salt, and keeps the opening (salt, then value).
    pub fn commit(
        &mut self,
        members: &mut Map<String, Value>,
        field: &'static str,
        value: &[u8],
        secrets: &Secrets,
    ) -> Result<(), SecretsError> {
        let salt = secrets.salt()?;
        let commitment = gateway_audit::leaf::commitment(&salt, field, value);
        let sealed =
            secrets.vault.seal(&self.author, &place(&commitment, field), &[salt.as_slice(), value].concat())?;
        members.insert(field.to_owned(), json!(commitment));
        self.sealed.push((field, sealed));
        Ok(())
    }

    /// The writes that keep them beside `leaf`.
    pub fn of_leaf(self, leaf: LeafRef) -> impl Iterator<Item = Write> {
        let subject = self.author.handle();
        let openings = self.sealed.into_iter();
        let openings =
            openings.map(move |(field, sealed)| Write::Opening { leaf, field: field.to_owned(), subject, sealed });
        self.author.key().into_iter().chain(openings)
    }
}

/// What binds an opening to its leaf: a commitment stands in one leaf only, because its salt was drawn for it.
pub fn place(commitment: &str, field: &str) -> String {
    format!("opening\0{commitment}\0{field}")
}

/// Bytes of a list that a leaf holds entry by entry: a leaf has 8 KiB for all of its members.
const LIST_BYTES_MAX: usize = 3 << 10;

/// A list as a leaf holds it: up to 64 entries, else (or if they are long) their number and digest.
pub fn list(entries: &[String]) -> Value {
    if entries.len() <= 64 && entries.iter().map(|entry| entry.len() + 3).sum::<usize>() <= LIST_BYTES_MAX {
        return json!(entries);
    }
    let canonical = serde_json_canonicalizer::to_vec(&entries).unwrap_or_default();
    json!({"count": entries.len(), "digest": catalog::Digest::of(&canonical)})
}
