//! Putting an engine together.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicBool},
};

use rand::{TryRngCore, rngs::OsRng};
use tokio::sync::Notify;

use super::{
    core::{Core, Location, Served},
    kept::PerTenant,
};
use crate::{
    engine::{Aegis, ClusterOptions, EngineOptions, IdSource, SystemClock, TenantOptions},
    model::{ClusterName, DisplayName, NameError, StorageUri, TenantId},
    seams::{BackupDriver, Clock, DrCheck, HolderId, Notifier, ObjectStorage, Store},
};

/// Why an engine could not be put together. Class `InvalidInput`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No store was given.
    #[error("the engine has no store: give it one with `.store(…)`")]
    NoStore,
    /// No cluster was given.
    #[error("the engine has no cluster: give it one with `.cluster(name, driver)`")]
    NoCluster,
    /// A name is not valid.
    #[error("a name is not valid")]
    Name(#[from] NameError),
    /// Two clusters have one name.
    #[error("there are two clusters `{0}`: give each a name of its own")]
    TwoClusters(ClusterName),
    /// Two checks of DR tests have one name.
    #[error("there are two checks `{0}`: give each a name of its own")]
    TwoChecks(DisplayName),
    /// Two storage locations lie in one another.
    #[error("the storage locations {0} and {1} lie in one another: keep them apart")]
    Overlapping(StorageUri, StorageUri),
    /// A cluster or storage belongs to nobody.
    #[error("{0} belongs to no tenant: name at least one")]
    NoTenant(String),
    /// The system gave no random seed.
    #[error("the system gave no random seed for ids: {0}")]
    NoSeed(String),
}

/// A cluster as it was given: its name is validated when the engine is built.
type GivenCluster = (String, Arc<dyn BackupDriver>, Option<ClusterOptions>);
/// A storage as it was given, with its tenants where they are not the default.
type GivenStorage = (Arc<dyn ObjectStorage>, Option<Vec<TenantId>>);

/// Puts an engine together; see [`Aegis::builder`].
#[derive(Debug, Default)]
#[must_use]
pub struct AegisBuilder {
    store: Option<Arc<dyn Store>>,
    clock: Option<Arc<dyn Clock>>,
    clusters: Vec<GivenCluster>,
    locations: Vec<GivenStorage>,
    tenants: BTreeMap<TenantId, TenantOptions>,
    notifiers: Vec<Arc<dyn Notifier>>,
    checks: Vec<Arc<dyn DrCheck>>,
    options: EngineOptions,
    seed: Option<[u8; 32]>,
    holder: Option<String>,
}

impl AegisBuilder {
    /// Where the engine remembers. Required.
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// The engine's time; the machine's own if none is given.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// A cluster of the tenant `default`. At least one is required.
    pub fn cluster(mut self, name: impl Into<String>, driver: Arc<dyn BackupDriver>) -> Self {
        self.clusters.push((name.into(), driver, None));
        self
    }

    /// A cluster of other tenants, or with other limits.
    pub fn cluster_with(
        mut self,
        name: impl Into<String>,
        driver: Arc<dyn BackupDriver>,
        options: ClusterOptions,
    ) -> Self {
        self.clusters.push((name.into(), driver, Some(options)));
        self
    }

    /// A storage location of the tenant `default`.
    pub fn storage(mut self, storage: Arc<dyn ObjectStorage>) -> Self {
        self.locations.push((storage, None));
        self
    }

    /// A storage location of other tenants.
    pub fn storage_for(
        mut self,
        storage: Arc<dyn ObjectStorage>,
        tenants: impl IntoIterator<Item = TenantId>,
    ) -> Self {
        self.locations.push((storage, Some(tenants.into_iter().collect())));
        self
    }

    /// What holds for a tenant.
    pub fn tenant(mut self, tenant: TenantId, options: TenantOptions) -> Self {
        self.tenants.insert(tenant, options);
        self
    }

    /// Who wants to hear of events.
    pub fn notifier(mut self, notifier: Arc<dyn Notifier>) -> Self {
        self.notifiers.push(notifier);
        self
    }

    /// A check that DR tests can ask for by its name.
    pub fn dr_check(mut self, check: Arc<dyn DrCheck>) -> Self {
        self.checks.push(check);
        self
    }

    /// How the engine paces itself.
    pub fn options(mut self, options: EngineOptions) -> Self {
        self.options = options;
        self
    }

    /// The seed of ids, for runs that can be repeated. Two engines over one store must not share
    /// it. The system's randomness if none is given.
    pub const fn seed(mut self, seed: [u8; 32]) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Under which name the engine holds leases; minted if none is given. Two engines that run at
    /// the same time must not share it.
    pub fn holder(mut self, holder: impl Into<String>) -> Self {
        self.holder = Some(holder.into());
        self
    }

    /// Puts it together. Nothing runs yet.
    ///
    /// # Errors
    /// [`BuildError`] (invalid input), saying what is missing or wrong.
    pub fn build(self) -> Result<Aegis, BuildError> {
        let store = self.store.ok_or(BuildError::NoStore)?;
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        let everyone = vec![TenantId::new("default")?];
        let clusters = served(self.clusters, &everyone)?;
        let locations = locations(self.locations, &everyone)?;
        let mut tenants = self.tenants;
        let owners = clusters.values().flat_map(|served: &Served| served.options.tenants.iter());
        for tenant in owners {
            tenants.entry(tenant.clone()).or_default();
        }
        let seed = self.seed.map_or_else(system_seed, Ok)?;
        let ids = IdSource::from_seed(seed);
        let holder = self.holder.unwrap_or_else(|| {
            let id: crate::model::OperationId = ids.mint(clock.now());
            format!("engine-{id}")
        });
        Ok(Aegis::new(Core {
            started: clock.monotonic(),
            store,
            clock,
            ids,
            options: self.options,
            holder: HolderId(holder),
            clusters,
            locations,
            tenants,
            notifiers: self.notifiers,
            checks: checks(self.checks)?,
            rosters: PerTenant::default(),
            catalogues: PerTenant::default(),
            sealed: Notify::new(),
            committed: Notify::new(),
            closing: AtomicBool::new(false),
        }))
    }
}

fn served(
    clusters: Vec<GivenCluster>,
    everyone: &[TenantId],
) -> Result<BTreeMap<ClusterName, Served>, BuildError> {
    let mut map = BTreeMap::new();
    for (name, driver, options) in clusters {
        let name = ClusterName::new(name)?;
        let options = options.unwrap_or_else(|| ClusterOptions::for_tenants(everyone.iter().cloned()));
        if options.tenants.is_empty() {
            return Err(BuildError::NoTenant(format!("the cluster `{name}`")));
        }
        let served = Served { driver, options, wake: Notify::new() };
        if map.insert(name.clone(), served).is_some() {
            return Err(BuildError::TwoClusters(name));
        }
    }
    if map.is_empty() { Err(BuildError::NoCluster) } else { Ok(map) }
}

fn checks(checks: Vec<Arc<dyn DrCheck>>) -> Result<BTreeMap<DisplayName, Arc<dyn DrCheck>>, BuildError> {
    let mut map = BTreeMap::new();
    for check in checks {
        let name = check.name().clone();
        if map.insert(name.clone(), check).is_some() {
            return Err(BuildError::TwoChecks(name));
        }
    }
    Ok(map)
}

fn locations(storages: Vec<GivenStorage>, everyone: &[TenantId]) -> Result<Vec<Location>, BuildError> {
    let mut locations: Vec<Location> = Vec::new();
    for (storage, tenants) in storages {
        let tenants = tenants.unwrap_or_else(|| everyone.to_vec());
        let uri = storage.uri();
        if tenants.is_empty() {
            return Err(BuildError::NoTenant(format!("the storage location {uri}")));
        }
        let overlaps =
            |other: &&Location| other.storage.uri().contains(uri) || uri.contains(other.storage.uri());
        if let Some(other) = locations.iter().find(overlaps) {
            return Err(BuildError::Overlapping(other.storage.uri().clone(), uri.clone()));
        }
        locations.push(Location { storage, tenants });
    }
    Ok(locations)
}

fn system_seed() -> Result<[u8; 32], BuildError> {
    let mut seed = [0; 32];
    OsRng.try_fill_bytes(&mut seed).map_err(|error| BuildError::NoSeed(error.to_string()))?;
    Ok(seed)
}
