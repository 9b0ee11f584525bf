//! The newest counting point over time: a sweep over when points begin and cease to count.

use super::CountingPoint;
use crate::model::Timestamp;

/// A stretch of time in which the newest counting point stays the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    /// The newest recovery point time that counts; `None` if nothing does.
    pub(super) newest: Option<Timestamp>,
}

/// Walks from one [`Step`] to the next.
///
/// Kept are only the points that may yet be the newest: a point is dropped as soon as another one
/// is as new and counts as long. What is left forms a staircase: from bottom to top the points get
/// newer and cease to count sooner, so the top is always the answer and always the next to go.
#[derive(Debug)]
pub(super) struct Staircase<'a> {
    /// By when they begin to count, latest first.
    waiting: Vec<&'a CountingPoint>,
    stairs: Vec<&'a CountingPoint>,
    at: Timestamp,
    end: Timestamp,
}

impl<'a> Staircase<'a> {
    pub(super) fn new(points: &'a [CountingPoint], start: Timestamp, end: Timestamp) -> Self {
        let mut waiting: Vec<_> =
            points.iter().rev().filter(|point| point.from < end && start < point.until).collect();
        waiting.sort_by_key(|point| std::cmp::Reverse(point.from));
        Self { waiting, stairs: Vec::new(), at: start, end }
    }

    fn climb(&mut self, point: &'a CountingPoint) {
        if self.stairs.last().is_none_or(|top| top.at <= point.at) {
            while self.stairs.pop_if(|top| top.until <= point.until).is_some() {}
            self.stairs.push(point);
            return;
        }
        let place = self.stairs.partition_point(|stair| stair.at <= point.at);
        if self.stairs.get(place).is_some_and(|newer| newer.until >= point.until) {
            return;
        }
        let kept = self.stairs[..place].partition_point(|older| older.until > point.until);
        self.stairs.splice(kept..place, [point]);
    }
}

impl Iterator for Staircase<'_> {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        if self.at >= self.end {
            return None;
        }
        let start = self.at;
        while self.stairs.last().is_some_and(|top| top.until <= start) {
            self.stairs.pop();
        }
        while let Some(point) = self.waiting.last().copied().filter(|point| point.from <= start) {
            self.waiting.pop();
            self.climb(point);
        }
        let top = self.stairs.last();
        let change = self.waiting.last().map(|point| point.from).min_or(top.map(|top| top.until));
        self.at = change.map_or(self.end, |change| change.min(self.end));
        Some(Step { start, end: self.at, newest: top.map(|top| top.at) })
    }
}

/// The lesser of two where both are there.
trait MinOr: Sized {
    fn min_or(self, other: Self) -> Self;
}

impl MinOr for Option<Timestamp> {
    fn min_or(self, other: Self) -> Self {
        match (self, other) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, None) | (None, one) => one,
        }
    }
}
