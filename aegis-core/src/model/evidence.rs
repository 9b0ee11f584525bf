//! What checks found out about a record: what they prove, and what they refute.

use serde::{Deserialize, Serialize};

use super::{BackupRecord, DrTestId, Timestamp, VerificationId, VerificationLevel};

/// The newest outcome of a check at one level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// How deep.
    pub level: VerificationLevel,
    /// When.
    pub at: Timestamp,
    /// Whether it passed.
    pub passed: bool,
    /// What found it.
    pub found_by: EvidenceSource,
}

/// What found out about a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceSource {
    /// A verification.
    Verification(VerificationId),
    /// A DR test.
    DrTest(DrTestId),
}

/// The finding that a record is of no use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundBad {
    /// When it was found.
    pub at: Timestamp,
    /// What is wrong, for a person.
    pub reason: String,
}

/// A finding that did not last: the same check passed later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WasBad {
    /// What was found, and when.
    pub found: FoundBad,
    /// Since when it is good again.
    pub until: Timestamp,
}

impl BackupRecord {
    /// The highest level that passed and was not refuted since, with its time. A check that fails
    /// refutes all that passed before it, at whatever level: what can't be restored is not proven by
    /// its checksums.
    #[must_use]
    pub fn verified(&self) -> Option<(VerificationLevel, Timestamp)> {
        let refuted =
            self.evidence.iter().filter(|evidence| !evidence.passed).map(|evidence| evidence.at).max();
        self.evidence
            .iter()
            .filter(|evidence| evidence.passed && refuted.is_none_or(|refuted| refuted < evidence.at))
            .max_by_key(|evidence| evidence.level)
            .map(|evidence| (evidence.level, evidence.at))
    }

    /// When it was verified as deep as `level` for the first time; a deeper check proves what is above
    /// it, too. It stays whatever is found later, as history does: whether it is good now is another
    /// matter. The lowest level asks for nothing, so it holds from the beginning.
    #[must_use]
    pub fn verified_since(&self, level: VerificationLevel) -> Option<Timestamp> {
        if level == VerificationLevel::Catalogued {
            return Some(Timestamp::MIN);
        }
        self.first_passed.range(level..).map(|(_, at)| *at).min()
    }

    /// Notes that it is of no use; the first finding stands. Whether this is news.
    pub fn find_bad(&mut self, found: FoundBad) -> bool {
        let is_news = self.found_bad.is_none();
        self.found_bad.get_or_insert(found);
        is_news
    }

    /// Notes that what was found against it is no more, since `at`.
    pub fn find_good(&mut self, at: Timestamp) {
        self.was_bad.extend(self.found_bad.take().map(|found| WasBad { found, until: at }));
    }

    /// Notes the outcome of a check, replacing the older one at its level.
    pub fn note_evidence(&mut self, evidence: Evidence) {
        if evidence.passed {
            let first = self.first_passed.entry(evidence.level).or_insert(evidence.at);
            *first = evidence.at.min(*first);
        }
        self.evidence.retain(|known| known.level != evidence.level);
        self.evidence.push(evidence);
        self.evidence.sort_by_key(|known| known.level);
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::testing::fixtures;

    type Level = VerificationLevel;

    fn noted(record: &mut BackupRecord, level: Level, seconds: i64, passed: bool) {
        let (at, found_by) =
            (Timestamp::from_seconds(seconds), EvidenceSource::Verification(fixtures::id(1)));
        record.note_evidence(Evidence { level, at, passed, found_by });
    }

    #[test]
    fn a_check_that_fails_refutes_all_that_passed_before_it() {
        let mut record = fixtures::record(1);
        let mut note = |level, seconds, passed| {
            noted(&mut record, level, seconds, passed);
            record.verified().map(|(level, _)| level)
        };
        assert_eq!(note(Level::Checksummed, 1, true), Some(Level::Checksummed));
        assert_eq!(note(Level::Restored, 2, false), None, "whose checksums are good can't be restored");
        assert_eq!(note(Level::Checksummed, 3, true), Some(Level::Checksummed), "as far as was found since");
        assert_eq!(note(Level::Restored, 4, true), Some(Level::Restored));
        assert_eq!(note(Level::Checksummed, 5, false), None);
    }

    #[test]
    fn it_is_verified_since_the_first_check_that_passed_so_deep_whatever_came_after() {
        let mut record = fixtures::record(1);
        let mut note = |level, seconds, passed| {
            noted(&mut record, level, seconds, passed);
            [Level::Checksummed, Level::Restored]
                .map(|level| record.verified_since(level).map(|at| at.as_micros() / 1_000_000))
        };
        assert_eq!(note(Level::Present, 1, true), [None, None]);
        assert_eq!(note(Level::Structured, 2, true), [Some(2), None]);
        assert_eq!(note(Level::Restored, 3, true), [Some(2), Some(3)]);
        assert_eq!(note(Level::Checksummed, 4, true), [Some(2), Some(3)], "checked again");
        assert_eq!(note(Level::Restored, 5, false), [Some(2), Some(3)], "it had passed then");
        assert_eq!(note(Level::Restored, 6, true), [Some(2), Some(3)]);
        let fresh = fixtures::record(2);
        assert_eq!(fresh.verified_since(Level::Catalogued), Some(Timestamp::MIN));
    }
}
