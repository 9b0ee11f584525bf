//! Leases: who holds what, for how long yet, under which grant.

use std::{collections::HashMap, time::Duration};

use aegis_core::seams::{Claim, Conflict, Fence, Grant, HolderId, LeaseName, Monotonic};

/// Every lease that was ever granted.
#[derive(Debug, Default)]
pub(crate) struct Leases(HashMap<LeaseName, Grant>);

impl Leases {
    /// Grants or renews a lease, unless another holds it.
    pub(crate) fn claim(
        &mut self,
        name: &LeaseName,
        holder: &HolderId,
        ttl: Duration,
        now: Monotonic,
    ) -> Claim {
        self.0.entry(name.clone()).or_insert(Grant::NEVER).claim(name, holder, ttl, now)
    }

    /// Gives a lease back if `fence` is its newest grant.
    pub(crate) fn release(&mut self, fence: &Fence) {
        if let Some(grant) = self.0.get_mut(&fence.name) {
            grant.release(fence);
        }
    }

    /// Checks that the grant in `fence` is held.
    pub(crate) fn check(&self, fence: &Fence, now: Monotonic) -> Result<(), Conflict> {
        self.0.get(&fence.name).unwrap_or(&Grant::NEVER).check(fence, now)
    }
}
