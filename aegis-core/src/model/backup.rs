//! What backups have in common: kinds, sizes, counts, issues, progress.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Timestamp, machine::labels};

labels! {
    /// How a backup relates to the ones before it.
    BackupKind {
        /// Everything, read anew.
        Full = "full",
        /// What changed since the newest backup.
        Incremental = "incremental",
        /// What changed since the newest full.
        Differential = "differential",
        /// The driver's own instant copy.
        Snapshot = "snapshot",
    }
}

labels! {
    /// What instant a backup's data reflects, before the driver names one.
    Consistency {
        /// One instant: the job's start.
        InstantSnapshot = "instant_snapshot",
        /// Files read one after another: no later than the job's start.
        FuzzyCopy = "fuzzy_copy",
        /// A dump inside one transaction: the job's start.
        LogicalDump = "logical_dump",
        /// A physical base backup: consistent only at its end.
        PhysicalBase = "physical_base",
    }
}

labels! {
    /// How well a record has been proven, from a mere entry to a working application.
    VerificationLevel {
        /// It is in the catalogue.
        Catalogued = "L0",
        /// Its data exists with the right sizes.
        Present = "L1",
        /// The stored bytes have the right checksums.
        Checksummed = "L2",
        /// Its structure is whole: trees, chains, manifests.
        Structured = "L3",
        /// It was restored into a scratch place and compared.
        Restored = "L4",
        /// The application's own checks passed on the restored data.
        Proven = "L5",
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

/// How large a backup is; `None` is unknown, never zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sizes {
    /// What a restore writes.
    pub logical: Option<Bytes>,
    /// What it takes in storage, shared parts included.
    pub stored: Option<Bytes>,
    /// What this backup added to the storage.
    pub added: Option<Bytes>,
}

/// How many of what: `deployments`, `files`, …
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResourceCounts(pub BTreeMap<String, u64>);

impl ResourceCounts {
    /// The sum over all kinds, saturating.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

impl<K: Into<String>> FromIterator<(K, u64)> for ResourceCounts {
    fn from_iter<I: IntoIterator<Item = (K, u64)>>(counts: I) -> Self {
        Self(counts.into_iter().map(|(kind, count)| (kind.into(), count)).collect())
    }
}

/// Warnings or errors of one cause, counted instead of repeated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssueGroup {
    /// What went wrong, in English; never a secret.
    pub cause: String,
    /// How often.
    pub count: u64,
    /// Some of what it hit: paths, objects. At most [`IssueGroup::MAX_EXAMPLES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<String>,
    /// What a person can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

impl IssueGroup {
    /// The most examples that are kept.
    pub const MAX_EXAMPLES: usize = 20;

    /// One occurrence of `cause`.
    #[must_use]
    pub fn once(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), count: 1, examples: Vec::new(), suggestion: None }
    }

    /// With what a person can do about it.
    #[must_use]
    pub fn with_suggestion(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(suggestion.into());
        self
    }
}

/// How far running work has come. Totals are `None` until they are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Bytes handled.
    pub bytes_done: u64,
    /// Bytes to handle.
    pub bytes_total: Option<u64>,
    /// Items handled: files, objects.
    pub items_done: u64,
    /// Items to handle.
    pub items_total: Option<u64>,
    /// The least time that is still needed.
    pub eta_low: Option<Duration>,
    /// The most time that is still needed, as far as can be told.
    pub eta_high: Option<Duration>,
    /// The most whole per cent that were seen before, when the totals were smaller.
    pub reached: Option<u8>,
}

impl Progress {
    /// Whole per cent, rounded down and at most 99 while the work runs; bytes where they are
    /// known, else items, else `None`. No less than was seen before.
    #[must_use]
    pub fn percent(&self) -> Option<u8> {
        self.share().max(self.reached)
    }

    fn share(&self) -> Option<u8> {
        let share = |done: u64, total: u64| {
            let percent = (u128::from(done) * 100).checked_div(u128::from(total))?;
            u8::try_from(percent.min(99)).ok()
        };
        self.bytes_total
            .and_then(|total| share(self.bytes_done, total))
            .or_else(|| self.items_total.and_then(|total| share(self.items_done, total)))
    }

    /// This progress, or `before` where that was further: progress never goes back.
    #[must_use]
    pub fn no_less_than(self, before: &Self) -> Self {
        let next = Self {
            bytes_done: self.bytes_done.max(before.bytes_done),
            bytes_total: self.bytes_total.or(before.bytes_total),
            items_done: self.items_done.max(before.items_done),
            items_total: self.items_total.or(before.items_total),
            ..self
        };
        Self { reached: next.percent().max(before.percent()), ..next }
    }
}

/// How stored bytes are encrypted; never the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encryption {
    /// The cipher, as `AES-256-CTR`.
    pub algorithm: String,
    /// Which key; enough to tell that it is lost.
    pub key_id: Option<String>,
}

/// Why work ended badly, for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What went wrong, in English; never a secret.
    pub message: String,
    /// The outer system's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What a person can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

impl Failure {
    /// A failure with a message alone.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), cause: None, suggestion: None }
    }
}

/// A record's recovery point time and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryPoint {
    /// The instant that the data reflects.
    pub at: Timestamp,
    /// Whether the driver named a later instant than the backup's end, and it was clamped.
    pub clamped: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_work_is_never_at_a_hundred_per_cent() {
        let progress = Progress { bytes_done: 10, bytes_total: Some(10), ..Progress::default() };
        assert_eq!(progress.percent(), Some(99));
    }

    #[test]
    fn unknown_totals_give_no_percentage() {
        assert_eq!(Progress { bytes_done: 10, ..Progress::default() }.percent(), None);
        let items = Progress { items_done: 1, items_total: Some(4), ..Progress::default() };
        assert_eq!(items.percent(), Some(25));
        assert_eq!(Progress { bytes_total: Some(0), ..Progress::default() }.percent(), None);
    }

    #[test]
    fn progress_never_goes_back() {
        let before = Progress { bytes_done: 10, items_done: 1, ..Progress::default() };
        let after = Progress { bytes_done: 5, items_done: 2, ..Progress::default() }.no_less_than(&before);
        assert_eq!((after.bytes_done, after.items_done), (10, 2));
    }

    #[test]
    fn a_percentage_never_goes_back_whatever_becomes_of_the_totals() {
        let half = Progress { bytes_done: 5, bytes_total: Some(10), ..Progress::default() };
        let larger = Progress { bytes_done: 6, bytes_total: Some(60), ..Progress::default() };
        let grown = larger.no_less_than(&half);
        assert_eq!((grown.percent(), grown.bytes_total), (Some(50), Some(60)));
        let silent = Progress::default().no_less_than(&grown);
        assert_eq!((silent.percent(), silent.bytes_total), (Some(50), Some(60)));
    }
}
