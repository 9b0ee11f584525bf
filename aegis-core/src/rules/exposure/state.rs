//! What a policy keeps of its exposure, so that "now" costs nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{CountingPoint, Exposure};
use crate::model::{RecordId, Timestamp, UsablePoint};

/// The newest point that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewestPoint {
    /// Its record.
    pub id: RecordId,
    /// The instant that its data reflects.
    pub at: Timestamp,
    /// Since when it counts.
    pub available_at: Timestamp,
}

impl From<&CountingPoint> for NewestPoint {
    fn from(point: &CountingPoint) -> Self {
        Self { id: point.id, at: point.at, available_at: point.from }
    }
}

impl From<UsablePoint> for NewestPoint {
    fn from(point: UsablePoint) -> Self {
        Self { id: point.record, at: point.recovery_point_at, available_at: point.available_at }
    }
}

impl From<NewestPoint> for UsablePoint {
    fn from(point: NewestPoint) -> Self {
        Self { record: point.id, recovery_point_at: point.at, available_at: point.available_at }
    }
}

/// The exposure of one policy, kept current by its changes.
///
/// It changes only when a point begins or ceases to count, or the target changes; each of these
/// is one call. The rest is arithmetic with `now`. Of changes at the very same instant, call removals
/// first, then the target, then additions: otherwise compliance may come and go within no time, and
/// `violated_since` tells of that instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RpoState {
    target: Duration,
    newest: Option<NewestPoint>,
    /// When compliance ended, if it ended before the last change and has not come back.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    violated_since: Option<Timestamp>,
}

/// What a change asks of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum StateChange {
    /// The state is as it was.
    Unchanged,
    /// The state has changed; store it.
    Changed,
    /// The newest point is gone: look up the newest that is left, and give it to
    /// [`RpoState::replace`]. Until then the state is as it was.
    NeedsNewest,
}

/// When the next usable point can be expected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mend {
    /// The next slot of the schedule.
    pub next_slot: Option<Timestamp>,
    /// When the running backup started, if one runs.
    pub running_since: Option<Timestamp>,
    /// How long a backup takes until it counts, rather too long than too short; `None` where there
    /// is no experience yet, which is taken as zero.
    pub duration: Option<Duration>,
}

impl Mend {
    /// When a newer point will count if all goes well; `None` if nothing is planned.
    fn expected_at(&self, now: Timestamp) -> Option<Timestamp> {
        let duration = self.duration.unwrap_or_default();
        let running = self.running_since.map(|start| start.saturating_add(duration).max(now));
        let next = self.next_slot.map(|slot| slot.max(now).saturating_add(duration));
        running.into_iter().chain(next).min()
    }

    /// The last instant at which a newer point can still be expected by `last` without any change;
    /// `None` if none can.
    fn in_time_until(&self, last: Timestamp) -> Option<Timestamp> {
        let duration = self.duration.unwrap_or_default();
        let in_time = |begin: &Timestamp| begin.saturating_add(duration) <= last;
        let running = self.running_since.filter(in_time).map(|_| last);
        // A slot that is overdue is expected to begin at once, and so ever later.
        let next = self.next_slot.filter(in_time).map(|_| last.saturating_sub(duration));
        running.max(next)
    }
}

/// How a policy stands against its RPO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RpoStatus {
    /// Exposure is within the target.
    Met,
    /// It is, but will not be by the time at which the next backup can count.
    AtRisk,
    /// It is not.
    Missed,
    /// Nothing usable is there: not compliant, and no figure.
    Unknown,
}

/// The verdict on a policy at an instant, with its evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RpoVerdict {
    /// How it stands.
    pub status: RpoStatus,
    /// The target.
    pub target: Duration,
    /// What would be lost: RPO actual.
    pub exposure: Exposure,
    /// The newest point that counts.
    pub newest: Option<NewestPoint>,
    /// The last compliant instant, if compliant now.
    pub next_violation_at: Option<Timestamp>,
    /// When compliance ended, if not compliant now.
    pub violated_since: Option<Timestamp>,
}

impl RpoVerdict {
    /// Whether the exposure is within the target now; the target itself is within.
    #[must_use]
    pub const fn is_compliant(&self) -> bool {
        matches!(self.status, RpoStatus::Met | RpoStatus::AtRisk)
    }

    /// The latest start of a backup that takes `duration` and still keeps the target; `None` if none
    /// can, because nothing protects or the target is missed already.
    #[must_use]
    pub fn latest_safe_start(&self, duration: Duration) -> Option<Timestamp> {
        self.next_violation_at.map(|last| last.saturating_sub(duration))
    }

    /// RPO actual: `None` where nothing protects.
    #[must_use]
    pub const fn actual(&self) -> Option<Duration> {
        self.exposure.duration()
    }
}

impl RpoState {
    /// A policy that took effect at `effective_from`, without any point yet.
    #[must_use]
    pub const fn new(target: Duration, effective_from: Timestamp) -> Self {
        Self { target, newest: None, violated_since: Some(effective_from) }
    }

    /// The state as it was kept: its target, its newest point, and its
    /// [`violated_since`](Self::violated_since).
    #[must_use]
    pub const fn resume(
        target: Duration,
        newest: Option<NewestPoint>,
        violated_since: Option<Timestamp>,
    ) -> Self {
        Self { target, newest, violated_since }
    }

    /// When compliance ended, if it ended before the last change and has not come back.
    #[must_use]
    pub const fn violated_since(&self) -> Option<Timestamp> {
        self.violated_since
    }

    /// The target.
    #[must_use]
    pub const fn target(&self) -> Duration {
        self.target
    }

    /// The newest point that counts.
    #[must_use]
    pub const fn newest(&self) -> Option<&NewestPoint> {
        self.newest.as_ref()
    }

    /// A point counts since `point.from`, as was learned at `now`. Idempotent.
    pub fn point_added(&mut self, point: &CountingPoint, now: Timestamp) -> StateChange {
        let newer = |newest: NewestPoint| (point.at, point.id) > (newest.at, newest.id);
        if self.newest.is_none_or(newer) && point.from <= now && now < point.until {
            self.change(self.target, Some(point.into()), point.from)
        } else {
            StateChange::Unchanged
        }
    }

    /// A point has ceased to count. Idempotent.
    pub fn point_removed(&self, id: RecordId) -> StateChange {
        if self.newest.is_some_and(|newest| newest.id == id) {
            StateChange::NeedsNewest
        } else {
            StateChange::Unchanged
        }
    }

    /// The newest point ceased to count at `at`; `left` is the newest that is left.
    pub fn replace(&mut self, left: Option<NewestPoint>, at: Timestamp) -> StateChange {
        self.change(self.target, left, at)
    }

    /// The target is another one from `at` on.
    pub fn retarget(&mut self, target: Duration, at: Timestamp) -> StateChange {
        self.change(target, self.newest, at)
    }

    fn change(&mut self, target: Duration, newest: Option<NewestPoint>, at: Timestamp) -> StateChange {
        let before = *self;
        let violated_since = before.violated_since_at(at);
        *self = Self { target, newest, violated_since: None };
        if self.next_violation().is_none_or(|last| last < at) {
            self.violated_since = violated_since.or(Some(at));
        }
        if before == *self { StateChange::Unchanged } else { StateChange::Changed }
    }

    /// The last compliant instant by time alone; `None` if no point counts.
    fn next_violation(&self) -> Option<Timestamp> {
        self.newest.map(|newest| newest.at.saturating_add(self.target))
    }

    /// When compliance ended, if `now` is not compliant.
    fn violated_since_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.violated_since.or_else(|| self.next_violation().filter(|last| *last < now))
    }

    /// The last compliant instant by time alone, if `now` is compliant.
    fn next_violation_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.next_violation().filter(|last| self.violated_since.is_none() && *last >= now)
    }

    /// The next instant at which the verdict changes by time alone, the first of the new verdict:
    /// when no newer point can come in time any more, or when the target is missed. That lies in the
    /// past if it is missed and the state does not say so yet; [`replace`](Self::replace) by the
    /// same point makes it. `None` if only a change can change the verdict.
    #[must_use]
    pub fn next_change_at(&self, now: Timestamp, mend: &Mend) -> Option<Timestamp> {
        let last = self.next_violation().filter(|_| self.violated_since.is_none())?;
        let in_time = mend.in_time_until(last).filter(|until| *until >= now);
        Some(Timestamp::from_micros(in_time.unwrap_or(last).as_micros() + 1))
    }

    /// The verdict at `now`.
    #[must_use]
    pub fn verdict(&self, now: Timestamp, mend: &Mend) -> RpoVerdict {
        let violated_since = self.violated_since_at(now);
        let next_violation_at = self.next_violation_at(now);
        let exposure = self.newest.map_or(Exposure::Unprotected, |newest| Exposure::Since {
            id: newest.id,
            at: newest.at,
            exposure: now.since(newest.at),
        });
        let status = match next_violation_at {
            _ if self.newest.is_none() => RpoStatus::Unknown,
            None => RpoStatus::Missed,
            Some(last) if mend.expected_at(now).is_none_or(|mended| mended > last) => RpoStatus::AtRisk,
            Some(_) => RpoStatus::Met,
        };
        RpoVerdict {
            status,
            target: self.target,
            exposure,
            newest: self.newest,
            next_violation_at,
            violated_since,
        }
    }
}
