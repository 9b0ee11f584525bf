//! Statistics: counts, success, sizes and durations of backups, folded from the event log.

use super::Tenant;
use crate::{
    engine::EngineError,
    model::{Position, Timestamp},
    rules::health::{Statistics, Tally, Trend},
};

/// Seconds of a day in UTC.
const DAY: i64 = 86_400;

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
    /// The runs of the last 24 hours, to the second.
    pub last_24h: Tally,
    /// The runs of the last 7 days, to the second.
    pub last_7d: Tally,
}

impl Tenant {
    /// What the backups that ended from `from` to `to` came to, in whole days of UTC: the days that
    /// the two lie in are counted whole.
    ///
    /// Folded from the sealed event log, each event once: the first call reads the log, later ones
    /// what came since. What was committed in the last tenth of a second may be missing.
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
        self.core
            .figures(&self.tenant, |figures| {
                let over = |first: i64, end: i64| {
                    let mut sum = Statistics::default();
                    figures.days.range(first..end).for_each(|(_, day)| sum.add(day));
                    sum
                };
                let statistics = over(first, end);
                let before = over(first - (end - first), first).total;
                StatisticsAnswer {
                    from: Timestamp::from_seconds(first * DAY),
                    to: Timestamp::from_seconds(end * DAY),
                    as_of: figures.position,
                    trend: Trend::between(&before, &statistics.total),
                    statistics,
                    before,
                    last_24h: *figures.last_day.tally(),
                    last_7d: *figures.last_week.tally(),
                }
            })
            .await
    }
}
