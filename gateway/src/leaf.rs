//! What the gateway writes into the log (INTERFACE.md, "Log leaf"). Natural persons only as salted commitments, whose
//! openings are sealed beside them (INV-10).

use gateway_store::{LeafRef, Write};
use serde_json::{Map, Value, json};

use crate::identity::Principal;
use crate::secrets::{Secrets, SecretsError};

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
) -> Result<Vec<(&'static str, Vec<u8>)>, SecretsError> {
    members.insert("participant".to_owned(), json!(principal.participant));
    members.insert("role".to_owned(), json!(principal.role));
    let person = principal.spiffe();
    let certificate = principal.verified.cert_sha256();
    let mut openings = Vec::with_capacity(2);
    for (field, value) in [("person", person.as_bytes()), ("certificate", certificate.as_bytes().as_slice())] {
        openings.push((field, commit(members, field, value, secrets)?));
    }
    Ok(openings)
}

/// Adds `field` as a commitment to `value` under a fresh salt; returns the sealed opening (salt, then value).
pub fn commit(
    members: &mut Map<String, Value>,
    field: &'static str,
    value: &[u8],
    secrets: &Secrets,
) -> Result<Vec<u8>, SecretsError> {
    let salt = secrets.salt()?;
    members.insert(field.to_owned(), json!(gateway_audit::leaf::commitment(&salt, field, value)));
    secrets.seal(field, &[salt.as_slice(), value].concat())
}

/// The writes that keep `openings` of `leaf`.
pub fn openings(leaf: LeafRef, openings: Vec<(&'static str, Vec<u8>)>) -> impl Iterator<Item = Write> {
    openings.into_iter().map(move |(field, sealed)| Write::Opening { leaf, field: field.to_owned(), sealed })
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
