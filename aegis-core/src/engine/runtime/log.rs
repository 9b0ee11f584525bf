//! Those that read the event log for the engine: the sealer, those who count, the keepers of manifests
//! and anchors, the notifiers.

use std::{sync::Arc, time::Duration};

use super::{
    Core,
    anchors::Anchorer,
    delivery::Deliverer,
    figures::{Counter, Counting},
    held::{HeldLease, Hold},
    history,
    keeper::keep_manifests,
};
use crate::{
    engine::EngineError,
    model::{Position, SealedEvent},
    seams::{ErrorClass, LeaseName, Monotonic, ObjectStorage, Scope, StoreError, report},
};

/// How many events one read or seal takes.
pub(super) const BATCH: usize = 1000;

/// How often the store is let forget what nobody needs any more.
const PRUNE_INTERVAL: Duration = Duration::from_secs(3600);

/// Someone who reads the log on behalf of the engine, under a lease of its own. None waits for
/// another: a slow receiver holds up nobody.
#[derive(Debug)]
pub(crate) enum Reader {
    /// Gives events their positions.
    Sealer { lease: HeldLease },
    /// Keeps the manifests of one location true.
    Keeper { lease: HeldLease, storage: Arc<dyn ObjectStorage> },
    /// Counts runs, for figures.
    Counters { lease: HeldLease, counting: Vec<Counting> },
    /// Anchors the chains in one location.
    Anchorer(Anchorer),
    /// Delivers to one notifier.
    Deliverer(Deliverer),
    /// Lets the store forget. It reads nothing, and may take its time: nobody waits for it.
    Pruner { lease: HeldLease, pruned_at: Option<Monotonic> },
}

impl Reader {
    /// Every reader of the engine, the sealer first.
    pub(crate) fn all(core: &Core) -> Vec<Self> {
        let sealer = Self::Sealer { lease: HeldLease::new(LeaseName::sealer()) };
        let counting = Counter::ALL.into_iter().map(Counting::new).collect();
        let counters = Self::Counters { lease: HeldLease::new(LeaseName::figures()), counting };
        let keepers = core.locations.iter().map(|location| Self::Keeper {
            lease: HeldLease::new(LeaseName::manifests(location.storage.uri())),
            storage: Arc::clone(&location.storage),
        });
        let anchorers = core.locations.iter().map(|location| {
            Self::Anchorer(Anchorer::new(Arc::clone(&location.storage), location.tenants.clone()))
        });
        let deliverers = core.notifiers.iter();
        let deliverers = deliverers.map(|notifier| Self::Deliverer(Deliverer::new(Arc::clone(notifier))));
        let pruner = Self::Pruner { lease: HeldLease::new(LeaseName::pruner()), pruned_at: None };
        let first = [sealer, counters].into_iter();
        first.chain(keepers).chain(anchorers).chain(deliverers).chain([pruner]).collect()
    }

    /// Catches up. What goes wrong is tried again by the next pass.
    pub(crate) async fn pass(&mut self, core: &Core) {
        let caught_up = match self {
            Self::Sealer { lease } => {
                let sealed = seal(core, lease).await;
                if sealed.as_ref().is_err_and(|error| error.class() == ErrorClass::VersionConflict) {
                    lease.forget();
                }
                sealed
            }
            Self::Keeper { lease, storage } => keep_manifests(core, lease, storage).await,
            Self::Counters { lease, counting } => count_runs(core, lease, counting).await,
            Self::Anchorer(anchorer) => anchorer.pass(core).await,
            Self::Deliverer(deliverer) => deliverer.pass(core).await,
            Self::Pruner { lease, pruned_at } => prune(core, lease, pruned_at).await,
        };
        if let Err(error) = caught_up {
            tracing::warn!(reader = ?self, error = %report(&error), "a reader of the event log is behind");
        }
    }

    /// Whether it waits for commits; the others wait for what is sealed.
    pub(crate) const fn is_sealer(&self) -> bool {
        matches!(self, Self::Sealer { .. })
    }

    /// Gives its lease back.
    pub(crate) async fn close(&mut self, core: &Core) {
        match self {
            Self::Sealer { lease }
            | Self::Counters { lease, .. }
            | Self::Keeper { lease, .. }
            | Self::Pruner { lease, .. } => lease.release(core).await,
            Self::Deliverer(deliverer) => deliverer.close(core).await,
            Self::Anchorer(anchorer) => anchorer.close(core).await,
        }
    }
}

async fn seal(core: &Core, lease: &mut HeldLease) -> Result<(), EngineError> {
    while let Hold::Ours(fence) = lease.ensure(core).await? {
        if core.store.seal(&fence, BATCH).await?.count < BATCH {
            break;
        }
    }
    Ok(())
}

/// Lets the store forget what nobody needs any more, now and then. The lease only saves doing it twice.
async fn prune(
    core: &Core,
    lease: &mut HeldLease,
    pruned_at: &mut Option<Monotonic>,
) -> Result<(), EngineError> {
    let Hold::Ours(_) = lease.ensure(core).await? else { return Ok(()) };
    let now = core.clock.monotonic();
    if pruned_at.is_some_and(|at| now.since(at) < PRUNE_INTERVAL) {
        return Ok(());
    }
    *pruned_at = Some(now);
    let let_go = history::let_go(core, lease).await;
    core.store.prune(core.clock.now()).await?;
    let_go
}

/// Where a reader of the log is, and what it has not read yet: at most `limit` events. One that never
/// read what was let go since goes on where the log starts.
pub(crate) async fn unread(
    core: &Core,
    reader: &str,
    limit: usize,
) -> Result<(Position, Vec<SealedEvent>), StoreError> {
    let from = core.store.reader_position(reader).await?;
    match core.store.events(&Scope::Everyone, from, limit).await {
        Err(StoreError::LogPruned(start)) => {
            tracing::warn!(reader, %from, %start, "a reader has missed events: they were let go");
            Ok((from, core.store.events(&Scope::Everyone, start, limit).await?))
        }
        events => Ok((from, events?)),
    }
}

/// Counts the runs that every counter has come to. The lease only saves doing it twice.
async fn count_runs(
    core: &Core,
    lease: &mut HeldLease,
    counting: &mut [Counting],
) -> Result<(), EngineError> {
    for counter in counting {
        let Hold::Ours(_) = lease.ensure(core).await? else { break };
        counter.catch_up(core).await?;
    }
    Ok(())
}
