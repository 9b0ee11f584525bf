//! The event log: what is not sealed yet, what is, and who reads it.
//!
//! A changeset takes a number for its events when it writes them, not when it commits, so that a lower
//! number may appear after a higher one was sealed. That skips nothing: a batch is what one snapshot
//! shows, in order of the numbers, and a position is only given to what is there. And cause comes
//! before effect: a changeset takes its number last, after every row that it has to wait for, so
//! whatever it rests on has a lower number, was committed before, and is in every snapshot that it is
//! in. The events of one changeset are numbered on from there, and the sequence leaves that much room:
//! so they lie together, whoever commits beside it, and a batch takes all of them or none.

use std::{collections::BTreeMap, sync::Arc};

use aegis_core::{
    model::{ChainHash, Event, Position, SealedEvent, TenantId, Timestamp},
    seams::{
        Conflict, Derived, DerivedKeys, DerivedQuery, DerivedRow, Fence, LogEnd, LogStart, ReaderStep, Scope,
        Sealed, StoreError,
    },
};
use sqlx::{Row, postgres::PgRow};

use crate::{
    error::{self, Fate},
    statement::{Statement, signed, unsigned},
    store::PostgresStore,
    tally::folding,
};

const SEAL: &str = "seal events";
const READ: &str = "read the event log";
const CUT: &str = "let the event log's beginning go";
const STEP: &str = "move a reader of the log on";

/// How far one number that the sequence gives is from the next: so many events a changeset may have. A
/// power of two.
pub(crate) const PLACES: usize = 1 << 20;

/// How often a batch is tried that met another sealer's.
const ATTEMPTS: u32 = 20;

/// What is sealed next, with where the log and the chains of its tenants end: `limit` events and what
/// else belongs to the last one's changeset. One row without an event stands for none.
pub(crate) fn batch(fence: &Fence, limit: usize) -> Statement {
    Statement::new(format!(
        "with first as materialized (select seq, tenant, document from event_tail order by seq limit $3), \
        batch as (select * from first union all \
            select t.seq, t.tenant, t.document from (select max(seq) as seq from first) as last \
            join event_tail as t on t.seq > last.seq and t.seq <= (last.seq | {})) \
         select h.held, h.head, b.seq, b.tenant, b.document::text as document, c.head as chain \
         from (select exists (select from lease where name = $1 and generation = $2 and expires_at > store_now()) \
                as held, coalesce((select max(position) from event), 0) as head) as h \
         left join batch as b on h.held \
         left join chain as c on c.tenant = coalesce(b.tenant, '') \
         order by b.seq",
        PLACES - 1
    ))
    .with(fence.name.as_str())
    .with(signed(fence.generation.0))
    .with(i64::try_from(limit).unwrap_or(i64::MAX))
}

/// Moves a batch from the tail to the log, if the lease is still held and nobody else moved any of it.
pub(crate) fn append(
    fence: &Fence,
    batch: &[i64],
    linked: &[(Position, ChainHash)],
    end: &LogEnd,
) -> Statement {
    let positions: Vec<_> = linked.iter().map(|(position, _)| signed(position.0)).collect();
    let hashes: Vec<_> = linked.iter().map(|(_, hash)| hash.as_bytes().to_vec()).collect();
    let chains: Vec<_> = end.chains.keys().map(|tenant| chain_name(tenant.as_ref()).to_owned()).collect();
    let heads: Vec<_> = end.chains.values().map(|head| head.as_bytes().to_vec()).collect();
    // An event comes with a change of one entity, which counts once less and once more at the most: so the
    // tail of the tally gets no longer than that of the log.
    let changes = batch.len().saturating_mul(4);
    Statement::new(format!(
        "with held as (select 1 from lease where name = $1 and generation = $2 and expires_at > store_now() \
            for key share), \
        moved as (delete from event_tail as t using unnest($3::bigint[]) as n (seq) where t.seq = n.seq \
            returning t.seq, t.tenant, t.document), \
        linked as (insert into event (position, tenant, hash, document) \
            select n.position, m.tenant, n.hash, m.document \
            from unnest($3::bigint[], $4::bigint[], $5::bytea[]) as n (seq, position, hash) \
            join moved as m on m.seq = n.seq returning 1), \
        {} \
        insert into chain as c (tenant, head, position) \
        select n.tenant, n.head, $8 from unnest($6::text[], $7::bytea[]) as n (tenant, head) \
        where case when (select count(*) from held) = 1 \
            and (select count(*) from linked) = cardinality($3::bigint[]) then true else refuse() end \
        on conflict (tenant) do update set head = excluded.head, position = excluded.position",
        folding("$9")
    ))
    .with(fence.name.as_str())
    .with(signed(fence.generation.0))
    .with(batch.to_vec())
    .with(positions)
    .with(hashes)
    .with(chains)
    .with(heads)
    .with(signed(end.head.0))
    .with(i64::try_from(changes).unwrap_or(i64::MAX))
}

/// The name of a tenant's chain; what belongs to none has the empty one.
fn chain_name(tenant: Option<&TenantId>) -> &str {
    tenant.map_or("", |tenant| tenant.as_str())
}

/// Sealed events, with where the log starts and ends. One row without an event stands for none.
pub(crate) fn events(scope: &Scope, after: Position, limit: usize) -> Statement {
    let of_scope = match scope {
        Scope::Everyone => "",
        Scope::Tenant(_) => "tenant = $3 and ",
    };
    let statement = Statement::new(format!(
        "select l.starts, l.ends, e.position, e.tenant, e.hash, e.document::text as document \
         from (select coalesce((select position from log_start), 0) as starts, \
                coalesce((select max(position) from event), 0) as ends) as l \
         left join (select position, tenant, hash, document from event \
                where {of_scope}position > $1 order by position limit $2) as e on l.starts <= $1"
    ))
    .with(signed(after.0))
    .with(i64::try_from(limit).unwrap_or(i64::MAX));
    match scope {
        Scope::Everyone => statement,
        Scope::Tenant(tenant) => statement.with(tenant.as_str()),
    }
}

pub(crate) fn start() -> Statement {
    Statement::new("select document::text as document from log_start")
}

/// Lets everything before `start` go, if any of it is there yet, or fails if nothing would be left.
pub(crate) fn cut(start: &LogStart, document: String) -> Statement {
    Statement::new(
        "insert into log_start (position, document) select $1, $2::json \
         where case when $1 < (select max(position) from event) then true else refuse() end \
         on conflict (only_one) do update set position = excluded.position, document = excluded.document \
            where log_start.position < excluded.position",
    )
    .with(signed(start.position.0))
    .with(document)
}

/// In order of the numbers, which keeps to the few rows at the front that sealing has not taken yet.
pub(crate) fn tail(scope: &Scope, limit: usize) -> Statement {
    let mut statement = Statement::new("select document::text as document from event_tail");
    if let Scope::Tenant(tenant) = scope {
        let tenant = statement.bind(tenant.as_str());
        statement.text.push_str(&format!(" where tenant = {tenant}"));
    }
    let limit = statement.bind(i64::try_from(limit).unwrap_or(i64::MAX));
    statement.text.push_str(&format!(" order by seq limit {limit}"));
    statement
}

pub(crate) fn newest() -> Statement {
    Statement::new(
        "select coalesce((select document::text from event_tail order by seq desc limit 1), \
            (select document::text from event order by position desc limit 1)) as document",
    )
}

pub(crate) fn head() -> Statement {
    Statement::new("select coalesce(max(position), 0) as head from event")
}

pub(crate) fn readers() -> Statement {
    Statement::new("select name, position from reader")
}

pub(crate) fn reader_position(name: &str) -> Statement {
    Statement::new("select position from reader where name = $1").with(name)
}

/// Moves a reader on and keeps what it derived, or fails.
pub(crate) fn step(step: &ReaderStep) -> Statement {
    let tenants: Vec<_> = step.derived.iter().map(|row| row.tenant.as_str().to_owned()).collect();
    let keys: Vec<_> = step.derived.iter().map(|row| row.key.clone()).collect();
    let documents: Vec<_> = step.derived.iter().map(|row| row.document.to_string()).collect();
    let moved = if step.from == Position::START {
        "insert into reader (name, position) select $1, $3 where $2 = 0 \
         on conflict (name) do update set position = excluded.position where reader.position = $2 returning 1"
    } else {
        "update reader set position = $3 where name = $1 and position = $2 returning 1"
    };
    Statement::new(format!(
        "with moved as ({moved}), kept as (insert into derived (reader, tenant, key, document) \
            select $1, n.tenant, n.key, n.document from unnest($4::text[], $5::text[], $6::text[]) \
                as n (tenant, key, document) \
            on conflict (reader, tenant, key) do update set document = excluded.document returning 1) \
        select case when (select count(*) from moved) = 1 then (select count(*) from kept) >= 0 \
            else refuse() end"
    ))
    .with(step.reader.as_str())
    .with(signed(step.from.0))
    .with(signed(step.to.0))
    .with(tenants)
    .with(keys)
    .with(documents)
}

/// What a reader keeps. A row without a key stands for none.
pub(crate) fn derived(query: &DerivedQuery) -> Statement {
    let (condition, first, second) = match &query.keys {
        DerivedKeys::Named(keys) => ("d.key = any($3)", Ok(keys.clone()), None),
        DerivedKeys::Range(from, before) => {
            ("d.key >= $3 and d.key < $4", Err(from.clone()), Some(before.clone()))
        }
    };
    let mut statement = Statement::new(format!(
        "select r.position, d.key, d.document from reader as r \
         left join derived as d on d.reader = r.name and d.tenant = $2 and {condition} \
         where r.name = $1 order by d.key"
    ))
    .with(query.reader.as_str())
    .with(query.tenant.as_str());
    match first {
        Ok(keys) => statement.bind(keys),
        Err(from) => statement.bind(from),
    };
    if let Some(before) = second {
        statement.bind(before);
    }
    statement
}

/// A batch as it was read: the numbers of its events in the tail, whose they are, as they were written
/// down, and what they are linked to. What they say is not looked at: other versions write events, too.
struct Batch {
    numbers: Vec<i64>,
    events: Vec<(Option<TenantId>, String)>,
    end: LogEnd,
}

impl Batch {
    fn from_rows(fence: &Fence, rows: &[PgRow]) -> Result<Self, StoreError> {
        let read = |error| error::read(SEAL, error);
        let mut batch = Self { numbers: Vec::new(), events: Vec::new(), end: LogEnd::default() };
        for row in rows {
            if !row.try_get::<bool, _>("held").map_err(read)? {
                return Err(StoreError::Conflict(Conflict::Fenced { name: fence.name.clone() }));
            }
            batch.end.head = Position(unsigned(SEAL, row.try_get("head").map_err(read)?)?);
            let Some(number) = row.try_get("seq").map_err(read)? else { continue };
            let tenant: Option<&str> = row.try_get("tenant").map_err(read)?;
            let tenant = tenant.map(TenantId::new).transpose().map_err(|e| error::fault(SEAL, e))?;
            if let Some(head) = row.try_get::<Option<&[u8]>, _>("chain").map_err(read)? {
                batch.end.chains.insert(tenant.clone(), hash(SEAL, head)?);
            }
            batch.numbers.push(number);
            batch.events.push((tenant, row.try_get("document").map_err(read)?));
        }
        Ok(batch)
    }
}

/// What is wrong with an event whose row says that it is another tenant's than its document does.
fn moved(position: Position) -> String {
    format!("somebody has moved the event at position {position} to another tenant")
}

fn event(action: &'static str, row: &PgRow) -> Result<Arc<Event>, StoreError> {
    let document: &str = row.try_get("document").map_err(|error| error::read(action, error))?;
    serde_json::from_str(document).map(Arc::new).map_err(|error| error::fault(action, error))
}

fn hash(action: &'static str, bytes: &[u8]) -> Result<ChainHash, StoreError> {
    bytes.try_into().map(ChainHash::from_bytes).map_err(|error| error::fault(action, error))
}

impl PostgresStore {
    pub(crate) async fn seal_batch(&self, fence: &Fence, limit: usize) -> Result<Sealed, StoreError> {
        for _ in 0..ATTEMPTS {
            let rows = self.acquire_reserved(SEAL).await?.fetch(&batch(fence, limit)).await;
            let rows = rows.map_err(|error| error::read(SEAL, error))?;
            let Batch { numbers, events, mut end } = Batch::from_rows(fence, &rows)?;
            if events.is_empty() {
                return Ok(Sealed { count: 0, head: end.head });
            }
            let link = |(tenant, document): (_, String)| end.link_document(tenant, document.as_bytes());
            let linked: Vec<_> = events.into_iter().map(link).collect();
            let statement = append(fence, &numbers, &linked, &end);
            match self.acquire_reserved(SEAL).await?.execute(&statement).await {
                Ok(_) => return Ok(Sealed { count: linked.len(), head: end.head }),
                Err(error) if error::fate(&error) == Fate::Refused => {}
                Err(error) => return Err(error::write(SEAL, error)),
            }
        }
        Err(error::contended(SEAL))
    }

    pub(crate) async fn read_events(
        &self,
        scope: &Scope,
        after: Position,
        limit: usize,
    ) -> Result<Vec<SealedEvent>, StoreError> {
        let read = |error| error::read(READ, error);
        let place = |row: &PgRow, name: &str| -> Result<Position, StoreError> {
            Ok(Position(unsigned(READ, row.try_get(name).map_err(read)?)?))
        };
        let sealed = |row: &PgRow| {
            let position = place(row, "position")?;
            let hash = hash(READ, row.try_get("hash").map_err(read)?)?;
            let event = event(READ, row)?;
            let tenant: Option<&str> = row.try_get("tenant").map_err(read)?;
            if tenant != event.tenant.as_ref().map(TenantId::as_str) {
                return Err(error::unusable(READ, moved(position)));
            }
            Ok(SealedEvent { position, hash, event })
        };
        let rows = self.rows(READ, &events(scope, after, limit)).await?;
        let Some(first) = rows.first() else { return Ok(Vec::new()) };
        let (starts, ends) = (place(first, "starts")?, place(first, "ends")?);
        if after < starts {
            return Err(StoreError::LogPruned(starts));
        }
        if after > ends {
            return Err(StoreError::LogEnds(ends));
        }
        if first.try_get::<Option<i64>, _>("position").map_err(read)?.is_none() {
            return Ok(Vec::new());
        }
        let mut events = rows.iter().map(sealed).collect::<Result<Vec<_>, _>>()?;
        // As they come in all likelihood; to have the database sort them costs more.
        events.sort_by_key(|sealed| sealed.position);
        Ok(events)
    }

    pub(crate) async fn read_start(&self) -> Result<LogStart, StoreError> {
        let rows = self.rows(READ, &start()).await?;
        let Some(row) = rows.first() else { return Ok(LogStart::default()) };
        let document: &str = row.try_get("document").map_err(|error| error::read(READ, error))?;
        serde_json::from_str(document).map_err(|error| error::fault(READ, error))
    }

    pub(crate) async fn cut_until(&self, start: &LogStart) -> Result<(), StoreError> {
        let document = serde_json::to_string(start).map_err(|error| error::fault(CUT, error))?;
        let statement = cut(start, document);
        for _ in 0..ATTEMPTS {
            let Err(error) = self.acquire(CUT).await?.execute(&statement).await else { return Ok(()) };
            if error::fate(&error) != Fate::Refused {
                return Err(error::write(CUT, error));
            }
            start.check(self.log_head().await?)?;
        }
        Err(error::contended(CUT))
    }

    pub(crate) async fn positions(&self) -> Result<BTreeMap<String, Position>, StoreError> {
        let reader = |row: &PgRow| {
            let read = |error| error::read(READ, error);
            let position = row.try_get("position").map_err(read)?;
            Ok((row.try_get("name").map_err(read)?, Position(unsigned(READ, position)?)))
        };
        self.rows(READ, &readers()).await?.iter().map(reader).collect()
    }

    pub(crate) async fn read_tail(&self, scope: &Scope, limit: usize) -> Result<Vec<Arc<Event>>, StoreError> {
        self.rows(READ, &tail(scope, limit)).await?.iter().map(|row| event(READ, row)).collect()
    }

    pub(crate) async fn newest_event(&self) -> Result<Option<Timestamp>, StoreError> {
        let rows = self.rows(READ, &newest()).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let document: Option<&str> = row.try_get("document").map_err(|error| error::read(READ, error))?;
        let event: Option<Event> =
            document.map(serde_json::from_str).transpose().map_err(|error| error::fault(READ, error))?;
        Ok(event.map(|event| event.at))
    }

    pub(crate) async fn log_head(&self) -> Result<Position, StoreError> {
        let rows = self.rows(READ, &head()).await?;
        let Some(row) = rows.first() else { return Ok(Position::START) };
        let head = row.try_get("head").map_err(|error| error::read(READ, error))?;
        Ok(Position(unsigned(READ, head)?))
    }

    pub(crate) async fn position_of(&self, reader: &str) -> Result<Position, StoreError> {
        let rows = self.rows(STEP, &reader_position(reader)).await?;
        let Some(row) = rows.first() else { return Ok(Position::START) };
        let position = row.try_get("position").map_err(|error| error::read(STEP, error))?;
        Ok(Position(unsigned(STEP, position)?))
    }

    pub(crate) async fn make_step(&self, moves: ReaderStep) -> Result<(), StoreError> {
        moves.check()?;
        let statement = step(&moves);
        for _ in 0..ATTEMPTS {
            let Err(error) = self.acquire(STEP).await?.execute(&statement).await else { return Ok(()) };
            if error::fate(&error) != Fate::Refused {
                return Err(error::write(STEP, error));
            }
            let found = self.position_of(&moves.reader).await?;
            if found != moves.from {
                let conflict = Conflict::Moved { reader: moves.reader, expected: moves.from, found };
                return Err(StoreError::Conflict(conflict));
            }
        }
        Err(error::contended(STEP))
    }

    pub(crate) async fn read_derived(&self, query: &DerivedQuery) -> Result<Derived, StoreError> {
        const ACTION: &str = "read what was derived from the log";
        let read = |error| error::read(ACTION, error);
        let mut found = Derived::default();
        for row in self.rows(ACTION, &derived(query)).await? {
            found.position = Position(unsigned(ACTION, row.try_get("position").map_err(read)?)?);
            if let Some(key) = row.try_get("key").map_err(read)? {
                let document: String = row.try_get("document").map_err(read)?;
                found.rows.push(DerivedRow { tenant: query.tenant.clone(), key, document: document.into() });
            }
        }
        Ok(found)
    }
}
