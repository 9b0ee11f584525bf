//! All the work of one cluster: one pass after another, under one lease.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use super::{
    Core, Outcome, Served,
    checks::RunningChecks,
    commit,
    held::{HeldLease, Hold},
};
use crate::{
    engine::{EngineError, decide::Decider},
    model::{ClusterName, NamespaceName, OperationId, PolicyId, Progress, RecordState, Version},
    rules::Timetable,
    seams::{
        Changeset, Conflict, Cursor, Fence, LeaseName, Monotonic, Observation, Operation, ProgressReport,
        report,
    },
};

/// How long an operation that nobody asks about is remembered.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3600);

/// What is remembered of an operation between passes, to save work and writes. Nothing rests on it.
#[derive(Debug)]
pub(crate) struct Watched {
    /// When it was last looked at.
    looked_at: Monotonic,
    /// When its progress was last noted.
    noted_at: Option<Monotonic>,
    /// How far it was then, or when another engine looked: progress never goes back.
    progress: Progress,
}

/// All the work of one cluster. It may do nothing without the cluster's lease.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) core: Arc<Core>,
    pub(crate) cluster: ClusterName,
    lease: HeldLease,
    fence: Option<Fence>,
    watched: HashMap<OperationId, Watched>,
    hinted: HashSet<OperationId>,
    notes: Vec<ProgressReport>,
    pub(crate) tables: HashMap<PolicyId, (Version, Timetable)>,
    pub(crate) checks: RunningChecks,
    pub(crate) swept_others_at: Option<Monotonic>,
    /// Where the next pass goes on in the list of records that leave, by state; without an entry it
    /// begins anew.
    pub(crate) leaving: HashMap<RecordState, Cursor>,
    pub(crate) discovered_at: Option<Monotonic>,
    /// Whether something runs that must be polled.
    pub(crate) polling: bool,
    /// Whether the pass left something that can be done at once.
    pub(crate) again: bool,
}

/// Why a pass ended early.
#[derive(Debug)]
pub(crate) enum Interrupted {
    /// The lease is gone: nothing more may be done.
    LeaseLost,
    /// Something did not answer; the next pass tries again.
    Failed(EngineError),
}

impl<E: Into<EngineError>> From<E> for Interrupted {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Worker {
    pub(crate) fn new(core: Arc<Core>, cluster: ClusterName) -> Self {
        Self {
            lease: HeldLease::new(LeaseName::cluster(&cluster)),
            core,
            cluster,
            fence: None,
            watched: HashMap::new(),
            hinted: HashSet::new(),
            notes: Vec::new(),
            tables: HashMap::new(),
            checks: RunningChecks::default(),
            swept_others_at: None,
            leaving: HashMap::new(),
            discovered_at: None,
            polling: false,
            again: false,
        }
    }

    pub(crate) fn served(&self) -> Option<&Served> {
        self.core.clusters.get(&self.cluster)
    }

    pub(crate) fn hint(&mut self, operation: OperationId) {
        self.hinted.insert(operation);
    }

    /// One pass: looks at everything of the cluster that is due, and answers how long the next one
    /// can wait. Level-triggered: what a pass could not do, the next one finds again.
    #[tracing::instrument(level = "debug", skip(self), fields(cluster = %self.cluster))]
    pub(crate) async fn pass(&mut self) -> Duration {
        match self.lease.ensure(&self.core).await {
            Ok(Hold::Ours(fence)) => self.fence = Some(fence),
            Ok(Hold::Theirs(remaining)) => {
                self.fence = None;
                self.watched.clear();
                self.checks = RunningChecks::default();
                return remaining.clamp(Duration::from_millis(100), self.core.options.idle_interval);
            }
            Err(error) => {
                tracing::warn!(cluster = %self.cluster, error = %report(&error), "could not claim the cluster's lease");
                return self.core.options.poll_interval;
            }
        }
        let began = self.core.clock.now();
        (self.polling, self.again) = (false, false);
        if let Err(interrupted) = self.steps().await {
            match interrupted {
                Interrupted::LeaseLost => {
                    tracing::info!(cluster = %self.cluster, "the cluster's lease is gone; stopping");
                    self.lease.forget();
                }
                Interrupted::Failed(error) => {
                    tracing::warn!(cluster = %self.cluster, error = %report(&error), "a pass ended early");
                }
            }
            return self.core.options.poll_interval;
        }
        self.rest(began).await
    }

    async fn steps(&mut self) -> Result<(), Interrupted> {
        self.settle_slots().await?;
        self.watch_executions().await?;
        self.watch_jobs().await?;
        self.start_jobs().await?;
        self.watch_verifications().await?;
        self.watch_dr_tests().await?;
        self.apply_retention().await?;
        self.delete_expired().await?;
        let discovered = self.discover_namespaces().await;
        self.go_on(discovered)?;
        self.hinted.clear();
        self.forget_old();
        self.note_progress().await
    }

    /// How long the next pass can wait.
    ///
    /// What was due before the pass began and still is can't be done for now (a record that the
    /// floors keep, a driver that does not answer): to ask at once again would spin.
    async fn rest(&mut self, began: crate::model::Timestamp) -> Duration {
        let options = &self.core.options;
        if self.again {
            return Duration::ZERO;
        }
        let longest = if self.polling { options.poll_interval } else { options.idle_interval };
        match self.core.store.next_due(&self.cluster).await {
            Ok(Some(due)) if due <= began => options.poll_interval.min(longest),
            Ok(Some(due)) => due.since(self.core.clock.now()).min(longest),
            Ok(None) => longest,
            Err(error) => {
                tracing::warn!(cluster = %self.cluster, error = %report(&error), "could not see what is due next");
                options.poll_interval
            }
        }
    }

    pub(crate) fn decider(&self) -> Decider<'_> {
        self.core.decider(self.fence.as_ref())
    }

    /// Makes sure that we may act: a long pass renews its lease on the way, so that it comes to its
    /// end however much there is to do.
    pub(crate) async fn keep_lease(&mut self) -> Result<(), Interrupted> {
        match self.lease.ensure(&self.core).await? {
            Hold::Ours(fence) if self.fence.as_ref() == Some(&fence) => Ok(()),
            // Under another grant someone else may have acted since the pass read what it rests on.
            Hold::Ours(_) | Hold::Theirs(_) => Err(Interrupted::LeaseLost),
        }
    }

    /// What failed for one thing must not keep the others waiting; without the store or the lease
    /// nothing can be done.
    pub(crate) fn go_on(&mut self, done: Result<(), Interrupted>) -> Result<(), Interrupted> {
        match done {
            Err(Interrupted::Failed(error)) if !matches!(error, EngineError::Store(_)) => {
                tracing::warn!(cluster = %self.cluster, error = %report(&error), "something is tried again by the next pass");
                self.polling = true;
                Ok(())
            }
            other => other,
        }
    }

    /// Commits under the lease; a conflict means that the next pass decides again.
    pub(crate) async fn commit(&mut self, changeset: Changeset) -> Result<Outcome, Interrupted> {
        self.keep_lease().await?;
        let outcome = commit(&self.core, changeset).await?;
        if let Outcome::Conflict(conflict) = &outcome {
            if matches!(conflict, Conflict::Fenced { .. }) {
                return Err(Interrupted::LeaseLost);
            }
            tracing::debug!(cluster = %self.cluster, %conflict, "lost a race; deciding again later");
        }
        Ok(outcome)
    }

    /// What exists in the cluster; `None` while the driver can't say.
    pub(crate) async fn namespaces(&self) -> Option<Vec<NamespaceName>> {
        match self.served()?.driver.namespaces().await {
            Ok(names) => Some(names),
            Err(error) => {
                tracing::warn!(cluster = %self.cluster, error = %report(&error), "the driver can't list its namespaces");
                None
            }
        }
    }

    /// Asks the driver how an operation is, unless it is too soon to ask again.
    ///
    /// A driver that can't be reached leaves everything as it is: its state is unknown, and no
    /// progress is noted, so that one sees how old the last is. Deadlines go on.
    pub(crate) async fn observe(
        &mut self,
        operation: &Operation,
    ) -> Result<Option<Observation>, Interrupted> {
        self.polling = true;
        let now = self.core.clock.monotonic();
        if let Some(watched) = self.watched.get(&operation.id)
            && now.since(watched.looked_at) < self.core.options.poll_interval
            && !self.hinted.contains(&operation.id)
        {
            return Ok(None);
        }
        self.keep_lease().await?;
        let Some(served) = self.core.clusters.get(&self.cluster) else { return Ok(None) };
        let progress = match self.watched.get(&operation.id) {
            Some(watched) => watched.progress,
            None => self.core.progress_of(operation.id).await?.unwrap_or_default(),
        };
        let seen = served.driver.observe(operation).await;
        let watched =
            self.watched.entry(operation.id).or_insert(Watched { looked_at: now, noted_at: None, progress });
        watched.looked_at = now;
        match seen {
            Ok(observation) => {
                self.note(operation.id, &observation);
                Ok(Some(observation))
            }
            Err(error) => {
                let state = report(&error).to_string();
                tracing::warn!(cluster = %self.cluster, operation = %operation.id, error = %state, "the driver can't say how an operation is");
                Ok(Some(Observation::Unknown { state }))
            }
        }
    }

    fn note(&mut self, operation: OperationId, observation: &Observation) {
        let (progress, state) = match observation {
            Observation::Running(progress) => (*progress, None),
            Observation::Queued { position } => {
                let state =
                    position.map_or("queued".to_owned(), |position| format!("queued behind {position}"));
                (Progress::default(), Some(state))
            }
            Observation::Unknown { state } => (Progress::default(), Some(state.clone())),
            Observation::Ended(_) | Observation::Lost { .. } => {
                self.watched.remove(&operation);
                return;
            }
            Observation::Absent | Observation::Deferred { .. } => return,
        };
        let now = self.core.clock.monotonic();
        let Some(watched) = self.watched.get_mut(&operation) else { return };
        watched.progress = progress.no_less_than(&watched.progress);
        if watched.noted_at.is_some_and(|at| now.since(at) < self.core.options.progress_interval) {
            return;
        }
        watched.noted_at = Some(now);
        let observed_at = self.core.clock.now();
        self.notes.push(ProgressReport { operation, observed_at, progress: watched.progress, state });
    }

    /// Forgets operations that nobody asked about for a while: they ended by other ways.
    fn forget_old(&mut self) {
        let now = self.core.clock.monotonic();
        self.watched.retain(|_, watched| now.since(watched.looked_at) < FORGOTTEN_AFTER);
    }

    async fn note_progress(&mut self) -> Result<(), Interrupted> {
        let notes = std::mem::take(&mut self.notes);
        if !notes.is_empty() {
            self.core.store.report_progress(notes).await?;
        }
        Ok(())
    }

    /// Calls the driver's `start`; what can't be started for good comes back as the error.
    pub(crate) async fn start(
        &mut self,
        operation: &Operation,
    ) -> Result<Result<(), crate::seams::DriverError>, Interrupted> {
        self.keep_lease().await?;
        self.polling = true;
        let Some(served) = self.core.clusters.get(&self.cluster) else { return Ok(Ok(())) };
        Ok(served.driver.start(operation).await)
    }

    /// Asks the driver to cancel; that it can't is its own business to say.
    pub(crate) async fn cancel(&mut self, operation: &Operation) {
        let Some(served) = self.core.clusters.get(&self.cluster) else { return };
        if let Err(error) = served.driver.cancel(operation).await {
            tracing::warn!(cluster = %self.cluster, operation = %operation.id, error = %report(&error), "could not ask to cancel");
        }
    }

    /// Gives the lease back.
    pub(crate) async fn close(&mut self) {
        if let Err(Interrupted::Failed(error)) = self.note_progress().await {
            tracing::warn!(cluster = %self.cluster, error = %report(&error), "the last progress was not noted");
        }
        self.lease.release(&self.core).await;
    }
}
