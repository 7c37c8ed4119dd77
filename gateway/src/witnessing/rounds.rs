//! Rounds: the newest checkpoint to all witnesses at once. The quorum's cosignatures are kept as soon as they are there;
//! whoever answers soon after is taken along. Without new entries a round is made now and then all the same, so that a
//! lost quorum is known before it matters.

use std::path::PathBuf;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt as _};
use gateway_audit::SignedCheckpoint;
use gateway_audit::note::NoteSignature;
use gateway_audit::witness::Answer;
use gateway_store::{Published, Transaction, WitnessedSink, crashpoint};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::ask::Asked;
use super::rule::Witnessing;
use crate::gateway::Shared;
use crate::{clock, leaf};

/// Shortest time from round to round: witnesses sync a disk each time.
const EVERY: Duration = Duration::from_secs(1);
/// Longest time from round to round, unless the quorum may be missing for less than four of them.
const HEARTBEAT_MAX: Duration = Duration::from_mins(1);
/// How long others are waited for once there is a quorum.
const GREEDY: Duration = Duration::from_secs(2);
/// How long a round waits until what was cosigned is on disk.
const KEEP_WAIT: Duration = Duration::from_secs(1);
/// Longest wait after rounds without a quorum.
const BACKOFF_MAX: Duration = Duration::from_secs(15);

/// What the rounds are about.
#[derive(Debug)]
pub struct Rounds {
    /// The witnesses.
    pub asked: Vec<Asked>,
    /// The log's folder.
    pub folder: PathBuf,
    /// What is published.
    pub published: watch::Receiver<Published>,
    /// Where cosigned checkpoints go.
    pub sink: WitnessedSink,
    /// How long the quorum may be missing.
    pub lost_after: Duration,
}

impl Rounds {
    /// Makes rounds until the log is no longer published.
    pub async fn run(mut self, gateway: Shared) {
        let heartbeat = (self.lost_after / 4).clamp(Duration::from_millis(250), HEARTBEAT_MAX);
        let mut failures = 0_u32;
        loop {
            let begun = Instant::now();
            let newest = self.published.borrow_and_update().clone();
            if self.round(&gateway, &newest).await {
                failures = 0;
                sleep_until(begun + EVERY.min(heartbeat)).await;
                let newer = self.published.wait_for(|published| published.size != newest.size);
                if let Ok(Err(_)) = timeout_at(begun + heartbeat, newer).await {
                    return;
                }
            } else {
                failures = failures.saturating_add(1);
                let backoff = EVERY.saturating_mul(1 << failures.min(5)).min(BACKOFF_MAX);
                sleep_until(begun + backoff.min(heartbeat.max(EVERY))).await;
            }
        }
    }

    /// One round; true if a quorum cosigned in it.
    async fn round(&mut self, gateway: &Shared, newest: &Published) -> bool {
        let witnessing = &gateway.witnessing;
        let (Some((policy, _)), Ok(checkpoint)) =
            (witnessing.policy(), SignedCheckpoint::parse(newest.checkpoint.as_bytes()))
        else {
            return false;
        };
        let (folder, checkpoint) = (&self.folder, &checkpoint);
        let begun = gateway.clock.reading();
        let mut fresh = vec![false; self.asked.len()];
        let mut asking: FuturesUnordered<_> = self
            .asked
            .iter_mut()
            .enumerate()
            .map(|(at, asked)| async move {
                let answer = asked.submit(folder, checkpoint).await;
                if let (Answer::Cosigned { time, .. }, true) = (&answer, asked.independent) {
                    gateway.clock.heard(&asked.name, *time, &begun);
                }
                (at, asked.name.clone(), answer)
            })
            .collect();
        let (mut lines, mut patience) = (Vec::<NoteSignature>::new(), None);
        loop {
            let next = match patience {
                None => asking.next().await,
                Some(patience) => timeout_at(patience, asking.next()).await.unwrap_or_default(),
            };
            let Some((at, name, answer)) = next else { break };
            metrics::counter!("kouan_witness_answers_total", "outcome" => outcome(&answer)).increment(1);
            let Some(line) = taken(gateway, &self.published, &name, answer).await else { continue };
            lines.push(line);
            if let Some(fresh) = fresh.get_mut(at) {
                *fresh = true;
            }
            if !policy.is_quorum(|at| fresh.get(at).copied().unwrap_or(false)) {
                continue;
            }
            witnessing.quorum(clock::now(), Instant::now());
            patience.get_or_insert_with(|| Instant::now() + GREEDY);
            match checkpoint.with_signatures(lines.clone()) {
                Ok(cosigned) => {
                    crashpoint!("s14.after_witness");
                    self.sink.put(cosigned, clock::now());
                }
                Err(error) => tracing::error!(%error, "cosignatures cannot be put together"),
            }
        }
        drop(asking);
        if patience.is_some() && newest.size > 0 {
            // Durable in a moment; whoever reads the gauges is told what is.
            let _ = timeout(KEEP_WAIT, witnessing.covers(newest.size - 1)).await;
        }
        gauges(witnessing);
        patience.is_some()
    }
}

/// The line of a witness that cosigned; else what follows from its answer.
async fn taken(
    gateway: &Shared,
    published: &watch::Receiver<Published>,
    name: &str,
    answer: Answer,
) -> Option<NoteSignature> {
    let witnessing = &gateway.witnessing;
    let problem = match answer {
        Answer::Cosigned { line, time } => {
            if witnessing.problem(name, None) {
                tracing::info!(witness = name, "a witness cosigns again");
            }
            let skew = i64::try_from(time).unwrap_or(i64::MAX).saturating_sub(clock::wall().as_second());
            #[expect(clippy::cast_precision_loss, reason = "a gauge of seconds")]
            metrics::gauge!("kouan_witness_clock_skew_seconds").set(skew as f64);
            return Some(line);
        }
        Answer::Resend { .. } => return None,
        Answer::Ahead { seen } if seen <= published.borrow().size => return None,
        Answer::Ahead { seen } => {
            let size = published.borrow().size;
            let why = format!("the witness `{name}` has cosigned {seen} entries of this log, and here it has {size}");
            halt(gateway, "log_behind_witness", name, &why).await;
            why
        }
        Answer::Fork { why } => {
            halt(gateway, "log_forked", name, &format!("the witness `{name}` says: {why}")).await;
            why
        }
        Answer::Later { why } => why,
    };
    // A round comes about once a second: one that fails like the one before is not told again.
    if witnessing.problem(name, Some(problem.clone())) {
        tracing::warn!(witness = name, why = problem, "a witness did not cosign");
    }
    None
}

/// Stops everything that is new, and says so in the log.
async fn halt(gateway: &Shared, code: &'static str, name: &str, why: &str) {
    if !gateway.witnessing.halt(code, why) {
        return;
    }
    metrics::gauge!("kouan_witness_halted").set(1.0);
    tracing::error!(witness = name, code, why, "halted: a witness has seen another history of this log");
    let mut members = leaf::of("halt");
    members.insert("reason".to_owned(), json!(code));
    let mut transaction = Transaction::new(clock::now());
    transaction.leaf(members);
    if let Err(error) = gateway.records.commit(transaction).await {
        tracing::error!(%error, "the halt was not recorded");
    }
}

const fn outcome(answer: &Answer) -> &'static str {
    match answer {
        Answer::Cosigned { .. } => "cosigned",
        Answer::Resend { .. } | Answer::Later { .. } => "later",
        Answer::Ahead { .. } => "ahead",
        Answer::Fork { .. } => "fork",
    }
}

fn gauges(witnessing: &Witnessing) {
    #[expect(clippy::cast_precision_loss, reason = "a gauge of entries")]
    metrics::gauge!("kouan_unwitnessed_entries").set(witnessing.backlog() as f64);
    if let Some(age) = witnessing.quorum_age(Instant::now()) {
        metrics::gauge!("kouan_witness_quorum_age_seconds").set(age.as_secs_f64());
    }
}
