//! A lease that lies in object storage, beside the data that it guards.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    Clock, ErrorClass, Monotonic, ObjectKey, ObjectStorage, ObjectStorageError, ObjectVersion, PutMode,
    Source,
};
use crate::model::StorageUri;

/// One claimant of one lease.
///
/// The lease is an object that is only ever created conditionally and compared-and-swapped. It holds
/// its holder, its generation and a heartbeat, and no time of day, so no two clocks are compared:
/// whoever sees it unchanged for its whole duration, by a monotonic clock of its own, may take it
/// over. The holder counts from before its write and a claimant from after its read, so the holder
/// knows first.
///
/// What a holder does while it is paused can't be stopped by any lease: work that may not overlap
/// checks [`HeldLease::is_good`] before each step, and is safe to be late by a step.
///
/// The holder's name must be unique to a process' life: a claim under the same name takes the lease
/// at once, which is how a claim whose answer was lost is settled.
#[derive(Debug)]
pub struct ObjectLease {
    storage: Arc<dyn ObjectStorage>,
    clock: Arc<dyn Clock>,
    key: ObjectKey,
    holder: String,
    duration: Duration,
    watched: Option<Watched>,
}

/// Another's lease, and since when it was seen unchanged.
#[derive(Debug)]
struct Watched {
    version: ObjectVersion,
    since: Monotonic,
}

/// What the object says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Content {
    holder: String,
    generation: u64,
    /// Grows with each renewal, so that storages that hash tell them apart.
    heartbeat: u64,
    duration_ms: u64,
    released: bool,
}

/// What became of a claim.
#[derive(Debug)]
pub enum LeaseClaim {
    /// It is ours.
    Held(HeldLease),
    /// It is another's.
    Busy {
        /// Whose, unless it was taken just now.
        holder: Option<String>,
        /// It can't be free by silence before this time has passed; claim again then.
        retry_after: Duration,
    },
}

/// A lease that we hold, or held.
#[derive(Debug)]
pub struct HeldLease {
    content: Content,
    version: ObjectVersion,
    good_until: Monotonic,
}

impl HeldLease {
    /// Which holding this is; each next holder has a greater one.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.content.generation
    }

    /// Until when nobody else can hold it, by the clock that the claim was made with.
    #[must_use]
    pub const fn good_until(&self) -> Monotonic {
        self.good_until
    }

    /// Whether it can be relied on at `now`.
    #[must_use]
    pub fn is_good(&self, now: Monotonic) -> bool {
        now < self.good_until
    }
}

/// Why a lease could not be claimed, renewed or released.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectLeaseError {
    /// Another has taken it over. Class `VersionConflict`.
    #[error("the lease `{key}` in {location} was taken over; stop what it guards and claim it again")]
    Lost {
        /// The location.
        location: StorageUri,
        /// The lease's key.
        key: String,
    },
    /// What lies at the key is no lease. Class `Internal`.
    #[error("object `{key}` in {location} is no lease; remove it once nothing works there")]
    Malformed {
        /// The location.
        location: StorageUri,
        /// The lease's key.
        key: String,
        /// The cause.
        source: Source,
    },
    /// The storage failed. Class as the storage's.
    #[error(transparent)]
    Storage(#[from] ObjectStorageError),
}

impl ObjectLeaseError {
    /// What a caller can do about it.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Lost { .. } => ErrorClass::VersionConflict,
            Self::Malformed { .. } => ErrorClass::Internal,
            Self::Storage(error) => error.class(),
        }
    }
}

impl ObjectLease {
    /// A claimant named `holder` that wants the lease at `key` for `duration` at a time.
    ///
    /// Touches nothing yet.
    #[must_use]
    pub fn new(
        storage: Arc<dyn ObjectStorage>,
        clock: Arc<dyn Clock>,
        key: ObjectKey,
        holder: impl Into<String>,
        duration: Duration,
    ) -> Self {
        Self { storage, clock, key, holder: holder.into(), duration, watched: None }
    }

    /// Tries once to get the lease: if nobody has it, if it was released, if it is ours already, or
    /// if this claimant has seen it unchanged for its whole duration.
    ///
    /// Needs conditional create and compare-and-swap. Cancel safe: a claim that took effect unseen
    /// is settled by the next one under the same name.
    ///
    /// # Errors
    /// `Unsupported` (no compare-and-swap), `Internal` (no lease lies there), and those of
    /// [`ObjectStorage::put`] and [`ObjectStorage::get`]; after `Indeterminate` claim again.
    pub async fn acquire(&mut self) -> Result<LeaseClaim, ObjectLeaseError> {
        let before = self.clock.monotonic();
        let found = match self.read().await {
            Ok(found) => Some(found),
            Err(ObjectLeaseError::Storage(error)) if error.class() == ErrorClass::NotFound => None,
            Err(error) => return Err(error),
        };
        let Some((content, version)) = found else {
            return self.take(1, PutMode::Create).await;
        };
        let is_free = content.released || content.holder == self.holder;
        match self.silence_left(&content, &version, before) {
            Some(retry_after) if !is_free => {
                Ok(LeaseClaim::Busy { holder: Some(content.holder), retry_after })
            }
            Some(_) | None => self.take(content.generation + 1, PutMode::Update(version)).await,
        }
    }

    /// Keeps the lease for another duration from now, if nobody has taken it over.
    ///
    /// Idempotent; after an error other than `VersionConflict` it may be tried again while the lease
    /// [`is_good`](HeldLease::is_good).
    ///
    /// # Errors
    /// `VersionConflict` (lost), and those of [`acquire`](Self::acquire).
    pub async fn renew(&self, held: &mut HeldLease) -> Result<(), ObjectLeaseError> {
        let before = self.clock.monotonic();
        self.swap(held, false).await?;
        held.good_until = before.after(self.duration);
        Ok(())
    }

    /// Gives the lease back, so that the next claim gets it at once. One that was lost is success.
    ///
    /// # Errors
    /// Those of [`acquire`](Self::acquire); the lease then ends by silence.
    pub async fn release(&self, mut held: HeldLease) -> Result<(), ObjectLeaseError> {
        match self.swap(&mut held, true).await {
            Ok(()) | Err(ObjectLeaseError::Lost { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// How long the lease must still stay unchanged before it may be taken; `None` if long enough.
    fn silence_left(
        &mut self,
        content: &Content,
        version: &ObjectVersion,
        before: Monotonic,
    ) -> Option<Duration> {
        let needed = Duration::from_millis(content.duration_ms);
        match &self.watched {
            Some(watched) if watched.version == *version => {
                let left = needed.saturating_sub(before.since(watched.since));
                (!left.is_zero()).then_some(left)
            }
            Some(_) | None => {
                // Counted from after the read: its writer counts from before the write.
                self.watched = Some(Watched { version: version.clone(), since: self.clock.monotonic() });
                Some(needed)
            }
        }
    }

    async fn take(&mut self, generation: u64, mode: PutMode) -> Result<LeaseClaim, ObjectLeaseError> {
        let before = self.clock.monotonic();
        let content = Content {
            holder: self.holder.clone(),
            generation,
            heartbeat: 0,
            duration_ms: u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX),
            released: false,
        };
        match self.write(&content, mode).await {
            Ok(version) => {
                self.watched = None;
                Ok(LeaseClaim::Held(HeldLease { content, version, good_until: before.after(self.duration) }))
            }
            Err(ObjectLeaseError::Storage(error))
                if matches!(error.class(), ErrorClass::AlreadyExists | ErrorClass::VersionConflict) =>
            {
                // Another was quicker; who it is shows when we look again.
                Ok(LeaseClaim::Busy { holder: None, retry_after: Duration::ZERO })
            }
            Err(error) => Err(error),
        }
    }

    /// Writes the next heartbeat over the version that we know, or over one of our own whose answer
    /// was lost.
    async fn swap(&self, held: &mut HeldLease, released: bool) -> Result<(), ObjectLeaseError> {
        for _ in 0..2 {
            let next = Content { heartbeat: held.content.heartbeat + 1, released, ..held.content.clone() };
            match self.write(&next, PutMode::Update(held.version.clone())).await {
                Ok(version) => {
                    (held.content, held.version) = (next, version);
                    return Ok(());
                }
                Err(ObjectLeaseError::Storage(error)) if error.class() == ErrorClass::VersionConflict => {
                    (held.content, held.version) = self.find_ours(held.content.generation).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Err(self.lost())
    }

    async fn find_ours(&self, generation: u64) -> Result<(Content, ObjectVersion), ObjectLeaseError> {
        match self.read().await {
            Ok((content, version)) if content.holder == self.holder && content.generation == generation => {
                Ok((content, version))
            }
            Ok(_) => Err(self.lost()),
            Err(ObjectLeaseError::Storage(error)) if error.class() == ErrorClass::NotFound => {
                Err(self.lost())
            }
            Err(error) => Err(error),
        }
    }

    async fn read(&self) -> Result<(Content, ObjectVersion), ObjectLeaseError> {
        let (meta, bytes) = self.storage.get(&self.key).await?;
        let content = serde_json::from_slice(&bytes).map_err(|error| self.malformed(error))?;
        Ok((content, meta.version))
    }

    async fn write(&self, content: &Content, mode: PutMode) -> Result<ObjectVersion, ObjectLeaseError> {
        let bytes = serde_json::to_vec(content).map_err(|error| self.malformed(error))?;
        Ok(self.storage.put(&self.key, bytes.into(), mode).await?)
    }

    fn lost(&self) -> ObjectLeaseError {
        ObjectLeaseError::Lost { location: self.storage.uri().clone(), key: self.key.to_string() }
    }

    fn malformed(&self, source: serde_json::Error) -> ObjectLeaseError {
        ObjectLeaseError::Malformed {
            location: self.storage.uri().clone(),
            key: self.key.to_string(),
            source: source.into(),
        }
    }
}
