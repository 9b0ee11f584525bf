//! Removing from a repository what no record needs any more, without harm to what runs beside.
//!
//! rustic takes no locks, so three things keep a backup's data safe from a prune beside it:
//!
//! 1. Only who holds the repository's lease prunes.
//! 2. A prune and a backup each write a note that they begin, and then look for the other's: one of
//!    the two always sees the other and steps back.
//! 3. Two phases: what is needed no more is marked first, and removed by a later prune once the
//!    mark is older than the longest permitted backup and a day. A backup that still needs what is
//!    marked brings it back.
//!
//! Nobody may run restic's or rustic's own `prune` on the same repository.

use std::{sync::Arc, time::Duration};

use aegis_core::seams::DriverError;
use futures::future::{Either, select};
use rustic_core::{PruneOptions, jiff::Span};

use crate::{
    control::{Control, Stop},
    lease::{Claim, Grip, Held},
    operations::Operations,
    repository::{Location, attempt, session::Session},
};

/// The least time between marking and removing.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Pruning reads every directory of every snapshot, so it is not done after each deletion.
const INTERVAL: Duration = Duration::from_secs(3600);

/// What became of a prune.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pruned {
    /// It was done: marked, and what was marked long enough ago removed.
    Done,
    /// Not now: a backup runs, or someone else prunes.
    Busy,
    /// The storage has no compare-and-swap, so nobody may prune.
    Unsupported,
}

/// Prunes unless that was done within the last hour. Blocks.
pub(crate) fn after_deletion(
    location: &Location,
    longest_job: Duration,
    control: &Arc<Control>,
) -> Result<(), Stop> {
    let operations = Operations::new(Arc::clone(&location.storage));
    let last = location.runtime.block_on(operations.pruned_at())?;
    if last.is_some_and(|last| location.clock.now().since(last) < INTERVAL) {
        return Ok(());
    }
    prune(location, longest_job, control).map(drop)
}

/// Prunes. Blocks.
pub(crate) fn prune(
    location: &Location,
    longest_job: Duration,
    control: &Arc<Control>,
) -> Result<Pruned, Stop> {
    let held = match location.runtime.block_on(location.lease.try_claim())? {
        Claim::Held(held) => held,
        Claim::Busy => return Ok(Pruned::Busy),
        Claim::Unsupported => return Ok(Pruned::Unsupported),
    };
    location.runtime.block_on(prune_holding(location, longest_job, control, held))
}

/// Prunes on a thread of its own while the lease is kept; once it can't be, the session
/// lets no write and no removal through.
async fn prune_holding(
    location: &Location,
    longest_job: Duration,
    control: &Arc<Control>,
    mut held: Held<'_>,
) -> Result<Pruned, Stop> {
    let operations = Operations::new(Arc::clone(&location.storage));
    operations.begin_prune(location.clock.now()).await?;
    let (there, steering) = (location.clone(), Arc::clone(control));
    let grip = held.grip();
    let mut work = location.runtime.spawn_blocking(move || prune_alone(&there, longest_job, &steering, grip));
    let done = loop {
        let tick = location.clock.sleep(Held::RENEW_EVERY);
        match select(&mut work, tick).await {
            Either::Left((done, _)) => break done,
            Either::Right(((), _)) => {
                if let Err(error) = held.renew().await {
                    let still_good = held.grip().is_good();
                    tracing::warn!(%error, still_good, location = %location.uri(), "could not keep the lease while pruning");
                }
            }
        }
    };
    // Once another has the lease, the note is the other's; whoever comes next clears it.
    let noted = if held.renew().await.is_ok() { operations.end_prune().await } else { Ok(()) };
    let released = held.release().await;
    let pruned = done.map_err(|cause| {
        DriverError::internal("the repository's engine broke off while it pruned").with_source(cause)
    })??;
    noted?;
    released?;
    Ok(pruned)
}

/// Blocks.
fn prune_alone(
    location: &Location,
    longest_job: Duration,
    control: &Arc<Control>,
    grip: Grip,
) -> Result<Pruned, Stop> {
    let operations = Operations::new(Arc::clone(&location.storage));
    let since = location.clock.now().saturating_sub(longest_job);
    if !location.runtime.block_on(operations.running_backups(since))?.is_empty() {
        return Ok(Pruned::Busy);
    }
    let session = Session::under(Arc::clone(control), grip);
    let repository = location.open(&session)?;
    let options = options(longest_job);
    attempt(&session, "remove from the repository what no record needs", || {
        let plan = repository.prune_plan(&options)?;
        repository.prune(&options, plan)
    })?;
    location.runtime.block_on(operations.set_pruned(location.clock.now()))?;
    Ok(Pruned::Done)
}

fn options(longest_job: Duration) -> PruneOptions {
    let keep = longest_job.saturating_add(DAY).as_secs();
    let keep = i64::try_from(keep).unwrap_or(i64::MAX).min(365 * 86_400);
    PruneOptions::default().keep_delete(Span::new().seconds(keep))
}
