//! Why a command did not do what it was asked: one enum, variants by whose fault, each with its exit status.

use std::path::{Path, PathBuf};

use gateway_api::Code;
use serde_json::{Value, json};

use crate::exit::Exit;

/// What a command returns instead of an answer.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The command line asks for something that makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A file, a manifest, a line of input is not right.
    #[error("{0}")]
    Input(String),
    /// Rules in files are not right; each problem has its file and line.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Rules(Vec<policy::LocalProblem>),
    /// Planned, and not in this release.
    #[error("{0}")]
    NotYet(String),
    /// The gateway answered with a problem document.
    #[error("{}", .0.detail)]
    Gateway(Box<Refusal>),
    /// The decision on a plan is not an allow.
    #[error("{detail}")]
    Decision {
        /// `denied` or `review`.
        code: Code,
        /// What, why and what would help, in words.
        detail: String,
        /// The decision.
        explain: Value,
        /// Log index, if the refusal was recorded.
        leaf: Option<u64>,
    },
    /// A TLS handshake was refused, or the server's certificate is not trusted.
    #[error("{0}")]
    Authentication(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// Bytes, a signature or a proof are not what they must be.
    #[error("{0}")]
    Integrity(String),
    /// Part of the work is done and safe; the same command goes on from there.
    #[error("{0}")]
    Incomplete(String),
    /// The gateway cannot be reached or does not keep to the protocol.
    #[error("{0}")]
    Unavailable(String),
    /// More than `--max-price`.
    #[error("{0}")]
    Price(String),
    /// A local file.
    #[error("`{}`: {what}: {source}", path.display())]
    LocalIo {
        /// Which file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// Ctrl-C.
    #[error("{0}")]
    Interrupted(String),
}

/// A problem document (RFC 9457) as it was received: unknown codes are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// `code`, or one made from the status.
    pub code: String,
    /// What was wrong.
    pub detail: String,
    /// The decision's rules, reasons and remedies.
    pub explain: Option<Value>,
    /// Log index of the decision.
    pub leaf: Option<u64>,
    /// `Retry-After`, seconds.
    pub retry_after: Option<u64>,
    /// The whole document.
    pub document: Value,
}

impl Refusal {
    /// The code as this release knows it.
    pub fn known_code(&self) -> Option<Code> {
        serde_json::from_value(Value::String(self.code.clone())).ok()
    }

    /// The exit status of this refusal: by its code, else by its HTTP status.
    pub fn exit(&self) -> Exit {
        match self.known_code() {
            Some(code) => exit_of(code),
            None => match self.status {
                401 => Exit::Unauthenticated,
                402 => Exit::Limit,
                403 => Exit::Denied,
                404 | 410 => Exit::NotFound,
                400..=428 | 431..=499 | 501 => Exit::Usage,
                _ => Exit::Unavailable,
            },
        }
    }
}

/// The exit status of a code. No `_` arm: a new code must choose.
const fn exit_of(code: Code) -> Exit {
    match code {
        Code::BadInput
        | Code::PurposeRequired
        | Code::MethodNotAllowed
        | Code::Conflict
        | Code::KeyReused
        | Code::UnsupportedMediaType
        | Code::NotAcceptable
        | Code::RangeNotSatisfiable
        | Code::PreconditionFailed
        | Code::TooLarge
        | Code::NotYet => Exit::Usage,
        Code::Unauthenticated => Exit::Unauthenticated,
        Code::Forbidden
        | Code::Denied
        | Code::NoAgreement
        | Code::OfferMismatch
        | Code::SelectionChanged
        | Code::RowFilter
        | Code::Cut => Exit::Denied,
        Code::Review => Exit::Review,
        Code::NotFound | Code::Erased => Exit::NotFound,
        Code::WrongOffset => Exit::Incomplete,
        Code::Integrity => Exit::Integrity,
        Code::RateLimited | Code::Internal | Code::Unavailable => Exit::Unavailable,
    }
}

impl CommandError {
    /// For `map_err` on file operations.
    pub fn io(path: &Path, what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::LocalIo { path, what, source }
    }

    /// The exit status.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Input(_) | Self::Rules(_) | Self::NotYet(_) => Exit::Usage,
            Self::Gateway(refusal) => refusal.exit(),
            Self::Decision { code: Code::Review, .. } => Exit::Review,
            Self::Decision { .. } => Exit::Denied,
            Self::Authentication(_) => Exit::Unauthenticated,
            Self::NotFound(_) => Exit::NotFound,
            Self::Integrity(_) => Exit::Integrity,
            Self::Incomplete(_) => Exit::Incomplete,
            Self::Unavailable(_) => Exit::Unavailable,
            Self::Price(_) => Exit::Limit,
            Self::LocalIo { .. } => Exit::LocalIo,
            Self::Interrupted(_) => Exit::Interrupted,
        }
    }

    /// For programs.
    pub fn code(&self) -> String {
        match self {
            Self::Usage(_) => "usage".to_owned(),
            Self::Input(_) | Self::Rules(_) => "bad_input".to_owned(),
            Self::NotYet(_) => "not_yet".to_owned(),
            Self::Gateway(refusal) => refusal.code.clone(),
            Self::Decision { code, .. } => code.as_str(),
            Self::Authentication(_) => "unauthenticated".to_owned(),
            Self::NotFound(_) => "not_found".to_owned(),
            Self::Integrity(_) => "integrity".to_owned(),
            Self::Incomplete(_) => "incomplete".to_owned(),
            Self::Unavailable(_) => "unavailable".to_owned(),
            Self::Price(_) => "max_price".to_owned(),
            Self::LocalIo { .. } => "local_io".to_owned(),
            Self::Interrupted(_) => "interrupted".to_owned(),
        }
    }

    /// The decision behind a denial.
    pub fn explain(&self) -> Option<&Value> {
        match self {
            Self::Gateway(refusal) => refusal.explain.as_ref(),
            Self::Decision { explain, .. } => Some(explain),
            _ => None,
        }
    }

    /// Log index of the refusal.
    pub fn leaf(&self) -> Option<u64> {
        match self {
            Self::Gateway(refusal) => refusal.leaf,
            Self::Decision { leaf, .. } => *leaf,
            _ => None,
        }
    }

    /// `{"error": {"code", "message", "explain"?, "leaf"?, "problems"?}}`.
    pub fn to_json(&self) -> Value {
        let mut error = json!({ "code": self.code(), "message": self.to_string() });
        if let Some(object) = error.as_object_mut() {
            if let Some(explain) = self.explain() {
                object.insert("explain".to_owned(), explain.clone());
            }
            if let Some(leaf) = self.leaf() {
                object.insert("leaf".to_owned(), leaf.into());
            }
            if let Self::Rules(problems) = self {
                object.insert("problems".to_owned(), json!(problems));
            }
        }
        json!({ "error": error })
    }

    /// The refusal, if the gateway refused.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Gateway(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Whether the gateway refused with this code.
    pub fn is(&self, code: Code) -> bool {
        self.refusal().and_then(Refusal::known_code) == Some(code)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn refusal(status: u16, code: &str) -> Refusal {
        Refusal {
            status,
            code: code.to_owned(),
            detail: "why".to_owned(),
            explain: Some(json!({"rules": ["CN-06"]})),
            leaf: Some(7),
            retry_after: None,
            document: Value::Null,
        }
    }

    #[test]
    fn every_refusal_has_its_exit_status() {
        for (status, code, exit) in [
            (400, "bad_input", Exit::Usage),
            (401, "unauthenticated", Exit::Unauthenticated),
            (403, "denied", Exit::Denied),
            (403, "review", Exit::Review),
            (403, "no_agreement", Exit::Denied),
            (404, "not_found", Exit::NotFound),
            (409, "purpose_required", Exit::Usage),
            (429, "rate_limited", Exit::Unavailable),
            (500, "integrity", Exit::Integrity),
            (503, "unavailable", Exit::Unavailable),
            (402, "of_a_later_release", Exit::Limit),
            (403, "of_a_later_release", Exit::Denied),
            (502, "of_a_later_release", Exit::Unavailable),
        ] {
            assert_eq!(refusal(status, code).exit(), exit, "{status} {code}");
        }
    }

    #[test]
    fn a_refusal_keeps_its_explanation_and_leaf_in_json() {
        let error = CommandError::Gateway(Box::new(refusal(403, "denied")));
        let json = error.to_json();
        assert_eq!(json.pointer("/error/code").unwrap(), "denied");
        assert_eq!(json.pointer("/error/explain/rules/0").unwrap(), "CN-06");
        assert_eq!(json.pointer("/error/leaf").unwrap(), 7);
    }
}
