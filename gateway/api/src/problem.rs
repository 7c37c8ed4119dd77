//! Errors on the wire: RFC 9457 problem details with a stable `code`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What went wrong, for programs. Append, never rename.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The request is not well formed.
    BadInput,
    /// The certificate or its participant is not accepted.
    Unauthenticated,
    /// The role may not do this.
    Forbidden,
    /// The policy said no.
    Denied,
    /// The policy wants a person to decide.
    Review,
    /// No agreement covers this version; the detail names the call that accepts its offer.
    NoAgreement,
    /// Several agreements cover it: name a purpose.
    PurposeRequired,
    /// The offer does not admit this participant, purpose or place.
    OfferMismatch,
    /// The columns of a lease are fixed and would differ now.
    SelectionChanged,
    /// A row rule applies: use `/data`.
    RowFilter,
    /// There is no such thing, or not for you.
    NotFound,
    /// The method is not offered here.
    MethodNotAllowed,
    /// The object is in another state than the action needs.
    Conflict,
    /// The idempotency key was used with another body.
    KeyReused,
    /// An upload continued at the wrong byte.
    WrongOffset,
    /// The media type is not taken.
    UnsupportedMediaType,
    /// Nothing that we can send is accepted.
    NotAcceptable,
    /// The range is not in the representation.
    RangeNotSatisfiable,
    /// A conditional header was not met.
    PreconditionFailed,
    /// The body is too large.
    TooLarge,
    /// Wait, then try again.
    RateLimited,
    /// The lease was cut.
    Cut,
    /// It was there, and was erased for good.
    Erased,
    /// The stored bytes are not what was inspected.
    Integrity,
    /// Planned for a later release.
    NotYet,
    /// Our fault; the log has the detail.
    Internal,
    /// Records, disk or drain: try again later.
    Unavailable,
}

impl Code {
    /// The HTTP status of this code.
    pub const fn status(self) -> u16 {
        match self {
            Self::BadInput => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden
            | Self::Denied
            | Self::Review
            | Self::NoAgreement
            | Self::OfferMismatch
            | Self::RowFilter
            | Self::Cut => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::NotAcceptable => 406,
            Self::PurposeRequired | Self::SelectionChanged | Self::Conflict | Self::KeyReused | Self::WrongOffset => {
                409
            }
            Self::Erased => 410,
            Self::PreconditionFailed => 412,
            Self::TooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::RangeNotSatisfiable => 416,
            Self::RateLimited => 429,
            Self::Internal | Self::Integrity => 500,
            Self::NotYet => 501,
            Self::Unavailable => 503,
        }
    }

    /// A short title in English.
    pub const fn title(self) -> &'static str {
        match self {
            Self::BadInput => "The request is not well formed",
            Self::Unauthenticated => "Certificate not accepted",
            Self::Forbidden => "Not for this role",
            Self::Denied => "Export denied",
            Self::Review => "Awaiting review",
            Self::NoAgreement => "No agreement",
            Self::PurposeRequired => "Name a purpose",
            Self::OfferMismatch => "The offer does not admit this",
            Self::SelectionChanged => "The selection has changed",
            Self::RowFilter => "A row rule applies",
            Self::NotFound => "No such thing",
            Self::MethodNotAllowed => "Method not offered",
            Self::Conflict => "Not in this state",
            Self::KeyReused => "Idempotency key used with another body",
            Self::WrongOffset => "Wrong upload offset",
            Self::UnsupportedMediaType => "Media type not taken",
            Self::NotAcceptable => "Nothing acceptable to send",
            Self::RangeNotSatisfiable => "Range not satisfiable",
            Self::PreconditionFailed => "Precondition failed",
            Self::TooLarge => "Too large",
            Self::RateLimited => "Too many requests",
            Self::Cut => "The lease was cut",
            Self::Erased => "Erased",
            Self::Integrity => "Stored bytes are not what was inspected",
            Self::NotYet => "Not in this release",
            Self::Internal => "Internal error",
            Self::Unavailable => "Temporarily unavailable",
        }
    }

    /// The spelling on the wire.
    pub fn as_str(self) -> String {
        match serde_json::to_value(self) {
            Ok(Value::String(text)) => text,
            _ => "internal".to_owned(),
        }
    }
}

/// A problem document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// A URI reference that names the kind.
    pub r#type: String,
    /// Short, the same for every problem of this code.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What was wrong, where, and what would be right.
    pub detail: String,
    /// For programs.
    pub code: Code,
    /// The decision's `rules`, `reasons` and `remedies`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<Value>,
    /// Log index of the decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaf: Option<u64>,
    /// Further members (`offset`, `accept`, …).
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Problem {
    /// A problem of `code` with `detail`.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            r#type: format!("urn:kouan:problem:{}", code.as_str()),
            title: code.title().to_owned(),
            status: code.status(),
            detail: detail.into(),
            code,
            explain: None,
            leaf: None,
            extra: Map::new(),
        }
    }

    /// Adds the decision's explanation.
    #[must_use]
    pub fn explained(mut self, explain: Value) -> Self {
        self.explain = Some(explain);
        self
    }

    /// Adds the log index.
    #[must_use]
    pub const fn at_leaf(mut self, leaf: u64) -> Self {
        self.leaf = Some(leaf);
        self
    }

    /// Adds a member.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(member.to_owned(), value.into());
        self
    }
}
