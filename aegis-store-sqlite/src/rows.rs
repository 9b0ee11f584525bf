//! Between entities and rows. A row is read back from its document alone.

use std::sync::Arc;

use aegis_core::{
    model::{Entity, EntityKey, EntityKind, Stored, Version, Versioned},
    seams::Value,
};
use sqlx::{Row, sqlite::SqliteRow};

use crate::{error::Fault, sql::Arg};

/// The values of the columns that identify what is under `key`.
pub(crate) fn key_values(key: &EntityKey) -> Vec<Arg<'_>> {
    match key {
        EntityKey::Job(id) => vec![Arg::Uuid(id.as_uuid())],
        EntityKey::Record(id) => vec![Arg::Uuid(id.as_uuid())],
        EntityKey::Plan(id) => vec![Arg::Uuid(id.as_uuid())],
        EntityKey::Execution(id) => vec![Arg::Uuid(id.as_uuid())],
        EntityKey::Policy(id) | EntityKey::PolicyState(id) => vec![Arg::Uuid(id.as_uuid())],
        EntityKey::Slot(slot) => {
            vec![Arg::Uuid(slot.policy.as_uuid()), Value::Instant(slot.nominal_at).into()]
        }
        EntityKey::Verification(id) => vec![Arg::Uuid(id.as_uuid())],
        EntityKey::DrTest(id) => vec![Arg::Uuid(id.as_uuid())],
        EntityKey::RetentionRun(id) => vec![Arg::Uuid(id.as_uuid())],
        EntityKey::ClusterState(cluster) => vec![cluster.as_str().into()],
        EntityKey::Reservation(key) => vec![key.as_str().into()],
    }
}

/// The names of a kind's columns, in the order of [`values`].
pub(crate) fn columns(kind: EntityKind) -> Vec<&'static str> {
    let keys = kind.key_columns().iter().map(|column| column.name());
    let others = kind.columns().iter().map(|column| column.name());
    keys.chain(["version"]).chain(others).chain(["document"]).collect()
}

/// A whole row.
pub(crate) fn values(version: Version, entity: &Entity) -> Result<Vec<Arg<'_>>, Fault> {
    let kind = entity.key().kind();
    let value = |column: &_| Arg::from(entity.value(*column));
    let document = entity
        .to_document()
        .map_err(|error| Fault::Unsound(format!("{:?} can't be written down: {error}", entity.key())))?;
    let mut row: Vec<_> = kind.key_columns().iter().map(value).collect();
    row.push(signed(version.0)?.into());
    row.extend(kind.columns().iter().map(value));
    row.push(Arg::Text(document.into()));
    Ok(row)
}

/// The entity of a row that begins with version and document.
pub(crate) fn entity(kind: EntityKind, row: &SqliteRow) -> Result<(Version, Entity), Fault> {
    let version = Version(unsigned(row.try_get(0)?)?);
    let document: &str = row.try_get(1)?;
    let entity = Entity::from_document(kind, document).map_err(|error| {
        Fault::Unsound(format!("a {kind} at version {version} does not read back: {error}"))
    })?;
    Ok((version, entity))
}

/// The same, as its type.
pub(crate) fn versioned<T: Stored>(row: &SqliteRow) -> Result<Versioned<T>, Fault> {
    let (version, entity) = entity(T::KIND, row)?;
    let value: Option<Arc<T>> = T::from_entity(entity);
    let value = value.ok_or_else(|| Fault::Unsound(format!("a {} is something else", T::KIND)))?;
    Ok(Versioned { version, value })
}

/// A count as SQLite keeps it.
pub(crate) fn signed(number: u64) -> Result<i64, Fault> {
    i64::try_from(number).map_err(|_| Fault::Unsound(format!("{number} is more than can be counted")))
}

/// A count as it was kept.
pub(crate) fn unsigned(number: i64) -> Result<u64, Fault> {
    u64::try_from(number).map_err(|_| Fault::Unsound(format!("a count of {number}")))
}
