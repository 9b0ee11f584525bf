//! Which records count for a policy, and since when: records as the rules of exposure see them.

use std::collections::{BTreeMap, HashMap};

use crate::{
    model::{
        BackupRecord, NamespaceSelection, Policy, PolicyState, PolicyTerm, RecordId, StorageUri, Timestamp,
        UsablePoint, VerificationLevel,
    },
    rules::exposure::{
        Book, CountingPoint, Exposure, ExposurePoint, Mend, NewestPoint, RpoState, RpoVerdict, StateChange,
        Window, exposure_by_location, resolve_chains,
    },
};

/// What counts for a policy, by all that is in the catalogue.
pub(crate) struct PolicyStanding {
    /// The newest point.
    pub(crate) newest: Option<NewestPoint>,
    /// When the last of the backups was made.
    pub(crate) last_success: Option<Timestamp>,
}

/// The records that matter for the exposure of the policies of one cluster, with all that they rest on,
/// so that chains are found whole.
pub(crate) struct PointBook<'a> {
    records: HashMap<RecordId, &'a BackupRecord>,
    /// What counts if partial backups do and every policy is covered.
    counting: Vec<CountingPoint>,
}

impl<'a> PointBook<'a> {
    /// The points of `records`, by the knowledge of `book`.
    pub(crate) fn new(records: impl IntoIterator<Item = &'a BackupRecord>, book: Book) -> Self {
        let records: HashMap<_, _> = records.into_iter().map(|record| (record.id, record)).collect();
        let points: Vec<_> = records.values().map(|record| exposure_point(record)).collect();
        Self { counting: resolve_chains(&points, book), records }
    }

    /// What counts for `policy`, and when, by what it asked for at each time.
    pub(crate) fn of(&self, policy: &Policy, terms: &[PolicyTerm]) -> Vec<CountingPoint> {
        let counting = self.counting.iter().filter_map(|point| {
            let record = self.records.get(&point.id)?;
            let from = point.from.max(counts_from(record, policy)?);
            Some((record, CountingPoint { from, ..*point }))
        });
        counting.flat_map(|(record, point)| self.while_it_served(record, point, terms)).collect()
    }

    /// The parts of `point` in which its record covered what was asked for, was whole if that was asked
    /// for, and was verified as deep as was asked for.
    fn while_it_served(
        &self,
        record: &BackupRecord,
        point: CountingPoint,
        terms: &[PolicyTerm],
    ) -> Vec<CountingPoint> {
        let mut parts: Vec<CountingPoint> = Vec::with_capacity(1);
        for (index, term) in terms.iter().enumerate() {
            let serves = covers(record, &term.namespaces) && (term.count_partial || !record.partial);
            let Some(since) = self.verified_since(record, term).filter(|_| serves) else { continue };
            // The policy's making is no edit: what was there before counts from the beginning.
            let begins = if index == 0 { Timestamp::MIN } else { term.from };
            let ends = terms.get(index + 1).map_or(Timestamp::MAX, |next| next.from);
            let from = begins.max(since).max(point.from);
            let until = ends.min(point.until);
            match parts.last_mut() {
                _ if from >= until => {}
                Some(part) if part.until == from => part.until = until,
                _ => parts.push(CountingPoint { from, until, ..point }),
            }
        }
        parts
    }

    /// Since when a record, and all that it rests on, are verified as deep as `term` asks for.
    fn verified_since(&self, record: &BackupRecord, term: &PolicyTerm) -> Option<Timestamp> {
        let Some(level) = term.count_verified else { return Some(Timestamp::MIN) };
        let (mut from, mut next) = (Timestamp::MIN, Some(record));
        // What counts has a whole chain, so this ends.
        while let Some(record) = next {
            from = from.max(record.verified_since(level)?);
            next = match record.parent {
                Some(parent) => Some(self.records.get(&parent)?),
                None => None,
            };
        }
        Some(from)
    }

    /// What counts for `policy` at `now`, as it is now.
    pub(crate) fn standing(&self, policy: &Policy, now: Timestamp) -> PolicyStanding {
        let mut points = self.of_now(policy);
        points.retain(|point| point.from <= now && now < point.until);
        PolicyStanding {
            newest: points.iter().max_by_key(|point| (point.at, point.id)).map(NewestPoint::from),
            last_success: points
                .iter()
                .filter_map(|point| Some(self.records.get(&point.id)?.created_at))
                .max(),
        }
    }

    /// What would be lost for `policy` at `now`, by location, if only that one were left.
    pub(crate) fn by_location(&self, policy: &Policy, now: Timestamp) -> BTreeMap<StorageUri, Exposure> {
        let points = self.of_now(policy);
        let copies = points.iter().flat_map(|point| {
            let copies = self.records.get(&point.id).map_or(&[][..], |record| &record.copies);
            copies.iter().filter_map(|copy| {
                let from = self.whole_since(point.id, &copy.location, now)?.max(point.from);
                Some((copy.location.clone(), CountingPoint { from, ..*point }))
            })
        });
        exposure_by_location(copies.filter(|(_, point)| point.from <= now && now < point.until), now)
    }

    /// Since when a record and all that it rests on lie in `location`; `None` if not all of it does.
    fn whole_since(&self, id: RecordId, location: &StorageUri, now: Timestamp) -> Option<Timestamp> {
        let (mut since, mut at) = (Timestamp::MIN, Some(id));
        for _ in 0..=self.records.len() {
            let Some(id) = at else { return Some(since) };
            let record = self.records.get(&id)?;
            let copy = record.copies.iter().find(|copy| copy.location == *location)?;
            since = since.max(copy.available_at);
            if copy.gone_at.is_some_and(|gone| gone <= now) {
                return None;
            }
            at = record.parent;
        }
        None
    }

    /// What counts for `policy` by what it asks for now.
    fn of_now(&self, policy: &Policy) -> Vec<CountingPoint> {
        self.of(policy, &[PolicyTerm::of(policy, Timestamp::MIN)])
    }
}

fn exposure_point(record: &BackupRecord) -> ExposurePoint {
    let available_at = record.copies.iter().map(|copy| copy.available_at).min();
    ExposurePoint {
        unavailable_at: record.lifecycle.unusable_since(),
        found_bad_at: record.found_bad.as_ref().map(|found| found.at),
        was_bad: record.was_bad.iter().map(|was| Window { from: was.found.at, until: was.until }).collect(),
        parent: record.parent,
        ..ExposurePoint::new(record.id, record.recovery_point.at, available_at.unwrap_or(record.created_at))
    }
}

/// Since when a record may count for a policy, whatever that asks for: one of another policy never does,
/// and what was made while a restore ran only once it was verified.
fn counts_from(record: &BackupRecord, policy: &Policy) -> Option<Timestamp> {
    let theirs = record.policy.is_none_or(|id| id == policy.id) && record.cluster == policy.cluster;
    if !theirs {
        return None;
    }
    match record.made_during {
        None => Some(Timestamp::MIN),
        Some(_) => record.verified_since(VerificationLevel::Present),
    }
}

/// Since when a record counts for a policy as it is, as far as only the two are concerned; what it
/// covers and what it rests on are other matters.
pub(crate) fn counts_by_itself(record: &BackupRecord, policy: &Policy) -> Option<Timestamp> {
    let asked = policy.count_verified.unwrap_or(VerificationLevel::Catalogued);
    if record.partial && !policy.count_partial {
        return None;
    }
    let verified = record.verified_since(asked)?;
    counts_from(record, policy).map(|from| from.max(verified))
}

/// Whether a record has everything that `wanted` selects; `false` where globs leave it open.
pub(crate) fn covers(record: &BackupRecord, wanted: &NamespaceSelection) -> bool {
    if record.selection == *wanted {
        return true;
    }
    let names: Option<Vec<_>> =
        wanted.include().iter().map(crate::model::NamespacePattern::as_name).collect();
    if let Some(names) = names {
        return names.iter().filter(|name| wanted.matches(name)).all(|name| record.namespaces.contains(name));
    }
    let has = record.selection.include();
    let includes = has.iter().any(crate::model::NamespacePattern::is_all)
        || wanted.include().iter().all(|pattern| has.contains(pattern));
    includes && record.selection.exclude().iter().all(|pattern| wanted.exclude().contains(pattern))
}

/// Whether two states of a record count alike for every policy that asks for no verification.
pub(crate) fn count_alike(before: &BackupRecord, after: &BackupRecord) -> bool {
    exposure_point(before) == exposure_point(after)
}

/// Whether two states of a record are verified alike, as far as that decides what counts.
pub(crate) fn verified_alike(before: &BackupRecord, after: &BackupRecord) -> bool {
    VerificationLevel::ALL.iter().all(|level| before.verified_since(*level) == after.verified_since(*level))
}

/// The target of a policy without one: nothing ever misses it.
const NO_TARGET: std::time::Duration = std::time::Duration::MAX;

/// What a policy's state keeps of its exposure.
pub(crate) fn rpo_state(policy: &Policy, state: &PolicyState) -> RpoState {
    let target = policy.rpo.map_or(NO_TARGET, |rpo| rpo.0);
    RpoState::resume(target, state.newest_usable.map(NewestPoint::from), state.violated_since)
}

/// Keeps `rpo` in a policy's state.
pub(crate) fn keep_rpo(state: &mut PolicyState, rpo: &RpoState) {
    state.newest_usable = rpo.newest().copied().map(UsablePoint::from);
    state.violated_since = rpo.violated_since();
}

/// How a policy stands against its RPO; `None` if it has none. Costs the same whatever its history.
pub(crate) fn rpo_verdict(
    policy: &Policy,
    state: &PolicyState,
    now: Timestamp,
    mend: &Mend,
) -> Option<RpoVerdict> {
    policy.rpo.map(|_| rpo_state(policy, state).verdict(now, mend))
}

/// The state of a policy that was just made, and may be protected by a manual backup already.
pub(crate) fn note_newest(
    state: &mut PolicyState,
    policy: &Policy,
    newest: Option<NewestPoint>,
    now: Timestamp,
) {
    let mut rpo = rpo_state(policy, state);
    if rpo.replace(newest, now) != StateChange::Unchanged {
        keep_rpo(state, &rpo);
    }
}

/// Whether an edit of a policy changes what its exposure is judged by.
pub(crate) fn asks_anew(before: &Policy, after: &Policy) -> bool {
    PolicyTerm::of(before, before.created_at) != PolicyTerm::of(after, before.created_at)
}

/// A policy's state after an edit: another target, other namespaces, on or off.
pub(crate) fn note_edit(
    state: &mut PolicyState,
    before: &Policy,
    after: &Policy,
    newest: Option<NewestPoint>,
    now: Timestamp,
) {
    if !asks_anew(before, after) {
        return;
    }
    state.terms.push(PolicyTerm::of(after, now));
    let mut rpo = rpo_state(before, state);
    let changes = [rpo.replace(newest, now), rpo.retarget(after.rpo.map_or(NO_TARGET, |rpo| rpo.0), now)];
    if changes.contains(&StateChange::Changed) {
        keep_rpo(state, &rpo);
    }
}

/// The spans in which a policy was off or had no RPO: no time that counts.
pub(crate) fn suspensions(terms: &[PolicyTerm]) -> Vec<Window> {
    let idle = |term: &PolicyTerm| !term.enabled || term.rpo.is_none();
    let ends = terms.iter().skip(1).map(|next| next.from).chain([Timestamp::MAX]);
    let spans = terms.iter().zip(ends).filter(|(term, _)| idle(term));
    spans.map(|(term, until)| Window { from: term.from, until }).collect()
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::{
        model::{Evidence, EvidenceSource, FoundBad, RestoredBy},
        testing::fixtures,
    };

    const ASKED: VerificationLevel = VerificationLevel::Checksummed;

    fn at(seconds: u64) -> Timestamp {
        fixtures::START.saturating_add(std::time::Duration::from_secs(seconds))
    }

    fn passed(record: &mut BackupRecord, seconds: u64) {
        let found_by = EvidenceSource::Verification(fixtures::id(1));
        record.note_evidence(Evidence { level: ASKED, at: at(seconds), passed: true, found_by });
    }

    fn record(number: u64, verified: Option<u64>) -> BackupRecord {
        let mut record = fixtures::record(number);
        if let Some(seconds) = verified {
            passed(&mut record, seconds);
        }
        record
    }

    fn spans(records: &[BackupRecord], terms: &[PolicyTerm]) -> Vec<(RecordId, Timestamp)> {
        let policy = fixtures::policy(1);
        let points = PointBook::new(records, Book::AsKnown).of(&policy, terms);
        let mut spans: Vec<_> = points.iter().map(|point| (point.id, point.from)).collect();
        spans.sort();
        spans
    }

    #[test]
    fn a_child_counts_once_all_that_it_rests_on_is_verified_too() {
        let mut policy = fixtures::policy(1);
        policy.count_verified = Some(ASKED);
        let term = [PolicyTerm::of(&policy, Timestamp::MIN)];
        let child = BackupRecord { parent: Some(fixtures::id(1)), ..record(2, Some(100_000)) };
        let chain = |parent| [record(1, parent), child.clone()];
        assert_eq!(spans(&chain(None), &term), []);
        let later = [(fixtures::id(1), at(200_000)), (fixtures::id(2), at(200_000))];
        assert_eq!(spans(&chain(Some(200_000)), &term), later);
    }

    #[test]
    fn each_term_asks_for_its_own_depth() {
        let policy = fixtures::policy(1);
        let term = |from, asked| PolicyTerm { count_verified: asked, ..PolicyTerm::of(&policy, at(from)) };
        let terms = [term(0, None), term(200_000, Some(ASKED)), term(300_000, None)];
        let starts = |verified| {
            let spans = spans(&[record(1, verified)], &terms);
            spans.into_iter().skip(1).map(|(_, from)| from).collect::<Vec<_>>()
        };
        assert_eq!(starts(None), [at(300_000)], "a gap while it was asked for");
        assert_eq!(starts(Some(250_000)), [at(250_000)], "a gap until it was verified");
        assert_eq!(starts(Some(100_000)), []);
    }

    fn counted(record: &BackupRecord, book: Book) -> Vec<(Timestamp, Timestamp)> {
        let policy = fixtures::policy(1);
        let points = PointBook::new([record], book).of(&policy, &[PolicyTerm::of(&policy, Timestamp::MIN)]);
        points.iter().map(|point| (point.from, point.until)).collect()
    }

    #[test]
    fn what_was_made_during_a_restore_counts_from_its_first_verification_however_often_it_is_repeated() {
        let mut record = fixtures::record(1);
        record.made_during = Some(RestoredBy::DrTest(fixtures::id(1)));
        let policy = fixtures::policy(1);
        let success = |record: &BackupRecord| {
            PointBook::new([record], Book::AsKnown).standing(&policy, at(300_000)).last_success
        };
        assert_eq!((counted(&record, Book::AsKnown), success(&record)), (vec![], None));
        passed(&mut record, 100_000);
        passed(&mut record, 200_000);
        assert_eq!(counted(&record, Book::AsKnown), [(at(100_000), Timestamp::MAX)]);
        assert_eq!(success(&record), Some(record.created_at));
    }

    #[test]
    fn the_book_as_it_was_known_remembers_when_a_record_was_taken_for_bad() {
        let mut record = fixtures::record(1);
        let begin = counted(&record, Book::AsKnown)[0].0;
        record.find_bad(FoundBad { at: at(100_000), reason: "the network was down".to_owned() });
        assert!(!record.find_bad(FoundBad { at: at(150_000), reason: "still".to_owned() }), "no news");
        record.find_good(at(200_000));
        let known = [(begin, at(100_000)), (at(200_000), Timestamp::MAX)];
        assert_eq!(counted(&record, Book::AsKnown), known);
        assert_eq!(counted(&record, Book::Restated), [(begin, Timestamp::MAX)]);
    }
}
