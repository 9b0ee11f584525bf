//! Settling the slots of the policies that are due.

use crate::{
    engine::{
        EngineError,
        runtime::{Core, Worker, worker::Interrupted},
    },
    model::{BackupJob, JobStatus, Policy, PolicyState, Versioned},
    rules::{Activity, Timetable},
    seams::{JobOrder, JobQuery, Scope, StoreExt, Window},
};

/// How many policies one read brings.
const BATCH: usize = 256;

impl Worker {
    /// Settles the slots of every policy of the cluster that is due. Costs O(due).
    pub(crate) async fn settle_slots(&mut self) -> Result<(), Interrupted> {
        let now = self.core.clock.now();
        let due = self.core.store.due_policies(&self.cluster, now, BATCH).await?;
        self.again |= due.len() == BATCH;
        for state in due {
            let done = if state.next_sweep_at.is_some_and(|at| at <= now) {
                // Its slots may be due, too.
                self.again |= state.next_run_at.is_some_and(|at| at <= now);
                self.sweep_policy(&state).await
            } else if state.next_dr_test_at.is_some_and(|at| at <= now) {
                self.again |= state.next_run_at.is_some_and(|at| at <= now);
                self.settle_dr_tests(&state).await
            } else {
                self.settle_policy(&state).await
            };
            self.go_on(done)?;
        }
        Ok(())
    }

    async fn settle_policy(&mut self, state: &Versioned<PolicyState>) -> Result<(), Interrupted> {
        let Some(policy) = self.core.store.find::<Policy>(&Scope::Everyone, state.policy).await? else {
            return Ok(());
        };
        let activity = if policy.enabled { self.core.activity(&policy).await? } else { Activity::Idle };
        self.remember_table(&policy);
        let Some((_, table)) = self.tables.get(&policy.id) else { return Ok(()) };
        let changeset = self.decider().settle_slots(&policy, state, table, activity);
        self.commit(changeset).await?;
        Ok(())
    }

    fn remember_table(&mut self, policy: &Versioned<Policy>) {
        let known = self.tables.get(&policy.id).is_some_and(|(version, _)| *version == policy.version);
        if !known {
            let table =
                Timetable::new(&policy.schedule, &policy.schedule_options, policy.id, policy.created_at);
            self.tables.insert(policy.id, (policy.version, table));
        }
    }
}

impl Core {
    /// What the policy's jobs are doing.
    pub(crate) async fn activity(&self, policy: &Policy) -> Result<Activity, EngineError> {
        let mut query = JobQuery::new(Scope::Everyone);
        query.cluster = Some(policy.cluster.clone());
        query.policy = Some(policy.id);
        query.statuses = vec![JobStatus::Pending, JobStatus::InProgress];
        query.hidden = true;
        query.order = JobOrder::NewestFirst;
        query.window = Window::first(8);
        let jobs = self.store.jobs(&query).await?.items;
        let waiting = |job: &&Versioned<BackupJob>| job.status == JobStatus::Pending;
        Ok(match jobs.iter().find(waiting) {
            Some(job) => Activity::Queued { nominal: job.slot },
            None if jobs.is_empty() => Activity::Idle,
            None => Activity::Active,
        })
    }
}
