//! `/retention`: what may go, why, and letting it go.

use aegis_core::{
    engine::{EngineError, RetentionPreview, Tenant},
    model::{
        ClusterName, EntityKey, PolicyId, RetentionDecision, RetentionGroup, RetentionRules, RetentionRun,
        RetentionRunId, StorageUri,
    },
    rules::retention::Acknowledgement,
    seams::ErrorClass,
};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::policies::RetentionChange;
use crate::{
    app::App,
    auth::{Admin, Viewer},
    error::{AppError, ErrorCode},
    extract::{Body, Id, Params, id_from},
    idempotency::{IdempotencyKey, once, stray},
    json::Json,
    wire::{Fields, Time, list_params},
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_groups))
        .routes(routes!(preview_retention))
        .routes(routes!(resume_retention))
        .routes(routes!(run_retention, list_retention_runs))
        .routes(routes!(get_retention_run))
}

/// Whose records to look at, and by which rules.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct PreviewRetention {
    /// The policy whose records are meant.
    policy_id: Option<String>,
    /// Those of no policy, from this cluster.
    cluster: Option<String>,
    /// Where they lie; where the policy puts them now unless given.
    storage_location: Option<String>,
    /// Other rules than its own: what is left out stays as the policy has it.
    retention: Option<RetentionChange>,
}

/// Whose records to look at in earnest.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct RunRetention {
    /// The policy whose records are meant.
    policy_id: Option<String>,
    /// Those of no policy, from this cluster.
    cluster: Option<String>,
    /// Where they lie; where the policy puts them now unless given.
    storage_location: Option<String>,
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
    /// The newest first, without their decisions.
    runs: Vec<RunBody>,
    /// How many match in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    /// Where the next page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
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
    /// Every decision with its reasons; of a run that is shown by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    decisions: Option<Vec<DecisionBody>>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
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
    /// As lists have it.
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
            decisions: None,
            reason: run.reason.clone(),
        }
    }

    /// As it is shown by itself.
    fn detailed(run: &RetentionRun) -> Self {
        Self { decisions: Some(run.decisions.iter().map(DecisionBody::of).collect()), ..Self::of(run) }
    }
}

/// What retention judges apart from the rest.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GroupList {
    groups: Vec<GroupBody>,
    /// Whether nothing expires until a person says go: the catalogue was rebuilt.
    frozen: bool,
}

/// Records that are judged together: of a policy in a location, or of no policy, by cluster and location.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RetentionGroup)]
pub(crate) struct GroupBody {
    /// The policy that they were made for, deleted or not; `null` for those of none.
    policy_id: Option<String>,
    cluster: String,
    storage_location: String,
}

list_params! {
    /// Which groups.
    GroupParams {
        /// From this cluster.
        #[param(value_type = Option<String>)]
        cluster: Option<ClusterName>,
    }
}

/// The groups of records that retention judges apart from one another.
#[utoipa::path(
    get, path = "/retention/groups", tag = "Retention", params(GroupParams),
    responses((status = 200, description = "The groups", body = GroupList))
)]
async fn list_groups(
    Viewer(tenant): Viewer,
    Params(params): Params<GroupParams>,
) -> Result<Json<GroupList>, AppError> {
    let window = params.page().window()?;
    let groups = tenant.retention_groups(params.cluster).await?;
    let shown = groups.iter().skip(window.offset).take(window.limit).map(|group| GroupBody {
        policy_id: group.policy.map(|id| id.to_string()),
        cluster: group.cluster.to_string(),
        storage_location: group.location.to_string(),
    });
    Ok(Json(GroupList { groups: shown.collect(), frozen: tenant.is_retention_frozen().await? }))
}

/// The group that a request names: by a policy, and where its records lie if not where it puts them
/// now; or by a cluster and a location. One that can't exist is of nothing that exists.
async fn group_of(
    tenant: &Tenant,
    policy: Option<&str>,
    cluster: Option<&str>,
    location: Option<&str>,
) -> Result<RetentionGroup, AppError> {
    let mut fields = Fields::default();
    let given: Option<StorageUri> = fields.parse("storage_location", location);
    let Some(policy) = policy else {
        if cluster.is_none() {
            fields.refuse("policy_id", "it is missing: say whose records, or name a cluster and a location");
        }
        let cluster = fields.require("cluster", cluster);
        if location.is_none() {
            fields.refuse("storage_location", "it is missing: say where the records lie");
        }
        let group =
            cluster.zip(given).map(|(cluster, location)| RetentionGroup { cluster, policy: None, location });
        return fields.finish(group);
    };
    if cluster.is_some() {
        fields.refuse("cluster", "a policy has one: leave it out");
    }
    let () = fields.finish(Some(()))?;
    let id: PolicyId = policy.parse().map_err(|_| AppError::not_found("policy", policy))?;
    let found = match tenant.policy(id).await {
        Ok(view) => Some((view.policy.cluster.clone(), view.policy.location.clone())),
        Err(error) if error.class() == ErrorClass::NotFound && given.is_some() => None,
        Err(error) => return Err(error.into()),
    };
    match (found, given) {
        (Some((cluster, present)), given) => {
            Ok(RetentionGroup { cluster, policy: Some(id), location: given.unwrap_or(present) })
        }
        // The policy is gone: its records may still be there.
        (None, given) => {
            let groups = tenant.retention_groups(None).await?;
            let left = groups
                .into_iter()
                .find(|group| group.policy == Some(id) && Some(&group.location) == given.as_ref());
            left.ok_or_else(|| AppError::not_found("policy", policy))
        }
    }
}

/// What retention would do with a group of records now, by its policy's rules or others. Changes nothing.
#[utoipa::path(
    post, path = "/retention/preview", tag = "Retention", request_body = PreviewRetention,
    responses((status = 200, description = "Every decision with its reasons", body = PreviewAnswer))
)]
async fn preview_retention(
    Viewer(tenant): Viewer,
    body: Body<PreviewRetention>,
) -> Result<Json<PreviewAnswer>, AppError> {
    let PreviewRetention { policy_id, cluster, storage_location, retention } = body.value;
    let group =
        group_of(&tenant, policy_id.as_deref(), cluster.as_deref(), storage_location.as_deref()).await?;
    let rules = match retention {
        Some(change) => {
            let own = match group.policy {
                Some(policy) => tenant.policy(policy).await?.policy.retention.clone(),
                None => RetentionRules::default(),
            };
            let mut fields = Fields::default();
            let rules = change.apply(&mut fields, own);
            Some(fields.finish(Some(rules))?)
        }
        None => None,
    };
    let preview = tenant
        .preview_group(&group, rules)
        .await
        .map_err(|error| AppError::from(error).renaming("rules", "retention"))?;
    Ok(Json(PreviewAnswer { preview: PreviewBody::of(&preview) }))
}

/// Runs retention over a group of records now. One that was refused is an answer, too.
#[utoipa::path(
    post, path = "/retention/runs", tag = "Retention", request_body = RunRetention,
    responses((status = 201, description = "The run", body = RunAnswer))
)]
async fn run_retention(
    Admin(tenant): Admin,
    key: IdempotencyKey,
    body: Body<RunRetention>,
) -> Result<(StatusCode, Json<RunAnswer>), AppError> {
    let RunRetention { policy_id, cluster, storage_location, acknowledged } = &body.value;
    let group =
        group_of(&tenant, policy_id.as_deref(), cluster.as_deref(), storage_location.as_deref()).await?;
    let acknowledgement = match acknowledged {
        Some(true) => Acknowledgement::Given,
        Some(false) | None => Acknowledgement::None,
    };
    let tenant = key.of(tenant, body.fingerprint);
    let run =
        once(&tenant, tenant.run_group(&group, acknowledgement), |made| made_before(&tenant, made)).await?;
    Ok((StatusCode::CREATED, Json(RunAnswer { run: RunBody::detailed(&run) })))
}

/// Says go after the catalogue was rebuilt: retention decides again from now on.
#[utoipa::path(
    post, path = "/retention/resume", tag = "Retention",
    responses((status = 204, description = "Retention decides"))
)]
async fn resume_retention(Admin(tenant): Admin) -> Result<StatusCode, AppError> {
    tenant.resume_retention().await?;
    Ok(StatusCode::NO_CONTENT)
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
    let page = params.page();
    let Some(policy) = params.policy_id else {
        return Err(AppError::new(ErrorCode::BadRequest, "policy_id: it is missing: say whose runs"));
    };
    let policy = tenant.policy(id_from(&policy)?).await?.policy.id;
    let listing = tenant.retention_runs(policy, page.window()?).await?;
    let last = listing.items.last().map(|run| (run.started_at, run.id.as_uuid()));
    Ok(Json(RunList {
        next_cursor: page.next_cursor(listing.items.len(), last),
        runs: listing.items.iter().map(|run| RunBody::of(run)).collect(),
        total: listing.total,
    }))
}

/// One retention run, with every decision.
#[utoipa::path(
    get, path = "/retention/runs/{run_id}", tag = "Retention", params(("run_id" = String, Path)),
    responses((status = 200, description = "The run", body = RunAnswer))
)]
async fn get_retention_run(
    Viewer(tenant): Viewer,
    Id(id): Id<RetentionRunId>,
) -> Result<Json<RunAnswer>, AppError> {
    Ok(Json(RunAnswer { run: RunBody::detailed(&*tenant.retention_run(id).await?) }))
}
