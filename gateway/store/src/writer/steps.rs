//! Which steps of the flow a group belongs to: the crash points around its commit are those of its steps.

use super::{Job, Prepared, Work};
use crate::transaction::Write;
use crate::{crashpoint, crashpoint::is_counted};

/// The steps in one group, as far as crash points tell them apart.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Steps {
    change: bool,
    decision: bool,
    grant: bool,
    receipt: bool,
    settlement: bool,
    closing: bool,
    guard: bool,
    month: bool,
    erasure: bool,
}

impl Steps {
    /// Looks only if a test has armed a point or counts them.
    pub(super) fn of(jobs: &[Job]) -> Self {
        let mut steps = Self::default();
        if is_counted() {
            for job in jobs {
                match job.work() {
                    Work::Guard { .. } => steps.guard = true,
                    Work::Commit(transaction) => steps.add(transaction),
                    Work::EmptyWal => {}
                }
            }
        }
        steps
    }

    fn add(&mut self, transaction: &Prepared) {
        let has = |is: fn(&Write) -> bool| transaction.writes.iter().any(is);
        let decision = has(|write| matches!(write, Write::PutLease { .. }));
        let grant = has(|write| matches!(write, Write::Grant { .. }));
        self.decision |= decision;
        self.grant |= grant && !decision;
        self.settlement |= !grant && has(|write| matches!(write, Write::Delivered { .. } | Write::Unsent { .. }));
        self.receipt |= has(|write| matches!(write, Write::Receipt(_)));
        let ends =
            |write: &Write| matches!(write, Write::LeaseState { .. } | Write::LeaseLeaf { .. } | Write::Release { .. });
        self.closing |= has(ends);
        self.month |= has(|write| matches!(write, Write::PeriodClose { .. }));
        self.erasure |= has(|write| matches!(write, Write::Erase(_)));
        self.change |= has(|write| matches!(write, Write::PutDoc { .. }));
    }

    /// Everything is written into the transaction; the commit comes next.
    pub(super) fn before_commit(self) {
        if !is_counted() {
            return;
        }
        if self.change {
            crashpoint!("change.before_commit");
        }
        if self.decision {
            crashpoint!("s4.before_commit");
        }
        if self.grant {
            crashpoint!("s8.before_commit");
        }
        if self.receipt {
            crashpoint!("s10.before_commit");
        }
        if self.settlement {
            crashpoint!("s12.settle_before_commit");
        }
        if self.closing {
            crashpoint!("s12.close_before_commit");
        }
        if self.guard {
            crashpoint!("s14.guard_before_commit");
        }
        if self.month {
            crashpoint!("s15.before_commit");
        }
        if self.erasure {
            crashpoint!("erase.before_commit");
        }
    }

    /// The commit is synced; nobody has been told.
    pub(super) fn after_fsync(self) {
        if !is_counted() {
            return;
        }
        if self.change {
            crashpoint!("change.after_fsync");
        }
        if self.decision {
            crashpoint!("s4.after_fsync");
        }
        if self.grant {
            crashpoint!("s8.after_fsync");
        }
        if self.receipt {
            crashpoint!("s10.after_fsync");
        }
        if self.settlement {
            crashpoint!("s12.settle_after_fsync");
        }
        if self.closing {
            crashpoint!("s12.close_after_fsync");
        }
        if self.month {
            crashpoint!("s15.after_fsync");
        }
        if self.erasure {
            crashpoint!("erase.after_fsync");
        }
    }
}
