//! Waiting longer each time before something that failed is tried again.

use std::time::Duration;

use crate::seams::Clock;

/// Pauses on the clock that double up to a longest one.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// How long to wait before the next try.
    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.next;
        self.next = pause.saturating_mul(2).min(self.longest);
        pause
    }

    /// Waits before the next try.
    pub(crate) async fn wait(&mut self, clock: &dyn Clock) {
        clock.sleep(self.next()).await;
    }

    /// It worked: the next failure begins with a short pause again.
    pub(crate) const fn reset(&mut self) {
        self.next = self.first;
    }
}
