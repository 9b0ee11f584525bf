//! A store that fails to order.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use futures::stream::BoxStream;

use super::{
    call::{Answers, Faulty, ask, cause, change},
    plan::{FaultPlan, FaultPoint},
};
use crate::{
    model::{
        BackupJob, BackupRecord, ClusterName, DrTest, Entity, EntityKey, Event, OperationId, Policy,
        PolicyState, Position, RecoveryExecution, RecoveryPlan, RetentionRun, SealedEvent, Slot, TenantId,
        Timestamp, Verification, Version, Versioned,
    },
    seams::{
        Changeset, Claim, Committed, Derived, DerivedQuery, DrTestQuery, ExecutionQuery, Fence, HolderId,
        JobQuery, LeaseName, LogStart, Page, PlanQuery, PolicyQuery, PolicyStateQuery, ProgressReport,
        ReaderStep, RecordQuery, RecordTotals, RetentionRunQuery, Scope, Sealed, SlotQuery, Store,
        StoreError, StoreHint, VerificationQuery,
    },
};

/// Another store, whose calls go wrong as a [`FaultPlan`] says.
#[derive(Debug)]
pub struct FaultyStore<S: ?Sized> {
    plan: FaultPlan,
    answers: Answers,
    inner: Arc<S>,
}

impl<S: Store + ?Sized> FaultyStore<S> {
    /// Makes the calls to `inner` go wrong.
    #[must_use]
    pub fn new(inner: Arc<S>, plan: FaultPlan) -> Self {
        Self { plan, answers: Answers::default(), inner }
    }
}

impl<S: Store + ?Sized> Faulty for FaultyStore<S> {
    type Error = StoreError;

    fn plan(&self) -> &FaultPlan {
        &self.plan
    }

    fn answers(&self) -> &Answers {
        &self.answers
    }

    fn unavailable(&self, point: FaultPoint, why: &'static str) -> StoreError {
        StoreError::Unavailable { action: point.as_str(), source: cause(why) }
    }

    fn indeterminate(&self, point: FaultPoint) -> StoreError {
        StoreError::Indeterminate { action: point.as_str(), source: cause("a fault was injected") }
    }
}

/// The reads that take a query and answer a page.
macro_rules! queries {
    ($wrapper:ident, $method:ident, $query:ident) => {{
        let question = || format!(concat!(stringify!($method), " {:?}"), $query);
        ask($wrapper, FaultPoint::StoreRead, question, || $wrapper.inner.$method($query)).await
    }};
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: Store + ?Sized> Store for FaultyStore<S> {
    async fn commit(&self, changeset: Changeset) -> Result<Committed, StoreError> {
        change(self, FaultPoint::Commit, || self.inner.commit(changeset.clone())).await
    }

    async fn get(&self, scope: &Scope, key: &EntityKey) -> Result<Option<(Version, Entity)>, StoreError> {
        let question = || format!("get {scope:?} {key:?}");
        ask(self, FaultPoint::StoreRead, question, || self.inner.get(scope, key)).await
    }

    async fn jobs(&self, query: &JobQuery) -> Result<Page<BackupJob>, StoreError> {
        queries!(self, jobs, query)
    }

    async fn records(&self, query: &RecordQuery) -> Result<Page<BackupRecord>, StoreError> {
        queries!(self, records, query)
    }

    async fn record_totals(&self, query: &RecordQuery) -> Result<RecordTotals, StoreError> {
        queries!(self, record_totals, query)
    }

    async fn plans(&self, query: &PlanQuery) -> Result<Page<RecoveryPlan>, StoreError> {
        queries!(self, plans, query)
    }

    async fn executions(&self, query: &ExecutionQuery) -> Result<Page<RecoveryExecution>, StoreError> {
        queries!(self, executions, query)
    }

    async fn policies(&self, query: &PolicyQuery) -> Result<Page<Policy>, StoreError> {
        queries!(self, policies, query)
    }

    async fn slots(&self, query: &SlotQuery) -> Result<Page<Slot>, StoreError> {
        queries!(self, slots, query)
    }

    async fn verifications(&self, query: &VerificationQuery) -> Result<Page<Verification>, StoreError> {
        queries!(self, verifications, query)
    }

    async fn dr_tests(&self, query: &DrTestQuery) -> Result<Page<DrTest>, StoreError> {
        queries!(self, dr_tests, query)
    }

    async fn retention_runs(&self, query: &RetentionRunQuery) -> Result<Page<RetentionRun>, StoreError> {
        queries!(self, retention_runs, query)
    }

    async fn policy_states(
        &self,
        query: &PolicyStateQuery,
    ) -> Result<Vec<Versioned<PolicyState>>, StoreError> {
        queries!(self, policy_states, query)
    }

    async fn due_policies(
        &self,
        cluster: &ClusterName,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Versioned<PolicyState>>, StoreError> {
        let question = || format!("due_policies {cluster} {limit}");
        ask(self, FaultPoint::StoreRead, question, || self.inner.due_policies(cluster, now, limit)).await
    }

    async fn next_due(&self, cluster: &ClusterName) -> Result<Option<Timestamp>, StoreError> {
        let question = || format!("next_due {cluster}");
        ask(self, FaultPoint::StoreRead, question, || self.inner.next_due(cluster)).await
    }

    async fn claim(&self, name: &LeaseName, holder: &HolderId, ttl: Duration) -> Result<Claim, StoreError> {
        change(self, FaultPoint::Claim, || self.inner.claim(name, holder, ttl)).await
    }

    async fn release(&self, fence: &Fence) -> Result<(), StoreError> {
        change(self, FaultPoint::Release, || self.inner.release(fence)).await
    }

    async fn report_progress(&self, reports: Vec<ProgressReport>) -> Result<(), StoreError> {
        change(self, FaultPoint::Progress, || self.inner.report_progress(reports.clone())).await
    }

    async fn progress(
        &self,
        operations: &[OperationId],
    ) -> Result<HashMap<OperationId, ProgressReport>, StoreError> {
        let question = || format!("progress {operations:?}");
        ask(self, FaultPoint::StoreRead, question, || self.inner.progress(operations)).await
    }

    async fn seal(&self, fence: &Fence, limit: usize) -> Result<Sealed, StoreError> {
        change(self, FaultPoint::Seal, || self.inner.seal(fence, limit)).await
    }

    async fn events(
        &self,
        scope: &Scope,
        after: Position,
        limit: usize,
    ) -> Result<Vec<SealedEvent>, StoreError> {
        let question = || format!("events {scope:?} {after} {limit}");
        ask(self, FaultPoint::StoreRead, question, || self.inner.events(scope, after, limit)).await
    }

    async fn unsealed(&self, scope: &Scope, limit: usize) -> Result<Vec<Arc<Event>>, StoreError> {
        let question = || format!("unsealed {scope:?} {limit}");
        ask(self, FaultPoint::StoreRead, question, || self.inner.unsealed(scope, limit)).await
    }

    async fn head(&self) -> Result<Position, StoreError> {
        let question = || "head".to_owned();
        ask(self, FaultPoint::StoreRead, question, || self.inner.head()).await
    }

    async fn log_start(&self) -> Result<LogStart, StoreError> {
        let question = || "log_start".to_owned();
        ask(self, FaultPoint::StoreRead, question, || self.inner.log_start()).await
    }

    async fn cut_log(&self, start: LogStart) -> Result<(), StoreError> {
        change(self, FaultPoint::CutLog, || self.inner.cut_log(start.clone())).await
    }

    async fn readers(&self) -> Result<BTreeMap<String, Position>, StoreError> {
        let question = || "readers".to_owned();
        ask(self, FaultPoint::StoreRead, question, || self.inner.readers()).await
    }

    async fn reader_position(&self, name: &str) -> Result<Position, StoreError> {
        let question = || format!("reader_position {name}");
        ask(self, FaultPoint::StoreRead, question, || self.inner.reader_position(name)).await
    }

    async fn advance_reader(&self, step: ReaderStep) -> Result<(), StoreError> {
        change(self, FaultPoint::AdvanceReader, || self.inner.advance_reader(step.clone())).await
    }

    async fn derived(&self, query: &DerivedQuery) -> Result<Derived, StoreError> {
        queries!(self, derived, query)
    }

    async fn prune(&self, now: Timestamp) -> Result<(), StoreError> {
        change(self, FaultPoint::Prune, || self.inner.prune(now)).await
    }

    async fn newest_event_at(&self) -> Result<Option<Timestamp>, StoreError> {
        let question = || "newest_event_at".to_owned();
        ask(self, FaultPoint::StoreRead, question, || self.inner.newest_event_at()).await
    }

    async fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        let question = || "tenants".to_owned();
        ask(self, FaultPoint::StoreRead, question, || self.inner.tenants()).await
    }

    fn hints(&self) -> BoxStream<'static, StoreHint> {
        self.inner.hints()
    }
}
