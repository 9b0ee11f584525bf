//! The health score: 0 to 100, from weighted components, under caps, with a range for what is
//! unknown. Shares are counted in hundredths of a per cent, and the score is rounded down.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::rules::{exposure::Share, rto::RtoStatus};

/// A share in hundredths of a per cent: 0 to 10,000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ratio(u32);

impl Ratio {
    /// All of it.
    pub const FULL: Self = Self(10_000);
    /// None of it.
    pub const ZERO: Self = Self(0);

    /// `part` of `whole`, rounded down and at most all; all of nothing is nothing.
    #[must_use]
    pub fn of(part: u128, whole: u128) -> Self {
        let share = part.saturating_mul(10_000).checked_div(whole).unwrap_or(0);
        Self(u32::try_from(share).unwrap_or(u32::MAX).min(10_000))
    }

    /// In hundredths of a per cent.
    #[must_use]
    pub const fn permyriad(self) -> u32 {
        self.0
    }
}

/// What proves that a policy's records can be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// Nothing ever did.
    Never,
    /// The newest successful restore of level 4 or 5 lies this share of the test interval back;
    /// beyond two intervals it proves nothing.
    Age {
        /// Seconds since.
        seconds: u64,
        /// Seconds that may pass between two tests.
        interval: u64,
    },
}

impl Proof {
    /// Whether a restore was tried within the interval.
    const fn is_current(self) -> bool {
        matches!(self, Self::Age { seconds, interval } if seconds <= interval)
    }

    /// Full inside the interval, then linear to nothing at twice the interval.
    fn share(self) -> Ratio {
        match self {
            Self::Never | Self::Age { interval: 0, .. } => Ratio::ZERO,
            Self::Age { seconds, interval } => {
                let left = interval.saturating_mul(2).saturating_sub(seconds);
                Ratio::of(left.into(), interval.into())
            }
        }
    }
}

/// What the score needs to know of one enabled policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyScoreFacts {
    /// Its name.
    pub policy: String,
    /// How much it counts beside the others; at least 1.
    pub weight: u32,
    /// Whether the score may be no better than this policy's.
    pub is_vital: bool,
    /// How it keeps its RPO; `None` if it has none.
    pub rpo: Option<RpoFacts>,
    /// Whether at least one of its records can be restored.
    pub has_restorable_point: bool,
    /// What proves that.
    pub proof: Proof,
    /// How it stands against its RTO; `None` if it has none.
    pub rto: Option<RtoStatus>,
    /// Required copies and locks that are there, of how many; `None` if it asks for none.
    pub copies: Option<(u32, u32)>,
    /// Whether its runs succeeded, the newest first.
    pub runs: Vec<bool>,
}

/// How a policy keeps its RPO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RpoFacts {
    /// Its attainment over 30 days; unknown if nothing counted yet.
    pub attainment: Share,
    /// Whether it is compliant now.
    pub is_compliant: bool,
}

/// How much of what was discovered is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CoverageFacts {
    /// Nobody looked.
    Unknown,
    /// What was found, and how much of it some policy protects.
    Known {
        /// Protected or excluded on purpose.
        protected: u64,
        /// Discovered.
        discovered: u64,
    },
}

/// What the score is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComponentKind {
    /// RPO attainment over 30 days: 30 points.
    Attainment,
    /// Restores that were tried: 25 points.
    Restorability,
    /// RTO status: 15 points.
    Rto,
    /// Copies and immutability as asked for: 15 points.
    Copies,
    /// Runs that succeeded, recent ones weigh more: 10 points.
    Runs,
    /// What is protected of what is there: 5 points.
    Coverage,
}

impl ComponentKind {
    /// Every component.
    pub const ALL: [Self; 6] =
        [Self::Attainment, Self::Restorability, Self::Rto, Self::Copies, Self::Runs, Self::Coverage];

    /// Its points of 100.
    #[must_use]
    pub const fn weight(self) -> u32 {
        match self {
            Self::Attainment => 30,
            Self::Restorability => 25,
            Self::Rto | Self::Copies => 15,
            Self::Runs => 10,
            Self::Coverage => 5,
        }
    }

    const fn advice(self) -> &'static str {
        match self {
            Self::Attainment => "run backups often enough, and mend those that fail, to keep every RPO",
            Self::Restorability => "run a DR test for each policy within its test interval",
            Self::Rto => "measure restores with DR tests and bring them within their RTO",
            Self::Copies => "make the copies and locks that the policies ask for",
            Self::Runs => "mend the runs that fail",
            Self::Coverage => "protect what no policy protects, or exclude it on purpose",
        }
    }
}

/// One component of the score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// Which.
    pub kind: ComponentKind,
    /// Its share of full points, what is unknown taken as nothing; `None`: not applicable, its
    /// points go to the others.
    pub share: Option<Ratio>,
    /// The same with what is unknown taken as full.
    pub best_case: Option<Ratio>,
}

/// A limit that a finding puts on the whole score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cap {
    /// A policy has no restorable point: at most 20.
    NothingRestorable,
    /// A policy misses its RPO now: at most 69.
    RpoViolated,
    /// No policy's restore was tried within its test interval: at most 79.
    NoProof,
    /// A vital policy scores no better: its score.
    VitalPolicy(u8),
}

impl Cap {
    /// The most that the score can be under it.
    #[must_use]
    pub const fn limit(self) -> u8 {
        match self {
            Self::NothingRestorable => 20,
            Self::RpoViolated => 69,
            Self::NoProof => 79,
            Self::VitalPolicy(score) => score,
        }
    }

    const fn advice(self) -> &'static str {
        match self {
            Self::NothingRestorable => {
                "give every policy a record that can be restored: run its first backup"
            }
            Self::RpoViolated => "run a backup of each policy that misses its RPO now",
            Self::NoProof => "run a DR test: no restore was tried in time",
            Self::VitalPolicy(_) => "look at the vital policy that scores worst",
        }
    }
}

impl fmt::Display for Cap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self {
            Self::NothingRestorable => "a policy has nothing that can be restored",
            Self::RpoViolated => "a policy misses its RPO now",
            Self::NoProof => "no restore was tried in time",
            Self::VitalPolicy(_) => "a vital policy scores no better",
        };
        write!(f, "at most {}: {why}", self.limit())
    }
}

/// A change that is worth points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// How many points more it would give by itself, rounded down.
    pub points: u8,
    /// What to do.
    pub what: &'static str,
}

/// The score and all that it was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HealthScore {
    /// 0 to 100, what is unknown taken as nothing.
    pub score: u8,
    /// From what is unknown taken as nothing to the same taken as full; the caps hold for both.
    pub range: (u8, u8),
    /// Every component, those that are not applicable too.
    pub components: Vec<Component>,
    /// The caps that hold, whether or not they lower this score.
    pub caps: Vec<Cap>,
    /// Up to three changes that are worth most points, the best first.
    pub advice: Vec<Advice>,
    /// What it was made from: every enabled policy.
    pub policies: Vec<PolicyScoreFacts>,
    /// What it was made from: what is protected.
    pub coverage: CoverageFacts,
}

/// The score of some enabled policies and what they cover; `None` without any policy.
#[must_use]
pub fn score(policies: &[PolicyScoreFacts], coverage: CoverageFacts) -> Option<HealthScore> {
    if policies.is_empty() {
        return None;
    }
    let components: Vec<_> = ComponentKind::ALL.map(|kind| component(kind, policies, coverage)).into();
    let caps = caps(policies, coverage);
    let total = |kind_of: fn(&Component) -> Option<Ratio>| points(&components, kind_of);
    let (low, high) = (total(|c| c.share), total(|c| c.best_case));
    let range = (capped(low, &caps), capped(high, &caps));
    let advice = advice(&components, &caps, low);
    let policies = policies.to_vec();
    Some(HealthScore { score: range.0, range, components, caps, advice, policies, coverage })
}

fn component(kind: ComponentKind, policies: &[PolicyScoreFacts], coverage: CoverageFacts) -> Component {
    if kind == ComponentKind::Coverage {
        let (share, best_case) = match coverage {
            CoverageFacts::Unknown => (Some(Ratio::ZERO), Some(Ratio::FULL)),
            CoverageFacts::Known { discovered: 0, .. } => (None, None),
            CoverageFacts::Known { protected, discovered } => {
                let share = Some(Ratio::of(protected.into(), discovered.into()));
                (share, share)
            }
        };
        return Component { kind, share, best_case };
    }
    let applicable = || policies.iter().filter_map(|policy| Some((policy.weight, share_of(kind, policy)?)));
    let mean = |unknown: Ratio| {
        let sum = |of: &dyn Fn(u32, Ratio) -> u128| -> u128 {
            applicable().map(|(weight, share)| of(weight.max(1), share.unwrap_or(unknown))).sum()
        };
        let whole = sum(&|weight, _| u128::from(weight) * 10_000);
        (whole > 0).then(|| Ratio::of(sum(&|weight, share| u128::from(weight) * u128::from(share.0)), whole))
    };
    Component { kind, share: mean(Ratio::ZERO), best_case: mean(Ratio::FULL) }
}

/// A policy's share of a component: `None` is not applicable, `Some(None)` is unknown.
fn share_of(kind: ComponentKind, policy: &PolicyScoreFacts) -> Option<Option<Ratio>> {
    Some(match kind {
        ComponentKind::Attainment => Some(policy.rpo?.attainment)
            .filter(|share| !share.counted.is_zero())
            .map(|share| Ratio::of(share.compliant.as_micros(), share.counted.as_micros())),
        ComponentKind::Restorability => Some(policy.proof.share()),
        ComponentKind::Rto => match policy.rto? {
            RtoStatus::Met => Some(Ratio::FULL),
            RtoStatus::AtRisk => Some(Ratio(5_000)),
            RtoStatus::Missed => Some(Ratio::ZERO),
            RtoStatus::Unknown => None,
        },
        ComponentKind::Copies => {
            let (there, of) = policy.copies.filter(|(_, of)| *of > 0)?;
            Some(Ratio::of(there.into(), of.into()))
        }
        ComponentKind::Runs => weigh_runs(&policy.runs),
        ComponentKind::Coverage => return None,
    })
}

/// The share of successes, each run weighing nine tenths of the next newer one; of the newest 64.
fn weigh_runs(runs: &[bool]) -> Option<Ratio> {
    if runs.is_empty() {
        return None;
    }
    let (mut weight, mut succeeded, mut all) = (1_000_000_000_u128, 0, 0);
    for run in runs.iter().take(64) {
        succeeded += if *run { weight } else { 0 };
        all += weight;
        weight = weight * 9 / 10;
    }
    Some(Ratio::of(succeeded, all))
}

fn caps(policies: &[PolicyScoreFacts], coverage: CoverageFacts) -> Vec<Cap> {
    let findings = [
        (Cap::NothingRestorable, policies.iter().any(|policy| !policy.has_restorable_point)),
        (Cap::RpoViolated, policies.iter().any(|policy| policy.rpo.is_some_and(|rpo| !rpo.is_compliant))),
        (Cap::NoProof, policies.iter().all(|policy| !policy.proof.is_current())),
    ];
    let mut caps: Vec<_> = findings.into_iter().filter(|(_, holds)| *holds).map(|(cap, _)| cap).collect();
    if policies.len() > 1 {
        let vital = policies.iter().filter(|policy| policy.is_vital);
        let worst =
            vital.filter_map(|policy| score(std::slice::from_ref(policy), coverage)).map(|own| own.score);
        caps.extend(worst.min().map(Cap::VitalPolicy));
    }
    caps
}

/// Points in hundredths, after giving those of what is not applicable to the others.
fn points(components: &[Component], of: impl Fn(&Component) -> Option<Ratio>) -> u32 {
    let (mut got, mut whole) = (0, 0);
    for component in components {
        if let Some(share) = of(component) {
            got += component.kind.weight() * share.0;
            whole += component.kind.weight();
        }
    }
    got.checked_div(whole).unwrap_or(0)
}

/// Hundredths of points as a score: rounded down, and under the caps.
fn capped(hundredths: u32, caps: &[Cap]) -> u8 {
    let score = u8::try_from(hundredths / 100).unwrap_or(100).min(100);
    caps.iter().map(|cap| cap.limit()).fold(score, u8::min)
}

/// What each component, and each cap by itself, is worth.
fn advice(components: &[Component], caps: &[Cap], low: u32) -> Vec<Advice> {
    let now = capped(low, caps);
    let mended = components.iter().map(|component| {
        let full = |other: &Component| {
            if other.kind == component.kind { other.share.map(|_| Ratio::FULL) } else { other.share }
        };
        (capped(points(components, full), caps), component.kind.advice())
    });
    let lifted = caps.iter().map(|cap| {
        let others: Vec<_> = caps.iter().copied().filter(|other| other != cap).collect();
        (capped(low, &others), cap.advice())
    });
    let mut advice: Vec<_> =
        lifted.chain(mended).map(|(then, what)| Advice { points: then.saturating_sub(now), what }).collect();
    advice.retain(|advice| advice.points > 0);
    advice.sort_by_key(|advice| std::cmp::Reverse(advice.points));
    advice.truncate(3);
    advice
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn perfect() -> PolicyScoreFacts {
        let all = Duration::from_secs(100);
        PolicyScoreFacts {
            policy: "nightly".to_owned(),
            weight: 1,
            is_vital: false,
            rpo: Some(RpoFacts { attainment: Share { counted: all, compliant: all }, is_compliant: true }),
            has_restorable_point: true,
            proof: Proof::Age { seconds: 5, interval: 10 },
            rto: Some(RtoStatus::Met),
            copies: Some((2, 2)),
            runs: vec![true; 3],
        }
    }

    fn violated() -> Option<RpoFacts> {
        perfect().rpo.map(|rpo| RpoFacts { is_compliant: false, ..rpo })
    }

    const COVERED: CoverageFacts = CoverageFacts::Known { protected: 4, discovered: 4 };

    fn scored(policy: PolicyScoreFacts) -> HealthScore {
        score(&[policy], COVERED).unwrap()
    }

    #[test]
    fn a_perfect_policy_scores_100_and_no_policy_has_no_score() {
        let perfect = scored(perfect());
        assert_eq!((perfect.score, perfect.range, perfect.advice), (100, (100, 100), vec![]));
        assert_eq!(score(&[], COVERED), None);
    }

    #[test]
    fn each_component_is_worth_its_points() {
        let nothing = Share { counted: Duration::from_secs(1), compliant: Duration::ZERO };
        let none = Some(RpoFacts { attainment: nothing, is_compliant: true });
        assert_eq!(scored(PolicyScoreFacts { rpo: none, ..perfect() }).score, 70);
        assert_eq!(scored(PolicyScoreFacts { rto: Some(RtoStatus::Missed), ..perfect() }).score, 85);
        assert_eq!(scored(PolicyScoreFacts { rto: Some(RtoStatus::AtRisk), ..perfect() }).score, 92);
        assert_eq!(scored(PolicyScoreFacts { copies: Some((0, 2)), ..perfect() }).score, 85);
        assert_eq!(scored(PolicyScoreFacts { runs: vec![false], ..perfect() }).score, 90);
        assert_eq!(
            score(&[perfect()], CoverageFacts::Known { protected: 0, discovered: 9 }).unwrap().score,
            95
        );
    }

    #[test]
    fn proof_fades_linearly_to_nothing_at_twice_the_interval() {
        let share = |seconds| Proof::Age { seconds, interval: 100 }.share().permyriad();
        assert_eq!([0, 100, 150, 200, 500].map(share), [10_000, 10_000, 5_000, 0, 0]);
        assert_eq!(Proof::Never.share(), Ratio::ZERO);
    }

    #[test]
    fn missing_data_scores_nothing_and_widens_the_range() {
        let unknown = scored(PolicyScoreFacts { rto: Some(RtoStatus::Unknown), runs: vec![], ..perfect() });
        assert_eq!((unknown.score, unknown.range), (75, (75, 100)));
    }

    #[test]
    fn what_is_not_applicable_gives_its_points_to_the_others() {
        let plain = PolicyScoreFacts { copies: None, rto: Some(RtoStatus::Missed), ..perfect() };
        assert_eq!(scored(plain).score, 82, "70 of 85");
    }

    #[test]
    fn no_restorable_point_caps_at_20_a_violation_at_69_no_proof_at_79() {
        assert_eq!(scored(PolicyScoreFacts { has_restorable_point: false, ..perfect() }).score, 20);
        assert_eq!(scored(PolicyScoreFacts { rpo: violated(), ..perfect() }).score, 69);
        let unproven = PolicyScoreFacts { proof: Proof::Never, ..perfect() };
        assert_eq!(scored(unproven.clone()).score, 75);
        let mixed = score(&[PolicyScoreFacts { weight: 1, ..unproven }, perfect()], COVERED).unwrap();
        assert_eq!(mixed.caps, [], "one of them is proven");
    }

    #[test]
    fn a_proof_that_is_older_than_its_interval_lifts_no_cap_though_it_still_counts() {
        let aged =
            |seconds| scored(PolicyScoreFacts { proof: Proof::Age { seconds, interval: 10 }, ..perfect() });
        assert_eq!((aged(10).score, aged(10).caps), (100, vec![]));
        assert_eq!((aged(11).score, aged(11).caps), (79, vec![Cap::NoProof]));
        assert!(aged(11).components[1].share > Some(Ratio(8_000)));
    }

    #[test]
    fn the_score_says_what_it_was_made_from() {
        let scored = scored(perfect());
        assert_eq!((scored.policies, scored.coverage), (vec![perfect()], COVERED));
    }

    #[test]
    fn an_objective_that_a_policy_does_not_have_costs_it_nothing() {
        let none = scored(PolicyScoreFacts { rpo: None, rto: None, ..perfect() });
        assert_eq!((none.score, none.range, none.caps), (100, (100, 100), vec![]));
        let named: Vec<_> = none.components.iter().filter(|c| c.share.is_none()).map(|c| c.kind).collect();
        assert_eq!(named, [ComponentKind::Attainment, ComponentKind::Rto]);
    }

    #[test]
    fn a_vital_policy_caps_the_rest() {
        let vital = PolicyScoreFacts { is_vital: true, rpo: violated(), runs: vec![false], ..perfect() };
        let all = score(&[vital, perfect(), perfect()], COVERED).unwrap();
        assert_eq!(all.caps, [Cap::RpoViolated, Cap::VitalPolicy(69)]);
    }

    #[test]
    fn recent_runs_weigh_more() {
        let newest_failed = weigh_runs(&[false, true, true]).unwrap();
        let oldest_failed = weigh_runs(&[true, true, false]).unwrap();
        assert!(newest_failed < oldest_failed);
    }

    #[test]
    fn the_three_changes_worth_most_points_come_first() {
        let poor = PolicyScoreFacts {
            rpo: violated(),
            rto: Some(RtoStatus::Missed),
            copies: Some((0, 1)),
            ..perfect()
        };
        let scored = scored(poor);
        assert_eq!(scored.score, 69);
        assert_eq!(
            scored.advice.len(),
            1,
            "under the cap nothing else is worth anything: {:?}",
            scored.advice
        );
        assert_eq!(scored.advice[0].points, 1);
    }
}
