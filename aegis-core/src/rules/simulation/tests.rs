//! The simulation against closed forms, and what must hold in every world.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::model::{
    BlackoutWindow, Bytes, CatchUp, CronExpression, KeepRules, Overlap, SlotOutcome, ZoneName,
};
use crate::rules::{
    exposure::{Attainment, Book},
    retention::RetentionRefusal,
};

const DAY: Duration = Duration::from_secs(86_400);
const GB: u64 = 1_000_000_000;

fn start() -> Timestamp {
    at("2026-01-01T00:00:00Z")
}

fn policy(cron: &str, takes: u64, rpo: Duration, retention: RetentionRules) -> SimulatedPolicy {
    let schedule = Schedule::cron(CronExpression::new(cron).unwrap(), ZoneName::UTC);
    let runs = RunModel::steady(Duration::from_secs(takes));
    let data = DataModel { size: Bytes(100 * GB), daily_change: Share::percent(2) };
    let id = PolicyId::from_uuid(Uuid::from_u128(7));
    SimulatedPolicy { rpo: Some(Rpo(rpo)), ..SimulatedPolicy::new(id, schedule, retention, runs, data) }
}

fn daily() -> SimulatedPolicy {
    policy("0 2 * * *", 765, DAY, RetentionRules::days(30))
}

fn hourly() -> SimulatedPolicy {
    policy("0 * * * *", 120, Duration::from_secs(3600), RetentionRules::days(7))
}

fn play(policy: SimulatedPolicy) -> PolicyHistory {
    play_in(Scenario::new(vec![policy], 1, start()))
}

fn play_in(scenario: Scenario) -> PolicyHistory {
    simulate(&scenario).unwrap().policies.remove(0)
}

fn worst(history: &PolicyHistory, window: Window) -> Option<Duration> {
    history.worst_exposures([window], Book::AsKnown).next().unwrap()
}

fn attained(history: &PolicyHistory, window: Window, book: Book) -> Attainment {
    history.attainment(window, book).unwrap()
}

/// How many points were there.
fn there_at(history: &PolicyHistory, at: Timestamp) -> usize {
    history.curve.iter().take_while(|level| level.at <= at).last().unwrap().points
}

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

fn outage(kind: OutageKind, from: &str, until: &str) -> Outage {
    Outage { kind, window: Window { from: at(from), until: at(until) } }
}

/// From when the second point is due, so that whole periods are counted.
fn whole_days(history: &PolicyHistory, days: u32) -> Window {
    let from = history.points[0].available_at;
    Window { from, until: from.saturating_add(DAY * days) }
}

#[test]
fn a_daily_backup_of_12_min_45_s_attains_99_11_percent_of_24_hours() {
    let history = play(daily());
    let attained = attained(&history, whole_days(&history, 300), Book::AsKnown);
    assert_eq!(attained.share.percent(), Some(99.11));
    assert_eq!(attained.share.counted - attained.share.compliant, Duration::from_secs(765) * 300);
    assert_eq!(attained.violations.count, 300);
    assert_eq!(attained.worst_exposure, Some(DAY + Duration::from_secs(765)));
}

#[test]
fn an_hourly_backup_of_two_minutes_attains_96_67_percent_of_an_hour() {
    let history = play(hourly());
    assert_eq!(attained(&history, whole_days(&history, 300), Book::AsKnown).share.percent(), Some(96.67));
}

#[test]
fn without_failures_every_slot_runs_and_what_stays_is_what_the_rules_say() {
    let history = play(daily());
    assert_eq!((history.runs.len(), history.not_run.len()), (365, 0));
    // 30 within the days, and one in its grace: each sweep comes as a run ends, marks one and
    // lets the one of the day before go.
    assert_eq!(history.curve.iter().map(|level| level.points).max(), Some(31));
    assert!(history.sweeps.iter().all(|sweep| sweep.refusal.is_none()));
}

#[test]
fn storage_is_one_whole_and_what_changed_between_the_points_that_are_there() {
    let history = play(daily());
    let settled = history.curve.last().unwrap();
    let gaps = u64::try_from(settled.points - 1).unwrap();
    assert_eq!(settled.stored, Bytes(100 * GB + gaps * 2 * GB));
}

#[test]
fn sparse_points_share_less_and_never_take_more_than_a_whole_each() {
    let keep = KeepRules { monthly: 12, ..KeepRules::default() };
    let mut policy = policy("0 2 * * *", 60, DAY, RetentionRules { keep, ..RetentionRules::default() });
    policy.data.daily_change = Share::percent(50);
    let history = play(policy);
    for level in &history.curve {
        assert!(level.stored <= Bytes(100 * GB * u64::try_from(level.points).unwrap()), "{level:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_year_and_another_seed_another() {
    let mut scenario = Scenario::new(vec![hourly(), daily()], 42, start());
    let spread = Spread::new(Duration::ZERO, Duration::from_secs(600), DAY, DAY * 3);
    for policy in &mut scenario.policies {
        policy.runs.failure = Share::percent(10);
        policy.runs.bad = BadBackups { share: Share::percent(2), found_after: spread };
    }
    let kinds = [OutageKind::Engine, OutageKind::Target];
    scenario.random_outages =
        kinds.map(|kind| RandomOutages { kind, daily: Share::percent(2), length: spread }).to_vec();
    let first = simulate(&scenario).unwrap();
    assert_eq!(simulate(&scenario).unwrap(), first);
    scenario.seed = 43;
    let other = simulate(&scenario).unwrap();
    assert_ne!((&other.outages, &other.policies), (&first.outages, &first.policies));
}

#[test]
fn a_higher_chance_of_failure_adds_failures_and_leaves_the_others_as_they_were() {
    let failed = |percent| {
        let mut policy = hourly();
        policy.runs.failure = Share::percent(percent);
        let failed = play(policy).runs.into_iter().filter(|run| run.end == RunEnd::Failed);
        failed.map(|run| run.nominal_at).collect::<std::collections::BTreeSet<_>>()
    };
    let (few, more) = (failed(5), failed(20));
    assert!(!few.is_empty() && few.len() < more.len());
    assert!(few.is_subset(&more));
}

#[test]
fn about_as_many_runs_fail_as_were_asked_for() {
    let mut policy = hourly();
    policy.runs.failure = Share::percent(10);
    let failed = play(policy).runs.iter().filter(|run| run.end == RunEnd::Failed).count();
    assert!((700..1050).contains(&failed), "{failed} of 8759");
}

#[test]
fn half_of_the_runs_take_no_longer_than_the_median() {
    let mut policy = hourly();
    let seconds = Duration::from_secs;
    policy.runs.duration = Spread::new(seconds(10), seconds(60), seconds(600), seconds(900));
    let history = play(policy);
    let short = history.runs.iter().filter(|run| run.ended_at.since(run.started_at) <= seconds(60)).count();
    assert!((4100..4660).contains(&short), "{short} of {}", history.runs.len());
}

#[test]
fn while_the_engine_is_down_slots_are_coalesced_into_the_latest_as_the_ledger_says() {
    let mut scenario = Scenario::new(vec![hourly()], 1, start());
    scenario.outages = vec![outage(OutageKind::Engine, "2026-03-01T10:30:00Z", "2026-03-01T14:30:00Z")];
    let history = play_in(scenario.clone());
    let [range] = history.not_run[..] else { panic!("{:?}", history.not_run) };
    let into = "2026-03-01T14:00:00Z".parse().unwrap();
    assert_eq!((range.count, range.outcome), (3, SlotOutcome::Coalesced { into }));
    scenario.policies[0].options.catch_up = CatchUp::Skip;
    let missed = play_in(scenario).not_run;
    assert_eq!((missed[0].count, missed[0].outcome.label()), (4, "missed"));
}

#[test]
fn a_run_that_an_outage_of_the_target_touches_fails_when_it_begins() {
    let mut scenario = Scenario::new(vec![daily()], 1, start());
    scenario.outages = vec![outage(OutageKind::Target, "2026-03-01T02:05:00Z", "2026-03-01T02:06:00Z")];
    let history = play_in(scenario);
    let failed: Vec<_> = history.runs.iter().filter(|run| run.end == RunEnd::TargetDown).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].ended_at.to_string(), "2026-03-01T02:05:00Z");
    assert_eq!(worst(&history, history.protected().unwrap()), Some(2 * DAY + Duration::from_secs(765)));
}

#[test]
fn an_outage_longer_than_the_rpo_violates_it_until_the_next_point_can_be_used() {
    let policy = policy("0 2 * * *", 765, Duration::from_secs(26 * 3600), RetentionRules::days(30));
    let mut scenario = Scenario::new(vec![policy], 1, start());
    scenario.outages = vec![outage(OutageKind::Target, "2026-03-01T00:00:00Z", "2026-03-04T12:00:00Z")];
    let history = play_in(scenario);
    let violations = attained(&history, history.protected().unwrap(), Book::AsKnown).violations;
    // From 26 h after the point of 28 February to the end of the run of 5 March.
    assert_eq!((violations.count, violations.total), (1, DAY * 4 - Duration::from_secs(7200 - 765)));
}

#[test]
fn while_a_policy_pauses_its_points_do_not_age() {
    let (from, until) = (at("2026-06-01T00:00:00Z"), at("2026-12-01T00:00:00Z"));
    let mut policy = daily();
    policy.options.blackout = vec![BlackoutWindow::Once { from, until }];
    let history = play(policy);
    assert!(history.not_run.iter().all(|range| range.outcome.label() == "skipped"));
    assert_eq!(history.not_run.iter().map(|range| range.count).sum::<u64>(), 183);
    let pause = from..until;
    assert!(!history.points.iter().any(|point| point.expired_at.is_some_and(|at| pause.contains(&at))));
    assert_eq!(there_at(&history, until), 30);
}

#[test]
fn when_backups_resume_after_a_month_the_breaker_asks_and_nothing_goes_unasked() {
    let mut scenario = Scenario::new(vec![daily()], 1, start());
    scenario.outages = vec![outage(OutageKind::Target, "2026-06-01T00:00:00Z", "2026-07-10T00:00:00Z")];
    let history = play_in(scenario.clone());
    let refused: Vec<_> = history.sweeps.iter().filter(|sweep| sweep.refusal.is_some()).collect();
    let Some(RetentionRefusal::Unacknowledged(cautions)) = &refused[0].refusal else { panic!() };
    let trip = cautions.breaker.unwrap();
    assert_eq!((trip.expiring, trip.of, cautions.pause), (30, 31, None));
    assert_eq!(refused.last().copied(), history.sweeps.last(), "it asks until somebody answers");
    assert!(refused.iter().all(|sweep| sweep.expired == 0));
    assert_eq!(there_at(&history, at("2026-08-01T00:00:00Z")), 30 + 22);

    scenario.acknowledgement = Acknowledgement::Given;
    let acknowledged = play_in(scenario);
    let first = acknowledged.sweeps.iter().find(|sweep| sweep.at == refused[0].at).unwrap();
    assert_eq!((first.expired, &first.refusal), (30, &None));
}

#[test]
fn after_a_week_without_the_engine_each_sweep_asks_until_somebody_answers() {
    let mut scenario = Scenario::new(vec![daily()], 1, start());
    scenario.outages = vec![outage(OutageKind::Engine, "2026-06-01T00:00:00Z", "2026-06-09T00:00:00Z")];
    let history = play_in(scenario.clone());
    let back = at("2026-06-09T00:00:00Z");
    let (before, since): (Vec<_>, Vec<_>) = history.sweeps.iter().partition(|sweep| sweep.at < back);
    assert!(before.iter().all(|sweep| sweep.refusal.is_none()));
    let asks = |sweep: &&Sweep| sweep.refusal.is_some();
    let first = since.iter().position(asks).unwrap();
    assert!(since[first..].iter().all(asks), "a refused sweep is not the last run");

    scenario.acknowledgement = Acknowledgement::Given;
    assert!(play_in(scenario).sweeps.iter().all(|sweep| sweep.refusal.is_none()));
}

#[test]
fn a_backup_that_was_found_bad_counted_until_then_and_in_the_restated_book_never() {
    let mut policy = daily();
    let found_after = Spread::fixed(Duration::from_secs(6 * 3600));
    policy.runs.bad = BadBackups { share: Share::ALL, found_after };
    let history = play(policy);
    let window = whole_days(&history, 300);
    assert_eq!(attained(&history, window, Book::AsKnown).share.percent(), Some(25.0));
    assert_eq!(attained(&history, window, Book::Restated).share.percent(), Some(0.0));
    assert!(history.points[0].found_bad_at.is_some());
}

#[test]
fn the_data_of_a_bad_backup_goes_after_seven_days_and_its_grace_time() {
    let mut policy = daily();
    let found_after = Spread::fixed(Duration::from_secs(6 * 3600));
    policy.runs.bad = BadBackups { share: Share::ALL, found_after };
    let history = play(policy);
    let first = history.points[0];
    // Seven days of looking into it, 18 hours to the next sweep, and a day of grace.
    let stayed = first.removed_at.unwrap().since(first.found_bad_at.unwrap());
    assert_eq!(stayed, DAY * 8 + Duration::from_secs(18 * 3600));
    assert_eq!(history.explain(&first), ["expired: found bad; its 7 days ended 18 h ago"]);
}

#[test]
fn a_run_longer_than_its_gap_makes_slots_wait_or_be_skipped() {
    let mut policy = policy("0 * * * *", 5400, DAY, RetentionRules::days(7));
    let skipped = play(policy.clone());
    assert!(skipped.not_run.iter().all(|range| range.outcome.label() == "skipped"));
    policy.options.overlap = Overlap::QueueOne;
    let queued = play(policy);
    assert!(queued.runs.len() > skipped.runs.len());
    assert!(queued.runs.windows(2).all(|pair| pair[0].ended_at <= pair[1].started_at));
}

#[test]
fn a_policy_that_never_succeeds_is_unprotected_all_the_time() {
    let mut policy = daily();
    policy.runs.failure = Share::ALL;
    let history = play(policy);
    let attained = attained(&history, history.window, Book::AsKnown);
    assert_eq!((attained.share.ratio(), attained.unprotected), (Some(0.0), Scenario::YEAR));
    assert_eq!((history.protected(), worst(&history, history.window)), (None, None));
}

#[test]
fn what_expired_says_why() {
    let history = play(daily());
    let expired = history.points.iter().find(|point| point.expired_at.is_some()).unwrap();
    assert!(history.explain(expired)[0].contains("30"), "{:?}", history.explain(expired));
}

#[test]
fn a_scenario_that_cannot_be_played_is_refused_with_a_mend() {
    let mut policy = daily();
    policy.retention = RetentionRules::default();
    let refused = simulate(&Scenario::new(vec![policy], 1, start()));
    assert!(matches!(refused, Err(SimulationError::Retention { .. })));
    let mut policy = daily();
    policy.schedule = Schedule::Every { period: crate::model::Seconds::new(1).unwrap() };
    let refused = simulate(&Scenario::new(vec![policy], 1, start())).unwrap_err();
    assert!(refused.to_string().contains("31536000 slots"), "{refused}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn in_every_world_slots_end_once_shares_are_shares_and_floors_hold(
        seed: u64,
        failure in 0u32..100,
        takes in 1u64..6000,
        daily_outages in 0u32..30,
        keep_last in 1u32..10,
        min_keep in 0u32..10,
    ) {
        let keep = KeepRules { keep_last, ..KeepRules::default() };
        let mut policy = policy("0 */2 * * *", takes, DAY, RetentionRules { keep, min_keep, ..RetentionRules::default() });
        policy.runs.failure = Share::percent(failure);
        let length = Spread::new(Duration::ZERO, Duration::from_secs(600), DAY, DAY * 3);
        let kinds = [OutageKind::Engine, OutageKind::Target];
        let mut scenario = Scenario::new(vec![policy], seed, start());
        scenario.length = DAY * 90;
        scenario.random_outages =
            kinds.map(|kind| RandomOutages { kind, daily: Share::percent(daily_outages), length }).to_vec();
        let history = play_in(scenario);

        let ratio = attained(&history, history.window, Book::AsKnown).share.ratio().unwrap();
        prop_assert!((0.0..=1.0).contains(&ratio));
        let slots: u64 = history.not_run.iter().map(|range| range.count).sum();
        let runs = u64::try_from(history.runs.len()).unwrap();
        prop_assert!(slots + runs <= 12 * 90, "{slots} and {runs}");
        prop_assert!(history.runs.windows(2).all(|pair| pair[0].nominal_at < pair[1].nominal_at));
        for level in &history.curve {
            let made = history.points.iter().filter(|point| point.available_at <= level.at).count();
            prop_assert!(level.points >= made.min(usize::try_from(min_keep.max(keep_last)).unwrap()));
        }
        // A look at which as much came as went makes no level, so the last point may have none.
        prop_assert!(history.points.iter().all(|point| point.available_at < history.window.until));
        prop_assert!(history.points.last().is_none_or(|newest| newest.removed_at.is_none()));
    }
}
