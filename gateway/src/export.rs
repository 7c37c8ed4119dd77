//! The data plane's side of the one flow: an [`Admitted`] export becomes a stream of bytes, each covered by a durable grant
//! before it is sent (INV-1) and counted when it has been handed over (INV-4).

pub mod body;
pub mod evidence;
pub mod gate;
pub mod opened;
pub mod produce;
pub mod settle;
pub mod stream_body;

use std::sync::Arc;

use gateway_store::Lease;
use jiff::Timestamp;

pub use body::FileBody;
pub use gate::{Gate, GateError, Handed};
pub use opened::Opened;
pub use settle::{Settlement, Settler};
pub use stream_body::StreamBody;

use crate::identity::Principal;

/// An export that may start: allowed, recorded, its first grant durable. Built by [`crate::admission`] only; there is no
/// other way to obtain a [`Gate`].
#[derive(Debug)]
#[must_use]
pub struct Admitted {
    lease: Arc<Lease>,
    plan: GrantPlan,
    granted: u64,
    live: crate::sessions::Live,
    principal: Principal,
    opened: Opened,
    turns: Option<Timestamp>,
    needs_receipts: bool,
}

/// For whom an admitted export is counted, and until when.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) principal: Principal,
    pub(crate) opened: Opened,
    pub(crate) turns: Option<Timestamp>,
}

/// What a response will send: ranges of one representation, in order, counted from its own first byte.
#[derive(Debug, Clone)]
pub struct GrantPlan {
    /// Name of the representation in the grants: a file's entity tag, `arrow`, `flight`.
    pub representation: String,
    /// Ranges in the order they are sent; the last may be open (`u64::MAX`) for a stream.
    pub parts: Vec<std::ops::Range<u64>>,
}

impl GrantPlan {
    /// A stream of which nobody knows how long it will be.
    pub fn open(representation: String) -> Self {
        Self { representation, parts: std::iter::once(0..u64::MAX).collect() }
    }

    /// How many bytes the response will send; `u64::MAX` if nobody knows.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().fold(0_u64, |sum, part| sum.saturating_add(part.end.saturating_sub(part.start)))
    }

    /// The ranges of the representation that the bytes `from..to` of the response are.
    pub fn ranges(&self, from: u64, to: u64) -> Vec<std::ops::Range<u64>> {
        let mut ranges = Vec::new();
        let mut at = 0_u64;
        for part in &self.parts {
            let length = part.end.saturating_sub(part.start);
            let (start, end) = (from.max(at), to.min(at.saturating_add(length)));
            if start < end {
                ranges.push(part.start + (start - at)..part.start + (end - at));
            }
            at = at.saturating_add(length);
            if at >= to {
                break;
            }
        }
        ranges
    }
}

impl Admitted {
    /// Only the admission builds one: `granted` bytes of the plan are durably granted under `lease`.
    /// An export that is counted is not granted anything from `turns` on, the end of the last year in which it is counted,
    /// before it is counted in the next one too.
    pub(crate) fn new(
        lease: Arc<Lease>,
        grant: (GrantPlan, u64),
        live: crate::sessions::Live,
        counted: Counted,
        needs_receipts: bool,
    ) -> Self {
        let ((plan, granted), Counted { principal, opened, turns }) = (grant, counted);
        Self { lease, plan, granted, live, principal, opened, turns, needs_receipts }
    }

    /// The lease.
    pub fn lease(&self) -> &Arc<Lease> {
        &self.lease
    }
}

#[cfg(test)]
mod tests {
    use super::GrantPlan;

    #[test]
    fn a_window_of_a_response_maps_to_ranges_of_the_representation() {
        let plan = GrantPlan { representation: String::new(), parts: vec![100..110, 0..5, 50..u64::MAX] };
        assert_eq!(plan.ranges(0, 10), vec![100..110]);
        assert_eq!(plan.ranges(8, 16), vec![108..110, 0..5, 50..51]);
        assert_eq!(plan.ranges(15, 20), vec![50..55]);
        assert_eq!(plan.ranges(7, 7), Vec::<std::ops::Range<u64>>::new());
    }
}
