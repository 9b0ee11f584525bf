//! What holds for every schedule at every instant.

use croner::parser::{CronParser, Year};
use jiff::tz::TimeZoneDatabase;
use proptest::prelude::*;

use super::{
    naive::{Naive, Wall},
    *,
};

const ZONES: [&str; 9] = [
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "America/Havana",
    "Africa/Casablanca",
    "Pacific/Chatham",
    "Antarctica/Troll",
    "Asia/Gaza",
];

fn zones() -> impl Strategy<Value = &'static str> {
    prop::sample::select(ZONES.to_vec())
}

/// Minutes and hours of intervals, every day: gaps of less than a day.
fn intervals() -> impl Strategy<Value = String> {
    let minutes = prop_oneof![
        (0u8..60).prop_map(|minute| minute.to_string()),
        (1u8..60).prop_map(|step| format!("*/{step}")),
        prop::collection::btree_set(0u8..60, 1..4).prop_map(|set| set
            .iter()
            .map(u8::to_string)
            .collect::<Vec<_>>()
            .join(",")),
    ];
    let hours = prop_oneof![Just("*".to_owned()), (1u8..24).prop_map(|step| format!("*/{step}"))];
    (minutes, hours).prop_map(|(minutes, hours)| format!("{minutes} {hours} * * *"))
}

fn calendars() -> impl Strategy<Value = String> {
    let days = prop::sample::select(vec!["*", "1", "28-31", "*/7"]);
    let weekdays = prop::sample::select(vec!["*", "0", "1-5", "6"]);
    (0u8..60, 0u8..12, 12u8..24, days, weekdays)
        .prop_map(|(minute, from, to, days, weekdays)| format!("{minute} {from},{to} {days} * {weekdays}"))
}

fn expressions() -> impl Strategy<Value = String> {
    prop_oneof![
        intervals(),
        calendars(),
        intervals().prop_map(|text| text.trim_end_matches('*').to_owned() + "0")
    ]
}

/// An instant of 2024 to 2030, half of the time within two days of a clock change.
fn instants(zone: &'static str) -> impl Strategy<Value = Timestamp> {
    let rules = TimeZoneDatabase::bundled().get(zone).unwrap();
    let (from, until) = (at("2024-01-01T00:00:00Z"), at("2031-01-01T00:00:00Z"));
    let mut changes: Vec<i64> = rules
        .following(from.into())
        .map(|change| change.timestamp().as_second())
        .take_while(|change| *change < until.as_seconds())
        .collect();
    changes.push(from.as_seconds());
    let near = (prop::sample::select(changes), -172_800i64..172_800).prop_map(|(change, by)| change + by);
    prop_oneof![from.as_seconds()..until.as_seconds(), near].prop_map(Timestamp::from_seconds)
}

fn cases() -> impl Strategy<Value = (&'static str, Timestamp)> {
    zones().prop_flat_map(|zone| instants(zone).prop_map(move |instant| (zone, instant)))
}

proptest! {
    #[test]
    fn between_two_consecutive_interval_slots_never_passes_more_elapsed_time_than_their_patterns_wall_gap(
        text in intervals(), (zone, instant) in cases()
    ) {
        let (schedule, pattern) = (cron(&text, zone), Naive::new(&text));
        let rules = TimeZoneDatabase::bundled().get(zone).unwrap();
        let later = |slot: Timestamp, minutes: isize| {
            let minutes = jiff::SignedDuration::from_mins(i64::try_from(minutes).unwrap());
            Wall::new(rules.to_datetime(slot.into()) + minutes)
        };
        let slots: Vec<Timestamp> = schedule.iter_after(instant).take(60).collect();
        for pair in slots.windows(2) {
            let elapsed = pair[1].as_seconds() - pair[0].as_seconds();
            let gap = naive::wall_gap(|minutes| pattern.matches(&later(pair[0], minutes))) * 60;
            prop_assert!(gap < 86_400);
            prop_assert!(elapsed <= gap, "{} waits {elapsed} s after {}, not {gap} s", text, pair[0]);
        }
    }

    #[test]
    fn next_and_last_bracket_every_instant(text in expressions(), (zone, instant) in cases()) {
        let schedule = cron(&text, zone);
        let next = schedule.next_after(instant).unwrap();
        let last = schedule.last_until(instant).unwrap();
        prop_assert!(last <= instant && instant < next);
        prop_assert_eq!(schedule.next_after(last), Some(next));
        prop_assert_eq!(schedule.last_before(next), Some(last));
        prop_assert_eq!(schedule.last_until(next), Some(next));
    }

    #[test]
    fn without_clock_changes_croner_finds_the_same_next_slot(text in expressions(), instant in instants("UTC")) {
        let parser = CronParser::builder().seconds(croner::parser::Seconds::Disallowed).year(Year::Disallowed).build();
        let after = jiff::Timestamp::from(instant).to_zoned(jiff::tz::TimeZone::UTC);
        let theirs = parser.parse(&text).unwrap().find_next_occurrence(&after, false).unwrap();
        prop_assert_eq!(cron(&text, "UTC").next_after(instant), Some(theirs.timestamp().into()));
    }

    #[test]
    fn counts_add_up(text in expressions(), (zone, instant) in cases(), first in 0u32..9_000_000, second in 0u32..9_000_000) {
        let schedule = cron(&text, zone);
        let later = |at: Timestamp, by: u32| at.saturating_add(std::time::Duration::from_secs(by.into()));
        let middle = later(instant, first);
        let end = later(middle, second);
        let (whole, parts) = (schedule.count(instant, end), schedule.count(instant, middle) + schedule.count(middle, end));
        prop_assert_eq!(whole, parts);
    }

    #[test]
    fn every_counts_as_it_walks(seconds in 1u32..100_000, anchor in 0i64..2_000_000_000_000_000, after in 0i64..2_000_000_000_000_000, steps in 0usize..50) {
        let schedule = every(seconds, Timestamp::from_micros(anchor));
        let after = Timestamp::from_micros(after);
        let slots: Vec<Timestamp> = schedule.iter_after(after).take(steps).collect();
        if let Some(end) = slots.last() {
            prop_assert_eq!(schedule.count(after, *end), slots.len() as u64);
            prop_assert_eq!(schedule.last_until(*end), Some(*end));
        }
    }
}
