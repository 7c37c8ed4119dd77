//! The gate: no byte passes before a durable grant covers it, and every byte that passes is counted.
//!
//! Grants run ahead of the stream: the next one is asked for when half of the current window is used, so that a slow
//! disk is not felt. Deliveries are flushed with each grant and at the end, as far as the peer has acknowledged them: what
//! was handed to the transport shortly before a stream breaks may never have left this machine.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use catalog::FileIndex;
use gateway_ledger::{IntervalSet, Month};
use gateway_store::{CommitError, Expect, Lease, Transaction, Write, crashpoint};
use jiff::Timestamp;
use tokio::time::{Duration, Instant};

use super::evidence::Unacknowledged;
use super::{Admitted, GrantPlan, Opened, Settlement};
use crate::admission::{self, Turned};
use crate::clock;
use crate::gateway::Shared;
use crate::identity::Principal;
use crate::sessions::Live;

/// Why the gate does not open any more.
#[derive(Debug, Clone, thiserror::Error)]
pub enum GateError {
    /// Somebody or something ended the stream.
    #[error("the stream was cut: {0}")]
    Cut(Arc<str>),
    /// The lease has ended or expired.
    #[error("the lease has ended: ask again")]
    LeaseEnded,
    /// The node is stopping; what has been sent is good, go on from there later.
    #[error("the gateway is stopping: resume from here later")]
    Draining,
    /// The offer asks for receipts, and none came for a while.
    #[error("too much was sent without a receipt: acknowledge what you have, then go on from here")]
    Unreceipted,
    /// The log's witnesses are missing, or contradict it: what is granted runs to its edge.
    #[error("{0}; what was sent is good: go on from here later")]
    Unwitnessed(String),
    /// The wall clock is behind: what is granted runs to its edge.
    #[error("{0}; what was sent is good: go on from here later")]
    Clock(String),
    /// What is stored is damaged: what is granted runs to its edge.
    #[error("the gateway's records are damaged; what was sent is good: go on from here when they are restored")]
    Damaged,
    /// The grant was not recorded (INV-2: then it does not exist).
    #[error("the records are not available")]
    Records,
}

/// What a frame hands over.
#[derive(Debug, Clone, Default)]
pub struct Handed {
    /// Stored bytes of units, by stored file.
    pub units: Vec<(Arc<FileIndex>, IntervalSet)>,
    /// Bytes of the representation.
    pub bytes: u64,
    /// Whether these are the units' own bytes, in order, and no others but a footer's after them.
    pub sliced: bool,
}

impl Handed {
    /// Takes out the first `bytes` bytes. Units go along only where a frame is a slice of one stored file, so that its bytes
    /// and theirs are in one order: of an encoded batch no part stands for a part of a unit.
    #[must_use]
    pub fn take_first(&mut self, bytes: u64) -> Self {
        let bytes = bytes.min(self.bytes);
        let mut first = Self { units: Vec::new(), bytes, sliced: self.sliced };
        if let [(file, units)] = self.units.as_mut_slice()
            && self.sliced
        {
            let (mut taken, mut left) = (IntervalSet::default(), bytes);
            for interval in units.iter() {
                let end = interval.end.min(interval.start.saturating_add(left));
                left = left.saturating_sub(end - interval.start);
                taken.insert(interval.start..end);
            }
            *units = units.difference(&taken);
            first.units.push((Arc::clone(file), taken));
        }
        self.bytes -= bytes;
        first
    }
}

/// Bytes between two looks at what has been acknowledged.
const LOOK_BYTES: u64 = 256 << 10;

/// How often a grant in a new year is decided again because something changed in between.
const TURN_ATTEMPTS_MAX: usize = 16;

/// How long a stream waits for receipts, and how often it looks for them.
const RECEIPT_WAIT: Duration = Duration::from_mins(1);
const RECEIPT_LOOK: Duration = Duration::from_millis(100);

/// What a grant gave: up to which byte of the response, and until when.
type Window = (u64, Option<Timestamp>);
type Granting = Pin<Box<dyn Future<Output = Result<Window, GateError>> + Send>>;

/// The gate of one response.
pub struct Gate {
    gateway: Shared,
    lease: Arc<Lease>,
    live: Live,
    principal: Principal,
    opened: Opened,
    /// The end of the last year in which this export is counted.
    turns: Option<Timestamp>,
    plan: GrantPlan,
    total: u64,
    passed: u64,
    granted: u64,
    granting: Option<Granting>,
    /// Up to where it was granted when the next grant was refused.
    refused_at: Option<u64>,
    /// Handed over; not yet counted because a break now might lose it.
    under_way: Unacknowledged,
    /// Handed over since the kernel was last asked what has been acknowledged.
    unlooked: u64,
    /// Counted, not yet written.
    counted: Settlement,
    data_total: metrics::Counter,
    /// Whether the offer asks for receipts.
    needs_receipts: bool,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate")
            .field("lease", &self.lease.id)
            .field("passed", &self.passed)
            .field("granted", &self.granted)
            .finish_non_exhaustive()
    }
}

impl Gate {
    /// Opens the gate of an admitted export.
    pub fn open(gateway: Shared, admitted: Admitted) -> Self {
        crashpoint!("s5.before_head");
        let Admitted { lease, plan, granted, live, principal, opened, turns, needs_receipts } = admitted;
        let total = plan.bytes();
        let counted = Settlement::new(Arc::clone(&lease));
        let under_way = Unacknowledged::new(live.connection().clone());
        Self {
            gateway,
            lease,
            live,
            principal,
            opened,
            turns,
            plan,
            total,
            passed: 0,
            granted,
            granting: None,
            refused_at: None,
            under_way,
            unlooked: 0,
            data_total: metrics::counter!("kouan_data_bytes_total"),
            counted,
            needs_receipts,
        }
    }

    /// Whether the response goes over HTTP/2.
    pub fn is_http2(&self) -> bool {
        self.live.connection().is_http2()
    }

    /// The lease.
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Bytes that have passed.
    pub const fn passed(&self) -> u64 {
        self.passed
    }

    /// Ready when the next `bytes` bytes of the response may pass. Cancel safe: nothing passes until [`Gate::pass`].
    pub fn poll(&mut self, context: &mut Context<'_>, bytes: u64) -> Poll<Result<(), GateError>> {
        if let Some(reason) = self.live.cut(context.waker()) {
            return Poll::Ready(Err(GateError::Cut(reason)));
        }
        let needed = self.passed.saturating_add(bytes);
        let window = self.gateway.config.limits.window(self.needs_receipts);
        loop {
            // Refused ahead of need, it is asked for once more at the edge.
            let refused = self.refused_at == Some(self.granted) && needed <= self.granted;
            let low = self.granted.saturating_sub(needed) < window / 2 && self.granted < self.total && !refused;
            // INVARIANT (counting): no byte passes in a year in which the export is not counted, granted before or not.
            let turned = bytes > 0 && self.turns.is_some_and(|turns| clock::now() >= turns);
            if self.granting.is_none() && (low || turned) {
                let to = if low { self.granted.saturating_add(window).min(self.total) } else { self.granted };
                self.granting = Some(self.grant(to));
            }
            let Some(granting) = self.granting.as_mut() else { break };
            match granting.as_mut().poll(context) {
                Poll::Ready(granted) => {
                    self.granting = None;
                    match granted {
                        Ok(window) => (self.granted, self.turns) = window,
                        // What is granted may still pass: the stream ends at its window's edge, unless there is room by then.
                        Err(GateError::Records) if needed <= self.granted && !turned => {
                            self.refused_at = Some(self.granted);
                            break;
                        }
                        Err(error) => return Poll::Ready(Err(error)),
                    }
                }
                // Ahead of need: the stream goes on within what is granted.
                Poll::Pending if needed <= self.granted && !turned => break,
                Poll::Pending => {
                    // A consumer can only acknowledge what is on record as delivered, and the grant may wait for that.
                    self.record();
                    return Poll::Pending;
                }
            }
        }
        // INVARIANT (INV-1): nothing passes beyond the durable grants.
        if needed <= self.granted { Poll::Ready(Ok(())) } else { Poll::Ready(Err(GateError::Records)) }
    }

    /// The same as a future, for streams that are not polled by hand.
    pub async fn opened(&mut self, bytes: u64) -> Result<(), GateError> {
        std::future::poll_fn(|context| self.poll(context, bytes)).await
    }

    /// Hands `handed` over. Call it only after [`Gate::poll`] was ready for at least its bytes.
    pub fn pass(&mut self, handed: Handed) {
        let bytes = handed.bytes;
        if bytes > 0 {
            self.opened.used();
        }
        self.data_total.increment(bytes);
        self.passed = self.passed.saturating_add(bytes);
        self.under_way.hand(handed);
        if bytes > 0 {
            crashpoint!("s7.after_pass");
            if self.passed == self.granted {
                crashpoint!("s7.at_edge");
            }
        }
        // The kernel is asked once for so many bytes: small pieces need no look each.
        self.unlooked = self.unlooked.saturating_add(bytes);
        if self.unlooked >= LOOK_BYTES {
            self.unlooked = 0;
            self.under_way.acknowledge(&mut self.counted);
        }
    }

    /// The stored bytes are not what was inspected: nothing that is not yet written is billed.
    pub fn spoil(&mut self) {
        let sent = self.under_way.clear().saturating_add(self.counted.clear());
        self.counted.add_wire(sent);
    }

    /// Has what the peer has acknowledged recorded, where a receipt may be waited for.
    fn record(&mut self) {
        if self.needs_receipts {
            self.under_way.acknowledge(&mut self.counted);
            if !self.counted.is_empty() {
                self.gateway.settler.settle(self.counted.take());
            }
        }
    }

    fn grant(&mut self, to: u64) -> Granting {
        let (gateway, lease) = (Arc::clone(&self.gateway), Arc::clone(&self.lease));
        let ranges = self.plan.ranges(self.granted, to);
        let representation = self.plan.representation.clone();
        let mut settlement = self.counted.take();
        let connection = self.live.connection().clone();
        let (principal, turns) = (self.principal.clone(), self.turns);
        Box::pin(async move {
            // No grant after the end of the certificate or of its issuer's revocation list, however long a stream runs.
            if gateway.trust.shared().load().verify(connection.chain(), clock::now()).is_err() {
                gateway.settler.settle(settlement);
                return Err(GateError::Cut(Arc::from("the certificate is no longer accepted")));
            }
            if gateway.drain.is_cutting() {
                gateway.settler.settle(settlement);
                return Err(GateError::Draining);
            }
            if let Err(stop) = gateway.witnessing.may_leave(Instant::now()) {
                gateway.settler.settle(settlement);
                return Err(GateError::Unwitnessed(stop.to_string()));
            }
            if let Err(behind) = gateway.clock.may_leave() {
                gateway.settler.settle(settlement);
                return Err(GateError::Clock(behind.to_string()));
            }
            if gateway.scrubbing.may_leave().is_err() {
                gateway.settler.settle(settlement);
                return Err(GateError::Damaged);
            }
            let lines = Lines { lease: &lease, representation: &representation, ranges: &ranges };
            let (begun, mut moved) = (Instant::now(), 0);
            loop {
                match attempt(&gateway, &principal, &lines, &settlement, turns).await {
                    Ok(turns) => return Ok((to, turns)),
                    Err(Failure::Moved) if moved < TURN_ATTEMPTS_MAX => moved += 1,
                    Err(Failure::Moved) => break,
                    Err(Failure::Unreceipted) => {
                        // Recorded without the grant, so that it can be acknowledged.
                        gateway.settler.settle(settlement.take());
                        if begun.elapsed() > RECEIPT_WAIT {
                            return Err(GateError::Unreceipted);
                        }
                        tokio::time::sleep(RECEIPT_LOOK).await;
                    }
                    Err(Failure::Final { error, settled }) => {
                        // What was delivered before stays delivered, whatever became of the lease.
                        if !settled {
                            gateway.settler.settle(settlement);
                        }
                        return Err(error);
                    }
                }
            }
            gateway.settler.settle(settlement);
            Err(GateError::Records)
        })
    }
}

/// What one grant is about.
struct Lines<'a> {
    lease: &'a Lease,
    representation: &'a str,
    ranges: &'a [std::ops::Range<u64>],
}

/// Why a grant was not recorded.
enum Failure {
    /// What the new year's decision relied on has changed: decide again.
    Moved,
    /// Too much is out without a receipt: nothing was recorded.
    Unreceipted,
    /// For good; `settled` if the deliveries so far were recorded with it.
    Final { error: GateError, settled: bool },
}

/// Records the grant and the deliveries so far, and in a new year what the export adds to it, all in one commit.
async fn attempt(
    gateway: &Shared,
    principal: &Principal,
    lines: &Lines<'_>,
    settlement: &Settlement,
    turns: Option<Timestamp>,
) -> Result<Option<Timestamp>, Failure> {
    let unsettled = |error| Failure::Final { error, settled: false };
    let lease = lines.lease;
    let now = clock::now();
    let (mut transaction, turns, refused) = match turns.filter(|turns| now >= *turns) {
        None => (Transaction::new(now), turns, None),
        Some(_) => match admission::turn(gateway, principal, lease, now).await {
            Ok(Turned::Counted { transaction, turns }) => (transaction, turns, None),
            Ok(Turned::Refused { transaction, reason }) => (transaction, turns, Some(reason)),
            Err(problem) => {
                tracing::error!(lease = %lease.id, error = problem.detail, "the new year's decision was not made");
                return Err(unsettled(GateError::Records));
            }
        },
    };
    transaction.writes.extend(settlement.writes(Month::of(now)));
    if refused.is_none() {
        transaction.writes.extend(lines.ranges.iter().map(|range| Write::Grant {
            lease: lease.id.clone(),
            representation: lines.representation.to_owned(),
            range: range.clone(),
        }));
    }
    match (gateway.records.commit(transaction).await, refused) {
        (Ok(_), None) => {
            crashpoint!("s8.before_open");
            Ok(turns)
        }
        (Ok(_), Some(reason)) => Err(Failure::Final { error: GateError::Cut(reason), settled: true }),
        (Err(CommitError::Conflict(Expect::LeaseActive { .. })), _) => Err(unsettled(GateError::LeaseEnded)),
        (Err(CommitError::Conflict(Expect::Receipted { .. })), _) => Err(Failure::Unreceipted),
        (Err(CommitError::Conflict(_)), _) => Err(Failure::Moved),
        (Err(error), _) => {
            tracing::error!(lease = %lease.id, error = %error, "a grant was not recorded");
            Err(unsettled(GateError::Records))
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let under_way = std::mem::replace(&mut self.under_way, Unacknowledged::new(self.live.connection().clone()));
        // What was granted and never handed over is provably still here. A grant that is being recorded is not known yet.
        self.counted.add_unsent(self.granted.saturating_sub(self.passed));
        self.gateway.settler.settle_when_acknowledged(&self.gateway.tasks, self.counted.take(), under_way);
    }
}
