use uuid::Uuid;

use super::*;
use crate::model::{BlackoutWindow, CronExpression, Seconds, TimeOfDay, ZoneName};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

fn cron(text: &str, zone: &str) -> Schedule {
    Schedule::cron(CronExpression::new(text).unwrap(), ZoneName::new(zone).unwrap())
}

fn findings(schedule: &Schedule, change: impl FnOnce(&mut PolicyFigures<'_>)) -> Vec<LintFinding> {
    let options = ScheduleOptions::default();
    findings_with(schedule, &options, change)
}

fn findings_with(
    schedule: &Schedule,
    options: &ScheduleOptions,
    change: impl FnOnce(&mut PolicyFigures<'_>),
) -> Vec<LintFinding> {
    let now = "2026-02-06T16:00:00Z".parse().unwrap();
    let mut figures = PolicyFigures {
        schedule,
        options,
        policy: PolicyId::from_uuid(Uuid::nil()),
        anchor: now,
        rpo: None,
        run_time: None,
        retention: None,
        lock: None,
        verify: None,
        count_verified: None,
    };
    change(&mut figures);
    lint(&figures, now)
}

fn only(findings: Vec<LintFinding>) -> (LintCode, String) {
    let [found] = <[LintFinding; 1]>::try_from(findings).unwrap();
    (found.code, found.message)
}

#[test]
fn records_that_count_only_when_verified_deeper_than_they_are_never_count() {
    let hourly = cron("0 * * * *", "UTC");
    let found = |verify, count_verified| {
        findings(&hourly, |figures| (figures.verify, figures.count_verified) = (verify, count_verified))
    };
    let (shallow, deep) = (VerificationLevel::Checksummed, VerificationLevel::Restored);
    let (code, message) = only(found(Some(shallow), Some(deep)));
    assert_eq!(code, LintCode::CountsOnlyVerifiedDeeper);
    assert!(
        message.contains("up to L4, and new ones are verified up to L2 only: none ever counts"),
        "{message}"
    );
    let (_, message) = only(found(None, Some(shallow)));
    assert!(message.contains("new ones are not verified"), "{message}");
    assert_eq!(found(Some(deep), Some(shallow)), []);
    assert_eq!(found(Some(deep), None), []);
    assert_eq!(found(None, Some(VerificationLevel::Catalogued)), [], "which asks for nothing");
}

fn nightly(from: u8, until: u8) -> ScheduleOptions {
    let time = |hour| TimeOfDay::new(hour, 0).unwrap();
    let blackout =
        vec![BlackoutWindow::Weekly { days: vec![], from: time(from), until: time(until), zone: None }];
    ScheduleOptions { blackout, ..Default::default() }
}

#[test]
fn a_policy_that_keeps_its_promises_has_no_findings() {
    let found = findings(&cron("0 */6 * * *", "UTC"), |figures| {
        figures.rpo = Some(7 * HOUR);
        figures.run_time = Some(RunTime::P99(HOUR));
        figures.retention = Some(30 * DAY);
        figures.lock = Some(7 * DAY);
    });
    assert_eq!(found, []);
}

#[test]
fn day_of_month_and_day_of_week_both_restricted_is_said() {
    let (code, message) = only(findings(&cron("0 2 1 * MON", "UTC"), |_| {}));
    assert_eq!(code, LintCode::EitherDay);
    assert!(message.contains("(On day 1 of each month and on Mondays at 02:00 UTC)"), "{message}");
}

#[test]
fn a_day_that_months_lack_is_said() {
    let (code, message) = only(findings(&cron("0 2 31 * *", "UTC"), |_| {}));
    assert_eq!(code, LintCode::DayNotInEveryMonth);
    assert!(message.contains("day 31 of the month"), "{message}");
    assert_eq!(findings(&cron("0 2 31 1,3 *", "UTC"), |_| {}), []);
}

#[test]
fn the_longest_slot_gap_and_p99_against_the_rpo() {
    let (code, message) = only(findings(&cron("0 2 * * *", "UTC"), |figures| {
        figures.rpo = Some(24 * HOUR);
        figures.run_time = Some(RunTime::P99(HOUR / 5));
    }));
    assert_eq!(code, LintCode::SlotGapExceedsRpo);
    assert_eq!(
        message,
        "the RPO of 24 h cannot be kept: 24 h pass between the slots at 2026-02-07T02:00:00Z and \
         2026-02-08T02:00:00Z, and a backup takes up to 12 min (p99), so the newest recovery point gets \
         24 h 12 min old or more; run it more often than every 23 h 48 min, or allow a longer RPO"
    );
}

#[test]
fn the_longest_slot_gap_is_found_on_the_autumn_night() {
    let (code, message) = only(findings(&cron("0 2 * * *", "Europe/Berlin"), |figures| {
        figures.rpo = Some(Duration::from_secs(24 * 3_600 + 1_800));
        figures.run_time = Some(RunTime::P99(Duration::from_secs(60)));
    }));
    assert_eq!(code, LintCode::SlotGapExceedsRpo);
    assert!(message.contains("25 h pass between the slots at 2026-10-25T00:00:00Z"), "{message}");
}

#[test]
fn a_blackout_widens_the_slot_gap() {
    let found = findings_with(&cron("0 * * * *", "UTC"), &nightly(22, 6), |figures| {
        figures.rpo = Some(2 * HOUR);
        figures.run_time = Some(RunTime::P99(HOUR / 2));
    });
    let (code, message) = only(found);
    assert_eq!(code, LintCode::SlotGapExceedsRpo);
    assert!(message.contains("9 h pass between the slots at 2026-02-06T21:00:00Z"), "{message}");
}

#[test]
fn an_unknown_duration_counts_as_some() {
    assert_eq!(findings(&cron("0 * * * *", "UTC"), |figures| figures.rpo = Some(2 * HOUR)), []);
    let (code, message) = only(findings(&cron("0 * * * *", "UTC"), |figures| figures.rpo = Some(HOUR)));
    assert_eq!(code, LintCode::SlotGapExceedsRpo);
    assert!(message.contains("and a backup takes time as well"), "{message}");
}

#[test]
fn backups_that_take_longer_than_the_slot_gap_are_said() {
    let (code, message) =
        only(findings(&cron("0 * * * *", "UTC"), |figures| figures.run_time = Some(RunTime::P99(2 * HOUR))));
    assert_eq!(code, LintCode::RunsLongerThanSlotGap);
    assert!(message.contains("meanwhile are skipped"), "{message}");
    let measured = RunTime::LongestOf(7, 2 * HOUR);
    let (_, message) = only(findings(&cron("0 * * * *", "UTC"), |figures| figures.run_time = Some(measured)));
    assert!(message.starts_with("a backup takes up to 2 h (the longest of the newest 7)"), "{message}");
}

#[test]
fn retention_against_the_rpo_and_the_slot_gap() {
    let found = findings(&cron("0 2 * * 1", "UTC"), |figures| {
        figures.rpo = Some(8 * DAY);
        figures.retention = Some(3 * DAY);
    });
    let codes: Vec<LintCode> = found.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [LintCode::RetentionShorterThanSlotGap, LintCode::RetentionShorterThanRpo]);
    assert!(found[0].message.contains("kept for 3 days, and 7 days pass"), "{}", found[0].message);
    assert!(
        found[1].message.contains("kept for 3 days, less than the RPO of 8 days"),
        "{}",
        found[1].message
    );
}

#[test]
fn lock_against_retention() {
    let (code, message) = only(findings(&cron("0 2 * * *", "UTC"), |figures| {
        figures.retention = Some(7 * DAY);
        figures.lock = Some(30 * DAY);
    }));
    assert_eq!(code, LintCode::LockLongerThanRetention);
    assert!(message.starts_with("copies are locked for 30 days, longer than the 7 days"), "{message}");
}

#[test]
fn a_blackout_that_swallows_all_slots_is_impossible() {
    let (code, message) = only(findings_with(&cron("0 2 * * *", "UTC"), &nightly(22, 6), |_| {}));
    assert!(code.is_impossible());
    assert!(message.contains("every slot within 400 days (Daily at 02:00 UTC)"), "{message}");
    let (code, _) = only(findings_with(&cron("* * * * *", "UTC"), &nightly(0, 0), |_| {}));
    assert_eq!(code, LintCode::BlackoutSwallowsAllSlots);
}

#[test]
fn no_slot_in_sight_is_said_with_the_first_that_comes() {
    let found = findings(&cron("0 2 29 2 *", "UTC"), |_| {});
    let codes: Vec<LintCode> = found.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [LintCode::DayNotInEveryMonth, LintCode::NoSlotInSight]);
    assert!(found[1].message.contains("the first at 2028-02-29T02:00:00Z"), "{}", found[1].message);
}

#[test]
fn every_is_judged_as_well() {
    let every = Schedule::Every { period: Seconds::new(900).unwrap() };
    let (code, message) = only(
        findings(&every, |figures| {
            figures.rpo = Some(HOUR / 4);
            figures.run_time = Some(RunTime::P99(HOUR / 2));
        })
        .into_iter()
        .filter(|finding| finding.code == LintCode::SlotGapExceedsRpo)
        .collect(),
    );
    assert_eq!(code, LintCode::SlotGapExceedsRpo);
    assert!(
        message.ends_with("no schedule can meet it: make backups faster or allow a longer RPO"),
        "{message}"
    );
}
