//! What each query means, as one function per query. Stores that ask a database say the same there.

use super::{
    DrTestQuery, ExecutionQuery, JobQuery, PlanQuery, PolicyQuery, PolicyStateQuery, RecordQuery,
    RetentionRunQuery, SlotQuery, Turn, VerificationQuery,
};
use crate::model::{
    BackupJob, BackupRecord, Bytes, DrTest, Policy, PolicyState, RecordCopy, RecordLifecycle,
    RecoveryExecution, RecoveryPlan, RetentionRun, Slot, Timestamp, Verification,
};

/// Whether `value` is what was asked for, if anything was.
fn is<T: PartialEq>(asked: Option<&T>, value: &T) -> bool {
    asked.is_none_or(|asked| asked == value)
}

/// Whether `value` is there and what was asked for, if anything was.
fn is_some<T: PartialEq>(asked: Option<&T>, value: Option<&T>) -> bool {
    asked.is_none_or(|asked| Some(asked) == value)
}

/// Whether `value` is one of those that were asked for, if any were.
fn is_any<T: PartialEq>(asked: &[T], value: &T) -> bool {
    asked.is_empty() || asked.contains(value)
}

/// Whether `at` lies in the half-open stretch of time that was asked for.
fn is_within(from: Option<Timestamp>, to: Option<Timestamp>, at: Timestamp) -> bool {
    from.is_none_or(|from| from <= at) && to.is_none_or(|to| at < to)
}

// Each function takes its query apart, so that a new field can't be overlooked.

impl JobQuery {
    /// Whether it asks for `job`; its window aside.
    #[must_use]
    pub fn matches(&self, job: &BackupJob) -> bool {
        let Self {
            scope,
            cluster,
            statuses,
            live,
            policy,
            location,
            from,
            to,
            hidden,
            before,
            order: _,
            window: _,
        } = self;
        scope.covers(Some(&job.tenant))
            && is(cluster.as_ref(), &job.cluster)
            && is_any(statuses, &job.status)
            && is(live.as_ref(), &job.is_live())
            && is_some(policy.as_ref(), job.policy.as_ref())
            && is(location.as_ref(), &job.location)
            && is_within(*from, *to, job.created_at)
            && (*hidden || !job.hidden)
            && before.is_none_or(|turn| Turn::from(job) < turn)
    }
}

impl RecordQuery {
    /// Whether it asks for `record`; its window aside.
    #[must_use]
    pub fn matches(&self, record: &BackupRecord) -> bool {
        let Self {
            scope,
            ids,
            cluster,
            policy,
            manual,
            states,
            location,
            backend,
            chain,
            from,
            to,
            due_by,
            window: _,
        } = self;
        scope.covers(Some(&record.tenant))
            && is_any(ids, &record.id)
            && is(cluster.as_ref(), &record.cluster)
            && is_some(policy.as_ref(), record.policy.as_ref())
            && (!manual || record.policy.is_none())
            && is_any(states, &record.state())
            && ((location.is_none() && backend.is_none())
                || record.copies.iter().any(|copy| self.matches_copy(copy)))
            && is(chain.as_ref(), &record.chain)
            && is_within(*from, *to, record.created_at)
            && due_by.is_none_or(|now| is_due(&record.lifecycle, now))
    }

    /// Whether it asks for records with such a copy.
    fn matches_copy(&self, copy: &RecordCopy) -> bool {
        is(self.location.as_ref(), &copy.location) && is(self.backend.as_ref(), &copy.location.backend())
    }

    /// What `record` takes in the storage that it asks about, as far as it is known.
    #[must_use]
    pub fn stored(&self, record: &BackupRecord) -> Bytes {
        let there = |copy: &&RecordCopy| copy.gone_at.is_none() && self.matches_copy(copy);
        let sizes = record.copies.iter().filter(there).filter_map(|copy| copy.stored);
        Bytes(sizes.fold(0, |sum, size| sum.saturating_add(size.0)))
    }
}

/// Whether there is something to do for a record that leaves.
fn is_due(lifecycle: &RecordLifecycle, now: Timestamp) -> bool {
    match lifecycle {
        RecordLifecycle::Available | RecordLifecycle::Deleted { .. } => false,
        RecordLifecycle::Expired { delete_after, .. } => *delete_after <= now,
        RecordLifecycle::Deleting(deletion) => deletion.deferred_until.is_none_or(|until| until <= now),
    }
}

impl PlanQuery {
    /// Whether it asks for `plan`; its window aside.
    #[must_use]
    pub fn matches(&self, plan: &RecoveryPlan) -> bool {
        let Self { scope, cluster, status, record, window: _ } = self;
        scope.covers(Some(&plan.tenant))
            && is(cluster.as_ref(), &plan.target_cluster)
            && is(status.as_ref(), &plan.status)
            && is(record.as_ref(), &plan.record)
    }
}

impl ExecutionQuery {
    /// Whether it asks for `execution`; its window aside.
    #[must_use]
    pub fn matches(&self, execution: &RecoveryExecution) -> bool {
        let Self { scope, cluster, plan, status, active_after, window: _ } = self;
        let ended_by = |instant: &Timestamp| execution.completed_at.is_some_and(|end| end <= *instant);
        scope.covers(Some(&execution.tenant))
            && is(cluster.as_ref(), &execution.target_cluster)
            && is(plan.as_ref(), &execution.plan)
            && is(status.as_ref(), &execution.status)
            && !active_after.as_ref().is_some_and(ended_by)
    }
}

impl PolicyQuery {
    /// Whether it asks for `policy`; its window aside.
    #[must_use]
    pub fn matches(&self, policy: &Policy) -> bool {
        let Self { scope, ids, cluster, enabled, window: _ } = self;
        scope.covers(Some(&policy.tenant))
            && is_any(ids, &policy.id)
            && is(cluster.as_ref(), &policy.cluster)
            && is(enabled.as_ref(), &policy.enabled)
    }
}

impl PolicyStateQuery {
    /// Whether it asks for `state`.
    #[must_use]
    pub fn matches(&self, state: &PolicyState) -> bool {
        let Self { scope, cluster, policies } = self;
        scope.covers(Some(&state.tenant))
            && is(cluster.as_ref(), &state.cluster)
            && is_any(policies, &state.policy)
    }
}

impl SlotQuery {
    /// Whether it asks for `slot`; its window aside.
    #[must_use]
    pub fn matches(&self, slot: &Slot) -> bool {
        let Self { scope, policy, from, to, window: _ } = self;
        scope.covers(Some(&slot.tenant))
            && is(policy.as_ref(), &slot.policy_id)
            && is_within(*from, *to, slot.nominal_at)
    }
}

impl VerificationQuery {
    /// Whether it asks for `verification`; its window aside.
    #[must_use]
    pub fn matches(&self, verification: &Verification) -> bool {
        let Self { scope, cluster, record, status, window: _ } = self;
        scope.covers(Some(&verification.tenant))
            && is(cluster.as_ref(), &verification.cluster)
            && is(record.as_ref(), &verification.record.id)
            && is(status.as_ref(), &verification.status)
    }
}

impl DrTestQuery {
    /// Whether it asks for `test`; its window aside.
    #[must_use]
    pub fn matches(&self, test: &DrTest) -> bool {
        let Self { scope, cluster, policy, record, status, active_after, window: _ } = self;
        let ended_by = |instant: &Timestamp| test.completed_at.is_some_and(|end| end <= *instant);
        scope.covers(Some(&test.tenant))
            && is(cluster.as_ref(), &test.target_cluster)
            && is_some(policy.as_ref(), test.policy.as_ref())
            && is_some(record.as_ref(), test.run.as_ref().map(|run| &run.record.id))
            && is(status.as_ref(), &test.status)
            && !active_after.as_ref().is_some_and(ended_by)
    }
}

impl RetentionRunQuery {
    /// Whether it asks for `run`; its window aside.
    #[must_use]
    pub fn matches(&self, run: &RetentionRun) -> bool {
        let Self { scope, cluster, policy, window: _ } = self;
        scope.covers(Some(&run.tenant))
            && is(cluster.as_ref(), &run.cluster)
            && is_some(policy.as_ref(), run.policy.as_ref())
    }
}
