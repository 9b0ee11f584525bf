//! The operations of a scripted driver: how they run, and what comes of them.

use std::{collections::BTreeMap, time::Duration};

use super::{
    cleaning::clean_up,
    restore::{RestorePlan, Restored},
    script::{Ending, Script},
    world::{Artifact, Files, World, added, checksum, count, size},
};
use crate::{
    model::{
        BackupKind, Bytes as ByteCount, ExistingResourcePolicy, IssueGroup, NamespaceName, OperationId,
        Progress, ResourceCounts, Sizes, Timestamp, VerificationLevel,
    },
    seams::{
        BackupResult, BackupWork, EndStatus, Monotonic, Observation, Operation, Outcome, RestorePurpose,
        RestoreResult, RestoreWork, VerifyResult, VerifyWork, Work, WorkResult,
    },
};

/// One operation that was accepted.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) operation: Operation,
    pub(super) script: Script,
    pub(super) begun_at: Monotonic,
    takes: Duration,
    /// What a backup reads, as it was at the start.
    captured: BTreeMap<NamespaceName, Files>,
    captured_at: Timestamp,
    /// Whether what it makes can't be restored without its base.
    chains: bool,
    locked_until: Option<Timestamp>,
    pub(super) phase: Phase,
}

/// Where a run stands.
#[derive(Debug)]
pub(super) enum Phase {
    Running,
    Lost(String),
    Ended(Box<Outcome>),
}

/// Both clocks, read together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) wall: Timestamp,
    pub(super) monotonic: Monotonic,
}

/// How the driver treats its runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    pub(super) usual: Duration,
    pub(super) lock: Option<Duration>,
    pub(super) chains: bool,
}

/// What a run that came to its end asks for.
pub(super) enum Settled {
    /// Nothing; its phase tells.
    Stays,
    /// Whatever is known of it is forgotten.
    Forgotten,
}

impl Run {
    pub(super) fn begin(
        operation: &Operation,
        script: Script,
        setting: Setting,
        world: &World,
        now: Now,
    ) -> Self {
        let captured = match &operation.work {
            Work::Backup(work) => capture(world, work),
            Work::Restore(_) | Work::Verify(_) | Work::Delete(_) | Work::CleanUp(_) => BTreeMap::new(),
        };
        Self {
            operation: operation.clone(),
            takes: script.takes.unwrap_or(setting.usual),
            script,
            begun_at: now.monotonic,
            captured,
            captured_at: now.wall,
            chains: setting.chains,
            locked_until: setting.lock.map(|lock| now.wall.saturating_add(lock)),
            phase: Phase::Running,
        }
    }

    fn runs_from(&self) -> Monotonic {
        self.begun_at.after(self.script.queued)
    }

    /// When it is over, unless it hangs.
    pub(super) fn ends_at(&self) -> Option<Monotonic> {
        (self.script.ending != Ending::Hang).then(|| self.runs_from().after(self.takes))
    }

    pub(super) const fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running)
    }

    /// Until when a deletion must wait.
    fn deferral(&self, world: &World, now: Now) -> Option<Timestamp> {
        let Work::Delete(work) = &self.operation.work else { return None };
        let scripted = if let Ending::Defer(until) = self.script.ending { Some(until) } else { None };
        let locked = world.artifact(&work.record).and_then(|artifact| artifact.locked_until);
        scripted.max(locked).filter(|until| now.wall < *until)
    }

    /// Whether its end has come.
    pub(super) fn is_due(&self, world: &World, now: Now) -> bool {
        self.is_running()
            && self.ends_at().is_some_and(|end| end <= now.monotonic)
            && self.deferral(world, now).is_none()
    }

    /// Ends as it was asked to.
    pub(super) fn cancel(&mut self, now: Now) {
        let cause = IssueGroup::once("it was cancelled on request");
        self.end(EndStatus::Cancelled, now.wall, vec![cause], WorkResult::Nothing);
    }

    /// Comes to its end: has its effect on the world and notes its outcome.
    pub(super) fn settle(&mut self, world: &mut World, now: Now) -> Settled {
        let late = self.ends_at().map_or(Duration::ZERO, |end| now.monotonic.since(end));
        let at = now.wall.saturating_sub(late);
        match self.script.ending.clone() {
            Ending::Lose(reason) => self.phase = Phase::Lost(reason),
            Ending::Forget => return Settled::Forgotten,
            Ending::Fail(cause) => {
                self.end(EndStatus::Failed, at, vec![IssueGroup::once(cause)], WorkResult::Nothing);
            }
            ending => self.carry_out(world, &ending, at),
        }
        Settled::Stays
    }

    fn carry_out(&mut self, world: &mut World, ending: &Ending, at: Timestamp) {
        match self.operation.work.clone() {
            Work::Backup(work) => self.back_up(world, &work, ending, at),
            Work::Restore(work) => self.restore(world, &work, ending, at),
            Work::Verify(work) => self.verify(world, &work, ending, at),
            Work::Delete(work) => {
                if has_effect(ending) {
                    world.artifacts.remove(&work.record.handle);
                }
                self.end(EndStatus::Completed, at, Vec::new(), WorkResult::Deleted);
            }
            Work::CleanUp(work) => {
                let (status, errors, result) = clean_up(world, &work, ending);
                self.end(status, at, errors, result);
            }
        }
    }

    fn back_up(&mut self, world: &mut World, work: &BackupWork, ending: &Ending, at: Timestamp) {
        let mut files = self.captured.clone();
        let mut errors = Vec::new();
        if let Ending::PartiallyFail(cause) = ending {
            files.values_mut().rev().find_map(Files::pop_last);
            errors.push(IssueGroup::once(cause));
        }
        let base = work.base.as_ref().and_then(|base| world.artifact(base));
        let kind = kind_made(work.kind, base.is_some());
        let result = BackupResult {
            handle: self.operation.name.to_string(),
            kind,
            consistent_at: Some(self.captured_at),
            sizes: Sizes {
                logical: Some(ByteCount(size(&files))),
                stored: Some(ByteCount(size(&files))),
                added: Some(ByteCount(added(&files, base.map(|base| &base.files)))),
            },
            counts: ResourceCounts::from_iter([("files", count(&files))]),
            namespaces: work.namespaces.clone(),
            checksum: Some(checksum(&files)),
            encryption: None,
            locked_until: self.locked_until,
        };
        if *ending != Ending::CompleteWithoutEffect {
            let parent =
                base.filter(|_| self.chains && builds_on_base(work.kind)).map(|base| base.handle.clone());
            let artifact = self.artifact(work, &result, files, parent, ending);
            world.artifacts.insert(artifact.handle.clone(), artifact);
        }
        let status = if errors.is_empty() { EndStatus::Completed } else { EndStatus::PartiallyFailed };
        self.end(status, at, errors, WorkResult::Backup(result));
    }

    fn artifact(
        &self,
        work: &BackupWork,
        result: &BackupResult,
        files: BTreeMap<NamespaceName, Files>,
        parent: Option<String>,
        ending: &Ending,
    ) -> Artifact {
        Artifact {
            handle: result.handle.clone(),
            name: Some(self.operation.name.clone()),
            operation: Some(self.operation.id),
            tenant: Some(self.operation.tenant.clone()),
            cluster: Some(self.operation.cluster.clone()),
            location: work.location.clone(),
            started_at: self.operation.started_at,
            parent,
            claimed: size(&files),
            files: if *ending == Ending::CompleteEmpty { BTreeMap::new() } else { files },
            namespaces: result.namespaces.clone(),
            locked_until: result.locked_until,
            damage: None,
        }
    }

    fn restore(&mut self, world: &mut World, work: &RestoreWork, ending: &Ending, at: Timestamp) {
        let failed = |cause: String| (EndStatus::Failed, vec![IssueGroup::once(cause)], WorkResult::Nothing);
        let fault = world.artifact(&work.record).and_then(Artifact::fault);
        let (status, errors, result) = match (RestorePlan::new(world, work), fault) {
            (Ok(plan), None) => carry_out_restore(self.operation.id, plan, world, work, ending),
            (Ok(_), Some(level)) => failed(format!("the backup is damaged: it fails level {level}")),
            (Err(error), _) => failed(error.to_string()),
        };
        self.end(status, at, errors, result);
    }

    fn verify(&mut self, world: &World, work: &VerifyWork, ending: &Ending, at: Timestamp) {
        let artifact = world.artifact(&work.record);
        let fault = artifact.map_or(Some(VerificationLevel::Present), Artifact::fault);
        let failed = fault.filter(|level| *level <= work.level && has_effect(ending));
        let below =
            |level: VerificationLevel| VerificationLevel::ALL.iter().copied().rfind(|known| *known < level);
        let read = artifact.filter(|_| work.level > VerificationLevel::Present);
        let result = WorkResult::Verify(VerifyResult {
            passed: failed.map_or(Some(work.level), below),
            failed,
            not_run: None,
            bytes_read: ByteCount(read.map_or(0, |artifact| size(&artifact.files))),
        });
        match failed {
            None => self.end(EndStatus::Completed, at, Vec::new(), result),
            Some(level) => {
                let finding = IssueGroup::once(format!("`{}` fails level {level}", work.record.handle));
                self.end(EndStatus::Failed, at, vec![finding], result);
            }
        }
    }

    fn end(&mut self, status: EndStatus, at: Timestamp, errors: Vec<IssueGroup>, result: WorkResult) {
        self.phase = Phase::Ended(Box::new(Outcome {
            status,
            ended_at: at,
            warnings: Vec::new(),
            errors,
            failure_class: self.script.failure_class.filter(|_| status == EndStatus::Failed),
            result,
        }));
    }

    /// What is true of it.
    pub(super) fn observe(&self, world: &World, now: Now) -> Observation {
        match &self.phase {
            Phase::Lost(reason) => Observation::Lost { reason: reason.clone() },
            Phase::Ended(outcome) => Observation::Ended(outcome.clone()),
            Phase::Running if now.monotonic < self.runs_from() => Observation::Queued { position: None },
            Phase::Running => self.observe_running(world, now),
        }
    }

    fn observe_running(&self, world: &World, now: Now) -> Observation {
        if let Some(state) = &self.script.unknown_state {
            return Observation::Unknown { state: state.clone() };
        }
        let deferral = self.deferral(world, now);
        match deferral.filter(|_| self.ends_at().is_some_and(|end| end <= now.monotonic)) {
            Some(until) => Observation::Deferred { until, reason: "the data is locked".to_owned() },
            None => Observation::Running(self.progress(world, now)),
        }
    }

    fn progress(&self, world: &World, now: Now) -> Progress {
        let total = match &self.operation.work {
            Work::Backup(_) => size(&self.captured),
            Work::Restore(work) => RestorePlan::new(world, work).map_or(0, |plan| plan.size().0),
            Work::Verify(work) => world.artifact(&work.record).map_or(0, |artifact| artifact.claimed),
            Work::Delete(_) | Work::CleanUp(_) => 0,
        };
        let ran = now.monotonic.since(self.runs_from());
        let done = u128::from(total) * ran.as_micros().min(self.takes.as_micros());
        let done = done.checked_div(self.takes.as_micros()).unwrap_or(0);
        let left = self.takes.saturating_sub(ran);
        Progress {
            bytes_done: u64::try_from(done).unwrap_or(total),
            bytes_total: Some(total),
            eta_low: Some(left),
            eta_high: Some(left),
            ..Progress::default()
        }
    }
}

/// Whether what an ending says has happened has happened.
pub(super) const fn has_effect(ending: &Ending) -> bool {
    !matches!(ending, Ending::CompleteEmpty | Ending::CompleteWithoutEffect)
}

fn capture(world: &World, work: &BackupWork) -> BTreeMap<NamespaceName, Files> {
    let files = |name: &NamespaceName| Some((name.clone(), world.namespaces.get(name)?.clone()));
    work.namespaces.iter().filter_map(files).collect()
}

const fn builds_on_base(kind: BackupKind) -> bool {
    matches!(kind, BackupKind::Incremental | BackupKind::Differential)
}

/// The kind that a backup becomes: without a base, one that builds on it is a full.
const fn kind_made(wanted: BackupKind, has_base: bool) -> BackupKind {
    match wanted {
        wanted if builds_on_base(wanted) && !has_base => BackupKind::Full,
        wanted => wanted,
    }
}

fn carry_out_restore(
    operation: OperationId,
    plan: RestorePlan,
    world: &mut World,
    work: &RestoreWork,
    ending: &Ending,
) -> (EndStatus, Vec<IssueGroup>, WorkResult) {
    if !has_effect(ending) {
        let result = RestoreResult { bytes: plan.size(), ..RestoreResult::default() };
        return (EndStatus::Completed, Vec::new(), WorkResult::Restore(result));
    }
    let mut errors = Vec::new();
    let plan = if let Ending::PartiallyFail(cause) = ending {
        errors.push(IssueGroup::once(cause));
        plan.without_last()
    } else {
        plan
    };
    let Restored { result, differing, made } = plan.carry_out(world);
    if work.purpose == RestorePurpose::Trial {
        world.trials.insert(operation, made);
    }
    let mut status = if errors.is_empty() { EndStatus::Completed } else { EndStatus::PartiallyFailed };
    if !differing.is_empty() {
        let fails = work.options.existing == ExistingResourcePolicy::Fail;
        status = if fails { EndStatus::Failed } else { EndStatus::PartiallyFailed };
        errors.push(IssueGroup {
            cause: "an entry is there already and differs".to_owned(),
            count: u64::try_from(differing.len()).unwrap_or(u64::MAX),
            examples: differing.into_iter().take(IssueGroup::MAX_EXAMPLES).collect(),
            suggestion: Some("use the policy `update` to overwrite, or restore elsewhere".to_owned()),
        });
    }
    (status, errors, WorkResult::Restore(result))
}
