//! The texts a rule set is made of, and the set that is compiled in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The texts of a rule set. File names are part of it: errors name them, and so does the digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sources {
    /// The Cedar schema.
    pub schema: String,
    /// Cedar policies by file name.
    pub rules: BTreeMap<String, String>,
    /// Working-day calendars (TOML) by file name.
    pub calendars: BTreeMap<String, String>,
}

macro_rules! files {
    ($folder:literal: $($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!("../../", $folder, "/", $name)))),+]
    };
}

impl Sources {
    /// The rules, schema and calendars of this release.
    pub fn builtin() -> Self {
        let texts =
            |files: &[(&str, &str)]| files.iter().map(|(name, text)| ((*name).to_owned(), lines(text))).collect();
        Self {
            schema: lines(include_str!("../../rules/schema.cedarschema")),
            rules: texts(&files!("rules":
                "data-security-law.cedar",
                "export-control.cedar",
                "gba-contract.cedar",
                "human-genetic-resources.cedar",
                "mechanisms.cedar",
                "pdpo.cedar",
                "pipl.cedar",
                "places.cedar",
                "provisions-2024-gates.cedar",
                "provisions-2024-ladder.cedar",
                "secrecy-law.cedar",
            )),
            calendars: texts(&files!("calendar":
                "hong-kong-2023.toml",
                "hong-kong-2024.toml",
                "hong-kong-2025.toml",
                "hong-kong-2026.toml",
                "mainland-2023.toml",
                "mainland-2024.toml",
                "mainland-2025.toml",
                "mainland-2026.toml",
            )),
        }
    }

    /// RFC 8785 canonical JSON: what the law's digest is of, and what is stored under it.
    pub fn canonical(&self) -> String {
        // Three texts in maps: writing them cannot fail.
        serde_json_canonicalizer::to_string(self).unwrap_or_default()
    }
}

/// The same text whatever line endings a checkout has, so that one release has one digest.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n")
}
