//! From what the planner noted down to the reasons of each verdict.

use std::time::Duration;

use super::{
    KNOWN_BAD_STAYS, Point, Reason, RetentionInput,
    calendar::Tier,
    planner::{DAY, Planner},
    scratch::{Detail, Marks, Row},
    tiers::Standing,
};
use crate::model::{KeepRules, Timestamp};

/// What the tiers make of a record that they did not look at.
const UNSEEN: Detail =
    Detail { standing: [Standing { rank: 0, newest: false, newer_by: 0 }; 7], oldest_of: 0 };

/// A row with all that its reasons are made of.
pub(super) struct Judged<'a> {
    pub(super) planner: &'a Planner,
    pub(super) input: &'a RetentionInput<'a>,
    pub(super) place: usize,
    pub(super) row: &'a Row,
    pub(super) point: &'a Point,
    /// How many usable records there are down to this one.
    pub(super) usable_rank: u32,
}

impl Judged<'_> {
    pub(super) fn why_kept(&self, reasons: &mut Vec<Reason>) {
        let marks = self.row.marks;
        if marks.has(Marks::GUARDED) {
            self.guards(reasons);
        }
        if marks.has(Marks::FUTURE) {
            reasons.push(Reason::Future { by: self.point.at.since(self.input.now) });
        }
        if marks.has(Marks::BAD_KEPT)
            && let Some(found) = self.found_bad_at()
        {
            reasons.push(Reason::KnownBad { until: found.saturating_add(KNOWN_BAD_STAYS) });
        }
        if marks.has(Marks::TIER) {
            self.tiers_that_keep(reasons);
        }
        if marks.has(Marks::DAYS)
            && let Some(days) = self.keep().and_then(|keep| keep.days)
        {
            reasons.push(self.planner.newest_usable.map_or(Reason::AgeUnknown { days }, |newest| {
                let left = DAY.saturating_mul(days).saturating_sub(newest.since(self.point.at));
                Reason::WithinDays { days, left }
            }));
        }
        if marks.has(Marks::TTL)
            && let Some(until) = self.point.ttl_until
        {
            reasons.push(Reason::TtlUntil(until));
        }
        if marks.has(Marks::NO_RULE) {
            reasons.push(Reason::NoRule);
        }
        if marks.has(Marks::MIN_KEEP) {
            reasons.push(Reason::MinKeep { rank: self.usable_rank, of: self.min_keep() });
        }
        self.floors(reasons);
        if marks.has(Marks::ANCESTOR)
            && let Some(child) = self.planner.links.get(self.place).and_then(|link| link.needed_by)
        {
            reasons.push(Reason::AncestorOf(child));
        }
    }

    pub(super) fn why_expired(&self, reasons: &mut Vec<Reason>) {
        if let Some(found) = self.found_bad_at() {
            let by = self.input.now.since(found.saturating_add(KNOWN_BAD_STAYS));
            reasons.push(Reason::KnownBadOver { by });
            return;
        }
        self.tiers_that_do_not(reasons);
        if let Some(days) = self.keep().and_then(|keep| keep.days)
            && let Some(newest) = self.planner.newest_usable
        {
            let by = newest.since(self.point.at).saturating_sub(DAY.saturating_mul(days));
            reasons.push(Reason::OlderThanDays { days, by });
        }
        if let Some(until) = self.point.ttl_until {
            reasons.push(Reason::TtlEnded { by: self.input.now.since(until) });
        }
        if self.min_keep() > 0 {
            let rank = self.row.marks.has(Marks::GOOD).then_some(self.usable_rank);
            reasons.push(Reason::BeyondMinKeep { rank, of: self.min_keep() });
        }
    }

    fn guards(&self, reasons: &mut Vec<Reason>) {
        let guards = &self.point.guards;
        if guards.held {
            reasons.push(Reason::Held);
        }
        if guards.protected {
            reasons.push(Reason::Protected);
        }
        if let Some(until) = guards.locked_until.filter(|until| *until > self.input.now) {
            reasons.push(Reason::LockedUntil(until));
        }
        if guards.in_use {
            reasons.push(Reason::InUse);
        }
    }

    fn floors(&self, reasons: &mut Vec<Reason>) {
        let floors = [
            (Marks::NEWEST_USABLE, Reason::NewestUsable),
            (Marks::NEWEST_VERIFIED, Reason::NewestVerified),
            (Marks::NEWEST_OF_CLUSTER, Reason::NewestUsableOfCluster),
        ];
        reasons.extend(
            floors.into_iter().filter(|(mark, _)| self.row.marks.has(*mark)).map(|(_, reason)| reason),
        );
    }

    /// Each tier with what it makes of the record.
    fn tiers(&self) -> impl Iterator<Item = (usize, Tier, u32, &Standing)> {
        let keep = self.keep();
        Tier::ALL.into_iter().zip(&self.detail().standing).enumerate().filter_map(
            move |(place, (tier, standing))| {
                let of = keep.map_or(0, |keep| tier.count(keep));
                (of > 0 && standing.rank > 0).then_some((place, tier, of, standing))
            },
        )
    }

    fn tiers_that_keep(&self, reasons: &mut Vec<Reason>) {
        let oldest_of = self.detail().oldest_of;
        for (place, tier, of, standing) in self.tiers() {
            if standing.newest && standing.rank <= of {
                reasons.push(Reason::Newest { tier, rank: standing.rank, of });
            } else if oldest_of & (1 << place) != 0 {
                reasons.push(Reason::OldestFill { tier, have: standing.rank, of });
            }
        }
    }

    fn tiers_that_do_not(&self, reasons: &mut Vec<Reason>) {
        for (_, tier, of, standing) in self.tiers() {
            let rank = standing.rank;
            reasons.push(if rank > of {
                Reason::BeyondTier { tier, rank, of }
            } else {
                Reason::NotNewest { tier, rank, of, newer_by: Duration::from_secs(standing.newer_by.into()) }
            });
        }
    }

    fn detail(&self) -> &Detail {
        self.planner.details.get(self.place).unwrap_or(&UNSEEN)
    }

    fn keep(&self) -> Option<&KeepRules> {
        self.input.rules.map(|rules| rules.keep_for(self.point.kind))
    }

    fn min_keep(&self) -> u32 {
        self.input.rules.map_or(0, |rules| rules.min_keep)
    }

    fn found_bad_at(&self) -> Option<Timestamp> {
        self.planner.links.get(self.place).map_or(self.point.found_bad_at, |link| link.found_bad_at)
    }
}
