//! What running work and its driver share: the wish to stop, how far it is, and what went wrong.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use aegis_core::{
    model::{IssueGroup, Progress},
    seams::{DriverError, ErrorClass},
};

/// Why work ends before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Someone asked for it.
    Cancelled,
    /// It can't go on.
    Failed(DriverError),
}

impl From<DriverError> for Stop {
    fn from(error: DriverError) -> Self {
        Self::Failed(error)
    }
}

/// Not known yet, in the atomics that hold totals.
const UNKNOWN: u64 = u64::MAX;

/// Running work as others see it.
#[derive(Debug)]
pub(crate) struct Control {
    cancelled: AtomicBool,
    bytes_done: AtomicU64,
    bytes_total: AtomicU64,
    items_done: AtomicU64,
    items_total: AtomicU64,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            cancelled: AtomicBool::new(false),
            bytes_done: AtomicU64::new(0),
            bytes_total: AtomicU64::new(UNKNOWN),
            items_done: AtomicU64::new(0),
            items_total: AtomicU64::new(UNKNOWN),
        }
    }
}

impl Control {
    /// Asks the work to end.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    /// Whether the work was asked to end.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Ends the work here if it was asked to.
    pub(crate) fn check(&self) -> Result<(), Stop> {
        if self.is_cancelled() { Err(Stop::Cancelled) } else { Ok(()) }
    }

    /// More bytes were handled.
    pub(crate) fn add_bytes(&self, bytes: u64) {
        self.bytes_done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// One more item was handled.
    pub(crate) fn add_item(&self) {
        self.items_done.fetch_add(1, Ordering::Relaxed);
    }

    /// The totals became known.
    pub(crate) fn set_totals(&self, bytes: u64, items: u64) {
        self.bytes_total.store(bytes, Ordering::Relaxed);
        self.items_total.store(items, Ordering::Relaxed);
    }

    /// How far the work is, without estimates of time.
    pub(crate) fn progress(&self) -> Progress {
        let known = |total: &AtomicU64| Some(total.load(Ordering::Relaxed)).filter(|n| *n != UNKNOWN);
        Progress {
            bytes_done: self.bytes_done.load(Ordering::Relaxed),
            bytes_total: known(&self.bytes_total),
            items_done: self.items_done.load(Ordering::Relaxed),
            items_total: known(&self.items_total),
            ..Progress::default()
        }
    }
}

/// Errors and warnings, grouped by cause as they happen.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    groups: Mutex<BTreeMap<String, IssueGroup>>,
}

impl Findings {
    /// One more occurrence of `cause`, on `subject`.
    pub(crate) fn add(&self, cause: &str, subject: impl Into<String>, suggestion: &str) {
        let mut groups = lock(&self.groups);
        if let Some(group) = groups.get_mut(cause) {
            group.count = group.count.saturating_add(1);
            if group.examples.len() < IssueGroup::MAX_EXAMPLES {
                group.examples.push(subject.into());
            }
            return;
        }
        let mut group = IssueGroup::once(cause).with_suggestion(suggestion);
        group.examples.push(subject.into());
        groups.insert(cause.to_owned(), group);
    }

    /// Whether nothing was found.
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.groups).is_empty()
    }

    /// The groups, in order of their causes.
    pub(crate) fn groups(&self) -> Vec<IssueGroup> {
        lock(&self.groups).values().cloned().collect()
    }
}

/// An error as a group of its own, for an outcome.
pub(crate) fn issue(error: &DriverError) -> IssueGroup {
    let mut cause = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        cause = format!("{cause}: {source}");
        next = source.source();
    }
    let group = IssueGroup::once(cause);
    match &error.detail().suggestion {
        Some(suggestion) => group.with_suggestion(suggestion.clone()),
        None if error.class() == ErrorClass::Unavailable => group.with_suggestion("try again later"),
        None => group,
    }
}

/// Locks, whatever became of whoever held it: every holder leaves the data whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_counted_by_cause_and_examples_are_bounded() {
        let findings = Findings::default();
        for n in 0..100 {
            findings.add("could not be read", format!("/a/{n}"), "check its permissions");
        }
        findings.add("vanished", "/b", "nothing");
        let groups = findings.groups();
        assert_eq!(groups.iter().map(|g| g.count).collect::<Vec<_>>(), [100, 1]);
        assert_eq!(groups[0].examples.len(), IssueGroup::MAX_EXAMPLES);
    }

    #[test]
    fn totals_are_unknown_until_they_are_set() {
        let control = Control::default();
        assert_eq!(control.progress().bytes_total, None);
        control.set_totals(10, 2);
        control.add_bytes(3);
        let progress = control.progress();
        assert_eq!((progress.bytes_done, progress.bytes_total, progress.items_total), (3, Some(10), Some(2)));
    }
}
