//! What is found in a text, what is not, and where.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use proptest::prelude::*;

use super::*;

fn scanner() -> Scanner {
    Scanner::new(Date::new(2026, 11, 28).unwrap())
}

/// What is found in `text` as `kind: value`, in a column called `name`.
fn found(name: &str, text: &str) -> Vec<String> {
    let mut scanner = scanner();
    let found = scanner.scan(Column::named(name), text.as_bytes()).to_vec();
    found.iter().map(|found| format!("{}: {}", found.kind.as_str(), scanner.value(found))).collect()
}

#[track_caller]
fn only(name: &str, text: &str, want: &str) {
    assert_eq!(found(name, text), [want], "`{text}` in `{name}`");
}

#[track_caller]
fn nothing(name: &str, text: &str) {
    assert_eq!(found(name, text), Vec::<String>::new(), "`{text}` in `{name}`");
}

#[test]
fn what_stands_alone_is_found_in_any_column() {
    for (text, want) in [
        ("440305190102030017", "cn_resident_id: 440305190102030017"),
        ("44030519010204008x", "cn_resident_id: 44030519010204008X"),
        ("A123456(3)", "hkid: A1234563"),
        ("A1234563", "hkid: A1234563"),
        ("AB000001(7)", "hkid: AB0000017"),
        ("G000000(A)", "hkid: G000000A"),
        ("13000000000", "cn_mobile: 13000000000"),
        ("+8619900000001", "cn_mobile: 19900000001"),
        ("+86 199 0000 0001", "cn_mobile: 19900000001"),
        ("8619900000001", "cn_mobile: 19900000001"),
        ("+85246000001", "hk_mobile: 46000001"),
        ("+852 4600 0001", "hk_mobile: 46000001"),
        ("(852) 4600-0001", "hk_mobile: 46000001"),
        ("6200000000000005", "bank_card: 6200000000000005"),
        ("6222 0000 0000 0000 012", "bank_card: 6222000000000000012"),
        ("91440300MA5FAKE086", "uscc: 91440300MA5FAKE086"),
        ("li.test@example.hku.hk", "email: li.test@example.hku.hk"),
        ("203.0.113.7", "ip: 203.0.113.7"),
        ("2001:db8::1", "ip: 2001:db8::1"),
        (
            "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10",
            "mrz: L898902C3",
        ),
        (
            "I<UTOD231458907<<<<<<<<<<<<<<<\n7408122F1204159UTO<<<<<<<<<<<6\nERIKSSON<<ANNA<MARIA<<<<<<<<<<",
            "mrz: D23145890",
        ),
    ] {
        only("value", text, want);
        only("", &format!("見{text}。"), want);
        only("", &format!("see {text}, please"), want);
    }
}

#[test]
fn no_sum_of_money_is_as_long_as_a_card() {
    for text in ["6200000000000005元", "6222000000000000012萬", "￥6200000000000005"] {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        only("", text, &format!("bank_card: {digits}"));
    }
}

#[test]
fn what_anything_would_pass_needs_a_word_or_a_name() {
    for (text, names, words, want) in [
        (
            "51234567",
            &["phone", "聯絡電話", "手机号"][..],
            &["call my mobile at ", "電話：", "手机 "][..],
            "hk_mobile: 51234567",
        ),
        (
            "440305010203001",
            &["id_no", "身份證", "证件号"],
            &["resident ID ", "身分證號碼", "身份证"],
            "cn_resident_id_15: 440305190102030017",
        ),
        (
            "H00000001",
            &["回鄉證", "home_permit_no"],
            &["回乡证号：", "home return permit "],
            "mainland_travel_permit: H00000001",
        ),
        ("C00000001", &["港澳通行证", "permit"], &["往来港澳通行证", "通行證 "], "exit_entry_permit: C00000001"),
        ("CA0000001", &["通行证"], &["exit-entry permit no. "], "exit_entry_permit: CA0000001"),
        ("E00000001", &["passport_no", "護照"], &["护照号码E-mail无，", "passport "], "cn_passport: E00000001"),
        ("K00000001", &["passport"], &["香港護照"], "hk_passport: K00000001"),
        ("H00000002", &["passport"], &["passport no. "], "hk_passport: H00000002"),
        ("粤B12345", &["车牌", "plate"], &["车牌号", "his car is "], "cn_plate: 粤B12345"),
        ("粵Z1234港", &["車牌"], &["車輛"], "cn_plate: 粵Z1234港"),
        ("粤B·D12345", &["plate_no"], &["车牌"], "cn_plate: 粤BD12345"),
        ("AB 1234", &["車牌"], &["a vehicle, licence plate "], "hk_plate: AB1234"),
        ("ZZ9", &["license_plate"], &["車牌 "], "hk_plate: ZZ9"),
        ("L898902C36", &["mrz"], &["機讀碼 "], "mrz: L898902C3"),
    ] {
        for name in names {
            only(name, text, want);
        }
        for word in words {
            only("text", &format!("{word}{text}。"), want);
        }
        nothing("value", text);
        nothing("value", &format!("看{text}了"));
    }
}

#[test]
fn what_is_wrong_is_not_found() {
    for text in [
        "440305190102030018",
        "440305190002290014",
        "440305209901010010",
        "A123456(4)",
        "AB000001(8)",
        "12000000000",
        "1300000000",
        "21234567",
        "5123456",
        "80012345",
        "6200000000000006",
        "91440300MA5FAKE087",
        "91440300MI5FAKE086",
        "a@b",
        "@example.com",
        "256.1.1.1",
        "2001:db8:::1",
        "C0000001",
        "H0000001",
        "CI0000001",
        "EI0000001",
        "E0000001",
        "K0000001",
        "粤I12345",
        "粤B1234",
        "AI1234",
        "AB0123",
    ] {
        nothing("phone passport permit plate", text);
    }
}

#[test]
fn boundaries_are_ascii_letters_and_digits_after_folding() {
    for (text, found) in [
        ("身份證440305190102030017號", true),
        ("是440305190102030017是", true),
        ("x440305190102030017", false),
        ("440305190102030017x", false),
        ("4403051901020300170", false),
        ("ｘ440305190102030017", false),
        ("440305190102030017９", false),
        ("user_440305190102030017_a", true),
        ("ID-440305190102030017", true),
        ("é440305190102030017é", true),
    ] {
        assert_eq!(self::found("", text).len(), usize::from(found), "{text}");
    }
}

#[test]
fn other_spellings_of_digits_and_gaps_are_the_same_number() {
    for text in [
        "４４０３０５１９０１０２０３００１７",
        "𝟒𝟒𝟎𝟑𝟎𝟓𝟏𝟗𝟎𝟏𝟎𝟐𝟎𝟑𝟎𝟎𝟏𝟕",
        "440305 19010203 0017",
        "440305-19010203-0017",
        "440305\u{3000}19010203\u{3000}0017",
        "440305－19010203－0017",
        "4403\u{200b}05190102030017",
        "④④⓪③⓪⑤①⑨⓪①⓪②⓪③⓪⓪①⑦",
    ] {
        only("", text, "cn_resident_id: 440305190102030017");
    }
    only("", "４４０３０５１９０１０２０４００８Ⅹ", "cn_resident_id: 44030519010204008X");
    only("", "Ａ１２３４５６（３）", "hkid: A1234563");
    only("", "A 123456 (3)", "hkid: A1234563");
    only("", "ａ＠ｂ．ｃｏｍ", "email: a@b.com");
    only("", "１３９００００００００", "cn_mobile: 13900000000");
}

#[test]
fn numbers_that_are_nobodys_are_left_alone() {
    for text in [
        "订单号 13912345678",
        "order no. 6200000000000005",
        "¥13912345678",
        "13912345678元",
        "HK$51234567.00",
        "¥378282246310005",
        "13912345678.50",
        "3.1415926535897932",
        "0.6200000000000005",
        "ISBN 978-7-111-12345-6",
        "9787111123453",
        "20260815123456",
        "1700000000000",
        "2026-08-15 13:00:00",
        "550e8400-e29b-41d4-a716-446655440000",
        "d41d8cd98f00b204e9800998ecf8427e",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "version 1.2.3.4",
        "pkg@1.2.3",
        "1,391,234,567",
        "139-1234-5678-9012",
        "<BR><P>",
        "12:30:45",
    ] {
        nothing("text", text);
    }
    nothing("price", "13912345678");
}

#[test]
fn several_in_one_text_keep_their_order_and_places() {
    let text = "张三，身份证440305190102030017，电话13900000000 / 51234567，邮箱13900000000@163.com，卡 6222 0000 0000 0000 012。";
    let mut scanner = scanner();
    let found = scanner.scan(Column::named("备注"), text.as_bytes()).to_vec();
    let seen: Vec<_> = found.iter().map(|found| (found.kind, &text[found.place.clone()])).collect();
    assert_eq!(
        seen,
        [
            (Kind::CnResidentId, "440305190102030017"),
            (Kind::CnMobile, "13900000000"),
            (Kind::HkMobile, "51234567"),
            (Kind::Email, "13900000000@163.com"),
            (Kind::BankCard, "6222 0000 0000 0000 012"),
        ]
    );
    assert!(
        found.iter().all(|found| found.certain || found.kind == Kind::CnResidentId || found.kind == Kind::BankCard)
    );
}

#[test]
fn what_fails_its_check_is_counted() {
    let mut scanner = scanner();
    scanner.scan(Column::default(), b"440305190102030018 A1234564 12000000000 6200000000000006 91440300MA5FAKE087");
    for kind in [Kind::CnResidentId, Kind::Hkid, Kind::CnMobile, Kind::BankCard, Kind::Uscc] {
        assert_eq!(scanner.missed()[kind.index()], 1, "{kind:?}");
    }
    scanner.scan(Column::default(), b"");
    assert_eq!(scanner.missed(), &[0; 16]);
}

#[test]
fn a_long_run_of_numbers_is_read_to_its_end() {
    let mut text = "12 ".repeat(500);
    text.push_str("440305190102030017");
    text.push_str(&" 34".repeat(500));
    only("", &text, "cn_resident_id: 440305190102030017");
    for lead in 0..200 {
        let text = format!("{}440305 19010203 0017 end", "x 1 ".repeat(lead));
        assert_eq!(found("", &text).len(), 1, "{lead}");
    }
    // A megabyte in one run is read once, not once for every digit in it.
    nothing("", &"a1".repeat(1 << 19));
}

#[test]
fn text_that_is_not_utf_8_is_read_all_the_same() {
    let mut scanner = scanner();
    // GB 18030: the digits between are ASCII.
    let text = b"\xc9\xed\xb7\xdd\xd6\xa4440305190102030017\xa1\xa3";
    let found = scanner.scan(Column::default(), text);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].place, 6..24);
}

/// Pieces of which texts are made: identifiers, near misses, separators, words and rubbish.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        proptest::sample::select(vec![
            "440305190102030017",
            "44030519010204008X",
            "A123456(3)",
            "13900000000",
            "51234567",
            "6222000000000000012",
            "91440300MA5FAKE086",
            "a@b.com",
            "@",
            "2001:db8::1",
            "1.2.3.4",
            "<",
            "<<<<",
            "P<UTO",
            "粤B12345",
            "AB1234",
            "E00000001",
            "电话",
            "passport ",
            "车牌",
            "id no ",
            "，",
            "　",
            "１２３",
            "𝟙",
            "①",
            "\u{200b}",
            " ",
            "-",
            "(",
            ")",
            "+86",
            "+852 ",
            ".",
            ":",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        proptest::collection::vec(any::<u8>(), 0..4),
        "[0-9]{1,24}".prop_map(String::into_bytes),
        "[A-Z0-9<]{1,50}".prop_map(String::into_bytes),
        "\\PC{0,6}".prop_map(String::into_bytes),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Never a panic; places lie within the text, in order, without overlap; the value is what stands there; no masked
    /// example gives it away.
    #[test]
    fn any_bytes_at_all(text in pieces(), name in proptest::sample::select(vec!["", "phone", "passport", "车牌", "卡号", "mrz"])) {
        let mut scanner = scanner();
        let found = scanner.scan(Column::named(name), &text).to_vec();
        let mut end = 0;
        for found in &found {
            prop_assert!(found.place.start >= end && found.place.start < found.place.end, "{found:?}");
            end = found.place.end;
            prop_assert!(end <= text.len());
            let value = scanner.value(found).to_owned();
            prop_assert!(!value.is_empty());
            let mut spelled = String::new();
            let mut at = found.place.start;
            while at < end {
                let (byte, len) = fold::fold(&text, at);
                if byte.is_ascii_alphanumeric() {
                    spelled.push(char::from(byte.to_ascii_uppercase()));
                }
                at += len;
            }
            prop_assert_eq!(at, end, "it ends within a character");
            let plain: String = value.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase();
            let upgraded = found.kind == Kind::CnResidentId15;
            prop_assert!(upgraded || spelled.contains(&plain), "{} {} in {}", found.kind.as_str(), plain, spelled);
            let shown = masked(found.kind, &value);
            prop_assert!(!shown.contains(&value), "{shown}");
            prop_assert!(shown.contains('*'));
        }
        // The same text gives the same answer, whatever was scanned between.
        scanner.scan(Column::default(), b"13900000000");
        prop_assert_eq!(scanner.scan(Column::named(name), &text), &found[..]);
    }

    /// A number that is dropped anywhere into prose is found, at its place.
    #[test]
    fn an_identifier_in_prose(before in "[\\p{Han}b-d ，。,.]{0,40}[\\p{Han}，。 ]", after in "[\\p{Han}，。 ][\\p{Han}b-d ，。]{0,40}") {
        for number in ["440305190102030017", "A123456(3)", "+8613900000000", "６２２２０００００００００００００１２"] {
            let text = format!("{before}{number}{after}");
            let mut scanner = scanner();
            let found = scanner.scan(Column::default(), text.as_bytes());
            prop_assert_eq!(found.len(), 1, "{}: {:?}", text, found);
            prop_assert_eq!(&text[found[0].place.clone()], number);
        }
    }
}
