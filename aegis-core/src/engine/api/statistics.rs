//! Statistics: counts, success, sizes and durations of backups, folded from the event log.

use super::Tenant;
use crate::{
    engine::{
        EngineError,
        runtime::{Counter, SECONDS_PER_DAY as DAY},
    },
    model::{Position, Timestamp},
    rules::health::{Statistics, Tally, Trend},
};

/// What the runs of a time came to.
#[derive(Clone, Debug, PartialEq)]
pub struct StatisticsAnswer {
    /// The first instant that is counted: the beginning of a day in UTC.
    pub from: Timestamp,
    /// The first instant after it: the end of a day in UTC.
    pub to: Timestamp,
    /// Up to where in the event log runs are counted.
    pub as_of: Position,
    /// The runs that ended in that time: all, and by kind, policy, cluster and day.
    pub statistics: Statistics,
    /// The runs of as many days before.
    pub before: Tally,
    /// How the one differs from the other.
    pub trend: Trend,
    /// The runs of the last 24 hours, to the second: one leaves when it and all that the log tells of
    /// before it are that old.
    pub last_24h: Tally,
    /// The runs of the last 7 days, to the second.
    pub last_7d: Tally,
}

impl Tenant {
    /// What the backups that ended from `from` to `to` came to, in whole days of UTC: the days that
    /// the two lie in are counted whole.
    ///
    /// From counts that are kept beside the event log, and what was sealed since: at the same cost
    /// however long the log is. What was committed in the last tenth of a second may be missing.
    ///
    /// # Errors
    /// `InvalidInput` if `to` is not after `from`.
    pub async fn statistics(&self, from: Timestamp, to: Timestamp) -> Result<StatisticsAnswer, EngineError> {
        if to <= from {
            return Err(EngineError::field("to", "it must be after `from`"));
        }
        let first = from.as_seconds().div_euclid(DAY);
        // The day of the last instant before `to`.
        let end = Timestamp::from_micros(to.as_micros() - 1).as_seconds().div_euclid(DAY) + 1;
        let now = self.core.clock.now();
        let (core, tenant) = (&self.core, &self.tenant);
        let before = core.runs_by_day(tenant, first - (end - first)..first).await?.0.total;
        let (statistics, as_of) = core.runs_by_day(tenant, first..end).await?;
        let last_24h = core.runs_by_cluster(Counter::LeftDay, tenant, now).await?;
        let last_7d = core.runs_by_cluster(Counter::LeftWeek, tenant, now).await?;
        Ok(StatisticsAnswer {
            from: Timestamp::from_seconds(first * DAY),
            to: Timestamp::from_seconds(end * DAY),
            as_of,
            trend: Trend::between(&before, &statistics.total),
            statistics,
            before,
            last_24h: sum(last_24h.values()),
            last_7d: sum(last_7d.values()),
        })
    }
}

fn sum<'a>(tallies: impl Iterator<Item = &'a Tally>) -> Tally {
    tallies.fold(Tally::default(), |sum, tally| sum.plus(tally))
}
