//! Progress, and what is forgotten.

use std::collections::{BTreeMap, HashMap};

use aegis_core::{
    model::{OperationId, Progress, Timestamp},
    seams::{ProgressReport, StoreError},
};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Row, postgres::PgRow};

use crate::{
    error,
    statement::{Statement, instant},
    store::PostgresStore,
};

const NOTE: &str = "note progress";
const READ: &str = "read progress";
const PRUNE: &str = "forget what nobody needs any more";

/// How many rows one statement forgets, so that none takes long or holds much.
const BATCH: u64 = 10_000;

/// What is kept of a report.
type Document = (Timestamp, Progress, Option<String>);

pub(crate) fn note(reports: Vec<ProgressReport>) -> Result<Statement, StoreError> {
    // The last of each operation counts; in one order, so that two calls wait for each other at most.
    let newest: BTreeMap<_, _> = reports.into_iter().map(|report| (report.operation, report)).collect();
    let operations: Vec<_> = newest.keys().map(|operation| operation.as_uuid()).collect();
    let document = |report: ProgressReport| -> Result<String, StoreError> {
        let document: Document = (report.observed_at, report.progress, report.state);
        serde_json::to_string(&document).map_err(|error| error::fault(NOTE, error))
    };
    let documents = newest.into_values().map(document).collect::<Result<Vec<_>, _>>()?;
    Ok(Statement::new(
        "insert into progress (operation, noted_at, document) \
         select n.operation, store_now(), n.document::json \
         from unnest($1::uuid[], $2::text[]) as n (operation, document) \
         on conflict (operation) do update set noted_at = excluded.noted_at, document = excluded.document",
    )
    .with(operations)
    .with(documents))
}

pub(crate) fn noted(operations: &[OperationId]) -> Statement {
    let operations: Vec<_> = operations.iter().map(|operation| operation.as_uuid()).collect();
    Statement::new("select operation, document::text as document from progress where operation = any($1)")
        .with(operations)
}

/// The database's time. Ages are counted from one reading of it: what is asked anew for each row finds
/// no index.
pub(crate) fn store_now() -> Statement {
    Statement::new("select store_now() as now")
}

/// What is forgotten, a batch at a time: each statement is repeated until it finds less than one.
pub(crate) fn prunings(now: Timestamp, store_now: DateTime<Utc>) -> [Statement; 5] {
    let oldest = |table, key, condition| {
        Statement::new(format!(
            "delete from {table} where {key} in (select {key} from {table} where {condition} \
             limit {BATCH} for update skip locked)"
        ))
    };
    [
        oldest("reservation", "key", "due_at <= $1").with(instant(now)),
        oldest("changeset", "id", "applied_at < $1").with(store_now - TimeDelta::days(1)),
        oldest("progress", "operation", "noted_at < $1").with(store_now - TimeDelta::days(7)),
        oldest("tally", "ctid", "count = 0 and stored = 0"),
        oldest("event", "position", "position <= (select position from log_start) order by position"),
    ]
}

impl PostgresStore {
    pub(crate) async fn note_progress(&self, reports: Vec<ProgressReport>) -> Result<(), StoreError> {
        if reports.is_empty() {
            return Ok(());
        }
        let noted = self.acquire(NOTE).await?.execute(&note(reports)?).await;
        // Nothing rests on progress: what may have been noted is as good as what was not.
        noted.map(drop).map_err(|error| error::read(NOTE, error))
    }

    pub(crate) async fn read_progress(
        &self,
        operations: &[OperationId],
    ) -> Result<HashMap<OperationId, ProgressReport>, StoreError> {
        let report = |row: &PgRow| {
            let read = |error| error::read(READ, error);
            let operation = OperationId::from_uuid(row.try_get("operation").map_err(read)?);
            let document: &str = row.try_get("document").map_err(read)?;
            let (observed_at, progress, state): Document =
                serde_json::from_str(document).map_err(|error| error::fault(READ, error))?;
            Ok((operation, ProgressReport { operation, observed_at, progress, state }))
        };
        self.rows(READ, &noted(operations)).await?.iter().map(report).collect()
    }

    pub(crate) async fn prune_all(&self, now: Timestamp) -> Result<(), StoreError> {
        let rows = self.rows(PRUNE, &store_now()).await?;
        let Some(row) = rows.first() else { return Ok(()) };
        let store_now = row.try_get("now").map_err(|error| error::read(PRUNE, error))?;
        for statement in prunings(now, store_now) {
            loop {
                let done = self.acquire(PRUNE).await?.execute(&statement).await;
                let done = done.map_err(|error| error::write(PRUNE, error))?;
                if done.rows_affected() < BATCH {
                    break;
                }
            }
        }
        Ok(())
    }
}
