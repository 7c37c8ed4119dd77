//! Range and conditional requests (RFC 9110 §13 and §14) as one pure function.
//!
//! Where the RFC leaves a choice the answer is nginx's, so that a client that works there works here: a malformed set
//! is 416, a set whose lengths add up to more than the representation is answered whole, parts stand in the order they
//! were asked for. Where nginx departs from the RFC the answer is the RFC's: empty list elements are skipped (§5.6.1),
//! a last position beyond any integer means the end (§14.1.2), `Range` on HEAD is ignored (§14.2).

use std::fmt::Write as _;
use std::ops::Range;

use bytes::Bytes;

mod condition;
mod parse;
#[cfg(test)]
mod tests;

use condition::Precondition;
use parse::Parsed;

/// Most ranges answered in one response; more are refused with 416 (RFC 9110 §15.5.17).
pub const RANGES_MAX: usize = 1024;

/// The header fields that decide the answer, as received; several lines of one field are joined with `, `.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request<'a> {
    /// `GET` or `HEAD`; for any other method `Range` is ignored.
    pub method: &'a str,
    /// `Range`.
    pub range: Option<&'a str>,
    /// `If-Range`.
    pub if_range: Option<&'a str>,
    /// `If-Match`.
    pub if_match: Option<&'a str>,
    /// `If-None-Match`.
    pub if_none_match: Option<&'a str>,
    /// `If-Modified-Since`.
    pub if_modified_since: Option<&'a str>,
    /// `If-Unmodified-Since`.
    pub if_unmodified_since: Option<&'a str>,
}

/// What the request is about.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// Length of the representation.
    pub bytes: u64,
    /// Strong entity tag with its quotes.
    pub etag: &'a str,
    /// `Last-Modified` in seconds since 1970, if the response carries one.
    pub last_modified: Option<u64>,
    /// `Content-Type` of the representation, repeated in every part.
    pub content_type: &'a str,
}

/// What kind of response it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// 200, the whole representation.
    Whole,
    /// 206 with one range.
    Single,
    /// 206 `multipart/byteranges; boundary=…`.
    Multipart(Multipart),
    /// 304, no body.
    NotModified,
    /// 412.
    PreconditionFailed,
    /// 416.
    Unsatisfiable,
}

/// The bytes around the parts of a `multipart/byteranges` body (RFC 9110 §14.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Multipart {
    /// Boundary, for `Content-Type: multipart/byteranges; boundary=…`.
    pub boundary: String,
    /// What stands before each part, in order: delimiter, fields, empty line.
    pub heads: Vec<Bytes>,
    /// What stands after the last part.
    pub tail: Bytes,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Kind of response.
    pub kind: Kind,
    /// `Content-Range`, for 206 with one range and for 416.
    pub content_range: Option<String>,
    /// Ranges of the representation to send, in order; empty where no byte of it is sent, so for every HEAD.
    pub parts: Vec<Range<u64>>,
    /// `Content-Length`; `None` where the body is not ours (304, 412, 416).
    pub content_length: Option<u64>,
}

/// Decides the answer: preconditions in the order of RFC 9110 §13.2.2, then the range.
pub fn answer(request: &Request<'_>, target: &Target<'_>) -> Answer {
    match condition::evaluate(request, target) {
        Precondition::Failed => return bodiless(412, Kind::PreconditionFailed),
        Precondition::NotModified => return bodiless(304, Kind::NotModified),
        Precondition::Proceed => {}
    }
    // Range handling is defined for GET alone (§14.2).
    if request.method != "GET" {
        return Answer { parts: Vec::new(), ..whole(target.bytes) };
    }
    let Some(range) = request.range else {
        return whole(target.bytes);
    };
    if request.if_range.is_some_and(|validator| !condition::if_range_holds(validator, target)) {
        return whole(target.bytes);
    }
    match parse::parse(range, target.bytes) {
        Parsed::Whole => whole(target.bytes),
        Parsed::Unsatisfiable => {
            Answer { content_range: Some(format!("bytes */{}", target.bytes)), ..bodiless(416, Kind::Unsatisfiable) }
        }
        Parsed::Ranges(parts) => match parts.as_slice() {
            [part] => Answer {
                status: 206,
                kind: Kind::Single,
                content_range: Some(content_range(part, target.bytes)),
                content_length: Some(part.end - part.start),
                parts,
            },
            _ => multipart(parts, target),
        },
    }
}

fn whole(bytes: u64) -> Answer {
    let parts = std::iter::once(0..bytes).collect();
    Answer { status: 200, kind: Kind::Whole, content_range: None, parts, content_length: Some(bytes) }
}

fn bodiless(status: u16, kind: Kind) -> Answer {
    Answer { status, kind, content_range: None, parts: Vec::new(), content_length: None }
}

fn content_range(part: &Range<u64>, bytes: u64) -> String {
    format!("bytes {}-{}/{bytes}", part.start, part.end.saturating_sub(1))
}

fn multipart(parts: Vec<Range<u64>>, target: &Target<'_>) -> Answer {
    // The boundary must not occur in the parts. It hangs on the entity tag, which is a digest of the content, so that
    // content cannot be written to contain it; and the same request always gives the same body.
    let mut seed = blake3::Hasher::new();
    seed.update(b"kouan multipart boundary\n").update(target.etag.as_bytes());
    for part in &parts {
        seed.update(&part.start.to_be_bytes()).update(&part.end.to_be_bytes());
    }
    let mut boundary = seed.finalize().to_hex().to_string();
    boundary.truncate(40);

    let heads: Vec<Bytes> = parts
        .iter()
        .map(|part| {
            let mut head = String::with_capacity(160);
            let range = content_range(part, target.bytes);
            let _ = write!(
                head,
                "\r\n--{boundary}\r\nContent-Type: {}\r\nContent-Range: {range}\r\n\r\n",
                target.content_type
            );
            Bytes::from(head)
        })
        .collect();
    let tail = Bytes::from(format!("\r\n--{boundary}--\r\n"));
    let framing = heads.iter().chain([&tail]).map(|bytes| bytes.len() as u64).sum::<u64>();
    let data = parts.iter().map(|part| part.end - part.start).sum::<u64>();
    Answer {
        status: 206,
        kind: Kind::Multipart(Multipart { boundary, heads, tail }),
        content_range: None,
        parts,
        content_length: Some(framing.saturating_add(data)),
    }
}
