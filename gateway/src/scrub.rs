//! Reading again all that is stored (`gateway_store::scrub`): once a day, and when somebody asks. What is found is named, in
//! health, metrics and the report, and stops everything new until a later scrub finds nothing; a damaged object stops its
//! versions only. The last result outlives a restart.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use catalog::Digest;
use gateway_api::privacy::{ScrubFlaw, ScrubReport, ScrubResult};
use gateway_api::{Code, Problem};
use gateway_audit::VerifierKey;
use gateway_store::{DocKind, Flaw, Place, Published, Scrubbed, Transaction};
use serde_json::json;
use tokio::sync::watch;

use crate::admission::unavailable;
use crate::gateway::{Shared, put};
use crate::{clock, leaf};

/// Under which setting the last result stands.
const LAST: &str = "scrub";
/// A daily scrub is none of a start's work.
const NOT_BEFORE: Duration = Duration::from_mins(1);
/// Between slices it rests so many times as long as the slice took: it has a quarter of one core.
const REST: u32 = 3;
const REST_MAX: Duration = Duration::from_secs(1);
/// Places that the leaf names.
const NAMED_MAX: usize = 16;
/// What clients are told to wait, in seconds.
const RETRY_AFTER: u64 = 60;

/// What is stored is damaged: nothing new leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    first: Arc<str>,
    more: u64,
}

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what is stored is damaged (")?;
        f.write_str(&self.first)?;
        if self.more > 0 {
            write!(f, ", and {} more", self.more)?;
        }
        f.write_str("); nothing new leaves until it is restored and `kouan store scrub` finds nothing")
    }
}

impl From<Damaged> for Problem {
    fn from(damaged: Damaged) -> Self {
        // Which of our files it is is for the operator.
        let detail = "the gateway's records are damaged: nothing new leaves until they are restored";
        tracing::debug!(%damaged, "refused");
        Self::new(Code::Unavailable, detail).with("retry_after", RETRY_AFTER).with("reason", "records_damaged")
    }
}

/// What scrubs have found. Clones share it.
#[derive(Debug, Clone)]
pub struct Scrubbing(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    begun: Instant,
    state: Mutex<State>,
    published: watch::Receiver<Published>,
    problem: watch::Receiver<Option<String>>,
}

#[derive(Debug, Default)]
struct State {
    running: bool,
    last: Option<ScrubResult>,
}

impl Scrubbing {
    /// With what an earlier run found last.
    pub fn new(
        last: Option<&serde_json::Value>,
        published: watch::Receiver<Published>,
        problem: watch::Receiver<Option<String>>,
    ) -> Self {
        let last = last.and_then(|last| serde_json::from_value(last.clone()).ok());
        let state = Mutex::new(State { running: false, last });
        Self(Arc::new(Inner { begun: Instant::now(), state, published, problem }))
    }

    /// Whether a decision may be made or a grant given.
    ///
    /// # Errors
    ///
    /// [`Damaged`]: the last scrub found something other than a damaged object, or the log is not published any more.
    pub fn may_leave(&self) -> Result<(), Damaged> {
        if self.0.published.has_changed().is_err() {
            let why = self.0.problem.borrow().clone();
            let why = why.unwrap_or_else(|| "the log is no longer published".to_owned());
            return Err(Damaged { first: Arc::from(why), more: 0 });
        }
        let state = self.state();
        let Some(last) = state.last.as_ref().filter(|last| last.halting > 0) else { return Ok(()) };
        let first = last.flaws.iter().find(|flaw| flaw.halts);
        let first = first.map_or("more than can be named".to_owned(), |flaw| format!("{}: {}", flaw.place, flaw.why));
        Err(Damaged { first: Arc::from(first), more: last.halting - 1 })
    }

    /// For whoever asks.
    pub fn report(&self) -> ScrubReport {
        let state = self.state();
        ScrubReport { running: state.running, last: state.last.clone() }
    }

    /// False if one runs already.
    fn begin(&self) -> bool {
        !std::mem::replace(&mut self.state().running, true)
    }

    fn end(&self, result: Option<ScrubResult>) {
        let mut state = self.state();
        state.running = false;
        if let Some(result) = result {
            state.last = Some(result);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is one step.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts one if this day, in Asia/Shanghai, has had none.
pub fn daily(gateway: &Shared) {
    let today = clock::today(clock::now()).to_string();
    let had = gateway.scrubbing.state().last.as_ref().is_some_and(|last| last.day == today);
    if !had && gateway.scrubbing.0.begun.elapsed() >= NOT_BEFORE {
        start(gateway);
    }
}

/// Starts one, unless one runs already.
pub fn start(gateway: &Shared) {
    if !gateway.scrubbing.begin() {
        return;
    }
    let gateway = Arc::clone(gateway);
    // No drain waits for it: it stops between slices.
    tokio::spawn(async move {
        let result = match run(&gateway).await {
            Ok(result) => Some(result),
            Err(problem) => {
                tracing::error!(error = problem.detail, "the scrub did not finish");
                None
            }
        };
        gateway.scrubbing.end(result);
    });
}

async fn run(gateway: &Shared) -> Result<ScrubResult, Problem> {
    let shared = Arc::clone(gateway);
    let scrubbed = tokio::task::spawn_blocking(move || {
        let keys: Vec<VerifierKey> = shared.log_keys.iter().filter_map(|key| key.vkey.parse().ok()).collect();
        let mut since = Instant::now();
        shared.records.scrub(&keys, &mut || {
            std::thread::sleep(since.elapsed().saturating_mul(REST).min(REST_MAX));
            since = Instant::now();
            shared.drain.is_serving()
        })
    });
    let scrubbed = scrubbed.await.map_err(unavailable)?.map_err(unavailable)?;
    for flaw in &scrubbed.flaws {
        tracing::error!(place = %flaw.place, why = flaw.why, "what is stored is not what was written");
        quarantine(gateway, flaw).await;
    }
    let result = result(&scrubbed);
    #[expect(clippy::cast_precision_loss, reason = "a gauge of faults")]
    metrics::gauge!("kouan_scrub_flaws").set(scrubbed.count as f64);
    metrics::counter!("kouan_scrubs_total", "outcome" => if scrubbed.count == 0 { "clean" } else { "damaged" })
        .increment(1);
    metrics::counter!("kouan_scrubbed_bytes_total").increment(scrubbed.bytes);
    record(gateway, &result).await?;
    Ok(result)
}

fn result(scrubbed: &Scrubbed) -> ScrubResult {
    let now = clock::now();
    let objects = scrubbed.flaws.iter().filter(|flaw| !halts(flaw)).count() as u64;
    ScrubResult {
        at: clock::text(now),
        day: clock::today(now).to_string(),
        entries: scrubbed.entries,
        files: scrubbed.files,
        bytes: scrubbed.bytes,
        count: scrubbed.count,
        // What is beyond those that are named is taken for the worse.
        halting: scrubbed.count - objects,
        flaws: scrubbed
            .flaws
            .iter()
            .map(|flaw| ScrubFlaw { place: flaw.place.to_string(), why: flaw.why.clone(), halts: halts(flaw) })
            .collect(),
    }
}

/// An object is one version's, or a few versions'; everything else is everybody's.
const fn halts(flaw: &Flaw) -> bool {
    !matches!(flaw.place, Place::Object(_) | Place::Index(_))
}

/// Takes the versions out that have this object.
async fn quarantine(gateway: &Shared, flaw: &Flaw) {
    let holds = |sha256: &str, index: &Digest| match &flaw.place {
        Place::Object(digest) => sha256 == digest.hex(),
        Place::Index(digest) => index == digest,
        _ => false,
    };
    let versions: Vec<_> = gateway
        .snapshot()
        .versions
        .iter()
        .filter(|(_, version)| version.files.iter().any(|file| holds(&file.sha256, &file.index)))
        .map(|(key, _)| key.clone())
        .collect();
    for (dataset, version) in versions {
        gateway.quarantine(&dataset, &version, &flaw.to_string()).await;
    }
}

/// Keeps the result; that it stops everything, or does so no longer, is a leaf.
async fn record(gateway: &Shared, result: &ScrubResult) -> Result<(), Problem> {
    let before = gateway.scrubbing.state().last.as_ref().map_or(0, |last| last.halting);
    let mut transaction = Transaction::new(clock::now());
    if (before > 0) != (result.halting > 0) {
        let mut members = leaf::of("halt");
        members.insert("cause".to_owned(), json!("records_damaged"));
        members.insert("state".to_owned(), json!(if result.halting > 0 { "begun" } else { "ended" }));
        let places: Vec<&str> =
            result.flaws.iter().filter(|flaw| flaw.halts).map(|flaw| flaw.place.as_str()).take(NAMED_MAX).collect();
        if !places.is_empty() {
            members.insert("places".to_owned(), json!(places));
            members.insert("count".to_owned(), json!(result.halting));
        }
        transaction.leaf(members);
    }
    transaction.writes.push(put(DocKind::Setting, LAST.to_owned(), result));
    gateway.records.commit(transaction).await.map(drop).map_err(unavailable)
}

/// What the last scrub of an earlier run found.
pub fn last(gateway: &crate::snapshot::Snapshot) -> Option<&serde_json::Value> {
    gateway.settings.get(LAST).map(|last| &last.body)
}
