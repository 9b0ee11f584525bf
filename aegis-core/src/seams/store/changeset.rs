//! The one way to change what matters.

use std::collections::HashSet;

use super::{Conflict, Fence, StoreError};
use crate::model::{
    ChangesetId, Entity, EntityKey, Event, EventFacts, EventId, EventKind, Principal, Stored, TenantId,
    Timestamp, Version, Versioned,
};

/// Changes that are applied together or not at all, with what they rest on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changeset {
    /// Its identity: a changeset is applied once, however often it is committed.
    pub id: ChangesetId,
    /// Who does it.
    pub actor: Principal,
    /// When it was decided.
    pub at: Timestamp,
    /// The writes, each with its event. At most one per entity.
    pub changes: Vec<Change>,
    /// What must still hold of entities that are not written.
    pub expects: Vec<Expect>,
    /// Leases that must still be held.
    pub fences: Vec<Fence>,
}

/// One write and the event that tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The write.
    pub write: Write,
    /// What happened.
    pub kind: EventKind,
    /// The particulars.
    pub facts: EventFacts,
}

/// A write of a whole entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// It does not exist yet.
    Insert(Entity),
    /// It replaces the version that was read.
    Update(Entity, Version),
    /// It removes the version that was read.
    Delete(Entity, Version),
}

impl Write {
    /// The entity that is written or removed.
    #[must_use]
    pub const fn entity(&self) -> &Entity {
        match self {
            Self::Insert(entity) | Self::Update(entity, _) | Self::Delete(entity, _) => entity,
        }
    }

    /// The version that it replaces, if it replaces one.
    #[must_use]
    pub const fn before(&self) -> Option<Version> {
        match self {
            Self::Insert(_) => None,
            Self::Update(_, read) | Self::Delete(_, read) => Some(*read),
        }
    }

    /// The version that it leaves, if it leaves one.
    #[must_use]
    pub const fn after(&self) -> Option<Version> {
        match self {
            Self::Insert(_) => Some(Version::FIRST),
            Self::Update(_, read) => Some(read.next()),
            Self::Delete(..) => None,
        }
    }

    /// Whether it may be made where `found` is what is there under its key, for stores: the version
    /// and whose it is.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::Malformed`] if it would go to another tenant.
    pub fn check(&self, found: Option<(Version, Option<&TenantId>)>) -> Result<(), StoreError> {
        let entity = self.entity();
        let expect = match self {
            Self::Insert(_) => Expect::Absent(entity.key()),
            Self::Update(_, read) | Self::Delete(_, read) => Expect::Unchanged(entity.key(), *read),
        };
        expect.check(found.map(|(version, _)| version)).map_err(StoreError::Conflict)?;
        match found {
            Some((_, owner)) if owner != entity.tenant() => Err(StoreError::Malformed {
                reason: format!("{:?} can't go to another tenant", entity.key()),
            }),
            Some(_) | None => Ok(()),
        }
    }
}

/// What a decision rests on without changing it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The entity is still at this version.
    Unchanged(EntityKey, Version),
    /// There still is no such entity.
    Absent(EntityKey),
}

impl Expect {
    /// Which entity it is about.
    #[must_use]
    pub const fn key(&self) -> &EntityKey {
        match self {
            Self::Unchanged(key, _) | Self::Absent(key) => key,
        }
    }

    /// Whether it holds where `found` is the version that is there, for stores.
    ///
    /// # Errors
    /// [`Conflict`] if it does not.
    pub fn check(&self, found: Option<Version>) -> Result<(), Conflict> {
        match (self, found) {
            (Self::Unchanged(_, expected), Some(found)) if found == *expected => Ok(()),
            (Self::Unchanged(key, expected), found) => {
                Err(Conflict::Changed { key: key.clone(), expected: *expected, found })
            }
            (Self::Absent(_), None) => Ok(()),
            (Self::Absent(key), Some(_)) => Err(Conflict::Exists { key: key.clone() }),
        }
    }
}

impl Changeset {
    /// A changeset without changes yet.
    #[must_use]
    pub const fn new(id: ChangesetId, actor: Principal, at: Timestamp) -> Self {
        Self { id, actor, at, changes: Vec::new(), expects: Vec::new(), fences: Vec::new() }
    }

    /// Inserts `entity`.
    pub fn insert(&mut self, entity: impl Into<Entity>, kind: EventKind, facts: EventFacts) {
        self.changes.push(Change { write: Write::Insert(entity.into()), kind, facts });
    }

    /// Replaces the entity that was read at version `read`.
    pub fn update(&mut self, read: Version, entity: impl Into<Entity>, kind: EventKind, facts: EventFacts) {
        self.changes.push(Change { write: Write::Update(entity.into(), read), kind, facts });
    }

    /// Removes the entity that was read.
    pub fn delete<T: Stored>(&mut self, read: &Versioned<T>, kind: EventKind, facts: EventFacts)
    where
        Entity: From<std::sync::Arc<T>>,
    {
        let entity = Entity::from(std::sync::Arc::clone(&read.value));
        self.changes.push(Change { write: Write::Delete(entity, read.version), kind, facts });
    }

    /// Rests on `key` being at `version` still.
    pub fn expect_unchanged(&mut self, key: EntityKey, version: Version) {
        self.expects.push(Expect::Unchanged(key, version));
    }

    /// Rests on there being no `key` still.
    pub fn expect_absent(&mut self, key: EntityKey) {
        self.expects.push(Expect::Absent(key));
    }

    /// Rests on a lease being held still.
    pub fn fence(&mut self, fence: Fence) {
        self.fences.push(fence);
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Whether its form is sound: no entity is written twice. For stores.
    ///
    /// # Errors
    /// [`StoreError::Malformed`].
    pub fn check_form(&self) -> Result<(), StoreError> {
        let keys: Vec<_> = self.changes.iter().map(|change| change.write.entity().key()).collect();
        match written_twice(&keys) {
            None => Ok(()),
            Some(key) => Err(StoreError::Malformed { reason: format!("{key:?} is written twice") }),
        }
    }

    /// Its writes, each with its event, for stores.
    pub fn into_writes(self) -> impl Iterator<Item = (Write, Event)> {
        let Self { id, actor, at, changes, expects: _, fences: _ } = self;
        changes.into_iter().zip(0u32..).map(move |(change, index)| {
            let Change { write, kind, facts } = change;
            let event = Event {
                id: EventId { changeset: id, index },
                tenant: write.entity().tenant().cloned(),
                kind,
                actor: actor.clone(),
                at,
                subject: write.entity().key(),
                before: write.before(),
                after: write.after(),
                facts,
            };
            (write, event)
        })
    }
}

/// Most changesets are so small that looking at each pair is cheaper than hashing.
fn written_twice(keys: &[EntityKey]) -> Option<&EntityKey> {
    const FEW: usize = 8;
    if keys.len() <= FEW {
        let earlier =
            |(place, key): &(usize, &EntityKey)| keys.iter().take(*place).any(|other| other == *key);
        return keys.iter().enumerate().find(earlier).map(|(_, key)| key);
    }
    let mut seen = HashSet::with_capacity(keys.len());
    keys.iter().find(|key| !seen.insert(*key))
}

/// The answer to a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// It was applied now.
    Applied,
    /// It was applied before; nothing happened now.
    Already,
}
