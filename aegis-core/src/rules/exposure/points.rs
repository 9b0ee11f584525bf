//! Recovery points on the line of time: what instant each reflects, and when it counts.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use super::Window;
use crate::model::{Consistency, RecordId, RecoveryPoint, Timestamp};

/// The recovery point time of a backup that ran from `started_at` to `ended_at`.
///
/// The driver's own consistency time if it gives one; else the start, since what changed while
/// the backup read may be missing from it; but a physical base backup is consistent only at its
/// end. What lies after `available_at` is clamped to it and flagged: data can't reflect an instant
/// that had not come when it was complete.
#[must_use]
pub fn recovery_point(
    consistency: Consistency,
    consistent_at: Option<Timestamp>,
    started_at: Timestamp,
    ended_at: Timestamp,
    available_at: Timestamp,
) -> RecoveryPoint {
    let at = consistent_at.unwrap_or(match consistency {
        Consistency::PhysicalBase => ended_at,
        Consistency::InstantSnapshot | Consistency::FuzzyCopy | Consistency::LogicalDump => started_at,
    });
    RecoveryPoint { at: at.min(available_at), clamped: at > available_at }
}

/// A record, as exposure sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExposurePoint {
    /// The record.
    pub id: RecordId,
    /// The instant that its data reflects.
    pub at: Timestamp,
    /// Since when it is usable: finished, and verified as far as the policy asks for.
    pub available_at: Timestamp,
    /// Since when it is not any more: its deletion began, or it is lost.
    pub unavailable_at: Option<Timestamp>,
    /// When it was found bad.
    pub found_bad_at: Option<Timestamp>,
    /// When it was taken for bad before, and found good again.
    pub was_bad: Vec<Window>,
    /// The record that it can't be restored without.
    pub parent: Option<RecordId>,
}

impl ExposurePoint {
    /// A point that is still good and rests on no other.
    #[must_use]
    pub const fn new(id: RecordId, at: Timestamp, available_at: Timestamp) -> Self {
        Self {
            id,
            at,
            available_at,
            unavailable_at: None,
            found_bad_at: None,
            was_bad: Vec::new(),
            parent: None,
        }
    }
}

/// Which knowledge a verdict on the past rests on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Book {
    /// As known then: a point counts until it was found bad, and again once it was found good.
    #[default]
    AsKnown,
    /// As known now: a point that was found bad never counted, nor did its children.
    Restated,
}

/// A recovery point and the span in which it counts: from `from`, and until `until` excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountingPoint {
    /// The record.
    pub id: RecordId,
    /// The instant that its data reflects.
    pub at: Timestamp,
    /// Since when it counts.
    pub from: Timestamp,
    /// Since when it does not any more; [`Timestamp::MAX`] if it still does.
    pub until: Timestamp,
}

/// What counts, and when: each point as long as it and all its ancestors are usable.
///
/// `points` must hold the ancestors too, deleted ones included: a point whose parent is missing
/// never counts, since nothing shows that it could be restored.
#[must_use]
pub fn resolve_chains(points: &[ExposurePoint], book: Book) -> Vec<CountingPoint> {
    let own = |point: &ExposurePoint| {
        let until = point.unavailable_at.unwrap_or(Timestamp::MAX);
        let (from, until) = match (point.found_bad_at, book) {
            (None, _) => (point.available_at, until),
            (Some(found), Book::AsKnown) => (point.available_at, until.min(found)),
            (Some(_), Book::Restated) => (Timestamp::MAX, Timestamp::MIN),
        };
        CountingPoint { id: point.id, at: point.at.min(point.available_at), from, until }
    };
    let gaps_of = |point: &ExposurePoint| match book {
        Book::AsKnown => point.was_bad.clone(),
        // It is known now that it was good all the time.
        Book::Restated => Vec::new(),
    };
    let is_flat = points.iter().all(|point| point.parent.is_none());
    let by_id: HashMap<_, _> =
        if is_flat { HashMap::new() } else { points.iter().map(|point| (point.id, point)).collect() };
    let whole = |point: &ExposurePoint| {
        let (mut counting, mut gaps) = (own(point), gaps_of(point));
        let (mut parent, mut steps) = (point.parent, 0);
        while let Some(id) = parent {
            let ancestor = by_id.get(&id).filter(|_| steps <= points.len())?;
            let theirs = own(ancestor);
            counting.from = counting.from.max(theirs.from);
            counting.until = counting.until.min(theirs.until);
            gaps.extend(gaps_of(ancestor));
            parent = ancestor.parent;
            steps += 1;
        }
        Some((counting, gaps))
    };
    let mut parts = Vec::with_capacity(points.len());
    for (counting, gaps) in points.iter().filter_map(whole) {
        add_outside(&mut parts, counting, gaps);
    }
    parts
}

/// Adds the parts of `point` that lie outside of all `gaps`.
fn add_outside(parts: &mut Vec<CountingPoint>, mut point: CountingPoint, mut gaps: Vec<Window>) {
    gaps.sort();
    for gap in gaps.into_iter().filter(|gap| gap.from < gap.until) {
        let before = CountingPoint { until: point.until.min(gap.from), ..point };
        parts.extend((before.from < before.until).then_some(before));
        point.from = point.from.max(gap.until);
    }
    parts.extend((point.from < point.until).then_some(point));
}

/// How much would be lost at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// Everything: no point counts.
    Unprotected,
    /// What changed since the newest point that counts.
    Since {
        /// That point's record.
        id: RecordId,
        /// The instant that its data reflects.
        at: Timestamp,
        /// How long before.
        exposure: Duration,
    },
}

impl Exposure {
    /// The exposure; `None` where nothing protects.
    #[must_use]
    pub const fn duration(&self) -> Option<Duration> {
        match self {
            Self::Unprotected => None,
            Self::Since { exposure, .. } => Some(*exposure),
        }
    }
}

/// The exposure at `t`; of equal points, the one with the greater id is named.
#[must_use]
pub fn exposure_at(points: &[CountingPoint], t: Timestamp) -> Exposure {
    let counting = points.iter().filter(|point| point.from <= t && t < point.until);
    counting.max_by_key(|point| (point.at, point.id)).map_or(Exposure::Unprotected, |point| Exposure::Since {
        id: point.id,
        at: point.at,
        exposure: t.since(point.at),
    })
}

/// The exposure at `t` per location: what would be lost if only that location were left.
#[must_use]
pub fn exposure_by_location<L: Ord>(
    copies: impl IntoIterator<Item = (L, CountingPoint)>,
    t: Timestamp,
) -> BTreeMap<L, Exposure> {
    let mut by_location: BTreeMap<L, Vec<CountingPoint>> = BTreeMap::new();
    for (location, point) in copies {
        by_location.entry(location).or_default().push(point);
    }
    by_location.into_iter().map(|(location, points)| (location, exposure_at(&points, t))).collect()
}
