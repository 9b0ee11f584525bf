//! Exposure: the sweep over 720 recovery points, and the present of 10,000 policies from
//! maintained state, whatever their history. Run with `cargo bench -p aegis-core --bench exposure`.

use std::time::Duration;

use aegis_core::{
    model::{RecordId, Timestamp},
    rules::exposure::{
        AttainmentInput, Book, CountingPoint, ExposurePoint, Mend, RpoState, TargetFrom, Window, attainment,
        resolve_chains,
    },
};
use uuid::Uuid;

const HOUR: Duration = Duration::from_secs(3600);
const POLICIES: usize = 10_000;

fn main() {
    divan::main();
}

fn start() -> Timestamp {
    Timestamp::from_seconds(1_770_000_000)
}

/// Hourly backups of two minutes, each deleted a week later; every tenth of them an hour late.
fn history(runs: u32) -> Vec<CountingPoint> {
    let points: Vec<_> = (0..runs)
        .map(|n| {
            let at = start().saturating_add(HOUR * n);
            let late = if n % 10 == 9 { HOUR } else { Duration::ZERO };
            let available = at.saturating_add(Duration::from_secs(120) + late);
            let id = RecordId::from_uuid(Uuid::from_u128(u128::from(n)));
            ExposurePoint {
                unavailable_at: Some(at.saturating_add(HOUR * 168)),
                ..ExposurePoint::new(id, at, available)
            }
        })
        .collect();
    resolve_chains(&points, Book::AsKnown)
}

/// The anchor: the points sorted by when they began to count, and nothing else.
#[divan::bench(args = [720])]
fn anchor_bare_sort(bencher: divan::Bencher<'_, '_>, runs: u32) {
    let points = history(runs);
    bencher.bench(|| {
        let mut sorted: Vec<_> = points.iter().map(|point| (point.from, point.at)).collect();
        sorted.sort_unstable();
        sorted
    });
}

#[divan::bench(args = [720, 8640])]
fn attainment_sweep(bencher: divan::Bencher<'_, '_>, runs: u32) {
    let points = history(runs);
    let targets = [TargetFrom { from: start(), target: HOUR }];
    let until = start().saturating_add(HOUR * runs);
    let window = Window { from: start(), until };
    let input = AttainmentInput { points: &points, window, now: until, targets: &targets, suspensions: &[] };
    bencher.bench(|| attainment(&input));
}

/// Many points that stay countable for differing times, so that the staircase has many stairs.
#[divan::bench(args = [720])]
fn attainment_sweep_of_tangled_points(bencher: divan::Bencher<'_, '_>, runs: u32) {
    let mut points = history(runs);
    for (n, point) in points.iter_mut().enumerate() {
        let left = HOUR * u32::try_from(2000 - 2 * n.min(900)).unwrap_or(0);
        point.until = point.from.saturating_add(left);
    }
    let targets = [TargetFrom { from: start(), target: HOUR }];
    let until = start().saturating_add(HOUR * runs);
    let window = Window { from: start(), until };
    let input = AttainmentInput { points: &points, window, now: until, targets: &targets, suspensions: &[] };
    bencher.bench(|| attainment(&input));
}

/// The verdicts on all policies now, each maintained over a history of so many runs.
#[divan::bench(args = [720, 8640])]
fn now_verdicts_of_10_000_policies(bencher: divan::Bencher<'_, '_>, runs: u32) {
    let points = history(runs);
    let mut state = RpoState::new(HOUR, start());
    for point in &points {
        let _ = state.point_added(point, point.from);
    }
    let states = vec![state; POLICIES];
    let now = start().saturating_add(HOUR * runs);
    let mend = Mend { next_slot: Some(now), running_since: None, duration: Some(Duration::from_secs(120)) };
    bencher.bench(|| {
        let states = divan::black_box(&states);
        states.iter().map(|state| state.verdict(now, &mend)).filter(|verdict| verdict.is_compliant()).count()
    });
}
