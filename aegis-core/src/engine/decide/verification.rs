//! A verification's next step, and what it proves of its record.

use super::{Decider, record::record_facts};
use crate::{
    model::{
        BackupRecord, CheckStep, EventFacts, EventKind, Evidence, EvidenceSource, FoundBad, RecordUse,
        TransitionError, Verification, VerificationLevel, Versioned,
    },
    seams::{
        Changeset, EndStatus, Observation, Operation, Outcome, VerifyResult, VerifyWork, Work, WorkResult,
    },
};

/// What to do with a verification after it was observed.
#[derive(Debug)]
pub(crate) enum VerificationStep {
    /// Nothing but noting how far it is.
    Wait,
    /// Call the driver's `start` again under the same identity.
    Start,
    /// Commit this.
    Commit(Changeset),
}

/// What a verification came to.
struct Verdict {
    step: CheckStep,
    passed: Option<VerificationLevel>,
    failed: Option<VerificationLevel>,
    reason: Option<String>,
}

impl Decider<'_> {
    /// What follows from an observation of a verification.
    ///
    /// # Errors
    /// [`TransitionError`] if it has ended meanwhile.
    pub(crate) fn observe_verification(
        &self,
        verification: &Versioned<Verification>,
        record: Option<&Versioned<BackupRecord>>,
        observation: Observation,
    ) -> Result<VerificationStep, TransitionError> {
        let overdue = self.now > verification.started_at.saturating_add(verification.timeout);
        match observation {
            Observation::Ended(outcome) => {
                let verdict = verdict_of(&outcome);
                self.end_verification(verification, record, &verdict, Some(&outcome))
            }
            Observation::Lost { reason } => self.give_up_verification(verification, record, reason),
            _ if overdue => {
                let reason = format!("it did not end within {} seconds", verification.timeout.as_secs());
                self.give_up_verification(verification, record, reason)
            }
            Observation::Absent => Ok(VerificationStep::Start),
            Observation::Queued { .. }
            | Observation::Running(_)
            | Observation::Unknown { .. }
            | Observation::Deferred { .. } => Ok(VerificationStep::Wait),
        }
    }

    /// Ends a verification whose record the driver does not find: that is a finding, too.
    ///
    /// # Errors
    /// [`TransitionError`] if it has ended meanwhile.
    pub(crate) fn miss_verified_record(
        &self,
        verification: &Versioned<Verification>,
        record: Option<&Versioned<BackupRecord>>,
        reason: String,
    ) -> Result<VerificationStep, TransitionError> {
        let failed = Some(VerificationLevel::Present);
        let verdict = Verdict { step: CheckStep::Fail, passed: None, failed, reason: Some(reason) };
        self.end_verification(verification, record, &verdict, None)
    }

    /// Ends a verification that could not be done.
    ///
    /// # Errors
    /// [`TransitionError`] if it has ended meanwhile.
    pub(crate) fn give_up_verification(
        &self,
        verification: &Versioned<Verification>,
        record: Option<&Versioned<BackupRecord>>,
        reason: String,
    ) -> Result<VerificationStep, TransitionError> {
        let verdict = Verdict { step: CheckStep::GiveUp, passed: None, failed: None, reason: Some(reason) };
        self.end_verification(verification, record, &verdict, None)
    }

    fn end_verification(
        &self,
        verification: &Versioned<Verification>,
        record: Option<&Versioned<BackupRecord>>,
        verdict: &Verdict,
        outcome: Option<&Outcome>,
    ) -> Result<VerificationStep, TransitionError> {
        let ended_at =
            outcome.map_or(self.now, |outcome| outcome.ended_between(verification.started_at, self.now));
        let mut next = Verification::clone(verification).apply(verdict.step, ended_at)?;
        next.passed_level = verdict.passed;
        next.reason.clone_from(&verdict.reason);
        if let Some(outcome) = outcome {
            next.errors.clone_from(&outcome.errors);
            if let WorkResult::Verify(result) = &outcome.result {
                next.bytes_read = Some(result.bytes_read);
            }
        }
        let facts = EventFacts {
            cluster: Some(verification.cluster.clone()),
            record: Some(verification.record.id),
            duration: Some(ended_at.since(verification.started_at)),
            reason: verdict.reason.clone(),
            ..EventFacts::default()
        };
        let mut changeset = self.changeset();
        changeset.update(verification.version, next, EventKind::VerificationEnded, facts);
        if let Some(record) = record {
            self.note_verdict(&mut changeset, verification, record, verdict);
        }
        Ok(VerificationStep::Commit(changeset))
    }

    fn note_verdict(
        &self,
        changeset: &mut Changeset,
        verification: &Verification,
        record: &Versioned<BackupRecord>,
        verdict: &Verdict,
    ) {
        let mut next = BackupRecord::clone(record);
        next.uses.retain(|by| *by != RecordUse::Verification(verification.id));
        let outcomes = [(verdict.passed, true), (verdict.failed, false)];
        for (level, passed) in outcomes.into_iter().filter_map(|(level, passed)| Some((level?, passed))) {
            let found_by = EvidenceSource::Verification(verification.id);
            next.note_evidence(Evidence { level, at: self.now, passed, found_by });
        }
        for copy in &mut next.copies {
            if verdict.passed.is_some() && copy.location == verification.record.location {
                copy.last_verified_at = Some(self.now);
            }
        }
        let mut kind = EventKind::RecordChecked;
        if verdict.failed.is_some() {
            let reason = verdict.reason.clone().unwrap_or_else(|| "a check failed".to_owned());
            if next.find_bad(FoundBad { at: self.now, reason }) {
                kind = EventKind::RecordFoundBad;
            }
        } else if verdict.passed.is_some_and(|level| failed_at_or_below(record, level)) {
            // The same check, passed: what was found was mended, or was a fault of the check.
            next.find_good(self.now);
        }
        let facts = EventFacts { reason: verdict.reason.clone(), ..record_facts(record) };
        changeset.update(record.version, next, kind, facts);
    }
}

/// Whether every level that failed before is covered by a check that passed at `level`.
fn failed_at_or_below(record: &BackupRecord, level: VerificationLevel) -> bool {
    record.evidence.iter().filter(|evidence| !evidence.passed).all(|evidence| evidence.level <= level)
}

fn verdict_of(outcome: &Outcome) -> Verdict {
    let reason = || {
        let first = outcome.errors.first()?;
        Some(match first.examples.first() {
            Some(example) => format!("{}: {example}", first.cause),
            None => first.cause.clone(),
        })
    };
    match (&outcome.result, outcome.status) {
        (WorkResult::Verify(VerifyResult { passed, failed: Some(level), .. }), _) => Verdict {
            step: CheckStep::Fail,
            passed: *passed,
            failed: Some(*level),
            reason: reason().or_else(|| Some(format!("the check of level {level} failed"))),
        },
        (WorkResult::Verify(VerifyResult { passed, not_run: Some((level, why)), .. }), _) => Verdict {
            step: CheckStep::GiveUp,
            passed: *passed,
            failed: None,
            reason: Some(format!("level {level} was not run: {why}")),
        },
        (WorkResult::Verify(VerifyResult { passed: Some(level), .. }), EndStatus::Completed) => {
            Verdict { step: CheckStep::Pass, passed: Some(*level), failed: None, reason: None }
        }
        (
            WorkResult::Verify(_)
            | WorkResult::Nothing
            | WorkResult::Backup(_)
            | WorkResult::Restore(_)
            | WorkResult::Deleted
            | WorkResult::CleanUp(_),
            _,
        ) => Verdict {
            step: CheckStep::GiveUp,
            passed: None,
            failed: None,
            reason: reason().or_else(|| Some(format!("the driver reported {}", outcome.status))),
        },
    }
}

/// A verification as the driver knows it.
pub(crate) fn operation_of(verification: &Verification) -> Operation {
    Operation {
        id: verification.operation,
        tenant: verification.tenant.clone(),
        cluster: verification.cluster.clone(),
        name: verification.name.clone(),
        started_at: verification.started_at,
        work: Work::Verify(VerifyWork { record: verification.record.clone(), level: verification.level }),
    }
}
