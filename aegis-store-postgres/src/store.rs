//! The store itself: a pool of connections, and the seam in front of it.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
    time::Duration,
};

use aegis_core::{
    model::{
        BackupJob, BackupRecord, Bytes, ClusterName, DrTest, Entity, EntityKey, Event, OperationId, Policy,
        PolicyState, Position, RecoveryExecution, RecoveryPlan, RetentionRun, SealedEvent, Slot, TenantId,
        Timestamp, Verification, Version, Versioned,
    },
    seams::{
        Changeset, Claim, Committed, Derived, DerivedQuery, DrTestQuery, ExecutionQuery, Fence, HolderId,
        JobQuery, LeaseName, LogStart, Page, PlanQuery, PolicyQuery, PolicyStateQuery, ProgressReport,
        ReaderStep, RecordQuery, RecordTotals, RetentionRunQuery, Scope, Sealed, SlotQuery, Store,
        StoreError, StoreHint, VerificationQuery, Window,
    },
};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::stream::BoxStream;
use sqlx::Row;

use crate::{
    connection::Lent, error, hint::Hints, migrate, options::PostgresOptions, pool::Pool, query,
    statement::unsigned,
};

/// A store in a PostgreSQL database, shared by any number of processes.
///
/// A database that can't be reached is `Unavailable` after the options' time to wait; once it is
/// back, the store goes on. A connection on which nothing is heard for a little longer than the
/// statement timeout is lost. A commit whose connection is lost is sent again on another one, which
/// settles what became of it, and is `Indeterminate` only if that fails, too.
pub struct PostgresStore {
    pub(crate) pool: Pool,
    /// For leases and sealing, which slow reads must not hold up.
    reserved: Pool,
    pub(crate) options: PostgresOptions,
    pub(crate) hints: Arc<Hints>,
}

impl PostgresStore {
    /// Opens the database, and makes or brings up to date the store's tables. Processes that do so at
    /// once wait for each other. Of a database that is read-only, reads are answered.
    ///
    /// # Errors
    /// `Unavailable` if it can't be reached; `Internal` if it can't be used, as when a newer version
    /// of Aegis made its tables.
    pub async fn open(options: PostgresOptions) -> Result<Self, StoreError> {
        const ACTION: &str = "open the database";
        let (pool, reserved) = (options.pool(), options.reserved_pool());
        let mut connection = pool.acquire().await.map_err(|error| error::read(ACTION, error))?;
        migrate::run(connection.unbounded(), options.schema_name()).await?;
        let own: String = sqlx::query_scalar("select gen_random_uuid()::text")
            .fetch_one(connection.unbounded())
            .await
            .map_err(|error| error::read(ACTION, error))?;
        drop(connection);
        Ok(Self { pool, reserved, options, hints: Arc::new(Hints::new(own)) })
    }

    /// Closes every connection, those that are in use once their statement has ended; calls from then on
    /// are `Unavailable`.
    pub async fn close(&self) {
        self.pool.close().await;
        self.reserved.close().await;
    }

    pub(crate) async fn acquire(&self, action: &'static str) -> Result<Lent, StoreError> {
        self.pool.acquire().await.map_err(|error| error::read(action, error))
    }

    /// A connection that no read and no commit is given.
    pub(crate) async fn acquire_reserved(&self, action: &'static str) -> Result<Lent, StoreError> {
        self.reserved.acquire().await.map_err(|error| error::read(action, error))
    }

    /// A connection that lives, for what is tried again: when one was lost, others of the pool may have
    /// gone with it.
    pub(crate) async fn acquire_living(&self, action: &'static str) -> Result<Lent, StoreError> {
        for _ in 0..=self.options.most_connections() {
            if let Some(connection) = self.acquire(action).await?.living().await {
                return Ok(connection);
            }
        }
        Err(error::read(action, sqlx::Error::PoolTimedOut))
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("options", &self.options).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn commit(&self, changeset: Changeset) -> Result<Committed, StoreError> {
        let committed = self.commit_changeset(&changeset).await?;
        self.hint(StoreHint::of_commit(&changeset));
        Ok(committed)
    }

    async fn get(&self, scope: &Scope, key: &EntityKey) -> Result<Option<(Version, Entity)>, StoreError> {
        self.entity(scope, key).await
    }

    async fn jobs(&self, query: &JobQuery) -> Result<Page<BackupJob>, StoreError> {
        self.page("list jobs", &query.window, || query::jobs(query)).await
    }

    async fn records(&self, query: &RecordQuery) -> Result<Page<BackupRecord>, StoreError> {
        self.page("list records", &query.window, || query::records(query)).await
    }

    async fn record_totals(&self, query: &RecordQuery) -> Result<RecordTotals, StoreError> {
        const ACTION: &str = "count records";
        let rows = self.rows(ACTION, &query::record_totals(query)).await?;
        let Some(row) = rows.first() else { return Ok(RecordTotals::default()) };
        let read = |error| error::read(ACTION, error);
        Ok(RecordTotals {
            count: unsigned(ACTION, row.try_get("count").map_err(read)?)?,
            stored: Bytes(unsigned(ACTION, row.try_get("stored").map_err(read)?)?),
        })
    }

    async fn plans(&self, query: &PlanQuery) -> Result<Page<RecoveryPlan>, StoreError> {
        self.page("list recovery plans", &query.window, || query::plans(query)).await
    }

    async fn executions(&self, query: &ExecutionQuery) -> Result<Page<RecoveryExecution>, StoreError> {
        self.page("list recovery executions", &query.window, || query::executions(query)).await
    }

    async fn policies(&self, query: &PolicyQuery) -> Result<Page<Policy>, StoreError> {
        self.page("list policies", &query.window, || query::policies(query)).await
    }

    async fn slots(&self, query: &SlotQuery) -> Result<Page<Slot>, StoreError> {
        self.page("list slots", &query.window, || query::slots(query)).await
    }

    async fn verifications(&self, query: &VerificationQuery) -> Result<Page<Verification>, StoreError> {
        self.page("list verifications", &query.window, || query::verifications(query)).await
    }

    async fn dr_tests(&self, query: &DrTestQuery) -> Result<Page<DrTest>, StoreError> {
        self.page("list DR tests", &query.window, || query::dr_tests(query)).await
    }

    async fn retention_runs(&self, query: &RetentionRunQuery) -> Result<Page<RetentionRun>, StoreError> {
        self.page("list retention runs", &query.window, || query::retention_runs(query)).await
    }

    async fn policy_states(
        &self,
        query: &PolicyStateQuery,
    ) -> Result<Vec<Versioned<PolicyState>>, StoreError> {
        self.list("list the states of policies", query::policy_states(query)).await
    }

    async fn due_policies(
        &self,
        cluster: &ClusterName,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Versioned<PolicyState>>, StoreError> {
        self.list("list due policies", query::due_policies(cluster, now, limit)).await
    }

    async fn next_due(&self, cluster: &ClusterName) -> Result<Option<Timestamp>, StoreError> {
        const ACTION: &str = "find what falls due next";
        let rows = self.rows(ACTION, &query::next_due(cluster)).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let due: Option<DateTime<Utc>> = row.try_get("due_at").map_err(|error| error::read(ACTION, error))?;
        Ok(due.map(Timestamp::from))
    }

    async fn claim(&self, name: &LeaseName, holder: &HolderId, ttl: Duration) -> Result<Claim, StoreError> {
        self.claim_lease(name, holder, ttl).await
    }

    async fn release(&self, fence: &Fence) -> Result<(), StoreError> {
        self.release_lease(fence).await?;
        self.hint(StoreHint::of_release(&fence.name));
        Ok(())
    }

    async fn report_progress(&self, reports: Vec<ProgressReport>) -> Result<(), StoreError> {
        self.note_progress(reports).await
    }

    async fn progress(
        &self,
        operations: &[OperationId],
    ) -> Result<HashMap<OperationId, ProgressReport>, StoreError> {
        self.read_progress(operations).await
    }

    async fn seal(&self, fence: &Fence, limit: usize) -> Result<Sealed, StoreError> {
        let sealed = self.seal_batch(fence, limit).await?;
        self.hint(StoreHint::of_sealing(sealed));
        Ok(sealed)
    }

    async fn events(
        &self,
        scope: &Scope,
        after: Position,
        limit: usize,
    ) -> Result<Vec<SealedEvent>, StoreError> {
        self.read_events(scope, after, limit).await
    }

    async fn unsealed(&self, scope: &Scope, limit: usize) -> Result<Vec<Arc<Event>>, StoreError> {
        self.read_tail(scope, limit).await
    }

    async fn head(&self) -> Result<Position, StoreError> {
        self.log_head().await
    }

    async fn log_start(&self) -> Result<LogStart, StoreError> {
        self.read_start().await
    }

    async fn cut_log(&self, start: LogStart) -> Result<(), StoreError> {
        self.cut_until(&start).await
    }

    async fn readers(&self) -> Result<BTreeMap<String, Position>, StoreError> {
        self.positions().await
    }

    async fn reader_position(&self, name: &str) -> Result<Position, StoreError> {
        self.position_of(name).await
    }

    async fn advance_reader(&self, step: ReaderStep) -> Result<(), StoreError> {
        self.make_step(step).await
    }

    async fn derived(&self, query: &DerivedQuery) -> Result<Derived, StoreError> {
        self.read_derived(query).await
    }

    async fn prune(&self, now: Timestamp) -> Result<(), StoreError> {
        self.prune_all(now).await
    }

    async fn newest_event_at(&self) -> Result<Option<Timestamp>, StoreError> {
        self.newest_event().await
    }

    async fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        self.owners().await
    }

    fn hints(&self) -> BoxStream<'static, StoreHint> {
        self.listen()
    }
}

/// Whether a window asks for nothing at all.
pub(crate) const fn is_empty(window: &Window) -> bool {
    window.limit == 0 && !window.count
}
