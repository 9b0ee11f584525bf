//! Commits: a batch of changesets in one transaction, each with a verdict of its own.
//!
//! What the batch rests on is read first. Then each changeset is judged, in turn, by what is there
//! and by what those before it in the batch left; one that is refused leaves nothing, so there is
//! nothing to undo. What is left in the end is written with a few statements over many rows.

use std::collections::{BTreeMap, HashMap, HashSet};

use aegis_core::{
    model::{ChangesetId, Entity, EntityKey, EntityKind, Event, TenantId, Version},
    seams::{Changeset, Committed, Grant, LeaseName, Monotonic, StoreError},
};
use sqlx::{Row, SqliteConnection};

use crate::{
    clock::micros,
    error::Fault,
    lease,
    rows::{columns, key_values, unsigned, values},
    sql::{Arg, Sql, runs},
};

/// The answer to one changeset of a batch.
pub(crate) type Verdict = Result<Committed, StoreError>;

/// Commits a batch; the transaction is the caller's. No verdict counts unless all could be given.
pub(crate) async fn commit(
    connection: &mut SqliteConnection,
    batch: &[Changeset],
    now: Monotonic,
) -> Result<Vec<Verdict>, Fault> {
    let mut known = Known::read(connection, batch).await?;
    let mut left = Left::default();
    let verdicts = batch.iter().map(|changeset| known.judge(changeset, now, &mut left)).collect();
    left.write(connection, now).await?;
    Ok(verdicts)
}

/// What is there of an entity.
type Found = Option<(Version, Option<TenantId>)>;

/// What is there of all that a batch touches or rests on.
#[derive(Debug, Default)]
struct Known {
    applied: HashSet<ChangesetId>,
    entities: HashMap<EntityKey, Found>,
    grants: HashMap<LeaseName, Grant>,
}

/// What a batch leaves to be written.
#[derive(Debug, Default)]
struct Left {
    applied: Vec<ChangesetId>,
    /// The last state of each entity; `None` where it is gone.
    entities: BTreeMap<EntityKey, Option<(Version, Entity)>>,
    events: Vec<Event>,
}

impl Known {
    async fn read(connection: &mut SqliteConnection, batch: &[Changeset]) -> Result<Self, Fault> {
        let mut known = Self::default();
        let ids: Vec<_> = batch.iter().map(|changeset| changeset.id).collect();
        for run in runs(&ids) {
            let mut sql = Sql::new("select id from changeset where id in ");
            sql.row(run.iter().map(|id| Arg::Uuid(id.as_uuid())));
            for row in sql.query().fetch_all(&mut *connection).await? {
                known.applied.insert(ChangesetId::from_uuid(row.try_get(0)?));
            }
        }
        for fence in batch.iter().flat_map(|changeset| &changeset.fences) {
            if !known.grants.contains_key(&fence.name) {
                let grant = lease::newest(connection, &fence.name).await?;
                known.grants.insert(fence.name.clone(), grant);
            }
        }
        for (kind, keys) in touched(batch) {
            let keys: Vec<_> = keys.into_iter().collect();
            for run in runs(&keys) {
                known.read_entities(connection, kind, run).await?;
            }
        }
        Ok(known)
    }

    async fn read_entities(
        &mut self,
        connection: &mut SqliteConnection,
        kind: EntityKind,
        keys: &[EntityKey],
    ) -> Result<(), Fault> {
        let found = which(kind, keys).query().fetch_all(connection).await?;
        self.entities.extend(keys.iter().map(|key| (key.clone(), None)));
        for row in found {
            let place = usize::try_from(row.try_get::<i64, _>(0)?).unwrap_or(usize::MAX);
            let version = Version(unsigned(row.try_get(1)?)?);
            let tenant: Option<String> = row.try_get(2)?;
            let tenant = tenant.map(TenantId::try_from).transpose();
            let tenant = tenant.map_err(|error| Fault::Unsound(format!("a tenant that is none: {error}")))?;
            if let Some(key) = keys.get(place) {
                self.entities.insert(key.clone(), Some((version, tenant)));
            }
        }
        Ok(())
    }

    /// Judges one changeset. If it is applied, what it changes is known to those after it.
    fn judge(&mut self, changeset: &Changeset, now: Monotonic, left: &mut Left) -> Verdict {
        if self.applied.contains(&changeset.id) {
            return Ok(Committed::Already);
        }
        changeset.check_form()?;
        for fence in &changeset.fences {
            let grant = self.grants.get(&fence.name).unwrap_or(&Grant::NEVER);
            grant.check(fence, now).map_err(StoreError::Conflict)?;
        }
        for expect in &changeset.expects {
            let found = self.found(expect.key()).map(|(version, _)| version);
            expect.check(found).map_err(StoreError::Conflict)?;
        }
        for change in &changeset.changes {
            change.write.check(self.found(&change.write.entity().key()))?;
        }
        self.apply(changeset, left);
        Ok(Committed::Applied)
    }

    fn found(&self, key: &EntityKey) -> Option<(Version, Option<&TenantId>)> {
        let (version, tenant) = self.entities.get(key)?.as_ref()?;
        Some((*version, tenant.as_ref()))
    }

    fn apply(&mut self, changeset: &Changeset, left: &mut Left) {
        self.applied.insert(changeset.id);
        left.applied.push(changeset.id);
        for (write, event) in changeset.clone().into_writes() {
            let entity = write.entity();
            let found = write.after().map(|version| (version, entity.tenant().cloned()));
            let state = write.after().map(|version| (version, entity.clone()));
            self.entities.insert(event.subject.clone(), found);
            left.entities.insert(event.subject.clone(), state);
            left.events.push(event);
        }
    }
}

/// What a batch touches or rests on, by kind.
fn touched(batch: &[Changeset]) -> BTreeMap<EntityKind, HashSet<EntityKey>> {
    let mut touched: BTreeMap<EntityKind, HashSet<EntityKey>> = BTreeMap::new();
    for changeset in batch {
        let written = changeset.changes.iter().map(|change| change.write.entity().key());
        let expected = changeset.expects.iter().map(|expect| expect.key().clone());
        for key in written.chain(expected) {
            touched.entry(key.kind()).or_default().insert(key);
        }
    }
    touched
}

/// Asks which of some keys are there: the place of each in `keys`, its version and its tenant.
fn which(kind: EntityKind, keys: &[EntityKey]) -> Sql<'_> {
    let names: Vec<_> = kind.key_columns().iter().map(|column| column.name()).collect();
    let tenant = if columns(kind).contains(&"tenant") { "x.tenant" } else { "null" };
    let rows: Vec<Vec<Arg<'_>>> = keys
        .iter()
        .zip(0i64..)
        .map(|(key, place)| std::iter::once(Arg::from(place)).chain(key_values(key)).collect())
        .collect();
    let same: Vec<_> = names.iter().map(|name| format!("x.{name} = wanted.{name}")).collect();
    let mut sql = Sql::new(format!("with wanted(place, {}) as (values ", names.join(", ")));
    sql.rows(&rows);
    sql.push(&format!(
        ") select wanted.place, x.version, {tenant} from wanted cross join {kind} x on {}",
        same.join(" and ")
    ));
    sql
}

impl Left {
    async fn write(self, connection: &mut SqliteConnection, now: Monotonic) -> Result<(), Fault> {
        let applied: Vec<_> =
            self.applied.iter().map(|id| vec![Arg::Uuid(id.as_uuid()), micros(now).into()]).collect();
        insert(connection, "insert into changeset (id, applied_at) values ", &applied, "").await?;
        for kind in EntityKind::ALL.iter().copied() {
            let of_kind = self.entities.iter().filter(|(key, _)| key.kind() == kind);
            let (mut put, mut gone) = (Vec::new(), Vec::new());
            for (key, state) in of_kind {
                match state {
                    Some((version, entity)) => put.push(values(*version, entity)?),
                    None => gone.push(key_values(key)),
                }
            }
            let keys = names(kind.key_columns().iter().map(|column| column.name()));
            let before = format!("insert into {kind} ({}) values ", names(columns(kind)));
            insert(connection, &before, &put, &replacing(kind, &keys)).await?;
            insert(connection, &format!("delete from {kind} where ({keys}) in (values "), &gone, ")").await?;
        }
        let events: Vec<_> = self.events.iter().map(unsealed).collect::<Result<_, _>>()?;
        insert(connection, "insert into event_tail (tenant, document) values ", &events, "").await
    }
}

/// Runs a statement over all rows, a run of them at a time.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    before: &str,
    rows: &[Vec<Arg<'_>>],
    after: &str,
) -> Result<(), Fault> {
    for run in runs(rows) {
        let mut sql = Sql::new(before);
        sql.rows(run).push(after);
        sql.query().execute(&mut *connection).await?;
    }
    Ok(())
}

/// What becomes of a row whose key is there.
fn replacing(kind: EntityKind, keys: &str) -> String {
    let others = kind.columns().iter().map(|column| column.name());
    let set: Vec<_> =
        others.chain(["version", "document"]).map(|column| format!("{column} = excluded.{column}")).collect();
    format!(" on conflict ({keys}) do update set {}", set.join(", "))
}

fn names(columns: impl IntoIterator<Item = &'static str>) -> String {
    columns.into_iter().collect::<Vec<_>>().join(", ")
}

fn unsealed(event: &Event) -> Result<Vec<Arg<'_>>, Fault> {
    let document = serde_json::to_string(event)
        .map_err(|error| Fault::Unsound(format!("the event {} can't be written down: {error}", event.id)))?;
    Ok(vec![event.tenant.as_ref().map(TenantId::as_str).into(), Arg::Text(document.into())])
}
