//! Free text that a person wrote and that documents keep: reasons, notes, references. It may name somebody, so it is kept
//! sealed, and opened on its way to those who may read it (`rest/prose`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Author, UnsealError, Vault};
use crate::secrets::SecretsError;

/// How sealed text begins; the handle in hex, a colon and base64 follow. Our own text never begins so.
pub const SEALED: &str = "sealed:1:";

const PLACE: &str = "prose";

impl Vault {
    /// `text` as documents keep it.
    pub fn seal_prose(&self, author: &Author, text: &str) -> Result<String, SecretsError> {
        let sealed = self.seal(author, PLACE, text.as_bytes())?;
        Ok(format!("{SEALED}{}:{}", crate::secrets::hex(&author.handle), STANDARD.encode(sealed)))
    }

    /// What `kept` says. Text of an erased person says when it was erased; what was never sealed is as it is.
    pub fn prose(&self, kept: &str) -> String {
        let Some(sealed) = kept.strip_prefix(SEALED) else { return kept.to_owned() };
        let opened = parse(sealed).ok_or(UnsealError::Altered).and_then(|(handle, sealed)| {
            let plain = self.unseal(Some(handle), PLACE, "", &sealed)?;
            String::from_utf8(plain).map_err(|_| UnsealError::Altered)
        });
        opened.unwrap_or_else(|error| {
            if !matches!(error, UnsealError::Erased(_)) {
                tracing::error!(%error, "a sealed text does not open");
            }
            format!("({error})")
        })
    }

    /// Opens the members of `body` that hold what persons wrote. Members of other names are never opened: whoever holds a copy
    /// of the store could else have it read aloud by handing it in as something else.
    pub fn open_members(&self, body: &mut Value) {
        match body {
            Value::Array(entries) => entries.iter_mut().for_each(|entry| self.open_members(entry)),
            Value::Object(members) => {
                let is_release = members.contains_key("rules") && members.contains_key("until");
                for (name, member) in members.iter_mut() {
                    let opens = matches!(name.as_str(), "reason" | "note") || (is_release && name == "reference");
                    match member {
                        Value::String(text) if opens => *text = self.prose(text),
                        other => self.open_members(other),
                    }
                }
            }
            _ => {}
        }
    }
}

fn parse(sealed: &str) -> Option<([u8; 16], Vec<u8>)> {
    let (handle, sealed) = sealed.split_once(':')?;
    Some((crate::secrets::handle(handle)?, STANDARD.decode(sealed).ok()?))
}
