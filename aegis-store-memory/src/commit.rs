//! Commits: everything is checked before anything is changed.

use aegis_core::seams::{Changeset, Committed, Monotonic, StoreError};

use crate::state::State;

impl State {
    /// Applies a changeset, or leaves everything as it was.
    pub(crate) fn commit(&mut self, changeset: Changeset, now: Monotonic) -> Result<Committed, StoreError> {
        if self.applied.contains(changeset.id) {
            return Ok(Committed::Already);
        }
        changeset.check_form()?;
        for fence in &changeset.fences {
            self.leases.check(fence, now).map_err(StoreError::Conflict)?;
        }
        for expect in &changeset.expects {
            expect.check(self.version(expect.key())).map_err(StoreError::Conflict)?;
        }
        for change in &changeset.changes {
            let found = self.rows.get(&change.write.entity().key());
            change.write.check(found.map(|row| (row.version, row.entity.tenant())))?;
        }
        self.applied.note(changeset.id, now);
        for (write, event) in changeset.into_writes() {
            self.apply(event.subject.clone(), write);
            self.log.push(event);
        }
        Ok(Committed::Applied)
    }
}
