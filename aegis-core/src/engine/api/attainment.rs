//! Attainment: how policies kept their RPO over a time.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{PolicyView, Tenant};
use crate::{
    engine::{
        EngineError,
        decide::{PointBook, suspensions},
        runtime::Past,
    },
    model::{BackupRecord, Policy, PolicyId, PolicyState, RetentionGroup, Rpo, StorageUri, Timestamp},
    rules::exposure::{
        self, Attainment, AttainmentInput, Book, ErrorBudget, Exposure, ExposureSpread, Objective, TargetFrom,
    },
    seams::RecordQuery,
};

/// How a policy kept its RPO over a time, by both books.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyAttainment {
    /// The policy.
    pub policy: PolicyId,
    /// The time asked about.
    pub window: exposure::Window,
    /// The present: what lies after it is not judged.
    pub assessed_at: Timestamp,
    /// What would be lost at that instant if only this location were left; one that could not give
    /// anything back is not named.
    pub by_location: BTreeMap<StorageUri, Exposure>,
    /// As was known then: a point counts until it was found bad.
    pub as_known: Attainment,
    /// As is known now: a point that was found bad never counted.
    pub restated: Attainment,
    /// How exposure was spread over the counted time, as was known then.
    pub spread: ExposureSpread,
    /// For how long the RPO might be missed at [`Objective::DEFAULT`], and was, as was known then.
    pub budget: ErrorBudget,
}

impl Tenant {
    /// The exact share of the time from `from` to `to` in which a policy kept its RPO, with its worst
    /// exposure, its unprotected time and its violations: as was known then, and as is known now;
    /// how exposure was spread, and what is left of the time in which it might have been missed; and
    /// what each location by itself could give back now.
    ///
    /// Counted from the policy's making. Time in which it was disabled or had no RPO counts in the
    /// raw shares alone; each target holds from when it was set.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` if `to` is not after `from`.
    pub async fn attainment(
        &self,
        policy: PolicyId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<PolicyAttainment, EngineError> {
        let view = [self.policy(policy).await?];
        let attained = self.attainments(&view, from, to).await?.pop();
        attained.ok_or_else(|| EngineError::not_found("policy", policy))
    }

    /// The same of several policies, in their order. Costs what was made since `from`, and what of before
    /// was the newest then.
    ///
    /// # Errors
    /// `InvalidInput` if `to` is not after `from`.
    pub async fn attainments(
        &self,
        policies: &[PolicyView],
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<PolicyAttainment>, EngineError> {
        if to <= from {
            return Err(EngineError::field("to", "it must be after `from`"));
        }
        let asked = Asked { window: exposure::Window { from, until: to }, now: self.core.clock.now() };
        let catalogue = self.core.catalogue(&self.tenant).await?;
        let clusters: BTreeSet<_> = policies.iter().map(|view| &view.policy.cluster).collect();
        let mut attained = BTreeMap::new();
        for cluster in clusters {
            let mut manual = RecordQuery::new(self.scope());
            (manual.cluster, manual.manual) = (Some(cluster.clone()), true);
            let mut manual = Past::since(&self.core, manual, from.min(asked.now)).await?;
            let groups = catalogue.groups(Some(cluster));
            for view in policies.iter().filter(|view| view.policy.cluster == *cluster) {
                let judged = self.attained_by(view, &mut manual, &groups, &asked).await?;
                attained.insert(view.policy.id, judged);
                // Nothing in a sweep waits: in between, others get their turn.
                tokio::task::yield_now().await;
            }
        }
        Ok(policies.iter().filter_map(|view| attained.remove(&view.policy.id)).collect())
    }

    /// How one policy did. Its records and those of none are read back until no older one can matter.
    async fn attained_by(
        &self,
        view: &PolicyView,
        manual: &mut Past,
        groups: &[RetentionGroup],
        asked: &Asked,
    ) -> Result<PolicyAttainment, EngineError> {
        let policy = view.policy.id;
        let mut own = RecordQuery::new(self.scope());
        own.policy = Some(policy);
        let mut own = Past::since(&self.core, own, asked.window.from.min(asked.now)).await?;
        let serves = |group: &&RetentionGroup| group.policy.is_none_or(|of| of == policy);
        let locations: BTreeSet<_> = groups.iter().filter(serves).map(|group| &group.location).collect();
        loop {
            let read = || own.records().iter().chain(manual.records()).map(|record| &**record);
            let ancestors = self.core.ancestors(&self.tenant, read()).await?;
            let books = Books::of(read().chain(ancestors.iter().map(|record| &**record)));
            let unread = own.unread().max(manual.unread());
            if unread.is_none_or(|unread| books.is_settled(view, asked, &locations, unread)) {
                return Ok(books.attained(view, asked));
            }
            if own.unread() >= manual.unread() {
                own.read_on(&self.core).await?;
            } else {
                manual.read_on(&self.core).await?;
            }
        }
    }
}

/// The time that is asked about, and the present.
struct Asked {
    window: exposure::Window,
    now: Timestamp,
}

/// What counted for a policy, as was known at each time and as is known now.
struct Books<'a> {
    as_known: PointBook<'a>,
    restated: PointBook<'a>,
}

impl<'a> Books<'a> {
    fn of(records: impl Iterator<Item = &'a BackupRecord> + Clone) -> Self {
        let book = |book| PointBook::new(records.clone(), book);
        Self { as_known: book(Book::AsKnown), restated: book(Book::Restated) }
    }

    /// Whether nothing that was made at `unread` or before can change the answer: at every instant, and
    /// in each location where something lies, something newer counts. A record reflects no time after its
    /// making.
    fn is_settled(
        &self,
        view: &PolicyView,
        asked: &Asked,
        locations: &BTreeSet<&StorageUri>,
        unread: Timestamp,
    ) -> bool {
        let (policy, state) = (&*view.policy, view.state.as_deref());
        let is_newer = |oldest: Option<Timestamp>| oldest.is_some_and(|oldest| oldest > unread);
        let needed = |book| over_window(policy, state, book, asked, exposure::oldest_needed);
        let by_location = self.as_known.by_location(policy, asked.now);
        is_newer(needed(&self.as_known))
            && is_newer(needed(&self.restated))
            && locations.iter().all(|location| match by_location.get(*location) {
                Some(Exposure::Since { at, .. }) => *at > unread,
                Some(Exposure::Unprotected) | None => false,
            })
    }

    fn attained(&self, view: &PolicyView, asked: &Asked) -> PolicyAttainment {
        let (policy, state) = (&*view.policy, view.state.as_deref());
        let (as_known, spread) = over_window(policy, state, &self.as_known, asked, |input| {
            (exposure::attainment(input), exposure::exposure_spread(input))
        });
        PolicyAttainment {
            policy: policy.id,
            window: asked.window,
            assessed_at: asked.now,
            by_location: self.as_known.by_location(policy, asked.now),
            as_known,
            restated: over_window(policy, state, &self.restated, asked, exposure::attainment),
            spread,
            budget: Objective::DEFAULT.budget(&as_known.share),
        }
    }
}

/// A policy's attainment over a window, from the records of its cluster.
pub(super) fn attained(
    policy: &Policy,
    state: Option<&PolicyState>,
    book: &PointBook<'_>,
    window: exposure::Window,
    now: Timestamp,
) -> Attainment {
    over_window(policy, state, book, &Asked { window, now }, exposure::attainment)
}

/// What `rule` makes of a policy's history over a window.
fn over_window<T>(
    policy: &Policy,
    state: Option<&PolicyState>,
    book: &PointBook<'_>,
    asked: &Asked,
    rule: impl FnOnce(&AttainmentInput<'_>) -> T,
) -> T {
    let terms = state.map_or_else(Vec::new, |state| state.terms.clone());
    let points = book.of(policy, &terms);
    // A term without a target is suspended; which target stands there does not matter.
    let target = |rpo: Option<Rpo>| rpo.map_or(Duration::MAX, |rpo| rpo.0);
    let targets: Vec<_> =
        terms.iter().map(|term| TargetFrom { from: term.from, target: target(term.rpo) }).collect();
    rule(&AttainmentInput {
        points: &points,
        window: asked.window,
        now: asked.now,
        targets: &targets,
        suspensions: &suspensions(&terms),
    })
}
