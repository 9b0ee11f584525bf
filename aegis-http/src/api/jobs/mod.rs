//! `/backups/jobs`: backups that are to be made, run, or ran.

mod wire;

use aegis_core::{
    engine::{EngineError, JobView, Tenant},
    model::{ClusterName, EntityKey, JobId, JobStatus, Timestamp},
    seams::{JobQuery, Scope},
};
use axum::http::StatusCode;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::wire::{CreateJob, JobList};
pub(crate) use self::wire::{JobAnswer, JobBody, ProgressBody, SizesBody, message_of};
use crate::{
    app::App,
    auth::{Operator, Viewer},
    error::AppError,
    extract::{Body, Id, Params, id_from},
    idempotency::{IdempotencyKey, once, stray},
    json::Json,
    wire::{bound, days_ago, list_params},
};

/// How far back a list goes unless it says otherwise.
const USUAL_DAYS: u64 = 30;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create_job, list_jobs))
        .routes(routes!(get_job, delete_job))
        .routes(routes!(get_job_progress))
}

list_params! {
    /// Which jobs.
    JobParams {
        /// Of this cluster.
        #[param(value_type = Option<String>)]
        cluster: Option<ClusterName>,
        /// In this state.
        #[param(value_type = Option<String>)]
        status: Option<JobStatus>,
        /// Of this policy.
        policy_id: Option<String>,
        /// Made at this time or later; 30 days ago unless given.
        #[param(value_type = Option<String>, format = DateTime)]
        from: Option<Timestamp>,
        /// Made before this time.
        #[param(value_type = Option<String>, format = DateTime)]
        to: Option<Timestamp>,
    }
}

/// Makes a backup job; it starts as soon as the limits permit.
#[utoipa::path(
    post, path = "/backups/jobs", tag = "Backup jobs", request_body = CreateJob,
    responses((status = 201, description = "The job", body = JobAnswer))
)]
async fn create_job(
    Operator(tenant): Operator,
    key: IdempotencyKey,
    body: Body<CreateJob>,
) -> Result<(StatusCode, Json<JobAnswer>), AppError> {
    let wants_volumes = body.value.include_volumes == Some(true);
    let tenant = key.of(tenant, body.fingerprint);
    let new = body.value.read(&tenant)?;
    let view = once(&tenant, tenant.create_job(new), |made| made_before(&tenant, made)).await?;
    let mut job = JobBody::detailed(&view);
    if wants_volumes {
        job.warn_of_volumes(&tenant, &view.job.cluster);
    }
    Ok((StatusCode::CREATED, Json(JobAnswer { job })))
}

/// The job that a request made when it was sent before.
pub(crate) async fn made_before(tenant: &Tenant, made: EntityKey) -> Result<JobView, EngineError> {
    match made {
        EntityKey::Job(id) => tenant.job(id).await,
        other => Err(stray(&other)),
    }
}

/// Jobs, the newest first.
#[utoipa::path(
    get, path = "/backups/jobs", tag = "Backup jobs", params(JobParams),
    responses((status = 200, description = "A page of jobs", body = JobList))
)]
async fn list_jobs(
    Viewer(tenant): Viewer,
    Params(params): Params<JobParams>,
) -> Result<Json<JobList>, AppError> {
    let page = params.page();
    let mut query = JobQuery::new(Scope::Tenant(tenant.id().clone())).with_window(page.window()?);
    query.from = Some(params.from.map_or_else(|| days_ago(&tenant, USUAL_DAYS), bound));
    query.to = params.to.map(bound);
    query.cluster = params.cluster;
    query.policy = params.policy_id.as_deref().map(id_from).transpose()?;
    query.statuses = params.status.into_iter().collect();
    let listing = tenant.jobs(query).await?;
    let last = listing.items.last().map(|job| (job.created_at, job.id.as_uuid()));
    Ok(Json(JobList {
        next_cursor: page.next_cursor(listing.items.len(), last),
        jobs: listing.items.iter().map(|job| JobBody::of(job)).collect(),
        total: listing.total,
        limit: page.limit(),
        offset: page.offset.unwrap_or(0),
    }))
}

/// One job.
#[utoipa::path(
    get, path = "/backups/jobs/{job_id}", tag = "Backup jobs", params(("job_id" = String, Path)),
    responses((status = 200, description = "The job", body = JobAnswer))
)]
async fn get_job(Viewer(tenant): Viewer, Id(id): Id<JobId>) -> Result<Json<JobAnswer>, AppError> {
    let view = tenant.job(id).await?;
    Ok(Json(JobAnswer { job: JobBody::detailed(&view) }))
}

/// How far a job is.
#[utoipa::path(
    get, path = "/backups/jobs/{job_id}/progress", tag = "Backup jobs", params(("job_id" = String, Path)),
    responses((status = 200, description = "How far it is", body = wire::ProgressAnswer))
)]
async fn get_job_progress(
    Viewer(tenant): Viewer,
    Id(id): Id<JobId>,
) -> Result<Json<wire::ProgressAnswer>, AppError> {
    Ok(Json(wire::ProgressAnswer::of(&tenant.job(id).await?)))
}

/// Cancels a job that has not ended, and takes one that has out of the lists.
///
/// Its record, its slot and its events stay.
#[utoipa::path(
    delete, path = "/backups/jobs/{job_id}", tag = "Backup jobs", params(("job_id" = String, Path)),
    responses((status = 204, description = "It is, or will be"))
)]
async fn delete_job(Operator(tenant): Operator, Id(id): Id<JobId>) -> Result<StatusCode, AppError> {
    tenant.delete_job(id).await?;
    Ok(StatusCode::NO_CONTENT)
}
