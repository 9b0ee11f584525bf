//! Exposure a second time, by looking at every second.

use std::time::Duration;

use proptest::prelude::*;
use uuid::Uuid;

use crate::{
    model::{RecordId, Timestamp},
    rules::exposure::*,
};

const END: i64 = 400;

fn id(n: usize) -> RecordId {
    RecordId::from_uuid(Uuid::from_u128(u128::try_from(n).unwrap()))
}

fn t(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_770_000_000 + seconds)
}

fn any_points() -> impl Strategy<Value = Vec<ExposurePoint>> {
    (0..14usize).prop_flat_map(|count| {
        let point = |n: usize| {
            // A few reflect an instant after they are available, by a clock that is wrong.
            let span = (-100..END, -15..80i64, proptest::option::weighted(0.6, 1..300i64));
            let finding = proptest::option::weighted(0.2, 0..END);
            let mistaken = proptest::collection::vec((0..END, 0..200i64), 0..3);
            let parent = proptest::option::weighted(0.3, 0..14usize);
            (span, finding, mistaken, parent).prop_map(move |((at, took, lives), found, mistaken, parent)| {
                ExposurePoint {
                    unavailable_at: lives.map(|lives| t(at + took + lives)),
                    found_bad_at: found.map(t),
                    was_bad: mistaken
                        .into_iter()
                        .map(|(from, length)| Window { from: t(from), until: t(from + length) })
                        .collect(),
                    parent: parent.filter(|parent| *parent != n).map(id),
                    ..ExposurePoint::new(id(n), t(at), t(at + took))
                }
            })
        };
        (0..count).map(point).collect::<Vec<_>>()
    })
}

/// Whether a point and all its ancestors can be used at `now`, looked up one by one.
fn usable(points: &[ExposurePoint], point: &ExposurePoint, now: Timestamp, book: Book) -> bool {
    let (mut at, mut steps) = (Some(point), 0);
    while let Some(p) = at {
        let bad = match book {
            Book::AsKnown => {
                p.found_bad_at.is_some_and(|found| found <= now)
                    || p.was_bad.iter().any(|was| was.from <= now && now < was.until)
            }
            Book::Restated => p.found_bad_at.is_some(),
        };
        if bad
            || now < p.available_at
            || p.unavailable_at.is_some_and(|gone| gone <= now)
            || steps > points.len()
        {
            return false;
        }
        let Some(parent) = p.parent else { return true };
        at = points.iter().find(|p| p.id == parent);
        steps += 1;
    }
    false
}

fn newest(points: &[ExposurePoint], now: Timestamp, book: Book) -> Option<Timestamp> {
    points.iter().filter(|p| usable(points, p, now, book)).map(|p| p.at.min(p.available_at)).max()
}

/// Of every counted second's exposure in its middle, the one that so many per cent of the seconds do not
/// exceed; `None` is unbounded.
fn sampled_spread(
    input: &AttainmentInput<'_>,
    points: &[ExposurePoint],
    book: Book,
    percent: usize,
) -> Option<Duration> {
    let second = Duration::from_secs(1);
    let (mut seconds, mut now) = (Vec::new(), input.window.from);
    let effective = input.targets.first()?.from;
    while now < input.window.until.min(input.now) {
        let suspended = input.suspensions.iter().any(|gap| gap.from <= now && now < gap.until);
        if effective <= now && !suspended {
            let exposure = newest(points, now, book).map(|newest| now.since(newest) + second / 2);
            seconds.push(exposure.unwrap_or(Duration::MAX));
        }
        now = now.saturating_add(second);
    }
    seconds.sort_unstable();
    let rank = (seconds.len() * percent).div_ceil(100);
    seconds.get(rank.checked_sub(1)?).copied().filter(|exposure| *exposure < Duration::MAX)
}

/// Attainment by asking each second in the middle: every instant of the inputs is a whole second.
fn sampled(input: &AttainmentInput<'_>, points: &[ExposurePoint], book: Book) -> Attainment {
    let mut result = Attainment::default();
    let second = Duration::from_secs(1);
    let (mut run, mut worst) = (Duration::ZERO, Some(Duration::ZERO));
    let close = |run: &mut Duration, violations: &mut Violations| {
        if !run.is_zero() {
            violations.count += 1;
            violations.longest = violations.longest.max(*run);
            violations.total += *run;
            *run = Duration::ZERO;
        }
    };
    let mut at = input.window.from;
    while at < input.window.until.min(input.now) {
        let middle = at.saturating_add(second / 2);
        if let Some(target) = input.targets.iter().rfind(|target| target.from <= middle) {
            let suspended = input.suspensions.iter().any(|gap| gap.from <= middle && middle < gap.until);
            let exposure = newest(points, middle, book).map(|newest| middle.since(newest));
            let compliant = exposure.is_some_and(|exposure| exposure <= target.target);
            let credit = if compliant { second } else { Duration::ZERO };
            result.raw.counted += second;
            result.raw.compliant += credit;
            if compliant {
                close(&mut run, &mut result.violations);
            }
            if !suspended {
                result.share.counted += second;
                result.share.compliant += credit;
                run += second - credit;
                worst = worst.zip(exposure).map(|(worst, now)| worst.max(now + second / 2));
                result.unprotected += if exposure.is_none() { second } else { Duration::ZERO };
            }
        }
        at = at.saturating_add(second);
    }
    close(&mut run, &mut result.violations);
    result.worst_exposure = worst.filter(|_| !result.share.counted.is_zero());
    result
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(300), ..ProptestConfig::default() })]

    #[test]
    fn the_sweep_agrees_with_sampling_every_second(
        points in any_points(),
        from in 0..100i64, length in 0..300i64,
        effective in -50..150i64, targets in proptest::collection::vec((1..150i64, 0..120u64), 1..4),
        gaps in proptest::collection::vec((0..END, 0..80i64), 0..4),
        restated in any::<bool>(),
    ) {
        let book = if restated { Book::Restated } else { Book::AsKnown };
        let mut since = effective;
        let targets: Vec<_> = targets.iter().map(|(step, target)| {
            let from = t(since);
            since += step;
            TargetFrom { from, target: Duration::from_secs(*target) }
        }).collect();
        let suspensions: Vec<_> =
            gaps.iter().map(|(from, length)| Window { from: t(*from), until: t(from + length) }).collect();
        let counting = resolve_chains(&points, book);
        let input = AttainmentInput {
            points: &counting,
            window: Window { from: t(from), until: t(from + length) },
            now: t(350),
            targets: &targets,
            suspensions: &suspensions,
        };
        prop_assert_eq!(attainment(&input), sampled(&input, &points, book));
        let spread = exposure_spread(&input);
        for (exact, percent) in [(spread.p50, 50), (spread.p95, 95)] {
            let sampled = sampled_spread(&input, &points, book, percent);
            prop_assert_eq!(exact.is_some(), sampled.is_some());
            let apart = exact.zip(sampled).map(|(exact, sampled)| exact.abs_diff(sampled));
            prop_assert!(apart.is_none_or(|apart| apart <= Duration::from_millis(500)), "{:?}", apart);
        }
    }

    #[test]
    fn exposure_at_any_instant_is_that_of_the_newest_usable_point(points in any_points(), at in -50..END) {
        let exposure = exposure_at(&resolve_chains(&points, Book::AsKnown), t(at)).duration();
        prop_assert_eq!(exposure, newest(&points, t(at), Book::AsKnown).map(|newest| t(at).since(newest)));
    }

    #[test]
    fn the_maintained_state_agrees_with_history_at_every_second(
        points in any_points(), target in 1..120u64, retarget in proptest::option::of((0..END, 1..120u64)),
    ) {
        let counting = resolve_chains(&points, Book::AsKnown);
        let mut state = RpoState::new(Duration::from_secs(target), t(0));
        let (mut violated_since, mut last_compliant) = (None, None);
        for second in 0..END {
            let now = t(second);
            for gone in counting.iter().filter(|point| point.until == now) {
                if state.point_removed(gone.id) == StateChange::NeedsNewest {
                    let left = counting.iter().filter(|p| p.from <= now && now < p.until);
                    let _ = state.replace(left.max_by_key(|p| (p.at, p.id)).map(NewestPoint::from), now);
                }
            }
            if let Some((_, target)) = retarget.filter(|(at, _)| *at == second) {
                let _ = state.retarget(Duration::from_secs(target), now);
            }
            for come in counting.iter().filter(|point| point.from == now || (second == 0 && point.from < now)) {
                let _ = state.point_added(come, now);
            }
            let verdict = state.verdict(now, &Mend::default());
            let exposure = exposure_at(&counting, now);
            prop_assert_eq!(verdict.exposure, exposure);
            let compliant = exposure.duration().is_some_and(|exposure| exposure <= state.target());
            prop_assert_eq!(verdict.is_compliant(), compliant);
            prop_assert_eq!(verdict.next_violation_at.is_some(), compliant);
            if compliant {
                (violated_since, last_compliant) = (None, Some(now));
            } else {
                // Compliance ends within the second before its loss is seen, or at this very change.
                let since = violated_since.get_or_insert(verdict.violated_since);
                prop_assert_eq!(*since, verdict.violated_since);
                prop_assert!(verdict.violated_since <= Some(now));
                prop_assert!(verdict.violated_since >= last_compliant, "when compliance really ended");
            }
        }
    }
}
