//! Which records count for a policy, and since when: records as the rules of exposure see them.

use std::collections::HashMap;

use crate::{
    model::{
        BackupRecord, NamespaceSelection, Policy, PolicyState, PolicyTerm, RecordId, Timestamp, UsablePoint,
    },
    rules::exposure::{
        Book, CountingPoint, ExposurePoint, Mend, NewestPoint, RpoState, RpoVerdict, StateChange, Window,
        resolve_chains,
    },
};

/// The records that matter for the exposure of the policies of one cluster: all that the cluster
/// has, so that chains are found whole.
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
        let clipped = counting.flat_map(|(record, point)| while_covered(record, point, terms));
        clipped.filter(|point| point.from < point.until).collect()
    }

    /// The records that can be restored at `now`, whoever they count for.
    pub(crate) fn restorable(&self, now: Timestamp) -> impl Iterator<Item = &CountingPoint> {
        self.counting.iter().filter(move |point| point.from <= now && now < point.until)
    }

    /// The newest point that counts for `policy` at `now`, as it is now.
    pub(crate) fn newest(&self, policy: &Policy, now: Timestamp) -> Option<NewestPoint> {
        let terms = [PolicyTerm::of(policy, Timestamp::MIN)];
        let points = self.of(policy, &terms);
        let counting = points.iter().filter(|point| point.from <= now && now < point.until);
        counting.max_by_key(|point| (point.at, point.id)).map(NewestPoint::from)
    }
}

fn exposure_point(record: &BackupRecord) -> ExposurePoint {
    let available_at = record.copies.iter().map(|copy| copy.available_at).min();
    ExposurePoint {
        unavailable_at: record.lifecycle.unusable_since(),
        found_bad_at: record.found_bad.as_ref().map(|found| found.at),
        parent: record.parent,
        ..ExposurePoint::new(record.id, record.recovery_point.at, available_at.unwrap_or(record.created_at))
    }
}

/// Since when a record counts for a policy, as far as only the two are concerned: one of another
/// policy never does, a part only where the policy says so, and what was made while a restore ran
/// only once it was verified.
fn counts_from(record: &BackupRecord, policy: &Policy) -> Option<Timestamp> {
    let theirs = record.policy.is_none_or(|id| id == policy.id) && record.cluster == policy.cluster;
    if !theirs || (record.partial && !policy.count_partial) {
        return None;
    }
    match record.made_during {
        None => Some(Timestamp::MIN),
        Some(_) => record.verified().map(|(_, at)| at),
    }
}

/// The parts of `point` in which its record covered what was asked for.
fn while_covered(record: &BackupRecord, point: CountingPoint, terms: &[PolicyTerm]) -> Vec<CountingPoint> {
    let mut parts: Vec<CountingPoint> = Vec::with_capacity(1);
    for (index, term) in terms.iter().enumerate() {
        // The policy's making is no edit: what was there before counts from the beginning.
        let from = if index == 0 { Timestamp::MIN } else { term.from };
        let until = terms.get(index + 1).map_or(Timestamp::MAX, |next| next.from);
        if !covers(record, &term.namespaces) {
            continue;
        }
        match parts.last_mut() {
            Some(part) if part.until == from => part.until = until,
            _ => parts.push(CountingPoint { from, until, ..point }),
        }
    }
    for part in &mut parts {
        (part.from, part.until) = (part.from.max(point.from), part.until.min(point.until));
    }
    parts
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

/// Whether two states of a record count alike for every policy, so that nothing is to be noted.
pub(crate) fn count_alike(before: &BackupRecord, after: &BackupRecord) -> bool {
    let seen = |record: &BackupRecord| {
        let verified = record.made_during.and_then(|_| record.verified()).map(|(_, at)| at);
        (exposure_point(record), verified)
    };
    seen(before) == seen(after)
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
