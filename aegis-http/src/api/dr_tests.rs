//! `/dr/tests`: restoring somewhere harmless, to know that it works.

use std::{collections::BTreeMap, time::Duration};

use aegis_core::{
    engine::{DrSubject, EngineError, NewDrTest, Tenant},
    model::{
        CheckStatus, ClusterName, DisplayName, DrDestination, DrKeep, DrTarget, DrTest, DrTestId, EntityKey,
        NamespaceName, PolicyId, RecordChoice, RecordId, RestoreTarget, Versioned,
    },
    seams::{DrTestQuery, Scope},
};
use axum::{Json, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    auth::{Operator, Viewer},
    error::AppError,
    extract::{Body, Id, Params},
    idempotency::{IdempotencyKey, once, stray},
    wire::{Fields, Time, lines, list_params},
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(run_dr_test, list_dr_tests)).routes(routes!(get_dr_test))
}

/// A DR test to run: of a policy, of a cluster, or of one record.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct RunDrTest {
    /// A record of this policy.
    policy_id: Option<String>,
    /// A record of this cluster, whatever it was made for.
    cluster: Option<String>,
    /// This record.
    backup_record_id: Option<String>,
    /// Any record no older than this, in place of the newest.
    random_within_hours: Option<f64>,
    /// Where to: a cluster, and in it a folder or other namespaces.
    #[schema(value_type = DrTargetBody, required)]
    target: Option<DrTargetBody>,
    /// How deep the record is checked after the restore, as `L3`; not at all unless given.
    verify: Option<String>,
    /// Which of the engine's own checks look at what was restored.
    checks: Option<Vec<String>>,
    /// What of it stays: `nothing`, `if_failed` or `always`; `nothing` unless given.
    keep: Option<String>,
}

/// Where a DR test restores to: a folder, or other namespaces.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[schema(as = DrTarget)]
#[serde(default)]
pub(crate) struct DrTargetBody {
    /// The record's own cluster unless given.
    cluster: Option<String>,
    /// A folder below one of the cluster's restore roots.
    folder: Option<String>,
    /// Each namespace to one that nothing lives in.
    namespace_mapping: Option<BTreeMap<String, String>>,
}

impl DrTargetBody {
    fn read(&self, fields: &mut Fields) -> Option<DrTarget> {
        let cluster = fields.parse("target.cluster", self.cluster.as_deref());
        let destination = match (&self.folder, &self.namespace_mapping) {
            (Some(folder), None) => DrDestination::Folder(folder.clone()),
            (None, Some(mapping)) => DrDestination::Namespaces(namespaces(fields, mapping)),
            _ => {
                fields.refuse("target", "give it a folder or a namespace_mapping, and not both");
                return None;
            }
        };
        Some(DrTarget { cluster, destination })
    }
}

fn namespaces(
    fields: &mut Fields,
    mapping: &BTreeMap<String, String>,
) -> BTreeMap<NamespaceName, NamespaceName> {
    let mut name = |text: &str| fields.parse("target.namespace_mapping", Some(text));
    mapping.iter().filter_map(|(from, to)| name(from).zip(name(to))).collect()
}

impl RunDrTest {
    fn read(self) -> Result<NewDrTest, AppError> {
        let mut fields = Fields::default();
        let choice = fields.hours("random_within_hours", self.random_within_hours);
        let choice = choice.map_or(RecordChoice::Latest, RecordChoice::RandomWithin);
        let subject = self.subject(&mut fields, choice);
        if self.target.is_none() {
            fields.refuse("target", "it is missing: say where to restore to");
        }
        let target = self.target.as_ref().and_then(|target| target.read(&mut fields));
        let verify = fields.parse("verify", self.verify.as_deref());
        let checks: Vec<DisplayName> =
            self.checks.iter().flatten().filter_map(|name| fields.parse("checks", Some(name))).collect();
        let keep = self.keep.as_deref().and_then(|keep| fields.take("keep", keep_from(keep)));
        let new = subject.zip(target).map(|(subject, target)| {
            let mut new = NewDrTest::new(subject, target);
            new.verify = verify;
            new.checks = checks;
            new.keep = keep.unwrap_or_default();
            new
        });
        fields.finish(new)
    }

    fn subject(&self, fields: &mut Fields, choice: RecordChoice) -> Option<DrSubject> {
        match (&self.policy_id, &self.cluster, &self.backup_record_id) {
            (Some(policy), None, None) => {
                let policy: Option<PolicyId> = fields.parse("policy_id", Some(policy));
                policy.map(|policy| DrSubject::Policy(policy, choice))
            }
            (None, Some(cluster), None) => {
                let cluster: Option<ClusterName> = fields.parse("cluster", Some(cluster));
                cluster.map(|cluster| DrSubject::Cluster(cluster, choice))
            }
            (None, None, Some(record)) => {
                let record: Option<RecordId> = fields.parse("backup_record_id", Some(record));
                record.map(DrSubject::Record)
            }
            _ => {
                fields.refuse("policy_id", "give exactly one of policy_id, cluster and backup_record_id");
                None
            }
        }
    }
}

fn keep_from(text: &str) -> Result<DrKeep, String> {
    match text {
        "nothing" => Ok(DrKeep::Nothing),
        "if_failed" => Ok(DrKeep::IfFailed),
        "always" => Ok(DrKeep::Always),
        other => Err(format!("`{other}` is none of nothing, if_failed, always")),
    }
}

/// A DR test.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DrTestAnswer {
    test: DrTestBody,
}

/// A page of DR tests.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DrTestList {
    /// The newest first.
    tests: Vec<DrTestBody>,
    /// How many match in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    /// Where the next page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// A DR test.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DrTest)]
pub(crate) struct DrTestBody {
    id: String,
    policy_id: Option<String>,
    backup_record_id: Option<String>,
    target_cluster: String,
    /// `running`, `passed`, `failed` or `not_run`, which is not passed.
    status: String,
    started_at: Time,
    completed_at: Option<Time>,
    requested_by: String,
    /// How long getting back took, checks aside; `null` if it did not get so far.
    recovery_time_actual_seconds: Option<u64>,
    /// What would have been lost, as time, had the disaster struck when it began.
    recovery_point_actual_seconds: Option<u64>,
    bytes_restored: Option<u64>,
    resources_restored: Option<BTreeMap<String, u64>>,
    /// The highest level that it proved.
    passed_level: Option<String>,
    findings: Vec<FindingBody>,
    /// Why it failed or was not run.
    reason: Option<String>,
    errors: Vec<String>,
    /// Where something may still lie.
    left_behind: Vec<String>,
    /// Why something was left behind.
    clean_up_reason: Option<String>,
}

/// What one of the engine's checks found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DrFinding)]
pub(crate) struct FindingBody {
    check: String,
    /// `passed`, `failed` or `not_run`.
    status: String,
    reason: Option<String>,
}

impl DrTestBody {
    fn of(test: &DrTest) -> Self {
        let seconds = |duration: Option<Duration>| duration.map(|duration| duration.as_secs());
        let restore = test.restore.as_ref();
        Self {
            id: test.id.to_string(),
            policy_id: test.policy.map(|id| id.to_string()),
            backup_record_id: test.run.as_ref().map(|run| run.record.id.to_string()),
            target_cluster: test.target_cluster.to_string(),
            status: test.status.to_string(),
            started_at: test.started_at.into(),
            completed_at: test.completed_at.map(Time),
            requested_by: test.requested_by.to_string(),
            recovery_time_actual_seconds: seconds(test.recovery_time_actual()),
            recovery_point_actual_seconds: seconds(test.recovery_point_actual()),
            bytes_restored: restore.map(|restore| restore.bytes.0),
            resources_restored: restore.map(|restore| restore.restored.0.clone()),
            passed_level: test.passed_level.map(|level| level.to_string()),
            findings: test
                .findings
                .iter()
                .map(|finding| FindingBody {
                    check: finding.check.to_string(),
                    status: finding.status.to_string(),
                    reason: finding.reason.clone(),
                })
                .collect(),
            reason: test.reason.clone(),
            errors: lines(&test.errors),
            left_behind: test.left_behind.iter().map(place).collect(),
            clean_up_reason: test.clean_up.as_ref().and_then(|clean_up| clean_up.reason.clone()),
        }
    }
}

fn place(target: &RestoreTarget) -> String {
    match target {
        RestoreTarget::Namespace(name) => name.to_string(),
        RestoreTarget::Path(path) => path.clone(),
    }
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
        #[param(value_type = Option<String>)]
        policy_id: Option<PolicyId>,
        /// Of this record.
        #[param(value_type = Option<String>)]
        record_id: Option<RecordId>,
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
    query.policy = params.policy_id;
    query.record = params.record_id;
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
