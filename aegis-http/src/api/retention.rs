//! `/retention`: what may go, why, and letting it go.

use aegis_core::{
    engine::{EngineError, RetentionPreview, Tenant},
    model::{EntityKey, PolicyId, RetentionDecision, RetentionRun},
    rules::retention::Acknowledgement,
};
use axum::{Json, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::policies::RetentionChange;
use crate::{
    app::App,
    auth::{Admin, Viewer},
    error::{AppError, ErrorCode},
    extract::{Body, Params},
    idempotency::{IdempotencyKey, once, stray},
    wire::{Fields, Time, list_params},
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(preview_retention))
        .routes(routes!(run_retention, list_retention_runs))
}

/// Whose records to look at, and by which rules.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct PreviewRetention {
    /// The policy whose records are meant.
    #[schema(value_type = String, required)]
    policy_id: Option<String>,
    /// Other rules than its own: what is left out stays as the policy has it.
    retention: Option<RetentionChange>,
}

/// Whose records to look at in earnest.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct RunRetention {
    /// The policy whose records are meant.
    #[schema(value_type = String, required)]
    policy_id: Option<String>,
    /// Go on with what would otherwise stop and ask: see a preview's `cautions`.
    acknowledged: Option<bool>,
}

/// What retention would do.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PreviewAnswer {
    preview: PreviewBody,
}

/// What retention would do.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RetentionPreview)]
pub(crate) struct PreviewBody {
    storage_location: String,
    kept: usize,
    expired: usize,
    decisions: Vec<DecisionBody>,
    /// What would make a run ask for an acknowledgement.
    cautions: Option<String>,
}

/// What is decided about one record.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RetentionDecision)]
pub(crate) struct DecisionBody {
    record_id: String,
    kept: bool,
    /// Every reason that applies.
    reasons: Vec<String>,
}

/// A retention run.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunAnswer {
    run: RunBody,
}

/// Retention runs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunList {
    /// The newest first.
    runs: Vec<RunBody>,
}

/// A retention run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RetentionRun)]
pub(crate) struct RunBody {
    id: String,
    policy_id: Option<String>,
    cluster: String,
    storage_location: String,
    /// `passed`, `failed`, or `not_run`: it was refused, and nothing changed.
    status: String,
    requested_by: String,
    started_at: Time,
    completed_at: Option<Time>,
    kept: usize,
    expired: usize,
    decisions: Vec<DecisionBody>,
    /// Why it was refused.
    reason: Option<String>,
}

impl DecisionBody {
    fn of(decision: &RetentionDecision) -> Self {
        let reasons = decision.reasons.clone();
        Self { record_id: decision.record.to_string(), kept: decision.kept, reasons }
    }
}

fn count(decisions: &[RetentionDecision], kept: bool) -> usize {
    decisions.iter().filter(|decision| decision.kept == kept).count()
}

impl PreviewBody {
    fn of(preview: &RetentionPreview) -> Self {
        Self {
            storage_location: preview.location.to_string(),
            kept: count(&preview.decisions, true),
            expired: count(&preview.decisions, false),
            decisions: preview.decisions.iter().map(DecisionBody::of).collect(),
            cautions: preview.cautions.clone(),
        }
    }
}

impl RunBody {
    fn of(run: &RetentionRun) -> Self {
        Self {
            id: run.id.to_string(),
            policy_id: run.policy.map(|id| id.to_string()),
            cluster: run.cluster.to_string(),
            storage_location: run.location.to_string(),
            status: run.status.to_string(),
            requested_by: run.requested_by.to_string(),
            started_at: run.started_at.into(),
            completed_at: run.completed_at.map(Time),
            kept: count(&run.decisions, true),
            expired: count(&run.decisions, false),
            decisions: run.decisions.iter().map(DecisionBody::of).collect(),
            reason: run.reason.clone(),
        }
    }
}

/// The policy that a request names. One that can't exist is of nothing that exists.
fn policy_of(id: Option<&str>) -> Result<PolicyId, AppError> {
    let mut fields = Fields::default();
    let id = fields.require::<String>("policy_id", id);
    let id = fields.finish(id)?;
    id.parse().map_err(|_| AppError::not_found("policy", &id))
}

/// What retention would do with a policy's records now, by its own rules or others. Changes nothing.
#[utoipa::path(
    post, path = "/retention/preview", tag = "Retention", request_body = PreviewRetention,
    responses((status = 200, description = "Every decision with its reasons", body = PreviewAnswer))
)]
async fn preview_retention(
    Viewer(tenant): Viewer,
    body: Body<PreviewRetention>,
) -> Result<Json<PreviewAnswer>, AppError> {
    let policy = policy_of(body.value.policy_id.as_deref())?;
    let rules = match body.value.retention {
        Some(change) => {
            let mut fields = Fields::default();
            let own = tenant.policy(policy).await?.policy.retention.clone();
            let rules = change.apply(&mut fields, own);
            Some(fields.finish(Some(rules))?)
        }
        None => None,
    };
    let preview = tenant
        .preview_retention(policy, rules)
        .await
        .map_err(|error| AppError::from(error).renaming("rules", "retention"))?;
    Ok(Json(PreviewAnswer { preview: PreviewBody::of(&preview) }))
}

/// Runs retention over a policy's records now. One that was refused is an answer, too.
#[utoipa::path(
    post, path = "/retention/runs", tag = "Retention", request_body = RunRetention,
    responses((status = 201, description = "The run", body = RunAnswer))
)]
async fn run_retention(
    Admin(tenant): Admin,
    key: IdempotencyKey,
    body: Body<RunRetention>,
) -> Result<(StatusCode, Json<RunAnswer>), AppError> {
    let policy = policy_of(body.value.policy_id.as_deref())?;
    let acknowledgement = match body.value.acknowledged {
        Some(true) => Acknowledgement::Given,
        Some(false) | None => Acknowledgement::None,
    };
    let tenant = key.of(tenant, body.fingerprint);
    let run = once(&tenant, tenant.run_retention(policy, acknowledgement), |made| made_before(&tenant, made))
        .await?;
    Ok((StatusCode::CREATED, Json(RunAnswer { run: RunBody::of(&run) })))
}

async fn made_before(tenant: &Tenant, made: EntityKey) -> Result<RetentionRun, EngineError> {
    match made {
        EntityKey::RetentionRun(id) => tenant.retention_run(id).await.map(|run| RetentionRun::clone(&run)),
        other => Err(stray(&other)),
    }
}

list_params! {
    /// Which retention runs.
    RunParams {
        /// Of this policy; must be given.
        #[param(value_type = String, required)]
        policy_id: Option<String>,
    }
}

/// The retention runs of a policy, the newest first.
#[utoipa::path(
    get, path = "/retention/runs", tag = "Retention", params(RunParams),
    responses((status = 200, description = "The runs", body = RunList))
)]
async fn list_retention_runs(
    Viewer(tenant): Viewer,
    Params(params): Params<RunParams>,
) -> Result<Json<RunList>, AppError> {
    let window = params.page().window()?;
    let Some(policy) = params.policy_id else {
        return Err(AppError::new(ErrorCode::BadRequest, "policy_id: it is missing: say whose runs"));
    };
    let policy = policy.parse().map_err(|_| AppError::not_found("policy", &policy))?;
    let policy = tenant.policy(policy).await?.policy.id;
    let runs = tenant.retention_runs(policy, window.offset.saturating_add(window.limit)).await?;
    Ok(Json(RunList { runs: runs.iter().skip(window.offset).map(|run| RunBody::of(run)).collect() }))
}
