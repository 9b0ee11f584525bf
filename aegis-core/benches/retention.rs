//! Retention of 1,000,000 records in 10,000 policies, beside its anchor: sorting the same records
//! and reading off the days, weeks, months and years that they fall into, in UTC and with nothing
//! decided. Run with `cargo bench -p aegis-core --bench retention`.

use std::{hint::black_box, sync::OnceLock, time::Duration};

use aegis_core::{
    model::{KeepRules, RecordId, RetentionRules, Timestamp},
    rules::retention::{Acknowledgement, Planner, Point, RetentionInput},
};
use jiff::tz::TimeZone;
use uuid::Uuid;

const POLICIES: usize = 10_000;
const RECORDS: usize = 100;

fn main() {
    divan::main();
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

fn now() -> Timestamp {
    Timestamp::from_seconds(1_770_400_000)
}

/// The groups: a record about every day, in no order; one in ten guarded, one in ten verified.
fn groups() -> &'static [Vec<Point>] {
    static GROUPS: OnceLock<Vec<Vec<Point>>> = OnceLock::new();
    GROUPS.get_or_init(|| {
        let mut dice = Dice(7);
        (0..POLICIES).map(|group| points(group, &mut dice)).collect()
    })
}

fn points(group: usize, dice: &mut Dice) -> Vec<Point> {
    let mut points: Vec<_> = (0..RECORDS)
        .map(|n| {
            let id = RecordId::from_uuid(Uuid::from_u64_pair(
                u64::try_from(group).unwrap_or(0),
                u64::try_from(n).unwrap_or(0),
            ));
            let age = Duration::from_secs(u64::try_from(n).unwrap_or(0) * 86_400 + dice.roll(7200));
            let mut point = Point::new(id, now().saturating_sub(age));
            point.guards.held = dice.roll(20) == 0;
            point.guards.protected = dice.roll(20) == 0;
            point.verified = dice.roll(10) == 0;
            point
        })
        .collect();
    for n in (1..points.len()).rev() {
        let other = usize::try_from(dice.roll(u64::try_from(n).unwrap_or(0) + 1)).unwrap_or(0);
        points.swap(n, other);
    }
    points
}

fn rules() -> RetentionRules {
    let keep =
        KeepRules { days: Some(7), daily: 14, weekly: 8, monthly: 12, yearly: 3, ..KeepRules::default() };
    RetentionRules { keep, min_keep: 3, ..RetentionRules::default() }
}

fn input<'a>(rules: &'a RetentionRules, zone: &'a TimeZone, points: &'a [Point]) -> RetentionInput<'a> {
    RetentionInput {
        acknowledgement: Acknowledgement::Given,
        ..RetentionInput::new(rules, zone, points, now())
    }
}

fn zone() -> TimeZone {
    TimeZone::get("Europe/Berlin").unwrap_or(TimeZone::UTC)
}

/// Year and month of a day since the epoch, by counting.
fn month_of(day: i64) -> i64 {
    let date = jiff::civil::date(1970, 1, 1).saturating_add(jiff::SignedDuration::from_hours(day * 24));
    i64::from(date.year()) * 12 + i64::from(date.month())
}

#[divan::bench(sample_count = 20)]
fn anchor_bare_sort_and_bucket(bencher: divan::Bencher<'_, '_>) {
    let groups = groups();
    bencher.bench(|| {
        let mut sorted: Vec<(Timestamp, RecordId)> = Vec::new();
        let mut buckets = 0;
        for points in groups {
            sorted.clear();
            sorted.extend(points.iter().map(|point| (point.at, point.id)));
            sorted.sort_unstable_by(|a, b| b.cmp(a));
            let mut last = [i64::MIN; 4];
            for (at, _) in &sorted {
                let day = at.as_seconds().div_euclid(86_400);
                let month = month_of(day);
                let keys = [day, (day + 3).div_euclid(7), month, month.div_euclid(12)];
                for (last, key) in last.iter_mut().zip(keys) {
                    buckets += usize::from(*last != key);
                    *last = key;
                }
            }
        }
        black_box(buckets)
    });
}

#[divan::bench(sample_count = 20)]
fn decisions(bencher: divan::Bencher<'_, '_>) {
    let (groups, rules, zone) = (groups(), rules(), zone());
    bencher.bench(|| {
        let mut planner = Planner::default();
        groups
            .iter()
            .map(|points| planner.decide(&input(&rules, &zone, points)).map_or(0, <[_]>::len))
            .sum::<usize>()
    });
}

#[divan::bench(sample_count = 20)]
fn decisions_with_every_reason(bencher: divan::Bencher<'_, '_>) {
    let (groups, rules, zone) = (groups(), rules(), zone());
    bencher.bench(|| {
        let mut planner = Planner::default();
        let mut reasons = 0;
        for points in groups {
            if let Ok(plan) = planner.plan(&input(&rules, &zone, points)) {
                reasons += plan.decisions().map(|decision| decision.reasons.len()).sum::<usize>();
            }
        }
        black_box(reasons)
    });
}

#[divan::bench(sample_count = 5)]
fn one_group_in_english(bencher: divan::Bencher<'_, '_>) {
    let (groups, rules, zone) = (groups(), rules(), zone());
    let plan = Planner::default().plan(&input(&rules, &zone, &groups[0]));
    bencher.bench(|| {
        let texts = plan.iter().flat_map(|plan| plan.decisions());
        texts.map(|decision| decision.explanation().len()).sum::<usize>()
    });
}
