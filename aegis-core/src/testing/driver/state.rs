//! All that a scripted driver knows.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    time::Duration,
};

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};

use super::{
    ScriptedDriver,
    refusal::{check, error_of},
    run::{Now, Phase, Run, Setting, Settled},
    script::{CancelAnswer, Script, Scripts, StartAnswer},
    world::{Artifact, World},
};
use crate::{
    model::{OperationId, StorageUri, Timestamp},
    seams::{
        Capabilities, DriverError, Feature, Monotonic, Observation, Operation, RestorePurpose, RestoreWork,
        Work, WorkKind,
    },
};

/// What was asked of an operation, and how often it took effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Calls to `start`.
    pub starts: u64,
    /// How often the work really began.
    pub begun: u64,
    /// How often it came to its end, whatever the end.
    pub ended: u64,
    /// Calls to `cancel`.
    pub cancels: u64,
}

/// Whether the end of a process leaves a trace of what ran in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Death {
    Noticed,
    WithoutTrace,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) world: World,
    pub(super) scripts: Scripts,
    pub(super) durations: BTreeMap<WorkKind, Duration>,
    pub(super) lock: Option<Duration>,
    pub(super) outlives: bool,
    pub(super) is_cut_off: bool,
    pub(super) runs: BTreeMap<OperationId, Run>,
    pub(super) effects: BTreeMap<OperationId, Effects>,
    pub(super) begun: Vec<Operation>,
    listeners: Vec<UnboundedSender<OperationId>>,
    now: Option<Now>,
}

impl State {
    /// Lets everything happen that was due by `now`, in order.
    pub(super) fn pass(&mut self, now: Now) {
        self.now = Some(now);
        let mut due: BTreeSet<(Option<Monotonic>, Monotonic, OperationId)> = BTreeSet::new();
        for (id, run) in self.runs.iter().filter(|(_, run)| run.is_due(&self.world, now)) {
            due.insert((run.ends_at(), run.begun_at, *id));
        }
        for (_, _, id) in due {
            self.settle(id, now);
        }
    }

    fn settle(&mut self, id: OperationId, now: Now) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        let settled = run.settle(&mut self.world, now);
        self.effects.entry(id).or_default().ended += 1;
        if let Settled::Forgotten = settled {
            self.runs.remove(&id);
        }
        self.hint(id);
    }

    pub(super) fn start(
        &mut self,
        capabilities: &Capabilities,
        operation: &Operation,
    ) -> Result<(), DriverError> {
        self.effects.entry(operation.id).or_default().starts += 1;
        if self.runs.contains_key(&operation.id) || self.world.made_by(operation.id).is_some() {
            return Ok(());
        }
        check(&self.world, capabilities, &operation.work)?;
        if let Work::CleanUp(work) = &operation.work
            && self.runs.get(&work.restore).is_some_and(Run::is_running)
        {
            return Err(DriverError::unavailable("the restore to clean up after still runs"));
        }
        if self.world.artifacts.contains_key(operation.name.as_str())
            && operation.work.kind() == WorkKind::Backup
        {
            return Err(DriverError::invalid_input(format!("the name `{}` is taken", operation.name))
                .with_suggestion("start it under another name"));
        }
        let script = self.scripts.take(operation);
        let answer = script.start;
        if let StartAnswer::Refuse(class) = answer {
            return Err(error_of(class, format!("`{}` was refused as scripted", operation.name))
                .with_suggestion("try it as the class of the error says"));
        }
        self.begin(operation, script, capabilities.has(Feature::Chains));
        if answer == StartAnswer::AcceptWithoutAnswer {
            return Err(DriverError::indeterminate(format!(
                "no answer to the start of `{}`",
                operation.name
            )));
        }
        Ok(())
    }

    fn begin(&mut self, operation: &Operation, script: Script, chains: bool) {
        let Some(now) = self.now else { return };
        let usual = self.durations.get(&operation.work.kind()).copied();
        let usual = usual.unwrap_or(ScriptedDriver::USUAL_DURATION);
        let setting = Setting { usual, lock: self.lock, chains };
        if let Work::Restore(RestoreWork { purpose: RestorePurpose::Trial, .. }) = &operation.work {
            self.world.trials.entry(operation.id).or_default();
        }
        let run = Run::begin(operation, script, setting, &self.world, now);
        self.runs.insert(operation.id, run);
        self.effects.entry(operation.id).or_default().begun += 1;
        self.begun.push(operation.clone());
        self.hint(operation.id);
        self.pass(now);
    }

    pub(super) fn observe(&self, operation: &Operation) -> Observation {
        match (self.runs.get(&operation.id), self.now) {
            (Some(run), Some(now)) => run.observe(&self.world, now),
            _ => Observation::Absent,
        }
    }

    pub(super) fn cancel(&mut self, operation: &Operation) -> Result<(), DriverError> {
        self.effects.entry(operation.id).or_default().cancels += 1;
        let (Some(run), Some(now)) = (self.runs.get_mut(&operation.id), self.now) else { return Ok(()) };
        if !run.is_running() {
            return Ok(());
        }
        match run.script.cancel {
            CancelAnswer::Obey => {
                run.cancel(now);
                self.effects.entry(operation.id).or_default().ended += 1;
                self.hint(operation.id);
                Ok(())
            }
            CancelAnswer::Ignore => Ok(()),
            CancelAnswer::Refuse(class) => {
                Err(error_of(class, format!("`{}` is not cancelled, as scripted", operation.name)))
            }
        }
    }

    pub(super) fn lose_process(&mut self, death: Death) {
        if self.outlives {
            return;
        }
        match death {
            Death::WithoutTrace => self.runs.retain(|_, run| !run.is_running()),
            Death::Noticed => {
                for run in self.runs.values_mut().filter(|run| run.is_running()) {
                    run.phase = Phase::Lost("the process that did it has ended".to_owned());
                }
            }
        }
    }

    pub(super) fn add_foreign_backup(&mut self, handle: String, location: StorageUri, started_at: Timestamp) {
        let artifact = Artifact {
            handle: handle.clone(),
            name: None,
            operation: None,
            tenant: None,
            cluster: None,
            location,
            started_at,
            parent: None,
            files: BTreeMap::new(),
            namespaces: Vec::new(),
            claimed: 0,
            locked_until: None,
            damage: None,
        };
        self.world.artifacts.insert(handle, artifact);
    }

    pub(super) fn listen(&mut self) -> UnboundedReceiver<OperationId> {
        let (sender, receiver) = unbounded();
        self.listeners.push(sender);
        receiver
    }

    /// Tells the listeners that are still there.
    pub(super) fn hint(&mut self, operation: OperationId) {
        let listeners = mem::take(&mut self.listeners);
        self.listeners =
            listeners.into_iter().filter(|listener| listener.unbounded_send(operation).is_ok()).collect();
    }
}
