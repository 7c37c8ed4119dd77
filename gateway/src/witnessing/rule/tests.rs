#![allow(clippy::unwrap_used, clippy::panic)]
use gateway_audit::note::Ed25519Signer;
use gateway_audit::{Checkpoint, Cosigner, NodeHash};

use super::*;

const ORIGIN: &str = "gw.example/audit";

fn published(size: u64, cosigned_at: Option<u64>) -> Published {
    let log = Ed25519Signer::from_seed(ORIGIN, &[1; 32]).unwrap();
    let root = NodeHash::from_bytes([size.to_le_bytes()[0]; 32]);
    let mut checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size, root }.sign(&[&log]).unwrap();
    if let Some(time) = cosigned_at {
        let line = witness().cosign(&checkpoint, time).unwrap();
        checkpoint = checkpoint.with_signatures(vec![line]).unwrap();
    }
    Published { size, root, checkpoint: Arc::from(checkpoint.to_text()) }
}

fn witness() -> Cosigner {
    Cosigner::from_seed("witness.example/w", &[2; 32]).unwrap()
}

fn section() -> WitnessSection {
    WitnessSection { policy: "policy".into(), lost_after: 900, backlog_max: 10, run: Vec::new(), at: BTreeMap::new() }
}

struct Log {
    started: Instant,
    published: watch::Sender<Published>,
    witnessed: watch::Sender<Option<Published>>,
    witnessing: Witnessing,
}

fn log(kept: Option<Published>, quorum: &str) -> Log {
    let text = format!("witness w {}\nquorum {quorum}\n", witness().key());
    let policy = WitnessPolicy::parse(text.as_bytes()).unwrap();
    let (published, published_at) = watch::channel(published(5, None));
    let (witnessed, witnessed_at) = watch::channel(kept);
    let started = Instant::now();
    let witnessing = Witnessing::new(&section(), (policy, text), published_at, witnessed_at, (wall(1500), started));
    Log { started, published, witnessed, witnessing }
}

fn wall(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

impl Log {
    /// So many seconds after the start, at which it is 1500 by the wall clock.
    fn at(&self, second: u64) -> Instant {
        self.started + Duration::from_secs(second)
    }
}

#[test]
fn a_lost_quorum_stops_after_its_time_and_its_return_lets_go_on() {
    let log = log(Some(published(5, Some(1000))), "w");
    // Across a start it counts from when the witnesses cosigned; from then on the wall clock says nothing.
    assert_eq!(log.witnessing.may_leave(log.at(400)), Ok(()));
    assert_eq!(log.witnessing.may_leave(log.at(401)), Err(Stop::Lost { since: Some(wall(1000)) }));
    log.witnessing.quorum(wall(9_999_999), log.at(500));
    assert_eq!(log.witnessing.may_leave(log.at(1400)), Ok(()));
    // What is logged is told once, until it is another or over.
    for (problem, news) in
        [(None, false), (Some("it is slow"), true), (Some("cannot reach it"), true), (Some("cannot reach it"), false)]
    {
        assert_eq!(log.witnessing.problem("w", problem.map(str::to_owned)), news, "{problem:?}");
    }
    let told = log.witnessing.check(log.at(1401)).unwrap_err();
    assert!(told.starts_with("quorum_lost: ") && told.ends_with("(w: cannot reach it)"), "{told}");
    let problem = Problem::from(log.witnessing.may_leave(log.at(1401)).unwrap_err());
    assert_eq!((problem.status, problem.code), (503, Code::Unavailable));
}

#[test]
fn nothing_leaves_before_the_first_quorum() {
    let none = log(None, "w");
    assert_eq!(none.witnessing.may_leave(none.at(0)), Err(Stop::Lost { since: None }));
    // A kept checkpoint that the policy's witnesses did not cosign is none.
    let foreign = log(Some(published(5, None)), "w");
    assert_eq!(foreign.witnessing.may_leave(foreign.at(0)), Err(Stop::Lost { since: None }));
    let without_rule = log(None, "none");
    assert_eq!(without_rule.witnessing.may_leave(without_rule.at(0)), Ok(()));
    assert_eq!(Witnessing::default().may_leave(none.at(0)), Ok(()));
}

#[test]
fn too_many_unseen_entries_stop_it() {
    let log = log(Some(published(5, Some(1500))), "w");
    let now = log.at(1);
    log.published.send_replace(published(15, None));
    assert_eq!(log.witnessing.may_leave(now), Ok(()));
    log.published.send_replace(published(16, None));
    assert_eq!(log.witnessing.may_leave(now), Err(Stop::Backlog { entries: 11 }));
    log.witnessed.send_replace(Some(published(7, Some(1501))));
    assert_eq!((log.witnessing.may_leave(now), log.witnessing.backlog()), (Ok(()), 9));
}

#[test]
fn a_halt_is_for_good() {
    let log = log(Some(published(5, Some(1500))), "w");
    assert!(log.witnessing.halt("log_forked", "w has seen another history"));
    assert!(!log.witnessing.halt("log_behind_witness", "later"));
    log.witnessing.quorum(wall(1501), log.at(1));
    let stop = log.witnessing.may_leave(log.at(1)).unwrap_err();
    assert_eq!(stop.code(), "log_forked");
    assert!(log.witnessing.check(log.at(1)).unwrap_err().contains("w has seen another history"));
}
