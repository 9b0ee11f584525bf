//! The ledger's decisions, by their words.

mod properties;

use uuid::Uuid;

use super::*;
use crate::model::{
    BlackoutWindow, CronExpression, Schedule, ScheduleOptions, Seconds, TimeOfDay, Weekday, ZoneName,
};

const MISSED: SlotOutcome = SlotOutcome::Missed { reason: MissReason::Down };

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn policy(number: u128) -> PolicyId {
    PolicyId::from_uuid(Uuid::from_u128(number))
}

fn cron(text: &str) -> Schedule {
    Schedule::cron(CronExpression::new(text).unwrap(), ZoneName::UTC)
}

fn seconds(seconds: u32) -> Option<Seconds> {
    Some(Seconds::new(seconds).unwrap())
}

fn table(schedule: &Schedule, options: &ScheduleOptions) -> Timetable {
    Timetable::new(schedule, options, policy(7), at("2026-01-01T00:00:00Z"))
}

fn hourly(options: &ScheduleOptions) -> Timetable {
    table(&cron("0 * * * *"), options)
}

fn standing(watermark: &str, now: &str, activity: Activity) -> Standing {
    Standing { watermark: at(watermark), now: at(now), activity }
}

fn idle(watermark: &str, now: &str) -> Standing {
    standing(watermark, now, Activity::Idle)
}

fn skipped(reason: SkipReason) -> SlotOutcome {
    SlotOutcome::Skipped { reason }
}

fn coalesced(into: &str) -> SlotOutcome {
    SlotOutcome::Coalesced { into: at(into) }
}

/// The ranges as first, last, count and outcome.
fn ranges(settlement: &Settlement) -> Vec<(String, String, u64, SlotOutcome)> {
    let show =
        |range: &SlotRange| (range.first.to_string(), range.last.to_string(), range.count, range.outcome);
    settlement.ranges.iter().map(show).collect()
}

fn range(first: &str, last: &str, count: u64, outcome: SlotOutcome) -> (String, String, u64, SlotOutcome) {
    (first.to_owned(), last.to_owned(), count, outcome)
}

fn nightly(from: (u8, u8), until: (u8, u8)) -> Vec<BlackoutWindow> {
    let time = |(hour, minute)| TimeOfDay::new(hour, minute).unwrap();
    vec![BlackoutWindow::Weekly { days: vec![], from: time(from), until: time(until), zone: None }]
}

#[test]
fn a_due_slot_runs_and_the_watermark_moves_to_it() {
    let table = hourly(&ScheduleOptions::default());
    let settlement = settle(&table, idle("2026-01-01T00:30:00Z", "2026-01-01T01:00:00.2Z"));
    assert_eq!(
        settlement,
        Settlement {
            run: Some(at("2026-01-01T01:00:00Z")),
            ranges: vec![],
            watermark: at("2026-01-01T01:00:00Z"),
            next_at: Some(at("2026-01-01T02:00:00Z")),
            clock_behind: None,
        }
    );
}

#[test]
fn nothing_is_settled_before_its_time() {
    let table = hourly(&ScheduleOptions::default());
    let settlement = settle(&table, idle("2026-01-01T00:30:00Z", "2026-01-01T00:59:59.999999Z"));
    assert!(settlement.is_empty());
    assert_eq!(settlement.watermark, at("2026-01-01T00:30:00Z"));
    assert_eq!(settlement.next_at, Some(at("2026-01-01T01:00:00Z")));
}

#[test]
fn catch_up_latest_runs_the_latest_once_and_coalesces_the_others_into_it() {
    let table = hourly(&ScheduleOptions::default());
    let settlement = settle(&table, idle("2026-01-01T00:30:00Z", "2026-01-01T09:40:00Z"));
    assert_eq!(settlement.run, Some(at("2026-01-01T09:00:00Z")));
    let into = coalesced("2026-01-01T09:00:00Z");
    assert_eq!(ranges(&settlement), [range("2026-01-01T01:00:00Z", "2026-01-01T08:00:00Z", 8, into)]);
}

#[test]
fn catch_up_skip_misses_what_nobody_looked_at_in_time() {
    let table = hourly(&ScheduleOptions { catch_up: CatchUp::Skip, ..Default::default() });
    let settlement = settle(&table, idle("2026-01-01T00:30:00Z", "2026-01-01T09:40:00Z"));
    assert_eq!(settlement.run, None);
    assert_eq!(ranges(&settlement), [range("2026-01-01T01:00:00Z", "2026-01-01T09:00:00Z", 9, MISSED)]);
    assert_eq!(settlement.next_at, Some(at("2026-01-01T10:00:00Z")));
}

#[test]
fn catch_up_skip_runs_the_slot_that_is_punctual_and_misses_those_before() {
    let table = hourly(&ScheduleOptions { catch_up: CatchUp::Skip, ..Default::default() });
    let settlement = settle(&table, idle("2026-01-01T00:30:00Z", "2026-01-01T09:01:00Z"));
    assert_eq!(settlement.run, Some(at("2026-01-01T09:00:00Z")));
    assert_eq!(ranges(&settlement), [range("2026-01-01T01:00:00Z", "2026-01-01T08:00:00Z", 8, MISSED)]);
}

#[test]
fn start_window_that_passed_expires_the_slots() {
    let table = hourly(&ScheduleOptions { start_window: seconds(1_800), ..Default::default() });
    let settlement = settle(&table, idle("2026-01-01T00:30:00Z", "2026-01-01T03:30:00.000001Z"));
    assert_eq!(settlement.run, None);
    let expired = range("2026-01-01T01:00:00Z", "2026-01-01T03:00:00Z", 3, SlotOutcome::Expired);
    assert_eq!(ranges(&settlement), [expired]);
    let in_time = settle(&table, idle("2026-01-01T00:30:00Z", "2026-01-01T03:30:00Z"));
    assert_eq!(in_time.run, Some(at("2026-01-01T03:00:00Z")), "its last instant");
}

#[test]
fn overlap_skip_skips_the_slot_while_a_job_of_the_policy_is_active() {
    let table = hourly(&ScheduleOptions::default());
    for activity in [Activity::Active, Activity::Queued { nominal: None }] {
        let settlement = settle(&table, standing("2026-01-01T00:30:00Z", "2026-01-01T01:00:00Z", activity));
        assert_eq!(settlement.run, None);
        let skip = range("2026-01-01T01:00:00Z", "2026-01-01T01:00:00Z", 1, skipped(SkipReason::Overlap));
        assert_eq!(ranges(&settlement), [skip]);
    }
}

#[test]
fn overlap_skip_after_downtime_skips_the_latest_and_misses_the_others() {
    let table = hourly(&ScheduleOptions::default());
    let settlement =
        settle(&table, standing("2026-01-01T00:30:00Z", "2026-01-01T05:40:00Z", Activity::Active));
    assert_eq!(
        ranges(&settlement),
        [
            range("2026-01-01T01:00:00Z", "2026-01-01T04:00:00Z", 4, MISSED),
            range("2026-01-01T05:00:00Z", "2026-01-01T05:00:00Z", 1, skipped(SkipReason::Overlap)),
        ]
    );
}

#[test]
fn overlap_queue_one_queues_one_and_coalesces_what_comes_while_it_waits() {
    let table = hourly(&ScheduleOptions { overlap: Overlap::QueueOne, ..Default::default() });
    let first = settle(&table, standing("2026-01-01T00:30:00Z", "2026-01-01T01:00:00Z", Activity::Active));
    assert_eq!(first.run, Some(at("2026-01-01T01:00:00Z")));
    let queued = Activity::Queued { nominal: first.run };
    let second = settle(&table, standing("2026-01-01T01:00:00Z", "2026-01-01T02:00:00Z", queued));
    assert_eq!(second.run, None);
    let into = coalesced("2026-01-01T01:00:00Z");
    assert_eq!(ranges(&second), [range("2026-01-01T02:00:00Z", "2026-01-01T02:00:00Z", 1, into)]);
}

#[test]
fn blackout_windows_skip_the_slots_whose_start_lies_in_them() {
    let table = hourly(&ScheduleOptions { blackout: nightly((22, 0), (6, 0)), ..Default::default() });
    let settlement = settle(&table, idle("2026-01-01T20:30:00Z", "2026-01-02T06:00:00Z"));
    assert_eq!(settlement.run, Some(at("2026-01-02T06:00:00Z")), "the end is outside");
    let dark = skipped(SkipReason::Blackout);
    assert_eq!(
        ranges(&settlement),
        [
            range("2026-01-01T21:00:00Z", "2026-01-01T21:00:00Z", 1, coalesced("2026-01-02T06:00:00Z")),
            range("2026-01-01T22:00:00Z", "2026-01-02T05:00:00Z", 8, dark),
        ]
    );
}

#[test]
fn blackout_windows_on_named_days_begin_on_them() {
    let time = |hour| TimeOfDay::new(hour, 0).unwrap();
    let friday = BlackoutWindow::Weekly {
        days: vec![Weekday::Friday],
        from: time(20),
        until: time(4),
        zone: Some(ZoneName::new("Europe/Berlin").unwrap()),
    };
    let table = hourly(&ScheduleOptions { blackout: vec![friday], ..Default::default() });
    let dark: Vec<String> = table
        .upcoming(at("2026-07-01T00:00:00Z"))
        .take(7 * 24)
        .filter(|slot| slot.blacked_out)
        .map(|slot| slot.nominal_at.to_string())
        .collect();
    assert_eq!(dark.len(), 8);
    assert_eq!(dark.first().unwrap(), "2026-07-03T18:00:00Z", "20:00 in Berlin on Friday");
    assert_eq!(dark.last().unwrap(), "2026-07-04T01:00:00Z");
}

#[test]
fn a_late_slot_waits_for_the_end_of_a_blackout() {
    let table = hourly(&ScheduleOptions { blackout: nightly((22, 0), (6, 0)), ..Default::default() });
    let settlement = settle(&table, idle("2026-01-01T20:30:00Z", "2026-01-01T23:10:00Z"));
    assert!(settlement.is_empty());
    assert_eq!(settlement.next_at, Some(at("2026-01-02T06:00:00Z")));
    let later = settle(&table, idle("2026-01-01T20:30:00Z", "2026-01-02T06:00:00Z"));
    assert_eq!(later.run, Some(at("2026-01-02T06:00:00Z")));
}

#[test]
fn a_late_slot_that_could_start_only_in_a_blackout_is_skipped() {
    let blackout = nightly((22, 0), (6, 0));
    let table = hourly(&ScheduleOptions { blackout, start_window: seconds(7_200), ..Default::default() });
    let settlement = settle(&table, idle("2026-01-01T20:30:00Z", "2026-01-01T22:30:00Z"));
    let dark = range("2026-01-01T21:00:00Z", "2026-01-01T22:00:00Z", 2, skipped(SkipReason::Blackout));
    assert_eq!((settlement.run, ranges(&settlement)), (None, vec![dark]));
}

#[test]
fn a_blackout_without_end_skips_every_slot() {
    let always = nightly((0, 0), (0, 0));
    let table = hourly(&ScheduleOptions { blackout: always, ..Default::default() });
    let settlement = settle(&table, idle("2026-01-01T00:30:00Z", "2026-01-03T00:30:00Z"));
    let dark = range("2026-01-01T01:00:00Z", "2026-01-03T00:00:00Z", 48, skipped(SkipReason::Blackout));
    assert_eq!((settlement.run, ranges(&settlement)), (None, vec![dark]));
}

#[test]
fn jitter_is_a_stable_share_that_depends_on_the_policy_alone() {
    let options = ScheduleOptions { jitter: seconds(600), ..Default::default() };
    let delay = |number| {
        Timetable::new(&cron("0 * * * *"), &options, policy(number), Timestamp::UNIX_EPOCH).delay().as_secs()
    };
    assert_eq!((1..=5).map(delay).collect::<Vec<_>>(), (1..=5).map(delay).collect::<Vec<_>>());
    let delays: std::collections::BTreeSet<u64> = (0..500).map(delay).collect();
    assert!(delays.iter().all(|delay| *delay <= 600));
    assert!(delays.len() > 200, "policies are spread: {}", delays.len());
}

#[test]
fn jitter_puts_the_start_off_and_leaves_the_slot_its_nominal_time() {
    let table = hourly(&ScheduleOptions { jitter: seconds(600), ..Default::default() });
    assert!(!table.delay().is_zero());
    let nominal = at("2026-01-01T01:00:00Z");
    let early = settle(
        &table,
        Standing { watermark: at("2026-01-01T00:30:00Z"), now: nominal, activity: Activity::Idle },
    );
    assert!(early.is_empty());
    assert_eq!(early.next_at, Some(nominal.saturating_add(table.delay())));
    let due = Standing {
        now: nominal.saturating_add(table.delay()),
        ..idle("2026-01-01T00:30:00Z", "2026-01-01T00:30:00Z")
    };
    assert_eq!(settle(&table, due).run, Some(nominal));
}

#[test]
fn creating_a_policy_never_fires_a_past_slot() {
    for now in ["2026-01-01T12:00:00Z", "2026-01-01T12:59:59Z"] {
        let table = hourly(&ScheduleOptions::default());
        let settlement = settle(&table, idle("2026-01-01T12:00:00Z", now));
        assert!(settlement.is_empty(), "created on the hour, looked at {now}");
    }
}

/// Velero takes a schedule whose time passed during a pause to be due when the pause ends.
#[test]
fn trap_velero_fires_on_unpause() {
    let table = hourly(&ScheduleOptions::default());
    let unpaused =
        close(&table, at("2026-01-01T00:30:00Z"), at("2026-01-04T00:30:00Z"), SkipReason::Disabled);
    let disabled = range("2026-01-01T01:00:00Z", "2026-01-04T00:00:00Z", 72, skipped(SkipReason::Disabled));
    assert_eq!((unpaused.run, ranges(&unpaused)), (None, vec![disabled]));
    assert_eq!(unpaused.watermark, at("2026-01-04T00:30:00Z"));
    let next = settle(
        &table,
        Standing { watermark: unpaused.watermark, ..idle("2026-01-01T00:00:00Z", "2026-01-04T00:30:01Z") },
    );
    assert!(next.is_empty());
    assert_eq!(next.next_at, Some(at("2026-01-04T01:00:00Z")));
}

/// Kubernetes' CronJob gives up for good once it has counted more than 100 missed starts.
#[test]
fn trap_cronjobs_100_misses() {
    let table = table(&cron("* * * * *"), &ScheduleOptions::default());
    let settlement = settle(&table, idle("2026-01-01T00:00:00Z", "2026-01-01T03:20:10Z"));
    assert_eq!(settlement.run, Some(at("2026-01-01T03:20:00Z")));
    let into = coalesced("2026-01-01T03:20:00Z");
    assert_eq!(ranges(&settlement), [range("2026-01-01T00:01:00Z", "2026-01-01T03:19:00Z", 199, into)]);
}

#[test]
fn a_year_of_downtime_is_one_range_and_one_run() {
    let every_minute = Schedule::Every { period: Seconds::new(60).unwrap() };
    for schedule in [cron("* * * * *"), every_minute] {
        let table = table(&schedule, &ScheduleOptions::default());
        let settlement = settle(&table, idle("2026-01-01T00:00:00Z", "2027-01-01T00:00:30Z"));
        assert_eq!(settlement.run, Some(at("2027-01-01T00:00:00Z")));
        let into = coalesced("2027-01-01T00:00:00Z");
        let whole = range("2026-01-01T00:01:00Z", "2026-12-31T23:59:00Z", 365 * 1_440 - 1, into);
        assert_eq!(ranges(&settlement), [whole]);
    }
}

#[test]
fn a_gap_with_hundreds_of_blackouts_is_settled_in_calls_of_bounded_size() {
    let table = hourly(&ScheduleOptions { blackout: nightly((22, 0), (6, 0)), ..Default::default() });
    let (mut watermark, now, mut calls, mut counted) =
        (at("2024-01-01T00:30:00Z"), at("2026-01-01T12:30:00Z"), 0, 0);
    let run = loop {
        let settlement = settle(&table, Standing { watermark, now, activity: Activity::Idle });
        assert!(settlement.ranges.len() <= MAX_RANGES);
        assert!(settlement.watermark > watermark);
        counted += settlement.ranges.iter().map(|range| range.count).sum::<u64>();
        let told = [skipped(SkipReason::Blackout), coalesced("2026-01-01T12:00:00Z")];
        assert!(settlement.ranges.iter().all(|range| told.contains(&range.outcome)), "each in its truth");
        (watermark, calls) = (settlement.watermark, calls + 1);
        match settlement.next_at {
            Some(next) if next <= now => assert_eq!(settlement.run, None),
            _ => break settlement.run,
        }
    };
    assert_eq!(run, Some(at("2026-01-01T12:00:00Z")));
    assert!((3..=4).contains(&calls), "{calls} calls");
    assert_eq!(counted + 1, table.schedule().count(at("2024-01-01T00:30:00Z"), now));
}

#[test]
fn a_clock_that_goes_backwards_never_unsettles_a_slot() {
    let table = hourly(&ScheduleOptions::default());
    let settlement = settle(&table, idle("2026-01-01T09:00:00Z", "2026-01-01T07:30:00Z"));
    assert!(settlement.is_empty());
    assert_eq!(settlement.watermark, at("2026-01-01T09:00:00Z"));
    assert_eq!(settlement.next_at, Some(at("2026-01-01T10:00:00Z")));
    assert_eq!(settlement.clock_behind, Some(Duration::from_secs(5_400)));
    let closed = close(&table, at("2026-01-01T09:00:00Z"), at("2026-01-01T07:30:00Z"), SkipReason::Disabled);
    assert_eq!((closed.watermark, closed.is_empty()), (at("2026-01-01T09:00:00Z"), true));
}

#[test]
fn a_policy_edit_settles_slots_before_it_under_the_old_schedule_and_none_twice() {
    let edit = "2026-01-01T03:20:00Z";
    let (old, new) =
        (hourly(&ScheduleOptions::default()), table(&cron("*/15 * * * *"), &ScheduleOptions::default()));
    let closed = settle_and_close(&old, idle("2026-01-01T00:30:00Z", edit), SkipReason::Superseded);
    assert_eq!(closed.run, Some(at("2026-01-01T03:00:00Z")), "what was due still runs");
    let into = coalesced("2026-01-01T03:00:00Z");
    assert_eq!(ranges(&closed), [range("2026-01-01T01:00:00Z", "2026-01-01T02:00:00Z", 2, into)]);
    assert_eq!(closed.watermark, at(edit));
    let after = settle(&new, Standing { watermark: closed.watermark, ..idle(edit, "2026-01-01T03:30:00Z") });
    assert_eq!((after.run, after.ranges.len()), (Some(at("2026-01-01T03:30:00Z")), 0), "03:15 is past");
}

#[test]
fn a_policy_edit_between_a_slot_and_its_start_supersedes_it() {
    let table = hourly(&ScheduleOptions { jitter: seconds(600), ..Default::default() });
    let edit = at("2026-01-01T01:00:00Z");
    let standing = Standing { now: edit, ..idle("2026-01-01T00:30:00Z", "2026-01-01T00:30:00Z") };
    let closed = settle_and_close(&table, standing, SkipReason::Superseded);
    assert_eq!(closed.run, None);
    let superseded =
        range("2026-01-01T01:00:00Z", "2026-01-01T01:00:00Z", 1, skipped(SkipReason::Superseded));
    assert_eq!(ranges(&closed), [superseded]);
}

#[test]
fn the_ledger_has_an_entry_for_every_range_and_for_the_run() {
    let table = hourly(&ScheduleOptions::default());
    let settlement = settle(&table, idle("2026-01-01T00:30:00Z", "2026-01-01T04:00:00Z"));
    let (tenant, job) = (TenantId::new("default").unwrap(), JobId::from_uuid(Uuid::from_u128(1)));
    let slots = settlement.ledger(policy(7), &tenant, at("2026-01-01T04:00:00Z"), || job);
    let [gap, run] = slots.as_slice() else { panic!("{slots:?}") };
    assert_eq!(
        (gap.nominal_at, gap.through, gap.count),
        (at("2026-01-01T01:00:00Z"), Some(at("2026-01-01T03:00:00Z")), 3)
    );
    assert_eq!((run.nominal_at, run.through, run.count), (at("2026-01-01T04:00:00Z"), None, 1));
    assert_eq!(run.outcome, SlotOutcome::Ran { job });
}

#[test]
fn an_edit_after_a_gap_too_long_for_one_call_still_runs_what_was_due() {
    let options = ScheduleOptions { blackout: nightly((22, 0), (6, 0)), ..Default::default() };
    let standing = idle("2026-01-01T00:30:00Z", "2028-01-01T12:10:00Z");
    assert!(settle(&hourly(&options), standing).run.is_none(), "one call does not do");
    let closed = settle_and_close(&hourly(&options), standing, SkipReason::Superseded);
    assert_eq!(closed.run, Some(at("2028-01-01T12:00:00Z")));
    assert!(closed.ranges.iter().all(|range| range.outcome != skipped(SkipReason::Superseded)));
    let counted: u64 = closed.ranges.iter().map(|range| range.count).sum();
    assert_eq!(counted, 730 * 24 + 11);
}

#[test]
fn a_long_row_of_quiet_windows_without_a_slot_is_passed_over() {
    let options = ScheduleOptions { blackout: nightly((22, 0), (6, 0)), ..Default::default() };
    let yearly = table(&cron("0 12 1 1 *"), &options);
    let standing = idle("2026-01-01T12:00:00Z", "2027-01-01T12:00:05Z");
    let first = settle(&yearly, standing);
    assert_eq!((first.run, first.next_at), (None, Some(standing.now)));
    let rest = settle(&yearly, Standing { watermark: first.watermark, ..standing });
    assert_eq!(rest.run, Some(at("2027-01-01T12:00:00Z")));
}

#[test]
fn what_was_settled_ahead_of_the_clock_is_taken_back_to_the_present() {
    let table = hourly(&ScheduleOptions::default());
    let entry = SlotRange {
        first: at("2026-01-01T01:00:00Z"),
        last: at("2026-01-01T10:00:00Z"),
        count: 10,
        outcome: MISSED,
    };
    let entry = entry.slot(policy(7), TenantId::new("default").unwrap(), at("2026-01-01T10:00:00Z"));
    let left = |now: &str| until_now(&table, &entry, at(now)).map(|slot| (slot.through, slot.count));
    assert_eq!(left("2026-01-01T00:30:00Z"), None);
    assert_eq!(left("2026-01-01T01:30:00Z"), Some((None, 1)));
    assert_eq!(left("2026-01-01T04:00:00Z"), Some((Some(at("2026-01-01T04:00:00Z")), 4)));
    assert_eq!(left("2026-01-01T10:00:00Z"), Some((entry.through, 10)));
}
