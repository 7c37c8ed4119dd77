use super::*;

fn refused(input: &str) -> String {
    Input::parse(input).unwrap_err().to_string()
}

fn refused_with(changes: &Value) -> String {
    refused(&json!({"transactions": [sale("first", &json!({})), sale("bad", changes)]}).to_string())
}

#[test]
fn what_is_no_input_is_refused_with_its_line() {
    for (input, says) in [
        ("", "line 1"),
        ("{}", "missing field `transactions`"),
        ("[]", "line 1"),
        ("{\"transactions\": {}}", "line 1"),
        ("{\"transactions\": [],\n \"rows\": 1}", "unknown field `rows`, expected `transactions` at line 2"),
        ("{\"transactions\": [{\"id\": \"a\", \"id\": \"b\"}]}", "duplicate field `id`"),
        ("{\"transactions\": []} x", "trailing characters"),
    ] {
        assert!(refused(input).contains(says), "{input}: {}", refused(input));
    }
    let unknown = refused_with(&json!({"amout": "1"}));
    assert!(unknown.contains("unknown field `amout`") && unknown.contains("line 1"), "{unknown}");
}

#[test]
fn each_member_is_refused_by_its_name() {
    for (member, wrong) in [
        ("id", json!(7)),
        ("id", json!("first")),
        ("broker", json!("")),
        ("broker", json!("a\nb")),
        ("consumer", json!("x".repeat(201))),
        ("at", json!("2025-06-30")),
        ("at", json!("2025-06-30T12:00:00")),
        ("at", json!(1_750_000_000)),
        ("amount", json!(100)),
        ("amount", json!("")),
        ("amount", json!("-1")),
        ("amount", json!("+1")),
        ("amount", json!("1.5")),
        ("amount", json!("1e3")),
        ("amount", json!("007")),
        ("amount", json!("1234567890123456789")),
        ("amount", json!("１")),
        ("currency", json!("RMB¥")),
        ("currency", json!("cny")),
        ("kind", json!("Data Service")),
        ("affiliated", json!("no")),
        ("reversal_of", json!("nobody")),
        ("reversal_of", json!("bad")),
        ("reversal_of", json!(1)),
        ("contract", json!(" ")),
        ("platform", json!("")),
        ("enterprise", json!(1)),
        ("startup", json!("yes")),
        ("rate", json!({"num": 1, "den": 1, "source": "s", "as_of": "d"})),
    ] {
        let says = refused_with(&json!({ member: wrong }));
        assert!(says.starts_with(&format!("`transactions[1].{member}`")), "{member} {wrong}: {says}");
    }
    for member in
        ["id", "broker", "consumer", "at", "amount", "currency", "kind", "affiliated", "contract", "enterprise"]
    {
        let says = refused_with(&json!({ member: null }));
        assert!(says.starts_with(&format!("`transactions[1].{member}`")) && says.contains("missing"), "{says}");
    }
    for (rate, says) in [
        (json!({"num": 0, "den": 1, "source": "s", "as_of": "d"}), "above 0"),
        (json!({"num": 1, "den": 0, "source": "s", "as_of": "d"}), "above 0"),
        (json!({"num": 1, "den": 1, "source": "s"}), "as_of"),
        (json!({"num": 1.5, "den": 1, "source": "s", "as_of": "d"}), "1.5"),
    ] {
        let error = refused_with(&json!({"currency": "HKD", "rate": rate}));
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_reversal_fits_its_original() {
    for (changes, member) in [
        (json!({"reversal_of": "first", "amount": "101"}), "amount"),
        (json!({"reversal_of": "first", "broker": "other"}), "reversal_of"),
        (json!({"reversal_of": "first", "consumer": "other"}), "reversal_of"),
        (json!({"reversal_of": "first", "currency": "HKD"}), "reversal_of"),
        (json!({"reversal_of": "first", "at": "2025-06-30T11:59:59+08:00"}), "at"),
    ] {
        let says = refused_with(&changes);
        assert!(says.starts_with(&format!("`transactions[1].{member}`")), "{says}");
    }
    let chain =
        [sale("a", &json!({})), sale("b", &json!({"reversal_of": "a"})), sale("c", &json!({"reversal_of": "b"}))];
    assert!(refused(&json!({ "transactions": chain }).to_string()).contains("itself a reversal"));
    let twice = [
        sale("a", &json!({})),
        sale("b", &json!({"reversal_of": "a", "amount": "60"})),
        sale("c", &json!({"reversal_of": "a", "amount": "41"})),
    ];
    assert!(refused(&json!({ "transactions": twice }).to_string()).contains("more than the 40"));
}

#[test]
fn a_programme_that_contradicts_itself_is_not_used() {
    let text = Programme::find(REWARD).unwrap().text;
    for (from, to, says) in [
        ("1%", "2%", "the passage has the digest"),
        ("from = \"2024-01-02\"", "from = \"2024-01-02\"\nto = \"2024-01-01\"", "before"),
        ("rate_percent = 1", "rate_percent = 101", "at most 100"),
        ("rate_percent = 1", "rate = 1", "unknown field `rate`"),
        ("version = 1", "", "missing field `version`"),
    ] {
        let error = Programme::parse(&text.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    let error = Programme::find("qianhai-broker-reward-2025").unwrap_err();
    assert!(error.to_string().contains("qianhai-broker-reward-2024"), "{error}");
}
