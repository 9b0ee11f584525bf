//! The health of a cluster, and of all of them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::rules::{
    exposure::{RpoStatus, RpoVerdict},
    rto::{RtoStatus, RtoVerdict},
    words::plural,
};

/// How healthy something is; the worse the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// Nothing is known.
    Unknown,
    /// Nothing needs eyes.
    Healthy,
    /// Something needs eyes.
    Warning,
    /// Something needs hands.
    Critical,
}

/// The verdicts on one policy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PolicyHealth<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whether it is enabled; one that is not counts nowhere.
    pub enabled: bool,
    /// Its RPO, if it has one.
    pub rpo: Option<RpoVerdict>,
    /// Its RTO, if it has one.
    pub rto: Option<RtoVerdict>,
    /// Whether its last run failed.
    pub last_run_failed: bool,
}

/// What is known of one cluster.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClusterFacts<'a> {
    /// Its policies.
    pub policies: &'a [PolicyHealth<'a>],
    /// How many of its records can be restored.
    pub restorable: usize,
    /// Namespaces that no enabled policy protects, and that nobody excluded on purpose.
    pub unprotected: &'a [&'a str],
    /// Storage locations that can't be reached.
    pub locations_away: &'a [&'a str],
    /// Why its driver can't be reached, if it can't.
    pub driver_away: Option<&'a str>,
}

/// What makes a cluster less than healthy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum HealthReason {
    /// A policy's exposure is beyond its target, or unbounded.
    RpoMissed {
        /// The policy.
        policy: String,
    },
    /// A policy is enabled, and nothing can be restored.
    NothingRestorable,
    /// A restore takes longer than a policy's target.
    RtoMissed {
        /// The policy.
        policy: String,
    },
    /// How long a restore takes is unknown.
    RtoUnknown {
        /// The policy.
        policy: String,
    },
    /// A policy's target will be missed before the next backup can count.
    RpoAtRisk {
        /// The policy.
        policy: String,
    },
    /// A policy's last run failed.
    LastRunFailed {
        /// The policy.
        policy: String,
    },
    /// No enabled policy protects the cluster.
    NoPolicy,
    /// Some namespaces are protected by no policy.
    Unprotected {
        /// How many.
        count: usize,
        /// Which, the first few.
        examples: Vec<String>,
    },
    /// A storage location can't be reached.
    LocationAway {
        /// Which.
        location: String,
    },
    /// The driver can't be reached.
    DriverAway {
        /// Why.
        cause: String,
    },
}

impl HealthReason {
    /// How bad it is.
    #[must_use]
    pub const fn severity(&self) -> HealthStatus {
        match self {
            Self::RpoMissed { .. } | Self::NothingRestorable => HealthStatus::Critical,
            Self::RtoMissed { .. }
            | Self::RtoUnknown { .. }
            | Self::RpoAtRisk { .. }
            | Self::LastRunFailed { .. }
            | Self::NoPolicy
            | Self::Unprotected { .. }
            | Self::LocationAway { .. }
            | Self::DriverAway { .. } => HealthStatus::Warning,
        }
    }
}

impl fmt::Display for HealthReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RpoMissed { policy } => write!(f, "policy {policy} misses its RPO"),
            Self::NothingRestorable => f.write_str("nothing can be restored"),
            Self::RtoMissed { policy } => write!(f, "policy {policy} misses its RTO"),
            Self::RtoUnknown { policy } => write!(f, "the recovery time of policy {policy} is unknown"),
            Self::RpoAtRisk { policy } => {
                write!(f, "policy {policy} will miss its RPO before its next backup can count")
            }
            Self::LastRunFailed { policy } => write!(f, "the last run of policy {policy} failed"),
            Self::NoPolicy => f.write_str("no enabled policy protects this cluster"),
            Self::Unprotected { count, examples } => {
                write!(f, "no policy protects {}: {}", plural(*count, "namespace"), examples.join(", "))?;
                if *count > examples.len() { f.write_str(", …") } else { Ok(()) }
            }
            Self::LocationAway { location } => write!(f, "storage location {location} can't be reached"),
            Self::DriverAway { cause } => write!(f, "the driver can't be reached: {cause}"),
        }
    }
}

/// The health of one cluster, with its reasons, the worst first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterHealth {
    /// The worst of the reasons.
    pub status: HealthStatus,
    /// Why.
    pub reasons: Vec<HealthReason>,
    /// Whether every enabled policy meets the RPO that it has, and there is a policy.
    pub rpo_met: bool,
    /// Whether every enabled policy meets the RTO that it has, and there is a policy.
    pub rto_met: bool,
}

impl ClusterHealth {
    /// Whether both are met.
    #[must_use]
    pub const fn is_compliant(&self) -> bool {
        self.rpo_met && self.rto_met
    }
}

/// How many unprotected namespaces are named.
const EXAMPLES: usize = 5;

/// Judges one cluster.
#[must_use]
pub fn judge_cluster(facts: &ClusterFacts<'_>) -> ClusterHealth {
    let enabled = || facts.policies.iter().filter(|policy| policy.enabled);
    let any = enabled().next().is_some();
    let mut reasons: Vec<_> = enabled().flat_map(policy_reasons).collect();
    if any && facts.restorable == 0 {
        reasons.push(HealthReason::NothingRestorable);
    }
    if !any {
        reasons.push(HealthReason::NoPolicy);
    }
    if any && !facts.unprotected.is_empty() {
        let examples = facts.unprotected.iter().take(EXAMPLES).map(|name| (*name).to_owned()).collect();
        reasons.push(HealthReason::Unprotected { count: facts.unprotected.len(), examples });
    }
    let away = |location: &&str| HealthReason::LocationAway { location: (*location).to_owned() };
    reasons.extend(facts.locations_away.iter().map(away));
    reasons.extend(facts.driver_away.map(|cause| HealthReason::DriverAway { cause: cause.to_owned() }));
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.severity()));
    ClusterHealth {
        status: reasons.first().map_or(HealthStatus::Healthy, HealthReason::severity),
        rpo_met: any && enabled().all(|policy| policy.rpo.is_none_or(|rpo| rpo.is_compliant())),
        rto_met: any && enabled().all(|policy| policy.rto.is_none_or(|rto| rto.is_compliant())),
        reasons,
    }
}

fn policy_reasons(policy: &PolicyHealth<'_>) -> impl Iterator<Item = HealthReason> {
    let name = || policy.name.to_owned();
    let rpo = policy.rpo.and_then(|rpo| match rpo.status {
        RpoStatus::Missed | RpoStatus::Unknown => Some(HealthReason::RpoMissed { policy: name() }),
        RpoStatus::AtRisk => Some(HealthReason::RpoAtRisk { policy: name() }),
        RpoStatus::Met => None,
    });
    let rto = policy.rto.and_then(|rto| match rto.status {
        RtoStatus::Missed => Some(HealthReason::RtoMissed { policy: name() }),
        RtoStatus::Unknown => Some(HealthReason::RtoUnknown { policy: name() }),
        RtoStatus::Met | RtoStatus::AtRisk => None,
    });
    let run = policy.last_run_failed.then(|| HealthReason::LastRunFailed { policy: name() });
    [rpo, rto, run].into_iter().flatten()
}

/// How many clusters are how healthy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HealthTotals {
    /// All of them.
    pub clusters: usize,
    /// Healthy ones.
    pub healthy: usize,
    /// Those with a warning.
    pub warning: usize,
    /// Critical ones.
    pub critical: usize,
}

/// The health of all clusters together: critical if any is, warning if more than half are.
#[must_use]
pub fn overall(clusters: impl IntoIterator<Item = HealthStatus>) -> (HealthStatus, HealthTotals) {
    let totals = clusters.into_iter().fold(HealthTotals::default(), |mut totals, status| {
        totals.clusters += 1;
        match status {
            HealthStatus::Healthy => totals.healthy += 1,
            HealthStatus::Warning => totals.warning += 1,
            HealthStatus::Critical => totals.critical += 1,
            HealthStatus::Unknown => {}
        }
        totals
    });
    let status = if totals.critical > 0 {
        HealthStatus::Critical
    } else if totals.warning * 2 > totals.clusters {
        HealthStatus::Warning
    } else if totals.healthy + totals.warning == 0 {
        HealthStatus::Unknown
    } else {
        HealthStatus::Healthy
    };
    (status, totals)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        model::Timestamp,
        rules::{exposure::Exposure, rto::RestoreSize},
    };

    const HOUR: Duration = Duration::from_secs(3600);

    fn policy(rpo: RpoStatus, rto: RtoStatus) -> PolicyHealth<'static> {
        let rpo = RpoVerdict {
            status: rpo,
            target: HOUR,
            exposure: Exposure::Unprotected,
            newest: None,
            next_violation_at: None,
            violated_since: Some(Timestamp::UNIX_EPOCH),
        };
        let size = RestoreSize::Unknown;
        let rto = RtoVerdict { status: rto, target: HOUR, estimate: None, failed_at: None, size };
        PolicyHealth {
            name: "nightly",
            enabled: true,
            rpo: Some(rpo),
            rto: Some(rto),
            last_run_failed: false,
        }
    }

    fn facts<'a>(policies: &'a [PolicyHealth<'a>]) -> ClusterFacts<'a> {
        ClusterFacts { policies, restorable: 1, unprotected: &[], locations_away: &[], driver_away: None }
    }

    fn status_of(rpo: RpoStatus, rto: RtoStatus) -> HealthStatus {
        judge_cluster(&facts(&[policy(rpo, rto)])).status
    }

    #[test]
    fn critical_is_an_rpo_missed_or_nothing_restorable_though_a_policy_is_enabled() {
        assert_eq!(status_of(RpoStatus::Missed, RtoStatus::Met), HealthStatus::Critical);
        assert_eq!(status_of(RpoStatus::Unknown, RtoStatus::Met), HealthStatus::Critical);
        let good = [policy(RpoStatus::Met, RtoStatus::Met)];
        let health = judge_cluster(&ClusterFacts { restorable: 0, ..facts(&good) });
        assert_eq!(
            (health.status, health.reasons),
            (HealthStatus::Critical, vec![HealthReason::NothingRestorable])
        );
    }

    #[test]
    fn warning_is_an_rto_missed_or_unknown_or_an_rpo_at_risk() {
        assert_eq!(status_of(RpoStatus::Met, RtoStatus::Missed), HealthStatus::Warning);
        assert_eq!(status_of(RpoStatus::Met, RtoStatus::Unknown), HealthStatus::Warning);
        assert_eq!(status_of(RpoStatus::AtRisk, RtoStatus::Met), HealthStatus::Warning);
    }

    #[test]
    fn warning_is_a_failed_last_run_a_coverage_gap_a_location_or_driver_away() {
        let good = [policy(RpoStatus::Met, RtoStatus::Met)];
        let failed = [PolicyHealth { last_run_failed: true, ..good[0] }];
        for facts in [
            facts(&failed),
            ClusterFacts { unprotected: &["media"], ..facts(&good) },
            ClusterFacts { locations_away: &["s3://bucket/"], ..facts(&good) },
            ClusterFacts { driver_away: Some("connection refused"), ..facts(&good) },
        ] {
            let health = judge_cluster(&facts);
            assert_eq!((health.status, health.reasons.len()), (HealthStatus::Warning, 1), "{health:?}");
        }
    }

    #[test]
    fn a_cluster_where_all_is_well_is_healthy_without_reasons() {
        let health = judge_cluster(&facts(&[policy(RpoStatus::Met, RtoStatus::Met)]));
        assert_eq!((health.status, health.reasons.len(), health.rpo_met), (HealthStatus::Healthy, 0, true));
    }

    #[test]
    fn disabled_policies_count_nowhere_and_no_policy_is_not_compliant() {
        let off = [PolicyHealth { enabled: false, ..policy(RpoStatus::Missed, RtoStatus::Missed) }];
        let health = judge_cluster(&facts(&off));
        assert_eq!((health.status, health.rpo_met), (HealthStatus::Warning, false));
        assert_eq!(health.reasons, [HealthReason::NoPolicy]);
    }

    #[test]
    fn the_worst_reason_comes_first_and_reasons_read_well() {
        let policies = [policy(RpoStatus::AtRisk, RtoStatus::Met), policy(RpoStatus::Missed, RtoStatus::Met)];
        let names = ["a", "b", "c", "d", "e", "f"];
        let health = judge_cluster(&ClusterFacts { unprotected: &names, ..facts(&policies) });
        let text: Vec<_> = health.reasons.iter().map(ToString::to_string).collect();
        assert_eq!(text[0], "policy nightly misses its RPO");
        assert_eq!(text[2], "no policy protects 6 namespaces: a, b, c, d, e, …");
    }

    #[test]
    fn overall_is_critical_if_any_is_warning_if_more_than_half_are_unknown_without_clusters() {
        use HealthStatus::{Critical, Healthy, Unknown, Warning};
        let status = |clusters: &[HealthStatus]| overall(clusters.iter().copied()).0;
        assert_eq!(status(&[]), Unknown);
        assert_eq!(status(&[Healthy, Warning]), Healthy);
        assert_eq!(status(&[Healthy, Warning, Warning]), Warning);
        assert_eq!(status(&[Healthy, Healthy, Healthy, Critical]), Critical);
    }
}
