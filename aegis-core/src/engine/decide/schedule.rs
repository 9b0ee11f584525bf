//! Slots that have come become jobs, or an outcome with its reason.

use super::{
    Decider, keep_rpo, rpo_state,
    verdict::{planned, run_facts, verdict_change},
};
use crate::{
    model::{
        BackupJob, CheckStatus, DisplayName, EventFacts, EventKind, JobId, JobStatus, Policy, PolicyState,
        SkipReason, Slot, SlotOutcome, Timestamp, Versioned,
    },
    rules::{
        Activity, Settlement, Standing, Timetable, close,
        exposure::{StateChange, rpo_issue},
        retention::FUTURE_TOLERANCE,
        settle,
    },
    seams::Changeset,
};

impl Decider<'_> {
    /// Settles the slots of a policy that are due, and creates the job of the one that runs.
    pub(crate) fn settle_slots(
        &self,
        policy: &Versioned<Policy>,
        state: &Versioned<PolicyState>,
        table: &Timetable,
        activity: Activity,
    ) -> Changeset {
        let settlement = if policy.enabled {
            settle(table, Standing { watermark: state.watermark, now: self.now, activity })
        } else {
            close(table, state.watermark, self.now, SkipReason::Disabled)
        };
        warn_if_behind(policy, &settlement);
        let mut changeset = self.changeset();
        // A policy that is edited while its slots are settled is settled again as it is then.
        changeset.expect_unchanged(crate::model::EntityKey::Policy(policy.id), policy.version);
        let job = self.write_slots(&mut changeset, policy, &settlement);
        let mut next = PolicyState::clone(state);
        next.watermark = settlement.watermark;
        next.next_run_at = settlement.next_at.filter(|_| policy.enabled);
        if let (Some(job), Some(nominal)) = (job, settlement.run) {
            next.last_run_at = Some(nominal);
            next.last_job = Some(job);
        }
        let next = with_due(next, self.now);
        if next != *state.value || !changeset.is_empty() {
            changeset.update(state.version, next, EventKind::PolicyStateChanged, policy_facts(policy));
        }
        changeset
    }

    /// Writes what became of slots, and the job of the one that runs; that job's id comes back.
    pub(crate) fn write_slots(
        &self,
        changeset: &mut Changeset,
        policy: &Policy,
        settlement: &Settlement,
    ) -> Option<JobId> {
        let mut created = None;
        let slots = settlement.ledger(policy.id, &policy.tenant, self.now, || self.ids.mint(self.now));
        for slot in slots {
            if let SlotOutcome::Ran { job } = slot.outcome {
                changeset.insert(
                    self.scheduled_job(policy, job, slot.nominal_at),
                    EventKind::JobCreated,
                    EventFacts { job: Some(job), ..policy_facts(policy) },
                );
                created = Some(job);
            }
            let facts = EventFacts { reason: Some(slot_reason(&slot)), ..policy_facts(policy) };
            changeset.insert(slot, EventKind::SlotSettled, facts);
        }
        created
    }

    fn scheduled_job(&self, policy: &Policy, id: JobId, nominal: Timestamp) -> BackupJob {
        self.policy_job(policy, id, Some(nominal))
    }

    /// A job for a policy: for one of its slots, or because a person wants one now.
    pub(crate) fn policy_job(&self, policy: &Policy, id: JobId, slot: Option<Timestamp>) -> BackupJob {
        BackupJob {
            id,
            tenant: policy.tenant.clone(),
            name: job_name(&policy.name, slot.unwrap_or(self.now)),
            cluster: policy.cluster.clone(),
            namespaces: policy.namespaces.clone(),
            include_volumes: policy.include_volumes,
            location: policy.location.clone(),
            ttl: None,
            labels: policy.labels.clone(),
            kind: policy.kind,
            priority: policy.priority,
            policy: Some(policy.id),
            slot,
            status: JobStatus::Pending,
            attempts: Vec::new(),
            max_attempts: policy.max_attempts,
            timeout: policy.timeout,
            retry_at: None,
            created_by: crate::model::Principal::engine(),
            created_at: self.now,
            started_at: None,
            completed_at: None,
            cancel_requested_at: None,
            late_operation: None,
            result: None,
            failure: None,
            warnings: Vec::new(),
            errors: Vec::new(),
            hidden: false,
        }
    }
}

/// Tells of a clock that was set back: no slot of the time in between comes again.
pub(crate) fn warn_if_behind(policy: &Policy, settlement: &Settlement) {
    if let Some(behind) = settlement.clock_behind {
        tracing::warn!(
            policy = %policy.id,
            behind_seconds = behind.as_secs(),
            "the clock lies behind slots that were settled already: it was set back, and they do not come again"
        );
    }
}

/// Whether slots far beyond `now` are settled, because the clock was ahead once: nothing comes of the
/// schedule until then, unless somebody edits the policy.
pub(crate) fn is_ahead(state: &PolicyState, now: Timestamp) -> bool {
    state.watermark > now.saturating_add(FUTURE_TOLERANCE)
}

/// The state with the instant at which the engine must look at it next.
pub(crate) fn with_due(mut state: PolicyState, now: Timestamp) -> PolicyState {
    state.verdict_changes_at = verdict_change(&state, now);
    let reasons = [state.next_run_at, state.next_sweep_at, state.next_dr_test_at, state.verdict_changes_at];
    state.due_at = reasons.into_iter().flatten().min();
    state
}

/// The name of the job that runs for `slot`: the policy's, with the slot's time.
fn job_name(policy: &DisplayName, slot: Timestamp) -> DisplayName {
    let tail = format!("-{slot}");
    let mut name = policy.as_str();
    while name.len() + tail.len() > DisplayName::MAX_LENGTH {
        let mut chars = name.chars();
        chars.next_back();
        name = chars.as_str();
    }
    // Cut from a valid name and a time: neither empty, too long nor with control characters.
    DisplayName::new(format!("{name}{tail}")).unwrap_or_else(|_| policy.clone())
}

pub(crate) fn policy_facts(policy: &Policy) -> EventFacts {
    EventFacts { cluster: Some(policy.cluster.clone()), policy: Some(policy.id), ..EventFacts::default() }
}

fn slot_reason(slot: &Slot) -> String {
    match slot.outcome {
        SlotOutcome::Ran { .. } => "ran".to_owned(),
        SlotOutcome::Coalesced { into } => format!("coalesced into {into}"),
        SlotOutcome::Skipped { reason } => format!("skipped: {}", reason.label()),
        SlotOutcome::Expired => "expired: its start window passed".to_owned(),
        SlotOutcome::Missed { reason } => format!("missed: {}", reason.label()),
    }
}

/// How a job of a policy ended, for the policy's state.
#[derive(Clone, Debug)]
pub(crate) struct RunEnd {
    /// The job.
    pub(crate) job: JobId,
    /// Whether it ran for a slot, and not because a person wanted it.
    pub(crate) is_scheduled: bool,
    /// How it ended.
    pub(crate) status: JobStatus,
    /// Why, if it failed.
    pub(crate) failure: Option<String>,
}

impl Decider<'_> {
    /// The policy's state after retention looked at its records.
    ///
    /// A run that was refused is not the last run: otherwise the next one would no longer see that
    /// the clock may have jumped, and would go ahead without being asked.
    pub(crate) fn swept(
        &self,
        state: &PolicyState,
        interval: std::time::Duration,
        outcome: CheckStatus,
    ) -> PolicyState {
        let mut next = state.clone();
        if outcome == CheckStatus::Passed {
            next.last_sweep_at = Some(self.now);
        }
        next.next_sweep_at = Some(self.now.saturating_add(interval));
        with_due(next, self.now)
    }

    /// Notes what time alone has done to a policy's RPO, and says so. Once it is noted, it is not due
    /// again.
    pub(crate) fn note_rpo(
        &self,
        policy: &Versioned<Policy>,
        state: &Versioned<PolicyState>,
        running_since: Option<Timestamp>,
    ) -> Changeset {
        let mut changeset = self.changeset();
        changeset.expect_unchanged(crate::model::EntityKey::Policy(policy.id), policy.version);
        let mut next = PolicyState::clone(state);
        let mut rpo = rpo_state(policy, &next);
        if rpo.replace(rpo.newest().copied(), self.now) != StateChange::Unchanged {
            keep_rpo(&mut next, &rpo);
        }
        let verdict = rpo.verdict(self.now, &planned(&next, running_since));
        let issue = rpo_issue(&verdict, &run_facts(&next, running_since));
        let reason = issue.or_else(|| Some("The RPO target is being met.".to_owned()));
        let facts = EventFacts { reason, ..policy_facts(policy) };
        let next = with_due(next, self.now);
        changeset.update(state.version, next, EventKind::PolicyStateChanged, facts);
        changeset
    }

    /// Notes in the policy's state how one of its jobs ended.
    pub(crate) fn note_run(&self, changeset: &mut Changeset, state: &Versioned<PolicyState>, end: RunEnd) {
        let mut next = PolicyState::clone(state);
        next.last_job = Some(end.job);
        next.last_run_status = Some(end.status);
        if end.is_scheduled {
            count_failures(&mut next, end.status, end.failure);
        }
        next.next_sweep_at = next.next_sweep_at.or(Some(self.now));
        let facts = EventFacts {
            cluster: Some(state.cluster.clone()),
            policy: Some(state.policy),
            job: Some(end.job),
            ..EventFacts::default()
        };
        changeset.update(state.version, with_due(next, self.now), EventKind::PolicyStateChanged, facts);
    }
}

/// Counts on, or from the beginning again: what people try between the slots does neither.
fn count_failures(state: &mut PolicyState, status: JobStatus, failure: Option<String>) {
    match status {
        JobStatus::Completed | JobStatus::PartiallyFailed => {
            (state.failures_in_a_row, state.last_failure) = (0, None);
        }
        JobStatus::Failed => {
            state.failures_in_a_row = state.failures_in_a_row.saturating_add(1);
            state.last_failure = failure;
        }
        JobStatus::Pending | JobStatus::InProgress | JobStatus::Cancelled => {}
    }
}
