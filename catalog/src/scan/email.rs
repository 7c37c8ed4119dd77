//! Addresses of mailboxes: RFC 5322 without comments, quotes and literals; the domain needs a dot.

use super::fold::{before, fold};

const LOCAL_MAX: usize = 64;
const DOMAIN_MAX: usize = 253;

/// Endings of file names that stand where a top-level domain would: `icon@2x.png` is a picture.
const FILES: [&str; 10] = ["png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "mp4", "pdf"];

const fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-' | b'\'' | b'&' | b'=' | b'~')
}

/// The address around the `@` at `at`: where it starts and ends in the text, and its folded lower-case form in `into`.
pub(super) fn around(text: &[u8], at: usize, into: &mut Vec<u8>) -> Option<(usize, usize)> {
    let mut start = at;
    let mut local = Vec::new();
    // Where the last letter or digit was: an address begins with one.
    let (mut first, mut kept) = (at, 0);
    while start > 0 && local.len() < LOCAL_MAX {
        let place = before(text, start);
        let (byte, _) = fold(text, place);
        if !is_local(byte) || (byte == b'.' && local.last().is_none_or(|next| *next == b'.')) {
            break;
        }
        local.push(byte.to_ascii_lowercase());
        start = place;
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            (first, kept) = (start, local.len());
        }
    }
    if kept == 0 {
        return None;
    }
    into.extend(local.get(..kept)?.iter().rev());
    into.push(b'@');
    let domain_at = into.len();
    let mut place = at + fold(text, at).1;
    let (mut end, mut end_len, mut label, mut dots) = (place, 0, 0, 0);
    while place < text.len() && into.len() - domain_at < DOMAIN_MAX {
        let (byte, len) = fold(text, place);
        if byte.is_ascii_alphanumeric() || (byte == b'-' && label > 0) {
            label += 1;
            into.push(byte.to_ascii_lowercase());
            place += len;
            if byte != b'-' {
                (end, end_len) = (place, into.len() - domain_at);
            }
        } else if byte == b'.' && label > 0 {
            (label, dots) = (0, dots + 1);
            into.push(b'.');
            place += len;
        } else {
            break;
        }
    }
    into.truncate(domain_at + end_len);
    let domain = into.get(domain_at..)?;
    let (name, top) = str::from_utf8(domain).ok()?.rsplit_once('.').filter(|_| dots > 0)?;
    let letters = top.len() >= 2 && top.bytes().all(|byte| byte.is_ascii_alphabetic());
    let good = !name.is_empty() && (letters || top.starts_with("xn--")) && !FILES.contains(&top);
    good.then_some((first, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<String> {
        let mut into = Vec::new();
        let at = text.find(['@', '＠'])?;
        let (start, end) = around(text.as_bytes(), at, &mut into)?;
        assert!(text.is_char_boundary(start) && text.is_char_boundary(end), "{text}");
        String::from_utf8(into).ok()
    }

    #[test]
    fn the_examples_of_the_rules() {
        for (text, want) in [
            ("li.test@example.hku.hk", "li.test@example.hku.hk"),
            ("請寄到a+b@example.com。", "a+b@example.com"),
            ("<Li@Example.COM>.", "li@example.com"),
            ("ａｂ＠ｅｘａｍｐｌｅ．ｃｏｍ", "ab@example.com"),
            ("x@y.com.", "x@y.com"),
            ("...x@y.com", "x@y.com"),
        ] {
            assert_eq!(found(text).as_deref(), Some(want), "{text}");
        }
        for text in ["a@b", "@example.com", "pkg@1.2.3", "icon@2x.png", "a@.com", "a@", "..@x.com", "a.@b.com"] {
            assert_eq!(found(text), None, "{text}");
        }
    }
}
