//! Coverage: which namespaces of a cluster are protected, which are left out on purpose, and which
//! nobody thought of, each with the reason.
//!
//! A namespace is protected once a backup of it can be used, not when a policy is written. Wanting
//! outweighs leaving out: a namespace that one policy excludes and another, disabled one selects is
//! a gap, since somebody wanted it protected. A namespace that has just appeared is as unprotected as
//! any other, and its verdict says that it is new.

use std::{collections::BTreeSet, fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::health::CoverageFacts;
use crate::model::{Discovery, DisplayName, NamespaceName, NamespacePattern, Policy, PolicyId, Timestamp};

/// A policy of the cluster, with what its usable recovery points hold.
#[derive(Clone, Debug)]
pub struct CoverageInput<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// Every namespace that some usable recovery point of the policy holds.
    pub recoverable: &'a BTreeSet<NamespaceName>,
}

/// A policy, as a verdict names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PolicyRef {
    /// Its id.
    pub id: PolicyId,
    /// Its name.
    pub name: DisplayName,
}

impl PolicyRef {
    fn of(policy: &Policy) -> Self {
        Self { id: policy.id, name: policy.name.clone() }
    }
}

/// What is true of one namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum NamespaceCoverage {
    /// An enabled policy selects it and can bring it back.
    Protected {
        /// By which policies; at least one.
        by: Vec<PolicyRef>,
    },
    /// No policy selects it, and an enabled one leaves it out by name or glob.
    Excluded {
        /// Which policy leaves it out.
        by: PolicyRef,
        /// By which pattern.
        pattern: NamespacePattern,
    },
    /// It is lost if the cluster is.
    Unprotected {
        /// Why.
        gap: CoverageGap,
        /// Since when it is there, if that is not long ago: nobody may have had the time yet.
        new_since: Option<Timestamp>,
    },
}

/// Why a namespace is not protected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum CoverageGap {
    /// No policy selects it.
    NoPolicy,
    /// Only policies that are switched off select it.
    Disabled {
        /// Which; at least one.
        policies: Vec<PolicyRef>,
    },
    /// Enabled policies select it, and none has a usable recovery point that holds it.
    NothingUsable {
        /// Which; at least one.
        policies: Vec<PolicyRef>,
    },
}

impl fmt::Display for NamespaceCoverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protected { by } => write!(f, "protected by {}", names(by)),
            Self::Excluded { by, pattern } => {
                write!(f, "excluded by the pattern `{pattern}` of policy `{}`", by.name)
            }
            Self::Unprotected { gap, new_since: None } => write!(f, "unprotected: {gap}"),
            Self::Unprotected { gap, new_since: Some(since) } => {
                write!(f, "unprotected, new since {since}: {gap}")
            }
        }
    }
}

impl fmt::Display for CoverageGap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPolicy => f.write_str("no policy selects it: add it to one, or exclude it on purpose"),
            Self::Disabled { policies } => {
                write!(f, "only {} would, and no policy that is enabled: enable one", names(policies))
            }
            Self::NothingUsable { policies } => {
                write!(f, "{} has no usable backup of it: see its jobs", names(policies))
            }
        }
    }
}

fn names(policies: &[PolicyRef]) -> String {
    let names: Vec<String> = policies.iter().map(|policy| format!("`{}`", policy.name)).collect();
    names.join(", ")
}

/// Since when `namespace` is there, if it appeared less than `grace` ago. Where nobody looked before,
/// nothing is known to be new.
#[must_use]
pub fn new_since(
    discovery: Option<&Discovery>,
    namespace: &NamespaceName,
    now: Timestamp,
    grace: Duration,
) -> Option<Timestamp> {
    discovery?.appeared_at(namespace, now).filter(|at| now.since(*at) < grace)
}

/// What is true of `namespace`, given every policy of its cluster.
#[must_use]
pub fn coverage_of(
    namespace: &NamespaceName,
    new_since: Option<Timestamp>,
    policies: &[CoverageInput<'_>],
) -> NamespaceCoverage {
    let unprotected = |gap| NamespaceCoverage::Unprotected { gap, new_since };
    let selecting = |enabled: bool| {
        policies.iter().filter(move |input| {
            input.policy.enabled == enabled && input.policy.namespaces.matches(namespace)
        })
    };
    let named = |inputs: &mut dyn Iterator<Item = &CoverageInput<'_>>| {
        inputs.map(|input| PolicyRef::of(input.policy)).collect::<Vec<_>>()
    };
    let by = named(&mut selecting(true).filter(|input| input.recoverable.contains(namespace)));
    if !by.is_empty() {
        return NamespaceCoverage::Protected { by };
    }
    let waiting = named(&mut selecting(true));
    if !waiting.is_empty() {
        return unprotected(CoverageGap::NothingUsable { policies: waiting });
    }
    let disabled = named(&mut selecting(false));
    if !disabled.is_empty() {
        return unprotected(CoverageGap::Disabled { policies: disabled });
    }
    match policies.iter().filter(|input| input.policy.enabled).find_map(|input| excluded(namespace, input)) {
        Some((by, pattern)) => NamespaceCoverage::Excluded { by, pattern },
        None => unprotected(CoverageGap::NoPolicy),
    }
}

/// The policy and its pattern that leaves out what it would select otherwise.
fn excluded(namespace: &NamespaceName, input: &CoverageInput<'_>) -> Option<(PolicyRef, NamespacePattern)> {
    let selection = &input.policy.namespaces;
    if !selection.include().iter().any(|pattern| pattern.matches(namespace)) {
        return None;
    }
    let pattern = selection.exclude().iter().find(|pattern| pattern.matches(namespace))?;
    Some((PolicyRef::of(input.policy), pattern.clone()))
}

/// Coverage as the health score counts it: what is left out on purpose is as good as protected.
#[must_use]
pub fn coverage_facts<'a>(namespaces: impl IntoIterator<Item = &'a NamespaceCoverage>) -> CoverageFacts {
    let (mut protected, mut discovered) = (0_u64, 0_u64);
    for coverage in namespaces {
        protected = protected.saturating_add(match coverage {
            NamespaceCoverage::Protected { .. } | NamespaceCoverage::Excluded { .. } => 1,
            NamespaceCoverage::Unprotected { .. } => 0,
        });
        discovered = discovered.saturating_add(1);
    }
    CoverageFacts::Known { protected, discovered }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::NamespaceSelection;

    fn name(text: &str) -> NamespaceName {
        NamespaceName::new(text).unwrap()
    }

    fn policy(number: u64, include: &[&str], exclude: &[&str]) -> Policy {
        Policy {
            name: DisplayName::new(format!("policy-{number}")).unwrap(),
            namespaces: NamespaceSelection::new(include.iter().copied(), exclude.iter().copied()).unwrap(),
            ..crate::testing::fixtures::policy(number)
        }
    }

    fn judge(namespace: &str, policies: &[(Policy, &[&str])]) -> String {
        let held: Vec<BTreeSet<NamespaceName>> =
            policies.iter().map(|(_, names)| names.iter().map(|text| name(text)).collect()).collect();
        let inputs: Vec<_> = policies
            .iter()
            .zip(&held)
            .map(|((policy, _), recoverable)| CoverageInput { policy, recoverable })
            .collect();
        coverage_of(&name(namespace), None, &inputs).to_string()
    }

    #[test]
    fn what_a_policy_can_bring_back_is_protected_by_every_such_policy() {
        let policies = [
            (policy(1, &["*"], &[]), &["app"][..]),
            (policy(2, &["app"], &[]), &["app"]),
            (policy(3, &["a*"], &[]), &[]),
        ];
        assert_eq!(judge("app", &policies), "protected by `policy-1`, `policy-2`");
    }

    #[test]
    fn a_policy_without_a_usable_backup_of_it_protects_nothing() {
        let policies = [(policy(1, &["*"], &[]), &["db"][..])];
        assert_eq!(
            judge("app", &policies),
            "unprotected: `policy-1` has no usable backup of it: see its jobs"
        );
    }

    #[test]
    fn backups_of_a_disabled_policy_do_not_protect() {
        let disabled = Policy { enabled: false, ..policy(1, &["*"], &[]) };
        let verdict = judge("app", &[(disabled, &["app"])]);
        assert_eq!(verdict, "unprotected: only `policy-1` would, and no policy that is enabled: enable one");
    }

    #[test]
    fn leaving_out_names_the_pattern_and_needs_an_include_that_matches() {
        let all_but = (policy(1, &["*"], &["kube-*", "tmp"]), &[][..]);
        assert_eq!(judge("kube-system", &[all_but]), "excluded by the pattern `kube-*` of policy `policy-1`");
        let unrelated = (policy(1, &["app"], &["kube-*"]), &[][..]);
        assert!(judge("kube-system", &[unrelated]).starts_with("unprotected: no policy selects it"));
    }

    #[test]
    fn leaving_out_by_a_disabled_policy_is_not_on_purpose() {
        let disabled = Policy { enabled: false, ..policy(1, &["*"], &["app"]) };
        assert!(judge("app", &[(disabled, &[])]).starts_with("unprotected: no policy selects it"));
    }

    #[test]
    fn what_a_disabled_policy_wanted_is_a_gap_though_another_leaves_it_out() {
        let disabled = Policy { enabled: false, ..policy(2, &["app"], &[]) };
        let policies = [(policy(1, &["*"], &["app"]), &[][..]), (disabled, &[])];
        assert!(judge("app", &policies).starts_with("unprotected: only `policy-2`"));
    }

    #[test]
    fn what_appeared_within_the_grace_time_is_unprotected_and_said_to_be_new() {
        let at = Timestamp::from_seconds;
        let known = Discovery::begin([name("old")], at(100)).after(&[name("old"), name("young")], at(200));
        let judge = |namespace: &str, now| {
            let grace = Duration::from_secs(60);
            let since = new_since(known.as_ref(), &name(namespace), at(now), grace);
            coverage_of(&name(namespace), since, &[]).to_string()
        };
        assert!(judge("young", 259).starts_with("unprotected, new since 1970-01-01T00:03:20Z: no policy"));
        assert!(judge("young", 260).starts_with("unprotected: no policy selects it"));
        assert!(judge("old", 201).starts_with("unprotected: no policy selects it"));
        assert_eq!(new_since(None, &name("young"), at(201), Duration::MAX), None);
    }

    #[test]
    fn the_health_score_counts_what_is_left_out_on_purpose_as_covered() {
        let unprotected = NamespaceCoverage::Unprotected { gap: CoverageGap::NoPolicy, new_since: None };
        let by = PolicyRef::of(&policy(1, &["*"], &[]));
        let protected = NamespaceCoverage::Protected { by: vec![by.clone()] };
        let excluded = NamespaceCoverage::Excluded { by, pattern: NamespacePattern::new("kube-*").unwrap() };
        let facts = coverage_facts([&unprotected, &protected, &excluded]);
        assert_eq!(facts, CoverageFacts::Known { protected: 2, discovered: 3 });
    }
}
