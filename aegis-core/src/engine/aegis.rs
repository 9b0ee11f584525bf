//! The engine as an embedder holds it.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use tokio::sync::Mutex;

use super::{
    AegisBuilder, EngineError, Running, Tenant,
    runtime::{Core, Reader, Worker},
};
use crate::{
    model::{ClusterName, Principal, TenantId},
    seams::{Clock, StoreHint},
};

/// The engine: protects clusters through their drivers, remembers in a store, and answers for what
/// it did. Cloning gives another handle to the same engine.
///
/// It does nothing by itself until it is [started](Self::start), or [stepped](Self::pass) by hand.
#[derive(Clone)]
pub struct Aegis {
    core: Arc<Core>,
    by_hand: Arc<Mutex<ByHand>>,
}

/// The loops of an engine that is stepped by hand.
struct ByHand {
    workers: BTreeMap<ClusterName, Worker>,
    readers: Vec<Reader>,
}

impl fmt::Debug for Aegis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Aegis").field(&self.core).finish()
    }
}

impl Aegis {
    /// Begins to put an engine together.
    pub fn builder() -> AegisBuilder {
        AegisBuilder::default()
    }

    pub(crate) fn new(core: Core) -> Self {
        let core = Arc::new(core);
        let workers = core.clusters.keys();
        let by_hand = ByHand {
            workers: workers
                .map(|name| (name.clone(), Worker::new(Arc::clone(&core), name.clone())))
                .collect(),
            readers: Reader::all(&core),
        };
        Self { core, by_hand: Arc::new(Mutex::new(by_hand)) }
    }

    pub(crate) const fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Starts the engine's loops on the current tokio runtime.
    pub fn start(&self) -> Running {
        Running::start(self)
    }

    /// One pass over everything that is due, on the caller's own task, and how long the next one
    /// can wait: for tests, simulations, and embedders with loops of their own.
    ///
    /// It waits on the clock only before it commits anew what the store did not answer.
    ///
    /// Cancel safe: what a dropped pass left is found by the next. Not beside
    /// [`start`](Self::start) on the same handle: the two would hold the same leases.
    pub async fn pass(&self) -> Duration {
        let mut by_hand = self.by_hand.lock().await;
        let ByHand { workers, readers } = &mut *by_hand;
        let mut pause = self.core.options.idle_interval;
        for worker in workers.values_mut() {
            pause = pause.min(worker.pass().await);
        }
        for reader in readers {
            reader.pass(&self.core).await;
        }
        // Only loops hear the store's hints.
        self.core.wake(&StoreHint::Sealed);
        pause
    }

    /// The clock that everything here goes by.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        &*self.core.clock
    }

    /// Everything that `principal` can do for `tenant`.
    ///
    /// # Errors
    /// `NotFound` if the engine serves nothing of this tenant.
    pub fn tenant(&self, tenant: TenantId, principal: Principal) -> Result<Tenant, EngineError> {
        if self.core.tenants.contains_key(&tenant) {
            Ok(Tenant::new(Arc::clone(&self.core), tenant, principal))
        } else {
            Err(EngineError::not_found("tenant", &tenant))
        }
    }

    /// Everything that the person at the machine can do for the tenant `default`.
    ///
    /// # Errors
    /// `NotFound` if the engine serves nothing of that tenant.
    pub fn default_tenant(&self) -> Result<Tenant, EngineError> {
        let tenant = TenantId::new("default").map_err(|error| EngineError::Internal(error.to_string()))?;
        let admin = Principal::new("admin").map_err(|error| EngineError::Internal(error.to_string()))?;
        self.tenant(tenant, admin)
    }
}
