//! Stores that break one rule each: what proves that the conformance suite sees it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::{
    StreamExt, future,
    stream::{self, BoxStream},
};

use super::{StoreMutation as M, filter::Narrowed};
use crate::{
    model::{
        BackupJob, BackupRecord, Bytes, ChainHash, ChangesetId, ClusterName, DrTest, Entity, EntityKey,
        Event, OperationId, Policy, PolicyState, Position, RecoveryExecution, RecoveryPlan, RetentionRun,
        SealedEvent, Slot, TenantId, Timestamp, Verification, Version, Versioned,
    },
    seams::{
        Changeset, Claim, Committed, Derived, DerivedQuery, DerivedRow, DrTestQuery, ExecutionQuery, Fence,
        Generation, HolderId, JobQuery, Lease, LeaseName, LogStart, Page, PlanQuery, PolicyQuery,
        PolicyStateQuery, ProgressReport, ReaderStep, RecordQuery, RecordTotals, RetentionRunQuery, Scope,
        Sealed, SlotQuery, Store, StoreError, StoreHint, VerificationQuery, Window,
    },
};

/// Another store, with one rule broken.
#[derive(Debug)]
pub struct MutantStore {
    pub(super) inner: Arc<dyn Store>,
    pub(super) mutation: M,
    pub(super) next_id: AtomicU64,
    pub(super) committing: AtomicUsize,
    pub(super) pruned: AtomicBool,
    has_listener: AtomicBool,
    notes: Mutex<Notes>,
}

/// What mutants remember that they should not, or wrongly.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) changesets: HashSet<ChangesetId>,
    pub(super) deleted: HashSet<EntityKey>,
    grants: Vec<(HolderId, Lease)>,
    pub(super) derived: Vec<(String, DerivedRow)>,
    jobs: Vec<(JobQuery, Page<BackupJob>)>,
    due: Option<Vec<Versioned<PolicyState>>>,
    written: Option<EntityKey>,
    sealed: Position,
    cut: Option<LogStart>,
}

impl Notes {
    pub(super) fn newest_generation(&self, name: &LeaseName) -> Option<Generation> {
        let mut newest_first = self.grants.iter().rev();
        newest_first.find(|(_, lease)| lease.fence.name == *name).map(|(_, lease)| lease.fence.generation)
    }
}

impl MutantStore {
    /// Breaks `mutation` of what `inner` does right.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>, mutation: M) -> Self {
        Self {
            inner,
            mutation,
            next_id: AtomicU64::new(1),
            committing: AtomicUsize::new(0),
            pruned: AtomicBool::new(false),
            has_listener: AtomicBool::new(false),
            notes: Mutex::default(),
        }
    }

    pub(super) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is(&self, mutation: M) -> bool {
        self.mutation == mutation
    }

    /// What a mutant asks instead.
    fn asked<Q: Narrowed>(&self, query: &Q) -> Q {
        let mut query = query.clone();
        match self.mutation {
            M::Ignores(filter) => query.ignore(filter),
            M::OffsetsAreIgnored => query.window().offset = 0,
            M::LimitsAreIgnored => query.window().limit = usize::MAX,
            M::CursorsIgnoreIds => {
                if let Some(cursor) = &mut query.window().after {
                    cursor.id = uuid::Uuid::nil();
                }
            }
            _ => {}
        }
        query
    }

    /// What a mutant answers instead.
    fn answered<T>(&self, mut page: Page<T>) -> Page<T> {
        match self.mutation {
            M::ListsAreReversed => page.items.reverse(),
            M::TotalsCountThePage => {
                page.total = page.total.and_then(|_| u64::try_from(page.items.len()).ok());
            }
            _ => {}
        }
        page
    }

    /// What a mutant makes of an entity that was read.
    fn mistaken(&self, entity: Entity) -> Entity {
        match (self.mutation, entity) {
            (M::ReadsLoseWarnings, Entity::Job(job)) => {
                BackupJob { warnings: Vec::new(), ..(*job).clone() }.into()
            }
            (M::ReadsLoseUnicode, Entity::Job(job)) => {
                let mut job = (*job).clone();
                if let Some(failure) = &mut job.failure {
                    failure.message.retain(|c| c.is_ascii());
                }
                job.into()
            }
            (M::ReadsTruncateToMillis, Entity::Reservation(reservation)) => {
                let mut reservation = (*reservation).clone();
                let millis = |at: Timestamp| Timestamp::from_micros(at.as_micros().div_euclid(1000) * 1000);
                reservation.expires_at = reservation.expires_at.map(millis);
                reservation.into()
            }
            (_, entity) => entity,
        }
    }

    /// The name under which a mutant keeps a lease.
    fn lease_name(&self, name: &LeaseName) -> LeaseName {
        if self.is(M::LeaseNamesCollide) { LeaseName::sealer() } else { name.clone() }
    }

    async fn everything(&self) -> Result<Vec<SealedEvent>, StoreError> {
        self.inner.events(&Scope::Everyone, Position::START, usize::MAX).await
    }

    /// The links of all events as if they were one chain.
    async fn one_chain(&self) -> Result<HashMap<Position, ChainHash>, StoreError> {
        let mut head = ChainHash::GENESIS;
        let mut links = HashMap::new();
        for sealed in self.everything().await? {
            head = head.link(&sealed.event, sealed.position).unwrap_or(head);
            links.insert(sealed.position, head);
        }
        Ok(links)
    }
}

#[async_trait]
impl Store for MutantStore {
    async fn commit(&self, changeset: Changeset) -> Result<Committed, StoreError> {
        if self.is(M::ReadsInventEntities) {
            self.notes().written = changeset.changes.first().map(|change| change.write.entity().key());
        }
        self.mutated_commit(changeset).await
    }

    async fn get(&self, scope: &Scope, key: &EntityKey) -> Result<Option<(Version, Entity)>, StoreError> {
        let scope = if self.is(M::GetCrossesTenants) { &Scope::Everyone } else { scope };
        let mut found = self.inner.get(scope, key).await?;
        let written = self.notes().written.clone();
        if let (None, Some(written)) = (&found, written) {
            found = self.inner.get(scope, &written).await?;
        }
        Ok(found.map(|(version, entity)| (version, self.mistaken(entity))))
    }

    async fn jobs(&self, query: &JobQuery) -> Result<Page<BackupJob>, StoreError> {
        let known = self.notes().jobs.iter().find(|(asked, _)| asked == query).map(|(_, page)| page.clone());
        if let Some(page) = known {
            return Ok(page);
        }
        let page = self.answered(self.inner.jobs(&self.asked(query)).await?);
        if self.is(M::ListsAreStale) {
            self.notes().jobs.push((query.clone(), page.clone()));
        }
        Ok(page)
    }

    async fn records(&self, query: &RecordQuery) -> Result<Page<BackupRecord>, StoreError> {
        Ok(self.answered(self.inner.records(&self.asked(query)).await?))
    }

    async fn record_totals(&self, query: &RecordQuery) -> Result<RecordTotals, StoreError> {
        let query = self.asked(query);
        let mut totals = self.inner.record_totals(&query).await?;
        if self.is(M::TotalsCountGoneCopies) {
            let records = self.inner.records(&query.with_window(Window::ALL)).await?.items;
            let copies = records.iter().flat_map(|record| &record.copies);
            totals.stored = Bytes(copies.filter_map(|copy| copy.stored).map(|size| size.0).sum());
        }
        Ok(totals)
    }

    async fn plans(&self, query: &PlanQuery) -> Result<Page<RecoveryPlan>, StoreError> {
        Ok(self.answered(self.inner.plans(&self.asked(query)).await?))
    }

    async fn executions(&self, query: &ExecutionQuery) -> Result<Page<RecoveryExecution>, StoreError> {
        Ok(self.answered(self.inner.executions(&self.asked(query)).await?))
    }

    async fn policies(&self, query: &PolicyQuery) -> Result<Page<Policy>, StoreError> {
        Ok(self.answered(self.inner.policies(&self.asked(query)).await?))
    }

    async fn slots(&self, query: &SlotQuery) -> Result<Page<Slot>, StoreError> {
        Ok(self.answered(self.inner.slots(&self.asked(query)).await?))
    }

    async fn verifications(&self, query: &VerificationQuery) -> Result<Page<Verification>, StoreError> {
        Ok(self.answered(self.inner.verifications(&self.asked(query)).await?))
    }

    async fn dr_tests(&self, query: &DrTestQuery) -> Result<Page<DrTest>, StoreError> {
        Ok(self.answered(self.inner.dr_tests(&self.asked(query)).await?))
    }

    async fn retention_runs(&self, query: &RetentionRunQuery) -> Result<Page<RetentionRun>, StoreError> {
        Ok(self.answered(self.inner.retention_runs(&self.asked(query)).await?))
    }

    async fn policy_states(
        &self,
        query: &PolicyStateQuery,
    ) -> Result<Vec<Versioned<PolicyState>>, StoreError> {
        let mut query = query.clone();
        match self.mutation {
            M::PolicyStatesCrossTenants => query.scope = Scope::Everyone,
            M::PolicyStatesIgnoreCluster => query.cluster = None,
            M::PolicyStatesIgnorePolicies => query.policies.clear(),
            _ => {}
        }
        let mut states = self.inner.policy_states(&query).await?;
        if self.is(M::PolicyStatesAreReversed) {
            states.reverse();
        }
        Ok(states)
    }

    async fn due_policies(
        &self,
        cluster: &ClusterName,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Versioned<PolicyState>>, StoreError> {
        let known = self.notes().due.clone();
        if let Some(due) = known {
            return Ok(due);
        }
        let now = if self.is(M::DueIsEarly) { Timestamp::MAX } else { now };
        let mut due = self.inner.due_policies(cluster, now, limit).await?;
        match self.mutation {
            M::DueIsReversed => due.reverse(),
            M::DueIsStale => self.notes().due = Some(due.clone()),
            _ => {}
        }
        Ok(due)
    }

    async fn next_due(&self, cluster: &ClusterName) -> Result<Option<Timestamp>, StoreError> {
        if self.is(M::NextDueKnowsPoliciesAlone) {
            let first = self.inner.due_policies(cluster, Timestamp::MAX, 1).await?;
            return Ok(first.first().and_then(|state| state.due_at));
        }
        self.inner.next_due(cluster).await
    }

    async fn claim(&self, name: &LeaseName, holder: &HolderId, ttl: Duration) -> Result<Claim, StoreError> {
        let newest = self.notes().grants.last().cloned();
        if let (M::RenewalsAddNothing, Some((own, lease))) = (self.mutation, newest)
            && own == *holder
        {
            return Ok(Claim::Granted(lease));
        }
        let asked = if self.is(M::LeasesNeverRunOut) { ttl * 1_000 } else { ttl };
        let mut fence = match self.inner.claim(&self.lease_name(name), holder, asked).await? {
            Claim::Granted(lease) => lease.fence,
            Claim::Held { .. } if self.is(M::LeasesAreShared) => {
                Fence { name: name.clone(), generation: Generation(1) }
            }
            held @ Claim::Held { .. } => return Ok(held),
        };
        fence.name = name.clone();
        let mut notes = self.notes();
        if let (M::GenerationsStay, Some((_, first))) = (self.mutation, notes.grants.first()) {
            fence.generation = first.fence.generation;
        }
        let lease = Lease { fence, valid_for: ttl };
        notes.grants.push((holder.clone(), lease.clone()));
        Ok(Claim::Granted(lease))
    }

    async fn release(&self, fence: &Fence) -> Result<(), StoreError> {
        let mut fence = Fence { name: self.lease_name(&fence.name), ..fence.clone() };
        match self.mutation {
            M::ReleasesDoNothing => return Ok(()),
            M::ReleasesIgnoreGeneration => {
                fence.generation = self.notes().newest_generation(&fence.name).unwrap_or(fence.generation);
            }
            _ => {}
        }
        self.inner.release(&fence).await
    }

    async fn report_progress(&self, reports: Vec<ProgressReport>) -> Result<(), StoreError> {
        let mut news = Vec::new();
        for report in reports {
            let known = self.inner.progress(&[report.operation]).await?;
            if !self.is(M::FirstProgressWins) || known.is_empty() {
                news.push(report);
            }
        }
        self.inner.report_progress(news).await
    }

    async fn progress(
        &self,
        operations: &[OperationId],
    ) -> Result<HashMap<OperationId, ProgressReport>, StoreError> {
        if self.is(M::PruningForgetsProgress) && self.pruned.load(Ordering::Relaxed) {
            return Ok(HashMap::new());
        }
        self.inner.progress(operations).await
    }

    async fn seal(&self, fence: &Fence, limit: usize) -> Result<Sealed, StoreError> {
        let limit = if self.is(M::SealsIgnoreLimit) { usize::MAX } else { limit };
        let sealed = self.inner.seal(fence, limit).await;
        match sealed {
            Ok(sealed) if self.is(M::SealsCutChangesets) => {
                let mut notes = self.notes();
                let count = usize::try_from(sealed.head.0 - notes.sealed.0).unwrap_or(limit).min(limit);
                notes.sealed.0 += count as u64;
                Ok(Sealed { count, head: notes.sealed })
            }
            Err(StoreError::Conflict(_)) if self.is(M::SealsIgnoreLease) => {
                Ok(Sealed { count: 0, head: Position::START })
            }
            answer => answer,
        }
    }

    async fn events(
        &self,
        scope: &Scope,
        after: Position,
        limit: usize,
    ) -> Result<Vec<SealedEvent>, StoreError> {
        let scope = if self.is(M::LogCrossesTenants) { &Scope::Everyone } else { scope };
        let skips = self.is(M::ReadersSkip) && after != Position::START;
        let after = if skips { after.next() } else { after };
        let mut events = match self.inner.events(scope, after, limit).await {
            Err(StoreError::LogPruned(start)) if self.is(M::CutsAreSilent) => {
                self.inner.events(scope, start, limit).await?
            }
            Err(StoreError::LogEnds(_)) if self.is(M::EndsAreSilent) => Vec::new(),
            events => events?,
        };
        match self.mutation {
            M::DeletionsHaveNoEvent => events.retain(|sealed| sealed.event.after.is_some()),
            M::SealsCutChangesets => {
                let until = self.notes().sealed;
                events.retain(|sealed| sealed.position <= until);
            }
            M::PositionsHaveGaps => {
                for sealed in &mut events {
                    sealed.position = Position(sealed.position.0.saturating_mul(2));
                }
            }
            M::OneChainForAll => {
                let links = self.one_chain().await?;
                for sealed in &mut events {
                    sealed.hash = links.get(&sealed.position).copied().unwrap_or(sealed.hash);
                }
            }
            _ => {}
        }
        Ok(events)
    }

    async fn unsealed(&self, scope: &Scope, limit: usize) -> Result<Vec<Arc<Event>>, StoreError> {
        let scope = if self.is(M::TailCrossesTenants) { &Scope::Everyone } else { scope };
        let limit = if self.is(M::TailIgnoresLimit) { usize::MAX } else { limit };
        let mut tail = self.inner.unsealed(scope, limit).await?;
        if self.is(M::TailLacksTheNewest) {
            tail.pop();
        }
        Ok(tail)
    }

    async fn head(&self) -> Result<Position, StoreError> {
        if self.is(M::HeadStandsStill) {
            return Ok(Position::START);
        }
        self.inner.head().await
    }

    async fn log_start(&self) -> Result<LogStart, StoreError> {
        let cut = self.notes().cut.clone();
        match cut {
            Some(cut) if self.is(M::CutsGoBack) => Ok(cut),
            _ => self.inner.log_start().await,
        }
    }

    async fn cut_log(&self, start: LogStart) -> Result<(), StoreError> {
        if self.is(M::CutsDoNothing) {
            return Ok(());
        }
        self.notes().cut = Some(start.clone());
        match self.inner.cut_log(start).await {
            Err(StoreError::Malformed { .. }) if self.is(M::CutsTakeAll) => Ok(()),
            answer => answer,
        }
    }

    async fn readers(&self) -> Result<BTreeMap<String, Position>, StoreError> {
        if self.is(M::ReadersAreForgotten) {
            return Ok(BTreeMap::new());
        }
        self.inner.readers().await
    }

    async fn reader_position(&self, name: &str) -> Result<Position, StoreError> {
        self.inner.reader_position(name).await
    }

    async fn advance_reader(&self, step: ReaderStep) -> Result<(), StoreError> {
        self.mutated_step(step).await
    }

    async fn derived(&self, query: &DerivedQuery) -> Result<Derived, StoreError> {
        self.mutated_derived(query).await
    }

    async fn prune(&self, now: Timestamp) -> Result<(), StoreError> {
        self.pruned.store(true, Ordering::Relaxed);
        match self.mutation {
            M::PruningDoesNothing => Ok(()),
            M::PruningIsEarly => self.inner.prune(Timestamp::MAX).await,
            _ => self.inner.prune(now).await,
        }
    }

    async fn newest_event_at(&self) -> Result<Option<Timestamp>, StoreError> {
        if self.is(M::NewestEventIsSealed) {
            return Ok(self.everything().await?.last().map(|sealed| sealed.event.at));
        }
        self.inner.newest_event_at().await
    }

    async fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        if self.is(M::TenantsAreForgotten) {
            return Ok(Vec::new());
        }
        self.inner.tenants().await
    }

    fn hints(&self) -> BoxStream<'static, StoreHint> {
        let hints = self.inner.hints();
        match self.mutation {
            M::HintsAreLost => hints.take(1).chain(stream::pending()).boxed(),
            M::HintsNameNoCluster => {
                hints.filter(|hint| future::ready(!matches!(hint, StoreHint::Work(_)))).boxed()
            }
            M::HintsHaveOneListener if self.has_listener.swap(true, Ordering::Relaxed) => {
                hints.take(1).chain(stream::pending()).boxed()
            }
            _ => hints,
        }
    }
}
