//! What follows from what is seen of a DR test's restore and of its checks.

use super::{DrTestStep, DrTestSurroundings, advance, ending::stop};
use crate::{
    engine::decide::{Decider, job::failure_of, record::record_facts},
    model::{
        BackupRecord, CheckStatus, DrConclusion, DrFinding, DrPhase, DrRestore, DrTest, EventKind,
        TransitionError, Verification, VerificationLevel, Versioned,
    },
    seams::{EndStatus, Observation, Outcome, RestoreResult, WorkResult},
};

impl Decider<'_> {
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
                let end = DrConclusion::not_run(format!("the restore was lost: {reason}"));
                self.conclude(test, around, DrTest::clone(test), end).map(DrTestStep::Commit)
            }
            _ if self.is_overdue(test) => {
                let reason = format!("the restore did not end within {} seconds", test.timeout.as_secs());
                let mut changeset = self.changeset();
                let end = DrConclusion::failed(VerificationLevel::Restored, reason);
                stop(&mut changeset, test, end, EventKind::DrTestAdvanced)?;
                Ok(DrTestStep::Commit(changeset))
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
                    duration: outcome.ended_between(test.started_at, self.now).since(test.started_at),
                    bytes: result.bytes,
                    restored: result.restored.clone(),
                });
                return self.after_restore(test, around, next);
            }
            (EndStatus::Completed, _) => DrConclusion::failed(
                VerificationLevel::Restored,
                "the restore ended well and brought nothing".to_owned(),
            ),
            (EndStatus::PartiallyFailed | EndStatus::Failed, _) => {
                DrConclusion::failed(VerificationLevel::Restored, failure_of(outcome).message)
            }
            (EndStatus::Cancelled, _) => DrConclusion::not_run("the restore was cancelled".to_owned()),
        };
        self.conclude(test, around, next, end).map(DrTestStep::Commit)
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
            let end = DrConclusion::not_run("the record has no copy left that could be verified".to_owned());
            return self.conclude(test, around, next, end).map(DrTestStep::Commit);
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
            Some((CheckStatus::Failed, level)) => DrConclusion {
                failed_level: None,
                ..DrConclusion::failed(level, format!("the record's verification failed: {}", why()))
            },
            Some((CheckStatus::NotRun, _)) => {
                DrConclusion::not_run(format!("the record's verification was not run: {}", why()))
            }
            None => DrConclusion::not_run("the record's verification is gone".to_owned()),
        };
        self.conclude(test, around, DrTest::clone(test), end).map(DrTestStep::Commit)
    }

    fn after_verification(
        &self,
        test: &Versioned<DrTest>,
        around: DrTestSurroundings<'_>,
        next: DrTest,
    ) -> Result<DrTestStep, TransitionError> {
        if test.checks.is_empty() {
            return self.conclude(test, around, next, DrConclusion::PASSED).map(DrTestStep::Commit);
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
            let end = DrConclusion::not_run(format!(
                "its checks did not end within {} seconds",
                test.timeout.as_secs()
            ));
            return self.conclude(test, around, next, end).map(DrTestStep::Commit);
        };
        let first = |status: CheckStatus| {
            let found = findings.iter().find(|finding| finding.status == status)?;
            Some((&found.check, found.reason.as_deref().unwrap_or("it said no reason")))
        };
        let end = if let Some((check, reason)) = first(CheckStatus::Failed) {
            DrConclusion::failed(VerificationLevel::Proven, format!("the check `{check}` failed: {reason}"))
        } else if let Some((check, reason)) = first(CheckStatus::NotRun) {
            DrConclusion::not_run(format!("the check `{check}` was not run: {reason}"))
        } else {
            DrConclusion::PASSED
        };
        next.findings = findings;
        self.conclude(test, around, next, end).map(DrTestStep::Commit)
    }

    fn is_overdue(&self, test: &DrTest) -> bool {
        self.now > test.started_at.saturating_add(test.timeout)
    }
}

/// Whether a restore brought anything, where its record has anything.
fn brought_something(record: Option<&Versioned<BackupRecord>>, result: &RestoreResult) -> bool {
    let is_empty = record.is_some_and(|record| record.sizes.logical.is_none_or(|size| size.0 == 0));
    is_empty || result.bytes.0 > 0 || result.restored.total() > 0
}
