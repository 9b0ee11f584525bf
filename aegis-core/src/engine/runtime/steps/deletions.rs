//! Removing the data of records whose grace time is over.

use super::retention::is_frozen;
use crate::{
    engine::{
        EngineError,
        decide::{DeletionStep, deletion_operation},
        runtime::{Worker, delete_manifest, manifest::storage_of, worker::Interrupted},
    },
    model::{BackupRecord, Deletion, Policy, RecordLifecycle, RecordState, Versioned},
    seams::{Cursor, RecordQuery, Scope, StoreExt, Window},
};

/// How many records of a state one pass looks at.
const BATCH: usize = 256;

impl Worker {
    /// Begins to remove what may go, and looks at what is being removed.
    pub(crate) async fn delete_expired(&mut self) -> Result<(), Interrupted> {
        for record in self.due_records(RecordState::Deleting).await? {
            let RecordLifecycle::Deleting(deletion) = record.lifecycle.clone() else { continue };
            let done = self.watch_deletion(&record, &deletion).await;
            self.go_on(done)?;
        }
        for record in self.due_records(RecordState::Expired).await? {
            let done = self.begin_deletion(&record).await;
            self.go_on(done)?;
        }
        Ok(())
    }

    /// Records that leave and are due, from where the last pass left off: those that can't go yet,
    /// however many, hold up no other.
    async fn due_records(&mut self, state: RecordState) -> Result<Vec<Versioned<BackupRecord>>, Interrupted> {
        let mut query = RecordQuery::new(Scope::Everyone);
        query.cluster = Some(self.cluster.clone());
        query.states = vec![state];
        query.due_by = Some(self.core.clock.now());
        query.window = Window { after: self.leaving.remove(&state), ..Window::first(BATCH) };
        let due = self.core.store.records(&query).await?.items;
        if let Some(last) = due.last().filter(|_| due.len() == BATCH) {
            self.leaving.insert(state, Cursor { at: last.created_at, id: last.id.as_uuid() });
            self.polling = true;
        }
        Ok(due)
    }

    /// Decides once more, by the rules as they are now, and commits before the driver is called.
    async fn begin_deletion(&mut self, record: &Versioned<BackupRecord>) -> Result<(), Interrupted> {
        let policy = match record.policy {
            Some(id) => self.core.store.find::<Policy>(&Scope::Everyone, id).await?,
            None => None,
        };
        if is_frozen(&self.core, &record.tenant).await?
            || self.has_children(record).await?
            || !self.still_expires(record).await?
        {
            return Ok(());
        }
        match self.decider().begin_deletion(record, policy.as_ref()) {
            Ok(mut changeset) => {
                self.core.note_exposure(&mut changeset).await?;
                self.commit(changeset).await?;
                // What was committed is carried out by the next pass, soon.
                self.polling = true;
            }
            Err(guarded) => tracing::info!(record = %record.id, %guarded, "an expired record stays"),
        }
        Ok(())
    }

    /// Leaves go first.
    async fn has_children(&self, record: &BackupRecord) -> Result<bool, Interrupted> {
        let mut query = RecordQuery::new(Scope::Tenant(record.tenant.clone()));
        query.chain = Some(record.chain);
        query.states = vec![RecordState::Available, RecordState::Expired, RecordState::Deleting];
        let chain = self.core.store.records(&query).await?.items;
        Ok(chain.iter().any(|other| other.parent == Some(record.id)))
    }

    async fn still_expires(&self, record: &Versioned<BackupRecord>) -> Result<bool, Interrupted> {
        let RecordLifecycle::Expired { by, .. } = &record.lifecycle else { return Ok(false) };
        let kept = self.core.kept_from(record, by).await?;
        if let Some(why) = &kept {
            tracing::debug!(record = %record.id, %why, "a deletion was not begun");
        }
        Ok(kept.is_none())
    }

    /// The manifest goes first: without it nothing counts as a backup any more.
    async fn watch_deletion(
        &mut self,
        record: &Versioned<BackupRecord>,
        deletion: &Deletion,
    ) -> Result<(), Interrupted> {
        let Some(operation) = deletion_operation(record, deletion) else { return Ok(()) };
        let Some(observation) = self.observe(&operation).await? else { return Ok(()) };
        match self.decider().observe_deletion(record, deletion, observation)? {
            DeletionStep::Wait => {}
            DeletionStep::Start => {
                let failed = match self.delete_manifests(record).await {
                    Ok(()) => self.start(&operation).await?.err().map(EngineError::from),
                    Err(error) => Some(error),
                };
                if let Some(error) = failed {
                    let reason = crate::seams::report(&error).to_string();
                    tracing::warn!(record = %record.id, %reason, "the deletion of a record was not started");
                    let changeset = self.decider().postpone_deletion(record, deletion, reason);
                    self.commit(changeset).await?;
                }
            }
            DeletionStep::Commit(changeset) => {
                self.commit(changeset).await?;
            }
        }
        Ok(())
    }

    async fn delete_manifests(&self, record: &BackupRecord) -> Result<(), EngineError> {
        for copy in &record.copies {
            let (storage, key) = storage_of(&self.core, &copy.location, &record.artifact)?;
            delete_manifest(&**storage, &key).await?;
        }
        Ok(())
    }
}
