//! A DR test's beginning, its next step, and its end.

mod ending;
mod observing;

use super::{Decider, record::record_facts};
use crate::{
    model::{
        ActiveRestore, BackupRecord, CheckStatus, ClusterName, ClusterState, DisplayName, DrKeep, DrPhase,
        DrRun, DrTest, DrTestId, EventFacts, EventKind, Policy, PolicyId, PolicyState, Principal, RecordUse,
        RestoredBy, ScheduleOptions, TenantId, Timestamp, VerificationLevel, Versioned,
    },
    rules::{Settlement, Timetable},
    seams::{Changeset, CleanUpWork, Operation, RestorePurpose, RestoreWork, Work},
};

/// A DR test that is asked for.
#[derive(Clone, Debug)]
pub(crate) struct DrOrder {
    pub(crate) tenant: TenantId,
    pub(crate) policy: Option<PolicyId>,
    pub(crate) nominal_at: Option<Timestamp>,
    pub(crate) target_cluster: ClusterName,
    pub(crate) verify: Option<VerificationLevel>,
    pub(crate) checks: Vec<DisplayName>,
    pub(crate) keep: DrKeep,
    pub(crate) requested_by: Principal,
    pub(crate) timeout: std::time::Duration,
}

/// All that a DR test needs to begin.
#[derive(Debug)]
pub(crate) struct DrPrepared {
    pub(crate) record: Versioned<BackupRecord>,
    pub(crate) cluster: Option<Versioned<ClusterState>>,
    pub(crate) run: DrRun,
}

/// What to do with a DR test after it was looked at.
#[derive(Debug)]
pub(crate) enum DrTestStep {
    /// Nothing but noting how far it is.
    Wait,
    /// Call the driver's `start` again under the same identity.
    Start,
    /// Let the embedder's checks look at what was restored.
    Check,
    /// Ask the driver to cancel what still runs.
    Cancel,
    /// Commit this.
    Commit(Changeset),
}

/// What is changed along with a DR test.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DrTestSurroundings<'a> {
    /// Its record.
    pub(crate) record: Option<&'a Versioned<BackupRecord>>,
    /// The target cluster.
    pub(crate) cluster: Option<&'a Versioned<ClusterState>>,
    /// The shallowest check by which the record's own cluster tells whether its data is there.
    pub(crate) presence_check: Option<VerificationLevel>,
    /// How long the verification of its record may run.
    pub(crate) verification_timeout: std::time::Duration,
    /// The target's driver, if it can't remove what it restored.
    pub(crate) lacks_clean_up: Option<&'a str>,
}

/// The times of the DR tests that a policy asks for.
pub(crate) fn dr_table(policy: &Policy) -> Option<Timetable> {
    let rule = policy.dr_test.as_ref()?;
    Some(Timetable::new(&rule.schedule, &ScheduleOptions::default(), policy.id, policy.created_at))
}

impl Decider<'_> {
    /// Begins a DR test: its record is in use and its target taken from now on.
    pub(crate) fn begin_dr_test(
        &self,
        changeset: &mut Changeset,
        id: DrTestId,
        order: DrOrder,
        prepared: DrPrepared,
    ) {
        let DrPrepared { record, cluster, run } = prepared;
        let into = run.into_namespaces();
        let target = order.target_cluster.clone();
        let test = self.dr_test(id, order, Some(run));
        let facts = facts_of(&test);
        let mut used = BackupRecord::clone(&record);
        used.uses.push(RecordUse::DrTest(id));
        changeset.update(record.version, used, EventKind::RecordUseChanged, record_facts(&record));
        if !into.is_empty() {
            let active = ActiveRestore { by: RestoredBy::DrTest(id), namespaces: into, since: self.now };
            let mut state = cluster
                .as_ref()
                .map_or_else(|| ClusterState::new(target), |cluster| ClusterState::clone(cluster));
            state.restores.push(active);
            match cluster {
                Some(cluster) => {
                    changeset.update(cluster.version, state, EventKind::ClusterStateChanged, facts.clone());
                }
                None => changeset.insert(state, EventKind::ClusterStateChanged, facts.clone()),
            }
        }
        changeset.insert(test, EventKind::DrTestStarted, facts);
    }

    /// Writes down a DR test that could not begin.
    pub(crate) fn refuse_dr_test(
        &self,
        changeset: &mut Changeset,
        id: DrTestId,
        order: DrOrder,
        reason: String,
    ) {
        let mut test = self.dr_test(id, order, None);
        test.status = CheckStatus::NotRun;
        test.completed_at = Some(self.now);
        test.reason = Some(reason.clone());
        let facts = EventFacts { reason: Some(reason), ..facts_of(&test) };
        changeset.insert(test, EventKind::DrTestEnded, facts);
    }

    fn dr_test(&self, id: DrTestId, order: DrOrder, run: Option<DrRun>) -> DrTest {
        DrTest {
            id,
            tenant: order.tenant,
            policy: order.policy,
            nominal_at: order.nominal_at,
            target_cluster: order.target_cluster,
            verify: order.verify,
            checks: order.checks,
            keep: order.keep,
            run,
            status: CheckStatus::Running,
            requested_by: order.requested_by,
            started_at: self.now,
            completed_at: None,
            timeout: order.timeout,
            restore: None,
            findings: Vec::new(),
            conclusion: None,
            clean_up: None,
            passed_level: None,
            reason: None,
            errors: Vec::new(),
            left_behind: Vec::new(),
        }
    }

    /// Settles the times of a policy's DR tests; `began` is the test of the one that runs.
    pub(crate) fn settle_dr_tests(
        changeset: &mut Changeset,
        policy: &Versioned<Policy>,
        state: &Versioned<PolicyState>,
        settlement: Option<&Settlement>,
        began: Option<DrTestId>,
    ) {
        changeset.expect_unchanged(crate::model::EntityKey::Policy(policy.id), policy.version);
        let mut next = PolicyState::clone(state);
        next.next_dr_test_at = settlement.and_then(|settlement| settlement.next_at);
        next.dr_test_watermark = settlement.map_or(next.dr_test_watermark, |settlement| settlement.watermark);
        next.last_dr_test = began.or(next.last_dr_test);
        let facts = super::policy_facts(policy);
        let next = super::with_due(next, changeset.at);
        changeset.update(state.version, next, EventKind::PolicyStateChanged, facts);
    }
}

fn advance(changeset: &mut Changeset, test: &Versioned<DrTest>, mut next: DrTest, phase: DrPhase) {
    if let Some(run) = &mut next.run {
        run.phase = phase;
    }
    let facts = facts_of(&next);
    changeset.update(test.version, next, EventKind::DrTestAdvanced, facts);
}

fn facts_of(test: &DrTest) -> EventFacts {
    EventFacts {
        cluster: Some(test.target_cluster.clone()),
        policy: test.policy,
        record: test.run.as_ref().map(|run| run.record.id),
        bytes: test.restore.as_ref().map(|restore| restore.bytes),
        duration: test.recovery_time_actual(),
        ..EventFacts::default()
    }
}

/// A DR test's restore as the driver knows it.
pub(crate) fn restore_of(test: &DrTest, run: &DrRun) -> Operation {
    Operation {
        id: run.operation,
        tenant: test.tenant.clone(),
        cluster: test.target_cluster.clone(),
        name: run.name.clone(),
        started_at: test.started_at,
        work: Work::Restore(work_of(run)),
    }
}

/// A DR test's clean-up, begun at `since`, as the driver knows it.
pub(crate) fn clean_up_of(test: &DrTest, run: &DrRun, since: Timestamp) -> Operation {
    Operation {
        id: run.clean_up,
        started_at: since,
        work: Work::CleanUp(CleanUpWork { restore: run.operation, work: work_of(run) }),
        ..restore_of(test, run)
    }
}

fn work_of(run: &DrRun) -> RestoreWork {
    RestoreWork {
        record: run.record.clone(),
        namespaces: run.namespaces.clone(),
        options: run.options.clone(),
        purpose: RestorePurpose::Trial,
    }
}
