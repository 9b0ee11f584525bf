//! The repository's own lease: whoever makes a repository or removes data from it holds it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aegis_core::seams::{
    Clock, DriverError, ErrorClass, HeldLease, LeaseClaim, ObjectLease, ObjectLeaseError, ObjectStorage,
};
use tokio::sync::{Mutex, MutexGuard};

use crate::repository::{error, object_key};

/// Where the lease lies below its location.
const KEY: &str = "locks/repository.json";
/// How long the lease holds without being renewed.
const HOLD: Duration = Duration::from_secs(60);

/// A location's lease, as this process claims it. Kept for the driver's life: a claimant must have
/// watched another's silence before it takes over.
#[derive(Debug)]
pub(crate) struct RepositoryLease(Mutex<ObjectLease>);

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
}

impl RepositoryLease {
    pub(crate) fn new(storage: Arc<dyn ObjectStorage>, clock: Arc<dyn Clock>) -> Result<Self, DriverError> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        // Unique to this process' life, which is all that it must be.
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let holder = format!("{}-{}-{number}", std::process::id(), clock.now().as_micros());
        Ok(Self(Mutex::new(ObjectLease::new(storage, clock, object_key(KEY)?, holder, HOLD))))
    }

    /// Tries once to get the lease. Waits only for others of this process.
    pub(crate) async fn claim(&self) -> Result<Claim<'_>, DriverError> {
        let mut lease = self.0.lock().await;
        match lease.acquire().await {
            Ok(LeaseClaim::Held(held)) => Ok(Claim::Held(Held { lease, held })),
            Ok(LeaseClaim::Busy { .. }) => Ok(Claim::Busy),
            Err(cause) if cause.class() == ErrorClass::Unsupported => Ok(Claim::Unsupported),
            Err(cause) => Err(failure(cause)),
        }
    }
}

impl Held<'_> {
    /// How often to renew it.
    pub(crate) const RENEW_EVERY: Duration = Duration::from_secs(15);

    /// Keeps the lease; an error means that it can't be relied on any longer.
    pub(crate) async fn renew(&mut self) -> Result<(), DriverError> {
        self.lease.renew(&mut self.held).await.map_err(failure)
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
