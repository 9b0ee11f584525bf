//! From what a DR test came to, over the removal of what it restored, to its end.

use super::{DrTestStep, DrTestSurroundings, advance, facts_of};
use crate::{
    engine::decide::{Decider, job::failure_of, record::record_facts},
    model::{
        BackupRecord, CheckStatus, CheckStep, ClusterState, DrCleanUp, DrConclusion, DrKeep, DrPhase, DrRun,
        DrTest, EventFacts, EventKind, Evidence, EvidenceSource, Machine, Principal, RecordUse,
        RestoreTarget, RestoredBy, Timestamp, TransitionError, VerificationLevel, Versioned,
    },
    seams::{Changeset, CleanUpResult, EndStatus, Observation, Outcome, WorkResult},
};

impl Decider<'_> {
    /// Writes down that a person asked a DR test to end. Nothing, if what it came to is known already.
    ///
    /// # Errors
    /// [`TransitionError`] if it has ended.
    pub(crate) fn cancel_dr_test(
        changeset: &mut Changeset,
        test: &Versioned<DrTest>,
    ) -> Result<(), TransitionError> {
        test.status.after(CheckStep::GiveUp)?;
        if test.conclusion.is_some() {
            return Ok(());
        }
        let reason = format!("it was cancelled by `{}`", changeset.actor);
        stop(changeset, test, DrConclusion::not_run(reason), EventKind::DrTestCancelRequested)
    }

    /// What follows from an observation of a restore that was asked to end. Whatever it left, even
    /// if it seems absent, is cleaned up.
    ///
    /// # Errors
    /// [`TransitionError`] if the test has ended meanwhile.
    pub(crate) fn observe_dr_stop(
        &self,
        test: &Versioned<DrTest>,
        around: DrTestSurroundings<'_>,
        observation: &Observation,
    ) -> Result<DrTestStep, TransitionError> {
        match observation {
            Observation::Ended(_) | Observation::Lost { .. } | Observation::Absent => {
                let end = test.conclusion.clone();
                let end =
                    end.unwrap_or_else(|| DrConclusion::not_run("its restore was asked to end".to_owned()));
                self.conclude(test, around, DrTest::clone(test), end).map(DrTestStep::Commit)
            }
            Observation::Queued { .. }
            | Observation::Running(_)
            | Observation::Unknown { .. }
            | Observation::Deferred { .. } => Ok(DrTestStep::Cancel),
        }
    }

    /// Notes what a test came to, and goes on to the clean-up; ends the test if there is to be none.
    ///
    /// # Errors
    /// [`TransitionError`] if it has ended meanwhile.
    pub(super) fn conclude(
        &self,
        test: &Versioned<DrTest>,
        around: DrTestSurroundings<'_>,
        mut next: DrTest,
        end: DrConclusion,
    ) -> Result<Changeset, TransitionError> {
        next.status.after(end.step)?;
        let kept = why_kept(next.keep, end.step, around);
        next.conclusion = Some(end);
        if let Some(reason) = kept {
            next.left_behind = targets_of(&next);
            next.clean_up = Some(DrCleanUp::not_run(reason));
            return self.end_dr_test(test, around, next);
        }
        let mut changeset = self.changeset();
        advance(&mut changeset, test, next, DrPhase::CleaningUp(self.now));
        Ok(changeset)
    }

    /// What follows from an observation of the removal of what a test restored, begun at `since`.
    ///
    /// # Errors
    /// [`TransitionError`] if the test has ended meanwhile.
    pub(crate) fn observe_dr_clean_up(
        &self,
        test: &Versioned<DrTest>,
        around: DrTestSurroundings<'_>,
        since: Timestamp,
        observation: Observation,
    ) -> Result<DrTestStep, TransitionError> {
        match observation {
            Observation::Ended(outcome) => self.clean_up_ended(test, around, &outcome),
            _ if self.now > since.saturating_add(test.timeout) => {
                let reason = format!("it did not end within {} seconds", test.timeout.as_secs());
                self.fail_dr_clean_up(test, around, reason)
            }
            Observation::Absent => return Ok(DrTestStep::Start),
            Observation::Lost { .. } => {
                let mut changeset = self.changeset();
                let mut next = DrTest::clone(test);
                if let Some(run) = &mut next.run {
                    run.clean_up = self.ids.mint(self.now);
                }
                advance(&mut changeset, test, next, DrPhase::CleaningUp(since));
                Ok(changeset)
            }
            Observation::Queued { .. }
            | Observation::Running(_)
            | Observation::Unknown { .. }
            | Observation::Deferred { .. } => return Ok(DrTestStep::Wait),
        }
        .map(DrTestStep::Commit)
    }

    fn clean_up_ended(
        &self,
        test: &Versioned<DrTest>,
        around: DrTestSurroundings<'_>,
        outcome: &Outcome,
    ) -> Result<Changeset, TransitionError> {
        let mut next = DrTest::clone(test);
        let (removed, left) = match &outcome.result {
            WorkResult::CleanUp(CleanUpResult { removed, left }) => (removed.clone(), left.clone()),
            WorkResult::Nothing
            | WorkResult::Backup(_)
            | WorkResult::Restore(_)
            | WorkResult::Verify(_)
            | WorkResult::Deleted => (Default::default(), targets_of(test)),
        };
        let is_clean = outcome.status == EndStatus::Completed && left.is_empty();
        next.left_behind = left;
        next.clean_up = Some(DrCleanUp {
            status: if is_clean { CheckStatus::Passed } else { CheckStatus::Failed },
            removed,
            reason: (!is_clean).then(|| failure_of(outcome).message),
            errors: outcome.errors.clone(),
        });
        self.end_dr_test(test, around, next)
    }

    /// Ends a DR test whose clean-up came to nothing.
    ///
    /// # Errors
    /// [`TransitionError`] if it has ended meanwhile.
    pub(crate) fn fail_dr_clean_up(
        &self,
        test: &Versioned<DrTest>,
        around: DrTestSurroundings<'_>,
        reason: String,
    ) -> Result<Changeset, TransitionError> {
        let mut next = DrTest::clone(test);
        next.left_behind = targets_of(test);
        next.clean_up = Some(DrCleanUp { status: CheckStatus::Failed, ..DrCleanUp::not_run(reason) });
        self.end_dr_test(test, around, next)
    }

    /// Ends a DR test whose restore the driver refused for good: nothing was touched. Where it did not
    /// find what it was asked for, the record's own cluster is asked whether its data is there: the
    /// target may as well lack a namespace, or see another storage.
    ///
    /// # Errors
    /// [`TransitionError`] if it has ended meanwhile.
    pub(crate) fn refuse_dr_restore(
        &self,
        test: &Versioned<DrTest>,
        around: DrTestSurroundings<'_>,
        reason: String,
        is_missing: bool,
    ) -> Result<Changeset, TransitionError> {
        let mut next = DrTest::clone(test);
        next.conclusion = Some(if is_missing {
            DrConclusion::failed(VerificationLevel::Present, reason)
        } else {
            DrConclusion::not_run(reason)
        });
        self.end_dr_test(test, around, next)
    }

    /// Ends a test as was concluded, and frees what it held.
    fn end_dr_test(
        &self,
        test: &Versioned<DrTest>,
        around: DrTestSurroundings<'_>,
        next: DrTest,
    ) -> Result<Changeset, TransitionError> {
        let end = next.conclusion.clone();
        let end = end.unwrap_or_else(|| DrConclusion::not_run("it came to nothing".to_owned()));
        let mut next = next.apply(end.step, self.now)?;
        next.reason.clone_from(&end.reason);
        if next.status == CheckStatus::Passed {
            let proven = next.findings.iter().any(|finding| finding.status == CheckStatus::Passed);
            let level = if proven { VerificationLevel::Proven } else { VerificationLevel::Restored };
            next.passed_level = Some(level);
        }
        let facts = EventFacts { reason: end.reason, ..facts_of(&next) };
        let mut changeset = self.changeset();
        if let Some(record) = around.record {
            self.note_dr_test(&mut changeset, &next, record, around, end.failed_level);
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
        around: DrTestSurroundings<'_>,
        failed: Option<VerificationLevel>,
    ) {
        let mut next = BackupRecord::clone(record);
        next.uses.retain(|by| *by != RecordUse::DrTest(test.id));
        let found_by = EvidenceSource::DrTest(test.id);
        let mut note = |level, passed| next.note_evidence(Evidence { level, at: self.now, passed, found_by });
        let proven = test.run.as_ref().filter(|run| run.is_whole()).zip(test.passed_level);
        if let Some((_, level)) = proven {
            note(VerificationLevel::Restored, true);
            note(level, true);
        }
        if let Some(level) = failed {
            note(level, false);
        }
        if let Some((run, _)) = proven {
            for copy in next.copies.iter_mut().filter(|copy| copy.location == run.record.location) {
                copy.last_verified_at = Some(self.now);
            }
        }
        let found_out = proven.is_some() || failed.is_some();
        let kind = if found_out { EventKind::RecordChecked } else { EventKind::RecordUseChanged };
        let facts = EventFacts { reason: test.reason.clone(), ..record_facts(record) };
        if let Some(level) = around.presence_check.filter(|_| failed == Some(VerificationLevel::Present)) {
            let (by, timeout) = (Principal::engine(), around.verification_timeout);
            let check = self.new_verification(changeset, &mut next, level, by, timeout);
            if let Some(check) = check {
                changeset.insert(check, EventKind::VerificationStarted, record_facts(record));
            }
        }
        changeset.update(record.version, next, kind, facts);
    }
}

/// Notes what a test came to while its restore may still run: that is asked to end first.
pub(super) fn stop(
    changeset: &mut Changeset,
    test: &Versioned<DrTest>,
    end: DrConclusion,
    kind: EventKind,
) -> Result<(), TransitionError> {
    test.status.after(end.step)?;
    let mut next = DrTest::clone(test);
    let facts = EventFacts { reason: end.reason.clone(), ..facts_of(test) };
    next.conclusion = Some(end);
    if let Some(run) = &mut next.run {
        run.phase = DrPhase::Stopping;
    }
    changeset.update(test.version, next, kind, facts);
    Ok(())
}

/// Why what was restored is not removed, if it is not.
fn why_kept(keep: DrKeep, step: CheckStep, around: DrTestSurroundings<'_>) -> Option<String> {
    match (keep, step) {
        (DrKeep::Always, _) => return Some("it is kept, as was asked for".to_owned()),
        (DrKeep::IfFailed, CheckStep::Fail) => {
            return Some("the test failed: it is kept to be looked into, as was asked for".to_owned());
        }
        (DrKeep::Nothing | DrKeep::IfFailed, CheckStep::Pass | CheckStep::Fail | CheckStep::GiveUp) => {}
    }
    let driver = around.lacks_clean_up?;
    Some(format!("the {driver} driver can't remove what it restored: remove it by hand"))
}

fn targets_of(test: &DrTest) -> Vec<RestoreTarget> {
    test.run.iter().flat_map(|DrRun { options, .. }| options.mapping.values().cloned()).collect()
}
