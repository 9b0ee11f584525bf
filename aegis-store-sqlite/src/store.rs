//! The store itself: each call of the seam, given to a reader or to the writer.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    path::Path,
    sync::Arc,
    time::Duration,
};

use aegis_core::{
    model::{
        BackupJob, BackupRecord, ClusterName, DrTest, Entity, EntityKey, Event, OperationId, Policy,
        PolicyState, Position, RecoveryExecution, RecoveryPlan, RetentionRun, SealedEvent, Slot, Stored,
        TenantId, Timestamp, Verification, Version, Versioned,
    },
    seams::{
        Changeset, Claim, Clock, Column, Committed, Derived, DerivedQuery, DrTestQuery, ExecutionQuery,
        Fence, HintBoard, HolderId, JobQuery, LeaseName, LogStart, Page, PlanQuery, PolicyQuery,
        PolicyStateQuery, ProgressReport, ReaderStep, RecordQuery, RecordTotals, RetentionRunQuery, Scope,
        Sealed, SlotQuery, Store, StoreError, StoreHint, VerificationQuery, Window,
    },
};
use async_trait::async_trait;
use futures::stream::BoxStream;
use sqlx::{Row, SqlitePool, pool::PoolConnection};
use tokio::sync::Mutex;

use crate::{
    OpenError, SqliteOptions, backup,
    error::{Fault, closed},
    lease,
    log::{self, Batch},
    open, query,
    query::Select,
    reader, restore, rows,
    sql::Sql,
    upkeep,
    writer::Writer,
};

/// A store in one SQLite file.
///
/// Everything that was acknowledged is on the disk, and there whole after a crash of the process or
/// the machine. One process at a time has the file open. Cheap to share behind an `Arc`; what is
/// asked for when the last handle goes is still done, and [`close`](Self::close) waits for that.
pub struct SqliteStore {
    file: Arc<Path>,
    writer: Writer,
    readers: SqlitePool,
    /// Held from reading unsealed events to moving them, so that few are linked in vain.
    sealing: Mutex<()>,
    /// Another process never has the file open: who waits is in this one.
    hints: HintBoard,
}

impl SqliteStore {
    /// Opens the file, making it if it is not there, and brings its schema up to date. Leases and
    /// ages are judged by `clock`, and go on over restarts. Needs a tokio runtime, on which the
    /// writer runs from then on.
    ///
    /// # Errors
    /// [`OpenError`], which says what to do; nothing was changed.
    pub async fn open(options: SqliteOptions, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        open::open(options, clock).await
    }

    pub(crate) fn new(file: Arc<Path>, writer: Writer, readers: SqlitePool) -> Self {
        Self { file, writer, readers, sealing: Mutex::default(), hints: HintBoard::default() }
    }

    /// Does what waits, then lets go of the file. Whatever is asked for from then on is `Unavailable`.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Writes a copy of the whole store to `target`, while it is in use: everything that was
    /// committed when it began, and nothing of what comes later. The copy is a store by itself, to be
    /// opened or to be put in this file's place with [`restore`](Self::restore). It appears whole or not at all and replaces nothing.
    ///
    /// # Errors
    /// `InvalidInput` if `target` exists or is not UTF-8, `Unavailable`, `Internal` if the file is damaged.
    pub async fn backup(&self, target: &Path) -> Result<(), StoreError> {
        let mut reader = self.reader("back up its file").await?;
        backup::backup(&mut reader, &self.file, target).await
    }

    /// Puts a copy of `backup` in the place of `file`, which nobody may have open and which need not be
    /// there: what was in it is gone then, all of it, as is what lies beside it. The backup is checked
    /// whole first, and stays. A crash leaves the old file, without its newest commits at the worst, or the
    /// new one: then restore again.
    ///
    /// Positions of the event log that came after the backup are given again, to other events: whoever
    /// follows it from one of them, as listeners do, begins anew.
    ///
    /// # Errors
    /// [`OpenError`], of the backup or of the file, which it names.
    pub async fn restore(backup: &Path, file: &Path) -> Result<(), OpenError> {
        restore::restore(backup, file).await
    }

    /// Reads the whole file, looking for damage: about a second for each 200 MiB, beside commits.
    ///
    /// # Errors
    /// [`OpenError::Damaged`], [`OpenError::Store`].
    pub async fn check(&self) -> Result<(), OpenError> {
        let mut reader = self.reader("check its file").await.map_err(OpenError::Store)?;
        open::check(&mut reader, "pragma integrity_check(1)", &self.file).await
    }

    async fn reader(&self, action: &'static str) -> Result<PoolConnection<sqlx::Sqlite>, StoreError> {
        match self.readers.acquire().await {
            Ok(reader) => Ok(reader),
            Err(sqlx::Error::PoolClosed) => Err(closed(action, &self.file)),
            Err(error) => Err(Fault::from(error).answer(action, &self.file)),
        }
    }

    /// Reads something, with what it is called for when it fails.
    async fn read<T>(
        &self,
        action: &'static str,
        read: impl AsyncFnOnce(&mut sqlx::SqliteConnection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let mut reader = self.reader(action).await?;
        read(&mut reader).await.map_err(|fault| fault.answer(action, &self.file))
    }

    async fn page<T: Stored>(
        &self,
        action: &'static str,
        select: Select<'_>,
        window: &Window,
    ) -> Result<Page<T>, StoreError> {
        let mut reader = self.reader(action).await?;
        let page = query::page(&mut reader, select, window).await;
        page.map_err(|fault| fault.answer(action, &self.file))
    }

    /// All entities that a statement finds.
    async fn all<T: Stored>(
        &self,
        action: &'static str,
        sql: Sql<'_>,
    ) -> Result<Vec<Versioned<T>>, StoreError> {
        let mut reader = self.reader(action).await?;
        let found = sql.query().fetch_all(&mut *reader).await.map_err(Fault::from);
        let found = found.and_then(|found| found.iter().map(rows::versioned).collect());
        found.map_err(|fault| fault.answer(action, &self.file))
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("file", &self.file).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn commit(&self, changeset: Changeset) -> Result<Committed, StoreError> {
        let hints = StoreHint::of_commit(&changeset);
        let committed = self.writer.commit(changeset).await?;
        self.hints.post(hints);
        Ok(committed)
    }

    async fn get(&self, scope: &Scope, key: &EntityKey) -> Result<Option<(Version, Entity)>, StoreError> {
        let kind = key.kind();
        let mut sql = Sql::new(format!("select version, document from {kind} where true"));
        for (column, value) in kind.key_columns().iter().zip(rows::key_values(key)) {
            sql.push(" and ").push(column.name()).push(" = ").bind(value);
        }
        if let (Scope::Tenant(tenant), true) = (scope, kind.columns().contains(&Column::Tenant)) {
            sql.push(" and tenant = ").bind(tenant.as_str());
        }
        let action = "read an entity";
        let mut reader = self.reader(action).await?;
        let found = sql.query().fetch_optional(&mut *reader).await.map_err(Fault::from);
        let found = found.and_then(|row| row.map(|row| rows::entity(kind, &row)).transpose());
        found.map_err(|fault| fault.answer(action, &self.file))
    }

    async fn jobs(&self, query: &JobQuery) -> Result<Page<BackupJob>, StoreError> {
        self.page("list jobs", query::jobs(query), &query.window).await
    }

    async fn records(&self, query: &RecordQuery) -> Result<Page<BackupRecord>, StoreError> {
        self.page("list records", query::records(query), &query.window).await
    }

    async fn record_totals(&self, query: &RecordQuery) -> Result<RecordTotals, StoreError> {
        self.read("count records", async |reader| query::record_totals(reader, query).await).await
    }

    async fn plans(&self, query: &PlanQuery) -> Result<Page<RecoveryPlan>, StoreError> {
        self.page("list plans", query::plans(query), &query.window).await
    }

    async fn executions(&self, query: &ExecutionQuery) -> Result<Page<RecoveryExecution>, StoreError> {
        self.page("list executions", query::executions(query), &query.window).await
    }

    async fn policies(&self, query: &PolicyQuery) -> Result<Page<Policy>, StoreError> {
        self.page("list policies", query::policies(query), &query.window).await
    }

    async fn slots(&self, query: &SlotQuery) -> Result<Page<Slot>, StoreError> {
        self.page("list slots", query::slots(query), &query.window).await
    }

    async fn verifications(&self, query: &VerificationQuery) -> Result<Page<Verification>, StoreError> {
        self.page("list verifications", query::verifications(query), &query.window).await
    }

    async fn dr_tests(&self, query: &DrTestQuery) -> Result<Page<DrTest>, StoreError> {
        self.page("list DR tests", query::dr_tests(query), &query.window).await
    }

    async fn retention_runs(&self, query: &RetentionRunQuery) -> Result<Page<RetentionRun>, StoreError> {
        self.page("list retention runs", query::retention_runs(query), &query.window).await
    }

    async fn policy_states(
        &self,
        query: &PolicyStateQuery,
    ) -> Result<Vec<Versioned<PolicyState>>, StoreError> {
        self.all("read the states of policies", query::policy_states(query)).await
    }

    async fn due_policies(
        &self,
        cluster: &ClusterName,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Versioned<PolicyState>>, StoreError> {
        self.all("list what is due", query::due_policies(cluster, now, limit)).await
    }

    async fn next_due(&self, cluster: &ClusterName) -> Result<Option<Timestamp>, StoreError> {
        self.read("ask what is due next", async |reader| {
            let row = query::next_due(cluster).query().fetch_one(reader).await?;
            Ok(row.try_get::<Option<i64>, _>(0)?.map(Timestamp::from_micros))
        })
        .await
    }

    async fn claim(&self, name: &LeaseName, holder: &HolderId, ttl: Duration) -> Result<Claim, StoreError> {
        let (name, holder) = (name.clone(), holder.clone());
        self.writer
            .change("claim a lease", move |connection, now| {
                Box::pin(async move { lease::claim(connection, &name, &holder, ttl, now).await })
            })
            .await
    }

    async fn release(&self, fence: &Fence) -> Result<(), StoreError> {
        let hint = StoreHint::of_release(&fence.name);
        let fence = fence.clone();
        self.writer
            .change("give a lease back", move |connection, now| {
                Box::pin(async move { lease::release(connection, &fence, now).await })
            })
            .await?;
        self.hints.post(hint);
        Ok(())
    }

    async fn report_progress(&self, reports: Vec<ProgressReport>) -> Result<(), StoreError> {
        self.writer
            .change("note progress", move |connection, now| {
                Box::pin(async move { upkeep::note(connection, &reports, now).await })
            })
            .await
    }

    async fn progress(
        &self,
        operations: &[OperationId],
    ) -> Result<HashMap<OperationId, ProgressReport>, StoreError> {
        self.read("read progress", async |reader| upkeep::noted(reader, operations).await).await
    }

    async fn seal(&self, fence: &Fence, limit: usize) -> Result<Sealed, StoreError> {
        let action = "seal events";
        let _sealing = self.sealing.lock().await;
        loop {
            let batch = self.read(action, async |reader| Batch::read(reader, limit).await).await?;
            let fence = fence.clone();
            // Else a call that was given up has sealed meanwhile.
            if let Some(sealed) = self
                .writer
                .change(action, move |connection, now| {
                    Box::pin(async move { batch.append(connection, &fence, now).await })
                })
                .await?
            {
                self.hints.post(StoreHint::of_sealing(sealed));
                return Ok(sealed);
            }
        }
    }

    async fn events(
        &self,
        scope: &Scope,
        after: Position,
        limit: usize,
    ) -> Result<Vec<SealedEvent>, StoreError> {
        self.read("read the event log", async |reader| log::read(reader, scope, after, limit).await).await
    }

    async fn unsealed(&self, scope: &Scope, limit: usize) -> Result<Vec<Arc<Event>>, StoreError> {
        self.read("read the tail of the log", async |reader| log::unsealed(reader, scope, limit).await).await
    }

    async fn head(&self) -> Result<Position, StoreError> {
        self.read("ask where the log ends", async |reader| log::head(reader).await).await
    }

    async fn log_start(&self) -> Result<LogStart, StoreError> {
        self.read("ask where the log starts", async |reader| log::start(reader).await).await
    }

    async fn cut_log(&self, start: LogStart) -> Result<(), StoreError> {
        self.writer
            .change("let the log's beginning go", move |connection, _| Box::pin(log::cut(connection, start)))
            .await
    }

    async fn readers(&self) -> Result<BTreeMap<String, Position>, StoreError> {
        self.read("ask where the readers are", async |reader| reader::positions(reader).await).await
    }

    async fn reader_position(&self, name: &str) -> Result<Position, StoreError> {
        self.read("ask where a reader is", async |reader| reader::position(reader, name).await).await
    }

    async fn advance_reader(&self, step: ReaderStep) -> Result<(), StoreError> {
        self.writer
            .change("move a reader on", move |connection, _| Box::pin(reader::advance(connection, step)))
            .await
    }

    async fn derived(&self, query: &DerivedQuery) -> Result<Derived, StoreError> {
        self.read("read what a reader keeps", async |reader| reader::derived(reader, query).await).await
    }

    async fn prune(&self, now: Timestamp) -> Result<(), StoreError> {
        while self
            .writer
            .change("prune", move |connection, reading| Box::pin(upkeep::prune(connection, now, reading)))
            .await?
        {}
        Ok(())
    }

    async fn newest_event_at(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read("ask for the newest event", async |reader| log::newest_at(reader).await).await
    }

    async fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        self.read("list tenants", async |reader| {
            let rows = query::tenants().query().fetch_all(reader).await?;
            let tenant = |row: &sqlx::sqlite::SqliteRow| {
                let name: String = row.try_get(0)?;
                TenantId::try_from(name)
                    .map_err(|error| Fault::Unsound(format!("a tenant that is none: {error}")))
            };
            rows.iter().map(tenant).collect()
        })
        .await
    }

    fn hints(&self) -> BoxStream<'static, StoreHint> {
        self.hints.listen([StoreHint::Everything])
    }
}
