//! Where blocking work runs.

use aegis_core::seams::ObjectStorageError;
use tokio::{runtime::Handle, task::JoinError};

use crate::attempt::Attempt;

/// Blocking work that did not come to its end.
#[derive(Debug)]
pub(crate) struct Stopped(JoinError);

impl Stopped {
    /// Work that was cancelled never began: the runtime was shutting down.
    pub(crate) fn into_error(self, attempt: &Attempt<'_>) -> ObjectStorageError {
        if self.0.is_cancelled() {
            attempt.unavailable(self.0.into())
        } else {
            attempt.internal(self.0.into())
        }
    }
}

/// Runs `work` on tokio's threads for blocking work, or right here where no tokio runs, as in the
/// worker threads of a backup engine. Once begun it runs to its end, even if nobody waits any more.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Stopped> {
    match Handle::try_current() {
        Ok(runtime) => runtime.spawn_blocking(work).await.map_err(Stopped),
        Err(_) => Ok(work()),
    }
}
