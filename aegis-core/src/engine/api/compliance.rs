//! Compliance: how every policy stands against its objectives now.

use super::{Tenant, assess::Assessed};
use crate::{
    engine::{
        EngineError,
        decide::{is_ahead, run_facts},
    },
    model::{ClusterName, DisplayName, PolicyId, PolicyState, Rpo, Rto, Timestamp},
    rules::{
        exposure::{RpoStatus, RpoVerdict, hours_rounded_up, rpo_issue},
        rto::{RtoStatus, RtoVerdict},
    },
};

/// How all policies together stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ComplianceStatus {
    /// Every enabled policy keeps its objectives.
    Compliant,
    /// At least one does not, or can't be shown to.
    NonCompliant,
    /// No policy is enabled: nothing is known.
    Unknown,
}

/// How every policy stands against its objectives now.
#[derive(Clone, Debug, PartialEq)]
pub struct Compliance {
    /// The instant of the verdicts.
    pub assessed_at: Timestamp,
    /// All of them together.
    pub overall: ComplianceStatus,
    /// How many policies are enabled.
    pub total_policies: usize,
    /// How many of these keep all their objectives.
    pub compliant_policies: usize,
    /// How many do not.
    pub non_compliant_policies: usize,
    /// Every policy by name; those that are disabled are listed too, and counted nowhere.
    pub policies: Vec<PolicyCompliance>,
}

/// How one policy stands against its objectives now.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyCompliance {
    /// The policy.
    pub policy: PolicyId,
    /// Its name.
    pub name: DisplayName,
    /// What it protects.
    pub cluster: ClusterName,
    /// Whether it runs.
    pub enabled: bool,
    /// How much may be lost.
    pub rpo_target: Option<Rpo>,
    /// How long getting back may take.
    pub rto_target: Option<Rto>,
    /// Whether it keeps every objective that it has; one that has none keeps none.
    pub is_compliant: bool,
    /// The verdict on its RPO; `None` without one.
    pub rpo: Option<RpoVerdict>,
    /// The verdict on its RTO; `None` without one.
    pub rto: Option<RtoVerdict>,
    /// The latest start of a backup that takes as long as the longest of the newest and still keeps
    /// the RPO; `None` if none can, or none is set.
    pub latest_safe_start: Option<Timestamp>,
    /// When the newest backup that counts for it ended; its data is older: see
    /// [`recovery_point_at`](Self::recovery_point_at).
    pub last_successful_backup: Option<Timestamp>,
    /// The instant that the newest usable recovery point reflects: what the verdict rests on.
    pub recovery_point_at: Option<Timestamp>,
    /// How many of its jobs completed in the last 30 days, as far as the event log is sealed.
    pub backup_count_30d: u64,
    /// How many of its jobs failed in the last 30 days, as far as the event log is sealed.
    pub failed_backups_30d: u64,
    /// What is wrong and what to do, in sentences; `None` if nothing is.
    pub issue: Option<String>,
}

impl PolicyCompliance {
    /// RPO actual in hours, rounded up to one decimal; `None` if it is unknown.
    #[must_use]
    pub fn rpo_actual_hours(&self) -> Option<f64> {
        self.rpo.and_then(|rpo| rpo.actual()).map(hours_rounded_up)
    }

    /// How long a restore will take in hours, rounded up to one decimal; `None` if it is unknown.
    #[must_use]
    pub fn rto_estimated_hours(&self) -> Option<f64> {
        self.rto.and_then(|rto| rto.estimate).map(|estimate| hours_rounded_up(estimate.p90))
    }

    /// Whether the RPO is kept; what is unknown is not.
    #[must_use]
    pub fn rpo_compliant(&self) -> bool {
        self.rpo.is_some_and(|rpo| rpo.is_compliant())
    }

    /// Whether the RTO is kept; what is unknown is not.
    #[must_use]
    pub fn rto_compliant(&self) -> bool {
        self.rto.is_some_and(|rto| rto.is_compliant())
    }

    /// How it stands against its RPO; unknown without one.
    #[must_use]
    pub fn rpo_status(&self) -> RpoStatus {
        self.rpo.map_or(RpoStatus::Unknown, |rpo| rpo.status)
    }

    /// How it stands against its RTO; unknown without one.
    #[must_use]
    pub fn rto_status(&self) -> RtoStatus {
        self.rto.map_or(RtoStatus::Unknown, |rto| rto.status)
    }

    /// The last instant at which the RPO is kept if no backup counts before; `None` if it is not
    /// kept now.
    #[must_use]
    pub fn next_violation_at(&self) -> Option<Timestamp> {
        self.rpo.and_then(|rpo| rpo.next_violation_at)
    }

    /// Whether the RPO will be missed before the next backup can count.
    #[must_use]
    pub fn at_risk(&self) -> bool {
        self.rpo_status() == RpoStatus::AtRisk
    }
}

impl Tenant {
    /// How every policy stands against its objectives now, or those of one cluster.
    ///
    /// What is unknown is never compliant, and says why. All of it comes from what is kept of each
    /// policy and from what is counted, at the same cost whatever the policies' histories.
    ///
    /// # Errors
    /// As every call. A cluster without policies is no error: its status is unknown.
    pub async fn compliance(&self, cluster: Option<ClusterName>) -> Result<Compliance, EngineError> {
        let assessment = self.assess(cluster.as_ref()).await?;
        let now = assessment.now;
        let answers: Vec<_> = assessment.judged().map(|policy| policy_compliance(&policy, now)).collect();
        let total = answers.iter().filter(|policy| policy.enabled).count();
        let compliant = answers.iter().filter(|policy| policy.enabled && policy.is_compliant).count();
        Ok(Compliance {
            assessed_at: now,
            overall: match total {
                0 => ComplianceStatus::Unknown,
                _ if compliant == total => ComplianceStatus::Compliant,
                _ => ComplianceStatus::NonCompliant,
            },
            total_policies: total,
            compliant_policies: compliant,
            non_compliant_policies: total - compliant,
            policies: answers,
        })
    }
}

fn policy_compliance(assessed: &Assessed<'_>, now: Timestamp) -> PolicyCompliance {
    let (policy, state) = (assessed.policy, assessed.state);
    PolicyCompliance {
        policy: policy.id,
        name: policy.name.clone(),
        cluster: policy.cluster.clone(),
        enabled: policy.enabled,
        rpo_target: policy.rpo,
        rto_target: policy.rto,
        is_compliant: assessed.is_compliant(),
        rpo: assessed.rpo,
        rto: assessed.rto,
        latest_safe_start: assessed
            .rpo
            .and_then(|rpo| rpo.latest_safe_start(assessed.longest_backup.unwrap_or_default())),
        last_successful_backup: state.and_then(|state| state.last_success_at),
        recovery_point_at: state.and_then(|state| state.newest_usable).map(|point| point.recovery_point_at),
        backup_count_30d: assessed.runs.completed,
        failed_backups_30d: assessed.runs.failed,
        issue: issue(assessed, now),
    }
}

/// Everything that is wrong with a policy, in sentences.
fn issue(assessed: &Assessed<'_>, now: Timestamp) -> Option<String> {
    let (policy, state) = (assessed.policy, assessed.state);
    if policy.rpo.is_none() && policy.rto.is_none() {
        return Some("No RPO and no RTO is set, so there is nothing to keep. Set one.".to_owned());
    }
    let runs = state.map(|state| run_facts(state, assessed.running_since)).unwrap_or_default();
    let rpo = assessed.rpo.as_ref().and_then(|rpo| rpo_issue(rpo, &runs));
    let rto = assessed.rto.as_ref().and_then(RtoVerdict::issue);
    let standstill = state.filter(|state| policy.enabled && is_ahead(state, now)).map(standstill);
    let unset = [("RPO", policy.rpo.is_none()), ("RTO", policy.rto.is_none())].into_iter();
    let unset = unset.filter(|(_, is_unset)| *is_unset);
    let unset = unset.map(|(what, _)| format!("No {what} is set, so that none can be shown to be kept."));
    let issues: Vec<String> = standstill.into_iter().chain(rpo).chain(rto).chain(unset).collect();
    (!issues.is_empty()).then(|| issues.join(" "))
}

fn standstill(state: &PolicyState) -> String {
    format!(
        "No backup starts by schedule before {}: the clock was ahead once, and the slots up to then are \
         settled. Check the clock, then save the policy again to resume from now.",
        state.watermark
    )
}
