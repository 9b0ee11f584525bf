//! Commits: a changeset is one statement, and one round trip.
//!
//! The statement checks and writes everything, or fails as a whole. Its text depends on the kinds of
//! entities that are written alone, since rows come as arrays: so the server keeps its plan. When it
//! is refused, a look at one snapshot says why; when nothing is wrong any more, it is tried again.

use aegis_core::{
    model::{Entity, EntityKey, EntityKind, Version},
    seams::{Change, Changeset, Column, Committed, Expect, StoreError, Write},
};

use crate::{
    error::{self, Fate},
    log::PLACES,
    statement::{Statement, signed},
    store::PostgresStore,
    table::{Array, Bound, Count, Table},
};

const ACTION: &str = "commit a changeset";

/// How often a changeset is tried that was refused for something that is gone a moment later.
const ATTEMPTS: u32 = 20;

impl PostgresStore {
    pub(crate) async fn commit_changeset(&self, changeset: &Changeset) -> Result<Committed, StoreError> {
        if changeset.check_form().is_err() || contradicts_itself(changeset) {
            return match self.diagnose(changeset).await? {
                Some(committed) => Ok(committed),
                None => Err(error::contended(ACTION)),
            };
        }
        let statement = compose(changeset)?;
        let mut lost = None;
        for _ in 0..ATTEMPTS {
            let acquired = match &lost {
                None => self.acquire(ACTION).await,
                Some(_) => self.acquire_living(ACTION).await,
            };
            let connection = match acquired {
                Ok(connection) => connection,
                Err(error) => return Err(lost.unwrap_or(error)),
            };
            let Err(error) = connection.execute(&statement).await else { return Ok(Committed::Applied) };
            match error::fate(&error) {
                Fate::Refused => match self.diagnose(changeset).await {
                    Ok(Some(committed)) => return Ok(committed),
                    Ok(None) => {}
                    Err(conflict @ (StoreError::Conflict(_) | StoreError::Malformed { .. })) => {
                        return Err(conflict);
                    }
                    Err(error) => return Err(lost.unwrap_or(error)),
                },
                // Committing it again settles what became of it; once, since the database may stay away.
                Fate::Lost if lost.is_none() => lost = Some(error::write(ACTION, error)),
                Fate::Lost | Fate::Unavailable | Fate::Fault => {
                    return Err(lost.unwrap_or_else(|| error::write(ACTION, error)));
                }
            }
        }
        Err(lost.unwrap_or_else(|| error::contended(ACTION)))
    }
}

/// Whether what it expects of an entity can't be so together with how it writes the same entity.
fn contradicts_itself(changeset: &Changeset) -> bool {
    changeset.expects.iter().any(|expect| match (expect, write_of(changeset, expect.key())) {
        (_, None) => false,
        (Expect::Unchanged(_, version), Some(write)) => write.before() != Some(*version),
        (Expect::Absent(_), Some(write)) => write.before().is_some(),
    })
}

fn write_of<'a>(changeset: &'a Changeset, key: &EntityKey) -> Option<&'a Write> {
    changeset.changes.iter().map(|change| &change.write).find(|write| write.entity().key() == *key)
}

/// The statement that applies a changeset, or fails.
pub(crate) fn compose(changeset: &Changeset) -> Result<Statement, StoreError> {
    let mut composer = Composer::default();
    composer.remember(changeset);
    composer.fence(changeset);
    // An entity that is written needs no look beside it.
    let expects = || changeset.expects.iter().filter(|expect| write_of(changeset, expect.key()).is_none());
    for kind in EntityKind::ALL.iter().copied() {
        composer.expect_unchanged(kind, expects());
        composer.expect_absent(kind, expects());
    }
    for kind in EntityKind::ALL.iter().copied() {
        composer.write(kind, &changeset.changes)?;
    }
    composer.finish(changeset)
}

/// The pieces of a commit: the parts before the last one, and what must be so for that one to run.
///
/// The conditions are judged in their order. First comes the id, so that a changeset which is being
/// applied elsewhere is waited for before anything is called refused; the number of the events comes
/// last, so that what another transaction has to finish first has its events before ours.
#[derive(Default)]
struct Composer {
    statement: Statement,
    parts: Vec<String>,
    conditions: Vec<String>,
}

impl Composer {
    /// Adds a part that must come to so many rows.
    fn part(&mut self, name: &str, count: &Count, part: &str) {
        self.parts.push(format!("{name} as ({part})"));
        self.conditions.push(count.all_in(name));
    }

    fn remember(&mut self, changeset: &Changeset) {
        let id = self.statement.bind(changeset.id.as_uuid());
        let part = format!("insert into changeset (id, applied_at) values ({id}, store_now()) returning 1");
        self.part("remembered", &Count::One, &part);
    }

    fn fence(&mut self, changeset: &Changeset) {
        if changeset.fences.is_empty() {
            return;
        }
        let Bound { rows, count } = fences(changeset).bind(&mut self.statement);
        let part = format!(
            "select 1 from {rows} \
             join lease as l on l.name = n.name and l.generation = n.generation and l.expires_at > store_now() \
             for key share of l"
        );
        self.part("fenced", &count, &part);
    }

    fn expect_unchanged<'a>(&mut self, kind: EntityKind, expects: impl Iterator<Item = &'a Expect>) {
        let expected = expects.filter_map(|expect| match expect {
            Expect::Unchanged(key, version) if key.kind() == kind => Some((key, signed(version.0))),
            Expect::Unchanged(..) | Expect::Absent(_) => None,
        });
        let (keys, versions): (Vec<_>, Vec<_>) = expected.unzip();
        if keys.is_empty() {
            return;
        }
        let expected = Table::of_keys(kind, &keys).with("version", Array::integers(versions));
        let Bound { rows, count } = expected.bind(&mut self.statement);
        let part = format!(
            "select 1 from {rows} join {kind} as t on {} and t.version = n.version for share of t",
            matching(kind),
        );
        self.part(&format!("unchanged_{kind}"), &count, &part);
    }

    fn expect_absent<'a>(&mut self, kind: EntityKind, expects: impl Iterator<Item = &'a Expect>) {
        let keys: Vec<_> = expects
            .filter_map(|expect| match expect {
                Expect::Absent(key) if key.kind() == kind => Some(key),
                Expect::Absent(_) | Expect::Unchanged(..) => None,
            })
            .collect();
        if keys.is_empty() {
            return;
        }
        let Bound { rows, count } = Table::of_keys(kind, &keys).bind(&mut self.statement);
        let fields: Vec<_> =
            kind.key_columns().iter().map(|column| format!("'{column}', n.{column}")).collect();
        let part = format!(
            "select 1 from {rows} where hold_absent('{kind}', json_build_object({}, 'version', 0))",
            fields.join(", "),
        );
        self.part(&format!("absent_{kind}"), &count, &part);
    }

    fn write(&mut self, kind: EntityKind, changes: &[Change]) -> Result<(), StoreError> {
        let of_kind =
            || changes.iter().map(|change| &change.write).filter(|w| w.entity().key().kind() == kind);
        let inserted: Vec<_> = of_kind()
            .filter_map(|write| if let Write::Insert(entity) = write { Some(entity) } else { None })
            .collect();
        let updated: Vec<_> = of_kind()
            .filter_map(
                |write| if let Write::Update(entity, read) = write { Some((entity, *read)) } else { None },
            )
            .collect();
        let deleted: Vec<_> = of_kind()
            .filter_map(
                |write| if let Write::Delete(entity, read) = write { Some((entity, *read)) } else { None },
            )
            .collect();
        if !inserted.is_empty() {
            self.insert(kind, &inserted)?;
        }
        if !updated.is_empty() {
            self.update(kind, &updated)?;
        }
        if !deleted.is_empty() {
            self.delete(kind, &deleted);
        }
        Ok(())
    }

    fn insert(&mut self, kind: EntityKind, entities: &[&Entity]) -> Result<(), StoreError> {
        let columns: Vec<_> = kind.key_columns().iter().chain(kind.columns()).copied().collect();
        let inserted = of_columns(&columns, entities).with("document", documents(entities)?);
        let Bound { rows, count } = inserted.bind(&mut self.statement);
        let names = names(&columns);
        let part = format!(
            "insert into {kind} ({names}, version, document) select {names}, 1, n.document::json \
             from {rows} returning 1"
        );
        self.part(&format!("inserted_{kind}"), &count, &part);
        Ok(())
    }

    fn update(&mut self, kind: EntityKind, updates: &[(&Entity, Version)]) -> Result<(), StoreError> {
        let columns: Vec<_> = kind.key_columns().iter().chain(kind.columns()).copied().collect();
        let entities: Vec<_> = updates.iter().map(|(entity, _)| *entity).collect();
        let updated = of_columns(&columns, &entities)
            .with("read", versions(updates))
            .with("document", documents(&entities)?);
        let Bound { rows, count } = updated.bind(&mut self.statement);
        let set: String = kind
            .columns()
            .iter()
            .filter(|column| **column != Column::Tenant)
            .map(|column| format!("{column} = n.{column}, "))
            .collect();
        let part = format!(
            "update {kind} as t set {set}version = t.version + 1, document = n.document::json \
             from {rows} where {} returning 1",
            as_read(kind),
        );
        self.part(&format!("updated_{kind}"), &count, &part);
        Ok(())
    }

    fn delete(&mut self, kind: EntityKind, deletions: &[(&Entity, Version)]) {
        let mut columns = kind.key_columns().to_vec();
        if has_tenant(kind) {
            columns.push(Column::Tenant);
        }
        let entities: Vec<_> = deletions.iter().map(|(entity, _)| *entity).collect();
        let deleted = of_columns(&columns, &entities).with("read", versions(deletions));
        let Bound { rows, count } = deleted.bind(&mut self.statement);
        let part = format!("delete from {kind} as t using {rows} where {} returning 1", as_read(kind));
        self.part(&format!("deleted_{kind}"), &count, &part);
    }

    /// The last part, which runs if every condition holds and else makes the whole fail.
    fn finish(mut self, changeset: &Changeset) -> Result<Statement, StoreError> {
        let condition = format!("case when {} then true else refuse() end", self.conditions.join(" and "));
        let last = if changeset.is_empty() {
            format!("select {condition}")
        } else {
            let changes = changeset.changes.len();
            if changes > PLACES {
                let reason = format!("it has {changes} changes, more than the {PLACES} that lie together");
                return Err(StoreError::Malformed { reason });
            }
            let Bound { rows, .. } = events(changeset)?.bind(&mut self.statement);
            self.parts.push(format!(
                "numbered as (select nextval('event_tail_seq_seq') as first where {condition})"
            ));
            format!(
                "insert into event_tail (seq, tenant, document) \
                 select numbered.first + n.place - 1, n.tenant, n.document::json from numbered, {rows}"
            )
        };
        self.statement.text = format!("with {} {last}", self.parts.join(", "));
        Ok(self.statement)
    }
}

fn of_columns(columns: &[Column], entities: &[&Entity]) -> Table {
    Table::default().with_columns(columns, entities, |entity, column| entity.value(column))
}

fn documents(entities: &[&Entity]) -> Result<Array, StoreError> {
    let documents: Result<Vec<_>, _> = entities.iter().map(|entity| entity.to_document()).collect();
    Ok(Array::texts(documents.map_err(|error| error::fault(ACTION, error))?))
}

fn versions(writes: &[(&Entity, Version)]) -> Array {
    Array::integers(writes.iter().map(|(_, read)| signed(read.0)))
}

/// The events of a changeset: whose, and as documents.
fn events(changeset: &Changeset) -> Result<Table, StoreError> {
    let mut tenants = Vec::with_capacity(changeset.changes.len());
    let mut documents = Vec::with_capacity(changeset.changes.len());
    for (_, event) in changeset.clone().into_writes() {
        documents.push(serde_json::to_string(&event).map_err(|error| error::fault(ACTION, error))?);
        tenants.push(event.tenant.map(|tenant| tenant.as_str().to_owned()));
    }
    Ok(Table::default().with("tenant", Array::Text(tenants)).with("document", Array::texts(documents)))
}

/// The fences: their leases' names and their generations.
pub(crate) fn fences(changeset: &Changeset) -> Table {
    let names = changeset.fences.iter().map(|fence| fence.name.as_str().to_owned());
    let generations = changeset.fences.iter().map(|fence| signed(fence.generation.0));
    Table::default().with("name", Array::texts(names)).with("generation", Array::integers(generations))
}

/// The names of columns, as a list.
pub(crate) fn names(columns: &[Column]) -> String {
    columns.iter().map(|column| column.name()).collect::<Vec<_>>().join(", ")
}

/// That the row `t` has the key of the row `n`.
pub(crate) fn matching(kind: EntityKind) -> String {
    let equal = |column: &Column| format!("t.{column} = n.{column}");
    kind.key_columns().iter().map(equal).collect::<Vec<_>>().join(" and ")
}

/// That the row `t` is the one that was read as the row `n`, and stays whose it is.
fn as_read(kind: EntityKind) -> String {
    let tenant = if has_tenant(kind) { " and t.tenant = n.tenant" } else { "" };
    format!("{} and t.version = n.read{tenant}", matching(kind))
}

/// Whether entities of a kind belong to a tenant.
pub(crate) fn has_tenant(kind: EntityKind) -> bool {
    kind.columns().contains(&Column::Tenant)
}
