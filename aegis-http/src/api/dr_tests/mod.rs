//! `/dr/tests`: restoring somewhere harmless, to know that it works.

mod read;
mod wire;

use aegis_core::{
    engine::{EngineError, Tenant},
    model::{CheckStatus, ClusterName, DrTest, DrTestId, EntityKey, Versioned},
    seams::{DrTestQuery, Scope},
};
use axum::http::StatusCode;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) use self::read::DrRuleBody;
use self::{
    read::RunDrTest,
    wire::{DrTestAnswer, DrTestBody, DrTestList},
};
use crate::{
    app::App,
    auth::{Operator, Viewer},
    error::AppError,
    extract::{Body, Id, Params, id_from},
    idempotency::{IdempotencyKey, once, stray},
    json::Json,
    wire::list_params,
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(run_dr_test, list_dr_tests))
        .routes(routes!(get_dr_test))
        .routes(routes!(cancel_dr_test))
}

/// Runs a DR test: restores a record somewhere harmless, checks, measures, cleans up.
#[utoipa::path(
    post, path = "/dr/tests", tag = "DR tests", request_body = RunDrTest,
    responses((status = 202, description = "It has begun", body = DrTestAnswer))
)]
async fn run_dr_test(
    Operator(tenant): Operator,
    key: IdempotencyKey,
    body: Body<RunDrTest>,
) -> Result<(StatusCode, Json<DrTestAnswer>), AppError> {
    let tenant = key.of(tenant, body.fingerprint);
    let new = body.value.read()?;
    let test = once(&tenant, tenant.run_dr_test(new), |made| made_before(&tenant, made)).await?;
    Ok((StatusCode::ACCEPTED, Json(DrTestAnswer { test: DrTestBody::of(&test) })))
}

async fn made_before(tenant: &Tenant, made: EntityKey) -> Result<Versioned<DrTest>, EngineError> {
    match made {
        EntityKey::DrTest(id) => tenant.dr_test(id).await,
        other => Err(stray(&other)),
    }
}

list_params! {
    /// Which DR tests.
    DrTestParams {
        /// Into this cluster.
        #[param(value_type = Option<String>)]
        cluster: Option<ClusterName>,
        /// Of this policy.
        policy_id: Option<String>,
        /// Of this record.
        record_id: Option<String>,
        /// In this state.
        #[param(value_type = Option<String>)]
        status: Option<CheckStatus>,
    }
}

/// DR tests, the newest first.
#[utoipa::path(
    get, path = "/dr/tests", tag = "DR tests", params(DrTestParams),
    responses((status = 200, description = "A page of DR tests", body = DrTestList))
)]
async fn list_dr_tests(
    Viewer(tenant): Viewer,
    Params(params): Params<DrTestParams>,
) -> Result<Json<DrTestList>, AppError> {
    let page = params.page();
    let mut query = DrTestQuery::new(Scope::Tenant(tenant.id().clone())).with_window(page.window()?);
    query.cluster = params.cluster;
    query.policy = params.policy_id.as_deref().map(id_from).transpose()?;
    query.record = params.record_id.as_deref().map(id_from).transpose()?;
    query.status = params.status;
    let listing = tenant.dr_tests(query).await?;
    let last = listing.items.last().map(|test| (test.started_at, test.id.as_uuid()));
    Ok(Json(DrTestList {
        next_cursor: page.next_cursor(listing.items.len(), last),
        tests: listing.items.iter().map(|test| DrTestBody::of(test)).collect(),
        total: listing.total,
    }))
}

/// One DR test.
#[utoipa::path(
    get, path = "/dr/tests/{test_id}", tag = "DR tests", params(("test_id" = String, Path)),
    responses((status = 200, description = "The DR test", body = DrTestAnswer))
)]
async fn get_dr_test(Viewer(tenant): Viewer, Id(id): Id<DrTestId>) -> Result<Json<DrTestAnswer>, AppError> {
    Ok(Json(DrTestAnswer { test: DrTestBody::of(&*tenant.dr_test(id).await?) }))
}

/// Asks a DR test to end. What it left is cleaned up; then it ends as not run, unless what it came to
/// was known already.
#[utoipa::path(
    post, path = "/dr/tests/{test_id}/cancel", tag = "DR tests", params(("test_id" = String, Path)),
    responses((status = 200, description = "The DR test", body = DrTestAnswer))
)]
async fn cancel_dr_test(
    Operator(tenant): Operator,
    Id(id): Id<DrTestId>,
) -> Result<Json<DrTestAnswer>, AppError> {
    Ok(Json(DrTestAnswer { test: DrTestBody::of(&*tenant.cancel_dr_test(id).await?) }))
}
