//! A DR test's beginning, its next step, and what it proves of its record.

use super::{Decider, job::failure_of, record::record_facts};
use crate::{
    model::{
        ActiveRestore, BackupRecord, CheckStatus, CheckStep, ClusterName, ClusterState, DisplayName,
        DrFinding, DrPhase, DrRestore, DrRun, DrTest, DrTestId, EventFacts, EventKind, Evidence,
        EvidenceSource, Policy, PolicyId, PolicyState, Principal, RecordUse, RestoredBy, ScheduleOptions,
        TenantId, Timestamp, TransitionError, Verification, VerificationLevel, Versioned,
    },
    rules::{Settlement, Timetable},
    seams::{
        Changeset, EndStatus, Observation, Operation, Outcome, RestoreResult, RestoreWork, Work, WorkResult,
    },
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
    /// Commit this, then ask the driver to cancel what may still run.
    CommitAndCancel(Changeset),
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
    /// How long the verification of its record may run.
    pub(crate) verification_timeout: std::time::Duration,
}

/// What a DR test came to.
struct End {
    step: CheckStep,
    reason: Option<String>,
    /// The level that failed, if one did.
    failed: Option<VerificationLevel>,
    /// Whether something may lie at the target.
    touched: bool,
}

impl End {
    const PASSED: Self = Self { step: CheckStep::Pass, reason: None, failed: None, touched: true };

    const fn failed(level: VerificationLevel, reason: String) -> Self {
        Self { step: CheckStep::Fail, reason: Some(reason), failed: Some(level), touched: true }
    }

    const fn not_run(reason: String) -> Self {
        Self { step: CheckStep::GiveUp, reason: Some(reason), failed: None, touched: true }
    }
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
            run,
            status: CheckStatus::Running,
            requested_by: order.requested_by,
            started_at: self.now,
            completed_at: None,
            timeout: order.timeout,
            restore: None,
            findings: Vec::new(),
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
        changeset.update(state.version, super::with_due(next), EventKind::PolicyStateChanged, facts);
    }

    /// What follows from an observation of a DR test's restore.
    ///
    /// # Errors
    /// [`TransitionError`] if it has ended meanwhile.
    pub(crate) fn observe_dr_restore(
        &self,
        test: &Versioned<DrTest>,
        around: DrTestSurroundings<'_>,
        observation: Observation,
    ) -> Result<DrTestStep, TransitionError> {
        match observation {
            Observation::Ended(outcome) => self.dr_restore_ended(test, around, &outcome),
            Observation::Lost { reason } => {
                let end = End::not_run(format!("the restore was lost: {reason}"));
                self.end_dr_test(test, around, DrTest::clone(test), end).map(DrTestStep::Commit)
            }
            _ if self.is_overdue(test) => {
                let reason = format!("the restore did not end within {} seconds", test.timeout.as_secs());
                let end = End::failed(VerificationLevel::Restored, reason);
                self.end_dr_test(test, around, DrTest::clone(test), end).map(DrTestStep::CommitAndCancel)
            }
            Observation::Absent => Ok(DrTestStep::Start),
            Observation::Queued { .. }
            | Observation::Running(_)
            | Observation::Unknown { .. }
            | Observation::Deferred { .. } => Ok(DrTestStep::Wait),
        }
    }

    fn dr_restore_ended(
        &self,
        test: &Versioned<DrTest>,
        around: DrTestSurroundings<'_>,
        outcome: &Outcome,
    ) -> Result<DrTestStep, TransitionError> {
        let mut next = DrTest::clone(test);
        next.errors.clone_from(&outcome.errors);
        let end = match (outcome.status, &outcome.result) {
            (EndStatus::Completed, WorkResult::Restore(result))
                if brought_something(around.record, result) =>
            {
                next.restore = Some(DrRestore {
                    duration: self.now.since(test.started_at),
                    bytes: result.bytes,
                    restored: result.restored.clone(),
                });
                return self.after_restore(test, around, next);
            }
            (EndStatus::Completed, _) => End::failed(
                VerificationLevel::Restored,
                "the restore ended well and brought nothing".to_owned(),
            ),
            (EndStatus::PartiallyFailed | EndStatus::Failed, _) => {
                End::failed(VerificationLevel::Restored, failure_of(outcome).message)
            }
            (EndStatus::Cancelled, _) => End::not_run("the restore was cancelled".to_owned()),
        };
        self.end_dr_test(test, around, next, end).map(DrTestStep::Commit)
    }

    /// The phase after the restore: the record's verification, else the embedder's checks, else the end.
    fn after_restore(
        &self,
        test: &Versioned<DrTest>,
        around: DrTestSurroundings<'_>,
        next: DrTest,
    ) -> Result<DrTestStep, TransitionError> {
        let (Some(level), Some(record)) = (test.verify, around.record) else {
            return self.after_verification(test, around, next);
        };
        let mut changeset = self.changeset();
        let mut used = BackupRecord::clone(record);
        let by = test.requested_by.clone();
        let timeout = around.verification_timeout;
        let Some(verification) = self.new_verification(&mut changeset, &mut used, level, by, timeout) else {
            let end = End::not_run("the record has no copy left that could be verified".to_owned());
            return self.end_dr_test(test, around, next, end).map(DrTestStep::Commit);
        };
        let facts = record_facts(record);
        changeset.update(record.version, used, EventKind::RecordUseChanged, facts.clone());
        let phase = DrPhase::Verifying(verification.id);
        changeset.insert(verification, EventKind::VerificationStarted, facts);
        advance(&mut changeset, test, next, phase);
        Ok(DrTestStep::Commit(changeset))
    }

    /// What follows once the record's verification was looked at.
    ///
    /// # Errors
    /// [`TransitionError`] if it has ended meanwhile.
    pub(crate) fn observe_dr_verification(
        &self,
        test: &Versioned<DrTest>,
        around: DrTestSurroundings<'_>,
        verification: Option<&Verification>,
    ) -> Result<DrTestStep, TransitionError> {
        let why = || {
            let reason = verification.and_then(|verification| verification.reason.clone());
            reason.unwrap_or_else(|| "it said no reason".to_owned())
        };
        let end = match verification.map(|verification| (verification.status, verification.level)) {
            Some((CheckStatus::Running, _)) => return Ok(DrTestStep::Wait),
            Some((CheckStatus::Passed, _)) => {
                return self.after_verification(test, around, DrTest::clone(test));
            }
            // The verification has put its own evidence down.
            Some((CheckStatus::Failed, level)) => End {
                failed: None,
                ..End::failed(level, format!("the record's verification failed: {}", why()))
            },
            Some((CheckStatus::NotRun, _)) => {
                End::not_run(format!("the record's verification was not run: {}", why()))
            }
            None => End::not_run("the record's verification is gone".to_owned()),
        };
        self.end_dr_test(test, around, DrTest::clone(test), end).map(DrTestStep::Commit)
    }

    fn after_verification(
        &self,
        test: &Versioned<DrTest>,
        around: DrTestSurroundings<'_>,
        next: DrTest,
    ) -> Result<DrTestStep, TransitionError> {
        if test.checks.is_empty() {
            return self.end_dr_test(test, around, next, End::PASSED).map(DrTestStep::Commit);
        }
        let mut changeset = self.changeset();
        advance(&mut changeset, test, next, DrPhase::Checking);
        Ok(DrTestStep::Commit(changeset))
    }

    /// What follows from what the embedder's checks found so far: `None` while they run.
    ///
    /// # Errors
    /// [`TransitionError`] if it has ended meanwhile.
    pub(crate) fn observe_dr_checks(
        &self,
        test: &Versioned<DrTest>,
        around: DrTestSurroundings<'_>,
        findings: Option<Vec<DrFinding>>,
    ) -> Result<DrTestStep, TransitionError> {
        let mut next = DrTest::clone(test);
        let Some(findings) = findings else {
            if !self.is_overdue(test) {
                return Ok(DrTestStep::Check);
            }
            let end =
                End::not_run(format!("its checks did not end within {} seconds", test.timeout.as_secs()));
            return self.end_dr_test(test, around, next, end).map(DrTestStep::Commit);
        };
        let first = |status: CheckStatus| {
            let found = findings.iter().find(|finding| finding.status == status)?;
            Some((&found.check, found.reason.as_deref().unwrap_or("it said no reason")))
        };
        let end = if let Some((check, reason)) = first(CheckStatus::Failed) {
            End::failed(VerificationLevel::Proven, format!("the check `{check}` failed: {reason}"))
        } else if let Some((check, reason)) = first(CheckStatus::NotRun) {
            End::not_run(format!("the check `{check}` was not run: {reason}"))
        } else {
            End::PASSED
        };
        next.findings = findings;
        self.end_dr_test(test, around, next, end).map(DrTestStep::Commit)
    }

    /// Ends a DR test whose restore the driver refused for good: nothing was touched.
    ///
    /// # Errors
    /// [`TransitionError`] if it has ended meanwhile.
    pub(crate) fn refuse_dr_restore(
        &self,
        test: &Versioned<DrTest>,
        around: DrTestSurroundings<'_>,
        reason: String,
        record_is_gone: bool,
    ) -> Result<Changeset, TransitionError> {
        let end = if record_is_gone {
            End::failed(VerificationLevel::Restored, reason)
        } else {
            End::not_run(reason)
        };
        self.end_dr_test(test, around, DrTest::clone(test), End { touched: false, ..end })
    }

    fn end_dr_test(
        &self,
        test: &Versioned<DrTest>,
        around: DrTestSurroundings<'_>,
        next: DrTest,
        end: End,
    ) -> Result<Changeset, TransitionError> {
        let mut next = next.apply(end.step, self.now)?;
        next.reason.clone_from(&end.reason);
        if next.status == CheckStatus::Passed {
            let proven = next.findings.iter().any(|finding| finding.status == CheckStatus::Passed);
            let level = if proven { VerificationLevel::Proven } else { VerificationLevel::Restored };
            next.passed_level = Some(level);
        }
        if let Some(run) = next.run.as_ref().filter(|_| end.touched) {
            next.left_behind = run.options.mapping.values().cloned().collect();
        }
        let facts = EventFacts { reason: end.reason, ..facts_of(&next) };
        let mut changeset = self.changeset();
        if let Some(record) = around.record {
            self.note_dr_test(&mut changeset, &next, record, end.failed);
        }
        let by = RestoredBy::DrTest(test.id);
        if let Some(cluster) =
            around.cluster.filter(|cluster| cluster.restores.iter().any(|own| own.by == by))
        {
            let mut freed = ClusterState::clone(cluster);
            freed.restores.retain(|active| active.by != by);
            changeset.update(cluster.version, freed, EventKind::ClusterStateChanged, facts.clone());
        }
        changeset.update(test.version, next, EventKind::DrTestEnded, facts);
        Ok(changeset)
    }

    /// Frees the record, and notes on it what the test proved or disproved.
    fn note_dr_test(
        &self,
        changeset: &mut Changeset,
        test: &DrTest,
        record: &Versioned<BackupRecord>,
        failed: Option<VerificationLevel>,
    ) {
        let mut next = BackupRecord::clone(record);
        next.uses.retain(|by| *by != RecordUse::DrTest(test.id));
        let found_by = EvidenceSource::DrTest(test.id);
        let mut note = |level, passed| next.note_evidence(Evidence { level, at: self.now, passed, found_by });
        if let Some(level) = test.passed_level {
            note(VerificationLevel::Restored, true);
            note(level, true);
        }
        if let Some(level) = failed {
            note(level, false);
        }
        if let (Some(_), Some(run)) = (test.passed_level, &test.run) {
            for copy in next.copies.iter_mut().filter(|copy| copy.location == run.record.location) {
                copy.last_verified_at = Some(self.now);
            }
        }
        let found_out = test.passed_level.is_some() || failed.is_some();
        let kind = if found_out { EventKind::RecordChecked } else { EventKind::RecordUseChanged };
        let facts = EventFacts { reason: test.reason.clone(), ..record_facts(record) };
        changeset.update(record.version, next, kind, facts);
    }

    fn is_overdue(&self, test: &DrTest) -> bool {
        self.now > test.started_at.saturating_add(test.timeout)
    }
}

fn advance(changeset: &mut Changeset, test: &Versioned<DrTest>, mut next: DrTest, phase: DrPhase) {
    if let Some(run) = &mut next.run {
        run.phase = phase;
    }
    let facts = facts_of(&next);
    changeset.update(test.version, next, EventKind::DrTestAdvanced, facts);
}

/// Whether a restore brought anything, where its record has anything.
fn brought_something(record: Option<&Versioned<BackupRecord>>, result: &RestoreResult) -> bool {
    let is_empty = record.is_some_and(|record| record.sizes.logical.is_none_or(|size| size.0 == 0));
    is_empty || result.bytes.0 > 0 || result.restored.total() > 0
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
pub(crate) fn operation_of(test: &DrTest, run: &DrRun) -> Operation {
    Operation {
        id: run.operation,
        tenant: test.tenant.clone(),
        cluster: test.target_cluster.clone(),
        name: run.name.clone(),
        started_at: test.started_at,
        work: Work::Restore(RestoreWork {
            record: run.record.clone(),
            namespaces: run.namespaces.clone(),
            options: run.options.clone(),
        }),
    }
}
