//! `/health/summary`: how healthy every cluster is.

use aegis_core::{
    engine::{ClusterSummary, HealthSummary},
    rules::health::HealthStatus,
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{app::App, auth::Viewer, error::AppError, json::Json, wire::Time};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_health_summary))
}

/// How healthy everything is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SummaryAnswer {
    health_summary: SummaryBody,
}

/// How healthy everything is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HealthSummary)]
pub(crate) struct SummaryBody {
    /// `healthy`, `warning`, `critical` or `unknown`.
    overall_status: &'static str,
    assessed_at: Time,
    clusters: Vec<ClusterBody>,
    totals: TotalsBody,
}

/// How healthy a cluster is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ClusterHealth)]
pub(crate) struct ClusterBody {
    cluster: String,
    /// `healthy`, `warning`, `critical` or `unknown`.
    status: &'static str,
    /// Why, the worst first.
    reasons: Vec<String>,
    backup_status: BackupStatusBody,
    dr_compliance: DrComplianceBody,
    recovery_readiness: ReadinessBody,
}

/// How the backups of a cluster go.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BackupStatus)]
pub(crate) struct BackupStatusBody {
    total_policies: usize,
    active_policies: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_backup_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_backup_status: Option<String>,
    backups_last_24h: u64,
    failed_last_24h: u64,
    total_backup_size_bytes: u64,
}

/// Whether a cluster's policies keep their objectives.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DrCompliance)]
pub(crate) struct DrComplianceBody {
    compliant: bool,
    rpo_met: bool,
    rto_met: bool,
}

/// What of a cluster could be brought back.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RecoveryReadiness)]
pub(crate) struct ReadinessBody {
    restorable_backups: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_restorable: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    newest_restorable: Option<Time>,
    /// `null` if it is unknown for any policy.
    estimated_full_restore_minutes: Option<u64>,
}

/// Everything together.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HealthTotals)]
pub(crate) struct TotalsBody {
    total_clusters: usize,
    healthy_clusters: usize,
    warning_clusters: usize,
    critical_clusters: usize,
    total_backup_policies: usize,
    total_backup_size_bytes: u64,
    total_restorable_backups: usize,
}

const fn word(status: HealthStatus) -> &'static str {
    match status {
        HealthStatus::Unknown => "unknown",
        HealthStatus::Healthy => "healthy",
        HealthStatus::Warning => "warning",
        HealthStatus::Critical => "critical",
    }
}

impl SummaryBody {
    fn of(summary: &HealthSummary) -> Self {
        let totals = summary.totals;
        Self {
            overall_status: word(summary.overall),
            assessed_at: summary.assessed_at.into(),
            clusters: summary.clusters.iter().map(ClusterBody::of).collect(),
            totals: TotalsBody {
                total_clusters: totals.clusters,
                healthy_clusters: totals.healthy,
                warning_clusters: totals.warning,
                critical_clusters: totals.critical,
                total_backup_policies: summary.total_backup_policies(),
                total_backup_size_bytes: summary.total_backup_size().0,
                total_restorable_backups: summary.total_restorable_backups(),
            },
        }
    }
}

impl ClusterBody {
    fn of(summary: &ClusterSummary) -> Self {
        let (backups, readiness) = (summary.backups, summary.readiness);
        Self {
            cluster: summary.cluster.to_string(),
            status: word(summary.health.status),
            reasons: summary.health.reasons.iter().map(ToString::to_string).collect(),
            backup_status: BackupStatusBody {
                total_policies: backups.total_policies,
                active_policies: backups.active_policies,
                last_backup_at: backups.last_backup_at.map(Time),
                last_backup_status: backups.last_backup_status.map(|status| status.to_string()),
                backups_last_24h: backups.backups_last_24h,
                failed_last_24h: backups.failed_last_24h,
                total_backup_size_bytes: backups.total_size.0,
            },
            dr_compliance: DrComplianceBody {
                compliant: summary.health.is_compliant(),
                rpo_met: summary.health.rpo_met,
                rto_met: summary.health.rto_met,
            },
            recovery_readiness: ReadinessBody {
                restorable_backups: readiness.restorable_backups,
                oldest_restorable: readiness.oldest_restorable.map(Time),
                newest_restorable: readiness.newest_restorable.map(Time),
                estimated_full_restore_minutes: readiness.estimated_full_restore_minutes,
            },
        }
    }
}

/// How healthy every cluster is, with reasons.
#[utoipa::path(
    get, path = "/health/summary", tag = "Health summary",
    responses((status = 200, description = "How healthy", body = SummaryAnswer))
)]
async fn get_health_summary(Viewer(tenant): Viewer) -> Result<Json<SummaryAnswer>, AppError> {
    Ok(Json(SummaryAnswer { health_summary: SummaryBody::of(&tenant.health_summary().await?) }))
}
