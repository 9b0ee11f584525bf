//! The ledger's decisions, by their words.

use uuid::Uuid;

use super::*;
use crate::model::{CronExpression, Schedule, ScheduleOptions, Seconds, ZoneName};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn policy() -> PolicyId {
    PolicyId::from_uuid(Uuid::from_u128(7))
}

fn cron(text: &str) -> Schedule {
    Schedule::cron(CronExpression::new(text).unwrap(), ZoneName::UTC)
}

fn table(schedule: &Schedule, options: &ScheduleOptions) -> Timetable {
    Timetable::new(schedule, options, policy(), at("2026-01-01T00:00:00Z"))
}

fn idle(watermark: &str, now: &str) -> Standing {
    Standing { watermark: at(watermark), now: at(now), activity: Activity::Idle }
}

#[test]
fn a_due_slot_runs_and_the_watermark_moves_to_it() {
    let table = table(&cron("0 * * * *"), &ScheduleOptions::default());
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
fn a_year_of_downtime_is_one_range_and_one_run() {
    let every_minute = Schedule::Every { period: Seconds::new(60).unwrap() };
    for schedule in [cron("* * * * *"), every_minute] {
        let table = table(&schedule, &ScheduleOptions::default());
        let settlement = settle(&table, idle("2026-01-01T00:00:00Z", "2027-01-01T00:00:30Z"));
        assert_eq!(settlement.run, Some(at("2027-01-01T00:00:00Z")));
        let [range] = settlement.ranges.as_slice() else { panic!("{settlement:?}") };
        assert_eq!(range.count, 365 * 1_440 - 1);
        assert_eq!(range.outcome, SlotOutcome::Coalesced { into: at("2027-01-01T00:00:00Z") });
    }
}
