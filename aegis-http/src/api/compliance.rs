//! `/dr/compliance`: how every policy stands against its objectives.

use aegis_core::{
    engine::{Compliance, ComplianceStatus, PolicyCompliance},
    model::{ClusterName, DisplayName, PolicyId},
    rules::{
        exposure::RpoStatus,
        rto::{RtoBasis, RtoStatus},
    },
};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    auth::Viewer,
    error::AppError,
    extract::Params,
    json,
    wire::{Hours, Time},
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_compliance))
}

/// Which policies.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ComplianceParams {
    /// Of this cluster.
    #[param(value_type = Option<String>)]
    cluster: Option<ClusterName>,
}

/// How every policy stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ComplianceAnswer {
    compliance: ComplianceBody,
}

/// How every policy stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Compliance)]
pub(crate) struct ComplianceBody {
    /// `compliant`, `non_compliant` or `unknown`.
    overall_status: &'static str,
    assessed_at: Time,
    /// Those that are enabled; others are counted nowhere.
    total_policies: usize,
    compliant_policies: usize,
    non_compliant_policies: usize,
    /// Every policy by name.
    policies: Vec<PolicyComplianceBody>,
}

/// How one policy stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PolicyCompliance)]
pub(crate) struct PolicyComplianceBody {
    #[schema(value_type = String)]
    policy_id: PolicyId,
    #[schema(value_type = String)]
    policy_name: DisplayName,
    #[schema(value_type = String)]
    cluster: ClusterName,
    #[serde(skip_serializing_if = "Option::is_none")]
    rpo_target_hours: Option<Hours>,
    /// Rounded up to one decimal; `null` if it is unknown, which is not compliant.
    rpo_actual_hours: Option<f64>,
    rpo_compliant: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    rto_target_hours: Option<Hours>,
    /// Rounded up to one decimal; `null` if it is unknown, which is not compliant.
    rto_estimated_hours: Option<f64>,
    rto_compliant: bool,
    /// When the newest backup that counts ended; `null` if none does.
    last_successful_backup: Option<Time>,
    backup_count_30d: u64,
    failed_backups_30d: u64,
    /// What is wrong and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    issue: Option<String>,
    enabled: bool,
    compliant: bool,
    /// `met`, `at_risk`, `missed` or `unknown`.
    rpo_status: &'static str,
    /// `met`, `at_risk`, `missed` or `unknown`.
    rto_status: &'static str,
    /// The instant that the newest usable recovery point reflects: what the verdict rests on.
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_point_at: Option<Time>,
    /// The last instant at which the RPO is kept if no backup counts before.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_violation_at: Option<Time>,
    /// The latest start of a backup that still keeps the RPO, if it takes as long as the longest of
    /// the newest; left out if none can, or without an RPO.
    #[serde(skip_serializing_if = "Option::is_none")]
    latest_safe_start: Option<Time>,
    /// What the estimate rests on; left out without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    rto_basis: Option<RtoBasisBody>,
}

/// What an RTO estimate rests on.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RtoBasis)]
pub(crate) struct RtoBasisBody {
    /// Restores and drills of the policy, or of its location, or weaker proxies.
    basis: &'static str,
    /// How many measurements.
    samples: usize,
    /// The newest of them.
    newest_at: Option<Time>,
    /// From 0 to 1; `null` where no restore ran.
    confidence: Option<f64>,
    /// What of the estimate people need to notice and decide, as configured.
    decision_seconds: u64,
}

const fn rpo_word(status: RpoStatus) -> &'static str {
    match status {
        RpoStatus::Met => "met",
        RpoStatus::AtRisk => "at_risk",
        RpoStatus::Missed => "missed",
        RpoStatus::Unknown => "unknown",
    }
}

const fn rto_word(status: RtoStatus) -> &'static str {
    match status {
        RtoStatus::Met => "met",
        RtoStatus::AtRisk => "at_risk",
        RtoStatus::Missed => "missed",
        RtoStatus::Unknown => "unknown",
    }
}

const fn basis_word(basis: RtoBasis) -> &'static str {
    match basis {
        RtoBasis::SamePolicy => "same_policy",
        RtoBasis::SamePolicyElsewhere => "same_policy_elsewhere",
        RtoBasis::SameLocation => "same_location",
        RtoBasis::VerificationRead => "verification_read",
        RtoBasis::BackupThroughput => "backup_throughput",
        RtoBasis::Assumption => "assumption",
    }
}

impl ComplianceBody {
    /// All but the policies, which can be many.
    fn frame(compliance: &Compliance) -> Self {
        Self {
            overall_status: match compliance.overall {
                ComplianceStatus::Compliant => "compliant",
                ComplianceStatus::NonCompliant => "non_compliant",
                ComplianceStatus::Unknown => "unknown",
            },
            assessed_at: compliance.assessed_at.into(),
            total_policies: compliance.total_policies,
            compliant_policies: compliance.compliant_policies,
            non_compliant_policies: compliance.non_compliant_policies,
            policies: Vec::new(),
        }
    }
}

impl PolicyComplianceBody {
    fn of(policy: &PolicyCompliance) -> Self {
        let estimate = policy.rto.and_then(|rto| rto.estimate);
        Self {
            policy_id: policy.policy,
            policy_name: policy.name.clone(),
            cluster: policy.cluster.clone(),
            rpo_target_hours: policy.rpo_target.map(|rpo| Hours(rpo.0)),
            rpo_actual_hours: policy.rpo_actual_hours(),
            rpo_compliant: policy.rpo_compliant(),
            rto_target_hours: policy.rto_target.map(|rto| Hours(rto.0)),
            rto_estimated_hours: policy.rto_estimated_hours(),
            rto_compliant: policy.rto_compliant(),
            last_successful_backup: policy.last_successful_backup.map(Time),
            backup_count_30d: policy.backup_count_30d,
            failed_backups_30d: policy.failed_backups_30d,
            issue: policy.issue.clone(),
            enabled: policy.enabled,
            compliant: policy.is_compliant,
            rpo_status: rpo_word(policy.rpo_status()),
            rto_status: rto_word(policy.rto_status()),
            recovery_point_at: policy.recovery_point_at.map(Time),
            next_violation_at: policy.next_violation_at().map(Time),
            latest_safe_start: policy.latest_safe_start.map(Time),
            rto_basis: estimate.map(|estimate| RtoBasisBody {
                basis: basis_word(estimate.basis),
                samples: estimate.samples,
                newest_at: estimate.newest_at.map(Time),
                confidence: estimate.confidence,
                decision_seconds: estimate.decision_time.as_secs(),
            }),
        }
    }
}

/// How every policy stands against its objectives now. What is unknown is not compliant.
#[utoipa::path(
    get, path = "/dr/compliance", tag = "DR compliance", params(ComplianceParams),
    responses((status = 200, description = "How they stand", body = ComplianceAnswer))
)]
async fn get_compliance(
    Viewer(tenant): Viewer,
    Params(params): Params<ComplianceParams>,
) -> Result<Response, AppError> {
    let compliance = tenant.compliance(params.cluster).await?;
    let frame = ComplianceAnswer { compliance: ComplianceBody::frame(&compliance) };
    Ok(json::long(&frame, "policies", compliance.policies, PolicyComplianceBody::of))
}
