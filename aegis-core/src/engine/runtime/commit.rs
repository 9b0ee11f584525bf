//! Committing: the same changeset again while its fate is unknown.

use super::Core;
use crate::{
    engine::EngineError,
    seams::{Changeset, Committed, Conflict, ErrorClass, StoreError},
};

/// How often a changeset of unknown fate is committed again before the caller hears of it, and how
/// often a call that lost a race decides again.
pub(crate) const RETRIES: usize = 5;

/// What became of a changeset.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is applied.
    Applied,
    /// Something that it rests on has changed: read again, decide again.
    Conflict(Conflict),
}

/// Commits a changeset. One whose fate is unknown is committed again as it is: stores apply it once.
///
/// # Errors
/// [`EngineError::Store`] for all but conflicts.
pub(crate) async fn commit(core: &Core, changeset: Changeset) -> Result<Outcome, EngineError> {
    if changeset.is_empty() {
        return Ok(Outcome::Applied);
    }
    let mut tries = 0;
    loop {
        tries += 1;
        match core.store.commit(changeset.clone()).await {
            Ok(Committed::Applied | Committed::Already) => {
                core.committed.notify_one();
                return Ok(Outcome::Applied);
            }
            Err(StoreError::Conflict(conflict)) => return Ok(Outcome::Conflict(conflict)),
            Err(error) if error.class() == ErrorClass::Indeterminate && tries < RETRIES => {
                tracing::warn!(changeset = %changeset.id, tries, "the fate of a commit is unknown: committing it again");
            }
            Err(error) => return Err(error.into()),
        }
    }
}
