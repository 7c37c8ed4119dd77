//! Paths and queries, percent-encoded (RFC 3986 §2).

use std::fmt::Write as _;

/// `/a/b/c` of segments: whatever a segment holds, it stays one segment.
pub fn path<'a>(segments: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for segment in segments {
        text.push('/');
        encode(&mut text, segment);
    }
    text
}

/// `path?name=value&…`; pairs without a value are left out.
pub fn with_query<'a>(path: &str, pairs: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> String {
    let mut text = path.to_owned();
    for (name, value) in pairs {
        let Some(value) = value else { continue };
        text.push(if text.contains('?') { '&' } else { '?' });
        encode(&mut text, name);
        text.push('=');
        encode(&mut text, value);
    }
    text
}

/// Everything but unreserved characters is encoded. A segment of dots only would be removed by RFC 3986 §5.2.4 on the
/// way, so its dots are encoded too.
fn encode(text: &mut String, part: &str) {
    let dots = !part.is_empty() && part.bytes().all(|byte| byte == b'.');
    for byte in part.bytes() {
        match byte {
            b'.' if dots => text.push_str("%2E"),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(byte));
            }
            _ => {
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_stay_segments() {
        assert_eq!(path(["v1", "datasets", "a/../b"]), "/v1/datasets/a%2F..%2Fb");
        assert_eq!(path(["v1", ".."]), "/v1/%2E%2E");
        assert_eq!(
            with_query("/x", [("a", Some("1 2")), ("b", None), ("语", Some("&="))]),
            "/x?a=1%202&%E8%AF%AD=%26%3D"
        );
    }
}
