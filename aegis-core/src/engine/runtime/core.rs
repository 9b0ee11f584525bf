//! What every part of a running engine shares.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::Notify;

use super::{Catalogue, Roster, kept::PerTenant};
use crate::{
    engine::{ClusterOptions, EngineError, EngineOptions, IdSource, TenantOptions, decide::Decider},
    model::{
        ClusterName, ClusterState, DisplayName, DrTest, NamespaceName, OperationId, Progress,
        RecoveryExecution, RestoredBy, StorageUri, TenantId,
    },
    seams::{
        BackupDriver, Clock, DrCheck, Fence, HolderId, Monotonic, Notifier, ObjectStorage, Scope, Store,
        StoreExt, StoreHint,
    },
};

/// A cluster that this engine serves.
#[derive(Debug)]
pub(crate) struct Served {
    /// What does the work.
    pub(crate) driver: Arc<dyn BackupDriver>,
    /// What was said of it.
    pub(crate) options: ClusterOptions,
    /// Wakes its loop.
    pub(crate) wake: Notify,
}

/// A storage location that this engine knows.
#[derive(Debug)]
pub(crate) struct Location {
    /// Its objects.
    pub(crate) storage: Arc<dyn ObjectStorage>,
    /// Whose it is.
    pub(crate) tenants: Vec<TenantId>,
}

/// What every part of a running engine shares.
pub(crate) struct Core {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: IdSource,
    pub(crate) options: EngineOptions,
    pub(crate) holder: HolderId,
    pub(crate) clusters: BTreeMap<ClusterName, Served>,
    pub(crate) locations: Vec<Location>,
    pub(crate) tenants: BTreeMap<TenantId, TenantOptions>,
    pub(crate) notifiers: Vec<Arc<dyn Notifier>>,
    /// The embedder's checks of what DR tests restored, by name.
    pub(crate) checks: BTreeMap<DisplayName, Arc<dyn DrCheck>>,
    /// What is kept in mind of each tenant's policies.
    pub(crate) rosters: PerTenant<Roster>,
    /// What is kept in mind of each tenant's records.
    pub(crate) catalogues: PerTenant<Catalogue>,
    /// Tells those who read the log that it grew.
    pub(crate) sealed: Notify,
    /// Wakes the sealer: something was committed.
    pub(crate) committed: Notify,
    pub(crate) closing: AtomicBool,
    /// When the engine was put together.
    pub(crate) started: Monotonic,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("holder", &self.holder)
            .field("store", &self.store)
            .field("clusters", &self.clusters.keys())
            .finish_non_exhaustive()
    }
}

impl Core {
    /// How far an operation was when that was last noted.
    pub(crate) async fn progress_of(&self, operation: OperationId) -> Result<Option<Progress>, EngineError> {
        let noted = self.store.progress(&[operation]).await?;
        Ok(noted.get(&operation).map(|report| report.progress))
    }

    /// What a decision needs, at this instant.
    pub(crate) fn decider<'a>(&'a self, fence: Option<&'a Fence>) -> Decider<'a> {
        Decider { now: self.clock.now(), ids: &self.ids, fence }
    }

    /// The cluster, if it is served here and belongs to `tenant`.
    pub(crate) fn cluster_of(&self, tenant: &TenantId, name: &ClusterName) -> Result<&Served, EngineError> {
        self.clusters.get(name).filter(|served| served.options.tenants.contains(tenant)).ok_or_else(|| {
            let own = self.clusters.iter().filter(|(_, served)| served.options.tenants.contains(tenant));
            let known: Vec<String> = own.map(|(name, _)| format!("`{name}`")).collect();
            let mend = if known.is_empty() {
                "no cluster is configured for this tenant".to_owned()
            } else {
                format!("use one of {}", known.join(", "))
            };
            EngineError::field("cluster", format!("there is no cluster `{name}`: {mend}"))
        })
    }

    /// The configured storage that `location` lies in, if `tenant` may use it.
    pub(crate) fn storage_for(
        &self,
        tenant: &TenantId,
        location: &StorageUri,
    ) -> Result<&Arc<dyn ObjectStorage>, EngineError> {
        let own = || self.locations.iter().filter(|known| known.tenants.contains(tenant));
        own().find(|known| known.storage.uri().contains(location)).map(|known| &known.storage).ok_or_else(
            || {
                let known: Vec<String> = own().map(|known| known.storage.uri().to_string()).collect();
                let mend = if known.is_empty() {
                    "no storage location is configured for this tenant".to_owned()
                } else {
                    format!("use a location below {}", known.join(" or "))
                };
                EngineError::field(
                    "storage_location",
                    format!("{location} is not a configured location: {mend}"),
                )
            },
        )
    }

    /// Refuses to restore into namespaces of a cluster into which something restores already. What
    /// belongs to another tenant is not named.
    pub(crate) async fn refuse_overlap(
        &self,
        tenant: &TenantId,
        cluster: Option<&ClusterState>,
        into: &[NamespaceName],
    ) -> Result<(), EngineError> {
        let Some(active) = cluster.and_then(|state| state.restore_into_any(into)) else { return Ok(()) };
        let scope = Scope::Tenant(tenant.clone());
        let is_own = match active.by {
            RestoredBy::Execution(id) => self.store.find::<RecoveryExecution>(&scope, id).await?.is_some(),
            RestoredBy::DrTest(id) => self.store.find::<DrTest>(&scope, id).await?.is_some(),
        };
        Err(EngineError::Blocked(if is_own {
            format!("{} is restoring into the same namespaces: wait for it or cancel it", active.by)
        } else {
            "another restore into the same namespaces is under way: wait for it to end".to_owned()
        }))
    }

    /// Wakes whoever waits for what a hint is about.
    pub(crate) fn wake(&self, hint: &StoreHint) {
        match hint {
            StoreHint::Everything => {
                self.committed.notify_one();
                self.sealed.notify_waiters();
                self.clusters.values().for_each(|served| served.wake.notify_one());
            }
            StoreHint::Committed => self.committed.notify_one(),
            StoreHint::Sealed => self.sealed.notify_waiters(),
            StoreHint::Work(cluster) => {
                if let Some(served) = self.clusters.get(cluster) {
                    served.wake.notify_one();
                }
            }
        }
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }
}
