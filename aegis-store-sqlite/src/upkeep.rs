//! Progress, and what may be forgotten.

use std::{collections::HashMap, time::Duration};

use aegis_core::{
    model::{OperationId, Progress, Timestamp},
    seams::{Monotonic, ProgressReport},
};
use sqlx::{Row, SqliteConnection};

use crate::{
    clock::micros,
    error::Fault,
    sql::{Arg, Sql, runs},
};

/// How long a repetition of a changeset is known at the least.
const CHANGESETS_KEPT_FOR: Duration = Duration::from_secs(24 * 3600);
/// How long progress is kept at the least.
const PROGRESS_KEPT_FOR: Duration = Duration::from_secs(7 * 24 * 3600);
/// How many rows go in one transaction, so that commits wait for none that is long.
const AT_A_TIME: i64 = 1_000;

/// What is kept of a report beside its operation.
type Note = (Timestamp, Progress, Option<String>);

/// Notes how far operations have come; the last report of each wins.
pub(crate) async fn note(
    connection: &mut SqliteConnection,
    reports: &[ProgressReport],
    now: Monotonic,
) -> Result<(), Fault> {
    for report in reports {
        let note: Note = (report.observed_at, report.progress, report.state.clone());
        let document = serde_json::to_string(&note)
            .map_err(|error| Fault::Unsound(format!("progress can't be written down: {error}")))?;
        let mut sql = Sql::new("insert or replace into progress (operation, noted_at, document) values ");
        sql.row([Arg::Uuid(report.operation.as_uuid()), micros(now).into(), Arg::Text(document.into())]);
        sql.query().execute(&mut *connection).await?;
    }
    Ok(())
}

/// What was noted of these operations.
pub(crate) async fn noted(
    connection: &mut SqliteConnection,
    operations: &[OperationId],
) -> Result<HashMap<OperationId, ProgressReport>, Fault> {
    let mut noted = HashMap::new();
    for run in runs(operations) {
        let mut sql = Sql::new("select operation, document from progress where operation in ");
        sql.row(run.iter().map(|operation| Arg::Uuid(operation.as_uuid())));
        for row in sql.query().fetch_all(&mut *connection).await? {
            let operation = OperationId::from_uuid(row.try_get(0)?);
            let (observed_at, progress, state): Note = serde_json::from_str(row.try_get(1)?)
                .map_err(|error| Fault::Unsound(format!("progress does not read back: {error}")))?;
            noted.insert(operation, ProgressReport { operation, observed_at, progress, state });
        }
    }
    Ok(noted)
}

/// Forgets some of what nobody needs any more; whether there may be more.
pub(crate) async fn prune(
    connection: &mut SqliteConnection,
    at: Timestamp,
    now: Monotonic,
) -> Result<bool, Fault> {
    let before =
        |kept: Duration| micros(now).saturating_sub(i64::try_from(kept.as_micros()).unwrap_or(i64::MAX));
    let mut more = false;
    for (table, key, age, until) in [
        ("reservation", "key", "due_at", at.as_micros().saturating_add(1)),
        ("changeset", "id", "applied_at", before(CHANGESETS_KEPT_FOR)),
        ("progress", "operation", "noted_at", before(PROGRESS_KEPT_FOR)),
    ] {
        let text = format!("delete from {table} where {key} in (select {key} from {table} where {age} < ");
        let mut sql = Sql::new(text);
        sql.bind(until).push(" limit ").bind(AT_A_TIME).push(")");
        let gone = sql.query().execute(&mut *connection).await?.rows_affected();
        more |= i64::try_from(gone).is_ok_and(|gone| gone >= AT_A_TIME);
    }
    let mut events = Sql::new(
        "delete from event where position in \
         (select position from event where position <= (select position from log_start) limit ",
    );
    events.bind(AT_A_TIME).push(")");
    let gone = events.query().execute(&mut *connection).await?.rows_affected();
    more |= i64::try_from(gone).is_ok_and(|gone| gone >= AT_A_TIME);
    // Of a stretch of time from which everything went on to another state.
    let empty = Sql::new("delete from tally where count = 0 and stored_low = -stored_high * 4294967296");
    empty.query().execute(connection).await?;
    Ok(more)
}
