//! Commits: everything is checked before anything is changed.

use std::collections::HashSet;

use aegis_core::{
    model::{Entity, EntityKey, Version},
    seams::{Changeset, Committed, Conflict, Expect, Monotonic, StoreError, Write},
};

use crate::state::State;

impl State {
    /// Applies a changeset, or leaves everything as it was.
    pub(crate) fn commit(&mut self, changeset: Changeset, now: Monotonic) -> Result<Committed, StoreError> {
        if self.applied.contains(changeset.id) {
            return Ok(Committed::Already);
        }
        check_form(&changeset)?;
        for fence in &changeset.fences {
            self.leases.check(fence, now).map_err(StoreError::Conflict)?;
        }
        for expect in &changeset.expects {
            self.check_expect(expect).map_err(StoreError::Conflict)?;
        }
        for change in &changeset.changes {
            self.check_write(&change.write)?;
        }
        self.applied.note(changeset.id, now);
        for (write, event) in changeset.into_writes() {
            self.apply(event.subject.clone(), write);
            self.log.push(event);
        }
        Ok(Committed::Applied)
    }

    fn check_expect(&self, expect: &Expect) -> Result<(), Conflict> {
        match expect {
            Expect::Unchanged(key, version) => self.check_version(key, *version),
            Expect::Absent(key) => self.check_absent(key),
        }
    }

    fn check_write(&self, write: &Write) -> Result<(), StoreError> {
        let key = write.entity().key();
        match write {
            Write::Insert(_) => self.check_absent(&key).map_err(StoreError::Conflict),
            Write::Update(entity, read) | Write::Delete(entity, read) => {
                self.check_version(&key, *read).map_err(StoreError::Conflict)?;
                self.check_owner(&key, entity)
            }
        }
    }

    fn check_absent(&self, key: &EntityKey) -> Result<(), Conflict> {
        match self.version(key) {
            None => Ok(()),
            Some(_) => Err(Conflict::Exists { key: key.clone() }),
        }
    }

    fn check_version(&self, key: &EntityKey, expected: Version) -> Result<(), Conflict> {
        match self.version(key) {
            Some(found) if found == expected => Ok(()),
            found => Err(Conflict::Changed { key: key.clone(), expected, found }),
        }
    }

    fn check_owner(&self, key: &EntityKey, entity: &Entity) -> Result<(), StoreError> {
        match self.rows.get(key) {
            Some(row) if row.entity.tenant() != entity.tenant() => {
                Err(StoreError::Malformed { reason: format!("{key:?} can't go to another tenant") })
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Checks that no entity is written twice.
fn check_form(changeset: &Changeset) -> Result<(), StoreError> {
    let keys: Vec<_> = changeset.changes.iter().map(|change| change.write.entity().key()).collect();
    match written_twice(&keys) {
        None => Ok(()),
        Some(key) => Err(StoreError::Malformed { reason: format!("{key:?} is written twice") }),
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
