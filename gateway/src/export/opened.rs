//! The recorded promise that bytes may leave under a lease, and its withdrawal when none did.

use std::sync::Arc;

use catalog::LeaseId;

use super::Settler;

/// A stream that was recorded as opened. Dropped without [`Opened::used`], it is recorded as untouched: then what its lease
/// reserved can be given back.
///
/// Were that record lost (a crash, a full disk), the reservation would stay: it is never given back by mistake.
#[derive(Debug)]
pub struct Opened {
    settler: Arc<Settler>,
    lease: Option<LeaseId>,
}

impl Opened {
    /// The stream of a commit with [`gateway_store::Write::StreamOpened`] for `lease`. Where the commit makes the lease, make
    /// this before: for a lease that was not recorded, nothing is.
    pub fn new(settler: Arc<Settler>, lease: LeaseId) -> Self {
        Self { settler, lease: Some(lease) }
    }

    /// Bytes are handed over: they have left.
    pub fn used(&mut self) {
        self.lease = None;
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            self.settler.untouched(lease);
        }
    }
}
