//! Range answers, judged by the RFC's examples and by what nginx 1.22 gave for the same fields.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::single_range_in_vec_init
)]

use proptest::prelude::*;

use super::*;

const ETAG: &str = "\"abc\"";
const BYTES: u64 = 1_000_000;
const MODIFIED: u64 = 784_111_777; // Sun, 06 Nov 1994 08:49:37 GMT, RFC 9110 §5.6.7

fn target() -> Target<'static> {
    Target { bytes: BYTES, etag: ETAG, last_modified: Some(MODIFIED), content_type: "application/vnd.apache.parquet" }
}

fn get(range: &str) -> Answer {
    answer(&Request { method: "GET", range: Some(range), ..Request::default() }, &target())
}

#[test]
fn single_ranges_are_nginxs() {
    for (field, part) in [
        ("bytes=0-0", 0..1),
        ("bytes=0-99", 0..100),
        ("bytes=999999-", 999_999..BYTES),
        ("bytes=0-", 0..BYTES),
        ("bytes=-1", 999_999..BYTES),
        ("bytes=-1000000", 0..BYTES),
        ("bytes=-2000000", 0..BYTES),
        ("bytes=999990-2000000", 999_990..BYTES),
        ("bytes= 0-5", 0..6),
        ("bytes=0 - 5", 0..6),
        ("BYTES=0-5", 0..6),
        ("bytes=00-05", 0..6),
        ("bytes=0-5,2000000-", 0..6),
        ("bytes=2000000-,0-5", 0..6),
        ("bytes=-0,0-1", 0..2),
    ] {
        let answer = get(field);
        assert_eq!((answer.status, &answer.kind), (206, &Kind::Single), "{field}");
        assert_eq!(answer.content_length, Some(part.end - part.start), "{field}");
        assert_eq!(answer.content_range.unwrap(), format!("bytes {}-{}/{BYTES}", part.start, part.end - 1));
        assert_eq!(answer.parts, [part], "{field}");
    }
}

#[test]
fn refusals_and_ignored_fields_are_nginxs() {
    for field in [
        "bytes=-0",
        "bytes=1000000-",
        "bytes=1000000-1000001",
        "bytes=5-4",
        "bytes=abc",
        "bytes=--5",
        "bytes=-5-",
        "bytes=0-5;x",
        "bytes=18446744073709551616-",
        "bytes=-",
        "bytes=5",
        "bytes=0-5,abc",
        "bytes=2000000-,3000000-",
        "bytes=18446744073709551615-18446744073709551616",
        "bytes=,",
        "bytes=+1-5",
        "bytes=٣-٤",
    ] {
        let answer = get(field);
        assert_eq!((answer.status, answer.parts.len(), answer.content_length), (416, 0, None), "{field}");
        assert_eq!(answer.content_range.as_deref(), Some("bytes */1000000"));
    }
    let many = format!("bytes={}", vec!["0-"; 1300].join(","));
    for field in ["bytes=", "bytes", "bits=0-5", "", "b", "bytes=1-,2-,3-", "bytes=0-500000,0-500000", &many] {
        let answer = get(field);
        assert_eq!((answer.status, answer.kind, answer.content_length), (200, Kind::Whole, Some(BYTES)), "{field}");
        assert_eq!(answer.parts, [0..BYTES]);
    }
    let small = vec!["1-1"; RANGES_MAX + 1].join(",");
    assert_eq!(get(&format!("bytes={small}")).status, 416);
}

/// The four of the 46 compared cases that differ from nginx 1.22, which answers 416 to each.
#[test]
fn where_nginx_departs_from_the_rfc_the_rfc_is_followed() {
    // §5.6.1.2: a recipient must parse and ignore a reasonable number of empty list elements.
    assert_eq!(get("bytes=0-5,").parts, [0..6]);
    assert_eq!(get("bytes=,0-5").parts, [0..6]);
    // §14.1.2: a last position at or beyond the length means the rest.
    assert_eq!(get("bytes=0-18446744073709551615").parts, [0..BYTES]);
    assert_eq!(get("bytes=0-99999999999999999999999").parts, [0..BYTES]);
}

#[test]
fn multipart_bodies_have_the_length_they_say() {
    for (field, parts) in [
        ("bytes=0-5,10-15", vec![0..6, 10..16]),
        ("bytes=0-5,5-10", vec![0..6, 5..11]),
        ("bytes=0-0,-1", vec![0..1, 999_999..BYTES]),
        ("bytes=10-15,0-5", vec![10..16, 0..6]),
        ("bytes=0-5,0-5", vec![0..6, 0..6]),
        ("bytes=0-5\t,\t10-11", vec![0..6, 10..12]),
        ("bytes=0-499999,500000-999999", vec![0..500_000, 500_000..BYTES]),
    ] {
        let answer = get(field);
        assert_eq!(answer.status, 206);
        assert_eq!(answer.parts, parts, "{field}");
        assert!(answer.content_range.is_none());
        let Kind::Multipart(multipart) = &answer.kind else { panic!("{field} is not multipart") };
        let mut body = Vec::new();
        for (head, part) in multipart.heads.iter().zip(&answer.parts) {
            body.extend_from_slice(head);
            body.resize(body.len() + usize::try_from(part.end - part.start).unwrap(), b'x');
        }
        body.extend_from_slice(&multipart.tail);
        assert_eq!(answer.content_length, Some(body.len() as u64));
        let head = std::str::from_utf8(&multipart.heads[0]).unwrap();
        assert!(head.starts_with(&format!("\r\n--{}\r\n", multipart.boundary)) && head.ends_with("\r\n\r\n"));
    }
}

#[test]
fn if_range_needs_a_strong_match() {
    for (validator, status) in [
        (ETAG, 206),
        ("\"nope\"", 200),
        ("W/\"abc\"", 200),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 206),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 206),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 200),
        ("rubbish", 200),
        ("", 200),
    ] {
        let request =
            Request { method: "GET", range: Some("bytes=0-5"), if_range: Some(validator), ..Request::default() };
        assert_eq!(answer(&request, &target()).status, status, "{validator}");
    }
    let request = Request { method: "GET", range: Some("bytes=0-5"), if_range: Some("rubbish"), ..Request::default() };
    assert_eq!(answer(&request, &Target { last_modified: None, ..target() }).status, 200);
    // A changed representation makes even a malformed range moot.
    let request = Request { range: Some("bytes=abc"), if_range: Some("\"n\""), ..request };
    assert_eq!(answer(&request, &target()).status, 200);
}

#[test]
fn preconditions_go_in_order() {
    let base = Request { method: "GET", range: Some("bytes=0-5"), ..Request::default() };
    let old = Some("Mon, 01 Jan 1990 00:00:00 GMT");
    let new = Some("Mon, 01 Jan 2001 00:00:00 GMT");
    for (request, status) in [
        (Request { if_match: Some("\"x\""), ..base }, 412),
        (Request { if_match: Some("\"x\", \"abc\""), ..base }, 206),
        (Request { if_match: Some("\"a,b\",\"abc\""), ..base }, 206),
        (Request { if_match: Some("W/\"abc\""), ..base }, 412),
        (Request { if_match: Some("*"), ..base }, 206),
        (Request { if_match: Some("abc"), ..base }, 412),
        (Request { if_none_match: Some(ETAG), ..base }, 304),
        (Request { if_none_match: Some("W/\"abc\""), ..base }, 304),
        (Request { if_none_match: Some("*"), ..base }, 304),
        (Request { if_none_match: Some("\"x\""), if_modified_since: new, ..base }, 206),
        (Request { if_match: Some("\"x\""), if_none_match: Some(ETAG), ..base }, 412),
        (Request { if_match: Some(ETAG), if_unmodified_since: old, ..base }, 206),
        (Request { if_unmodified_since: old, ..base }, 412),
        (Request { if_unmodified_since: Some("yesterday"), ..base }, 206),
        (Request { if_modified_since: new, ..base }, 304),
        (Request { if_modified_since: old, ..base }, 206),
        (Request { method: "POST", if_none_match: Some(ETAG), ..base }, 412),
    ] {
        assert_eq!(answer(&request, &target()).status, status, "{request:?}");
    }
}

#[test]
fn head_ignores_ranges_and_sends_nothing() {
    let head = |range| answer(&Request { method: "HEAD", range: Some(range), ..Request::default() }, &target());
    for field in ["bytes=0-5", "bytes=2000000-"] {
        let answer = head(field);
        assert_eq!((answer.status, answer.content_length, answer.parts.len()), (200, Some(BYTES), 0));
    }
}

#[test]
fn an_empty_representation_has_no_ranges() {
    let empty = Target { bytes: 0, ..target() };
    let get = |range| answer(&Request { method: "GET", range: Some(range), ..Request::default() }, &empty).status;
    assert_eq!((get("bytes=0-"), get("bytes=-0"), get("bytes=-5")), (416, 416, 200));
}

proptest! {
    #[test]
    fn nothing_panics_and_parts_stay_inside(field in "(bytes=)?[-0-9, a-z\t;]{0,40}", bytes in 0_u64..5_000) {
        let target = Target { bytes, ..target() };
        let request = Request {
            method: "GET", range: Some(&field), if_range: None, if_match: None, if_none_match: None,
            if_modified_since: None, if_unmodified_since: None,
        };
        let answer = answer(&request, &target);
        let sum: u64 = answer.parts.iter().map(|part| part.end - part.start).sum();
        prop_assert!(answer.parts.iter().all(|part| part.start <= part.end && part.end <= bytes));
        prop_assert!(sum <= bytes);
        prop_assert_eq!(answer.status == 206, matches!(answer.kind, Kind::Single | Kind::Multipart(_)));
    }

    #[test]
    fn a_well_formed_range_is_what_it_says(first in 0_u64..3_000, length in 1_u64..3_000, bytes in 1_u64..3_000) {
        let field = format!("bytes={first}-{}", first + length - 1);
        let target = Target { bytes, ..target() };
        let answer = answer(&Request { method: "GET", range: Some(&field), ..Request::default() }, &target);
        if first >= bytes {
            prop_assert_eq!(answer.status, 416);
        } else {
            prop_assert_eq!(answer.parts, vec![first..(first + length).min(bytes)]);
        }
    }

    #[test]
    fn validators_never_panic(text in "\\PC{0,40}") {
        let request = Request {
            method: "GET", range: Some("bytes=0-5"), if_range: Some(&text), if_match: Some(&text),
            if_none_match: Some(&text), if_modified_since: Some(&text), if_unmodified_since: Some(&text),
        };
        let answer = answer(&request, &target());
        prop_assert!(matches!(answer.status, 200 | 206 | 304 | 412));
    }
}
