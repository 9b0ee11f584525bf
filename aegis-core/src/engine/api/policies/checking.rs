//! Whether a policy can be what it says.

use std::time::Duration;

use super::super::Tenant;
use crate::{
    engine::EngineError,
    model::{BackupKind, ClusterName, Policy, RetentionRules, Timestamp, VerificationLevel},
    rules::{LintFinding, PolicyFigures, lint},
    seams::Feature,
};

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Tenant {
    pub(super) fn check_policy(
        &self,
        cluster: &ClusterName,
        kind: BackupKind,
        verify: Option<VerificationLevel>,
        retention: &RetentionRules,
    ) -> Result<(), EngineError> {
        let capabilities = self.core.cluster_of(&self.tenant, cluster)?.driver.capabilities();
        let driver = capabilities.driver;
        if !capabilities.kinds.contains(&kind) {
            return Err(EngineError::Unsupported(format!("the {driver} driver makes no {kind} backups")));
        }
        if let Some(level) = verify.filter(|level| !capabilities.verification.contains(level)) {
            return Err(EngineError::Unsupported(format!(
                "the {driver} driver does not verify up to {level}"
            )));
        }
        retention.validate().map_err(|error| EngineError::field("retention", error))
    }

    /// Refuses a depth of verification that no record of the cluster can ever reach.
    pub(super) fn check_counting(
        &self,
        cluster: &ClusterName,
        count_verified: Option<VerificationLevel>,
    ) -> Result<(), EngineError> {
        let Some(level) = count_verified else { return Ok(()) };
        let capabilities = self.core.cluster_of(&self.tenant, cluster)?.driver.capabilities();
        let verifies = capabilities.verification.iter().any(|deepest| *deepest >= level);
        let drills = capabilities.has(Feature::MapToPaths) || capabilities.has(Feature::MapNamespaces);
        if verifies || drills || level == VerificationLevel::Catalogued {
            return Ok(());
        }
        let driver = capabilities.driver;
        Err(EngineError::Unsupported(format!(
            "no record would ever count: the {driver} driver neither verifies up to {level} nor restores \
             elsewhere for a DR test; ask for less in `count_verified`, or leave it out"
        )))
    }
}

/// The findings about a policy, unless one of them makes it impossible.
pub(super) fn lint_policy(
    policy: &Policy,
    duration_p99: Option<Duration>,
    now: Timestamp,
) -> Result<Vec<LintFinding>, EngineError> {
    let days = policy.retention.keep_for(policy.kind).days;
    let findings = lint(
        &PolicyFigures {
            schedule: &policy.schedule,
            options: &policy.schedule_options,
            policy: policy.id,
            anchor: policy.created_at,
            rpo: policy.rpo.map(|rpo| rpo.0),
            duration_p99,
            retention: days.map(|days| DAY.saturating_mul(days)),
            lock: None,
            verify: policy.verify,
            count_verified: policy.count_verified,
        },
        now,
    );
    match findings.iter().find(|finding| finding.code.is_impossible()) {
        Some(finding) => Err(EngineError::field("schedule", &finding.message)),
        None => Ok(findings),
    }
}
