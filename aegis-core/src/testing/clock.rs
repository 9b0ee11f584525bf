//! A clock that a test turns by hand.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    mem,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use async_trait::async_trait;
use futures::future::{self, Either};

use crate::{
    model::Timestamp,
    seams::{Clock, Monotonic},
};

/// A [`Clock`] that stands still until it is advanced: no real time, no timer thread.
///
/// Clones are handles to the same clock. Sleepers are woken in the order of their deadlines, those
/// with the same deadline in the order in which they fell asleep.
///
/// ```
/// use std::time::Duration;
/// use aegis_core::{model::Timestamp, seams::Clock, testing::ManualClock};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let clock = ManualClock::starting_at(Timestamp::from_seconds(1_770_393_600));
/// clock.drive(clock.sleep(Duration::from_secs(365 * 86_400))).await;
/// assert_eq!(clock.now().to_string(), "2027-02-06T16:00:00Z");
/// # }
/// ```
#[derive(Clone)]
pub struct ManualClock {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    wall: Timestamp,
    elapsed: Duration,
    sleepers: BTreeMap<SleeperKey, Waker>,
    next_sleeper: u64,
}

/// The deadline, then the order of falling asleep.
type SleeperKey = (Duration, u64);

impl ManualClock {
    /// How often [`settle`](Self::settle) lets every other ready task run.
    const SETTLING_ROUNDS: usize = 64;

    /// A clock that stands at `now`.
    #[must_use]
    pub fn starting_at(now: Timestamp) -> Self {
        let state = State { wall: now, elapsed: Duration::ZERO, sleepers: BTreeMap::new(), next_sleeper: 0 };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `by` pass: both clocks go on, stopping at each deadline on the way to wake its sleeper.
    pub fn advance(&self, by: Duration) {
        let target = self.state().elapsed.saturating_add(by);
        while let Some(waker) = self.pass_next_deadline(target) {
            waker.wake();
        }
        self.state().pass(target);
    }

    /// Moves to the first deadline until `target` and takes its sleeper out.
    fn pass_next_deadline(&self, target: Duration) -> Option<Waker> {
        let mut state = self.state();
        let (&key, _) = state.sleepers.first_key_value()?;
        if key.0 > target {
            return None;
        }
        state.pass(key.0);
        state.sleepers.remove(&key)
    }

    /// Lets time pass until the wall clock shows `instant`; nothing if it is not later.
    pub fn advance_to(&self, instant: Timestamp) {
        self.advance(instant.since(self.now()));
    }

    /// Lets time pass until the earliest sleeper wakes; `false` if nobody sleeps.
    #[must_use]
    pub fn advance_to_next_wake(&self) -> bool {
        let Some(wake) = self.next_wake() else { return false };
        self.advance(wake.since(self.monotonic()));
        true
    }

    /// Puts the wall clock forward, as an administrator may; sleepers and monotonic time see nothing.
    pub fn jump_wall_forward(&self, by: Duration) {
        let mut state = self.state();
        state.wall = state.wall.saturating_add(by);
    }

    /// Puts the wall clock back; sleepers and monotonic time see nothing.
    pub fn jump_wall_back(&self, by: Duration) {
        let mut state = self.state();
        state.wall = state.wall.saturating_sub(by);
    }

    /// When the earliest sleeper wakes.
    #[must_use]
    pub fn next_wake(&self) -> Option<Monotonic> {
        self.state().sleepers.first_key_value().map(|((deadline, _), _)| Monotonic::from_elapsed(*deadline))
    }

    /// How many sleep now.
    #[must_use]
    pub fn sleepers(&self) -> usize {
        self.state().sleepers.len()
    }

    /// Lets every other task of this (single-threaded) runtime run until it waits for something.
    pub async fn settle(&self) {
        for _ in 0..Self::SETTLING_ROUNDS {
            tokio::task::yield_now().await;
        }
    }

    /// Runs `future` and, whenever everything waits, lets time pass until the next sleeper wakes.
    ///
    /// For single-threaded runtimes, and work that waits for nothing but this clock.
    ///
    /// # Panics
    /// If everything waits and nobody sleeps: the future could never end.
    pub async fn drive<F: Future>(&self, future: F) -> F::Output {
        let turning = async {
            loop {
                self.settle().await;
                assert!(self.advance_to_next_wake(), "everything waits and nobody sleeps: a deadlock");
            }
        };
        match future::select(pin!(future), pin!(turning)).await {
            Either::Left((output, _)) => output,
            Either::Right((never, _)) => never,
        }
    }

    /// Lets `by` pass step by step, so that what sleepers do next happens at its own instant.
    pub async fn run_for(&self, by: Duration) {
        let end = self.monotonic().after(by);
        self.settle().await;
        while let Some(wake) = self.next_wake().filter(|wake| *wake <= end) {
            self.advance(wake.since(self.monotonic()));
            self.settle().await;
        }
        self.advance(end.since(self.monotonic()));
        self.settle().await;
    }
}

impl State {
    /// Moves both clocks on to `elapsed`; never back.
    fn pass(&mut self, elapsed: Duration) {
        let by = elapsed.saturating_sub(self.elapsed);
        self.elapsed = self.elapsed.max(elapsed);
        self.wall = self.wall.saturating_add(by);
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("ManualClock")
            .field("now", &state.wall)
            .field("elapsed", &state.elapsed)
            .field("sleepers", &state.sleepers.len())
            .finish()
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.state().wall
    }

    fn monotonic(&self) -> Monotonic {
        Monotonic::from_elapsed(self.state().elapsed)
    }

    async fn sleep(&self, duration: Duration) {
        let deadline = self.state().elapsed.saturating_add(duration);
        Sleep { clock: self, deadline, asleep: None }.await;
    }
}

/// One wait; dropping it leaves no sleeper behind.
struct Sleep<'a> {
    clock: &'a ManualClock,
    deadline: Duration,
    asleep: Option<SleeperKey>,
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline;
        let mut state = self.clock.state();
        if state.elapsed >= deadline {
            return Poll::Ready(());
        }
        let next = state.next_sleeper;
        let key = self.asleep.unwrap_or((deadline, next));
        if key.1 == next {
            state.next_sleeper = next.saturating_add(1);
        }
        state.sleepers.insert(key, context.waker().clone());
        mem::drop(state);
        self.asleep = Some(key);
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.asleep {
            self.clock.state().sleepers.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, future::join_all};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn clock() -> ManualClock {
        ManualClock::starting_at(Timestamp::from_seconds(1_000))
    }

    #[test]
    fn time_stands_still_until_it_is_advanced() {
        let clock = clock();
        assert_eq!(clock.now(), Timestamp::from_seconds(1_000));
        clock.advance(SECOND * 5);
        assert_eq!(clock.now(), Timestamp::from_seconds(1_005));
        assert_eq!(clock.monotonic().elapsed(), SECOND * 5);
        clock.advance_to(Timestamp::from_seconds(1_002));
        assert_eq!(clock.now(), Timestamp::from_seconds(1_005), "it never goes back");
    }

    #[test]
    fn a_jump_of_the_wall_clock_moves_no_sleeper() {
        let clock = clock();
        let mut sleep = pin!(clock.sleep(SECOND));
        assert!(sleep.as_mut().now_or_never().is_none());
        clock.jump_wall_back(SECOND * 10);
        clock.jump_wall_forward(SECOND * 3_610);
        assert_eq!(clock.now(), Timestamp::from_seconds(4_600));
        assert_eq!(clock.monotonic().elapsed(), Duration::ZERO);
        assert!(sleep.as_mut().now_or_never().is_none());
        clock.advance(SECOND);
        assert!(sleep.now_or_never().is_some());
    }

    #[tokio::test]
    async fn sleepers_wake_in_the_order_of_their_deadlines_at_their_instants() {
        let clock = clock();
        let order = Mutex::new(Vec::new());
        let sleepers = [3, 1, 2, 1].map(|seconds| {
            let (clock, order) = (&clock, &order);
            async move {
                clock.sleep(SECOND * seconds).await;
                order.lock().unwrap().push((seconds, clock.now().as_seconds()));
            }
        });
        clock.drive(join_all(sleepers)).await;
        assert_eq!(*order.lock().unwrap(), [(1, 1_001), (1, 1_001), (2, 1_002), (3, 1_003)]);
    }

    #[test]
    fn a_dropped_sleep_leaves_no_sleeper() {
        let clock = clock();
        {
            let mut sleep = pin!(clock.sleep(SECOND));
            assert!(sleep.as_mut().now_or_never().is_none());
            assert_eq!(clock.next_wake(), Some(Monotonic::from_elapsed(SECOND)));
        }
        assert_eq!(clock.next_wake(), None);
        assert!(!clock.advance_to_next_wake());
    }

    #[tokio::test]
    async fn what_a_sleeper_does_next_happens_at_its_own_instant() {
        let clock = clock();
        let seen = Mutex::new(Vec::new());
        let ticking = async {
            loop {
                clock.sleep(SECOND * 2).await;
                seen.lock().unwrap().push(clock.now().as_seconds());
            }
        };
        tokio::select! {
            () = ticking => unreachable!("it ticks for ever"),
            () = clock.run_for(SECOND * 7) => {}
        }
        assert_eq!(*seen.lock().unwrap(), [1_002, 1_004, 1_006]);
        assert_eq!(clock.now(), Timestamp::from_seconds(1_007));
    }

    #[tokio::test]
    #[should_panic(expected = "deadlock")]
    async fn a_wait_that_could_never_end_is_told() {
        clock().drive(future::pending::<()>()).await;
    }
}
