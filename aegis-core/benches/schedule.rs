//! The next slot of common schedules, each beside the bare croner call on the same zone data, and
//! the ledger after a year of downtime. Run with `cargo bench -p aegis-core --bench schedule`.
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up should stop")]

use aegis_core::{
    model::{CronExpression, PolicyId, Schedule, ScheduleOptions, Seconds, Timestamp, ZoneName},
    rules::{Activity, CompiledSchedule, Standing, Timetable, settle},
};
use croner::{
    Cron,
    parser::{CronParser, Seconds as CronerSeconds, Year},
};
use divan::{Bencher, black_box};
use jiff::tz::TimeZoneDatabase;

const FORMS: [&str; 8] = [
    "* * * * *",
    "*/15 * * * *",
    "0 * * * *",
    "0 */6 * * *",
    "0 2 * * *",
    "0 2,14 * * *",
    "0 2 * * 1-5",
    "0 2 1 * *",
];

const ZONE: &str = "Europe/Berlin";

/// An afternoon in summer, and one hour before the clock goes forward.
const INSTANTS: [(&str, i64); 2] = [("summer", 1_782_916_500), ("spring_night", 1_774_740_300)];

fn main() {
    divan::main();
}

fn croner(form: &str) -> Cron {
    let parser = CronParser::builder().seconds(CronerSeconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(form).unwrap()
}

fn schedule(form: &str) -> Schedule {
    Schedule::cron(CronExpression::new(form).unwrap(), ZoneName::new(ZONE).unwrap())
}

#[divan::bench(args = FORMS)]
fn next_slot_in_summer(bencher: Bencher<'_, '_>, form: &str) {
    next_slot(bencher, form, INSTANTS[0].1);
}

#[divan::bench(args = FORMS)]
fn next_slot_in_summer_bare_croner(bencher: Bencher<'_, '_>, form: &str) {
    bare_croner(bencher, form, INSTANTS[0].1);
}

#[divan::bench(args = FORMS)]
fn next_slot_in_the_spring_night(bencher: Bencher<'_, '_>, form: &str) {
    next_slot(bencher, form, INSTANTS[1].1);
}

#[divan::bench(args = FORMS)]
fn next_slot_in_the_spring_night_bare_croner(bencher: Bencher<'_, '_>, form: &str) {
    bare_croner(bencher, form, INSTANTS[1].1);
}

fn next_slot(bencher: Bencher<'_, '_>, form: &str, at: i64) {
    let schedule = CompiledSchedule::new(&schedule(form), Timestamp::UNIX_EPOCH);
    let after = Timestamp::from_seconds(at);
    bencher.bench(|| schedule.next_after(black_box(after)));
}

fn bare_croner(bencher: Bencher<'_, '_>, form: &str, at: i64) {
    let cron = croner(form);
    let zone = TimeZoneDatabase::bundled().get(ZONE).unwrap();
    let after = jiff::Timestamp::from_second(at).unwrap().to_zoned(zone);
    bencher.bench(|| cron.find_next_occurrence(black_box(&after), false));
}

#[divan::bench]
fn next_slot_of_every_15_minutes(bencher: Bencher<'_, '_>) {
    let schedule = Schedule::Every { period: Seconds::new(900).unwrap() };
    let schedule = CompiledSchedule::new(&schedule, Timestamp::UNIX_EPOCH);
    let after = Timestamp::from_seconds(INSTANTS[0].1);
    bencher.bench(|| schedule.next_after(black_box(after)));
}

#[divan::bench(args = ["* * * * *", "0 * * * *", "0 2 * * *"])]
fn a_year_of_downtime_settled(bencher: Bencher<'_, '_>, form: &str) {
    settled(bencher, form, 365 * 86_400);
}

#[divan::bench(args = ["* * * * *", "0 * * * *", "0 2 * * *"])]
fn one_tick_settled(bencher: Bencher<'_, '_>, form: &str) {
    settled(bencher, form, 1);
}

fn settled(bencher: Bencher<'_, '_>, form: &str, seconds: i64) {
    let policy = PolicyId::from_uuid(uuid::Uuid::nil());
    let table = Timetable::new(&schedule(form), &ScheduleOptions::default(), policy, Timestamp::UNIX_EPOCH);
    let due = table.schedule().next_after(Timestamp::from_seconds(INSTANTS[0].1)).unwrap();
    let watermark = Timestamp::from_micros(due.as_micros() - 1);
    let now = Timestamp::from_seconds(due.as_seconds() + seconds);
    let standing = Standing { watermark, now, activity: Activity::Idle };
    bencher.bench(|| settle(&table, black_box(standing)));
}
