//! How a policy stands against its RPO by time alone: what its state is judged with.

use std::time::Duration;

use crate::{
    model::{PolicyState, Timestamp},
    rules::exposure::{Mend, NewestPoint, RpoState, RunFacts},
};

/// When a policy can expect its next usable point.
pub(super) fn planned(state: &PolicyState, running_since: Option<Timestamp>) -> Mend {
    expected(state, running_since, state.longest_backup())
}

/// The same, where the longest of the newest backups is known.
pub(crate) const fn expected(
    state: &PolicyState,
    running_since: Option<Timestamp>,
    longest: Option<Duration>,
) -> Mend {
    Mend { next_slot: state.next_run_at, running_since, duration: longest }
}

/// What is known of a policy's runs.
pub(crate) fn run_facts(state: &PolicyState, running_since: Option<Timestamp>) -> RunFacts<'_> {
    RunFacts {
        failed_in_a_row: state.failures_in_a_row,
        last_failure: state.last_failure.as_deref(),
        running_since,
        next_slot: state.next_run_at,
    }
}

/// When the verdict on a policy's RPO changes next by time alone, whatever runs now; never while the
/// policy is off or has no RPO.
pub(super) fn verdict_change(state: &PolicyState, now: Timestamp) -> Option<Timestamp> {
    let asked = state.terms.last().filter(|term| term.enabled)?;
    let newest = state.newest_usable.map(NewestPoint::from);
    let rpo = RpoState::resume(asked.rpo?.0, newest, state.violated_since);
    rpo.next_change_at(now, &planned(state, None))
}
