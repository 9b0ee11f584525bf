//! The recovery points whose data is there, and what it takes.

use super::DataModel;
use crate::{
    model::{Bytes, Timestamp},
    rules::retention::Point,
};

/// A point with the bytes that it needs and the point before it does not have.
#[derive(Debug)]
struct Shelved {
    added: Bytes,
    /// Since when it waits for its removal.
    remove_at: Option<Timestamp>,
}

/// What is there, oldest first.
#[derive(Debug)]
pub(super) struct Shelf {
    data: DataModel,
    pub(super) points: Vec<Point>,
    notes: Vec<Shelved>,
    stored: u64,
}

impl Shelf {
    pub(super) const fn new(data: DataModel) -> Self {
        Self { data, points: Vec::new(), notes: Vec::new(), stored: 0 }
    }

    pub(super) const fn stored(&self) -> Bytes {
        Bytes(self.stored)
    }

    /// Puts a point on top; points come in the order of their times.
    pub(super) fn push(&mut self, point: Point) {
        let added = self.added(self.points.last(), &point);
        self.stored = self.stored.saturating_add(added.0);
        self.points.push(point);
        self.notes.push(Shelved { added, remove_at: None });
    }

    /// Marks the point at `place` to go at `remove_at`, or to stay after all.
    pub(super) fn mark(&mut self, place: usize, remove_at: Option<Timestamp>) {
        if let (Some(point), Some(note)) = (self.points.get_mut(place), self.notes.get_mut(place)) {
            point.expired = remove_at.is_some();
            note.remove_at = remove_at;
        }
    }

    /// When the next removal is due.
    pub(super) fn next_removal(&self) -> Option<Timestamp> {
        self.notes.iter().filter_map(|note| note.remove_at).min()
    }

    /// Whether the removal of the point at `place` is due.
    pub(super) fn is_due(&self, place: usize, now: Timestamp) -> bool {
        self.notes.get(place).and_then(|note| note.remove_at).is_some_and(|at| at <= now)
    }

    /// Takes away the points at `places`, which is sorted.
    pub(super) fn remove(&mut self, places: &[usize]) {
        let (points, notes) = (std::mem::take(&mut self.points), std::mem::take(&mut self.notes));
        let mut gap = false;
        for (place, (point, mut note)) in points.into_iter().zip(notes).enumerate() {
            if places.binary_search(&place).is_ok() {
                self.stored = self.stored.saturating_sub(note.added.0);
                gap = true;
                continue;
            }
            if std::mem::take(&mut gap) {
                let added = self.added(self.points.last(), &point);
                self.stored = self.stored.saturating_sub(note.added.0).saturating_add(added.0);
                note.added = added;
            }
            self.points.push(point);
            self.notes.push(note);
        }
    }

    fn added(&self, before: Option<&Point>, point: &Point) -> Bytes {
        before.map_or(self.data.size, |before| self.data.changed_in(point.at.since(before.at)))
    }
}
