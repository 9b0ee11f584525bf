//! What was counted, as of now: what the readers keep, and what they have yet to count.

use std::{collections::HashMap, hash::Hash, ops::Range};

use super::{Counter, RecentRuns, counting::tally_of, day_of, day_prefix, run_of};
use crate::{
    engine::{EngineError, runtime::Core},
    model::{ClusterName, Position, SealedEvent, TenantId, Timestamp},
    rules::health::{Statistics, Tally},
    seams::{DerivedKeys, DerivedQuery, Scope, StoreError},
};

/// How many events the first read behind a reader brings; each further one four times as many.
const FIRST: usize = 32;
const MOST: usize = 1000;

/// Which counts, and what their keys stand for.
struct Question<K> {
    from: String,
    before: String,
    read: fn(&str) -> Option<K>,
}

impl Core {
    /// The runs of a tenant that ended in these days (since the Unix epoch, in UTC), and up to which
    /// position they are counted.
    pub(crate) async fn runs_by_day(
        &self,
        tenant: &TenantId,
        days: Range<i64>,
    ) -> Result<(Statistics, Position), EngineError> {
        let question = Question { from: day_prefix(days.start), before: day_prefix(days.end), read: day_of };
        let (counts, position) = self.counted(Counter::Ended, tenant, &question, self.clock.now()).await?;
        let mut statistics = Statistics::default();
        for ((day, facet), tally) in counts {
            statistics.add(day, &facet, &tally);
        }
        Ok((statistics, position))
    }

    /// The runs of a tenant by cluster that `left` has yet to come to at `now`.
    pub(crate) async fn runs_by_cluster(
        &self,
        left: Counter,
        tenant: &TenantId,
        now: Timestamp,
    ) -> Result<HashMap<ClusterName, Tally>, EngineError> {
        let read = |key: &str| key.strip_prefix("cluster/")?.parse().ok();
        let question = Question { from: "cluster/".to_owned(), before: "cluster0".to_owned(), read };
        self.within(left, tenant, &question, now).await
    }

    /// How the runs of each policy of a tenant ended in the 30 days before `now`, and up to which
    /// position they are counted.
    pub(crate) async fn recent_runs(
        &self,
        tenant: &TenantId,
        now: Timestamp,
    ) -> Result<(RecentRuns, Position), EngineError> {
        let read = |key: &str| key.strip_prefix("policy/")?.parse().ok();
        let question = Question { from: "policy/".to_owned(), before: "policy0".to_owned(), read };
        let (left, left_at) = self.counted(Counter::LeftMonth, tenant, &question, now).await?;
        let (ended, ended_at) = self.counted(Counter::Ended, tenant, &question, now).await?;
        Ok((RecentRuns::new(without(ended, left), left_at), ended_at))
    }

    /// What ended without what has left.
    async fn within<K: Eq + Hash + Send>(
        &self,
        left: Counter,
        tenant: &TenantId,
        question: &Question<K>,
        now: Timestamp,
    ) -> Result<HashMap<K, Tally>, EngineError> {
        // In this order, so that nothing has left that is not known to have ended.
        let (gone, _) = self.counted(left, tenant, question, now).await?;
        let (counts, _) = self.counted(Counter::Ended, tenant, question, now).await?;
        Ok(without(counts, gone))
    }

    async fn counted<K: Eq + Hash + Send>(
        &self,
        counter: Counter,
        tenant: &TenantId,
        question: &Question<K>,
        now: Timestamp,
    ) -> Result<(HashMap<K, Tally>, Position), EngineError> {
        let Question { from, before, read } = question;
        let keys = DerivedKeys::Range(from.clone(), before.clone());
        let query = DerivedQuery { reader: counter.name().to_owned(), tenant: tenant.clone(), keys };
        let kept = self.store.derived(&query).await?;
        let mut counts = HashMap::with_capacity(kept.rows.len());
        for row in &kept.rows {
            if let Some(key) = read(&row.key) {
                counts.insert(key, tally_of(row)?);
            }
        }
        let mut position = kept.position;
        let count = |sealed: SealedEvent| {
            if counter.comes_at(&sealed.event, now) > now {
                return false;
            }
            position = sealed.position;
            let run = run_of(&sealed.event);
            let counted = run.iter().flat_map(|run| counter.counts(run));
            for (key, tally) in counted.filter(|(key, _)| query.keys.contains(key)) {
                if let Some(key) = read(&key) {
                    let sum: &mut Tally = counts.entry(key).or_default();
                    *sum = sum.plus(&tally);
                }
            }
            true
        };
        self.follow(&Scope::Tenant(tenant.clone()), kept.position, count).await?;
        Ok((counts, position))
    }

    /// Shows the sealed events after a position to `take`, in order, until it wants no more.
    pub(crate) async fn follow(
        &self,
        scope: &Scope,
        mut after: Position,
        mut take: impl FnMut(SealedEvent) -> bool + Send,
    ) -> Result<(), StoreError> {
        let mut limit = FIRST;
        loop {
            let events = self.store.events(scope, after, limit).await?;
            let is_end = events.len() < limit;
            for sealed in events {
                after = sealed.position;
                if !take(sealed) {
                    return Ok(());
                }
            }
            if is_end {
                return Ok(());
            }
            limit = (limit * 4).min(MOST);
        }
    }
}

fn without<K: Eq + Hash>(mut counts: HashMap<K, Tally>, gone: HashMap<K, Tally>) -> HashMap<K, Tally> {
    for (key, gone) in gone {
        counts.entry(key).and_modify(|tally| *tally = tally.minus(&gone));
    }
    counts
}
