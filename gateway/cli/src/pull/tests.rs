#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::time::Duration;

use gateway_ledger::IntervalSet;
use serde_json::Value;

use super::sidecar::Sidecar;
use super::{PullReport, Tuning, pull};
use crate::args::Command;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::io::Io;
use crate::session::Session;
use crate::testing::captured;
use crate::testing::gateway::{CHUNK, FILE, Fault, Gateway, World, noise};

const BYTES: usize = 1_050_000;

fn quick() -> Tuning {
    Tuning {
        segment_bytes_max: 200_000,
        segment_bytes_min: 50_000,
        checkpoint_interval: Duration::from_millis(1),
        failures_max: 3,
        retry_base: Duration::from_millis(1),
        retry_max: Duration::from_millis(2),
    }
}

async fn run(gateway: &Gateway, more: &[&str], interrupt: Interrupt) -> Result<PullReport, CommandError> {
    let (mut io, _) = captured([]);
    io.interrupt = interrupt;
    run_with(gateway, more, true, &mut io).await
}

async fn run_with(gateway: &Gateway, more: &[&str], json: bool, io: &mut Io) -> Result<PullReport, CommandError> {
    let cli = crate::parse(gateway.pull(more), io).unwrap();
    let Command::Pull(args) = &cli.command else { panic!("not a pull") };
    pull(&mut Session { json, lang: crate::Lang::English, io }, args, quick()).await
}

async fn pulled(gateway: &Gateway) -> Result<PullReport, CommandError> {
    run(gateway, &[], Interrupt::never()).await
}

/// The file stands under its name, right, with nothing beside it.
fn assert_complete(gateway: &Gateway) {
    assert_eq!(std::fs::read(gateway.out().join(FILE)).unwrap(), gateway.seen().file);
    let names: Vec<_> = std::fs::read_dir(gateway.out()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, [FILE]);
}

/// The part and its sidecar are there, the file is not; what is said to be done is right.
fn assert_resumable(gateway: &Gateway) -> IntervalSet {
    assert!(!gateway.out().join(FILE).exists());
    let part = gateway.out().join(format!("{FILE}.part"));
    let sidecar = Sidecar::load(&part).expect("a sidecar");
    let bytes = std::fs::read(&part).unwrap();
    let file = gateway.seen().file;
    for range in sidecar.done.iter() {
        let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        assert_eq!(bytes[range.clone()], file[range]);
    }
    sidecar.done
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_pulled_verified_and_named() {
    let gateway = Gateway::start(World::new(BYTES)).await;
    let report = pulled(&gateway).await.unwrap();
    let file = &report.files[0];
    assert_eq!(file.sha256, gateway.seen().sha256());
    assert_eq!((file.fetched_bytes, file.resumed_bytes), (BYTES as u64, 0));
    assert_eq!(file.verified, ["chunks", "sha256"]);
    assert_eq!((file.lease.as_deref(), file.leaf), (Some("l1"), Some(3)));
    assert!(gateway.seen().ranges.len() > 4);
    assert_complete(&gateway);
    // Once more: it is there, and no byte moves.
    let sent = gateway.seen().sent;
    let again = pulled(&gateway).await.unwrap();
    assert_eq!(again.files[0].fetched_bytes, 0);
    assert_eq!(gateway.seen().sent, sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_break_cost_nothing_that_was_received() {
    let mut world = World::new(BYTES);
    let cuts = noise(60, 11);
    world.faults = cuts.iter().map(|byte| Some(Fault::Cut(usize::from(*byte) * 300 + 10_000))).collect();
    let gateway = Gateway::start(world).await;
    let report = pulled(&gateway).await.unwrap();
    assert_eq!(report.files[0].fetched_bytes, BYTES as u64, "no byte was written twice");
    assert!(gateway.seen().ranges.len() > 10);
    assert_complete(&gateway);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_network_leaves_a_part_that_is_resumed_without_its_verified_bytes() {
    let mut world = World::new(BYTES);
    world.faults = [None, None, None].into();
    world.then = Some(Fault::Cut(0));
    let gateway = Gateway::start(world).await;
    let error = run(&gateway, &["--parallel", "2"], Interrupt::never()).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Incomplete, "{error}");
    let done = assert_resumable(&gateway);
    assert!(done.len() > 100_000, "{done:?}");

    gateway.change(|world| {
        world.then = None;
        world.ranges.clear();
        world.sent = 0;
    });
    let report = pulled(&gateway).await.unwrap();
    assert_eq!(report.files[0].resumed_bytes, done.len());
    assert_eq!(report.files[0].fetched_bytes, BYTES as u64 - done.len());
    let seen = gateway.seen();
    let asked: IntervalSet = seen.ranges.iter().map(|(first, last)| *first..last + 1).collect();
    assert!(asked.intersection(&done).is_empty(), "{asked:?} {done:?}");
    assert_eq!(seen.sent, BYTES as u64 - done.len());
    assert_complete(&gateway);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_chunk_is_fetched_once_more_and_never_named() {
    let mut world = World::new(BYTES);
    world.faults = [Some(Fault::Flip(10))].into();
    let gateway = Gateway::start(world).await;
    let report = run(&gateway, &["--parallel", "1"], Interrupt::never()).await.unwrap();
    assert_eq!(report.files[0].fetched_bytes, (BYTES + CHUNK) as u64);
    assert_complete(&gateway);

    let mut world = World::new(BYTES);
    world.then = Some(Fault::Flip(10));
    let gateway = Gateway::start(world).await;
    let error = pulled(&gateway).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Integrity, "{error}");
    let done = assert_resumable(&gateway);
    assert_eq!(done.len_within(&(0..CHUNK as u64)), 0, "{done:?}");
    gateway.change(|world| world.then = None);
    pulled(&gateway).await.unwrap();
    assert_complete(&gateway);
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_that_lie_are_found_by_the_catalogs_digest() {
    // The chunk list is of the bytes that come, the catalog's digest of others.
    let mut world = World::new(1000);
    world.version = "1".to_owned();
    let gateway = Gateway::start(world).await;
    let (mut io, _) = captured([]);
    let cli = crate::parse(gateway.pull(&[]), &mut io).unwrap();
    let Command::Pull(args) = &cli.command else { panic!("not a pull") };
    let profile = crate::profile::Profile::resolve(&args.connect, io.env.as_ref()).unwrap();
    let client = crate::client::Client::open(&profile).unwrap();
    let admitted = super::admission::Admitted {
        dataset: "yue-words".parse().unwrap(),
        version: "1".parse().unwrap(),
        selected: Vec::new(),
        redact: false,
        columns: Vec::new(),
        purpose: None,
        price: gateway_api::exchange::Money { amount: "0".to_owned(), currency: catalog::offer::Currency::Cny },
        agreement: None,
    };
    let view = gateway_api::catalog::FileView {
        name: FILE.to_owned(),
        sha256: catalog::Digest::of(b"other").hex(),
        bytes: 1000,
        rows: 1,
        source: None,
    };
    let source = super::source::Source::new(&admitted, &view).unwrap();
    std::fs::create_dir_all(gateway.out()).unwrap();
    let out = gateway.out();
    let puller = super::file::FilePull { client: &client, parallel: 1, out: &out, tuning: quick() };
    let mut session = Session { json: true, lang: crate::Lang::English, io: &mut io };
    let mut receipts = super::receipt::Receipts::new(&client, catalog::Digest::of(b"manifest"));
    let error = puller.run(&mut session, &source, &mut receipts).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Integrity, "{error}");
    assert!(!out.join(FILE).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_etag_starts_again_with_the_new_bytes() {
    let mut world = World::new(BYTES);
    world.faults = [None, None].into();
    world.then = Some(Fault::Cut(0));
    let gateway = Gateway::start(world).await;
    pulled(&gateway).await.unwrap_err();
    assert_resumable(&gateway);
    gateway.change(|world| {
        world.file = noise(BYTES + 5, 99);
        world.etag = "\"two\"".to_owned();
        world.then = None;
    });
    let report = pulled(&gateway).await.unwrap();
    assert_eq!(report.files[0].resumed_bytes, 0);
    assert_complete(&gateway);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_saves_what_came_and_says_so() {
    let mut world = World::new(BYTES);
    world.then = Some(Fault::Stall(120_000));
    let gateway = Gateway::start(world).await;
    let (trigger, interrupt) = Interrupt::new();
    let part = gateway.out().join(format!("{FILE}.part"));
    let watch = async {
        // Until something is durable.
        while Sidecar::load(&part).is_none_or(|sidecar| sidecar.done.is_empty()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        trigger.pull();
    };
    let (result, ()) = tokio::join!(run(&gateway, &[], interrupt), watch);
    let error = result.unwrap_err();
    assert_eq!(error.exit(), Exit::Interrupted);
    assert!(error.to_string().contains("goes on from there"), "{error}");
    let done = assert_resumable(&gateway);
    assert!(!done.is_empty());
    gateway.change(|world| {
        world.then = None;
        world.sent = 0;
    });
    let report = pulled(&gateway).await.unwrap();
    assert_eq!(report.files[0].resumed_bytes, done.len());
    assert_eq!(report.files[0].fetched_bytes, BYTES as u64 - done.len());
    assert_complete(&gateway);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_changed_on_disk_is_not_believed() {
    let mut world = World::new(BYTES);
    world.faults = [None, None, None, None].into();
    world.then = Some(Fault::Cut(0));
    let gateway = Gateway::start(world).await;
    run(&gateway, &["--parallel", "1"], Interrupt::never()).await.unwrap_err();
    let done = assert_resumable(&gateway);
    assert!(done.covers(&(0..CHUNK as u64)), "{done:?}");
    let part = gateway.out().join(format!("{FILE}.part"));
    let mut bytes = std::fs::read(&part).unwrap();
    bytes[50] ^= 1;
    std::fs::write(&part, bytes).unwrap();
    gateway.change(|world| world.then = None);
    let report = pulled(&gateway).await.unwrap();
    assert_eq!(report.files[0].resumed_bytes, done.len() - CHUNK as u64);
    assert_complete(&gateway);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_lease_is_a_denial_with_its_reason() {
    let mut world = World::new(BYTES);
    world.lease_state = "cut";
    world.then = Some(Fault::Cut(30_000));
    let gateway = Gateway::start(world).await;
    let error = pulled(&gateway).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Denied);
    assert!(error.to_string().contains("compliance stopped it"), "{error}");
    assert_resumable(&gateway);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_drains_is_waited_for_and_whoever_waits_is_told_why() {
    let mut world = World::new(BYTES);
    world.faults = [Some(Fault::Unavailable), Some(Fault::Unavailable), Some(Fault::Unavailable)].into();
    let gateway = Gateway::start(world).await;
    let (mut io, said) = captured([]);
    run_with(&gateway, &["--parallel", "1"], false, &mut io).await.unwrap();
    assert_complete(&gateway);
    // Three waits for one reason are one line.
    assert_eq!(said.err().matches("draining (try again in 0 s): waiting 0 s").count(), 1, "{}", said.err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_names_rule_and_tested_remedy() {
    for (effect, exit) in [("deny", Exit::Denied), ("review", Exit::Review)] {
        let mut world = World::new(10);
        world.effect = effect;
        let gateway = Gateway::start(world).await;
        let error = pulled(&gateway).await.unwrap_err();
        assert_eq!(error.exit(), exit);
        let text = error.to_string();
        for part in ["CN-06", "a contract is needed", "would be allowed", "--redact"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(error.to_json().pointer("/error/explain/rules/0").unwrap(), "CN-06");
        // A refused pull is asked for all the same, so that the refusal is on record.
        assert_eq!(error.leaf(), Some(18));
        assert!(text.contains("entry 18"), "{text}");
        assert!(gateway.seen().ranges.is_empty() && !gateway.out().exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn price_and_agreement_come_before_any_byte() {
    let mut world = World::new(10);
    world.agreed = false;
    let gateway = Gateway::start(world).await;
    let error = run(&gateway, &["--accept", "--max-price", "499"], Interrupt::never()).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Limit);
    assert_eq!(gateway.seen().accepted, 0, "an offer that is too dear is not taken");
    let error = pulled(&gateway).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Denied);
    assert!(error.to_string().contains("--purpose academic-research --accept"), "{error}");
    assert!(gateway.seen().ranges.is_empty());
    run(&gateway, &["--accept", "--max-price", "500"], Interrupt::never()).await.unwrap();
    assert_eq!(gateway.seen().accepted, 1);
    assert_complete(&gateway);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_named_only_when_it_ended() {
    let mut world = World::new(10);
    world.stream = b"a,b\r\n1,2\r\n".to_vec();
    let gateway = Gateway::start(world).await;
    let report = run(&gateway, &["--format", "csv"], Interrupt::never()).await.unwrap();
    assert_eq!(std::fs::read(&report.files[0].path).unwrap(), b"a,b\r\n1,2\r\n");
    gateway.change(|world| {
        world.stream = noise(100_000, 3);
        world.then = Some(Fault::Cut(30_000));
    });
    let error = run(&gateway, &["--format", "jsonl"], Interrupt::never()).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Incomplete);
    // An Arrow stream that was cut at a message's end: only its missing end tells.
    gateway.change(|world| world.then = None);
    let error = run(&gateway, &["--format", "arrow"], Interrupt::never()).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Incomplete);
    gateway.change(|world| world.stream.extend([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]));
    run(&gateway, &["--format", "arrow"], Interrupt::never()).await.unwrap();
    let mut names: Vec<_> = std::fs::read_dir(gateway.out()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["yue-words-1.arrows", "yue-words-1.csv"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_not_accepted_is_told_apart_from_a_gateway_that_is_away() {
    let gateway = Gateway::start(World::new(10)).await;
    let (mut io, captured_io) = captured([]);
    let cli = crate::parse(gateway.pull_as(1, &[]), &mut io).unwrap();
    assert_eq!(crate::execute(&cli, &mut io).await, Exit::Unauthenticated, "{}", captured_io.out());
    let value: Value = serde_json::from_str(&captured_io.out()).unwrap();
    assert_eq!(value["error"]["code"], "unauthenticated");

    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut words = gateway.pull(&[]);
    let place = words.iter().position(|word| *word == gateway.url).unwrap();
    words[place] = format!("https://{nobody}");
    let (mut io, _) = captured([]);
    let cli = crate::parse(words, &mut io).unwrap();
    assert_eq!(crate::execute(&cli, &mut io).await, Exit::Unavailable);
}
