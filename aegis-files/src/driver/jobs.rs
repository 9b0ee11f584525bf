//! The work of this process, by operation.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use aegis_core::{
    model::{OperationId, Progress, Timestamp},
    seams::{Monotonic, Observation, Outcome},
};

use crate::control::{Control, lock};

/// How many operations that have ended are remembered. What is older is found in storage.
const REMEMBERED: usize = 1024;

/// One operation that was started here.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) control: Arc<Control>,
    began: Monotonic,
    state: Mutex<State>,
}

#[derive(Clone, Debug)]
enum State {
    Running,
    Deferred { until: Timestamp, reason: String },
    Ended(Box<Outcome>),
}

/// How work ended.
#[derive(Debug)]
pub(super) enum End {
    Deferred { until: Timestamp, reason: String },
    Outcome(Box<Outcome>),
}

impl End {
    /// It is over.
    pub(super) fn ended(outcome: Outcome) -> Self {
        Self::Outcome(Box::new(outcome))
    }
}

impl Job {
    /// What is true of it at `now`.
    pub(super) fn observation(&self, now: Monotonic) -> Observation {
        match lock(&self.state).clone() {
            State::Running => {
                Observation::Running(with_estimate(self.control.progress(), now.since(self.began)))
            }
            State::Deferred { until, reason } => Observation::Deferred { until, reason },
            State::Ended(outcome) => Observation::Ended(outcome),
        }
    }

    /// Whether it has not ended.
    pub(super) fn is_running(&self) -> bool {
        matches!(*lock(&self.state), State::Running)
    }

    fn is_deferred(&self) -> bool {
        matches!(*lock(&self.state), State::Deferred { .. })
    }
}

/// With how long it may still take, by the rate so far. The rate of a backup varies with what was
/// changed, so the range is wide.
fn with_estimate(progress: Progress, elapsed: Duration) -> Progress {
    let (done, total) = match progress.bytes_total {
        Some(total) if total > 0 => (progress.bytes_done, total),
        _ => (progress.items_done, progress.items_total.unwrap_or(0)),
    };
    if done == 0 || total == 0 || elapsed < Duration::from_millis(500) {
        return progress;
    }
    let left = u128::from(total.saturating_sub(done));
    let micros = elapsed.as_micros().saturating_mul(left) / u128::from(done);
    let eta = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
    Progress { eta_low: Some(eta * 3 / 4), eta_high: Some(eta.saturating_mul(2)), ..progress }
}

/// The operations that this process knows.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    jobs: HashMap<OperationId, Arc<Job>>,
    ended: VecDeque<OperationId>,
}

impl Jobs {
    /// Takes `id` on; `None` if it was taken on before and is not to be tried again.
    pub(super) fn take_on(&self, id: OperationId, now: Monotonic) -> Option<Arc<Job>> {
        let mut known = lock(&self.known);
        if known.jobs.get(&id).is_some_and(|job| !job.is_deferred()) {
            return None;
        }
        let job = Arc::new(Job { control: Arc::default(), began: now, state: Mutex::new(State::Running) });
        known.jobs.insert(id, Arc::clone(&job));
        Some(job)
    }

    /// Forgets `id`, which did not begin after all.
    pub(super) fn drop_again(&self, id: OperationId) {
        lock(&self.known).jobs.remove(&id);
    }

    /// Notes how `id` ended.
    pub(super) fn end(&self, id: OperationId, job: &Job, end: End) {
        *lock(&job.state) = match end {
            End::Deferred { until, reason } => State::Deferred { until, reason },
            End::Outcome(outcome) => State::Ended(outcome),
        };
        let mut known = lock(&self.known);
        known.ended.push_back(id);
        if known.ended.len() > REMEMBERED
            && let Some(oldest) = known.ended.pop_front()
        {
            known.jobs.remove(&oldest);
        }
    }

    /// The operation, if this process knows it.
    pub(super) fn get(&self, id: OperationId) -> Option<Arc<Job>> {
        lock(&self.known).jobs.get(&id).cloned()
    }
}
