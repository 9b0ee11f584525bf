//! A handle for one tenant, and what all its calls share.

use std::{fmt, sync::Arc};

use super::Once;
use crate::{
    engine::{
        EngineError,
        decide::Decider,
        runtime::{Core, Outcome, RETRIES, commit},
    },
    model::{ClusterName, Principal, StorageUri, Stored, TenantId, Timestamp, Version, Versioned},
    seams::{Capabilities, Changeset, Conflict, Scope, StoreExt},
};

/// Everything that one principal can do for one tenant. What belongs to another tenant does not
/// exist for it.
///
/// Every call that changes something is cancel safe: dropped, it has happened whole or not at all.
/// Each answers `Unavailable` or `Internal` if the store does not do its part.
#[derive(Clone, Debug)]
pub struct Tenant {
    pub(super) core: Arc<Core>,
    pub(super) tenant: TenantId,
    pub(super) principal: Principal,
    pub(super) once: Option<Once>,
    pub(super) if_version: Option<Version>,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<T> {
    /// The part that was asked for.
    pub items: Vec<T>,
    /// How many match in all, if that was asked for.
    pub total: Option<u64>,
}

impl Tenant {
    pub(crate) const fn new(core: Arc<Core>, tenant: TenantId, principal: Principal) -> Self {
        Self { core, tenant, principal, once: None, if_version: None }
    }

    /// Whose things these are.
    #[must_use]
    pub const fn id(&self) -> &TenantId {
        &self.tenant
    }

    /// Who asks.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The present instant, by the engine's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.core.clock.now()
    }

    /// The same, with a request that takes effect only while the policy or plan that it is about is at
    /// this version, and is refused as `VersionConflict` otherwise; whatever its version if `None`.
    /// Serves one call.
    #[must_use]
    pub const fn if_version(mut self, version: Option<Version>) -> Self {
        self.if_version = version;
        self
    }

    /// Refuses what is not at the version that the request rests on.
    pub(super) fn check_version<T: Stored>(&self, found: &Versioned<T>) -> Result<(), EngineError> {
        match self.if_version {
            Some(version) if version != found.version => {
                Err(EngineError::VersionConflict { what: T::KIND.as_str() })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn scope(&self) -> Scope {
        Scope::Tenant(self.tenant.clone())
    }

    pub(super) fn decider(&self) -> Decider<'_> {
        self.core.decider(None)
    }

    pub(super) fn changeset(&self, decider: &Decider<'_>) -> Changeset {
        decider.changeset_by(self.principal.clone())
    }

    /// One entity of the tenant.
    pub(super) async fn find<T>(&self, id: T::Key) -> Result<Versioned<T>, EngineError>
    where
        T: Stored<Key: Clone + fmt::Display + Send>,
    {
        let found = self.core.store.find::<T>(&self.scope(), id.clone()).await?;
        found.ok_or_else(|| EngineError::not_found(T::KIND.as_str(), id))
    }

    /// Reads an entity, decides, commits; decides anew when a race was lost.
    pub(super) async fn change<T>(
        &self,
        id: T::Key,
        decide: impl Fn(&Decider<'_>, &Versioned<T>, Changeset) -> Result<Changeset, EngineError> + Send,
    ) -> Result<Versioned<T>, EngineError>
    where
        T: Stored<Key: Clone + fmt::Display + Send>,
    {
        for _ in 0..RETRIES {
            let read = self.find::<T>(id.clone()).await?;
            let changeset = {
                let decider = self.decider();
                let changeset = self.changeset(&decider);
                decide(&decider, &read, changeset)?
            };
            if self.commit(changeset).await?.is_none() {
                return self.find::<T>(id).await.map_err(EngineError::after_change);
            }
        }
        Err(EngineError::VersionConflict { what: T::KIND.as_str() })
    }

    /// Commits; what no longer holds comes back.
    pub(super) async fn commit(&self, changeset: Changeset) -> Result<Option<Conflict>, EngineError> {
        if self.core.is_closing() {
            return Err(EngineError::ShuttingDown);
        }
        match commit(&self.core, changeset).await? {
            Outcome::Applied => Ok(None),
            Outcome::Conflict(conflict) => self.unless_done(conflict).map(Some),
        }
    }

    /// The location of a request: the one that it names, or the tenant's only one.
    pub(super) fn location(&self, named: Option<StorageUri>) -> Result<StorageUri, EngineError> {
        if let Some(location) = named {
            self.core.storage_for(&self.tenant, &location)?;
            return Ok(location);
        }
        if let Some(only) = self.only_location() {
            return Ok(only.clone());
        }
        let message = match self.locations().next() {
            Some(_) => "there are several locations: name one",
            None => "no storage location is configured",
        };
        Err(EngineError::field("storage_location", message))
    }

    /// The tenant's location if there is one only: the one that is meant where none is named.
    #[must_use]
    pub fn only_location(&self) -> Option<&StorageUri> {
        let mut own = self.locations();
        own.next().filter(|_| own.next().is_none())
    }

    /// The tenant's clusters, by name.
    pub fn clusters(&self) -> impl Iterator<Item = &ClusterName> {
        let own = self.core.clusters.iter();
        own.filter(|(_, served)| served.options.tenants.contains(&self.tenant)).map(|(name, _)| name)
    }

    /// What the driver of one of the tenant's clusters can do.
    ///
    /// # Errors
    /// `InvalidInput` if the tenant has no such cluster, with those that it has.
    pub fn capabilities(&self, cluster: &ClusterName) -> Result<&Capabilities, EngineError> {
        Ok(self.core.cluster_of(&self.tenant, cluster)?.driver.capabilities())
    }

    /// The tenant's storage locations.
    pub fn locations(&self) -> impl Iterator<Item = &StorageUri> {
        let own = self.core.locations.iter().filter(|known| known.tenants.contains(&self.tenant));
        own.map(|known| known.storage.uri())
    }
}
