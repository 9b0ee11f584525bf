//! What is kept in mind of each tenant, from one question to the next.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use crate::model::TenantId;

/// One value for each tenant that somebody asked about.
pub(crate) struct PerTenant<T>(Mutex<HashMap<TenantId, Kept<T>>>);

/// One tenant's. Who asks waits for whoever asked before to bring it up to date.
pub(crate) type Kept<T> = Arc<tokio::sync::Mutex<Option<Arc<T>>>>;

impl<T> PerTenant<T> {
    pub(crate) fn of(&self, tenant: &TenantId) -> Kept<T> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(tenant.clone()).or_default())
    }
}

impl<T> Default for PerTenant<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> fmt::Debug for PerTenant<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerTenant").finish_non_exhaustive()
    }
}
