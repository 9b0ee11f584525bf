//! Retention: which records stay, which may go, and why.
//!
//! [`plan`] is one pure function of a group's records, the rules, the zone and `now`. The dry run,
//! the preview and the engine's sweep all call it, so what was shown is what happens. Nothing in
//! here deletes anything: *expire* means that a record may go once its grace time has passed.
//!
//! A group is (tenant, policy, location), or (tenant, cluster, location) for records of no policy.
//! The order of judgement:
//!
//! 1. **Guards**: held, protected, locked and used records stay and take no slot. Neither do
//!    records in the future, which stay, and records known to be bad, which stay for 7 days.
//! 2. **Tiers** pick the newest of each bucket among the rest, in the policy's zone.
//! 3. `days` and a record's own time to live.
//! 4. `min_keep` and the **floors**, which add and take no slot.
//! 5. **Ancestors** of all that stays.

mod calendar;
mod chains;
mod judged;
mod planner;
mod reason;
mod safety;
mod scratch;
#[cfg(test)]
mod tests;
mod tiers;

use std::{ops::Range, time::Duration};

use jiff::tz::TimeZone;

pub use calendar::Tier;
pub use chains::leaves_first;
pub use planner::{Planner, plan};
pub use reason::Reason;
pub use safety::{BreakerTrip, Cautions, RetentionRefusal};

use crate::model::{BackupKind, RecordId, RetentionRules, Timestamp};

/// How long a record that was found bad stays.
pub const KNOWN_BAD_STAYS: Duration = Duration::from_secs(7 * 24 * 3600);
/// How far in the future a recovery point may lie before it counts as a fault of a clock.
pub const FUTURE_TOLERANCE: Duration = Duration::from_secs(5 * 60);
/// How far `now` may lie before the newest event.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(5 * 60);
/// How often the engine judges a group's records unless it is told otherwise.
pub const SWEEP_INTERVAL: Duration = Duration::from_secs(3600);
/// How long after the last run a run still goes ahead by itself.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(7 * 24 * 3600);

/// What forbids the expiry of a record, whatever the rules say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guards {
    /// Somebody holds it.
    pub held: bool,
    /// Somebody marked it as protected.
    pub protected: bool,
    /// An execution, a drill or a consolidation uses it.
    pub in_use: bool,
    /// Until when the storage refuses deletion.
    pub locked_until: Option<Timestamp>,
}

/// What the planner needs to know of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// The record.
    pub id: RecordId,
    /// Its recovery point time.
    pub at: Timestamp,
    /// Whether it can be restored: finished, its chain whole, its data there.
    pub usable: bool,
    /// Whether it has been verified good, and not found bad since.
    pub verified: bool,
    /// Whether an earlier run has already marked it as expired.
    pub expired: bool,
    /// The kind of backup.
    pub kind: BackupKind,
    /// What forbids its expiry.
    pub guards: Guards,
    /// When it was found bad.
    pub found_bad_at: Option<Timestamp>,
    /// The end of its own time to live: its completion and its TTL.
    pub ttl_until: Option<Timestamp>,
    /// The record that it can't be restored without.
    pub parent: Option<RecordId>,
}

impl Point {
    /// A usable full backup that nothing guards and nobody has verified.
    #[must_use]
    pub fn new(id: RecordId, at: Timestamp) -> Self {
        Self {
            id,
            at,
            usable: true,
            verified: false,
            expired: false,
            kind: BackupKind::Full,
            guards: Guards::default(),
            found_bad_at: None,
            ttl_until: None,
            parent: None,
        }
    }
}

/// Whether a person said go to a run that would otherwise stop and ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Acknowledgement {
    /// Nobody did.
    #[default]
    None,
    /// Somebody did; previews pass this to see the plan with its [`Cautions`].
    Given,
}

/// One group's records, and what judges them.
#[derive(Clone, Copy, Debug)]
pub struct RetentionInput<'a> {
    /// The policy's rules; `None` for records of no policy, where time to live and floors decide.
    pub rules: Option<&'a RetentionRules>,
    /// The policy's time zone.
    pub zone: &'a TimeZone,
    /// Every record of the group whose data is not being removed, in any order.
    pub points: &'a [Point],
    /// The present.
    pub now: Timestamp,
    /// When this group was last judged.
    pub last_run: Option<Timestamp>,
    /// The time of the newest event in the store.
    pub newest_event: Option<Timestamp>,
    /// The newest usable record of the cluster, which stays if it is in this group.
    pub newest_usable_of_cluster: Option<RecordId>,
    /// Whether a person said go.
    pub acknowledgement: Acknowledgement,
}

impl<'a> RetentionInput<'a> {
    /// The records under `rules`, judged for the first time.
    #[must_use]
    pub const fn new(
        rules: &'a RetentionRules,
        zone: &'a TimeZone,
        points: &'a [Point],
        now: Timestamp,
    ) -> Self {
        Self {
            rules: Some(rules),
            zone,
            points,
            now,
            last_run: None,
            newest_event: None,
            newest_usable_of_cluster: None,
            acknowledgement: Acknowledgement::None,
        }
    }

    /// The records of no policy, judged for the first time.
    #[must_use]
    pub const fn without_policy(zone: &'a TimeZone, points: &'a [Point], now: Timestamp) -> Self {
        Self {
            rules: None,
            zone,
            points,
            now,
            last_run: None,
            newest_event: None,
            newest_usable_of_cluster: None,
            acknowledgement: Acknowledgement::None,
        }
    }
}

/// What retention decided about a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It stays.
    Keep,
    /// It may go, after its grace time.
    Expire,
}

/// The verdicts on one group, newest record first, each with its reasons.
#[derive(Clone, Debug)]
pub struct RetentionPlan {
    zone: TimeZone,
    decisions: Vec<Decided>,
    reasons: Vec<Reason>,
    cautions: Cautions,
}

/// A decision as it is stored: its reasons lie beside those of the others.
#[derive(Clone, Debug)]
struct Decided {
    id: RecordId,
    at: Timestamp,
    verdict: Verdict,
    reasons: Range<u32>,
}

/// The verdict on one record.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'a> {
    /// The record.
    pub id: RecordId,
    /// Its recovery point time.
    pub at: Timestamp,
    /// What was decided.
    pub verdict: Verdict,
    /// Why: every reason for this verdict, in the order guards, tiers, days, time to live,
    /// `min_keep`, floors, ancestor. Never empty.
    pub reasons: &'a [Reason],
    zone: &'a TimeZone,
}

impl Decision<'_> {
    /// The reasons in English, such as
    /// `kept: newest of ISO week 2026-W07 (rule weekly 4, 2nd of 4)`.
    pub fn explain(&self) -> impl Iterator<Item = String> {
        self.reasons.iter().map(|reason| reason.text(self.at, self.zone).to_string())
    }

    /// All reasons on one line.
    #[must_use]
    pub fn explanation(&self) -> String {
        self.explain().collect::<Vec<_>>().join("; ")
    }
}

impl RetentionPlan {
    /// Every record's decision, newest record first.
    #[must_use]
    pub fn decisions(&self) -> impl ExactSizeIterator<Item = Decision<'_>> {
        self.decisions.iter().map(|decided| Decision {
            id: decided.id,
            at: decided.at,
            verdict: decided.verdict,
            reasons: self.reasons_in(&decided.reasons),
            zone: &self.zone,
        })
    }

    /// The decision about one record.
    #[must_use]
    pub fn decision(&self, id: RecordId) -> Option<Decision<'_>> {
        self.decisions().find(|decision| decision.id == id)
    }

    /// The records that may go, newest first.
    pub fn expiring(&self) -> impl Iterator<Item = Decision<'_>> {
        self.decisions().filter(|decision| decision.verdict == Verdict::Expire)
    }

    /// What made, or would have made, the run ask a person.
    #[must_use]
    pub const fn cautions(&self) -> &Cautions {
        &self.cautions
    }

    fn reasons_in(&self, range: &Range<u32>) -> &[Reason] {
        let bounds = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        self.reasons.get(bounds(range.start)..bounds(range.end)).unwrap_or_default()
    }
}

/// The earliest time at which the rules could let a record go, as they stand: `None` where no
/// rule with a date speaks of it, or while somebody holds or protects it.
///
/// A lower bound: tiers, `min_keep`, floors and descendants may keep it longer.
#[must_use]
pub fn not_before(rules: Option<&RetentionRules>, point: &Point) -> Option<Timestamp> {
    if point.guards.held || point.guards.protected {
        return None;
    }
    let unlocked = |at: Timestamp| point.guards.locked_until.map_or(at, |locked| at.max(locked));
    if let Some(found) = point.found_bad_at {
        return Some(unlocked(found.saturating_add(KNOWN_BAD_STAYS)));
    }
    let day = Duration::from_secs(24 * 3600);
    let by_days = rules
        .and_then(|rules| rules.keep_for(point.kind).days)
        .map(|days| point.at.saturating_add(day.saturating_mul(days)));
    by_days.max(point.ttl_until).map(unlocked)
}
