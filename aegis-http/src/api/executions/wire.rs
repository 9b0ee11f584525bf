//! Recovery executions on the wire.

use std::collections::BTreeMap;

use aegis_core::{
    engine::ExecutionView,
    model::{ExecutionStatus, PlanId, RecoveryExecution, Timestamp},
    seams::RestorePreview,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    api::jobs::{ProgressBody, message_of},
    wire::{Time, lines},
};

/// How to execute a plan.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ExecutePlan {
    /// That it is meant: a restore writes over what is there.
    pub(super) confirmed: Option<bool>,
    /// Say what would happen, and change nothing.
    pub(super) dry_run: Option<bool>,
}

/// An execution.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExecutionAnswer {
    /// The execution.
    pub(super) execution: ExecutionBody,
}

/// A recovery execution.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RecoveryExecution)]
pub(crate) struct ExecutionBody {
    id: String,
    plan_id: String,
    /// `executing`, `completed`, `partially_failed`, `failed` or `cancelled`.
    status: String,
    /// Whole per cent; never goes back.
    progress_pct: u8,
    /// The generated name of the restore, whatever the driver; `null` of a dry run.
    velero_restore_name: Option<String>,
    started_at: Time,
    completed_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_seconds: Option<u64>,
    /// How many of what; `null` until it has ended, since only then drivers say so.
    resources_restored: Option<BTreeMap<String, u64>>,
    warnings: Vec<String>,
    errors: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<String>,
    /// What to do about the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    suggestion: Option<String>,
    /// Nobody began a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    started_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_restored: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<ProgressBody>,
    /// `true` of a dry run, which changed nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    dry_run: Option<bool>,
    /// What would happen.
    #[serde(skip_serializing_if = "Option::is_none")]
    preview: Option<PreviewBody>,
}

/// What a restore would do.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RestorePreview)]
pub(crate) struct PreviewBody {
    /// Entries that would be created.
    create: u64,
    /// Entries that would be overwritten.
    overwrite: u64,
    /// Entries that would stay as they are.
    skip: u64,
    /// Of these, those that differ from the record.
    differing: u64,
    /// Bytes that would be written.
    size_bytes: u64,
    /// Bytes that the target has free, where that is known.
    free_bytes: Option<u64>,
    /// What would keep the restore from working; empty if it can work.
    obstacles: Vec<String>,
    /// Some of the entries.
    examples: Vec<PreviewEntryBody>,
}

/// What would happen to one entry.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PreviewEntry)]
pub(crate) struct PreviewEntryBody {
    path: String,
    /// `create`, `overwrite` or `skip`.
    action: String,
}

impl ExecutionBody {
    /// The same in a plan's history as by itself.
    pub(crate) fn of(view: &ExecutionView) -> Self {
        let execution: &RecoveryExecution = &view.execution;
        let running = execution.status == ExecutionStatus::Executing;
        let result = execution.result.as_ref();
        let mut errors = lines(&execution.errors);
        if errors.is_empty() {
            errors.extend(execution.failure.as_ref().map(message_of));
        }
        Self {
            id: execution.id.to_string(),
            plan_id: execution.plan.to_string(),
            status: execution.status.to_string(),
            progress_pct: view.percent(),
            velero_restore_name: Some(execution.name.to_string()),
            started_at: execution.started_at.into(),
            completed_at: execution.completed_at.map(Time),
            duration_seconds: execution.duration().map(|duration| duration.as_secs()),
            resources_restored: result.map(|result| result.restored.0.clone()),
            warnings: lines(&execution.warnings),
            errors,
            error_message: execution.failure.as_ref().map(message_of),
            suggestion: execution.failure.as_ref().and_then(|failure| failure.suggestion.clone()),
            started_by: Some(execution.started_by.to_string()),
            bytes_restored: result.map(|result| result.bytes.0),
            progress: view.progress.as_ref().filter(|_| running).map(ProgressBody::of),
            dry_run: None,
            preview: None,
        }
    }

    /// A dry run: over as soon as it began, and kept nowhere.
    pub(super) fn preview(plan: PlanId, now: Timestamp, preview: RestorePreview) -> Self {
        let works = preview.obstacles.is_empty();
        let status = if works { ExecutionStatus::Completed } else { ExecutionStatus::Failed };
        Self {
            id: format!("dry-run-{plan}"),
            plan_id: plan.to_string(),
            status: status.to_string(),
            progress_pct: 100,
            velero_restore_name: None,
            started_at: now.into(),
            completed_at: Some(now.into()),
            duration_seconds: Some(0),
            resources_restored: None,
            warnings: Vec::new(),
            errors: preview.obstacles.clone(),
            error_message: None,
            suggestion: None,
            started_by: None,
            bytes_restored: None,
            progress: None,
            dry_run: Some(true),
            preview: Some(PreviewBody::of(preview)),
        }
    }
}

impl PreviewBody {
    fn of(preview: RestorePreview) -> Self {
        Self {
            create: preview.create,
            overwrite: preview.overwrite,
            skip: preview.skip,
            differing: preview.differing,
            size_bytes: preview.bytes.0,
            free_bytes: preview.free.map(|free| free.0),
            obstacles: preview.obstacles,
            examples: preview
                .examples
                .into_iter()
                .map(|entry| PreviewEntryBody { path: entry.path, action: entry.action.to_string() })
                .collect(),
        }
    }
}
