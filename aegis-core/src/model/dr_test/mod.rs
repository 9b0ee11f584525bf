//! DR tests, also called drills: a record restored somewhere harmless, checked, measured, and what
//! was restored removed again.

mod target;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use target::{DrDestination, DrTarget, DrTargetError};

use super::{
    ArtifactName, Bytes, CheckStatus, CheckStep, ClusterName, DisplayName, DrTestId, IssueGroup, Machine,
    NamespaceName, OperationId, PolicyId, Principal, RecordRef, ResourceCounts, RestoreOptions,
    RestoreTarget, Schedule, TenantId, Timestamp, TransitionError, VerificationId, VerificationLevel,
};

/// Which of the records that could be restored a DR test takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordChoice {
    /// The one with the newest recovery point.
    Latest,
    /// Any whose recovery point is no older than this, each as likely as the other.
    RandomWithin(Duration),
}

/// The DR tests that a policy asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrTestRule {
    /// When. Of times that passed while nobody looked, the latest is made up for, once.
    pub schedule: Schedule,
    /// Which record of the policy.
    pub select: RecordChoice,
    /// How deep the record's own cluster checks it after the restore; not at all if `None`.
    pub verify: Option<VerificationLevel>,
    /// Which of the engine's checks look at what was restored, by name, in this order.
    pub checks: Vec<DisplayName>,
    /// Where to.
    pub target: DrTarget,
    /// What of it stays there.
    pub keep: DrKeep,
}

/// What of what a DR test restored stays once it was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrKeep {
    /// Nothing: it is removed, whatever the test came to.
    #[default]
    Nothing,
    /// All of it if the test failed, for people to look into. They remove it then.
    IfFailed,
    /// All of it. People remove it.
    Always,
}

/// What a DR test does, once a record was chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrRun {
    /// The record that it restores.
    pub record: RecordRef,
    /// The instant that the record's data reflects.
    pub recovery_point_at: Timestamp,
    /// Which namespaces of it.
    pub namespaces: Vec<NamespaceName>,
    /// Where to, and how.
    pub options: RestoreOptions,
    /// The identity of the restore that the driver sees.
    pub operation: OperationId,
    /// The identity of the clean-up that the driver sees; its name is the restore's.
    pub clean_up: OperationId,
    /// The restore's name.
    pub name: ArtifactName,
    /// What it is at.
    pub phase: DrPhase,
}

impl DrRun {
    /// Whether it restores all that the record holds: a part proves that part alone.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.record.namespaces.iter().all(|name| self.namespaces.contains(name))
    }

    /// The namespaces of the target cluster that it writes to; none where it restores to folders.
    #[must_use]
    pub fn into_namespaces(&self) -> Vec<NamespaceName> {
        let targets = self.options.mapping.values();
        targets
            .filter_map(|target| match target {
                RestoreTarget::Namespace(name) => Some(name.clone()),
                RestoreTarget::Path(_) => None,
            })
            .collect()
    }
}

/// What a DR test is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrPhase {
    /// The record is being restored.
    Restoring,
    /// The record's cluster checks the record.
    Verifying(VerificationId),
    /// The engine's checks look at what was restored.
    Checking,
    /// What it came to is known, and its restore was asked to end.
    Stopping,
    /// What it came to is known, and what it restored is being removed, since then.
    CleaningUp(Timestamp),
    /// Nothing more happens.
    Over,
}

/// A restore that a DR test carried out to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrRestore {
    /// How long it took from the test's beginning: the recovery time actual.
    pub duration: Duration,
    /// Bytes that were written.
    pub bytes: Bytes,
    /// How many of what were restored.
    pub restored: ResourceCounts,
}

/// What a DR test came to. It stands from when it is known, and becomes the test's status once that
/// is cleaned up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrConclusion {
    /// How the test will end.
    pub step: CheckStep,
    /// Why it failed or was not run, for a person.
    pub reason: Option<String>,
    /// The level that failed, if it is on the test to note it on the record.
    pub failed_level: Option<VerificationLevel>,
}

impl DrConclusion {
    /// It did what it should.
    pub(crate) const PASSED: Self = Self { step: CheckStep::Pass, reason: None, failed_level: None };

    /// It found a fault of `level`.
    pub(crate) const fn failed(level: VerificationLevel, reason: String) -> Self {
        Self { step: CheckStep::Fail, reason: Some(reason), failed_level: Some(level) }
    }

    /// It could not be done.
    pub(crate) const fn not_run(reason: String) -> Self {
        Self { step: CheckStep::GiveUp, reason: Some(reason), failed_level: None }
    }
}

/// What became of the removal of what a DR test restored. It says nothing of the test itself: one
/// that passed has passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrCleanUp {
    /// Whether everything was removed, something stayed, or it was not tried.
    pub status: CheckStatus,
    /// How many of what were removed.
    pub removed: ResourceCounts,
    /// Why something stayed, for a person.
    pub reason: Option<String>,
    /// What stayed, by cause.
    pub errors: Vec<IssueGroup>,
}

impl DrCleanUp {
    /// It was not tried.
    pub(crate) fn not_run(reason: String) -> Self {
        Self {
            status: CheckStatus::NotRun,
            removed: ResourceCounts::default(),
            reason: Some(reason),
            errors: Vec::new(),
        }
    }
}

/// What one of the engine's checks found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrFinding {
    /// The check.
    pub check: DisplayName,
    /// Whether it passed, failed or was not run.
    pub status: CheckStatus,
    /// Why it did not pass, for a person.
    pub reason: Option<String>,
}

/// One DR test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrTest {
    /// Its id.
    pub id: DrTestId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The policy that it proves.
    pub policy: Option<PolicyId>,
    /// The nominal time of the policy's rule that it stands for; none if a person asked for it.
    pub nominal_at: Option<Timestamp>,
    /// Where it restores to.
    pub target_cluster: ClusterName,
    /// How deep the record's own cluster checks it after the restore.
    pub verify: Option<VerificationLevel>,
    /// Which of the engine's checks look at what was restored, in this order.
    pub checks: Vec<DisplayName>,
    /// What of what it restored stays.
    pub keep: DrKeep,
    /// What it does; `None` if it could not even begin.
    pub run: Option<DrRun>,
    /// Where it stands. Changed by [`apply`](Self::apply) alone.
    pub status: CheckStatus,
    /// Who asked for it.
    pub requested_by: Principal,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// How long it may run.
    pub timeout: Duration,
    /// The restore, once it completed.
    pub restore: Option<DrRestore>,
    /// What the engine's checks found.
    pub findings: Vec<DrFinding>,
    /// What it came to, known before it ends: there may be something to stop and to clean up.
    pub conclusion: Option<DrConclusion>,
    /// What became of the removal of what was restored; `None` until then, or if nothing was.
    pub clean_up: Option<DrCleanUp>,
    /// The highest level that it proved, of what it restored: only of a test that passed. It is
    /// evidence for the record only if [that was all of it](DrRun::is_whole).
    pub passed_level: Option<VerificationLevel>,
    /// Why it failed or was not run, for a person.
    pub reason: Option<String>,
    /// Errors of the restore by cause.
    pub errors: Vec<IssueGroup>,
    /// Where something may still lie after the end; [`clean_up`](Self::clean_up) says why.
    pub left_behind: Vec<RestoreTarget>,
}

impl DrTest {
    /// The DR test after `step`.
    ///
    /// # Errors
    /// [`TransitionError`] if it is over already.
    pub fn apply(mut self, step: CheckStep, at: Timestamp) -> Result<Self, TransitionError> {
        self.status = self.status.after(step)?;
        self.completed_at = Some(at);
        if let Some(run) = &mut self.run {
            run.phase = DrPhase::Over;
        }
        Ok(self)
    }

    /// How long getting back took: the restore alone, checks aside.
    #[must_use]
    pub fn recovery_time_actual(&self) -> Option<Duration> {
        self.restore.as_ref().map(|restore| restore.duration)
    }

    /// What would have been lost, as time, had the disaster struck when the test began.
    #[must_use]
    pub fn recovery_point_actual(&self) -> Option<Duration> {
        self.run.as_ref().map(|run| self.started_at.since(run.recovery_point_at))
    }
}
