//! A store whose event log somebody changes behind its back.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::{
    model::{
        BackupJob, BackupRecord, ChainHash, ClusterName, DrTest, Entity, EntityKey, Event, OperationId,
        Policy, PolicyState, Position, Principal, RecoveryExecution, RecoveryPlan, RetentionRun, SealedEvent,
        Slot, TenantId, Timestamp, Verification, Version, Versioned,
    },
    seams::{
        Changeset, Claim, Committed, Derived, DerivedQuery, DrTestQuery, ExecutionQuery, Fence, HolderId,
        JobQuery, LeaseName, LogStart, Page, PlanQuery, PolicyQuery, PolicyStateQuery, ProgressReport,
        ReaderStep, RecordQuery, RecordTotals, RetentionRunQuery, Scope, Sealed, SlotQuery, Store,
        StoreError, StoreHint, VerificationQuery,
    },
};

/// What somebody did to the rows of an event log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tampering {
    /// Another actor stands in the event at this position.
    Change(Position),
    /// The event at this position has another link.
    ChangeLink(Position),
    /// The event at this position is gone.
    Remove(Position),
    /// The events at these positions have changed places, each with its link.
    Swap(Position, Position),
    /// Another actor stands in the event at this position, and its chain is linked anew from there.
    Rewrite(Position),
    /// Everything after this position is gone.
    CutOff(Position),
    /// Everything up to this position was let go as an engine does it, with the right links, but not by
    /// an engine: nothing in storage vouches for it.
    CutStart(Position),
    /// The log starts at this position with the right events, and the link of one of its chains there is
    /// another.
    ForgeStart(Position),
}

/// Another store, whose event log is not what was written to it.
///
/// Sealing goes on in the other store: what was done to the log shows to those who read it here.
#[derive(Debug)]
pub struct TamperedStore {
    inner: Arc<dyn Store>,
    done: Mutex<Vec<Tampering>>,
}

impl TamperedStore {
    /// A store to which nothing was done yet.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, done: Mutex::default() }
    }

    /// Does something to its event log, after what was done before.
    pub fn tamper(&self, tampering: Tampering) {
        self.done.lock().unwrap_or_else(PoisonError::into_inner).push(tampering);
    }

    /// Every event that is left in the other store.
    async fn everything(&self) -> Result<Vec<SealedEvent>, StoreError> {
        let start = self.inner.log_start().await?.position;
        self.inner.events(&Scope::Everyone, start, usize::MAX).await
    }

    fn done(&self) -> Vec<Tampering> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn place(log: &[SealedEvent], position: Position) -> Option<usize> {
    log.iter().position(|sealed| sealed.position == position)
}

fn forged(event: &Event) -> Arc<Event> {
    let actor = Principal::new("somebody else").unwrap_or_else(|_| Principal::engine());
    Arc::new(Event { actor, ..event.clone() })
}

/// The log as it is after `tampering`.
fn after(mut log: Vec<SealedEvent>, tampering: Tampering) -> Vec<SealedEvent> {
    match tampering {
        Tampering::Change(position) => {
            if let Some(sealed) = place(&log, position).and_then(|n| log.get_mut(n)) {
                sealed.event = forged(&sealed.event);
            }
        }
        Tampering::ChangeLink(position) => {
            if let Some(sealed) = place(&log, position).and_then(|n| log.get_mut(n)) {
                sealed.hash = ChainHash::from_bytes([7; 32]);
            }
        }
        Tampering::Remove(position) => log.retain(|sealed| sealed.position != position),
        Tampering::Swap(one, other) => {
            if let (Some(n), Some(m)) = (place(&log, one), place(&log, other)) {
                log.swap(n, m);
                log[n].position = one;
                log[m].position = other;
            }
        }
        Tampering::Rewrite(position) => rewrite(&mut log, position),
        Tampering::CutOff(last) => log.retain(|sealed| sealed.position <= last),
        Tampering::CutStart(last) | Tampering::ForgeStart(last) => {
            log.retain(|sealed| sealed.position > last)
        }
    }
    log
}

fn rewrite(log: &mut [SealedEvent], position: Position) {
    let Some(first) = place(log, position) else { return };
    let tenant = log[first].event.tenant.clone();
    let mut head = ChainHash::GENESIS;
    for (n, sealed) in log.iter_mut().enumerate().filter(|(_, sealed)| sealed.event.tenant == tenant) {
        if n == first {
            sealed.event = forged(&sealed.event);
        }
        if n >= first {
            sealed.hash = head.link(&sealed.event, sealed.position).unwrap_or(sealed.hash);
        }
        head = sealed.hash;
    }
}

#[async_trait]
impl Store for TamperedStore {
    async fn events(
        &self,
        scope: &Scope,
        position: Position,
        limit: usize,
    ) -> Result<Vec<SealedEvent>, StoreError> {
        let done = self.done();
        if done.is_empty() {
            return self.inner.events(scope, position, limit).await;
        }
        let start = self.log_start().await?.position;
        if position < start {
            return Err(StoreError::LogPruned(start));
        }
        let all = self.everything().await?;
        let log = done.into_iter().fold(all, after).into_iter();
        let read = log.filter(|sealed| {
            sealed.position > position
                && match scope {
                    Scope::Everyone => true,
                    Scope::Tenant(tenant) => sealed.event.tenant.as_ref() == Some(tenant),
                }
        });
        Ok(read.take(limit).collect())
    }

    async fn commit(&self, changeset: Changeset) -> Result<Committed, StoreError> {
        self.inner.commit(changeset).await
    }

    async fn get(&self, scope: &Scope, key: &EntityKey) -> Result<Option<(Version, Entity)>, StoreError> {
        self.inner.get(scope, key).await
    }

    async fn jobs(&self, query: &JobQuery) -> Result<Page<BackupJob>, StoreError> {
        self.inner.jobs(query).await
    }

    async fn records(&self, query: &RecordQuery) -> Result<Page<BackupRecord>, StoreError> {
        self.inner.records(query).await
    }

    async fn record_totals(&self, query: &RecordQuery) -> Result<RecordTotals, StoreError> {
        self.inner.record_totals(query).await
    }

    async fn plans(&self, query: &PlanQuery) -> Result<Page<RecoveryPlan>, StoreError> {
        self.inner.plans(query).await
    }

    async fn executions(&self, query: &ExecutionQuery) -> Result<Page<RecoveryExecution>, StoreError> {
        self.inner.executions(query).await
    }

    async fn policies(&self, query: &PolicyQuery) -> Result<Page<Policy>, StoreError> {
        self.inner.policies(query).await
    }

    async fn slots(&self, query: &SlotQuery) -> Result<Page<Slot>, StoreError> {
        self.inner.slots(query).await
    }

    async fn verifications(&self, query: &VerificationQuery) -> Result<Page<Verification>, StoreError> {
        self.inner.verifications(query).await
    }

    async fn dr_tests(&self, query: &DrTestQuery) -> Result<Page<DrTest>, StoreError> {
        self.inner.dr_tests(query).await
    }

    async fn retention_runs(&self, query: &RetentionRunQuery) -> Result<Page<RetentionRun>, StoreError> {
        self.inner.retention_runs(query).await
    }

    async fn policy_states(
        &self,
        query: &PolicyStateQuery,
    ) -> Result<Vec<Versioned<PolicyState>>, StoreError> {
        self.inner.policy_states(query).await
    }

    async fn due_policies(
        &self,
        cluster: &ClusterName,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Versioned<PolicyState>>, StoreError> {
        self.inner.due_policies(cluster, now, limit).await
    }

    async fn next_due(&self, cluster: &ClusterName) -> Result<Option<Timestamp>, StoreError> {
        self.inner.next_due(cluster).await
    }

    async fn claim(&self, name: &LeaseName, holder: &HolderId, ttl: Duration) -> Result<Claim, StoreError> {
        self.inner.claim(name, holder, ttl).await
    }

    async fn release(&self, fence: &Fence) -> Result<(), StoreError> {
        self.inner.release(fence).await
    }

    async fn report_progress(&self, reports: Vec<ProgressReport>) -> Result<(), StoreError> {
        self.inner.report_progress(reports).await
    }

    async fn progress(
        &self,
        operations: &[OperationId],
    ) -> Result<HashMap<OperationId, ProgressReport>, StoreError> {
        self.inner.progress(operations).await
    }

    async fn seal(&self, fence: &Fence, limit: usize) -> Result<Sealed, StoreError> {
        self.inner.seal(fence, limit).await
    }

    async fn unsealed(&self, scope: &Scope, limit: usize) -> Result<Vec<Arc<Event>>, StoreError> {
        self.inner.unsealed(scope, limit).await
    }

    async fn head(&self) -> Result<Position, StoreError> {
        self.inner.head().await
    }

    async fn log_start(&self) -> Result<LogStart, StoreError> {
        let mut start = self.inner.log_start().await?;
        for did in self.done() {
            let (Tampering::CutStart(to) | Tampering::ForgeStart(to)) = did else { continue };
            for sealed in self.everything().await?.into_iter().filter(|sealed| sealed.position <= to) {
                start.log.get_or_insert(sealed.event.id.changeset);
                start.chains.insert(sealed.event.tenant.clone(), sealed.hash);
            }
            start.position = to;
            if let (Tampering::ForgeStart(_), Some(mut chain)) = (did, start.chains.first_entry()) {
                chain.insert(ChainHash::from_bytes([7; 32]));
            }
        }
        Ok(start)
    }

    async fn cut_log(&self, start: LogStart) -> Result<(), StoreError> {
        self.inner.cut_log(start).await
    }

    async fn readers(&self) -> Result<BTreeMap<String, Position>, StoreError> {
        self.inner.readers().await
    }

    async fn reader_position(&self, name: &str) -> Result<Position, StoreError> {
        self.inner.reader_position(name).await
    }

    async fn advance_reader(&self, step: ReaderStep) -> Result<(), StoreError> {
        self.inner.advance_reader(step).await
    }

    async fn derived(&self, query: &DerivedQuery) -> Result<Derived, StoreError> {
        self.inner.derived(query).await
    }

    async fn prune(&self, now: Timestamp) -> Result<(), StoreError> {
        self.inner.prune(now).await
    }

    async fn newest_event_at(&self) -> Result<Option<Timestamp>, StoreError> {
        self.inner.newest_event_at().await
    }

    async fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        self.inner.tenants().await
    }

    fn hints(&self) -> BoxStream<'static, StoreHint> {
        self.inner.hints()
    }
}
