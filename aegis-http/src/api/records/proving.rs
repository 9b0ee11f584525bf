//! Proving a record, and looking into it.

use aegis_core::{
    engine::{EngineError, Tenant},
    model::{EntityKey, RecordId, Verification, VerificationLevel, Versioned},
    seams::BrowsePage,
};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    auth::{Operator, Viewer},
    error::AppError,
    extract::{Id, OptionalBody, Params},
    idempotency::{IdempotencyKey, once, stray},
    json::Json,
    wire::{Fields, Time, lines, list_params},
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(verify_record))
        .routes(routes!(list_verifications))
        .routes(routes!(list_record_files))
}

/// How to check a record.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(crate) struct VerifyRecord {
    /// How deep, from `L1` to `L5`; the deepest that the driver can unless given.
    level: Option<String>,
}

/// A check of a record.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VerificationAnswer {
    verification: VerificationBody,
}

/// The checks of a record.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VerificationList {
    /// The newest first.
    verifications: Vec<VerificationBody>,
    /// How many there are in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    /// Where the next page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// A check of a record.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Verification)]
pub(crate) struct VerificationBody {
    id: String,
    backup_record_id: String,
    /// How deep it is to go.
    level: String,
    /// `running`, `passed`, `failed` or `not_run`, which is not passed.
    status: String,
    /// The deepest level that passed.
    passed_level: Option<String>,
    started_at: Time,
    completed_at: Option<Time>,
    requested_by: String,
    bytes_read: Option<u64>,
    /// Why it failed or was not run.
    reason: Option<String>,
    errors: Vec<String>,
}

impl VerificationBody {
    fn of(verification: &Verification) -> Self {
        Self {
            id: verification.id.to_string(),
            backup_record_id: verification.record.id.to_string(),
            level: verification.level.to_string(),
            status: verification.status.to_string(),
            passed_level: verification.passed_level.map(|level| level.to_string()),
            started_at: verification.started_at.into(),
            completed_at: verification.completed_at.map(Time),
            requested_by: verification.requested_by.to_string(),
            bytes_read: verification.bytes_read.map(|bytes| bytes.0),
            reason: verification.reason.clone(),
            errors: lines(&verification.errors),
        }
    }
}

/// Asks for a check of a record.
#[utoipa::path(
    post, path = "/backups/records/{record_id}/verify", tag = "Backup records",
    params(("record_id" = String, Path)), request_body = Option<VerifyRecord>,
    responses((status = 202, description = "It has begun", body = VerificationAnswer))
)]
async fn verify_record(
    Operator(tenant): Operator,
    Id(id): Id<RecordId>,
    key: IdempotencyKey,
    OptionalBody(body): OptionalBody<VerifyRecord>,
) -> Result<(StatusCode, Json<VerificationAnswer>), AppError> {
    let mut fields = Fields::default();
    let level = fields.parse("level", body.value.level.as_deref());
    fields.finish(Some(()))?;
    let level = match level {
        Some(level) => level,
        None => deepest(&tenant, id).await?,
    };
    let tenant = key.of(tenant, body.fingerprint);
    let verification =
        once(&tenant, tenant.verify_record(id, level), |made| made_before(&tenant, made)).await?;
    let verification = VerificationBody::of(&verification);
    Ok((StatusCode::ACCEPTED, Json(VerificationAnswer { verification })))
}

/// The deepest level up to which the driver of the record's cluster can check it.
async fn deepest(tenant: &Tenant, id: RecordId) -> Result<VerificationLevel, AppError> {
    let record = tenant.record(id).await?.record;
    let levels = &tenant.capabilities(&record.cluster)?.verification;
    Ok(levels.last().copied().unwrap_or(VerificationLevel::Present))
}

async fn made_before(tenant: &Tenant, made: EntityKey) -> Result<Versioned<Verification>, EngineError> {
    match made {
        EntityKey::Verification(id) => tenant.verification(id).await,
        other => Err(stray(&other)),
    }
}

list_params! {
    /// Which checks.
    VerificationParams {}
}

/// The checks of a record, the newest first.
#[utoipa::path(
    get, path = "/backups/records/{record_id}/verifications", tag = "Backup records",
    params(("record_id" = String, Path), VerificationParams),
    responses((status = 200, description = "A page of checks", body = VerificationList))
)]
async fn list_verifications(
    Viewer(tenant): Viewer,
    Id(id): Id<RecordId>,
    Params(params): Params<VerificationParams>,
) -> Result<Json<VerificationList>, AppError> {
    let page = params.page();
    let listing = tenant.verifications(id, page.window()?).await?;
    let last = listing.items.last().map(|check| (check.started_at, check.id.as_uuid()));
    Ok(Json(VerificationList {
        next_cursor: page.next_cursor(listing.items.len(), last),
        verifications: listing.items.iter().map(|check| VerificationBody::of(check)).collect(),
        total: listing.total,
    }))
}

/// Which entries of a record.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct FileParams {
    /// The folder to list; the record's root unless given.
    path: Option<String>,
    /// `next` of the page before.
    after: Option<String>,
    /// The most entries; 100 unless given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// A page of a record's entries.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FileList {
    /// The entries directly below the path, by name.
    entries: Vec<FileBody>,
    /// Send as `after` for the next page; `null` at the end.
    next: Option<String>,
}

/// An entry of a record.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RecordEntry)]
pub(crate) struct FileBody {
    name: String,
    /// `file`, `directory`, `symlink` or `other`.
    kind: String,
    size_bytes: Option<u64>,
    modified_at: Option<Time>,
}

impl FileList {
    fn of(page: BrowsePage) -> Self {
        let entries = page.entries.into_iter().map(|entry| FileBody {
            name: entry.name,
            kind: entry.kind.to_string(),
            size_bytes: entry.size,
            modified_at: entry.modified_at.map(Time),
        });
        Self { entries: entries.collect(), next: page.next }
    }
}

/// What a record holds directly below a path, where its driver can say so.
#[utoipa::path(
    get, path = "/backups/records/{record_id}/files", tag = "Backup records",
    params(("record_id" = String, Path), FileParams),
    responses((status = 200, description = "A page of entries", body = FileList))
)]
async fn list_record_files(
    Viewer(tenant): Viewer,
    Id(id): Id<RecordId>,
    Params(params): Params<FileParams>,
) -> Result<Json<FileList>, AppError> {
    let limit = params.limit.unwrap_or(100);
    if !(1..=1000).contains(&limit) {
        return Err(AppError::new(crate::ErrorCode::BadRequest, "limit: use 1 to 1000"));
    }
    let path = params.path.unwrap_or_default();
    Ok(Json(FileList::of(tenant.browse_record(id, &path, params.after, limit).await?)))
}
