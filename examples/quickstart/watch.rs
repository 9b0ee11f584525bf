//! Waiting for what the engine does, and showing how far it is.

use std::time::Duration;

use aegis::{
    engine::{ExecutionView, Tenant},
    model::{
        BackupJob, BackupRecord, IssueGroup, JobId, JobStatus, Machine, PlanId, PolicyId, RecordId,
        RecordState, Timestamp, Verification, VerificationLevel, Versioned,
    },
    seams::{Clock, JobQuery, RecordQuery, Scope, Window},
};

use crate::{
    engine::Engine,
    problem::{Problem, Result},
    text,
    ui::Ui,
};

/// How often the engine is asked.
const LOOK: Duration = Duration::from_millis(100);
/// How long the end waits for what still runs.
const LONGEST_QUIET: Duration = Duration::from_secs(120);
/// How long a slot may be late before something is wrong.
const SLOT_LATE: Duration = Duration::from_secs(60);

/// Who watches, and what.
#[derive(Clone, Copy)]
pub(crate) struct Watch<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) tenant: &'a Tenant,
    pub(crate) ui: &'a Ui,
}

impl Watch<'_> {
    /// The policy's first job that is made after `after`, once there is one.
    pub(crate) async fn next_job(&self, policy: PolicyId, after: Timestamp) -> Result<JobId> {
        let doing = self.ui.doing("waiting for the slot");
        let clock = &self.engine.clock;
        let mut query = JobQuery::new(Scope::Everyone).with_window(Window::first(1));
        query.policy = Some(policy);
        query.from = Some(after);
        loop {
            if let Some(job) = self.tenant.jobs(query.clone()).await?.items.first() {
                return Ok(job.id);
            }
            let next = self.tenant.policy(policy).await?.state.and_then(|state| state.next_run_at);
            let now = clock.now();
            match next {
                Some(next) if now.since(next) < SLOT_LATE => {
                    doing.waiting(&format!(
                        "{} UTC, in {} s",
                        text::time_of_day(next),
                        next.since(now).as_secs() + 1
                    ));
                }
                Some(_) | None => return Err(Problem::new("the schedule does not run")),
            }
            clock.sleep(LOOK).await;
        }
    }

    /// The job, once it has ended, with its record. What lacks something is told.
    pub(crate) async fn backup(&self, id: JobId, what: &str) -> Result<Versioned<BackupRecord>> {
        let job = self.ended_job(id, what).await?;
        if let Some(result) = &job.result {
            self.tell_issues(&job.warnings);
            if job.status == JobStatus::PartiallyFailed {
                let lacks = job.errors.iter().map(|group| group.count).sum();
                self.ui.caution(format!(
                    "the backup is partial: {} could not be read; everything else is safe",
                    text::count(lacks, "entry")
                ));
            }
            self.tell_issues(&job.errors);
            return Ok(self.tenant.record(result.record).await?.record);
        }
        Err(match &job.failure {
            Some(failure) => Problem::failure("the backup failed", failure),
            None => Problem::new(format!("the backup was {}", job.status)),
        })
    }

    async fn ended_job(&self, id: JobId, what: &str) -> Result<Versioned<BackupJob>> {
        let doing = self.ui.doing(what);
        loop {
            let view = self.tenant.job(id).await?;
            if view.job.status.is_terminal() {
                return Ok(view.job);
            }
            if let Some(report) = &view.progress {
                doing.at(&report.progress);
            } else if let Some(attempt) =
                view.job.attempts.last().and_then(|attempt| attempt.failure.as_ref())
            {
                doing.waiting(&format!("the last attempt was lost ({}); another follows", attempt.message));
            }
            self.engine.clock.sleep(LOOK).await;
        }
    }

    /// The newest verification of a record, once it has ended.
    pub(crate) async fn verification(
        &self,
        record: RecordId,
        level: VerificationLevel,
    ) -> Result<Versioned<Verification>> {
        let doing = self.ui.doing(&format!("verifying up to {level}"));
        let asked = self.tenant.verify_record(record, level).await?;
        loop {
            let check = self.tenant.verification(asked.id).await?;
            if check.status.is_terminal() {
                return Ok(check);
            }
            doing.waiting("reading what is stored, restoring it, comparing");
            self.engine.clock.sleep(LOOK).await;
        }
    }

    /// The execution of a plan, once it has ended.
    pub(crate) async fn restore(&self, plan: PlanId, what: &str) -> Result<ExecutionView> {
        let doing = self.ui.doing(what);
        loop {
            let view = self.tenant.execution_status(plan).await?;
            if view.execution.status.is_terminal() {
                return Ok(view);
            }
            if let Some(report) = &view.progress {
                doing.at(&report.progress);
            }
            self.engine.clock.sleep(LOOK).await;
        }
    }

    /// Waits until no backup runs and no data is being removed any more.
    pub(crate) async fn quiet(&self) -> Result<()> {
        let doing = self.ui.doing("letting what runs end");
        let mut running = JobQuery::new(Scope::Everyone);
        running.statuses = vec![JobStatus::Pending, JobStatus::InProgress];
        let mut going = RecordQuery::new(Scope::Everyone);
        going.states = vec![RecordState::Deleting];
        let until = self.engine.clock.monotonic().after(LONGEST_QUIET);
        while self.engine.clock.monotonic() < until {
            let jobs = self.tenant.jobs(running.clone()).await?.items.len();
            let records = self.tenant.records(going.clone()).await?.items.len();
            if jobs + records == 0 {
                return Ok(());
            }
            doing.waiting("the schedule is switched off");
            self.engine.clock.sleep(LOOK).await;
        }
        self.ui.note("what still runs is broken off; the next run finds it as it is");
        Ok(())
    }

    /// Every record of a policy, newest first.
    pub(crate) async fn records(&self, policy: PolicyId) -> Result<Vec<Versioned<BackupRecord>>> {
        let mut query = RecordQuery::new(Scope::Everyone);
        query.policy = Some(policy);
        Ok(self.tenant.records(query).await?.items.into_iter().map(|view| view.record).collect())
    }

    /// Warnings or errors, by cause, with some of what they hit.
    pub(crate) fn tell_issues(&self, issues: &[IssueGroup]) {
        for group in issues {
            self.ui.note(format!("{} × {}", group.count, group.cause));
            for example in group.examples.iter().take(3) {
                self.ui.note(format!("    {}", text::shown(example.as_ref())));
            }
            if let Some(suggestion) = &group.suggestion {
                self.ui.note(format!("    → {suggestion}"));
            }
        }
    }
}
