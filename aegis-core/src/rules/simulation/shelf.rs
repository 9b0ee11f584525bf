//! The recovery points whose data is there, and what it takes.

use super::DataModel;
use crate::{
    model::{Bytes, Timestamp},
    rules::retention::Point,
};

/// What lies beside a point.
#[derive(Debug)]
struct Note {
    /// The how manieth point of the policy it is, from 0 on.
    number: usize,
    /// The bytes that it needs and the point before it does not have.
    added: Bytes,
    /// Since when it waits for its removal.
    remove_at: Option<Timestamp>,
}

/// What is there, oldest first; a place is an index into that.
#[derive(Debug)]
pub(super) struct Shelf {
    data: DataModel,
    points: Vec<Point>,
    notes: Vec<Note>,
    stored: u64,
}

impl Shelf {
    pub(super) const fn new(data: DataModel) -> Self {
        Self { data, points: Vec::new(), notes: Vec::new(), stored: 0 }
    }

    pub(super) fn points(&self) -> &[Point] {
        &self.points
    }

    pub(super) const fn stored(&self) -> Bytes {
        Bytes(self.stored)
    }

    /// Puts a point on top; points come in the order of their times and numbers.
    pub(super) fn push(&mut self, number: usize, point: Point) {
        let added = self.added(self.points.last(), &point);
        self.stored = self.stored.saturating_add(added.0);
        self.points.push(point);
        self.notes.push(Note { number, added, remove_at: None });
    }

    pub(super) fn is_expired(&self, place: usize) -> bool {
        self.points.get(place).is_some_and(|point| point.expired)
    }

    /// Marks the point at `place` to go at `remove_at`, or to stay after all; answers its number.
    pub(super) fn mark(&mut self, place: usize, remove_at: Option<Timestamp>) -> Option<usize> {
        let (point, note) = (self.points.get_mut(place)?, self.notes.get_mut(place)?);
        point.expired = remove_at.is_some();
        note.remove_at = remove_at;
        Some(note.number)
    }

    /// Notes that a point is bad; `false` if it is not there any more.
    pub(super) fn find_bad(&mut self, number: usize, now: Timestamp) -> bool {
        let place = self.notes.binary_search_by_key(&number, |note| note.number);
        let point = place.ok().and_then(|place| self.points.get_mut(place));
        point.map(|point| point.found_bad_at = Some(now)).is_some()
    }

    /// When the next removal is due.
    pub(super) fn next_removal(&self) -> Option<Timestamp> {
        self.notes.iter().filter_map(|note| note.remove_at).min()
    }

    /// Takes away the points whose removal is due and whose place `goes`; answers their numbers.
    pub(super) fn remove_due(&mut self, now: Timestamp, goes: impl Fn(usize) -> bool) -> Vec<usize> {
        let (points, notes) = (std::mem::take(&mut self.points), std::mem::take(&mut self.notes));
        let (mut gone, mut gap) = (Vec::new(), false);
        for (place, (point, mut note)) in points.into_iter().zip(notes).enumerate() {
            if note.remove_at.is_some_and(|at| at <= now) && goes(place) {
                self.stored = self.stored.saturating_sub(note.added.0);
                gone.push(note.number);
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
        gone
    }

    fn added(&self, before: Option<&Point>, point: &Point) -> Bytes {
        before.map_or(self.data.size, |before| self.data.changed_in(point.at.since(before.at)))
    }
}
