#![allow(clippy::unwrap_used)]

use super::*;

/// A true time that begins at noon, and the offset of our wall clock from it.
struct Clocks {
    judge: Judge,
    elapsed: u64,
    off: i64,
    recorded: Timestamp,
}

fn noon(seconds: i64) -> Timestamp {
    let noon: Timestamp = "2026-11-28T04:00:00Z".parse().unwrap();
    noon.checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

impl Clocks {
    fn new() -> Self {
        let first = Reading { wall: noon(0), elapsed: Duration::ZERO, recorded: Timestamp::MIN };
        Self { judge: Judge::new(first), elapsed: 0, off: 0, recorded: Timestamp::MIN }
    }

    fn reading(&self) -> Reading {
        let wall = noon(i64::try_from(self.elapsed).unwrap() + self.off);
        Reading { wall, elapsed: Duration::from_secs(self.elapsed), recorded: self.recorded }
    }

    /// Time goes on by `seconds`; then the clocks are read.
    fn after(&mut self, seconds: u64) -> Option<(Event, i64, bool)> {
        self.elapsed += seconds;
        let told = self.judge.read(&self.reading());
        told.map(|told| (told.event, told.by.as_secs(), told.granting))
    }

    fn set(&mut self, by: i64) -> Option<(Event, i64, bool)> {
        self.off += by;
        self.after(0)
    }

    fn behind(&self) -> Option<i64> {
        self.judge.behind().map(|by| by.as_secs())
    }

    /// The witness `name`, whose clock is `off` seconds from the true time, answers after `seconds`.
    fn witness(&mut self, name: &str, off: i64, seconds: u64) {
        let asked = self.reading();
        self.elapsed += seconds;
        let time = noon(i64::try_from(self.elapsed).unwrap() + off);
        let answered = self.reading();
        self.judge.heard(name, time, &asked, &answered);
    }
}

#[test]
fn a_jump_forward_is_told_and_believed() {
    let mut clocks = Clocks::new();
    assert_eq!(clocks.after(1), None);
    assert_eq!(clocks.set(2), None, "two seconds are no jump");
    assert_eq!(clocks.set(10), Some((Event::Jumped, 10, true)));
    assert_eq!((clocks.behind(), clocks.after(5)), (None, None));
}

#[test]
fn a_jump_back_stops_what_is_new_until_the_clock_is_where_it_would_be() {
    let mut clocks = Clocks::new();
    assert_eq!(clocks.set(-5), Some((Event::Jumped, -5, true)), "five seconds are borne");
    assert_eq!(clocks.set(5), Some((Event::Jumped, 5, true)));
    assert_eq!(clocks.set(-10), Some((Event::Jumped, -10, false)));
    // Ten seconds later the wall clock says what it said before, and is still ten seconds late.
    assert_eq!((clocks.after(10), clocks.behind()), (None, Some(10)));
    assert_eq!(clocks.set(10), Some((Event::Jumped, 10, true)));
    assert_eq!(clocks.behind(), None);
}

#[test]
fn small_steps_back_add_up() {
    let mut clocks = Clocks::new();
    assert_eq!((clocks.set(-2), clocks.set(-2)), (None, None));
    assert_eq!(clocks.set(-2), Some((Event::Behind, 6, false)));
    assert_eq!(clocks.set(2), Some((Event::InStep, 4, true)));
}

#[test]
fn a_start_before_the_end_of_the_log_waits_for_it() {
    let mut clocks = Clocks::new();
    clocks.recorded = noon(60);
    assert_eq!(clocks.after(0), Some((Event::Behind, 60, false)));
    assert_eq!((clocks.after(54), clocks.behind()), (None, Some(6)));
    assert_eq!(clocks.after(1), Some((Event::InStep, 5, true)));
}

#[test]
fn a_log_that_a_wrong_clock_wrote_holds_back_unless_most_witnesses_agree_with_the_wall_clock() {
    let mut clocks = Clocks::new();
    clocks.set(3600);
    clocks.recorded = noon(3600);
    assert_eq!(clocks.set(-3600), Some((Event::Jumped, -3600, false)));
    clocks.witness("hk", 0, 1);
    clocks.witness("qh", 3600, 1);
    assert_eq!(clocks.after(1), None, "one of two is not most");
    clocks.witness("aud", 0, 1);
    assert_eq!(clocks.after(1), Some((Event::InStep, 0, true)));
    // That lasts when the witnesses are silent, and what is recorded at the log's own moment changes nothing.
    assert_eq!((clocks.after(3000), clocks.behind()), (None, None));
    assert_eq!(clocks.set(-10), Some((Event::Jumped, -10, false)));
}

#[test]
fn a_clock_that_was_wrong_from_the_start_is_found_by_the_witnesses() {
    let mut clocks = Clocks::new();
    clocks.off = -30;
    clocks.judge = Judge::new(clocks.reading());
    assert_eq!(clocks.after(1), None);
    clocks.witness("hk", 0, 0);
    assert_eq!(clocks.after(0), Some((Event::Behind, 30, false)));
    clocks.witness("qh", -30, 0);
    assert_eq!(clocks.after(0), Some((Event::InStep, 0, true)), "they contradict each other");
    clocks.witness("qh", 0, 0);
    assert_eq!(clocks.after(0).unwrap().0, Event::Behind);
    // They fall silent: nobody says so any more.
    assert_eq!(clocks.after(601).unwrap().0, Event::InStep);
}

#[test]
fn a_slow_answer_proves_nothing_wrong() {
    let mut clocks = Clocks::new();
    // It was written at once and took eight seconds to arrive, or the other way round: both are possible.
    clocks.witness("hk", -8, 8);
    assert_eq!((clocks.after(0), clocks.behind()), (None, None));
    clocks.witness("hk", 0, 8);
    assert_eq!((clocks.after(0), clocks.behind()), (None, None));
}

#[test]
fn a_clock_ahead_of_the_witnesses_is_told_once_and_goes_on() {
    let mut clocks = Clocks::new();
    clocks.witness("hk", -60, 0);
    assert_eq!(clocks.after(0), Some((Event::Ahead, -59, true)));
    assert_eq!((clocks.after(1), clocks.behind()), (None, None));
}
