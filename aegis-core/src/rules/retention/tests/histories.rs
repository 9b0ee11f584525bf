//! Whole lives of a repository, thousands of them: backups that succeed and fail, chains, holds,
//! locks, findings, clocks that jump; after each run of retention what may never expire is there.

use std::{collections::HashSet, time::Duration};

use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, TestRng, TestRunner},
};

use super::{
    super::{Acknowledgement, Planner, Point, RetentionInput, RetentionRefusal, Verdict},
    kit::id,
    oracle::{any_rules, any_zone},
};
use crate::model::{RecordId, RetentionRules, Timestamp};

const HISTORIES: usize = 10_000;
/// The histories take turns with so many sets of rules.
const POLICIES: usize = 500;

#[derive(Clone, Copy, Debug)]
enum Event {
    /// A backup, this many seconds after the last event; usable, verified, a child of the newest.
    Backup { after: i64, usable: bool, verified: bool, child: bool },
    /// One record is held, protected, used or locked.
    Guard { which: usize, how: u64, seconds: i64 },
    /// Guards of one record are lifted.
    Release { which: usize },
    /// One record is found bad.
    FoundBad { which: usize },
    /// The clock jumps.
    Jump { seconds: i64 },
    /// Retention runs, and what expired is gone.
    Sweep { acknowledged: bool },
}

/// Numbers that look like chance and are the same in every run.
struct Dice(u64);

impl Dice {
    /// From 0 to `sides` − 1.
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    /// Seconds, from `least` on and fewer than `sides` more.
    fn seconds(&mut self, least: i64, sides: u64) -> i64 {
        least + i64::try_from(self.roll(sides)).unwrap()
    }

    fn which(&mut self) -> usize {
        usize::try_from(self.roll(1 << 30)).unwrap()
    }

    fn event(&mut self) -> Event {
        match self.roll(17) {
            0..8 => Event::Backup {
                after: self.seconds(60, 200_000),
                usable: self.roll(6) > 0,
                verified: self.roll(4) == 0,
                child: self.roll(3) > 0,
            },
            8 | 9 => {
                Event::Guard { which: self.which(), how: self.roll(4), seconds: self.seconds(0, 3_000_000) }
            }
            10 => Event::Release { which: self.which() },
            11 => Event::FoundBad { which: self.which() },
            12 => Event::Jump { seconds: self.seconds(-900_000, 3_900_000) },
            _ => Event::Sweep { acknowledged: self.roll(4) > 0 },
        }
    }
}

#[derive(Debug)]
struct Life {
    now: Timestamp,
    newest_event: Timestamp,
    last_run: Option<Timestamp>,
    points: Vec<Point>,
    born: usize,
}

impl Life {
    /// The records that are bad, or rest on one that is; parents are born before their children.
    fn bad(&self) -> HashSet<RecordId> {
        self.points.iter().fold(HashSet::new(), |mut bad, point| {
            if point.found_bad_at.is_some() || point.parent.is_some_and(|parent| bad.contains(&parent)) {
                bad.insert(point.id);
            }
            bad
        })
    }

    /// What stays whatever the tiers say: guarded records, the floors, what lies in the future, and
    /// all that these rest on.
    fn sacred(&self, rules: &RetentionRules, of_cluster: Option<RecordId>) -> Vec<RecordId> {
        let horizon = self.now.saturating_add(Duration::from_secs(300));
        let bad = self.bad();
        let mut good: Vec<_> =
            self.points.iter().filter(|p| p.usable && !bad.contains(&p.id) && p.at <= horizon).collect();
        good.sort_by_key(|p| std::cmp::Reverse((p.at, p.id)));
        let guarded = self.points.iter().filter(|p| {
            let g = &p.guards;
            g.held || g.protected || g.in_use || g.locked_until.is_some_and(|until| until > self.now)
        });
        let verified = good.iter().find(|p| p.verified);
        let floors = good.iter().take(usize::try_from(rules.min_keep).unwrap().max(1));
        let of_cluster = good.iter().filter(|p| Some(p.id) == of_cluster);
        let future = self.points.iter().filter(|p| p.at > horizon && !bad.contains(&p.id));
        let mut sacred: Vec<_> = guarded
            .chain(future)
            .chain(floors.chain(of_cluster).chain(verified).copied())
            .map(|p| p.id)
            .collect();
        for place in 0.. {
            let Some(point) = sacred.get(place).and_then(|id| self.points.iter().find(|p| p.id == *id))
            else {
                break;
            };
            if let Some(parent) = point.parent.filter(|id| !sacred.contains(id)) {
                sacred.push(parent);
            }
        }
        sacred
    }

    fn at(&mut self, which: usize) -> Option<&mut Point> {
        let count = self.points.len();
        self.points.get_mut(which.checked_rem(count)?)
    }
}

fn shifted(at: Timestamp, seconds: i64) -> Timestamp {
    Timestamp::from_micros(at.as_micros() + seconds * 1_000_000)
}

#[test]
fn what_may_never_expire_survives_10_000_histories() {
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        TestRng::from_seed(proptest::test_runner::RngAlgorithm::ChaCha, b"ten thousand lives of backups..."),
    );
    let strategy = proptest::collection::vec((any_rules(), any_zone()), POLICIES);
    let policies = strategy.new_tree(&mut runner).unwrap().current();
    let (mut planner, mut dice, mut swept, mut refused) = (Planner::default(), Dice(2026), 0, 0);
    for (history, (rules, zone)) in (0..HISTORIES).zip(policies.iter().cycle()) {
        let events: Vec<_> = (0..=dice.roll(39)).map(|_| dice.event()).collect();
        let start = Timestamp::from_seconds(1_750_000_000);
        let mut life = Life { now: start, newest_event: start, last_run: None, points: vec![], born: 0 };
        for event in &events {
            match *event {
                Event::Backup { after, usable, verified, child } => {
                    life.now = shifted(life.now, after);
                    life.newest_event = life.newest_event.max(life.now);
                    life.born += 1;
                    let parent = life.points.last().map(|p| p.id).filter(|_| child);
                    life.points.push(Point {
                        usable,
                        verified,
                        parent,
                        ..Point::new(id(life.born), life.now)
                    });
                }
                Event::Guard { which, how, seconds } => {
                    let until = shifted(life.now, seconds);
                    if let Some(point) = life.at(which) {
                        match how {
                            0 => point.guards.held = true,
                            1 => point.guards.protected = true,
                            2 => point.guards.in_use = true,
                            _ => point.guards.locked_until = Some(until),
                        }
                    }
                }
                Event::Release { which } => {
                    if let Some(point) = life.at(which) {
                        point.guards = super::super::Guards::default();
                    }
                }
                Event::FoundBad { which } => {
                    let now = life.now;
                    if let Some(point) = life.at(which) {
                        point.found_bad_at = point.found_bad_at.or(Some(now));
                    }
                }
                Event::Jump { seconds } => life.now = shifted(life.now, seconds),
                Event::Sweep { acknowledged } => {
                    let acknowledgement =
                        if acknowledged { Acknowledgement::Given } else { Acknowledgement::None };
                    let which = dice.which();
                    let of_cluster = life.at(which).map(|point| point.id);
                    let input = RetentionInput {
                        acknowledgement,
                        last_run: life.last_run,
                        newest_event: Some(life.newest_event),
                        newest_usable_of_cluster: of_cluster,
                        ..RetentionInput::new(rules, zone, &life.points, life.now)
                    };
                    let behind = life.newest_event.since(life.now) > Duration::from_secs(300);
                    match planner.decide(&input) {
                        Err(RetentionRefusal::ClockBehind { .. }) => {
                            assert!(behind);
                            refused += 1;
                        }
                        Err(RetentionRefusal::Unacknowledged(_)) => assert!(!acknowledged),
                        Err(RetentionRefusal::Rules(error)) => panic!("valid rules were refused: {error}"),
                        Ok(verdicts) => {
                            assert!(!behind, "history {history}: ran though the clock went back");
                            let gone: Vec<_> = life
                                .points
                                .iter()
                                .zip(verdicts)
                                .filter(|(_, verdict)| **verdict == Verdict::Expire)
                                .map(|(point, _)| point.id)
                                .collect();
                            let sacred = life.sacred(rules, of_cluster);
                            let lost: Vec<_> = gone.iter().filter(|id| sacred.contains(id)).collect();
                            assert!(
                                lost.is_empty(),
                                "history {history}: {lost:?} of {life:?} under {rules:?}"
                            );
                            swept += gone.len();
                            life.points.retain(|point| !gone.contains(&point.id));
                            life.last_run = Some(life.now);
                        }
                    }
                }
            }
        }
    }
    assert!(swept > HISTORIES && refused > HISTORIES / 100, "the histories must bite: {swept} {refused}");
}
