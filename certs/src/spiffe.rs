//! SPIFFE IDs in the one shape that Kouan uses: `spiffe://<trust domain>/<role>/<name>`.
//!
//! Source: the SPIFFE ID specification, §2 (scheme, trust domain, path and length limits).
//! Errors never repeat the name: a principal's name must not reach a log line (INV-10).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest SPIFFE ID in bytes that every implementation must support, and that we accept.
pub const SPIFFE_ID_BYTES_MAX: usize = 2048;
/// Longest trust domain in bytes.
pub const TRUST_DOMAIN_BYTES_MAX: usize = 255;

const SCHEME: &str = "spiffe://";

/// Why a text is not a SPIFFE ID of our shape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpiffeIdError {
    /// Longer than [`SPIFFE_ID_BYTES_MAX`].
    #[error("SPIFFE ID has {bytes} bytes, at most {SPIFFE_ID_BYTES_MAX} are allowed")]
    TooLong {
        /// Length that was found.
        bytes: usize,
    },
    /// Another scheme, or the scheme in capitals.
    #[error("SPIFFE ID does not begin with `spiffe://`")]
    Scheme,
    /// A query or a fragment.
    #[error("SPIFFE ID has a query or a fragment, neither is allowed")]
    QueryOrFragment,
    /// The trust domain is empty, too long, or has a character outside `[a-z0-9.-_]`;
    /// ports, user names, percent-encoding and capitals fall under this.
    #[error("trust domain is not 1 to {TRUST_DOMAIN_BYTES_MAX} characters of `a-z`, `0-9`, `.`, `-`, `_`")]
    TrustDomain,
    /// The path is not exactly `/<role>/<name>`.
    #[error("SPIFFE ID has {segments} path segments, it must be `spiffe://<trust domain>/<role>/<name>`")]
    Shape {
        /// Number of path segments that were found.
        segments: usize,
    },
    /// A path segment that is empty, `.`, `..`, or has a character outside `[a-zA-Z0-9._-]`.
    #[error(
        "path segment {position} of the SPIFFE ID is empty, `.`, `..` or has a character outside `a-z`, `A-Z`, `0-9`, `.`, `-`, `_`"
    )]
    Segment {
        /// 1 is the role, 2 the name.
        position: usize,
    },
    /// The first segment is none of our roles.
    #[error("role is none of researcher, broker, compliance, operator, compute, witness")]
    Role,
}

/// What a principal acts as. A participant's record lists which of them it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Finds and pulls data.
    Researcher,
    /// Registers and publishes data.
    Broker,
    /// Approves, watches, cuts.
    Compliance,
    /// Runs a node; never sees data.
    Operator,
    /// Pulls as a machine.
    Compute,
    /// Cosigns checkpoints.
    Witness,
}

impl Role {
    /// All roles, in the order in which the documentation lists them.
    pub const ALL: [Self; 6] =
        [Self::Researcher, Self::Broker, Self::Compliance, Self::Operator, Self::Compute, Self::Witness];

    /// The path segment that stands for this role.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Researcher => "researcher",
            Self::Broker => "broker",
            Self::Compliance => "compliance",
            Self::Operator => "operator",
            Self::Compute => "compute",
            Self::Witness => "witness",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = SpiffeIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(SpiffeIdError::Role)
    }
}

/// The trust domain of one participant, such as `hku.hk`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrustDomain(String);

impl TrustDomain {
    /// The trust domain as text, without scheme.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TrustDomain {
    type Err = SpiffeIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_');
        if text.is_empty() || text.len() > TRUST_DOMAIN_BYTES_MAX || !text.bytes().all(allowed) {
            return Err(SpiffeIdError::TrustDomain);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A principal: `spiffe://<trust domain>/<role>/<name>`.
///
/// [`fmt::Display`] prints it whole; [`fmt::Debug`] leaves the name out, so that a struct
/// which happens to hold one can be logged (INV-10).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId {
    trust_domain: TrustDomain,
    role: Role,
    name: String,
}

impl SpiffeId {
    /// Puts an ID together from its parts.
    ///
    /// # Errors
    ///
    /// [`SpiffeIdError::Segment`] for a name that is no path segment, and
    /// [`SpiffeIdError::TooLong`].
    pub fn new(trust_domain: TrustDomain, role: Role, name: &str) -> Result<Self, SpiffeIdError> {
        let id = Self { trust_domain, role, name: segment(name, 2)?.to_owned() };
        let bytes = id.to_string().len();
        if bytes > SPIFFE_ID_BYTES_MAX {
            return Err(SpiffeIdError::TooLong { bytes });
        }
        Ok(id)
    }

    /// Whose participant it is.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// What it acts as.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Its name within the participant and role. May identify a natural person: never log it.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for SpiffeId {
    type Err = SpiffeIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > SPIFFE_ID_BYTES_MAX {
            return Err(SpiffeIdError::TooLong { bytes: text.len() });
        }
        let rest = text.strip_prefix(SCHEME).ok_or(SpiffeIdError::Scheme)?;
        if rest.contains(['?', '#']) {
            return Err(SpiffeIdError::QueryOrFragment);
        }
        let mut parts = rest.split('/');
        let trust_domain = parts.next().unwrap_or_default().parse::<TrustDomain>()?;
        let segments: Vec<&str> = parts.collect();
        let [role, name] = segments.as_slice() else {
            return Err(SpiffeIdError::Shape { segments: segments.len() });
        };
        let role = segment(role, 1)?.parse::<Role>()?;
        Ok(Self { trust_domain, role, name: segment(name, 2)?.to_owned() })
    }
}

fn segment(text: &str, position: usize) -> Result<&str, SpiffeIdError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if text.is_empty() || text == "." || text == ".." || !text.bytes().all(allowed) {
        return Err(SpiffeIdError::Segment { position });
    }
    Ok(text)
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trust_domain, role, name } = self;
        write!(f, "{SCHEME}{trust_domain}/{role}/{name}")
    }
}

impl fmt::Debug for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}/…", self.trust_domain, self.role)
    }
}

macro_rules! serde_as_text {
    ($($type:ty),*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?
                    .parse()
                    .map_err(serde::de::Error::custom)
            }
        }
    )*};
}
pub(crate) use serde_as_text;

serde_as_text!(TrustDomain, SpiffeId);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn parts_come_back_and_print_the_same() {
        for role in Role::ALL {
            let text = format!("spiffe://qianhai-compute.cn/{role}/Lin_3.b-c");
            let id: SpiffeId = text.parse().unwrap();
            assert_eq!(id.trust_domain().as_str(), "qianhai-compute.cn");
            assert_eq!(id.role(), role);
            assert_eq!(id.name(), "Lin_3.b-c");
            assert_eq!(id.to_string(), text);
            assert_eq!(SpiffeId::new(id.trust_domain().clone(), role, id.name()).unwrap(), id);
            let json = serde_json::to_string(&id).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<SpiffeId>(&json).unwrap(), id);
        }
    }

    #[test]
    fn refusals() {
        use SpiffeIdError as E;
        let long_name = format!("spiffe://hku.hk/researcher/{}", "a".repeat(2048));
        let long_domain = format!("spiffe://{}/researcher/a", "a".repeat(256));
        let cases: [(&str, SpiffeIdError); 26] = [
            (&long_name, E::TooLong { bytes: long_name.len() }),
            ("", E::Scheme),
            ("https://hku.hk/researcher/a", E::Scheme),
            ("SPIFFE://hku.hk/researcher/a", E::Scheme),
            ("spiffe:/hku.hk/researcher/a", E::Scheme),
            ("spiffe://hku.hk/researcher/a?x=1", E::QueryOrFragment),
            ("spiffe://hku.hk/researcher/a#x", E::QueryOrFragment),
            ("spiffe:///researcher/a", E::TrustDomain),
            ("spiffe://HKU.hk/researcher/a", E::TrustDomain),
            ("spiffe://hku.hk:443/researcher/a", E::TrustDomain),
            ("spiffe://me@hku.hk/researcher/a", E::TrustDomain),
            ("spiffe://港大.hk/researcher/a", E::TrustDomain),
            ("spiffe://hku%2ehk/researcher/a", E::TrustDomain),
            (&long_domain, E::TrustDomain),
            ("spiffe://hku.hk", E::Shape { segments: 0 }),
            ("spiffe://hku.hk/", E::Shape { segments: 1 }),
            ("spiffe://hku.hk/researcher", E::Shape { segments: 1 }),
            ("spiffe://hku.hk/researcher/a/", E::Shape { segments: 3 }),
            ("spiffe://hku.hk/researcher/a/b", E::Shape { segments: 3 }),
            ("spiffe://hku.hk//a", E::Segment { position: 1 }),
            ("spiffe://hku.hk/researcher/", E::Segment { position: 2 }),
            ("spiffe://hku.hk/researcher/..", E::Segment { position: 2 }),
            ("spiffe://hku.hk/researcher/a%20b", E::Segment { position: 2 }),
            ("spiffe://hku.hk/researcher/爱丽丝", E::Segment { position: 2 }),
            ("spiffe://hku.hk/Researcher/a", E::Role),
            ("spiffe://hku.hk/root/a", E::Role),
        ];
        for (text, want) in cases {
            assert_eq!(text.parse::<SpiffeId>(), Err(want), "{text}");
        }
    }

    #[test]
    fn neither_debug_nor_errors_show_the_name() {
        let id: SpiffeId = "spiffe://hku.hk/researcher/alice".parse().unwrap();
        assert_eq!(format!("{id:?}"), "spiffe://hku.hk/researcher/…");
        let error = "spiffe://hku.hk/researcher/alice!".parse::<SpiffeId>().unwrap_err();
        assert!(!error.to_string().contains("alice"), "{error}");
    }
}
