//! The store itself: a lock around the state, and the seam in front of it.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use aegis_core::{
    model::{
        BackupJob, BackupRecord, ClusterName, DrTest, Entity, EntityKey, Event, OperationId, Policy,
        PolicyState, Position, RecoveryExecution, RecoveryPlan, RetentionRun, SealedEvent, Slot, TenantId,
        Timestamp, Verification, Version, Versioned,
    },
    seams::{
        Changeset, Claim, Clock, Committed, Derived, DerivedQuery, DrTestQuery, ExecutionQuery, Fence,
        HintBoard, HolderId, JobQuery, LeaseName, LogStart, Page, PlanQuery, PolicyQuery, PolicyStateQuery,
        ProgressReport, ReaderStep, RecordQuery, RecordTotals, RetentionRunQuery, Scope, Sealed, SlotQuery,
        Store, StoreError, StoreHint, VerificationQuery,
    },
};
use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::state::State;

/// A store that lives as long as the process.
///
/// Exact in everything that [`Store`] promises, within one process. Leases and the age of what is
/// pruned are judged by the given clock's monotonic time. No call waits for anything but other
/// calls' short work, so none is ever `Unavailable` or `Indeterminate`.
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    /// Held while a batch is hashed, so that commits go on meanwhile.
    sealing: Mutex<()>,
    state: RwLock<State>,
    hints: HintBoard,
}

impl MemoryStore {
    /// An empty store whose leases run by `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, sealing: Mutex::default(), state: RwLock::default(), hints: HintBoard::default() }
    }

    // A panic can't leave half a change: a commit is checked before anything is touched, so what a
    // poisoned lock guards is sound.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("entities", &self.read().rows.len()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn commit(&self, changeset: Changeset) -> Result<Committed, StoreError> {
        let hints = StoreHint::of_commit(&changeset);
        let committed = {
            let mut state = self.write();
            // Read under the lock, so that readings are in the order of commits.
            let now = self.clock.monotonic();
            state.commit(changeset, now)?
        };
        self.hints.post(hints);
        Ok(committed)
    }

    async fn get(&self, scope: &Scope, key: &EntityKey) -> Result<Option<(Version, Entity)>, StoreError> {
        Ok(self.read().get(scope, key))
    }

    async fn jobs(&self, query: &JobQuery) -> Result<Page<BackupJob>, StoreError> {
        Ok(self.read().jobs(query))
    }

    async fn records(&self, query: &RecordQuery) -> Result<Page<BackupRecord>, StoreError> {
        Ok(self.read().records(query))
    }

    async fn record_totals(&self, query: &RecordQuery) -> Result<RecordTotals, StoreError> {
        Ok(self.read().record_totals(query))
    }

    async fn plans(&self, query: &PlanQuery) -> Result<Page<RecoveryPlan>, StoreError> {
        Ok(self.read().plans(query))
    }

    async fn executions(&self, query: &ExecutionQuery) -> Result<Page<RecoveryExecution>, StoreError> {
        Ok(self.read().executions(query))
    }

    async fn policies(&self, query: &PolicyQuery) -> Result<Page<Policy>, StoreError> {
        Ok(self.read().policies(query))
    }

    async fn slots(&self, query: &SlotQuery) -> Result<Page<Slot>, StoreError> {
        Ok(self.read().slots(query))
    }

    async fn verifications(&self, query: &VerificationQuery) -> Result<Page<Verification>, StoreError> {
        Ok(self.read().verifications(query))
    }

    async fn dr_tests(&self, query: &DrTestQuery) -> Result<Page<DrTest>, StoreError> {
        Ok(self.read().dr_tests(query))
    }

    async fn retention_runs(&self, query: &RetentionRunQuery) -> Result<Page<RetentionRun>, StoreError> {
        Ok(self.read().retention_runs(query))
    }

    async fn policy_states(
        &self,
        query: &PolicyStateQuery,
    ) -> Result<Vec<Versioned<PolicyState>>, StoreError> {
        Ok(self.read().policy_states(query))
    }

    async fn due_policies(
        &self,
        cluster: &ClusterName,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Versioned<PolicyState>>, StoreError> {
        Ok(self.read().due_policies(cluster, now, limit))
    }

    async fn next_due(&self, cluster: &ClusterName) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.read().next_due(cluster))
    }

    async fn claim(&self, name: &LeaseName, holder: &HolderId, ttl: Duration) -> Result<Claim, StoreError> {
        let mut state = self.write();
        let now = self.clock.monotonic();
        Ok(state.leases.claim(name, holder, ttl, now))
    }

    async fn release(&self, fence: &Fence) -> Result<(), StoreError> {
        self.write().leases.release(fence);
        self.hints.post(StoreHint::of_release(&fence.name));
        Ok(())
    }

    async fn report_progress(&self, reports: Vec<ProgressReport>) -> Result<(), StoreError> {
        let now = self.clock.monotonic();
        self.write().progress.note(reports, now);
        Ok(())
    }

    async fn progress(
        &self,
        operations: &[OperationId],
    ) -> Result<HashMap<OperationId, ProgressReport>, StoreError> {
        Ok(self.read().progress.of(operations))
    }

    async fn seal(&self, fence: &Fence, limit: usize) -> Result<Sealed, StoreError> {
        let _sealing = self.sealing.lock().unwrap_or_else(PoisonError::into_inner);
        let held =
            |state: &State| state.leases.check(fence, self.clock.monotonic()).map_err(StoreError::Conflict);
        let batch = {
            let state = self.read();
            held(&state)?;
            state.log.batch(limit)
        };
        let linked = batch.link()?;
        let sealed = {
            let mut state = self.write();
            held(&state)?;
            state.log.append(linked)
        };
        self.hints.post(StoreHint::of_sealing(sealed));
        Ok(sealed)
    }

    async fn events(
        &self,
        scope: &Scope,
        after: Position,
        limit: usize,
    ) -> Result<Vec<SealedEvent>, StoreError> {
        self.read().log.read(scope, after, limit)
    }

    async fn unsealed(&self, scope: &Scope, limit: usize) -> Result<Vec<Arc<Event>>, StoreError> {
        Ok(self.read().log.unsealed(scope, limit))
    }

    async fn head(&self) -> Result<Position, StoreError> {
        Ok(self.read().log.head())
    }

    async fn log_start(&self) -> Result<LogStart, StoreError> {
        Ok(self.read().log.start().clone())
    }

    async fn cut_log(&self, start: LogStart) -> Result<(), StoreError> {
        self.write().log.cut(start)
    }

    async fn readers(&self) -> Result<BTreeMap<String, Position>, StoreError> {
        Ok(self.read().readers.positions())
    }

    async fn reader_position(&self, name: &str) -> Result<Position, StoreError> {
        Ok(self.read().readers.position(name))
    }

    async fn advance_reader(&self, step: ReaderStep) -> Result<(), StoreError> {
        step.check()?;
        self.write().readers.advance(step).map_err(StoreError::Conflict)
    }

    async fn derived(&self, query: &DerivedQuery) -> Result<Derived, StoreError> {
        Ok(self.read().readers.derived(query))
    }

    async fn prune(&self, now: Timestamp) -> Result<(), StoreError> {
        let reading = self.clock.monotonic();
        self.write().prune(now, reading);
        Ok(())
    }

    async fn newest_event_at(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.read().log.newest_at())
    }

    async fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        Ok(self.read().index.owners())
    }

    fn hints(&self) -> BoxStream<'static, StoreHint> {
        self.hints.listen([StoreHint::Everything])
    }
}
