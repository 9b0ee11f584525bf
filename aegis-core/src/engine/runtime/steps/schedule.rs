//! Settling the slots of the policies that are due.

use crate::{
    engine::{
        EngineError,
        runtime::{Core, Worker, worker::Interrupted},
    },
    model::{BackupJob, JobStatus, Policy, PolicyState, Timestamp, Versioned},
    rules::{Activity, Timetable},
    seams::{JobOrder, JobQuery, Scope, StoreExt, Window},
};

/// How many policies one read brings.
const BATCH: usize = 256;

impl Worker {
    /// Looks at every policy of the cluster that is due, its slots above all. Costs O(due).
    pub(crate) async fn settle_slots(&mut self) -> Result<(), Interrupted> {
        let now = self.core.clock.now();
        let due = self.core.store.due_policies(&self.cluster, now, BATCH).await?;
        self.again |= due.len() == BATCH;
        for state in due {
            let is_due = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
            let reasons =
                [state.next_sweep_at, state.next_dr_test_at, state.next_run_at, state.verdict_changes_at];
            let [sweep, dr_test, slot, verdict] = reasons.map(is_due);
            // One at a time: each writes the state that the others read.
            self.again |= [sweep, dr_test, slot, verdict].into_iter().filter(|due| *due).count() > 1;
            let done = if sweep {
                self.sweep_policy(&state).await
            } else if dr_test {
                self.settle_dr_tests(&state).await
            } else if verdict && !slot {
                self.note_rpo(&state).await
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

    /// Notes that time alone changed the verdict on a policy's RPO.
    async fn note_rpo(&mut self, state: &Versioned<PolicyState>) -> Result<(), Interrupted> {
        let Some(policy) = self.core.store.find::<Policy>(&Scope::Everyone, state.policy).await? else {
            return Ok(());
        };
        let mut query = JobQuery::new(Scope::Everyone);
        query.cluster = Some(policy.cluster.clone());
        query.policy = Some(policy.id);
        query.statuses = vec![JobStatus::InProgress];
        query.hidden = true;
        let running = self.core.store.jobs(&query).await?.items;
        let since = running.iter().filter_map(|job| Some(job.open_attempt()?.started_at)).min();
        let changeset = self.decider().note_rpo(&policy, state, since);
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
