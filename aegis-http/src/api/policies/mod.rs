//! `/dr/policies`: what is protected, how often, for how long, and how well.

mod create;
mod retention;
mod update;
mod wire;

use aegis_core::{
    engine::{EngineError, PolicyView, Tenant},
    model::{ClusterName, EntityKey, PolicyId, Slot, Versioned},
    seams::{ErrorClass, PolicyQuery, Scope, Window},
};
use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::{
    create::CreatePolicy,
    update::UpdatePolicy,
    wire::{PolicyAnswer, PolicyBody, PolicyList, RunBody, SlotList},
};
pub(crate) use self::{create::schedule, retention::RetentionChange, wire::schedule_text};
use super::jobs::{self, JobAnswer, JobBody};
use crate::{
    app::App,
    auth::{Admin, Operator, Viewer},
    error::{AppError, ErrorCode},
    extract::{Body, Id, IfMatch, Nothing, OptionalBody, Params, etag},
    idempotency::{IdempotencyKey, once, stray},
    json::{self, Json},
    wire::{Time, list_params},
};

/// How many slots a policy shows.
const HISTORY: usize = 30;
/// How often a change that rests on what is there is tried again after another was faster.
const TRIES: usize = 5;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create_policy, list_policies))
        .routes(routes!(get_policy, update_policy, delete_policy))
        .routes(routes!(run_policy))
        .routes(routes!(list_slots))
}

list_params! {
    /// Which policies. All come, unless `limit` is given.
    PolicyParams {
        /// Of this cluster.
        #[param(value_type = Option<String>)]
        cluster: Option<ClusterName>,
        /// Enabled, or not.
        enabled: Option<bool>,
    }
}

/// Makes a policy. Its first run is the first slot after now.
#[utoipa::path(
    post, path = "/dr/policies", tag = "DR policies", request_body = CreatePolicy,
    responses((status = 201, description = "The policy", body = PolicyAnswer))
)]
async fn create_policy(
    Admin(tenant): Admin,
    key: IdempotencyKey,
    body: Body<CreatePolicy>,
) -> Result<impl IntoResponse, AppError> {
    let wants_volumes = body.value.wants_volumes();
    let tenant = key.of(tenant, body.fingerprint);
    let new = body.value.read(&tenant)?;
    let view = once(&tenant, tenant.create_policy(new), |made| made_before(&tenant, made)).await?;
    let mut policy = PolicyBody::detailed(&view);
    if wants_volumes {
        policy.warn_of_volumes(&tenant, &view.policy.cluster);
    }
    Ok((StatusCode::CREATED, etag(view.policy.version), Json(PolicyAnswer { policy })))
}

async fn made_before(tenant: &Tenant, made: EntityKey) -> Result<PolicyView, EngineError> {
    match made {
        EntityKey::Policy(id) => tenant.policy(id).await,
        other => Err(stray(&other)),
    }
}

/// Policies, the newest first.
#[utoipa::path(
    get, path = "/dr/policies", tag = "DR policies", params(PolicyParams),
    responses((status = 200, description = "The policies", body = PolicyList))
)]
async fn list_policies(
    Viewer(tenant): Viewer,
    Params(params): Params<PolicyParams>,
) -> Result<Response, AppError> {
    let page = params.page();
    let mut window = page.window()?;
    if page.limit.is_none() {
        window.limit = Window::ALL.limit;
    }
    let mut query = PolicyQuery::new(Scope::Tenant(tenant.id().clone())).with_window(window);
    query.cluster = params.cluster;
    query.enabled = params.enabled;
    let listing = tenant.policies(query).await?;
    let last = listing.items.last().map(|view| (view.policy.created_at, view.policy.id.as_uuid()));
    let frame = PolicyList {
        next_cursor: last
            .filter(|_| page.limit.is_some())
            .and_then(|last| page.next_cursor(listing.items.len(), Some(last))),
        policies: Vec::new(),
        total: listing.total,
    };
    Ok(json::long(&frame, "policies", listing.items, PolicyBody::of))
}

/// One policy, with its newest slots.
#[utoipa::path(
    get, path = "/dr/policies/{policy_id}", tag = "DR policies", params(("policy_id" = String, Path)),
    responses((status = 200, description = "The policy", body = PolicyAnswer))
)]
async fn get_policy(Viewer(tenant): Viewer, Id(id): Id<PolicyId>) -> Result<impl IntoResponse, AppError> {
    let view = tenant.policy(id).await?;
    let mut policy = PolicyBody::detailed(&view);
    let slots = tenant.slots(id, Window::first(HISTORY)).await?.items;
    policy.run_history = Some(runs(&tenant, &slots).await?);
    Ok((etag(view.policy.version), Json(PolicyAnswer { policy })))
}

/// Slots with the jobs that ran for them.
async fn runs(tenant: &Tenant, slots: &[Versioned<Slot>]) -> Result<Vec<RunBody>, AppError> {
    let ids: Vec<_> = slots.iter().filter_map(|slot| slot.outcome.job()).collect();
    let jobs = tenant.jobs_by_id(&ids).await?;
    Ok(slots.iter().map(|slot| RunBody::of(slot, &jobs)).collect())
}

/// Changes a policy: what is left out stays, what is `null` is cleared.
#[utoipa::path(
    put, path = "/dr/policies/{policy_id}", tag = "DR policies",
    params(("policy_id" = String, Path), ("If-Match" = Option<String>, Header, description = "Only if it still has this ETag")),
    request_body = UpdatePolicy,
    responses((status = 200, description = "The policy", body = PolicyAnswer))
)]
async fn update_policy(
    Admin(tenant): Admin,
    Id(id): Id<PolicyId>,
    IfMatch(version): IfMatch,
    body: Body<UpdatePolicy>,
) -> Result<impl IntoResponse, AppError> {
    for _ in 0..TRIES {
        let current = tenant.policy(id).await?.policy;
        let change = body.value.read(&current)?;
        let tenant = tenant.clone().if_version(Some(version.unwrap_or(current.version)));
        match tenant.update_policy(id, change).await {
            // The last write wins: it is decided again on what is there now.
            Err(error) if version.is_none() && error.class() == ErrorClass::VersionConflict => {}
            changed => {
                let view = changed?;
                let mut policy = PolicyBody::detailed(&view);
                if body.value.wants_volumes() {
                    policy.warn_of_volumes(&tenant, &view.policy.cluster);
                }
                return Ok((etag(view.policy.version), Json(PolicyAnswer { policy })));
            }
        }
    }
    Err(AppError::new(ErrorCode::Conflict, "the policy is being changed by others: try again"))
}

/// Deletes a policy. Its records, their holds and its history stay.
#[utoipa::path(
    delete, path = "/dr/policies/{policy_id}", tag = "DR policies",
    params(("policy_id" = String, Path), ("If-Match" = Option<String>, Header, description = "Only if it still has this ETag")),
    responses((status = 204, description = "It is gone"))
)]
async fn delete_policy(
    Admin(tenant): Admin,
    Id(id): Id<PolicyId>,
    IfMatch(version): IfMatch,
) -> Result<StatusCode, AppError> {
    tenant.if_version(version).delete_policy(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Runs a policy now, whatever its schedule says.
#[utoipa::path(
    post, path = "/dr/policies/{policy_id}/run", tag = "DR policies",
    params(("policy_id" = String, Path), ("If-Match" = Option<String>, Header, description = "Only if it still has this ETag")),
    request_body = Option<Nothing>,
    responses((status = 201, description = "The job", body = JobAnswer))
)]
async fn run_policy(
    Operator(tenant): Operator,
    Id(id): Id<PolicyId>,
    IfMatch(version): IfMatch,
    key: IdempotencyKey,
    OptionalBody(body): OptionalBody<Nothing>,
) -> Result<(StatusCode, Json<JobAnswer>), AppError> {
    let tenant = key.of(tenant, body.fingerprint).if_version(version);
    let view = once(&tenant, tenant.run_policy(id), |made| jobs::made_before(&tenant, made)).await?;
    Ok((StatusCode::CREATED, Json(JobAnswer { job: JobBody::detailed(&view) })))
}

list_params! {
    /// Which slots.
    SlotParams {}
}

/// The slots of a policy, the newest first: its nominal times, and what became of each.
#[utoipa::path(
    get, path = "/dr/policies/{policy_id}/slots", tag = "DR policies",
    params(("policy_id" = String, Path), SlotParams),
    responses((status = 200, description = "The slots", body = SlotList))
)]
async fn list_slots(
    Viewer(tenant): Viewer,
    Id(id): Id<PolicyId>,
    Params(params): Params<SlotParams>,
) -> Result<Json<SlotList>, AppError> {
    let page = params.page();
    let listing = tenant.slots(id, page.window()?).await?;
    let last = listing.items.last().map(|slot| (slot.nominal_at, id.as_uuid()));
    Ok(Json(SlotList {
        next_cursor: page.next_cursor(listing.items.len(), last),
        slots: runs(&tenant, &listing.items).await?,
        total: listing.total,
        next_run_at: tenant.policy(id).await?.state.and_then(|state| state.next_run_at).map(Time),
    }))
}
