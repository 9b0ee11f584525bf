//! `/recovery/execute`: carrying plans out.

mod wire;

use aegis_core::{
    engine::{EngineError, Execute, Executed, Tenant},
    model::{EntityKey, PlanId},
};
use axum::http::StatusCode;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) use self::wire::ExecutionBody;
use self::wire::{ExecutePlan, ExecutionAnswer};
use crate::{
    app::App,
    auth::{Operator, Viewer},
    error::AppError,
    extract::{Body, Id, IfMatch},
    idempotency::{IdempotencyKey, once, stray},
    json::Json,
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(execute_plan)).routes(routes!(get_execution_status))
}

/// Executes a plan, or says what that would do.
///
/// A dry run changes nothing, needs no confirmation and leaves an Idempotency-Key free.
#[utoipa::path(
    post, path = "/recovery/execute/{plan_id}", tag = "Recovery execution",
    params(("plan_id" = String, Path), ("If-Match" = Option<String>, Header, description = "Only if it still has this ETag")),
    request_body = ExecutePlan,
    responses((status = 202, description = "It has begun, or what it would do", body = ExecutionAnswer))
)]
async fn execute_plan(
    Operator(tenant): Operator,
    Id(id): Id<PlanId>,
    IfMatch(version): IfMatch,
    key: IdempotencyKey,
    body: Body<ExecutePlan>,
) -> Result<(StatusCode, Json<ExecutionAnswer>), AppError> {
    let execute = match body.value {
        ExecutePlan { dry_run: Some(true), .. } => Execute::DryRun,
        ExecutePlan { confirmed: Some(true), .. } => Execute::Confirmed,
        ExecutePlan { .. } => {
            let message = "a restore writes over what is there: set it to true, or dry_run to see first";
            return Err(AppError::field("confirmed", message));
        }
    };
    let tenant = key.of(tenant, body.fingerprint).if_version(version);
    let began = once(&tenant, tenant.execute_plan(id, execute), |made| made_before(&tenant, made)).await?;
    let execution = match began {
        Executed::Started(view) => ExecutionBody::of(&view),
        Executed::Preview(preview) => ExecutionBody::preview(id, tenant.now(), *preview),
    };
    Ok((StatusCode::ACCEPTED, Json(ExecutionAnswer { execution })))
}

async fn made_before(tenant: &Tenant, made: EntityKey) -> Result<Executed, EngineError> {
    match made {
        EntityKey::Execution(id) => tenant.execution(id).await.map(|view| Executed::Started(Box::new(view))),
        other => Err(stray(&other)),
    }
}

/// How the newest execution of a plan is.
#[utoipa::path(
    get, path = "/recovery/execute/{plan_id}/status", tag = "Recovery execution",
    params(("plan_id" = String, Path)),
    responses((status = 200, description = "The newest execution", body = ExecutionAnswer))
)]
async fn get_execution_status(
    Viewer(tenant): Viewer,
    Id(id): Id<PlanId>,
) -> Result<Json<ExecutionAnswer>, AppError> {
    let view = tenant.execution_status(id).await?;
    Ok(Json(ExecutionAnswer { execution: ExecutionBody::of(&view) }))
}
