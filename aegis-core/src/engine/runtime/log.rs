//! Those that read the event log for the engine: the sealer, those who count, the keepers of manifests
//! and anchors, the notifiers.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{
    Core,
    anchors::Anchorer,
    figures::{Counter, Counting},
    held::{HeldLease, Hold},
    manifest::{Manifest, delete_manifest, manifest_key, write_manifest},
};
use crate::{
    engine::EngineError,
    model::{
        BackupJob, BackupRecord, EntityKey, EventKind, Policy, RecordId, RecordState, SealedEvent, StorageUri,
    },
    seams::{
        ErrorClass, LeaseName, Monotonic, Notifier, NotifyError, ObjectStorage, ReaderStep, Scope, StoreExt,
        report,
    },
};

/// How many events one read or seal takes.
const BATCH: usize = 1000;

/// How often the store is let forget what nobody needs any more.
const PRUNE_INTERVAL: Duration = Duration::from_secs(3600);

/// Someone who reads the log on behalf of the engine, under a lease of its own. None waits for
/// another: a slow receiver holds up nobody.
#[derive(Debug)]
pub(crate) enum Reader {
    /// Gives events their positions.
    Sealer { lease: HeldLease, pruned_at: Option<Monotonic> },
    /// Keeps the manifests of one location true.
    Keeper { lease: HeldLease, storage: Arc<dyn ObjectStorage> },
    /// Counts runs, for figures.
    Counters { lease: HeldLease, counting: Vec<Counting> },
    /// Anchors the chains in one location.
    Anchorer(Anchorer),
    /// Delivers to one notifier.
    Deliverer { lease: HeldLease, notifier: Arc<dyn Notifier> },
}

impl Reader {
    /// Every reader of the engine, the sealer first.
    pub(crate) fn all(core: &Core) -> Vec<Self> {
        let sealer = Self::Sealer { lease: HeldLease::new(LeaseName::sealer()), pruned_at: None };
        let counting = Counter::ALL.into_iter().map(Counting::new).collect();
        let counters = Self::Counters { lease: HeldLease::new(LeaseName::figures()), counting };
        let keepers = core.locations.iter().map(|location| Self::Keeper {
            lease: HeldLease::new(LeaseName::manifests(location.storage.uri())),
            storage: Arc::clone(&location.storage),
        });
        let anchorers = core.locations.iter().map(|location| {
            Self::Anchorer(Anchorer::new(Arc::clone(&location.storage), location.tenants.clone()))
        });
        let deliverers = core.notifiers.iter().map(|notifier| Self::Deliverer {
            lease: HeldLease::new(LeaseName::notifier(notifier.name())),
            notifier: Arc::clone(notifier),
        });
        let first = [sealer, counters].into_iter();
        first.chain(keepers).chain(anchorers).chain(deliverers).collect()
    }

    /// Catches up. What goes wrong is tried again by the next pass.
    pub(crate) async fn pass(&mut self, core: &Core) {
        let caught_up = match self {
            Self::Sealer { lease, pruned_at } => {
                let sealed = seal(core, lease, pruned_at).await;
                if sealed.as_ref().is_err_and(|error| error.class() == ErrorClass::VersionConflict) {
                    lease.forget();
                }
                sealed
            }
            Self::Keeper { lease, storage } => keep_manifests(core, lease, storage).await,
            Self::Counters { lease, counting } => count_runs(core, lease, counting).await,
            Self::Anchorer(anchorer) => anchorer.pass(core).await,
            Self::Deliverer { lease, notifier } => deliver(core, lease, &**notifier).await,
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
            Self::Sealer { lease, .. }
            | Self::Counters { lease, .. }
            | Self::Keeper { lease, .. }
            | Self::Deliverer { lease, .. } => lease.release(core).await,
            Self::Anchorer(anchorer) => anchorer.close(core).await,
        }
    }
}

async fn seal(
    core: &Core,
    lease: &mut HeldLease,
    pruned_at: &mut Option<Monotonic>,
) -> Result<(), EngineError> {
    let Hold::Ours(fence) = lease.ensure(core).await? else { return Ok(()) };
    prune(core, pruned_at).await?;
    loop {
        let sealed = core.store.seal(&fence, BATCH).await?;
        if sealed.count > 0 {
            core.sealed.notify_waiters();
        }
        if sealed.count < BATCH {
            return Ok(());
        }
    }
}

/// Lets the store forget what nobody needs any more, now and then.
async fn prune(core: &Core, pruned_at: &mut Option<Monotonic>) -> Result<(), EngineError> {
    let now = core.clock.monotonic();
    if pruned_at.is_some_and(|at| now.since(at) < PRUNE_INTERVAL) {
        return Ok(());
    }
    *pruned_at = Some(now);
    Ok(core.store.prune(core.clock.now()).await?)
}

/// Counts the runs that every counter has come to. The lease only saves doing it twice.
async fn count_runs(
    core: &Core,
    lease: &mut HeldLease,
    counting: &mut [Counting],
) -> Result<(), EngineError> {
    let Hold::Ours(_) = lease.ensure(core).await? else { return Ok(()) };
    for counter in counting {
        counter.catch_up(core).await?;
    }
    Ok(())
}

/// Rewrites the manifests in one location of records that changed since they were last written.
async fn keep_manifests(
    core: &Core,
    lease: &mut HeldLease,
    storage: &Arc<dyn ObjectStorage>,
) -> Result<(), EngineError> {
    let Hold::Ours(_) = lease.ensure(core).await? else { return Ok(()) };
    let name = format!("manifests/{}", storage.uri());
    loop {
        let after = core.store.reader_position(&name).await?;
        let events = core.store.events(&Scope::Everyone, after, BATCH).await?;
        let Some(last) = events.last() else { return Ok(()) };
        let changed: BTreeSet<RecordId> = events.iter().filter_map(changed_record).collect();
        for id in changed {
            match keep_manifest(core, storage, id).await {
                // One object that can't be written must not keep the others from being true.
                Err(error) if !error.class().is_transient() && !matches!(error, EngineError::Store(_)) => {
                    tracing::error!(record = %id, error = %report(&error), "a manifest can't be rewritten");
                }
                other => other?,
            }
        }
        core.store.advance_reader(ReaderStep::new(name.as_str(), after, last.position)).await?;
    }
}

fn changed_record(sealed: &SealedEvent) -> Option<RecordId> {
    match &sealed.event.subject {
        EntityKey::Record(id) if rewrites_manifest(sealed.event.kind) => Some(*id),
        _ => None,
    }
}

/// What changes about a record that its manifest should tell.
const fn rewrites_manifest(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::RecordHeld
            | EventKind::RecordReleased
            | EventKind::RecordProtectionChanged
            | EventKind::RecordChecked
            | EventKind::RecordFoundBad
            | EventKind::RecordExpired
            | EventKind::RecordReinstated
            | EventKind::RecordDeleted
    )
}

async fn keep_manifest(
    core: &Core,
    storage: &Arc<dyn ObjectStorage>,
    id: RecordId,
) -> Result<(), EngineError> {
    let everyone = Scope::Everyone;
    let Some(record) = core.store.find::<BackupRecord>(&everyone, id).await? else { return Ok(()) };
    let here = |location: &StorageUri| storage.uri().contains(location);
    match record.state() {
        RecordState::Available | RecordState::Expired => {}
        // Whoever removes the data removes the manifest. A rewriting that began before may have
        // brought it back since: once the data is gone, it goes again.
        RecordState::Deleting => return Ok(()),
        RecordState::Deleted => {
            for copy in record.copies.iter().filter(|copy| here(&copy.location)) {
                delete_manifest(&**storage, &manifest_key(storage.uri(), &copy.location, &record.artifact)?)
                    .await?;
            }
            return Ok(());
        }
    }
    let Some(job) = core.store.find::<BackupJob>(&everyone, record.job).await? else { return Ok(()) };
    let policy = match record.policy {
        Some(policy) => core.store.find::<Policy>(&everyone, policy).await?,
        None => None,
    };
    let policy = policy.map(|policy| Policy::clone(&policy));
    for copy in record.copies.iter().filter(|copy| copy.gone_at.is_none() && here(&copy.location)) {
        let key = manifest_key(storage.uri(), &copy.location, &record.artifact)?;
        let manifest = Manifest::new(BackupRecord::clone(&record), BackupJob::clone(&job), policy.clone());
        write_manifest(&**storage, &key, &manifest).await?;
    }
    Ok(())
}

async fn deliver(core: &Core, lease: &mut HeldLease, notifier: &dyn Notifier) -> Result<(), EngineError> {
    let Hold::Ours(_) = lease.ensure(core).await? else { return Ok(()) };
    let name = format!("notifier/{}", notifier.name());
    loop {
        let mut after = core.store.reader_position(&name).await?;
        let events = core.store.events(&Scope::Everyone, after, BATCH).await?;
        if events.is_empty() {
            return Ok(());
        }
        for sealed in events {
            match notifier.notify(&sealed).await {
                Ok(()) => {}
                Err(NotifyError::Refused { reason }) => {
                    tracing::warn!(notifier = notifier.name(), position = %sealed.position, %reason, "an event was refused");
                }
                Err(error) => {
                    tracing::warn!(notifier = notifier.name(), error = %report(&error), "an event is delivered again later");
                    return Ok(());
                }
            }
            core.store.advance_reader(ReaderStep::new(name.as_str(), after, sealed.position)).await?;
            after = sealed.position;
        }
    }
}
