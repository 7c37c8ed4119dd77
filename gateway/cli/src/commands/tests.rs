#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use serde_json::Value;

use crate::exit::Exit;
use crate::io::Io;
use crate::testing::captured;
use crate::testing::gateway::{Gateway, MANIFEST, UPLOAD, World, noise};

async fn run(words: Vec<String>) -> (Exit, Value) {
    let (mut io, captured) = captured([]);
    let exit = run_with(words, &mut io).await;
    (exit, serde_json::from_str(&captured.out()).unwrap_or(Value::Null))
}

async fn run_with(words: Vec<String>, io: &mut Io) -> Exit {
    let cli = crate::parse(words, io).unwrap();
    crate::execute(&cli, io).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_on_where_it_was_interrupted() {
    let mut world = World::new(10);
    world.lost_put = Some(2);
    let gateway = Gateway::start(world).await;
    let manifest = gateway.dir.path().join("m.toml");
    std::fs::write(&manifest, MANIFEST).unwrap();
    let data = gateway.dir.path().join("x.csv");
    let bytes = noise(UPLOAD, 5);
    std::fs::write(&data, &bytes).unwrap();
    let words = ["kouan", "dataset", "register", manifest.to_str().unwrap(), "--data", data.to_str().unwrap()];
    let (exit, value) = run(gateway.words(0, &words)).await;
    assert_eq!(exit, Exit::Incomplete, "{value}");
    assert_eq!(gateway.seen().upload.unwrap().len(), 8 << 20);

    gateway.change(|world| {
        world.lost_put = None;
        world.puts = 0;
    });
    let (exit, value) = run(gateway.words(0, &words)).await;
    assert_eq!(exit, Exit::Success, "{value}");
    let seen = gateway.seen();
    assert_eq!(seen.puts, 2, "what was there is not sent again");
    assert!(seen.upload.unwrap() == bytes);
    // Once more: the version has exactly these bytes, and nothing is sent.
    let (exit, value) = run(gateway.words(0, &words)).await;
    assert_eq!((exit, gateway.seen().puts), (Exit::Success, 2), "{value}");
    // Two attempts at the same POST are two requests of the user: each has its own key.
    let keys: Vec<&str> = seen.posts.iter().map(|(.., key)| key.as_str()).collect();
    assert!(keys.len() == 2 && keys[0] != keys[1] && keys[0].len() == 32, "{keys:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_is_wrong_is_never_sent() {
    let gateway = Gateway::start(World::new(10)).await;
    let manifest = gateway.dir.path().join("m.toml");
    std::fs::write(&manifest, MANIFEST.replace("licence", "license")).unwrap();
    let (exit, value) = run(gateway.words(0, &["kouan", "dataset", "register", manifest.to_str().unwrap()])).await;
    assert_eq!(exit, Exit::Usage);
    let message = value["error"]["message"].as_str().unwrap();
    assert!(message.contains("line ") && message.contains("license"), "{message}");
    assert!(gateway.seen().posts.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn reasons_are_needed_and_missing_things_are_not_found() {
    let gateway = Gateway::start(World::new(10)).await;
    let (exit, _) = run(gateway.words(0, &["kouan", "lease", "cut", "l1", "--reason", "  "])).await;
    assert_eq!(exit, Exit::Usage);
    assert!(gateway.seen().posts.is_empty());
    let (exit, value) = run(gateway.words(0, &["kouan", "agreement", "show", "none"])).await;
    assert_eq!((exit, value["error"]["code"].as_str()), (Exit::NotFound, Some("not_found")));
    let (exit, value) = run(gateway.words(0, &["kouan", "lease", "show", "l1"])).await;
    assert_eq!((exit, value["id"].as_str()), (Exit::Success, Some("l1")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_printed_whatever_it_says_and_exits_as_it_says() {
    for (effect, exit) in [("allow", Exit::Success), ("deny", Exit::Denied), ("review", Exit::Review)] {
        let mut world = World::new(10);
        world.effect = effect;
        let gateway = Gateway::start(world).await;
        let (got, value) = run(gateway.words(0, &["kouan", "plan", "yue-words"])).await;
        assert_eq!((got, value["decision"]["effect"].as_str()), (exit, Some(effect)));
        assert_eq!(value.get("error").is_some(), exit != Exit::Success, "{value}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_finds_a_whole_connection_and_a_broken_one() {
    let gateway = Gateway::start(World::new(10)).await;
    let (exit, value) = run(gateway.words(0, &["kouan", "doctor"])).await;
    assert_eq!((exit, value["ok"].as_bool()), (Exit::Success, Some(true)), "{value}");
    let names: Vec<&str> = value["checks"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "profile",
            "certificate",
            "private key",
            "trust bundle",
            "connection",
            "clock",
            "identity",
            "revocation list",
            "reviews",
            "mechanisms"
        ]
    );
    // A participant that this gateway does not know.
    let (exit, value) = run(gateway.words(1, &["kouan", "doctor"])).await;
    assert_eq!((exit, value["ok"].as_bool()), (Exit::Unauthenticated, Some(false)), "{value}");
    let (exit, _) = run(["kouan", "doctor", "--json"].map(str::to_owned).into()).await;
    assert_eq!(exit, Exit::Usage);
}

const FACTS: &str = r#"{"now":"2026-11-22T10:00:00+08:00","purpose":"academic-research","exporter":{"id":"qh","place":"CN-440300","ciio":"no","counters":{"persons":0,"sensitive":0,"baseline":true}},"recipient":{"id":"hku","place":"HK","accessed_from":"HK","restricted":false,"foreign_authority_request":false},"dataset":{"id":"yue","version":"1","class":"general","important_status":"no","state_secret":false,"controlled_item":false,"genetic_resource":false,"geospatial":false,"source_statement":true,"collected_in":["CN"],"domestic_pi_introduced":false,"columns":[{"name":"text","class":"none"}],"subjects":null,"received_under":null},"columns":"*","preconditions":{"notice":true,"separate_consent":true},"hk":{"dpp3":"unknown"}}"#;

async fn decide(input: &str, more: &[&str]) -> (Exit, String) {
    let (mut io, captured) = captured([]);
    io.input = Box::new(std::io::Cursor::new(input.to_owned().into_bytes()));
    let words = ["kouan", "policy", "decide"].iter().chain(more).map(|word| (*word).to_owned()).collect();
    let exit = run_with(words, &mut io).await;
    (exit, captured.out())
}

#[tokio::test]
async fn decisions_have_exit_statuses() {
    let denied = FACTS.replace(r#""state_secret":false"#, r#""state_secret":true"#);
    let review = FACTS.replace(r#""geospatial":false"#, r#""geospatial":true"#);
    for (facts, exit, effect) in
        [(FACTS, Exit::Success, "allow"), (&denied, Exit::Denied, "deny"), (&review, Exit::Review, "review")]
    {
        let (got, out) = decide(facts, &["--facts", "-"]).await;
        let value: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((got, value["effect"].as_str()), (exit, Some(effect)), "{out}");
    }
    let (exit, out) = decide("{}", &["--json"]).await;
    assert_eq!(exit, Exit::Usage);
    assert!(out.contains("bad_input"), "{out}");
}

#[tokio::test]
async fn a_batch_answers_every_line_and_exits_with_success() {
    let long = "x".repeat(policy::FACTS_BYTES_MAX + 100);
    let input = format!("{FACTS}\nnot json\n\n{long}\n{FACTS}");
    let (exit, out) = decide(&input, &["--batch"]).await;
    assert_eq!(exit, Exit::Success);
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 5);
    assert_eq!((lines[0]["effect"].as_str(), lines[4]["effect"].as_str()), (Some("allow"), Some("allow")));
    for bad in &lines[1..4] {
        assert_eq!(bad["error"]["code"], "bad_input");
    }
}

#[tokio::test]
async fn certificates_are_made_shown_and_revoked() {
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("hku").to_string_lossy().into_owned();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let (exit, value) = run(words(&["kouan", "cert", "ca", &ca, "--trust-domain", "hku.hk", "--json"])).await;
    assert_eq!(exit, Exit::Success, "{value}");
    let (exit, value) =
        run(words(&["kouan", "cert", "issue", &ca, "spiffe://hku.hk/researcher/alice", "--json"])).await;
    assert_eq!(exit, Exit::Success, "{value}");
    let certificate = value["certificate"].as_str().unwrap().to_owned();
    let (exit, value) = run(words(&["kouan", "cert", "show", &certificate, "--json"])).await;
    assert_eq!(
        (exit, value["certificates"][0]["spiffe_id"].as_str()),
        (Exit::Success, Some("spiffe://hku.hk/researcher/alice"))
    );
    let (exit, value) =
        run(words(&["kouan", "cert", "revoke", &ca, &certificate, "--reason", "superseded", "--json"])).await;
    assert_eq!((exit, value["revoked"].as_u64()), (Exit::Success, Some(1)), "{value}");
    let (exit, value) = run(words(&["kouan", "cert", "ca", &ca, "--trust-domain", "hku.hk", "--json"])).await;
    assert_eq!(exit, Exit::Usage, "{value}");
}
