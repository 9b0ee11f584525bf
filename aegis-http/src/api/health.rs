//! `/health`, `/livez`, `/readyz`: whether the service works.

use std::collections::BTreeMap;

use aegis_core::engine::{Aegis, Connection, Health, Tenant};
use axum::{extract::State, http::StatusCode};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{app::App, auth::Maybe, error::AppError, json::Json, lifecycle::Phase, options::StoreKind};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_health)).routes(routes!(get_livez)).routes(routes!(get_readyz))
}

/// Whether the service works.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Health)]
pub(crate) struct HealthBody {
    /// `healthy` or `degraded`.
    status: &'static str,
    service: &'static str,
    version: &'static str,
    uptime_seconds: u64,
    dependencies: Dependencies,
    /// Each cluster of the tenant: for those who are signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    clusters: Option<BTreeMap<String, &'static str>>,
    /// Each storage location of the tenant: for those who are signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    locations: Option<BTreeMap<String, &'static str>>,
}

/// What the service depends on: `connected`, `disconnected` or `not_configured`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Dependencies {
    postgresql: &'static str,
    redis: &'static str,
    velero: &'static str,
    kubernetes: &'static str,
    /// The store, if it is not PostgreSQL.
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<&'static str>,
    /// The worst of all storage locations.
    storage: &'static str,
}

const NOT_CONFIGURED: &str = "not_configured";

const fn word(connection: &Connection) -> &'static str {
    if connection.is_connected() { "connected" } else { "disconnected" }
}

/// The worst of them; not configured if there are none.
fn worst<'a>(connections: impl Iterator<Item = &'a Connection>) -> &'static str {
    let words = connections.map(word);
    words.max_by_key(|word| *word == "disconnected").unwrap_or(NOT_CONFIGURED)
}

impl HealthBody {
    fn of(engine: &Aegis, store: &StoreKind, health: &Health, caller: Option<&Tenant>) -> Self {
        let velero = engine.clusters().filter(|(_, capabilities)| capabilities.driver == "velero");
        let velero = worst(velero.filter_map(|(name, _)| health.clusters.get(name)));
        let (postgresql, other) = match store {
            StoreKind::PostgreSql => (word(&health.store), None),
            StoreKind::Other => (NOT_CONFIGURED, Some(word(&health.store))),
        };
        Self {
            status: if health.is_healthy() { "healthy" } else { "degraded" },
            service: "aegis",
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: health.uptime.as_secs(),
            dependencies: Dependencies {
                postgresql,
                redis: NOT_CONFIGURED,
                velero,
                kubernetes: velero,
                store: other,
                storage: worst(health.locations.values()),
            },
            clusters: caller.map(|tenant| named(tenant.clusters(), &health.clusters)),
            locations: caller.map(|tenant| named(tenant.locations(), &health.locations)),
        }
    }
}

fn named<'a, K: Ord + ToString + 'a>(
    own: impl Iterator<Item = &'a K>,
    all: &BTreeMap<K, Connection>,
) -> BTreeMap<String, &'static str> {
    own.filter_map(|key| Some((key.to_string(), word(all.get(key)?)))).collect()
}

/// Whether the service and all that it depends on work.
///
/// Names clusters and locations only to those who are signed in, and only their own.
#[utoipa::path(
    get, path = "/health", tag = "Service",
    responses(
        (status = 200, description = "All of it works", body = HealthBody),
        (status = 401, description = "There is a token, and it is not known", body = crate::error::ErrorBody),
        (status = 503, description = "Some of it does not", body = HealthBody),
    )
)]
async fn get_health(
    State(app): State<App>,
    Maybe(caller): Maybe,
) -> Result<(StatusCode, Json<HealthBody>), AppError> {
    let health = app.health().await;
    let status = if health.is_healthy() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = HealthBody::of(&app.engine, &app.options.store, &health, caller.as_ref());
    Ok((status, Json(body)))
}

/// What a probe is told.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Probe {
    /// `ok`, `starting`, `draining` or `store_unavailable`.
    status: &'static str,
}

/// Whether the process answers at all.
#[utoipa::path(
    get, path = "/livez", tag = "Service",
    responses((status = 200, description = "It does", body = Probe))
)]
async fn get_livez() -> Json<Probe> {
    Json(Probe { status: "ok" })
}

/// Whether requests are taken.
#[utoipa::path(
    get, path = "/readyz", tag = "Service",
    responses(
        (status = 200, description = "They are", body = Probe),
        (status = 503, description = "They are not", body = Probe),
    )
)]
async fn get_readyz(State(app): State<App>) -> (StatusCode, Json<Probe>) {
    let away = match app.options.lifecycle.phase() {
        Phase::Starting => Some("starting"),
        Phase::Draining => Some("draining"),
        Phase::Serving if app.engine.store_connection().await.is_connected() => None,
        Phase::Serving => Some("store_unavailable"),
    };
    let status = if away.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (status, Json(Probe { status: away.unwrap_or("ok") }))
}
