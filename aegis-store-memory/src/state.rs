//! What a store remembers, and how one entity is put in its place.

use std::collections::HashMap;

use aegis_core::{
    model::{Entity, EntityKey, Timestamp, Version},
    seams::{Monotonic, Scope, Write},
};

use crate::{
    applied::Applied, index::Index, lease::Leases, log::Log, progress::ProgressNotes, reader::Readers,
};

/// An entity at the version that it is at.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) version: Version,
    pub(crate) entity: Entity,
}

/// Everything that a store remembers.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) rows: HashMap<EntityKey, Row>,
    pub(crate) index: Index,
    pub(crate) applied: Applied,
    pub(crate) leases: Leases,
    pub(crate) log: Log,
    pub(crate) progress: ProgressNotes,
    pub(crate) readers: Readers,
}

impl State {
    /// The version that `key` is at, if it exists.
    pub(crate) fn version(&self, key: &EntityKey) -> Option<Version> {
        self.rows.get(key).map(|row| row.version)
    }

    /// One entity, if it exists in `scope`.
    pub(crate) fn get(&self, scope: &Scope, key: &EntityKey) -> Option<(Version, Entity)> {
        let row = self.rows.get(key)?;
        scope.covers(row.entity.tenant()).then(|| (row.version, row.entity.clone()))
    }

    /// Carries out a write that was checked.
    pub(crate) fn apply(&mut self, key: EntityKey, write: Write) {
        let after = write.after();
        match (write, after) {
            (Write::Insert(entity) | Write::Update(entity, _), Some(version)) => {
                self.put(key, Row { version, entity });
            }
            (Write::Insert(_) | Write::Update(..) | Write::Delete(..), _) => self.remove(&key),
        }
    }

    fn put(&mut self, key: EntityKey, row: Row) {
        let entity = row.entity.clone();
        let old = self.rows.insert(key, row);
        self.index.replace(old.as_ref().map(|row| &row.entity), Some(&entity));
    }

    fn remove(&mut self, key: &EntityKey) {
        let old = self.rows.remove(key);
        self.index.replace(old.as_ref().map(|row| &row.entity), None);
    }

    /// Forgets what nobody needs any more.
    pub(crate) fn prune(&mut self, now: Timestamp, reading: Monotonic) {
        for key in self.index.reservations_expired_by(now) {
            self.remove(&EntityKey::Reservation(key));
        }
        self.applied.prune(reading);
        self.progress.prune(reading);
    }
}
