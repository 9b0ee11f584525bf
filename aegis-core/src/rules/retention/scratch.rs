//! What the planner notes down per record while it judges a group.

use super::{Guards, Point, tiers::Standing};
use crate::model::{RecordId, Timestamp};

/// Facts and grounds for keeping, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks(u16);

impl Marks {
    pub(super) const GUARDED: Self = Self(1);
    pub(super) const FUTURE: Self = Self(1 << 1);
    pub(super) const BAD_KEPT: Self = Self(1 << 2);
    pub(super) const TIER: Self = Self(1 << 3);
    pub(super) const DAYS: Self = Self(1 << 4);
    pub(super) const TTL: Self = Self(1 << 5);
    pub(super) const MIN_KEEP: Self = Self(1 << 6);
    pub(super) const NO_RULE: Self = Self(1 << 7);
    pub(super) const NEWEST_USABLE: Self = Self(1 << 8);
    pub(super) const NEWEST_VERIFIED: Self = Self(1 << 9);
    pub(super) const NEWEST_OF_CLUSTER: Self = Self(1 << 10);
    pub(super) const ANCESTOR: Self = Self(1 << 11);
    /// Known bad: no ground for keeping, a fact.
    pub(super) const BAD: Self = Self(1 << 14);
    /// Usable, and neither known bad nor in the future: a fact.
    pub(super) const GOOD: Self = Self(1 << 15);

    const GROUNDS: u16 = (1 << 12) - 1;

    pub(super) const fn has(self, mark: Self) -> bool {
        self.0 & mark.0 != 0
    }

    pub(super) const fn set(&mut self, mark: Self) {
        self.0 |= mark.0;
    }

    /// Whether anything keeps the record.
    pub(super) const fn stays(self) -> bool {
        self.0 & Self::GROUNDS != 0
    }

    /// Whether the tiers may pick it: neither guarded, bad nor in the future.
    pub(super) const fn is_candidate(self) -> bool {
        self.0 & (Self::GUARDED.0 | Self::FUTURE.0 | Self::BAD.0) == 0
    }
}

/// One record under judgement. Rows lie in the order of time, newest first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// Its place in the input.
    pub(super) index: usize,
    pub(super) at: Timestamp,
    pub(super) marks: Marks,
}

/// What only the reasons need.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Detail {
    /// What each tier makes of it, in the order of [`Tier::ALL`](super::Tier::ALL).
    pub(super) standing: [Standing; 7],
    /// The tiers for which it fills up as the oldest record, one bit each.
    pub(super) oldest_of: u8,
}

/// What only records with parents need.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Link {
    /// The row of its parent.
    pub(super) parent: Option<usize>,
    /// The newest record that stays and needs this one.
    pub(super) needed_by: Option<RecordId>,
    /// When it, or what it rests on, was found bad.
    pub(super) found_bad_at: Option<Timestamp>,
}

impl Guards {
    /// Whether any of them holds at `now`.
    pub(super) fn hold(&self, now: Timestamp) -> bool {
        self.held || self.protected || self.in_use || self.locked_until.is_some_and(|until| until > now)
    }
}

/// The order of judgement: newest first; of equal times the greater id first.
pub(super) fn newest_first(rows: &mut [Row], points: &[Point]) {
    let id = |row: &Row| points.get(row.index).map(|point| point.id);
    rows.sort_unstable_by(|a, b| b.at.cmp(&a.at).then_with(|| id(b).cmp(&id(a))));
}
