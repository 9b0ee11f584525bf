//! The tiers: each picks the newest record of each of its N newest non-empty buckets.

use super::calendar::{Local, Tier};
use crate::model::{KeepRules, Timestamp};

/// What one tier makes of one record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// The record's bucket, the newest is 1; 0 if the tier has not looked at it.
    pub(super) rank: u32,
    /// Whether it is the newest of its bucket.
    pub(super) newest: bool,
    /// How many whole seconds newer the newest of its bucket is; these lie there in great numbers.
    pub(super) newer_by: u32,
}

/// One tier walking over the records, newest first.
#[derive(Debug)]
pub(super) struct Walker {
    pub(super) tier: Tier,
    /// How many buckets it keeps.
    pub(super) keep: u32,
    /// The buckets met so far, newest first, with the time of their newest record.
    buckets: Vec<(i64, Timestamp)>,
}

impl Walker {
    const fn new(tier: Tier) -> Self {
        Self { tier, keep: 0, buckets: Vec::new() }
    }

    /// How many buckets have a record.
    pub(super) fn have(&self) -> u32 {
        u32::try_from(self.buckets.len()).unwrap_or(u32::MAX)
    }

    /// Whether no older record can be picked any more.
    pub(super) fn is_full(&self) -> bool {
        self.have() >= self.keep
    }

    /// Judges the next older record.
    ///
    /// A bucket is found by its key, not by its neighbour: where a clock goes back over midnight,
    /// the records of one day do not lie side by side.
    #[inline]
    pub(super) fn visit(&mut self, at: Timestamp, local: &Local) -> Standing {
        let key = match self.tier {
            Tier::Last => -i64::from(self.have()),
            tier => local.key(tier),
        };
        let known = match self.buckets.last() {
            None => None,
            Some((last, _)) if key < *last => None,
            Some((last, _)) if key == *last => Some(self.buckets.len() - 1),
            Some(_) => self.buckets.iter().rposition(|(seen, _)| *seen == key),
        };
        let index = known.unwrap_or(self.buckets.len());
        if known.is_none() {
            self.buckets.push((key, at));
        }
        let rank = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let newest = self.buckets.get(index).map_or(at, |(_, newest)| *newest);
        let newer_by = u32::try_from(newest.as_seconds() - at.as_seconds()).unwrap_or(u32::MAX);
        Standing { rank, newest: known.is_none(), newer_by }
    }
}

/// The walkers of a set of rules, kept from one group to the next for their memory.
#[derive(Debug)]
pub(super) struct Walkers {
    all: [Walker; 7],
}

impl Default for Walkers {
    fn default() -> Self {
        Self { all: Tier::ALL.map(Walker::new) }
    }
}

impl Walkers {
    /// Starts anew under `keep`; `false` if it sets no tier.
    pub(super) fn reset(&mut self, keep: &KeepRules) -> bool {
        for walker in &mut self.all {
            walker.keep = walker.tier.count(keep);
            walker.buckets.clear();
        }
        self.active().next().is_some()
    }

    /// The tiers that the rules set.
    pub(super) fn active(&self) -> impl Iterator<Item = &Walker> {
        self.all.iter().filter(|walker| walker.keep > 0)
    }

    /// The tiers that the rules set, with their place in [`Tier::ALL`].
    pub(super) fn active_mut(&mut self) -> impl Iterator<Item = (usize, &mut Walker)> {
        self.all.iter_mut().enumerate().filter(|(_, walker)| walker.keep > 0)
    }
}
