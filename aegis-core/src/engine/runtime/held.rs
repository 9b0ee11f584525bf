//! A lease as its holder counts it.

use std::time::Duration;

use super::Core;
use crate::{
    engine::EngineError,
    seams::{Claim, Fence, Lease, LeaseName, Monotonic},
};

/// How long after it heard that another holds a lease an engine does not ask again, however often it
/// is woken.
const ASK: Duration = Duration::from_secs(1);

/// A lease that this engine may hold, renewed as it is used.
#[derive(Debug)]
pub(crate) struct HeldLease {
    name: LeaseName,
    held: Option<(Lease, Monotonic)>,
    /// Before when it makes no sense to ask: another held it.
    ask_at: Option<Monotonic>,
}

/// Whether we may act.
#[derive(Debug)]
pub(crate) enum Hold {
    /// We may, under this fence.
    Ours(Fence),
    /// Another may; ask again after this long.
    Theirs(Duration),
}

impl HeldLease {
    pub(crate) const fn new(name: LeaseName) -> Self {
        Self { name, held: None, ask_at: None }
    }

    /// Makes sure that we hold the lease for a good while yet, or says who does.
    ///
    /// The time is counted from before the claim, so that we stop no later than the store thinks.
    pub(crate) async fn ensure(&mut self, core: &Core) -> Result<Hold, EngineError> {
        let now = core.clock.monotonic();
        if let Some((lease, since)) = &self.held
            && now.since(*since) < lease.valid_for / 3
        {
            return Ok(Hold::Ours(lease.fence.clone()));
        }
        if let Some(at) = self.ask_at.filter(|at| now < *at) {
            return Ok(Hold::Theirs(at.since(now)));
        }
        match core.store.claim(&self.name, &core.holder, core.options.lease_ttl).await? {
            Claim::Granted(lease) => {
                let fence = lease.fence.clone();
                if self.held.as_ref().is_none_or(|(old, _)| old.fence != fence) {
                    tracing::debug!(lease = %self.name, generation = fence.generation.0, "lease granted");
                }
                self.held = Some((lease, now));
                self.ask_at = None;
                Ok(Hold::Ours(fence))
            }
            Claim::Held { by, remaining } => {
                tracing::debug!(lease = %self.name, %by, "another engine holds the lease");
                self.held = None;
                self.ask_at = Some(now.after(remaining.min(ASK)));
                Ok(Hold::Theirs(remaining))
            }
        }
    }

    /// Forgets what we held: the store told us that it is gone.
    pub(crate) fn forget(&mut self) {
        self.held = None;
    }

    /// Gives the lease back, so that others need not wait for it to run out.
    pub(crate) async fn release(&mut self, core: &Core) {
        let Some((lease, _)) = self.held.take() else { return };
        if let Err(error) = core.store.release(&lease.fence).await {
            tracing::warn!(lease = %self.name, %error, "the lease was not given back; it will run out");
        }
    }
}
