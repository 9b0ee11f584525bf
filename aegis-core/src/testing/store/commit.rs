//! How mutants commit.

use std::{collections::HashSet, sync::atomic::Ordering, time::Duration};

use uuid::Uuid;

use super::{MutantStore, StoreMutation as M};
use crate::{
    model::{ChangesetId, EntityKey, Version},
    seams::{
        Change, Changeset, Claim, Committed, Conflict, Expect, HolderId, LeaseName, Scope, StoreError, Write,
    },
};

impl MutantStore {
    pub(super) async fn mutated_commit(&self, mut changeset: Changeset) -> Result<Committed, StoreError> {
        if let Some(answer) = self.answer_beforehand(&changeset) {
            return answer;
        }
        self.mutate(&mut changeset).await;
        match self.mutation {
            M::CommitsInPieces => self.commit_in_pieces(changeset).await,
            M::RepetitionsRace => self.commit_after_a_pause(changeset).await,
            M::UpdatesRace => self.update_after_a_pause(changeset).await,
            M::ConcurrentWritesAreLost => self.commit_if_alone(changeset).await,
            M::RefusalsAreRemembered | M::DeletedKeysStayTaken => self.commit_and_note(changeset).await,
            M::SealsAtOnce => {
                let answer = self.inner.commit(changeset).await?;
                self.seal_at_once().await?;
                Ok(answer)
            }
            _ => self.inner.commit(changeset).await,
        }
    }

    /// The answer of a mutant that does not even look.
    fn answer_beforehand(&self, changeset: &Changeset) -> Option<Result<Committed, StoreError>> {
        let notes = self.notes();
        match self.mutation {
            M::RefusalsAreRemembered if notes.changesets.contains(&changeset.id) => {
                Some(Ok(Committed::Already))
            }
            M::EmptyIsApplied if changeset.is_empty() => Some(Ok(Committed::Applied)),
            M::FencesNeverHold => {
                let name = changeset.fences.first()?.name.clone();
                Some(Err(StoreError::Conflict(Conflict::Fenced { name })))
            }
            M::DeletedKeysStayTaken => {
                let mut inserts =
                    changeset.changes.iter().filter(|change| matches!(change.write, Write::Insert(_)));
                let key = inserts.find_map(|change| notes.deleted.get(&change.write.entity().key()))?;
                Some(Err(StoreError::Conflict(Conflict::Exists { key: key.clone() })))
            }
            _ => None,
        }
    }

    async fn mutate(&self, changeset: &mut Changeset) {
        let mut changes = Vec::with_capacity(changeset.changes.len());
        for change in std::mem::take(&mut changeset.changes) {
            let Change { write, kind, facts } = change;
            changes.extend(self.mutated_write(write).await.map(|write| Change { write, kind, facts }));
        }
        changeset.changes = changes;
        match self.mutation {
            M::VersionsAreNotExpected => {
                changeset.expects.retain(|expect| matches!(expect, Expect::Absent(_)));
            }
            M::AbsencesAreNotExpected => {
                changeset.expects.retain(|expect| matches!(expect, Expect::Unchanged(..)));
            }
            M::ChangesetsAreForgotten => changeset.id = self.fresh_id(),
            M::PruningForgetsChangesets if self.pruned.load(Ordering::Relaxed) => {
                changeset.id = self.fresh_id();
            }
            M::MalformedIsAccepted => {
                let mut seen = HashSet::new();
                changeset.changes.retain(|change| seen.insert(change.write.entity().key()));
            }
            M::FencesAreIgnored => changeset.fences.clear(),
            M::FencesIgnoreGeneration => {
                let notes = self.notes();
                for fence in &mut changeset.fences {
                    fence.generation = notes.newest_generation(&fence.name).unwrap_or(fence.generation);
                }
            }
            _ => {}
        }
    }

    /// What becomes of a write; `None` if nothing does.
    async fn mutated_write(&self, write: Write) -> Option<Write> {
        let found = self.version(&write.entity().key()).await;
        Some(match (self.mutation, write, found) {
            (M::UpdatesDoNothing, Write::Update(..), _) | (M::DeletionsDoNothing, Write::Delete(..), _) => {
                return None;
            }
            (M::UpdatesIgnoreVersion, Write::Update(entity, _), Some(found)) => Write::Update(entity, found),
            (M::UpdatesRevive, Write::Update(entity, _), None) => Write::Insert(entity),
            (M::DeletionsIgnoreVersion, Write::Delete(entity, _), Some(found)) => {
                Write::Delete(entity, found)
            }
            (M::InsertsReplace, Write::Insert(entity), Some(found)) => Write::Update(entity, found),
            (_, write, _) => write,
        })
    }

    async fn version(&self, key: &EntityKey) -> Option<Version> {
        self.inner.get(&Scope::Everyone, key).await.ok().flatten().map(|(version, _)| version)
    }

    fn fresh_id(&self) -> ChangesetId {
        let number = self.next_id.fetch_add(1, Ordering::Relaxed);
        ChangesetId::from_uuid(Uuid::from_u128((1 << 120) + u128::from(number)))
    }

    async fn commit_in_pieces(&self, changeset: Changeset) -> Result<Committed, StoreError> {
        for change in changeset.changes.clone() {
            let piece = Changeset { id: self.fresh_id(), changes: vec![change], ..changeset.clone() };
            self.inner.commit(piece).await?;
        }
        Ok(Committed::Applied)
    }

    async fn commit_after_a_pause(&self, changeset: Changeset) -> Result<Committed, StoreError> {
        let asked = changeset.id;
        if self.notes().changesets.contains(&asked) {
            return Ok(Committed::Already);
        }
        pause().await;
        let answer = self.inner.commit(Changeset { id: self.fresh_id(), ..changeset }).await?;
        self.notes().changesets.insert(asked);
        Ok(answer)
    }

    async fn update_after_a_pause(&self, mut changeset: Changeset) -> Result<Committed, StoreError> {
        for change in &changeset.changes {
            if let Write::Update(entity, read) = &change.write
                && self.version(&entity.key()).await != Some(*read)
            {
                return self.inner.commit(changeset).await;
            }
        }
        pause().await;
        // Whoever comes in between meanwhile is overwritten, too.
        for _ in 0..8 {
            for change in &mut changeset.changes {
                if let Write::Update(entity, read) = &mut change.write {
                    *read = self.version(&entity.key()).await.unwrap_or(*read);
                }
            }
            match self.inner.commit(changeset.clone()).await {
                Err(StoreError::Conflict(Conflict::Changed { .. })) => {}
                answer => return answer,
            }
        }
        self.inner.commit(changeset).await
    }

    async fn commit_if_alone(&self, changeset: Changeset) -> Result<Committed, StoreError> {
        let beside = self.committing.fetch_add(1, Ordering::SeqCst);
        pause().await;
        let answer = if beside == 0 { self.inner.commit(changeset).await } else { Ok(Committed::Applied) };
        self.committing.fetch_sub(1, Ordering::SeqCst);
        answer
    }

    async fn commit_and_note(&self, changeset: Changeset) -> Result<Committed, StoreError> {
        let id = changeset.id;
        let deletions = changeset.changes.iter().filter(|change| matches!(change.write, Write::Delete(..)));
        let deleted: Vec<_> = deletions.map(|change| change.write.entity().key()).collect();
        let answer = self.inner.commit(changeset).await;
        let mut notes = self.notes();
        match answer {
            Ok(_) => notes.deleted.extend(deleted),
            Err(_) => drop(notes.changesets.insert(id)),
        }
        answer
    }

    async fn seal_at_once(&self) -> Result<(), StoreError> {
        let mutant = HolderId("mutant".to_owned());
        let claim = self.inner.claim(&LeaseName::sealer(), &mutant, Duration::from_secs(10)).await?;
        if let Claim::Granted(lease) = claim {
            self.inner.seal(&lease.fence, usize::MAX).await?;
            self.inner.release(&lease.fence).await?;
        }
        Ok(())
    }
}

/// Long enough for others to come in between.
pub(super) async fn pause() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}
