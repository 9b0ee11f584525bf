//! Committing: the same changeset again while its fate is unknown.

use std::time::Duration;

use super::{Core, backoff::Backoff, meters};
use crate::{
    engine::EngineError,
    seams::{Changeset, Committed, Conflict, ErrorClass, StoreError},
};

/// How often a changeset of unknown fate is committed again before the caller hears of it, and how
/// often a call that lost a race decides again.
pub(crate) const RETRIES: usize = 5;

/// How long a store that did not answer is left alone before the changeset is committed again, at
/// first and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// What became of a changeset.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is applied.
    Applied,
    /// Something that it rests on has changed: read again, decide again.
    Conflict(Conflict),
}

/// Commits a changeset. One whose fate is unknown is committed again as it is, after a pause: stores
/// apply it once. From then on a store that is away says nothing of it, and is asked again, too; one
/// that was away from the start is the caller's to come back to.
///
/// # Errors
/// [`EngineError::Store`] for all but conflicts: `Indeterminate` if any try of it may have been applied.
pub(crate) async fn commit(core: &Core, changeset: Changeset) -> Result<Outcome, EngineError> {
    if changeset.is_empty() {
        return Ok(Outcome::Applied);
    }
    let mut backoff = Backoff::new(BACKOFF.0, BACKOFF.1);
    let mut unsettled = None;
    let mut tries = 0;
    loop {
        tries += 1;
        let error = match core.store.commit(changeset.clone()).await {
            Ok(Committed::Applied | Committed::Already) => {
                tell(&changeset);
                return Ok(Outcome::Applied);
            }
            Err(StoreError::Conflict(conflict)) => return Ok(Outcome::Conflict(conflict)),
            Err(error) => error,
        };
        let is_unsettled = unsettled.is_some() || error.class() == ErrorClass::Indeterminate;
        let first = unsettled.take().unwrap_or(error);
        if !is_unsettled || tries == RETRIES {
            return Err(first.into());
        }
        unsettled = Some(first);
        tracing::warn!(changeset = %changeset.id, tries, "the fate of a commit is unknown: committing it again");
        backoff.wait(&*core.clock).await;
    }
}

/// Says what was changed, to the log and to whoever counts. One place, so that nothing is counted
/// that was not committed.
fn tell(changeset: &Changeset) {
    meters::count(changeset);
    for change in &changeset.changes {
        tracing::debug!(
            kind = change.kind.as_str(),
            subject = ?change.write.entity().key(),
            actor = %changeset.actor,
            reason = change.facts.reason.as_deref(),
            "committed"
        );
    }
}
