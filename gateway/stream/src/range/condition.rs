//! Preconditions (RFC 9110 §13) and `If-Range` (§13.1.5).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Request, Target};

/// Outcome of the preconditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Precondition {
    Proceed,
    NotModified,
    Failed,
}

/// Evaluates the preconditions in the order of §13.2.2.
pub(super) fn evaluate(request: &Request<'_>, target: &Target<'_>) -> Precondition {
    if let Some(field) = request.if_match {
        if !matches(field, target.etag, Comparison::Strong) {
            return Precondition::Failed;
        }
    } else if let (Some(since), Some(modified)) = (request.if_unmodified_since.and_then(date), target.last_modified)
        && modified > since
    {
        return Precondition::Failed;
    }
    let reading = matches!(request.method, "GET" | "HEAD");
    if let Some(field) = request.if_none_match {
        return match (matches(field, target.etag, Comparison::Weak), reading) {
            (false, _) => Precondition::Proceed,
            (true, true) => Precondition::NotModified,
            (true, false) => Precondition::Failed,
        };
    }
    match (request.if_modified_since.and_then(date), target.last_modified) {
        (Some(since), Some(modified)) if reading && modified <= since => Precondition::NotModified,
        _ => Precondition::Proceed,
    }
}

/// Whether the validator of `If-Range` still names the representation: a strong tag or the exact date. A weak tag never
/// does, for a range must not be joined to other bytes.
pub(super) fn if_range_holds(validator: &str, target: &Target<'_>) -> bool {
    let validator = validator.trim_matches([' ', '\t']);
    if validator.starts_with('"') || validator.starts_with("W/") {
        return validator == target.etag;
    }
    target.last_modified.is_some() && date(validator) == target.last_modified
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

/// Whether a list of entity tags, or `*`, matches `etag` (§8.8.3.2). What follows a malformed tag is not read.
fn matches(field: &str, etag: &str, comparison: Comparison) -> bool {
    let mut rest = field.trim_matches([' ', '\t']);
    if rest == "*" {
        return true;
    }
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (weak, tag) = rest.strip_prefix("W/").map_or((false, rest), |tag| (true, tag));
        let Some((opaque, after)) = tag.strip_prefix('"').and_then(|tag| tag.split_once('"')) else {
            return false;
        };
        let same = etag.strip_prefix('"').and_then(|etag| etag.strip_suffix('"')) == Some(opaque);
        if same && !(weak && comparison == Comparison::Strong) {
            return true;
        }
        rest = after;
    }
}

/// An HTTP date in any of the three forms of §5.6.7, in seconds since 1970. A malformed one is ignored.
fn date(text: &str) -> Option<u64> {
    let time: SystemTime = httpdate::parse_http_date(text).ok()?;
    time.duration_since(UNIX_EPOCH).map(|since: Duration| since.as_secs()).ok()
}
