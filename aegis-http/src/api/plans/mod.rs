//! `/recovery/plans`: how to get a record back.

mod wire;

use aegis_core::{
    engine::{EngineError, PlanView, Tenant},
    model::{ClusterName, EntityKey, PlanHash, PlanId, PlanStatus},
    seams::{PlanQuery, Scope},
};
use axum::{http::StatusCode, response::IntoResponse};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::wire::{ApprovePlan, CreatePlan, PlanAnswer, PlanBody, PlanList};
use super::executions::ExecutionBody;
use crate::{
    app::App,
    auth::{Approver, Operator, Viewer},
    error::AppError,
    extract::{Body, Id, IfMatch, Nothing, OptionalBody, Params, etag},
    idempotency::{IdempotencyKey, once, stray},
    json::Json,
    wire::list_params,
};

/// How many executions a plan shows.
const HISTORY: usize = 50;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create_plan, list_plans))
        .routes(routes!(get_plan, delete_plan))
        .routes(routes!(approve_plan))
        .routes(routes!(cancel_plan))
}

list_params! {
    /// Which plans.
    PlanParams {
        /// In this state.
        #[param(value_type = Option<String>)]
        status: Option<PlanStatus>,
        /// Into this cluster.
        #[param(value_type = Option<String>)]
        cluster: Option<ClusterName>,
    }
}

/// Writes a plan down.
#[utoipa::path(
    post, path = "/recovery/plans", tag = "Recovery plans", request_body = CreatePlan,
    responses((status = 201, description = "The plan", body = PlanAnswer))
)]
async fn create_plan(
    Operator(tenant): Operator,
    key: IdempotencyKey,
    body: Body<CreatePlan>,
) -> Result<impl IntoResponse, AppError> {
    let asked = body.value.asked();
    let tenant = key.of(tenant, body.fingerprint);
    let new = body.value.read()?;
    let view = once(&tenant, tenant.create_plan(new), |made| made_before(&tenant, made))
        .await
        .map_err(|error| error.renaming("cluster", "target_cluster"))?;
    let mut plan = PlanBody::of(&view.plan);
    plan.warnings = asked.warnings(&tenant, &view.plan.target_cluster);
    Ok((StatusCode::CREATED, etag(view.plan.version), Json(PlanAnswer { plan })))
}

async fn made_before(tenant: &Tenant, made: EntityKey) -> Result<PlanView, EngineError> {
    match made {
        EntityKey::Plan(id) => tenant.plan(id).await,
        other => Err(stray(&other)),
    }
}

/// Plans, the newest first.
#[utoipa::path(
    get, path = "/recovery/plans", tag = "Recovery plans", params(PlanParams),
    responses((status = 200, description = "A page of plans", body = PlanList))
)]
async fn list_plans(
    Viewer(tenant): Viewer,
    Params(params): Params<PlanParams>,
) -> Result<Json<PlanList>, AppError> {
    let page = params.page();
    let mut query = PlanQuery::new(Scope::Tenant(tenant.id().clone())).with_window(page.window()?);
    query.status = params.status;
    query.cluster = params.cluster;
    let listing = tenant.plans(query).await?;
    let last = listing.items.last().map(|plan| (plan.created_at, plan.id.as_uuid()));
    Ok(Json(PlanList {
        next_cursor: page.next_cursor(listing.items.len(), last),
        plans: listing.items.iter().map(|plan| PlanBody::of(plan)).collect(),
        total: listing.total,
    }))
}

/// One plan, with its executions.
#[utoipa::path(
    get, path = "/recovery/plans/{plan_id}", tag = "Recovery plans", params(("plan_id" = String, Path)),
    responses((status = 200, description = "The plan", body = PlanAnswer))
)]
async fn get_plan(Viewer(tenant): Viewer, Id(id): Id<PlanId>) -> Result<impl IntoResponse, AppError> {
    shown(&tenant, tenant.plan(id).await?).await
}

async fn shown(tenant: &Tenant, view: PlanView) -> Result<impl IntoResponse + use<>, AppError> {
    let executions = tenant.executions(view.plan.id, HISTORY).await?;
    let mut plan = PlanBody::of(&view.plan);
    plan.approval_hash = view.hash.map(|hash| hash.0);
    plan.execution_history = Some(executions.iter().map(ExecutionBody::of).collect());
    Ok((etag(view.plan.version), Json(PlanAnswer { plan })))
}

/// Deletes a plan that is not being carried out and has not completed.
#[utoipa::path(
    delete, path = "/recovery/plans/{plan_id}", tag = "Recovery plans",
    params(("plan_id" = String, Path), ("If-Match" = Option<String>, Header, description = "Only if it still has this ETag")),
    responses((status = 204, description = "It is gone"))
)]
async fn delete_plan(
    Operator(tenant): Operator,
    Id(id): Id<PlanId>,
    IfMatch(version): IfMatch,
) -> Result<StatusCode, AppError> {
    tenant.if_version(version).delete_plan(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Approves a plan as it would be executed now, for one execution.
#[utoipa::path(
    post, path = "/recovery/plans/{plan_id}/approve", tag = "Recovery plans",
    params(("plan_id" = String, Path), ("If-Match" = Option<String>, Header, description = "Only if it still has this ETag")),
    request_body = ApprovePlan,
    responses((status = 200, description = "The plan", body = PlanAnswer))
)]
async fn approve_plan(
    Approver(tenant): Approver,
    Id(id): Id<PlanId>,
    IfMatch(version): IfMatch,
    key: IdempotencyKey,
    body: Body<ApprovePlan>,
) -> Result<impl IntoResponse, AppError> {
    let Some(hash) = body.value.hash else {
        return Err(AppError::field("hash", "it is missing: send the plan's approval_hash as you read it"));
    };
    let (tenant, hash) = (key.of(tenant, body.fingerprint).if_version(version), PlanHash(hash));
    let view = once(&tenant, tenant.approve_plan(id, &hash), |made| made_before(&tenant, made)).await?;
    shown(&tenant, view).await
}

/// Gives a plan up, or asks its running execution to end.
#[utoipa::path(
    post, path = "/recovery/plans/{plan_id}/cancel", tag = "Recovery plans",
    params(("plan_id" = String, Path), ("If-Match" = Option<String>, Header, description = "Only if it still has this ETag")),
    request_body = Option<Nothing>,
    responses((status = 200, description = "The plan", body = PlanAnswer))
)]
async fn cancel_plan(
    Operator(tenant): Operator,
    Id(id): Id<PlanId>,
    IfMatch(version): IfMatch,
    key: IdempotencyKey,
    OptionalBody(body): OptionalBody<Nothing>,
) -> Result<impl IntoResponse, AppError> {
    let tenant = key.of(tenant, body.fingerprint).if_version(version);
    let view = once(&tenant, tenant.cancel_plan(id), |made| made_before(&tenant, made)).await?;
    shown(&tenant, view).await
}
