//! The event log: unsealed events in commit order, sealed ones by position, a chain per tenant.
//!
//! Events are linked beside the writer, so that commits go on meanwhile; the writer then moves them
//! from the tail to the log, if the log still ends where it did.

use std::{collections::HashSet, sync::Arc};

use aegis_core::{
    model::{ChainHash, Event, Position, SealedEvent, TenantId, Timestamp},
    seams::{Fence, LogEnd, LogStart, Monotonic, Scope, Sealed, StoreError},
};
use futures::TryStreamExt;
use sqlx::{Connection, Row, SqliteConnection, sqlite::SqliteRow};

use crate::{
    commit::insert,
    error::Fault,
    lease,
    query::up_to,
    rows::{signed, unsigned},
    sql::{Arg, Sql, runs},
    tally,
};

/// Events to be sealed next, linked.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Where the log ended when they were read.
    after: Position,
    /// The last of them in the tail.
    until: i64,
    linked: Vec<SealedEvent>,
}

/// How a chain is called: that of a tenant by its name, that of what belongs to none by no name.
fn chain(tenant: Option<&TenantId>) -> &str {
    tenant.map_or("", TenantId::as_str)
}

impl Batch {
    /// Reads the oldest unsealed events, `limit` and what else belongs to the last one's changeset, and
    /// links them.
    pub(crate) async fn read(reader: &mut SqliteConnection, limit: usize) -> Result<Self, Fault> {
        let mut snapshot = reader.begin().await?;
        let (until, events) = oldest(&mut snapshot, limit).await?;
        let mut end = LogEnd { head: head(&mut snapshot).await?, ..LogEnd::default() };
        let tenants: HashSet<_> = events.iter().map(|event| event.tenant.clone()).collect();
        read_heads(&mut snapshot, tenants.into_iter().collect(), &mut end).await?;
        snapshot.rollback().await?;
        Ok(Self { after: end.head, until, linked: end.link(events)? })
    }

    /// Moves the events from the tail to the log, under the sealer's lease. `None` if the log went
    /// on since they were read.
    pub(crate) async fn append(
        self,
        connection: &mut SqliteConnection,
        fence: &Fence,
        now: Monotonic,
    ) -> Result<Option<Sealed>, Fault> {
        let grant = lease::newest(connection, &fence.name).await?;
        grant.check(fence, now).map_err(StoreError::Conflict)?;
        let found = head(connection).await?;
        let Some(last) = self.linked.last() else { return Ok(Some(Sealed { count: 0, head: found })) };
        if found != self.after {
            return Ok(None);
        }
        let rows: Vec<_> = self.linked.iter().map(sealed_row).collect::<Result<_, _>>()?;
        insert(connection, "insert into event (position, tenant, hash, document) values ", &rows, "").await?;
        let ends: std::collections::HashMap<_, _> =
            self.linked.iter().map(|sealed| (chain(sealed.event.tenant.as_ref()), sealed)).collect();
        let heads: Vec<_> = ends.into_iter().map(chain_row).collect::<Result<_, _>>()?;
        let replacing =
            " on conflict (tenant) do update set head = excluded.head, position = excluded.position";
        insert(connection, "insert into chain (tenant, head, position) values ", &heads, replacing).await?;
        let mut sql = Sql::new("delete from event_tail where seq <= ");
        sql.bind(self.until);
        sql.query().execute(&mut *connection).await?;
        // An event comes with a change of one entity, which counts once less and once more at the most: so
        // the tail of the tally gets no longer than that of the log.
        tally::fold(connection, self.linked.len().saturating_mul(4)).await?;
        Ok(Some(Sealed { count: self.linked.len(), head: last.position }))
    }
}

/// The oldest unsealed events, up to which place in the tail: `limit`, and the rest of a changeset.
async fn oldest(connection: &mut SqliteConnection, limit: usize) -> Result<(i64, Vec<Arc<Event>>), Fault> {
    let (mut until, mut events) = (0, Vec::<Arc<Event>>::new());
    let sql = Sql::new("select document, seq from event_tail order by seq");
    let mut rows = sql.query().fetch(connection);
    while let Some(row) = rows.try_next().await? {
        let event = event(&row)?;
        let is_whole = events.last().is_none_or(|last| last.id.changeset != event.id.changeset);
        if events.len() >= limit && is_whole {
            break;
        }
        until = row.try_get(1)?;
        events.push(event);
    }
    Ok((until, events))
}

fn sealed_row(sealed: &SealedEvent) -> Result<Vec<Arg<'_>>, Fault> {
    let document = serde_json::to_string(&*sealed.event).map_err(|error| {
        Fault::Unsound(format!("the event {} can't be written down: {error}", sealed.event.id))
    })?;
    Ok(vec![
        signed(sealed.position.0)?.into(),
        sealed.event.tenant.as_ref().map(TenantId::as_str).into(),
        Arg::Bytes(*sealed.hash.as_bytes()),
        Arg::Text(document.into()),
    ])
}

fn chain_row<'a>((name, sealed): (&'a str, &SealedEvent)) -> Result<Vec<Arg<'a>>, Fault> {
    Ok(vec![name.into(), Arg::Bytes(*sealed.hash.as_bytes()), signed(sealed.position.0)?.into()])
}

/// The newest position.
pub(crate) async fn head(connection: &mut SqliteConnection) -> Result<Position, Fault> {
    let row = Sql::new("select coalesce(max(position), 0) from event").query().fetch_one(connection).await?;
    Ok(Position(unsigned(row.try_get(0)?)?))
}

async fn read_heads(
    connection: &mut SqliteConnection,
    tenants: Vec<Option<TenantId>>,
    end: &mut LogEnd,
) -> Result<(), Fault> {
    for run in runs(&tenants) {
        let mut sql = Sql::new("select tenant, head from chain where tenant in ");
        sql.row(run.iter().map(|tenant| Arg::from(chain(tenant.as_ref()))));
        for row in sql.query().fetch_all(&mut *connection).await? {
            let name: &str = row.try_get(0)?;
            let tenant = run.iter().find(|tenant| chain(tenant.as_ref()) == name);
            if let Some(tenant) = tenant {
                end.chains.insert(tenant.clone(), hash(row.try_get(1)?)?);
            }
        }
    }
    Ok(())
}

fn hash(bytes: &[u8]) -> Result<ChainHash, Fault> {
    let bytes = bytes.try_into();
    bytes.map(ChainHash::from_bytes).map_err(|_| Fault::Unsound("a link that is no hash".to_owned()))
}

/// The event of a row that begins with its document.
fn event(row: &SqliteRow) -> Result<Arc<Event>, Fault> {
    serde_json::from_str(row.try_get(0)?)
        .map(Arc::new)
        .map_err(|error| Fault::Unsound(format!("an event does not read back: {error}")))
}

/// Where the log starts.
pub(crate) async fn start(connection: &mut SqliteConnection) -> Result<LogStart, Fault> {
    let row = Sql::new("select document from log_start").query().fetch_optional(connection).await?;
    let Some(row) = row else { return Ok(LogStart::default()) };
    serde_json::from_str(row.try_get(0)?)
        .map_err(|error| Fault::Unsound(format!("where the log starts does not read back: {error}")))
}

/// Lets everything before `start` go, if any of it is there yet.
pub(crate) async fn cut(connection: &mut SqliteConnection, start: LogStart) -> Result<(), Fault> {
    start.check(head(connection).await?)?;
    let document = serde_json::to_string(&start)
        .map_err(|error| Fault::Unsound(format!("where the log starts can't be written down: {error}")))?;
    let mut sql = Sql::new("insert into log_start (only_one, position, document) values ");
    sql.row([1.into(), signed(start.position.0)?.into(), Arg::Text(document.into())]);
    sql.push(
        " on conflict (only_one) do update set position = excluded.position, document = excluded.document \
         where excluded.position > log_start.position",
    );
    sql.query().execute(connection).await?;
    Ok(())
}

/// Sealed events after a position, as of one moment.
pub(crate) async fn read(
    connection: &mut SqliteConnection,
    scope: &Scope,
    after: Position,
    limit: usize,
) -> Result<Vec<SealedEvent>, Fault> {
    let mut snapshot = connection.begin().await?;
    let ends = "select coalesce((select position from log_start), 0), \
        coalesce((select max(position) from event), 0)";
    let row = Sql::new(ends).query().fetch_one(&mut *snapshot).await?;
    let (start, head) = (Position(unsigned(row.try_get(0)?)?), Position(unsigned(row.try_get(1)?)?));
    if after < start {
        return Err(StoreError::LogPruned(start).into());
    }
    if after > head {
        return Err(StoreError::LogEnds(head).into());
    }
    let found = read_after(&mut snapshot, scope, after, limit).await?;
    snapshot.rollback().await?;
    Ok(found)
}

async fn read_after(
    connection: &mut SqliteConnection,
    scope: &Scope,
    after: Position,
    limit: usize,
) -> Result<Vec<SealedEvent>, Fault> {
    let mut sql = Sql::new("select document, position, hash, tenant from event where position > ");
    sql.bind(i64::try_from(after.0).unwrap_or(i64::MAX));
    if let Scope::Tenant(tenant) = scope {
        sql.push(" and tenant = ").bind(tenant.as_str());
    }
    sql.push(" order by position limit ").bind(up_to(limit));
    let rows = sql.query().fetch_all(connection).await?;
    let sealed = |row: &SqliteRow| {
        let position = Position(unsigned(row.try_get(1)?)?);
        let event = event(row)?;
        if row.try_get::<Option<&str>, _>(3)? != event.tenant.as_ref().map(TenantId::as_str) {
            let moved = format!("somebody has moved the event at position {position} to another tenant");
            return Err(Fault::Unsound(moved));
        }
        Ok(SealedEvent { position, hash: hash(row.try_get(2)?)?, event })
    };
    rows.iter().map(sealed).collect()
}

/// Events that are not sealed yet.
pub(crate) async fn unsealed(
    connection: &mut SqliteConnection,
    scope: &Scope,
    limit: usize,
) -> Result<Vec<Arc<Event>>, Fault> {
    let mut sql = Sql::new("select document from event_tail");
    if let Scope::Tenant(tenant) = scope {
        sql.push(" where tenant = ").bind(tenant.as_str());
    }
    sql.push(" order by seq limit ").bind(up_to(limit));
    sql.query().fetch_all(connection).await?.iter().map(event).collect()
}

/// When the event that was committed last was made.
pub(crate) async fn newest_at(connection: &mut SqliteConnection) -> Result<Option<Timestamp>, Fault> {
    let newest = "select document from (select document from event_tail order by seq desc limit 1) \
         union all select document from (select document from event order by position desc limit 1) limit 1";
    let row = Sql::new(newest).query().fetch_optional(connection).await?;
    row.map(|row| event(&row).map(|event| event.at)).transpose()
}
