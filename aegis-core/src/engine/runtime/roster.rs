//! A tenant's policies as they stand, kept in mind from one question to the next.
//!
//! Reading thousands of policies with their states takes far longer than judging them, and few of them
//! change between two questions. The event log tells which did: what was sealed since, and what is not
//! sealed yet. These are read anew before each answer. So an answer rests on all that was committed
//! before it was asked for, by whichever engine, and costs what has changed.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::{core::Core, figures::RecentRuns};
use crate::{
    engine::{EngineError, decide::Backups},
    model::{
        EntityKey, Event, Policy, PolicyId, PolicyState, Position, SealedEvent, TenantId, Timestamp,
        Versioned,
    },
    rules::health::Tally,
    seams::{PolicyQuery, PolicyStateQuery, Scope, StoreError, StoreExt},
};

/// How many events are followed. Behind more of them, reading everything anew costs less.
const FOLLOWED: usize = 4000;
/// How many events that are not sealed yet are looked through; so many are only there if nobody seals.
const UNSEALED: usize = 1000;
/// How many policies are read one by one after somebody changed them.
const EDITED: usize = 64;

/// A tenant's policies as they stand.
#[derive(Clone, Debug)]
pub(crate) struct Roster {
    entries: Vec<Entry>,
    /// Up to where the log was followed: whatever changes the entries now lies behind.
    followed: Position,
    runs: RecentRuns,
}

/// One policy, with what the engine knows of it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) policy: Versioned<Policy>,
    pub(crate) state: Option<Versioned<PolicyState>>,
    /// What its newest backups come to, worked out once for all answers until they change.
    pub(crate) backups: Backups,
    /// How its runs of the last 30 days ended, as far as the log is sealed.
    pub(crate) runs: Tally,
}

/// What was committed after a position.
pub(super) struct Since {
    tail: Vec<Arc<Event>>,
    sealed: Vec<SealedEvent>,
    /// Where the log ended.
    pub(super) head: Position,
}

impl Since {
    /// All of it, sealed or not, in no promised order.
    pub(super) fn events(&self) -> impl Iterator<Item = &Arc<Event>> {
        self.tail.iter().chain(self.sealed.iter().map(|sealed| &sealed.event))
    }
}

/// What happened since a roster was brought up to date.
struct News {
    sealed: Vec<SealedEvent>,
    /// The events whose runs have left the last 30 days, and when the next one will.
    left: Vec<SealedEvent>,
    next_leaves_at: Option<Timestamp>,
    /// Policies that somebody made, changed or deleted; `None` if they are gone.
    edited: HashMap<PolicyId, Option<Versioned<Policy>>>,
    /// The states that changed, and those of `edited`.
    restated: HashMap<PolicyId, Option<Versioned<PolicyState>>>,
}

impl Roster {
    /// The policies, by name and then by id.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn update(&mut self, news: News, now: Timestamp) {
        let News { sealed, left, next_leaves_at, mut edited, mut restated } = news;
        self.followed = sealed.last().map_or(self.followed, |last| last.position);
        self.runs.add(&sealed);
        self.runs.leave(&left, next_leaves_at);
        let counted: BTreeSet<_> = RecentRuns::policies(&left).chain(RecentRuns::policies(&sealed)).collect();
        if edited.is_empty() && restated.is_empty() && counted.is_empty() {
            return;
        }
        self.entries.retain_mut(|entry| {
            let id = entry.policy.id;
            if counted.contains(&id) {
                entry.runs = self.runs.of(id);
            }
            if let Some(state) = restated.remove(&id) {
                entry.backups = Backups::of(state.as_deref(), now);
                entry.state = state;
            }
            match edited.remove(&id) {
                Some(Some(policy)) => entry.policy = policy,
                Some(None) => return false,
                None => {}
            }
            true
        });
        for policy in edited.into_values().flatten() {
            let state = restated.remove(&policy.id).flatten();
            self.entries.push(Entry::new(policy, state, &self.runs, now));
        }
        sort(&mut self.entries);
    }
}

impl Entry {
    fn new(
        policy: Versioned<Policy>,
        state: Option<Versioned<PolicyState>>,
        runs: &RecentRuns,
        now: Timestamp,
    ) -> Self {
        Self { backups: Backups::of(state.as_deref(), now), runs: runs.of(policy.id), policy, state }
    }
}

impl News {
    fn is_none(&self, roster: &Roster) -> bool {
        self.sealed.is_empty()
            && self.left.is_empty()
            && self.next_leaves_at == roster.runs.next_leaves_at()
            && self.edited.is_empty()
            && self.restated.is_empty()
    }
}

fn sort(entries: &mut [Entry]) {
    entries.sort_by(|a, b| (&a.policy.name, a.policy.id).cmp(&(&b.policy.name, b.policy.id)));
}

impl Core {
    /// The policies of a tenant as they stand: nothing that was committed before is missing.
    pub(crate) async fn roster(&self, tenant: &TenantId) -> Result<Arc<Roster>, EngineError> {
        let kept = self.rosters.of(tenant);
        let mut kept = kept.lock().await;
        let now = self.clock.now();
        let news = match &*kept {
            Some(roster) => self.news(tenant, roster, now).await?,
            None => None,
        };
        // Nothing is awaited from here on, so a call that is dropped leaves what was kept.
        if let (Some(roster), Some(news)) = (&mut *kept, news) {
            if !news.is_none(roster) {
                Arc::make_mut(roster).update(news, now);
            }
            return Ok(Arc::clone(roster));
        }
        let roster = Arc::new(self.read_roster(tenant, now).await?);
        *kept = Some(Arc::clone(&roster));
        Ok(roster)
    }

    async fn read_roster(&self, tenant: &TenantId, now: Timestamp) -> Result<Roster, EngineError> {
        let scope = Scope::Tenant(tenant.clone());
        // The log before the policies, so that no change is missed.
        let (runs, followed) = self.recent_runs(tenant, now).await?;
        let policies = self.store.policies(&PolicyQuery::new(scope.clone())).await?.items;
        let states = self.store.policy_states(&PolicyStateQuery::new(scope)).await?;
        let mut states: HashMap<_, _> = states.into_iter().map(|state| (state.policy, state)).collect();
        let entry = |policy: Versioned<Policy>| {
            let state = states.remove(&policy.id);
            Entry::new(policy, state, &runs, now)
        };
        let mut entries: Vec<_> = policies.into_iter().map(entry).collect();
        sort(&mut entries);
        Ok(Roster { entries, followed, runs })
    }

    /// What happened since; `None` if it is so much that everything is better read anew.
    async fn news(
        &self,
        tenant: &TenantId,
        roster: &Roster,
        now: Timestamp,
    ) -> Result<Option<News>, EngineError> {
        let scope = Scope::Tenant(tenant.clone());
        let Some(since) = self.since(&scope, roster.followed).await? else { return Ok(None) };
        let Some((left, next_leaves_at)) = self.left(&scope, &roster.runs, since.head, now).await? else {
            return Ok(None);
        };
        let (mut edited, mut changed) = (BTreeSet::new(), BTreeSet::new());
        for event in since.events() {
            match event.subject {
                EntityKey::Policy(policy) => changed.extend(edited.insert(policy).then_some(policy)),
                EntityKey::PolicyState(policy) => changed.extend([policy]),
                _ => {}
            }
        }
        if edited.len() > EDITED {
            return Ok(None);
        }
        let edited = self.policies_of(&scope, edited).await?;
        let restated = self.states_of(&scope, &changed).await?;
        Ok(Some(News { sealed: since.sealed, left, next_leaves_at, edited, restated }))
    }

    /// The events whose runs have left by `now`, and when the next one will, if that is known.
    async fn left(
        &self,
        scope: &Scope,
        runs: &RecentRuns,
        head: Position,
        now: Timestamp,
    ) -> Result<Option<(Vec<SealedEvent>, Option<Timestamp>)>, EngineError> {
        if !runs.leave_by(now, head) {
            return Ok(Some((Vec::new(), runs.next_leaves_at())));
        }
        // No further than runs are counted, so that none leaves that was not.
        let leaves_at = |event: &SealedEvent| RecentRuns::leaves_at(event, now);
        let has_left = |event: &SealedEvent| event.position <= head && leaves_at(event) <= now;
        let followed = self.followed(scope, runs.left(), has_left).await?;
        Ok(followed.map(|(left, next)| (left, next.map(|next| leaves_at(&next)).filter(|at| *at > now))))
    }

    /// What was committed after a position that the log was followed to; `None` if it is so much that
    /// everything is better read anew, or not there any more.
    pub(super) async fn since(&self, scope: &Scope, after: Position) -> Result<Option<Since>, EngineError> {
        // The tail first: what is sealed meanwhile is found in the log.
        let tail = self.store.unsealed(scope, UNSEALED).await?;
        let followed = self.followed(scope, after, |_| true).await?;
        let Some((sealed, _)) = followed.filter(|_| tail.len() < UNSEALED) else { return Ok(None) };
        let head = sealed.last().map_or(after, |last| last.position);
        Ok(Some(Since { tail, sealed, head }))
    }

    /// The sealed events after a position as long as `goes_on` holds, and the first for which it does
    /// not; `None` if they are too many, or not there any more, or the store was put back to an earlier
    /// state.
    async fn followed(
        &self,
        scope: &Scope,
        after: Position,
        goes_on: impl Fn(&SealedEvent) -> bool + Send + Sync,
    ) -> Result<Option<(Vec<SealedEvent>, Option<SealedEvent>)>, EngineError> {
        let (mut taken, mut next) = (Vec::new(), None);
        let take = |event: SealedEvent| {
            let goes_on = goes_on(&event) && taken.len() < FOLLOWED;
            if goes_on {
                taken.push(event)
            } else {
                next = Some(event)
            }
            goes_on
        };
        match self.follow(scope, after, take).await {
            Ok(()) => Ok((taken.len() < FOLLOWED).then_some((taken, next))),
            Err(StoreError::LogPruned(_) | StoreError::LogEnds(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn policies_of(
        &self,
        scope: &Scope,
        ids: BTreeSet<PolicyId>,
    ) -> Result<HashMap<PolicyId, Option<Versioned<Policy>>>, EngineError> {
        let mut found = HashMap::with_capacity(ids.len());
        for id in ids {
            found.insert(id, self.store.find::<Policy>(scope, id).await?);
        }
        Ok(found)
    }

    async fn states_of(
        &self,
        scope: &Scope,
        ids: &BTreeSet<PolicyId>,
    ) -> Result<HashMap<PolicyId, Option<Versioned<PolicyState>>>, EngineError> {
        let mut found: HashMap<_, _> = ids.iter().map(|id| (*id, None)).collect();
        if ids.is_empty() {
            return Ok(found);
        }
        let policies = ids.iter().copied().collect();
        let query = PolicyStateQuery { policies, ..PolicyStateQuery::new(scope.clone()) };
        for state in self.store.policy_states(&query).await? {
            found.insert(state.policy, Some(state));
        }
        Ok(found)
    }
}
