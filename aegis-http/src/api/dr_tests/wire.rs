//! DR tests as answers show them.

use std::{collections::BTreeMap, time::Duration};

use aegis_core::model::{CheckStatus, CheckStep, DrCleanUp, DrConclusion, DrTest, RestoreTarget};
use serde::Serialize;
use utoipa::ToSchema;

use crate::wire::{Time, lines};

/// A DR test.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DrTestAnswer {
    pub(super) test: DrTestBody,
}

/// A page of DR tests.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DrTestList {
    /// The newest first.
    pub(super) tests: Vec<DrTestBody>,
    /// How many match in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) total: Option<u64>,
    /// Where the next page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_cursor: Option<String>,
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
    /// What it came to, known before it ends: there may be something to stop and to clean up.
    conclusion: Option<ConclusionBody>,
    /// What became of the removal of what was restored; `null` until then, or if nothing was.
    clean_up: Option<CleanUpBody>,
}

/// What a DR test came to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DrConclusion)]
pub(crate) struct ConclusionBody {
    /// How it will end: `passed`, `failed` or `not_run`.
    status: String,
    reason: Option<String>,
    /// The level that failed.
    failed_level: Option<String>,
}

/// What became of the removal of what a DR test restored.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DrCleanUp)]
pub(crate) struct CleanUpBody {
    /// `passed`: all is gone; `failed`: something stayed; `not_run`: it was not tried.
    status: String,
    /// How many of what were removed.
    removed: BTreeMap<String, u64>,
    /// Why something stayed.
    reason: Option<String>,
    errors: Vec<String>,
}

impl ConclusionBody {
    fn of(conclusion: &DrConclusion) -> Self {
        let status = match conclusion.step {
            CheckStep::Pass => CheckStatus::Passed,
            CheckStep::Fail => CheckStatus::Failed,
            CheckStep::GiveUp => CheckStatus::NotRun,
        };
        Self {
            status: status.to_string(),
            reason: conclusion.reason.clone(),
            failed_level: conclusion.failed_level.map(|level| level.to_string()),
        }
    }
}

impl CleanUpBody {
    fn of(clean_up: &DrCleanUp) -> Self {
        Self {
            status: clean_up.status.to_string(),
            removed: clean_up.removed.0.clone(),
            reason: clean_up.reason.clone(),
            errors: lines(&clean_up.errors),
        }
    }
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
    pub(super) fn of(test: &DrTest) -> Self {
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
            conclusion: test.conclusion.as_ref().map(ConclusionBody::of),
            clean_up: test.clean_up.as_ref().map(CleanUpBody::of),
        }
    }
}

fn place(target: &RestoreTarget) -> String {
    match target {
        RestoreTarget::Namespace(name) => name.to_string(),
        RestoreTarget::Path(path) => path.clone(),
    }
}
