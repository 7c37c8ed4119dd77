#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use std::process::Command;
use tokio::time::timeout;

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);

#[test]
fn a_schedule_gives_the_phase_of_every_moment() {
    let begun = Instant::now();
    let schedule = Schedule { draining: begun, cutting: begun + 20 * SECOND, ended: begun + 30 * SECOND };
    for (seconds, phase) in [
        (0, Phase::Draining),
        (19, Phase::Draining),
        (20, Phase::Cutting),
        (29, Phase::Cutting),
        (30, Phase::Ended),
        (3000, Phase::Ended),
    ] {
        assert_eq!(schedule.phase(begun + seconds * SECOND), phase, "{seconds} s");
    }
}

#[tokio::test]
async fn phases_are_reached_in_order_by_every_clone() {
    let drain = Drain::new(40 * MILLI, 80 * MILLI);
    let other = drain.clone();
    assert_eq!(drain.phase(), Phase::Serving);
    assert!(drain.is_serving() && !drain.is_draining());
    assert_eq!(drain.deadline(), None);
    drain.reached(Phase::Serving).await;
    let begun = Instant::now();
    let (early, ()) = tokio::join!(drain.reached(Phase::Cutting), async { other.begin() });
    let () = early;
    assert!(begun.elapsed() >= 40 * MILLI, "whoever waited before sees it too");
    let deadline = drain.deadline();
    other.begin();
    assert_eq!(drain.deadline(), deadline, "it begins once");
    assert!(drain.is_draining() && drain.is_cutting());
    drain.reached(Phase::Ended).await;
    assert!(begun.elapsed() >= 80 * MILLI);
    assert_eq!(other.phase(), Phase::Ended);
    drain.reached(Phase::Draining).await;
}

#[tokio::test]
async fn nothing_is_reached_before_the_beginning() {
    let drain = Drain::new(MILLI, MILLI);
    let waiting = timeout(20 * MILLI, drain.reached(Phase::Draining)).await;
    assert!(waiting.is_err());
}

#[tokio::test]
async fn hastening_moves_both_deadlines_for_those_who_wait_already() {
    let drain = Drain::new(3600 * SECOND, 3600 * SECOND + 50 * MILLI);
    drain.begin();
    let begun = Instant::now();
    let hasten = async {
        tokio::task::yield_now().await;
        drain.hasten();
        let deadline = drain.deadline();
        drain.hasten();
        assert_eq!(drain.deadline(), deadline, "only once");
        assert!(drain.phase() >= Phase::Cutting);
    };
    timeout(10 * SECOND, async { tokio::join!(drain.reached(Phase::Ended), hasten) }).await.unwrap();
    assert!(begun.elapsed() >= 50 * MILLI);
    let fresh = Drain::new(SECOND, 2 * SECOND);
    fresh.hasten();
    assert_eq!(fresh.phase(), Phase::Cutting, "begins it if need be");
}

#[tokio::test]
async fn a_hard_deadline_before_the_soft_one_is_the_soft_one() {
    let drain = Drain::new(20 * SECOND, SECOND);
    drain.begin();
    let left = drain.deadline().unwrap() - Instant::now();
    assert!(left > 19 * SECOND, "{left:?}");
}

#[tokio::test]
async fn signals_reload_and_drain() {
    let drain = Drain::new(60 * SECOND, 60 * SECOND + 50 * MILLI);
    let reload = Arc::new(Notify::new());
    let signals = signals().unwrap();
    let kill = |name: &str| {
        let pid = std::process::id().to_string();
        let status = Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(status.success());
    };
    let script = async {
        kill("-HUP");
        timeout(10 * SECOND, reload.notified()).await.unwrap();
        assert!(drain.is_serving());
        kill("-INT");
        timeout(10 * SECOND, drain.reached(Phase::Draining)).await.unwrap();
        assert_eq!(drain.phase(), Phase::Draining);
        kill("-TERM");
        timeout(10 * SECOND, drain.reached(Phase::Ended)).await.unwrap();
    };
    let (interrupted, ()) = tokio::join!(signals.run(drain.clone(), Arc::clone(&reload)), script);
    assert!(interrupted);
}
