//! DR policies as answers show them.

use std::collections::HashMap;

use aegis_core::{
    engine::{PolicyView, Tenant},
    model::{
        BackupJob, ClusterName, DisplayName, Frequency, JobId, JobStatus, Labels, NamespacePattern, Policy,
        PolicyId, Principal, Schedule, ScheduleOptions, Slot, SlotOutcome, StorageUri, VerificationLevel,
        Versioned,
    },
    seams::Feature,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::retention::RetentionBody;
use crate::{
    api::dr_tests::DrRuleBody,
    wire::{self, Hours, Time},
};

/// A policy.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PolicyAnswer {
    /// The policy.
    pub(super) policy: PolicyBody,
}

/// Policies.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PolicyList {
    /// The policies, the newest first.
    pub(super) policies: Vec<PolicyBody>,
    /// How many match in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) total: Option<u64>,
    /// Where the next page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_cursor: Option<String>,
}

/// The slots of a policy.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SlotList {
    /// The slots, the newest first.
    pub(super) slots: Vec<RunBody>,
    /// How many there are in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) total: Option<u64>,
    /// Where the next page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_cursor: Option<String>,
    /// The next one to come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_run_at: Option<Time>,
}

/// A DR policy.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DrPolicy)]
pub(crate) struct PolicyBody {
    #[schema(value_type = String)]
    id: PolicyId,
    #[schema(value_type = String)]
    name: DisplayName,
    description: String,
    #[schema(value_type = String)]
    cluster: ClusterName,
    #[schema(value_type = Vec<String>)]
    namespaces: Vec<NamespacePattern>,
    #[schema(value_type = Vec<String>)]
    exclude_namespaces: Vec<NamespacePattern>,
    schedule: String,
    /// The schedule in English.
    schedule_human: String,
    /// The schedule in four words, where it was given so.
    #[schema(value_type = Option<Object>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency: Option<Frequency>,
    /// Whose wall clock; left out of `@every`.
    #[serde(skip_serializing_if = "Option::is_none")]
    timezone: Option<String>,
    #[schema(value_type = Object)]
    schedule_options: ScheduleOptions,
    #[serde(skip_serializing_if = "Option::is_none")]
    retention_days: Option<u32>,
    retention: RetentionBody,
    include_volumes: bool,
    storage_backend: &'static str,
    #[schema(value_type = String)]
    storage_location: StorageUri,
    #[serde(skip_serializing_if = "Option::is_none")]
    rpo_hours: Option<Hours>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rto_hours: Option<Hours>,
    enabled: bool,
    created_at: Time,
    updated_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_run_at: Option<Time>,
    last_run_at: Option<Time>,
    last_run_status: Option<&'static str>,
    kind: &'static str,
    priority: i32,
    /// How many attempts a job may have.
    max_attempts: u32,
    /// How long an attempt may run.
    timeout_seconds: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    verify: Option<&'static str>,
    count_partial: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    count_verified: Option<&'static str>,
    /// The DR tests that prove it.
    #[serde(skip_serializing_if = "Option::is_none")]
    dr_test: Option<DrRuleBody>,
    #[schema(value_type = BTreeMap<String, String>)]
    labels: Labels,
    #[schema(value_type = String)]
    created_by: Principal,
    /// Why it may not do what it seems to promise; said when it is made or changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    /// Its newest 30 slots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) run_history: Option<Vec<RunBody>>,
}

/// A slot: a nominal time of a policy, or several in a row, and what became of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PolicyRun)]
pub(crate) struct RunBody {
    /// The nominal time; the first of a range.
    run_at: Time,
    /// That of its job if it ran, else `coalesced`, `skipped`, `expired` or `missed`.
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_seconds: Option<u64>,
    /// `ran`, `coalesced`, `skipped`, `expired` or `missed`.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<String>,
    /// The slot whose job stands for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    coalesced_into: Option<Time>,
    /// Why it was skipped or missed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// The last nominal time of a range.
    #[serde(skip_serializing_if = "Option::is_none")]
    through: Option<Time>,
    /// For how many nominal times it stands.
    count: u64,
}

/// A schedule as requests write it.
pub(crate) fn schedule_text(schedule: &Schedule) -> String {
    match (schedule, schedule.expression()) {
        (_, Some(expression)) => expression.to_string(),
        (Schedule::Every { period }, None) => format!("@every {}s", period.get()),
        (Schedule::Cron { .. } | Schedule::Frequency { .. }, None) => String::new(),
    }
}

impl PolicyBody {
    /// As lists have it.
    pub(super) fn of(view: &PolicyView) -> Self {
        let policy: &Policy = &view.policy;
        let state = view.state.as_deref();
        Self {
            id: policy.id,
            name: policy.name.clone(),
            description: policy.description.clone(),
            cluster: policy.cluster.clone(),
            namespaces: policy.namespaces.include().to_vec(),
            exclude_namespaces: policy.namespaces.exclude().to_vec(),
            schedule: schedule_text(&policy.schedule),
            schedule_human: view.schedule_human.clone(),
            frequency: match policy.schedule {
                Schedule::Frequency { frequency, .. } => Some(frequency),
                Schedule::Cron { .. } | Schedule::Every { .. } => None,
            },
            timezone: policy.schedule.zone().map(|zone| zone.to_string()),
            schedule_options: policy.schedule_options.clone(),
            retention_days: policy.retention.keep.days,
            retention: RetentionBody::of(&policy.retention),
            include_volumes: policy.include_volumes,
            storage_backend: policy.location.backend().as_str(),
            storage_location: policy.location.clone(),
            rpo_hours: policy.rpo.map(|rpo| Hours(rpo.0)),
            rto_hours: policy.rto.map(|rto| Hours(rto.0)),
            enabled: policy.enabled,
            created_at: policy.created_at.into(),
            updated_at: policy.updated_at.into(),
            next_run_at: state.and_then(|state| state.next_run_at).map(Time),
            last_run_at: state.and_then(|state| state.last_run_at).map(Time),
            last_run_status: state.and_then(|state| state.last_run_status).map(JobStatus::as_str),
            kind: policy.kind.as_str(),
            priority: policy.priority,
            max_attempts: policy.max_attempts.get(),
            timeout_seconds: policy.timeout.as_secs(),
            verify: policy.verify.map(VerificationLevel::as_str),
            count_partial: policy.count_partial,
            count_verified: policy.count_verified.map(VerificationLevel::as_str),
            dr_test: policy.dr_test.as_ref().map(DrRuleBody::of),
            labels: policy.labels.clone(),
            created_by: policy.created_by.clone(),
            warnings: Vec::new(),
            run_history: None,
        }
    }

    /// As it is shown by itself.
    pub(super) fn detailed(view: &PolicyView) -> Self {
        let warnings = view.warnings.iter().map(|finding| finding.message.clone()).collect();
        Self { warnings, ..Self::of(view) }
    }

    /// Says that volumes were asked for where there are none.
    pub(super) fn warn_of_volumes(&mut self, tenant: &Tenant, cluster: &ClusterName) {
        self.warnings.extend(wire::without(tenant, cluster, Feature::Volumes, "include_volumes"));
    }
}

impl RunBody {
    pub(super) fn of(slot: &Slot, jobs: &HashMap<JobId, Versioned<BackupJob>>) -> Self {
        let outcome = slot.outcome.label();
        let job = slot.outcome.job();
        let (coalesced_into, reason) = match slot.outcome {
            SlotOutcome::Ran { .. } | SlotOutcome::Expired => (None, None),
            SlotOutcome::Coalesced { into } => (Some(into), None),
            SlotOutcome::Skipped { reason } => (None, Some(reason.label())),
            SlotOutcome::Missed { reason } => (None, Some(reason.label())),
        };
        let ran = job.and_then(|id| jobs.get(&id));
        let took = ran.and_then(|job| Some(job.completed_at?.since(job.started_at?)));
        Self {
            run_at: slot.nominal_at.into(),
            status: ran.map_or_else(|| outcome.to_owned(), |job| job.status.to_string()),
            duration_seconds: took.map(|took| took.as_secs()),
            outcome,
            job_id: job.map(|id| id.to_string()),
            coalesced_into: coalesced_into.map(Time),
            reason,
            through: slot.through.map(Time),
            count: slot.count,
        }
    }
}
