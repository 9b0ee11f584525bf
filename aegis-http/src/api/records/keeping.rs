//! What keeps a record, and letting it go.

use aegis_core::{
    engine::HoldRequest,
    model::{DisplayName, RecordId, Timestamp},
    seams::{RecordQuery, Scope},
};
use axum::{extract::Path, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::wire::{RecordAnswer, RecordBody};
use crate::{
    app::App,
    auth::{Admin, Operator, Viewer},
    error::AppError,
    extract::{Body, Id},
    json::Json,
    wire::Fields,
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(delete_record))
        .routes(routes!(set_hold, release_hold))
        .routes(routes!(protect_record, unprotect_record))
        .routes(routes!(get_chain))
}

/// Deletes a record by a person's word: without grace, as soon as nothing keeps it.
///
/// What is held, locked, in use, or the last of its kind stays, and the answer says why.
#[utoipa::path(
    delete, path = "/backups/records/{record_id}", tag = "Backup records",
    params(("record_id" = String, Path)),
    responses((status = 202, description = "It goes", body = RecordAnswer))
)]
async fn delete_record(
    Admin(tenant): Admin,
    Id(id): Id<RecordId>,
) -> Result<(StatusCode, Json<RecordAnswer>), AppError> {
    let view = tenant.delete_record(id).await?;
    Ok((StatusCode::ACCEPTED, Json(RecordAnswer { record: RecordBody::detailed(&view) })))
}

/// A hold to set.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct SetHold {
    /// Why.
    #[schema(value_type = String, required)]
    reason: Option<String>,
    /// Until when; for ever unless given.
    #[schema(format = DateTime)]
    until: Option<String>,
}

/// Sets a hold: the record stays until it is lifted or runs out, whatever the rules say.
#[utoipa::path(
    put, path = "/backups/records/{record_id}/holds/{name}", tag = "Backup records",
    params(("record_id" = String, Path), ("name" = String, Path)), request_body = SetHold,
    responses((status = 200, description = "The record", body = RecordAnswer))
)]
async fn set_hold(
    Operator(tenant): Operator,
    Id(id): Id<RecordId>,
    Path((_, name)): Path<(String, String)>,
    body: Body<SetHold>,
) -> Result<Json<RecordAnswer>, AppError> {
    let mut fields = Fields::default();
    let name: Option<DisplayName> = fields.parse("name", Some(&name));
    let until: Option<Timestamp> = fields.parse("until", body.value.until.as_deref());
    let given = body.value.reason.filter(|reason| !reason.trim().is_empty());
    let is_given = given.is_some();
    let reason = fields.text("reason", given);
    if !is_given {
        fields.refuse("reason", "it is missing: say why the record stays");
    }
    if until.is_some_and(|until| until <= tenant.now()) {
        fields.refuse("until", "it has passed: give a time to come, or leave it out");
    }
    let hold = fields.finish(name.zip(reason).map(|(name, reason)| HoldRequest { name, reason, until }))?;
    Ok(Json(RecordAnswer { record: RecordBody::detailed(&tenant.hold_record(id, hold).await?) }))
}

/// Lifts a hold.
#[utoipa::path(
    delete, path = "/backups/records/{record_id}/holds/{name}", tag = "Backup records",
    params(("record_id" = String, Path), ("name" = String, Path)),
    responses((status = 204, description = "It is lifted"))
)]
async fn release_hold(
    Admin(tenant): Admin,
    Id(id): Id<RecordId>,
    Path((_, name)): Path<(String, String)>,
) -> Result<StatusCode, AppError> {
    let name: DisplayName = name.parse().map_err(|_| AppError::not_found("hold", &name))?;
    tenant.release_record(id, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Marks a record as never to expire, whatever the rules say.
#[utoipa::path(
    put, path = "/backups/records/{record_id}/protection", tag = "Backup records",
    params(("record_id" = String, Path)),
    responses((status = 200, description = "The record", body = RecordAnswer))
)]
async fn protect_record(
    Operator(tenant): Operator,
    Id(id): Id<RecordId>,
) -> Result<Json<RecordAnswer>, AppError> {
    let view = tenant.protect_record(id, true).await?;
    Ok(Json(RecordAnswer { record: RecordBody::detailed(&view) }))
}

/// Lets the rules decide about a record again.
#[utoipa::path(
    delete, path = "/backups/records/{record_id}/protection", tag = "Backup records",
    params(("record_id" = String, Path)),
    responses((status = 204, description = "The rules decide"))
)]
async fn unprotect_record(Admin(tenant): Admin, Id(id): Id<RecordId>) -> Result<StatusCode, AppError> {
    tenant.protect_record(id, false).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A full backup and what depends on it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChainAnswer {
    chain: ChainBody,
}

/// A full backup and what depends on it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Chain)]
pub(crate) struct ChainBody {
    id: String,
    /// Its records, the oldest first.
    records: Vec<RecordBody>,
}

/// The chain that a record belongs to.
#[utoipa::path(
    get, path = "/backups/records/{record_id}/chain", tag = "Backup records",
    params(("record_id" = String, Path)),
    responses((status = 200, description = "The chain", body = ChainAnswer))
)]
async fn get_chain(Viewer(tenant): Viewer, Id(id): Id<RecordId>) -> Result<Json<ChainAnswer>, AppError> {
    let chain = tenant.record(id).await?.record.chain;
    let mut query = RecordQuery::new(Scope::Tenant(tenant.id().clone()));
    query.chain = Some(chain);
    let views = tenant.records(query).await?.items;
    let records = views.iter().rev().map(RecordBody::of).collect();
    Ok(Json(ChainAnswer { chain: ChainBody { id: chain.to_string(), records } }))
}
