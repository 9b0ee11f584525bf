//! The repository's own lease: whoever makes a repository or removes data from it holds it.

use std::{
    sync::{
        Arc, Mutex as Lock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aegis_core::seams::{
    Clock, DriverError, ErrorClass, HeldLease, LeaseClaim, Monotonic, ObjectLease, ObjectLeaseError,
    ObjectStorage,
};
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    control::lock,
    repository::{error, object_key},
};

/// Where the lease lies below its location.
const KEY: &str = "locks/repository.json";
/// How long the lease holds without being renewed.
const HOLD: Duration = Duration::from_secs(60);

/// A location's lease, as this process claims it. Kept for the driver's life: a claimant must have
/// watched another's silence before it takes over.
#[derive(Debug)]
pub(crate) struct RepositoryLease {
    lease: Mutex<ObjectLease>,
    clock: Arc<dyn Clock>,
}

/// What became of a claim.
#[derive(Debug)]
pub(crate) enum Claim<'a> {
    Held(Held<'a>),
    Busy,
    /// The storage has no compare-and-swap.
    Unsupported,
}

/// The held lease.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    lease: MutexGuard<'a, ObjectLease>,
    held: HeldLease,
    grip: Grip,
}

/// Whether a held lease can still be relied on, for the threads that work under it.
#[derive(Clone, Debug)]
pub(crate) struct Grip {
    good_until: Arc<Lock<Monotonic>>,
    clock: Arc<dyn Clock>,
}

impl Grip {
    /// Whether nobody else can hold the lease now.
    pub(crate) fn is_good(&self) -> bool {
        self.clock.monotonic() < *lock(&self.good_until)
    }
}

impl RepositoryLease {
    pub(crate) fn new(storage: Arc<dyn ObjectStorage>, clock: Arc<dyn Clock>) -> Result<Self, DriverError> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        // Unique to this process' life, which is all that it must be.
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let holder = format!("{}-{}-{number}", std::process::id(), clock.now().as_micros());
        let lease = ObjectLease::new(storage, Arc::clone(&clock), object_key(KEY)?, holder, HOLD);
        Ok(Self { lease: Mutex::new(lease), clock })
    }

    /// Tries once to get the lease, after others of this process that have it.
    pub(crate) async fn claim(&self) -> Result<Claim<'_>, DriverError> {
        self.acquire(self.lease.lock().await).await
    }

    /// Tries once to get the lease; busy, too, while others of this process have it.
    pub(crate) async fn try_claim(&self) -> Result<Claim<'_>, DriverError> {
        match self.lease.try_lock() {
            Ok(lease) => self.acquire(lease).await,
            Err(_) => Ok(Claim::Busy),
        }
    }

    async fn acquire<'a>(&self, mut lease: MutexGuard<'a, ObjectLease>) -> Result<Claim<'a>, DriverError> {
        match lease.acquire().await {
            Ok(LeaseClaim::Held(held)) => {
                let good_until = Arc::new(Lock::new(held.good_until()));
                let grip = Grip { good_until, clock: Arc::clone(&self.clock) };
                Ok(Claim::Held(Held { lease, held, grip }))
            }
            Ok(LeaseClaim::Busy { .. }) => Ok(Claim::Busy),
            Err(cause) if cause.class() == ErrorClass::Unsupported => Ok(Claim::Unsupported),
            Err(cause) => Err(failure(cause)),
        }
    }
}

impl Held<'_> {
    /// How often to renew it.
    pub(crate) const RENEW_EVERY: Duration = Duration::from_secs(15);

    /// What says whether it can still be relied on.
    pub(crate) fn grip(&self) -> Grip {
        self.grip.clone()
    }

    /// Keeps the lease. After an error it may be tried again while the lease is good; one that
    /// another has taken over is not good any more.
    pub(crate) async fn renew(&mut self) -> Result<(), DriverError> {
        let renewed = self.lease.renew(&mut self.held).await;
        let lost = renewed.as_ref().is_err_and(|error| error.class() == ErrorClass::VersionConflict);
        *lock(&self.grip.good_until) =
            if lost { Monotonic::from_elapsed(Duration::ZERO) } else { self.held.good_until() };
        renewed.map_err(failure)
    }

    /// Gives the lease back.
    pub(crate) async fn release(self) -> Result<(), DriverError> {
        self.lease.release(self.held).await.map_err(failure)
    }
}

fn failure(cause: ObjectLeaseError) -> DriverError {
    match cause {
        ObjectLeaseError::Storage(cause) => error::storage("claim the repository's lease", &Arc::new(cause)),
        other => DriverError::unavailable(format!("could not claim the repository's lease: {other}"))
            .with_suggestion("try again later; remove the lease's object only if nothing works there")
            .with_source(other),
    }
}

#[cfg(test)]
mod tests {
    use aegis_core::{
        model::Timestamp,
        testing::{ManualClock, MemoryObjectStorage},
    };

    use super::*;

    struct Two {
        clock: Arc<ManualClock>,
        ours: RepositoryLease,
        others: RepositoryLease,
    }

    fn two() -> Two {
        let clock = Arc::new(ManualClock::starting_at(Timestamp::UNIX_EPOCH));
        let uri = "file:///backups/".parse().unwrap();
        let time: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let storage: Arc<dyn ObjectStorage> = Arc::new(MemoryObjectStorage::new(uri, Arc::clone(&time)));
        let lease = || RepositoryLease::new(Arc::clone(&storage), Arc::clone(&time)).unwrap();
        Two { ours: lease(), others: lease(), clock }
    }

    async fn held(lease: &RepositoryLease) -> Held<'_> {
        match lease.try_claim().await.unwrap() {
            Claim::Held(held) => held,
            claim => panic!("{claim:?}"),
        }
    }

    #[tokio::test]
    async fn the_grip_ends_with_the_lease_though_nobody_renews_or_looks() {
        let two = two();
        let held = held(&two.ours).await;
        let grip = held.grip();
        two.clock.advance(HOLD - Duration::from_micros(1));
        assert!(grip.is_good());
        two.clock.advance(Duration::from_micros(1));
        assert!(!grip.is_good());
    }

    #[tokio::test]
    async fn renewing_prolongs_the_grip_of_those_who_have_it_already() {
        let two = two();
        let mut held = held(&two.ours).await;
        let grip = held.grip();
        two.clock.advance(HOLD / 2);
        held.renew().await.unwrap();
        two.clock.advance(HOLD / 2);
        assert!(grip.is_good());
    }

    #[tokio::test]
    async fn the_grip_ends_as_soon_as_a_takeover_is_seen() {
        let two = two();
        let mut late = held(&two.ours).await;
        let grip = late.grip();
        assert!(matches!(two.others.try_claim().await.unwrap(), Claim::Busy));
        two.clock.advance(HOLD);
        let _taken_over = held(&two.others).await;
        late.renew().await.unwrap_err();
        assert!(!grip.is_good());
    }

    #[tokio::test]
    async fn a_try_does_not_wait_for_others_of_the_same_process() {
        let two = two();
        let _held = held(&two.ours).await;
        assert!(matches!(two.ours.try_claim().await.unwrap(), Claim::Busy));
    }
}
