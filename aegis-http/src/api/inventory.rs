//! `/clusters` and `/storage/locations`: what the tenant has, by configuration.

use aegis_core::model::ClusterName;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{app::App, auth::Viewer, error::AppError, json::Json};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_clusters)).routes(routes!(list_locations))
}

/// The tenant's clusters.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClusterList {
    clusters: Vec<ClusterBody>,
}

/// A protected system, and what can be done with it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Cluster)]
pub(crate) struct ClusterBody {
    name: String,
    driver: String,
    /// Kinds of backup that it can make.
    kinds: Vec<String>,
    /// Levels up to which a record of it can be verified.
    verification: Vec<String>,
    /// What else it can do.
    features: Vec<String>,
    /// What instant its backups reflect.
    consistency: String,
}

/// The tenant's storage locations.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LocationList {
    locations: Vec<LocationBody>,
}

/// Where copies can lie.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StorageLocation)]
pub(crate) struct LocationBody {
    storage_location: String,
    storage_backend: String,
    /// `connected` or `disconnected`.
    status: &'static str,
}

fn words<T: ToString>(labels: impl IntoIterator<Item = T>) -> Vec<String> {
    labels.into_iter().map(|label| label.to_string()).collect()
}

/// The clusters that this server serves, by name.
#[utoipa::path(
    get, path = "/clusters", tag = "Configuration",
    responses((status = 200, description = "The clusters", body = ClusterList))
)]
async fn list_clusters(Viewer(tenant): Viewer) -> Result<Json<ClusterList>, AppError> {
    let describe = |name: &ClusterName| -> Result<ClusterBody, AppError> {
        let capabilities = tenant.capabilities(name)?;
        Ok(ClusterBody {
            name: name.to_string(),
            driver: capabilities.driver.to_owned(),
            kinds: words(&capabilities.kinds),
            verification: words(&capabilities.verification),
            features: words(&capabilities.features),
            consistency: capabilities.consistency.to_string(),
        })
    };
    let clusters = tenant.clusters().map(describe).collect::<Result<_, _>>()?;
    Ok(Json(ClusterList { clusters }))
}

/// The storage locations, and whether they answer.
#[utoipa::path(
    get, path = "/storage/locations", tag = "Configuration",
    responses((status = 200, description = "The locations", body = LocationList))
)]
async fn list_locations(State(app): State<App>, Viewer(tenant): Viewer) -> Json<LocationList> {
    let health = app.health().await;
    let locations = tenant.locations().map(|location| LocationBody {
        storage_location: location.to_string(),
        storage_backend: location.backend().to_string(),
        status: match health.locations.get(location) {
            Some(connection) if connection.is_connected() => "connected",
            _ => "disconnected",
        },
    });
    Json(LocationList { locations: locations.collect() })
}
