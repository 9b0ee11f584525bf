//! Letting the event log's beginning go, where somebody said how long events are kept.
//!
//! What goes is verified first, and where that finds something, nothing goes. Then it is written
//! down in every location where the log will start, and only then does it start there. The object
//! lies at `<location>/metadata/aegis-log-start/<log>/<position>-<digest>.json`; its name says all
//! that is in it, and nothing of whose chains there are. So whoever writes to the store alone can't
//! let anything go unseen.

use std::{collections::BTreeSet, time::Duration};

use super::{
    Core,
    anchors::{self, list},
    delivery,
    figures::Counter,
    held::{HeldLease, Hold},
    keeper,
    verifier::Verifier,
};
use crate::{
    engine::EngineError,
    model::{ChainHash, Position, SealedEvent, Timestamp},
    seams::{LogStart, ObjectKey, ObjectStorage, ObjectStorageError, PutMode, Scope, report},
};

/// Where it lies below a location where the log starts.
pub(super) const FOLDER: &str = "metadata/aegis-log-start";
/// How many events go at a time at most.
const AT_A_TIME: u64 = 100_000;

/// What is written down of where the log starts.
#[derive(serde::Serialize)]
struct Vouched {
    position: Position,
    digest: ChainHash,
    at: Timestamp,
}

/// Lets go what is older than the options say, a part at a time.
pub(super) async fn let_go(core: &Core, lease: &mut HeldLease) -> Result<(), EngineError> {
    let Some(kept) = core.options.keep_events else { return Ok(()) };
    // Without storage nothing could vouch for it.
    while !core.locations.is_empty() && cut(core, lease, kept).await? {}
    Ok(())
}

/// Lets a part of the log's beginning go; whether there may be more.
async fn cut(core: &Core, lease: &mut HeldLease, kept: Duration) -> Result<bool, EngineError> {
    let now = core.clock.now();
    let old = now.saturating_sub(kept);
    let readers = Slowest::of(core, old.saturating_sub(kept)).await?;
    let head = core.store.head().await?;
    let before = core.store.log_start().await?.position;
    let most = Position(before.0.saturating_add(AT_A_TIME));
    let goes = |sealed: &SealedEvent| {
        sealed.event.at < old && sealed.position <= most && sealed.position < head && readers.are_past(sealed)
    };
    let first = core.store.events(&Scope::Everyone, before, 1).await?;
    if !first.first().is_some_and(goes) {
        return Ok(false);
    }
    let mut verifier = Verifier::begin(core, Scope::Everyone).await?;
    loop {
        let Hold::Ours(_) = lease.ensure(core).await? else { return Ok(false) };
        if !verifier.read(&goes).await? {
            break;
        }
    }
    let (start, verified) = verifier.so_far().await?;
    if let Some(finding) = verified.findings.first() {
        tracing::error!(%finding, "nothing of the event log is let go: it is not what was sealed");
        return Ok(false);
    }
    for location in &core.locations {
        vouch(&*location.storage, &start, now).await?;
    }
    core.store.cut_log(start.clone()).await?;
    tracing::info!(position = %start.position, "the event log's beginning was let go");
    for location in &core.locations {
        forget_earlier(&*location.storage, &start).await?;
    }
    Ok(start.position >= most)
}

/// How far the readers of the log have come that are behind.
struct Slowest {
    /// Of this engine: what they have not read stays.
    own: Position,
    /// Of those that this engine does not know, as of another replica's storage, or of a webhook that
    /// was taken away: they hold no event for longer than this.
    others: Position,
    held_until: Timestamp,
}

impl Slowest {
    async fn of(core: &Core, held_until: Timestamp) -> Result<Self, EngineError> {
        let known = core.store.readers().await?;
        let own: BTreeSet<String> = readers_of(core).collect();
        let slowest = own.iter().map(|name| known.get(name).copied().unwrap_or_default()).min();
        let others = known.iter().filter(|(name, _)| !own.contains(*name)).map(|(_, position)| *position);
        Ok(Self {
            own: slowest.unwrap_or(Position::START),
            others: others.min().unwrap_or(Position(u64::MAX)),
            held_until,
        })
    }

    fn are_past(&self, sealed: &SealedEvent) -> bool {
        sealed.position <= self.own && (sealed.position <= self.others || sealed.event.at < self.held_until)
    }
}

/// The names of everything in this engine that reads the log from where it was.
fn readers_of(core: &Core) -> impl Iterator<Item = String> {
    let locations = core.locations.iter().map(|location| location.storage.uri());
    let counters = Counter::ALL.into_iter().map(|counter| counter.name().to_owned());
    let notifiers = core.notifiers.iter().map(|notifier| delivery::reader_of(notifier.name()));
    counters
        .chain(locations.flat_map(|uri| [keeper::reader_of(uri), anchors::reader_of(uri)]))
        .chain(notifiers)
}

/// Whether a location vouches for where the log starts.
pub(super) async fn vouches(storage: &dyn ObjectStorage, start: &LogStart) -> Result<bool, EngineError> {
    match storage.head(&key_of(start)?).await {
        Ok(_) => Ok(true),
        Err(ObjectStorageError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn key_of(start: &LogStart) -> Result<ObjectKey, EngineError> {
    let digest = start.digest().map_err(|error| EngineError::Internal(error.to_string()))?;
    let key = format!("{}/{:020}-{digest}.json", folder_of(start)?, start.position.0);
    ObjectKey::new(key).map_err(|error| EngineError::Internal(error.to_string()))
}

fn folder_of(start: &LogStart) -> Result<ObjectKey, EngineError> {
    let log = start.log.map(|log| log.to_string()).unwrap_or_default();
    ObjectKey::new(format!("{FOLDER}/{log}")).map_err(|error| EngineError::Internal(error.to_string()))
}

/// Writes down where the log will start. Doing it twice is harmless.
async fn vouch(storage: &dyn ObjectStorage, start: &LogStart, at: Timestamp) -> Result<(), EngineError> {
    let internal = |error: serde_json::Error| EngineError::Internal(error.to_string());
    let vouched = Vouched { position: start.position, digest: start.digest().map_err(internal)?, at };
    let json = serde_json::to_vec(&vouched).map_err(internal)?;
    match storage.put(&key_of(start)?, json.into(), PutMode::Create).await {
        Ok(_) | Err(ObjectStorageError::AlreadyExists { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Removes what vouches for earlier starts, which nobody needs any more. One that is locked stays.
async fn forget_earlier(storage: &dyn ObjectStorage, start: &LogStart) -> Result<(), EngineError> {
    let own = key_of(start)?;
    for object in list(storage, &folder_of(start)?).await? {
        if object.key.as_str() < own.as_str()
            && let Err(error) = storage.delete(&object.key).await
        {
            tracing::debug!(key = %object.key, error = %report(&error), "an earlier start stays");
        }
    }
    Ok(())
}
