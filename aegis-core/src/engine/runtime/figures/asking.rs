//! What was counted, as of now: what the readers keep, and what they have yet to count.

use std::{collections::HashMap, hash::Hash, ops::Range};

use super::{Counter, counting::tally_of, day_of, day_prefix, run_of};
use crate::{
    engine::{EngineError, runtime::Core},
    model::{ClusterName, PolicyId, Position, TenantId, Timestamp},
    rules::health::{Statistics, Tally},
    seams::{DerivedKeys, DerivedQuery, Scope},
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

    /// How many runs of each policy of a tenant ended how in the 30 days before `now`.
    pub(crate) async fn runs_by_policy(
        &self,
        tenant: &TenantId,
        now: Timestamp,
    ) -> Result<HashMap<PolicyId, Tally>, EngineError> {
        let read = |key: &str| key.strip_prefix("policy/")?.parse().ok();
        let question = Question { from: "policy/".to_owned(), before: "policy0".to_owned(), read };
        self.within(Counter::LeftMonth, tenant, &question, now).await
    }

    /// What ended without what has left.
    async fn within<K: Eq + Hash>(
        &self,
        left: Counter,
        tenant: &TenantId,
        question: &Question<K>,
        now: Timestamp,
    ) -> Result<HashMap<K, Tally>, EngineError> {
        // In this order, so that nothing has left that is not known to have ended.
        let (gone, _) = self.counted(left, tenant, question, now).await?;
        let (mut counts, _) = self.counted(Counter::Ended, tenant, question, now).await?;
        for (key, gone) in gone {
            counts.entry(key).and_modify(|tally| *tally = tally.minus(&gone));
        }
        Ok(counts)
    }

    async fn counted<K: Eq + Hash>(
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
        let scope = Scope::Tenant(tenant.clone());
        let (mut position, mut limit) = (kept.position, FIRST);
        loop {
            let events = self.store.events(&scope, position, limit).await?;
            let due = events.iter().take_while(|sealed| counter.comes_at(&sealed.event, now) <= now);
            for sealed in due {
                position = sealed.position;
                let run = run_of(&sealed.event);
                let counted = run.iter().flat_map(|run| counter.counts(run));
                for (key, tally) in counted.filter(|(key, _)| query.keys.contains(key)) {
                    if let Some(key) = read(&key) {
                        let sum: &mut Tally = counts.entry(key).or_default();
                        *sum = sum.plus(&tally);
                    }
                }
            }
            if events.len() < limit || events.last().is_some_and(|last| last.position != position) {
                return Ok((counts, position));
            }
            limit = (limit * 4).min(MOST);
        }
    }
}
