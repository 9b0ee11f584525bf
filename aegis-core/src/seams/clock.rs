//! The seam to time.

use std::{fmt, time::Duration};

use async_trait::async_trait;

use crate::model::Timestamp;

/// A reading of a clock that only goes forward; comparable within one process only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Monotonic(Duration);

impl Monotonic {
    /// The reading `elapsed` after the clock's own start.
    #[must_use]
    pub const fn from_elapsed(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// Time since the clock's own start.
    #[must_use]
    pub const fn elapsed(self) -> Duration {
        self.0
    }

    /// Time since `earlier`; zero if it is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The reading `by` later, saturating.
    #[must_use]
    pub const fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by))
    }
}

/// Time, as everything in Aegis sees it.
///
/// # Contract for implementors
/// - [`now`](Self::now) may jump either way, as wall clocks do; it dates what is written.
/// - [`monotonic`](Self::monotonic) never goes back; it measures waits, leases and durations.
/// - [`sleep`](Self::sleep) ends no earlier than `duration` later on the monotonic clock, and is
///   cancel safe: dropping it ends the wait.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The wall clock's instant.
    fn now(&self) -> Timestamp;

    /// The monotonic clock's reading.
    fn monotonic(&self) -> Monotonic;

    /// Waits.
    async fn sleep(&self, duration: Duration);
}
