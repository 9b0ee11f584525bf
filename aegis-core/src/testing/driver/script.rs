//! What a scripted driver is told to do with an operation.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use crate::{
    model::{OperationId, Timestamp},
    seams::{ErrorClass, Operation, WorkKind},
};

/// How one operation goes. The default is accepted, runs as long as its kind takes, completes, and
/// obeys a cancellation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Script {
    pub(super) start: StartAnswer,
    pub(super) queued: Duration,
    pub(super) takes: Option<Duration>,
    pub(super) unknown_state: Option<String>,
    pub(super) ending: Ending,
    pub(super) failure_class: Option<ErrorClass>,
    pub(super) cancel: CancelAnswer,
}

/// How `start` is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum StartAnswer {
    #[default]
    Accept,
    Refuse(ErrorClass),
    AcceptWithoutAnswer,
}

/// What becomes of the work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Ending {
    #[default]
    Complete,
    PartiallyFail(String),
    Fail(String),
    Lose(String),
    Forget,
    Hang,
    CompleteEmpty,
    CompleteWithoutEffect,
    Defer(Timestamp),
    Overreach,
}

/// How `cancel` is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum CancelAnswer {
    #[default]
    Obey,
    Ignore,
    Refuse(ErrorClass),
}

impl Script {
    fn ending(ending: Ending) -> Self {
        Self { ending, ..Self::default() }
    }

    /// It completes.
    pub fn completing() -> Self {
        Self::default()
    }

    /// It ends as failed, without effect.
    pub fn failing(cause: impl Into<String>) -> Self {
        Self::ending(Ending::Fail(cause.into()))
    }

    /// If it ends as failed, an error of `class` is to blame.
    pub fn blaming(mut self, class: ErrorClass) -> Self {
        self.failure_class = Some(class);
        self
    }

    /// It ends as partially failed: the last entry is missing.
    pub fn partially_failing(cause: impl Into<String>) -> Self {
        Self::ending(Ending::PartiallyFail(cause.into()))
    }

    /// It is lost, without effect.
    pub fn losing(reason: impl Into<String>) -> Self {
        Self::ending(Ending::Lose(reason.into()))
    }

    /// It vanishes without a trace, as if it had never been started.
    pub fn vanishing() -> Self {
        Self::ending(Ending::Forget)
    }

    /// It runs for ever.
    pub fn hanging() -> Self {
        Self::ending(Ending::Hang)
    }

    /// It says that it completed, with the right figures; what it made is empty.
    pub fn completing_empty() -> Self {
        Self::ending(Ending::CompleteEmpty)
    }

    /// It says that it completed, with the right figures; there is no effect at all.
    pub fn completing_without_effect() -> Self {
        Self::ending(Ending::CompleteWithoutEffect)
    }

    /// A deletion that must wait until `until`, by the wall clock.
    pub fn deferred_until(until: Timestamp) -> Self {
        Self::ending(Ending::Defer(until))
    }

    /// A clean-up that takes everything at its targets and says that it completed.
    pub fn overreaching() -> Self {
        Self::ending(Ending::Overreach)
    }

    /// It runs so long, whatever its kind takes.
    pub fn taking(mut self, duration: Duration) -> Self {
        self.takes = Some(duration);
        self
    }

    /// It waits so long before it runs.
    pub fn queued_for(mut self, duration: Duration) -> Self {
        self.queued = duration;
        self
    }

    /// While it runs, it is in a state that nobody knows.
    pub fn saying(mut self, state: impl Into<String>) -> Self {
        self.unknown_state = Some(state.into());
        self
    }

    /// `start` is refused with an error of `class`, and has no effect.
    ///
    /// Classes that no driver answers with become `Internal`.
    pub fn refused(mut self, class: ErrorClass) -> Self {
        self.start = StartAnswer::Refuse(class);
        self
    }

    /// `start` takes effect, and its answer is lost: `Indeterminate`.
    pub fn started_without_answer(mut self) -> Self {
        self.start = StartAnswer::AcceptWithoutAnswer;
        self
    }

    /// `cancel` is answered with success, and nothing ends.
    pub fn ignoring_cancel(mut self) -> Self {
        self.cancel = CancelAnswer::Ignore;
        self
    }

    /// `cancel` is refused with an error of `class`.
    pub fn refusing_cancel(mut self, class: ErrorClass) -> Self {
        self.cancel = CancelAnswer::Refuse(class);
        self
    }
}

/// Which script an operation follows: its own, else the next of its kind, else the kind's usual.
#[derive(Debug, Default)]
pub(super) struct Scripts {
    pub(super) own: BTreeMap<OperationId, Script>,
    pub(super) next: BTreeMap<WorkKind, VecDeque<Script>>,
    pub(super) usual: BTreeMap<WorkKind, Script>,
}

impl Scripts {
    pub(super) fn take(&mut self, operation: &Operation) -> Script {
        let kind = operation.work.kind();
        self.own
            .get(&operation.id)
            .cloned()
            .or_else(|| self.next.get_mut(&kind)?.pop_front())
            .or_else(|| self.usual.get(&kind).cloned())
            .unwrap_or_default()
    }
}
