//! What an embedder can set.

use std::collections::BTreeMap;

use aegis_core::model::TenantId;

use crate::{auth::Access, lifecycle::Lifecycle, limits::LimitProfile, metrics::Metrics};

/// How the API is served. The default asks nobody who they are and answers to this machine alone.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpOptions {
    /// How callers are known.
    pub access: Access,
    /// Whether requests are taken. Keep a clone to say when.
    pub lifecycle: Lifecycle,
    /// What the engine remembers in, for `GET /health`.
    pub store: StoreKind,
    /// The most bytes that a body may have; 1 MiB unless set.
    pub max_body: usize,
    /// The most bytes that a path with its query may have; 8 KiB unless set.
    pub max_uri: usize,
    /// The most that listen to `/api/v1/events` at a time; 4096 unless set.
    pub max_listeners: usize,
    /// How often tenants may ask; as often as they like where nothing is said.
    pub limits: BTreeMap<TenantId, LimitProfile>,
    /// Where `/metrics` takes its figures from; there are none unless set.
    pub metrics: Option<Metrics>,
}

/// What the engine remembers in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StoreKind {
    /// PostgreSQL.
    PostgreSql,
    /// Something else.
    #[default]
    Other,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            access: Access::Open,
            lifecycle: Lifecycle::default(),
            store: StoreKind::Other,
            max_body: 1024 * 1024,
            max_uri: 8 * 1024,
            max_listeners: 4096,
            limits: BTreeMap::new(),
            metrics: None,
        }
    }
}

impl HttpOptions {
    /// With callers known so.
    #[must_use]
    pub fn with_access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// With this say over whether requests are taken.
    #[must_use]
    pub fn with_lifecycle(mut self, lifecycle: Lifecycle) -> Self {
        self.lifecycle = lifecycle;
        self
    }

    /// With an engine that remembers in this.
    #[must_use]
    pub fn with_store(mut self, store: StoreKind) -> Self {
        self.store = store;
        self
    }

    /// With such limits to how often a tenant may ask.
    #[must_use]
    pub fn with_limits(mut self, tenant: TenantId, limits: LimitProfile) -> Self {
        self.limits.insert(tenant, limits);
        self
    }

    /// With these figures at `/metrics`.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = Some(metrics);
        self
    }
}
