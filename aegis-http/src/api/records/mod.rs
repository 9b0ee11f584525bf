//! `/backups/records`: the recovery points in the catalogue.

mod keeping;
mod proving;
mod wire;

use aegis_core::{
    model::{ClusterName, RecordId, RecordState, StorageBackend, Timestamp},
    seams::{RecordQuery, Scope},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::wire::{RecordAnswer, RecordBody, RecordList};
use crate::{
    app::App,
    auth::Viewer,
    error::AppError,
    extract::{Id, Params, id_from},
    json::Json,
    wire::{bound, days_ago, list_params},
};

/// How far back a list goes unless it says otherwise.
const USUAL_DAYS: u64 = 90;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_records))
        .routes(routes!(get_record))
        .merge(keeping::routes())
        .merge(proving::routes())
}

list_params! {
    /// Which records.
    RecordParams {
        /// Of this cluster.
        #[param(value_type = Option<String>)]
        cluster: Option<ClusterName>,
        /// Made at this time or later; 90 days ago unless given.
        #[param(value_type = Option<String>, format = DateTime)]
        from: Option<Timestamp>,
        /// Made before this time.
        #[param(value_type = Option<String>, format = DateTime)]
        to: Option<Timestamp>,
        /// With a copy in such a storage: `local`, `s3`, `gcs` or `azure_blob`.
        #[param(value_type = Option<String>)]
        storage_backend: Option<StorageBackend>,
        /// Of this policy.
        policy_id: Option<String>,
        /// In this state; those whose data is there unless given.
        #[param(value_type = Option<String>)]
        state: Option<RecordState>,
    }
}

/// Records, the newest first.
#[utoipa::path(
    get, path = "/backups/records", tag = "Backup records", params(RecordParams),
    responses((status = 200, description = "A page of records", body = RecordList))
)]
async fn list_records(
    Viewer(tenant): Viewer,
    Params(params): Params<RecordParams>,
) -> Result<Json<RecordList>, AppError> {
    let page = params.page();
    let mut query = RecordQuery::new(Scope::Tenant(tenant.id().clone())).with_window(page.window()?);
    query.from = Some(params.from.map_or_else(|| days_ago(&tenant, USUAL_DAYS), bound));
    query.to = params.to.map(bound);
    query.cluster = params.cluster;
    query.policy = params.policy_id.as_deref().map(id_from).transpose()?;
    query.backend = params.storage_backend;
    query.states = match params.state {
        Some(state) => vec![state],
        None => RecordState::THERE.to_vec(),
    };
    // The total is of the page's own snapshot; only the size is asked for apart.
    let totals = if query.window.count { Some(tenant.record_totals(query.clone()).await?) } else { None };
    let listing = tenant.records(query).await?;
    let last = listing.items.last().map(|view| (view.record.created_at, view.record.id.as_uuid()));
    Ok(Json(RecordList {
        next_cursor: page.next_cursor(listing.items.len(), last),
        records: listing.items.iter().map(RecordBody::of).collect(),
        total: listing.total,
        total_size_bytes: totals.map(|totals| totals.stored.0),
    }))
}

/// One record.
#[utoipa::path(
    get, path = "/backups/records/{record_id}", tag = "Backup records", params(("record_id" = String, Path)),
    responses((status = 200, description = "The record", body = RecordAnswer))
)]
async fn get_record(Viewer(tenant): Viewer, Id(id): Id<RecordId>) -> Result<Json<RecordAnswer>, AppError> {
    Ok(Json(RecordAnswer { record: RecordBody::detailed(&tenant.record(id).await?) }))
}
