//! Tests of exposure, attainment and the maintained state; one per line of the rules.

use std::{collections::BTreeMap, time::Duration};

use uuid::Uuid;

use crate::model::{Consistency, RecordId, Timestamp};
use crate::rules::exposure::*;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
const MINUTE: Duration = Duration::from_secs(60);

fn id(n: u32) -> RecordId {
    RecordId::from_uuid(Uuid::from_u128(n.into()))
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Seconds after some midnight.
fn t(seconds: i64) -> Timestamp {
    at("2026-02-06T00:00:00Z").saturating_add_seconds(seconds)
}

trait Seconds {
    fn saturating_add_seconds(self, seconds: i64) -> Self;
}

impl Seconds for Timestamp {
    fn saturating_add_seconds(self, seconds: i64) -> Self {
        Self::from_micros(self.as_micros() + seconds * 1_000_000)
    }
}

fn point(n: u32, at: i64, available: i64) -> ExposurePoint {
    ExposurePoint::new(id(n), t(at), t(available))
}

fn counting(points: &[ExposurePoint]) -> Vec<CountingPoint> {
    resolve_chains(points, Book::AsKnown)
}

/// Attainment over [from, until) under `target` seconds since `from`.
fn over(points: &[ExposurePoint], from: i64, until: i64, target: u64) -> Attainment {
    swept(points, Book::AsKnown, (from, until), &[(from, target)], &[])
}

fn swept(
    points: &[ExposurePoint],
    book: Book,
    (from, until): (i64, i64),
    targets: &[(i64, u64)],
    suspensions: &[(i64, i64)],
) -> Attainment {
    let targets: Vec<_> = targets
        .iter()
        .map(|(from, target)| TargetFrom { from: t(*from), target: Duration::from_secs(*target) })
        .collect();
    let suspensions: Vec<_> =
        suspensions.iter().map(|(from, until)| Window { from: t(*from), until: t(*until) }).collect();
    attainment(&AttainmentInput {
        points: &resolve_chains(points, book),
        window: Window { from: t(from), until: t(until) },
        now: Timestamp::MAX,
        targets: &targets,
        suspensions: &suspensions,
    })
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn recovery_point_time_is_the_drivers_consistency_time_else_the_start() {
    let (start, end) = (t(0), t(60));
    for consistency in [Consistency::InstantSnapshot, Consistency::FuzzyCopy, Consistency::LogicalDump] {
        assert_eq!(recovery_point(consistency, None, start, end, end).at, start);
        assert_eq!(recovery_point(consistency, Some(t(7)), start, end, end).at, t(7));
    }
}

#[test]
fn a_physical_base_backup_is_consistent_only_at_its_end_unless_the_driver_says_when() {
    let base =
        |consistent_at| recovery_point(Consistency::PhysicalBase, consistent_at, t(0), t(60), t(90)).at;
    assert_eq!((base(None), base(Some(t(50)))), (t(60), t(50)));
}

#[test]
fn a_point_later_than_available_at_is_clamped_to_it_and_flagged() {
    let point = recovery_point(Consistency::FuzzyCopy, Some(t(99)), t(0), t(60), t(60));
    assert_eq!((point.at, point.clamped), (t(60), true));
    assert!(!recovery_point(Consistency::FuzzyCopy, Some(t(60)), t(0), t(60), t(60)).clamped);
}

#[test]
fn a_point_counts_from_when_it_is_usable_until_its_deletion_begins_or_it_is_found_bad() {
    let mut one = point(1, 0, 10);
    one.unavailable_at = Some(t(20));
    let exposure = |one: ExposurePoint, s| exposure_at(&counting(&[one]), t(s)).duration();
    assert_eq!(
        [9, 10, 19, 20].map(|s| exposure(one.clone(), s)),
        [None, Some(seconds(10)), Some(seconds(19)), None]
    );
    one.found_bad_at = Some(t(15));
    assert_eq!([14, 15].map(|s| exposure(one.clone(), s)), [Some(seconds(14)), None]);
}

#[test]
fn an_expired_record_in_its_grace_still_counts() {
    // Expiry is no end: only `unavailable_at`, the begin of deletion, is.
    let one = point(1, 0, 10);
    assert!(exposure_at(&counting(&[one]), t(1_000_000)).duration().is_some());
}

#[test]
fn a_child_counts_while_its_ancestors_do() {
    let mut full = point(1, 0, 10);
    let mut middle = point(2, 20, 30);
    let mut child = point(3, 40, 50);
    (middle.parent, child.parent) = (Some(id(1)), Some(id(2)));
    full.unavailable_at = Some(t(100));
    full.available_at = t(60);
    let counted = counting(&[child, full, middle]);
    let span = |n| counted.iter().find(|p| p.id == id(n)).map(|p| (p.from, p.until));
    assert_eq!(span(3), Some((t(60), t(100))));
    assert_eq!(span(2), Some((t(60), t(100))));
}

#[test]
fn a_child_whose_ancestor_is_missing_never_counts() {
    let mut child = point(2, 0, 10);
    child.parent = Some(id(1));
    assert_eq!(counting(&[child]), []);
}

#[test]
fn a_chain_that_runs_in_a_circle_never_counts() {
    let (mut a, mut b) = (point(1, 0, 10), point(2, 0, 10));
    (a.parent, b.parent) = (Some(id(2)), Some(id(1)));
    assert_eq!(counting(&[a, b]), []);
}

#[test]
fn in_the_restated_book_a_point_found_bad_never_counted_nor_did_its_children() {
    let (good, mut bad, mut child) = (point(1, 0, 0), point(2, 10, 10), point(3, 20, 20));
    child.parent = Some(id(2));
    bad.found_bad_at = Some(t(50));
    let points = [good, bad, child];
    let total = |book| swept(&points, book, (0, 100), &[(0, 30)], &[]).share.compliant;
    assert_eq!(total(Book::AsKnown), seconds(50), "until the finding");
    assert_eq!(total(Book::Restated), seconds(30), "only what the good one gives");
}

#[test]
fn what_was_taken_for_bad_and_found_good_did_not_count_in_between_nor_did_its_children() {
    let (mut full, mut child) = (point(1, 0, 0), point(2, 10, 10));
    child.parent = Some(id(1));
    full.was_bad = vec![Window { from: t(60), until: t(70) }, Window { from: t(30), until: t(50) }];
    let points = [full, child];
    let spans = |book| {
        let spans = resolve_chains(&points, book).into_iter().filter(|point| point.id == id(2));
        spans.map(|point| (point.from, point.until)).collect::<Vec<_>>()
    };
    assert_eq!(spans(Book::AsKnown), [(t(10), t(30)), (t(50), t(60)), (t(70), Timestamp::MAX)]);
    assert_eq!(spans(Book::Restated), [(t(10), Timestamp::MAX)], "it was good all the time");
}

#[test]
fn exposure_equal_to_the_target_is_compliant() {
    let state = state_with(&[(1, 0, 10)], 100);
    assert!(state.verdict(t(100), &Mend::default()).is_compliant());
    assert!(!state.verdict(Timestamp::from_micros(t(100).as_micros() + 1), &Mend::default()).is_compliant());
}

/// A state under `target` seconds since t(0) after these points, as (id, at, available).
fn state_with(points: &[(u32, i64, i64)], target: u64) -> RpoState {
    let mut state = RpoState::new(seconds(target), t(0));
    for (n, at, available) in points {
        let counted = counting(&[point(*n, *at, *available)]);
        let _ = state.point_added(&counted[0], t(*available));
    }
    state
}

#[test]
fn next_violation_at_is_the_newest_point_plus_the_target() {
    let state = state_with(&[(1, 0, 10), (2, 50, 60)], 100);
    let verdict = state.verdict(t(70), &Mend::default());
    assert_eq!((verdict.next_violation_at, verdict.violated_since), (Some(t(150)), None));
    assert_eq!(verdict.latest_safe_start(seconds(10)), Some(t(140)));
}

/// The instant after this many seconds.
fn after(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp::from_micros(t(seconds).as_micros() + 1))
}

#[test]
fn the_verdict_changes_by_time_alone_once_no_backup_can_come_in_time_and_once_the_target_is_missed() {
    let mut state = state_with(&[(1, 50, 60)], 100);
    let slot = |at| Mend { next_slot: Some(t(at)), duration: Some(seconds(10)), ..Mend::default() };
    let running = Mend { running_since: Some(t(130)), duration: Some(seconds(10)), ..Mend::default() };
    for (now, mend) in [
        (70, slot(120)),
        (130, slot(120)),
        (140, slot(120)),
        (141, slot(120)),
        (70, slot(145)),
        (131, running),
    ] {
        let next = state.next_change_at(t(now), &mend).unwrap();
        let before = Timestamp::from_micros(next.as_micros() - 1);
        let now = state.verdict(t(now), &mend).status;
        assert_eq!(state.verdict(before, &mend).status, now);
        assert_ne!(state.verdict(next, &mend).status, now);
    }
    assert_eq!(state.next_change_at(t(70), &slot(120)), after(140), "a slot that is overdue");
    assert_eq!(state.next_change_at(t(70), &slot(145)), after(150), "at risk already");
    assert_eq!(state.next_change_at(t(131), &running), after(150));
    assert_eq!(state.next_change_at(t(151), &slot(120)), after(150), "missed, and not noted yet");
    let newest = state.newest().copied();
    assert_eq!(state.replace(newest, t(151)), StateChange::Changed);
    assert_eq!(state.next_change_at(t(151), &slot(120)), None);
}

#[test]
fn next_violation_at_is_null_when_already_violated_and_violated_since_says_when_compliance_ended() {
    let verdict = state_with(&[(1, 0, 10)], 100).verdict(t(500), &Mend::default());
    assert_eq!((verdict.next_violation_at, verdict.violated_since), (None, Some(t(100))));
    assert_eq!(verdict.status, RpoStatus::Missed);
}

#[test]
fn violated_since_survives_a_point_that_comes_too_late_to_mend() {
    let verdict = state_with(&[(1, 0, 10), (2, 150, 400)], 100).verdict(t(500), &Mend::default());
    assert_eq!(verdict.violated_since, Some(t(100)));
}

#[test]
fn violated_since_is_when_the_good_point_was_lost_if_that_ended_compliance() {
    let mut state = state_with(&[(1, 0, 10), (2, 300, 310)], 100);
    assert_eq!(state.point_removed(id(1)), StateChange::Unchanged);
    assert_eq!(state.point_removed(id(2)), StateChange::NeedsNewest);
    let left = NewestPoint { id: id(1), at: t(0), available_at: t(10) };
    assert_eq!(state.replace(Some(left), t(350)), StateChange::Changed);
    assert_eq!(state.verdict(t(360), &Mend::default()).violated_since, Some(t(350)));
}

#[test]
fn nothing_usable_is_not_compliant_null_with_the_reason() {
    let verdict = RpoState::new(DAY, t(0)).verdict(t(100), &Mend::default());
    assert_eq!((verdict.status, verdict.is_compliant(), verdict.actual()), (RpoStatus::Unknown, false, None));
    assert_eq!((verdict.next_violation_at, verdict.violated_since), (None, Some(t(0))));
    let issue = rpo_issue(&verdict, &RunFacts::default()).unwrap();
    assert!(issue.starts_with("Nothing usable can be restored"), "{issue}");
}

#[test]
fn adding_a_point_twice_or_an_older_one_changes_nothing() {
    let mut state = state_with(&[(2, 50, 60)], 100);
    for late in [point(2, 50, 60), point(1, 40, 70)] {
        let counted = counting(&[late]);
        assert_eq!(state.point_added(&counted[0], t(80)), StateChange::Unchanged);
    }
}

#[test]
fn a_stricter_target_can_end_compliance_at_once() {
    let mut state = state_with(&[(1, 0, 10)], 100);
    assert_eq!(state.retarget(seconds(20), t(50)), StateChange::Changed);
    assert_eq!(state.verdict(t(60), &Mend::default()).violated_since, Some(t(50)));
    assert_eq!(state.retarget(seconds(100), t(70)), StateChange::Changed);
    assert_eq!(state.verdict(t(80), &Mend::default()).next_violation_at, Some(t(100)));
}

#[test]
fn at_risk_is_when_the_next_violation_comes_before_the_next_slot_could_mend_it() {
    let state = state_with(&[(1, 0, 10)], 100);
    let status = |next_slot, duration| {
        let mend =
            Mend { next_slot: Some(t(next_slot)), running_since: None, duration: Some(seconds(duration)) };
        state.verdict(t(50), &mend).status
    };
    assert_eq!(status(90, 10), RpoStatus::Met);
    assert_eq!(status(90, 11), RpoStatus::AtRisk);
    assert_eq!(state.verdict(t(50), &Mend::default()).status, RpoStatus::AtRisk, "nothing is planned");
    let running = Mend { next_slot: Some(t(900)), running_since: Some(t(45)), duration: Some(seconds(20)) };
    assert_eq!(state.verdict(t(50), &running).status, RpoStatus::Met);
}

#[test]
fn attainment_is_null_when_nothing_counts() {
    let nothing = swept(&[], Book::AsKnown, (0, 100), &[(100, 10)], &[]);
    assert_eq!((nothing.share.percent(), nothing.worst_exposure), (None, None));
    assert_eq!(swept(&[], Book::AsKnown, (0, 100), &[(0, 10)], &[(0, 100)]).share.ratio(), None);
}

#[test]
fn unprotected_time_counts_as_not_compliant() {
    let result = over(&[point(1, 40, 50)], 0, 100, 1000);
    assert_eq!(result.share.percent(), Some(50.0));
    assert_eq!((result.unprotected, result.worst_exposure), (seconds(50), None));
}

#[test]
fn attainment_counts_time_after_the_policy_took_effect_less_approved_suspensions() {
    let points = [point(1, 0, 0)];
    let result = swept(&points, Book::AsKnown, (0, 100), &[(20, 30)], &[(50, 70), (60, 80), (300, 400)]);
    assert_eq!((result.share.counted, result.share.compliant), (seconds(50), seconds(10)));
    assert_eq!((result.raw.counted, result.raw.compliant), (seconds(80), seconds(10)));
}

#[test]
fn a_target_holds_from_its_time_on() {
    let points = [point(1, 0, 0)];
    let result = swept(&points, Book::AsKnown, (0, 100), &[(0, 10), (50, 70)], &[]);
    assert_eq!(result.share.compliant, seconds(10 + 20));
    assert_eq!(result.violations, Violations { count: 2, longest: seconds(40), total: seconds(70) });
}

#[test]
fn worst_exposure_is_the_supremum_over_counted_time() {
    let points = [point(1, 0, 0), point(2, 30, 40)];
    assert_eq!(over(&points, 0, 60, 10).worst_exposure, Some(seconds(40)));
    let suspended = swept(&points, Book::AsKnown, (0, 60), &[(0, 10)], &[(35, 60)]);
    assert_eq!(suspended.worst_exposure, Some(seconds(35)));
}

#[test]
fn a_violation_that_outlasts_a_suspension_is_one() {
    let points = [point(1, 0, 0)];
    let result = swept(&points, Book::AsKnown, (0, 100), &[(0, 10)], &[(40, 60)]);
    assert_eq!(result.violations, Violations { count: 1, longest: seconds(70), total: seconds(70) });
}

#[test]
fn a_share_that_is_not_whole_is_never_shown_as_100_per_cent() {
    let result = over(&[point(1, 0, 0)], 0, 1_000_000, 999_999);
    assert_eq!(result.share.percent(), Some(99.99));
    assert_eq!(over(&[point(1, 0, 0)], 0, 100, 100).share.percent(), Some(100.0));
}

#[test]
fn a_daily_run_of_12_min_45_s_under_24_h_attains_99_11_per_cent() {
    let points: Vec<_> =
        (0..32).map(|n| point(n, i64::from(n) * 86_400, i64::from(n) * 86_400 + 765)).collect();
    let result = over(&points, 86_400, 86_400 * 31, 86_400);
    assert_eq!(result.share.percent(), Some(99.11));
    assert_eq!(result.violations, Violations { count: 30, longest: seconds(765), total: seconds(765 * 30) });
    assert_eq!(result.worst_exposure, Some(DAY + seconds(765)));
}

#[test]
fn an_hourly_run_of_2_min_under_1_h_attains_96_67_per_cent() {
    let points: Vec<_> = (0..800).map(|n| point(n, i64::from(n) * 3600, i64::from(n) * 3600 + 120)).collect();
    assert_eq!(over(&points, 3600, 3600 * 721, 3600).share.percent(), Some(96.67));
}

#[test]
fn exposure_is_judged_per_location() {
    let counted = counting(&[point(1, 0, 10), point(2, 50, 60)]);
    let by_location = exposure_by_location([("near", counted[1]), ("far", counted[0])], t(100));
    let durations: BTreeMap<_, _> = by_location.iter().map(|(l, e)| (*l, e.duration())).collect();
    assert_eq!(durations, BTreeMap::from([("far", Some(seconds(100))), ("near", Some(seconds(50)))]));
}

#[test]
fn hours_are_rounded_up_to_one_decimal() {
    let hours = |s| hours_rounded_up(seconds(s));
    assert_eq!([0, 1, 360, 361, 86_400].map(hours), [0.0, 0.1, 0.1, 0.2, 24.0]);
}

#[test]
fn an_issue_says_what_failed_what_is_missed_and_what_to_do() {
    let state = state_with(&[(1, 0, 10)], 86_400);
    let now = t(0).saturating_add(HOUR * 48 + MINUTE * 30);
    let runs =
        RunFacts { failed_in_a_row: 2, last_failure: Some("the bucket is full."), ..RunFacts::default() };
    assert_eq!(
        rpo_issue(&state.verdict(now, &Mend::default()), &runs).unwrap(),
        "The last 2 scheduled backups failed. RPO target of 24 hours is not being met (actual: 48.5 hours since \
         the recovery point of 2026-02-06T00:00:00Z). Last failure: the bucket is full. Mend that and start a backup."
    );
    assert_eq!(
        rpo_issue(&state.verdict(t(0), &Mend { next_slot: Some(t(60)), ..Mend::default() }), &runs),
        None
    );
}

#[test]
fn the_state_reads_back_as_written() {
    let state = state_with(&[(1, 0, 10)], 100);
    let json = serde_json::to_string(&state).unwrap();
    assert_eq!(serde_json::from_str::<RpoState>(&json).unwrap(), state);
}
