//! Local rules over the API.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `POST /v1/rulesets`: rules of the caller's participant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProposeRules {
    /// Cedar policies by file name, `[A-Za-z0-9._-]+.cedar`.
    pub rules: BTreeMap<String, String>,
    /// What the set is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// `POST /v1/rulesets/{id}/activate`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivateRules {
    /// From when on it decides, RFC 3339; at once if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}
