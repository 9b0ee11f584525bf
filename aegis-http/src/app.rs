//! What every handler shares.

use std::{
    ops::Deref,
    sync::{Arc, OnceLock},
    time::Duration,
};

use aegis_core::{
    engine::{Aegis, Health},
    model::TenantId,
    seams::Monotonic,
};
use axum::{body::Bytes, http::request::Parts};
use tokio::sync::{Mutex, Semaphore};
use utoipa::openapi::OpenApi;

use crate::{
    api::events::Feed,
    auth::{Identity, Role},
    error::AppError,
    limits::Limiter,
    openapi,
    options::HttpOptions,
    request::RequestIds,
};

/// How long what was found out about what the service depends on is good enough to be told.
const FRESH: Duration = Duration::from_secs(5);

/// What every handler shares. Cloning shares it.
#[derive(Clone, Debug)]
pub(crate) struct App(Arc<Shared>);

/// The insides of [`App`].
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) engine: Aegis,
    pub(crate) options: HttpOptions,
    /// Who everyone is where access is open.
    pub(crate) admin: Option<Identity>,
    /// What happens, for those who listen.
    pub(crate) feed: Arc<Feed>,
    /// Places for those who listen.
    pub(crate) places: Arc<Semaphore>,
    limiter: Limiter,
    pub(crate) request_ids: RequestIds,
    /// What the service depends on, as it was when it was last asked.
    probed: Mutex<Option<(Monotonic, Health)>>,
    /// The OpenAPI document, once the routes are known.
    pub(crate) document: OnceLock<Bytes>,
}

impl App {
    pub(crate) fn new(engine: Aegis, options: HttpOptions) -> Self {
        let named = "default".parse().ok().zip("admin".parse().ok());
        let admin = named.map(|(tenant, principal)| Identity { tenant, principal, role: Role::Admin });
        let feed = Arc::new(Feed::new(engine.clone()));
        let places = Arc::new(Semaphore::new(options.max_listeners));
        Self(Arc::new(Shared {
            engine,
            options,
            admin,
            feed,
            places,
            limiter: Limiter::default(),
            request_ids: RequestIds::default(),
            probed: Mutex::new(None),
            document: OnceLock::new(),
        }))
    }

    /// Counts a call of a caller who may make it.
    ///
    /// # Errors
    /// `rate_limited` if the tenant made too many of its class.
    pub(crate) fn count(&self, tenant: &TenantId, parts: &Parts) -> Result<(), AppError> {
        match self.options.limits.get(tenant) {
            Some(profile) => self.limiter.count(&self.engine, *profile, tenant, parts),
            None => Ok(()),
        }
    }

    /// Whether what the service depends on answers, as it was a few seconds ago at most: asking is
    /// not free, and anyone may ask.
    pub(crate) async fn health(&self) -> Health {
        let mut probed = self.probed.lock().await;
        let now = self.engine.clock().monotonic();
        let known = probed.as_ref().map(|(at, health)| (now.since(*at), health));
        if let Some((age, health)) = known.filter(|(age, _)| *age < FRESH) {
            return Health { uptime: health.uptime.saturating_add(age), ..health.clone() };
        }
        let health = self.engine.health().await;
        *probed = Some((now, health.clone()));
        health
    }

    /// Keeps the document of the routes, to be served.
    pub(crate) fn keep_document(&self, generated: &OpenApi) {
        let document = openapi::complete(generated).and_then(|document| serde_json::to_vec(&document));
        match document {
            Ok(document) => drop(self.document.set(document.into())),
            Err(error) => tracing::error!(%error, "the OpenAPI document can't be written down"),
        }
    }
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
