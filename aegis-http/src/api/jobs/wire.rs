//! Backup jobs on the wire.

use std::collections::BTreeMap;

use aegis_core::{
    engine::{JobView, NewJob, Tenant},
    model::{
        Attempt, BackupJob, BackupKind, Bytes, ClusterName, DisplayName, Failure, JobId, Labels,
        NamespacePattern, PolicyId, Principal, RecordId, Sizes, StorageUri,
    },
    seams::{Feature, ProgressReport},
};
use serde::{Deserialize, Serialize};
use serde_json::Number;
use utoipa::ToSchema;

use crate::{
    error::AppError,
    wire::{self, Fields, Time, lines},
};

/// A backup job to make.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct CreateJob {
    /// What people call it.
    #[schema(value_type = String, required)]
    name: Option<String>,
    /// What is backed up.
    #[schema(value_type = String, required)]
    cluster: Option<String>,
    /// Which namespaces of it; all unless given.
    namespaces: Option<Vec<String>>,
    /// Which of them not.
    exclude_namespaces: Option<Vec<String>>,
    /// Whether volumes are wanted; they are unless said otherwise.
    pub(super) include_volumes: Option<bool>,
    /// What kind of storage: that of the location.
    storage_backend: Option<String>,
    /// Where the data goes: below a configured location; the only one unless given.
    storage_location: Option<String>,
    /// How long the record is kept at the least; 720 unless given.
    #[schema(minimum = 1)]
    ttl_hours: Option<f64>,
    /// Labels, passed on to the record.
    labels: Option<BTreeMap<String, String>>,
    /// `full` unless given.
    kind: Option<String>,
    /// Higher goes first; 0 unless given.
    #[schema(value_type = Option<i32>)]
    priority: Option<Number>,
}

impl CreateJob {
    pub(super) fn read(self, tenant: &Tenant) -> Result<NewJob, AppError> {
        let mut fields = Fields::default();
        let name = fields.require("name", self.name.as_deref());
        let cluster = fields.require("cluster", self.cluster.as_deref());
        let namespaces = wire::selection(&mut fields, "namespaces", self.namespaces, self.exclude_namespaces);
        let location = wire::location(
            &mut fields,
            self.storage_location.as_deref(),
            self.storage_backend.as_deref(),
            tenant.only_location(),
        );
        let ttl = fields.hours("ttl_hours", self.ttl_hours);
        let labels = self.labels.and_then(|labels| fields.take("labels", Labels::new(labels)));
        let kind: Option<BackupKind> = fields.parse("kind", self.kind.as_deref());
        let priority = fields.whole("priority", self.priority.as_ref());
        let new = name.zip(cluster).zip(namespaces).map(|((name, cluster), namespaces)| {
            let mut new = NewJob::new(name, cluster, namespaces);
            new.include_volumes = self.include_volumes.unwrap_or(new.include_volumes);
            new.location = location;
            new.ttl = ttl.unwrap_or(new.ttl);
            new.labels = labels.unwrap_or_default();
            new.kind = kind.unwrap_or(new.kind);
            new.priority = priority.unwrap_or(new.priority);
            new
        });
        fields.finish(new)
    }
}

/// A job.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobAnswer {
    /// The job.
    pub job: JobBody,
}

/// A page of jobs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobList {
    /// The jobs, the newest first.
    pub jobs: Vec<JobBody>,
    /// How many match in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// The most that a page has.
    pub limit: usize,
    /// How many were left out first.
    pub offset: usize,
    /// Where the next page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// A backup job.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BackupJob)]
pub(crate) struct JobBody {
    #[schema(value_type = String)]
    id: JobId,
    #[schema(value_type = String)]
    name: DisplayName,
    #[schema(value_type = String)]
    cluster: ClusterName,
    #[schema(value_type = Vec<String>)]
    namespaces: Vec<NamespacePattern>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    exclude_namespaces: Vec<NamespacePattern>,
    include_volumes: bool,
    storage_backend: &'static str,
    #[schema(value_type = String)]
    storage_location: StorageUri,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_hours: Option<wire::Hours>,
    #[schema(value_type = BTreeMap<String, String>)]
    labels: Labels,
    /// `pending`, `in_progress`, `completed`, `partially_failed`, `failed` or `cancelled`.
    status: &'static str,
    /// The generated name of what the newest attempt makes, whatever the driver.
    velero_backup_name: Option<String>,
    started_at: Option<Time>,
    completed_at: Option<Time>,
    size_bytes: Option<u64>,
    resource_count: Option<u64>,
    error_message: Option<String>,
    /// What to do about the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    suggestion: Option<String>,
    created_at: Time,
    #[schema(value_type = String)]
    created_by: Principal,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    policy_id: Option<PolicyId>,
    /// The record that it made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    record_id: Option<RecordId>,
    /// Each attempt, the oldest first.
    attempts: Vec<AttemptBody>,
    /// Since when it is asked to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    cancel_requested_at: Option<Time>,
    warnings: Vec<String>,
    errors: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sizes: Option<SizesBody>,
    /// How many jobs of the cluster go first.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_position: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<ProgressBody>,
    /// How many of what the backup holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    resources_backed_up: Option<BTreeMap<String, u64>>,
}

/// An attempt at a job.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobAttempt)]
pub(crate) struct AttemptBody {
    velero_backup_name: String,
    started_at: Time,
    ended_at: Option<Time>,
    error_message: Option<String>,
}

/// How large a backup is, in bytes; `null` is unknown.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = Sizes)]
pub(crate) struct SizesBody {
    /// What a restore writes.
    pub logical: Option<u64>,
    /// What it takes in storage.
    pub stored: Option<u64>,
    /// What it added to the storage.
    pub added: Option<u64>,
}

/// How far running work is.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Progress)]
pub(crate) struct ProgressBody {
    /// Whole per cent, at most 99 while it runs; `null` while the total is unknown.
    pub percent: Option<u8>,
    /// Bytes handled.
    pub bytes_done: u64,
    /// Bytes to handle.
    pub bytes_total: Option<u64>,
    /// Items handled.
    pub items_done: u64,
    /// Items to handle.
    pub items_total: Option<u64>,
    /// The least time that is still needed.
    pub eta_seconds_low: Option<u64>,
    /// The most time that is still needed.
    pub eta_seconds_high: Option<u64>,
    /// When it was last looked at.
    pub observed_at: Time,
}

/// How far a job is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProgressAnswer {
    job_id: String,
    status: String,
    /// `null` while nothing runs.
    progress: Option<ProgressBody>,
    /// How many jobs of the cluster go first, while it waits.
    queue_position: Option<u64>,
}

impl ProgressAnswer {
    pub(super) fn of(view: &JobView) -> Self {
        Self {
            job_id: view.job.id.to_string(),
            status: view.job.status.to_string(),
            progress: view.progress.as_ref().map(ProgressBody::of),
            queue_position: view.queue_position,
        }
    }
}

impl ProgressBody {
    pub(crate) fn of(report: &ProgressReport) -> Self {
        let progress = &report.progress;
        Self {
            percent: progress.percent(),
            bytes_done: progress.bytes_done,
            bytes_total: progress.bytes_total,
            items_done: progress.items_done,
            items_total: progress.items_total,
            eta_seconds_low: progress.eta_low.map(|eta| eta.as_secs()),
            eta_seconds_high: progress.eta_high.map(|eta| eta.as_secs()),
            observed_at: report.observed_at.into(),
        }
    }
}

impl SizesBody {
    pub(crate) fn of(sizes: &Sizes) -> Self {
        let bytes = |size: Option<Bytes>| size.map(|size| size.0);
        Self { logical: bytes(sizes.logical), stored: bytes(sizes.stored), added: bytes(sizes.added) }
    }

    /// The one figure for people: what it takes, else what it holds.
    pub(crate) fn figure(&self) -> Option<u64> {
        self.stored.or(self.logical)
    }
}

impl AttemptBody {
    fn of(attempt: &Attempt) -> Self {
        Self {
            velero_backup_name: attempt.name.to_string(),
            started_at: attempt.started_at.into(),
            ended_at: attempt.ended_at.map(Time),
            error_message: attempt.failure.as_ref().map(message_of),
        }
    }
}

/// What went wrong, with the outer system's own words.
pub(crate) fn message_of(failure: &Failure) -> String {
    match &failure.cause {
        Some(cause) if *cause != failure.message => format!("{}: {cause}", failure.message),
        _ => failure.message.clone(),
    }
}

impl JobBody {
    /// As lists have it.
    pub(crate) fn of(job: &BackupJob) -> Self {
        let sizes = job.result.as_ref().map(|result| SizesBody::of(&result.sizes));
        Self {
            id: job.id,
            name: job.name.clone(),
            cluster: job.cluster.clone(),
            namespaces: job.namespaces.include().to_vec(),
            exclude_namespaces: job.namespaces.exclude().to_vec(),
            include_volumes: job.include_volumes,
            storage_backend: job.location.backend().as_str(),
            storage_location: job.location.clone(),
            ttl_hours: job.ttl.map(wire::Hours),
            labels: job.labels.clone(),
            status: job.status.as_str(),
            velero_backup_name: job.current_attempt().map(|attempt| attempt.name.to_string()),
            started_at: job.started_at.map(Time),
            completed_at: job.completed_at.map(Time),
            size_bytes: sizes.and_then(|sizes| sizes.figure()),
            resource_count: job.result.as_ref().map(|result| result.counts.total()),
            error_message: job.failure.as_ref().map(message_of),
            suggestion: job.failure.as_ref().and_then(|failure| failure.suggestion.clone()),
            created_at: job.created_at.into(),
            created_by: job.created_by.clone(),
            kind: job.kind.as_str(),
            policy_id: job.policy,
            record_id: job.result.as_ref().map(|result| result.record),
            attempts: job.attempts.iter().map(AttemptBody::of).collect(),
            cancel_requested_at: job.cancel_requested_at.map(Time),
            warnings: lines(&job.warnings),
            errors: lines(&job.errors),
            sizes,
            queue_position: None,
            progress: None,
            resources_backed_up: None,
        }
    }

    /// As it is shown by itself.
    pub(crate) fn detailed(view: &JobView) -> Self {
        Self {
            queue_position: view.queue_position,
            progress: view.progress.as_ref().map(ProgressBody::of),
            resources_backed_up: view.job.result.as_ref().map(|result| result.counts.0.clone()),
            ..Self::of(&view.job)
        }
    }

    /// Says that volumes were asked for where there are none.
    pub(super) fn warn_of_volumes(&mut self, tenant: &Tenant, cluster: &ClusterName) {
        self.warnings.extend(wire::without(tenant, cluster, Feature::Volumes, "include_volumes"));
    }
}
