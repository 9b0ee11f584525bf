//! Why a record stays or goes: compact values, put into English only when somebody reads them.

use std::{fmt, time::Duration};

use jiff::tz::TimeZone;

use super::calendar::{Tier, bucket_name};
use crate::{
    model::{RecordId, Timestamp},
    rules::words::{Ordinal, Span, plural},
};

/// One reason for a verdict. The text is made by [`Decision::explain`](super::Decision::explain).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Kept: somebody holds it.
    Held,
    /// Kept: somebody marked it as protected.
    Protected,
    /// Kept: the storage refuses deletion until then.
    LockedUntil(Timestamp),
    /// Kept: an execution, a drill or a consolidation uses it.
    InUse,
    /// Kept: its time lies in the future, so that its age can't be told.
    Future {
        /// How far.
        by: Duration,
    },
    /// Kept for a while: it was found bad, and what went wrong may still be looked into.
    KnownBad {
        /// When it goes.
        until: Timestamp,
    },
    /// Expired: it was found bad long enough ago.
    KnownBadOver {
        /// How long after the time for looking into it.
        by: Duration,
    },
    /// Kept: the newest of one of the tier's buckets.
    Newest {
        /// The rule.
        tier: Tier,
        /// Which of its buckets, the newest is 1.
        rank: u32,
        /// How many it keeps.
        of: u32,
    },
    /// Kept: the oldest record, while the tier has fewer buckets than it may keep.
    OldestFill {
        /// The rule.
        tier: Tier,
        /// How many buckets there are.
        have: u32,
        /// How many it keeps.
        of: u32,
    },
    /// Expired: its bucket keeps a newer record.
    NotNewest {
        /// The rule.
        tier: Tier,
        /// Which of its buckets, the newest is 1.
        rank: u32,
        /// How many it keeps.
        of: u32,
        /// How much newer the one is that stays.
        newer_by: Duration,
    },
    /// Expired: its bucket is older than those that the tier keeps.
    BeyondTier {
        /// The rule.
        tier: Tier,
        /// Which of its buckets, the newest is 1.
        rank: u32,
        /// How many it keeps.
        of: u32,
    },
    /// Kept: young enough, measured from the newest usable record.
    WithinDays {
        /// The rule.
        days: u32,
        /// How long it still would be.
        left: Duration,
    },
    /// Kept: no usable record to measure its age from, and ageing stops when backups do.
    AgeUnknown {
        /// The rule.
        days: u32,
    },
    /// Expired: too old, measured from the newest usable record.
    OlderThanDays {
        /// The rule.
        days: u32,
        /// By how much.
        by: Duration,
    },
    /// Kept: its own time to live has not ended.
    TtlUntil(Timestamp),
    /// Expired: its own time to live has ended.
    TtlEnded {
        /// How long ago.
        by: Duration,
    },
    /// Kept: one of the newest usable records.
    MinKeep {
        /// Which of them, the newest is 1.
        rank: u32,
        /// How many stay.
        of: u32,
    },
    /// Expired: not one of the newest usable records.
    BeyondMinKeep {
        /// Which of the usable records, the newest is 1; `None` if it is not usable.
        rank: Option<u32>,
        /// How many stay.
        of: u32,
    },
    /// Kept: no rule speaks of it: no policy and no time to live.
    NoRule,
    /// Kept: the newest usable record of its group.
    NewestUsable,
    /// Kept: the newest verified record of its group.
    NewestVerified,
    /// Kept: the newest usable record of its cluster.
    NewestUsableOfCluster,
    /// Kept: that record stays and can't be restored without this one.
    AncestorOf(RecordId),
}

impl Reason {
    /// A stable name of the rule that spoke.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Protected => "protected",
            Self::LockedUntil(_) => "locked",
            Self::InUse => "in_use",
            Self::Future { .. } => "future",
            Self::KnownBad { .. } | Self::KnownBadOver { .. } => "known_bad",
            Self::Newest { tier, .. }
            | Self::OldestFill { tier, .. }
            | Self::NotNewest { tier, .. }
            | Self::BeyondTier { tier, .. } => tier.as_str(),
            Self::WithinDays { .. } | Self::AgeUnknown { .. } | Self::OlderThanDays { .. } => "days",
            Self::TtlUntil(_) | Self::TtlEnded { .. } => "ttl",
            Self::MinKeep { .. } | Self::BeyondMinKeep { .. } => "min_keep",
            Self::NoRule => "no_rule",
            Self::NewestUsable => "newest_usable",
            Self::NewestVerified => "newest_verified",
            Self::NewestUsableOfCluster => "newest_usable_of_cluster",
            Self::AncestorOf(_) => "ancestor",
        }
    }

    /// The reason in English, for a record of the recovery point time `at`.
    pub(in crate::rules) const fn text<'a>(&'a self, at: Timestamp, zone: &'a TimeZone) -> ReasonText<'a> {
        ReasonText { reason: self, at, zone }
    }
}

/// A [`Reason`] in English.
#[derive(Debug)]
pub(in crate::rules) struct ReasonText<'a> {
    reason: &'a Reason,
    at: Timestamp,
    zone: &'a TimeZone,
}

impl ReasonText<'_> {
    fn bucket(&self, tier: Tier) -> String {
        bucket_name(tier, self.at, self.zone)
    }
}

impl fmt::Display for ReasonText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self.reason {
            Reason::Held => f.write_str("kept: held"),
            Reason::Protected => f.write_str("kept: protected"),
            Reason::LockedUntil(until) => write!(f, "kept: locked until {until}"),
            Reason::InUse => f.write_str("kept: in use"),
            Reason::Future { by } => {
                write!(f, "kept: its recovery point time lies {} in the future; check the clocks", Span(by))
            }
            Reason::KnownBad { until } => write!(f, "kept: found bad; goes on {until}"),
            Reason::KnownBadOver { by } => {
                write!(f, "expired: found bad; its 7 days ended {} ago", Span(by))
            }
            Reason::Newest { tier: Tier::Last, rank, of } => {
                write!(f, "kept: {} newest (rule keep_last {of})", Ordinal(rank))
            }
            Reason::Newest { tier, rank, of } => write!(
                f,
                "kept: newest of {} (rule {} {of}, {} of {of})",
                self.bucket(tier),
                tier.as_str(),
                Ordinal(rank)
            ),
            Reason::OldestFill { tier, have, of } => {
                write!(f, "kept: oldest record (rule {} {of}, filled to {have} so far)", tier.as_str())
            }
            Reason::NotNewest { tier, rank, of, newer_by } => write!(
                f,
                "expired: {} keeps a record {} newer (rule {} {of}, {} of {of})",
                self.bucket(tier),
                Span(newer_by),
                tier.as_str(),
                Ordinal(rank)
            ),
            Reason::BeyondTier { tier: Tier::Last, rank, of } => write!(
                f,
                "expired: {} newest, {} beyond rule keep_last {of}",
                Ordinal(rank),
                rank.saturating_sub(of)
            ),
            Reason::BeyondTier { tier, rank, of } => write!(
                f,
                "expired: {} is the {} newest with records, {} beyond rule {} {of}",
                self.bucket(tier),
                Ordinal(rank),
                rank.saturating_sub(of),
                tier.as_str()
            ),
            Reason::WithinDays { days, left } => {
                write!(f, "kept: {} younger than rule days {days} asks for", Span(left))
            }
            Reason::AgeUnknown { days } => {
                write!(f, "kept: no usable record to measure its age from (rule days {days})")
            }
            Reason::OlderThanDays { days, by } => write!(
                f,
                "expired: {} past rule days {days}, measured from the newest usable record",
                Span(by)
            ),
            Reason::TtlUntil(until) => write!(f, "kept: its own time to live lasts until {until}"),
            Reason::TtlEnded { by } => write!(f, "expired: its own time to live ended {} ago", Span(by)),
            Reason::MinKeep { rank, of } => {
                write!(f, "kept: {} newest usable record (rule min_keep {of})", Ordinal(rank))
            }
            Reason::BeyondMinKeep { rank: Some(rank), of } => write!(
                f,
                "expired: {} newest usable record, {} beyond rule min_keep {of}",
                Ordinal(rank),
                rank.saturating_sub(of)
            ),
            Reason::BeyondMinKeep { rank: None, of } => {
                write!(f, "expired: not usable, so rule min_keep {of} does not count it")
            }
            Reason::NoRule => f.write_str("kept: no policy and no time to live speak of it"),
            Reason::NewestUsable => f.write_str("kept: newest usable record of its group"),
            Reason::NewestVerified => f.write_str("kept: newest verified record of its group"),
            Reason::NewestUsableOfCluster => f.write_str("kept: newest usable record of its cluster"),
            Reason::AncestorOf(child) => write!(f, "kept: record {child} needs it"),
        }
    }
}

/// `count` with the right form of `noun`; here for the refusals beside the reasons.
pub(super) fn records(count: usize) -> String {
    plural(count, "record")
}
