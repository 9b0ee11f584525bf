//! Figures that are folded from the event log: how many runs ended, and how.
//!
//! Readers of the log count the runs that it tells of, and keep their counts in the store with their
//! places in the log. One counts a run as it ends; one for each sliding window counts it again as it
//! leaves that window. So a window is the difference of two readers, leaving it is a change like
//! another, and the log itself is the queue of those that will leave. An answer adds what lies in the
//! log behind its readers, so it is exact up to what is sealed, however late they are.

mod asking;
mod counting;
mod recent;

use std::time::Duration;

use crate::{
    model::{ClusterName, Event, EventKind, PolicyId, Timestamp},
    rules::health::{Facet, Outcome, RunFact, Tally},
};

pub(crate) use counting::Counting;
pub(crate) use recent::RecentRuns;

pub(crate) const SECONDS_PER_DAY: i64 = 86_400;

/// A reader of the log that counts runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counter {
    /// Every run that ended.
    Ended,
    /// Those that have left the last 24 hours.
    LeftDay,
    /// Those that have left the last 7 days.
    LeftWeek,
    /// Those that have left the last 30 days.
    LeftMonth,
}

impl Counter {
    pub(crate) const ALL: [Self; 4] = [Self::Ended, Self::LeftDay, Self::LeftWeek, Self::LeftMonth];

    /// Its name as a reader of the log.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ended => "figures/ended",
            Self::LeftDay => "figures/left-day",
            Self::LeftWeek => "figures/left-week",
            Self::LeftMonth => "figures/left-month",
        }
    }

    /// How long after the end of a run it counts it.
    const fn behind(self) -> Duration {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        match self {
            Self::Ended => Duration::ZERO,
            Self::LeftDay => DAY,
            Self::LeftWeek => DAY.saturating_mul(7),
            Self::LeftMonth => DAY.saturating_mul(30),
        }
    }

    /// When it comes to an event. It waits for none whose time has yet to come by our clock: that
    /// one's clock was wrong, and would hold up all that are behind it.
    fn comes_at(self, event: &Event, now: Timestamp) -> Timestamp {
        match self {
            Self::Ended => Timestamp::MIN,
            _ if event.at > now => Timestamp::MIN,
            Self::LeftDay | Self::LeftWeek | Self::LeftMonth => event.at.saturating_add(self.behind()),
        }
    }

    /// Under which keys it counts a run, and what it adds there.
    fn counts(self, run: &RunFact) -> Vec<(String, Tally)> {
        let all = Tally::of(run);
        let by_cluster = || (of_cluster(&run.cluster), all);
        let by_policy = || run.policy.map(|policy| (of_policy(policy), all.outcomes()));
        match self {
            Self::Ended => {
                let day = run.at.as_seconds().div_euclid(SECONDS_PER_DAY);
                [(of_day(day, &run.facet()), all), by_cluster()].into_iter().chain(by_policy()).collect()
            }
            Self::LeftDay | Self::LeftWeek => vec![by_cluster()],
            Self::LeftMonth => by_policy().into_iter().collect(),
        }
    }
}

fn of_cluster(cluster: &ClusterName) -> String {
    format!("cluster/{cluster}")
}

fn of_policy(policy: PolicyId) -> String {
    format!("policy/{policy}")
}

/// The key of the runs of a day, in days since the Unix epoch, that have these things in common.
fn of_day(day: i64, facet: &Facet) -> String {
    let policy = facet.policy.map_or_else(|| "-".to_owned(), |policy| policy.to_string());
    format!("{}{}/{}/{policy}", day_prefix(day), facet.cluster, facet.kind)
}

/// What the keys of a day begin with. Days before the epoch, which no clock shows, count as the first.
fn day_prefix(day: i64) -> String {
    format!("day/{:010}/", day.max(0))
}

/// What [`of_day`] was made from.
fn day_of(key: &str) -> Option<(i64, Facet)> {
    let (day, rest) = key.strip_prefix("day/")?.split_once('/')?;
    let mut parts = rest.rsplitn(3, '/');
    let (policy, kind, cluster) = (parts.next()?, parts.next()?, parts.next()?);
    let policy = match policy {
        "-" => None,
        id => Some(id.parse().ok()?),
    };
    let facet = Facet { cluster: cluster.parse().ok()?, kind: kind.parse().ok()?, policy };
    Some((day.parse().ok()?, facet))
}

/// The run that an event tells the end of.
fn run_of(event: &Event) -> Option<RunFact> {
    let outcome = match event.kind {
        EventKind::JobCompleted => Outcome::Completed,
        EventKind::JobPartiallyFailed => Outcome::PartiallyFailed,
        EventKind::JobFailed => Outcome::Failed,
        EventKind::JobCancelled => Outcome::Cancelled,
        _ => return None,
    };
    let facts = &event.facts;
    Some(RunFact {
        at: event.at,
        outcome,
        kind: facts.backup?,
        policy: facts.policy,
        cluster: facts.cluster.clone()?,
        took: facts.duration.unwrap_or_default(),
        size: facts.sizes.and_then(|sizes| sizes.logical),
        added: facts.sizes.and_then(|sizes| sizes.added),
    })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::BackupKind;

    #[test]
    fn a_key_of_a_day_tells_what_it_is_of() {
        for policy in [None, Some(PolicyId::from_uuid(Uuid::from_u128(7)))] {
            let cluster = ClusterName::new("prod-us-east-1").unwrap();
            let facet = Facet { cluster, kind: BackupKind::Incremental, policy };
            assert_eq!(day_of(&of_day(20_491, &facet)), Some((20_491, facet)));
        }
        assert!(day_prefix(999) < day_prefix(20_491));
    }
}
