//! What one opening of a repository remembers beside rustic: why it stopped.

use std::sync::{Arc, Mutex};

use aegis_core::seams::{DriverError, ObjectStorageError};
use rustic_core::{ErrorKind, RusticError};

use crate::{
    control::{Control, Stop, lock},
    lease::Grip,
};

/// Called before a snapshot is written; its error keeps the snapshot from being written.
type BeforeSnapshot = Box<dyn FnOnce() -> Result<(), Stop> + Send>;

/// One opening of a repository.
///
/// rustic reports some failures as log lines only and goes on, so the backend keeps the first one
/// here, and refuses every later write: work that lost a write leaves no snapshot.
pub(crate) struct Session {
    pub(crate) control: Arc<Control>,
    /// The lease that it works under, if it needs one.
    grip: Option<Grip>,
    failure: Mutex<Option<Arc<ObjectStorageError>>>,
    stop: Mutex<Option<Stop>>,
    before_snapshot: Mutex<Option<BeforeSnapshot>>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("control", &self.control).finish_non_exhaustive()
    }
}

impl Session {
    /// A session for work that `control` steers.
    pub(crate) fn new(control: Arc<Control>) -> Arc<Self> {
        Self::with(control, None)
    }

    /// A session that may write only while it can rely on the repository's lease.
    pub(crate) fn under(control: Arc<Control>, grip: Grip) -> Arc<Self> {
        Self::with(control, Some(grip))
    }

    fn with(control: Arc<Control>, grip: Option<Grip>) -> Arc<Self> {
        Arc::new(Self {
            control,
            grip,
            failure: Mutex::new(None),
            stop: Mutex::new(None),
            before_snapshot: Mutex::new(None),
        })
    }

    /// Has `hook` called once, right before a snapshot is written.
    pub(crate) fn before_snapshot(&self, hook: impl FnOnce() -> Result<(), Stop> + Send + 'static) {
        *lock(&self.before_snapshot) = Some(Box::new(hook));
    }

    /// Runs the hook, if one is set.
    pub(crate) fn run_before_snapshot(&self) -> Result<(), Box<RusticError>> {
        let Some(hook) = lock(&self.before_snapshot).take() else { return Ok(()) };
        hook().map_err(|stop| {
            *lock(&self.stop) = Some(stop);
            RusticError::new(ErrorKind::Backend, "The snapshot was not written.")
        })
    }

    /// Whether the lease that it needs can't be relied on any more.
    pub(crate) fn has_lost_its_lease(&self) -> bool {
        self.grip.as_ref().is_some_and(|grip| !grip.is_good())
    }

    /// Remembers the first failed write.
    pub(crate) fn write_failed(&self, error: &Arc<ObjectStorageError>) {
        lock(&self.failure).get_or_insert_with(|| Arc::clone(error));
    }

    /// Whether a write has failed.
    pub(crate) fn failed(&self) -> Option<Arc<ObjectStorageError>> {
        lock(&self.failure).clone()
    }

    /// What really ended work that rustic says ended with `error`.
    pub(crate) fn cause(&self, action: &str, error: Box<RusticError>) -> Stop {
        if self.control.is_cancelled() {
            return Stop::Cancelled;
        }
        if let Some(stop) = lock(&self.stop).take() {
            return stop;
        }
        if self.has_lost_its_lease() {
            let lost =
                DriverError::unavailable(format!("could not {action}: the repository's lease was lost"));
            return Stop::Failed(
                lost.with_suggestion("nothing is broken; it is tried again later").with_source(error),
            );
        }
        Stop::Failed(match self.failed() {
            Some(failure) => super::error::storage(action, &failure),
            None => super::error::rustic(action, error),
        })
    }

    /// As [`cause`](Self::cause), for what can't be cancelled.
    pub(crate) fn error(&self, action: &str, error: Box<RusticError>) -> DriverError {
        match self.cause(action, error) {
            Stop::Failed(error) => error,
            Stop::Cancelled => DriverError::unavailable(format!("{action} was cancelled")),
        }
    }
}
