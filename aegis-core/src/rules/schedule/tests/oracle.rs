//! The search against the walk, over every clock change of some telling zones.

use jiff::{
    SignedDuration, Timestamp as Instant,
    tz::{TimeZone, TimeZoneDatabase},
};

use super::{
    naive::{Minutes, Naive},
    *,
};

/// Gaps and second passes at midnight, at 01:00, 02:00 and 03:00, of half an hour, an hour and two,
/// in zones off the hour, with four changes a year, with one last change, and with none.
const ZONES: [&str; 20] = [
    "UTC",
    "Asia/Kolkata",
    "America/New_York",
    "America/St_Johns",
    "America/Havana",
    "America/Santiago",
    "America/Nuuk",
    "Europe/London",
    "Europe/Berlin",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Jerusalem",
    "Asia/Almaty",
    "Australia/Adelaide",
    "Australia/Lord_Howe",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "Antarctica/Troll",
];

const PATTERNS: [&str; 30] = [
    "0 2 * * *",
    "30 2 * * *",
    "30 1 * * *",
    "0 0 * * *",
    "0 1 * * *",
    "59 23 * * *",
    "30 2,14 * * *",
    "0,30 1-3 * * *",
    "*/15 1 * * *",
    "0 8-18/2 * * *",
    "15 0-22 * * *",
    "0 0 * * 0",
    "0 2 1-7 * 0",
    "0 * * * *",
    "30 * * * *",
    "45 0-23 * * *",
    "5,10 * * * *",
    "*/20 * * * *",
    "0 */2 * * *",
    "0,5 */2 * * *",
    "30 */2 * * *",
    "0 */3 * * *",
    "0 */5 * * *",
    "30 */6 * * *",
    "0 */12 * * *",
    "0 */13 * * *",
    "0 */2 * * 0",
    "0 * * * 0",
    "0 */23 * * *",
    "0 */4 1-7,25-31 * *",
];

fn changes(zone: &TimeZone, from: &str, until: &str) -> Vec<Instant> {
    let until: Instant = until.parse().unwrap();
    zone.following(from.parse().unwrap()).map(|c| c.timestamp()).take_while(|at| *at < until).collect()
}

/// Compares the search with the walk from 3 hours before `change` to 30 hours after it; the walk
/// begins a day earlier, to know the slot before.
fn compare(zone: &str, change: Instant, patterns: &[&str]) {
    let rules = TimeZoneDatabase::bundled().get(zone).unwrap();
    let hours = |hours| SignedDuration::from_hours(hours);
    let clock = Minutes::new(&rules, change - hours(29), 59 * 60);
    let (from, until) = (change - hours(3), clock.last());
    for text in patterns {
        let expected: Vec<Timestamp> = naive::slots(&Naive::new(text), &clock)
            .into_iter()
            .filter(|slot| *slot > from)
            .map(Timestamp::from)
            .collect();
        let schedule = cron(text, zone);
        let (from, until) = (Timestamp::from(from), Timestamp::from(until));
        let found: Vec<Timestamp> = schedule.iter_after(from).take_while(|slot| *slot <= until).collect();
        assert_eq!(found, expected, "{text} in {zone} around {change}");
        let near = |slot: Timestamp| (slot.as_seconds() - change.as_second()).abs() <= 3 * 3_600;
        for pair in found.windows(2).filter(|pair| near(pair[1])) {
            let [before, slot] = *pair else { unreachable!() };
            assert_eq!(schedule.last_until(slot), Some(slot), "{text} in {zone}");
            assert_eq!(schedule.last_before(slot), Some(before), "{text} in {zone} before {slot}");
        }
        if let [first, .., last] = found[..] {
            assert_eq!(
                schedule.count(first, last) + 1,
                found.len() as u64,
                "{text} in {zone} around {change}"
            );
        }
    }
}

#[test]
fn slots_agree_with_a_walk_through_every_minute_of_the_dst_nights_of_2024_to_2030() {
    let mut nights = 0;
    for zone in ZONES {
        let rules = TimeZoneDatabase::bundled().get(zone).unwrap();
        let changes = changes(&rules, "2024-01-01T00:00:00Z", "2031-01-01T00:00:00Z");
        nights += changes.len();
        for change in changes {
            compare(zone, change, &PATTERNS);
        }
    }
    assert!(nights > 200, "only {nights} clock changes were compared");
}

#[test]
fn slots_agree_with_the_walk_where_whole_days_are_left_out_or_repeated() {
    for (zone, from, until) in [
        ("Pacific/Apia", "2011-12-01T00:00:00Z", "2012-01-10T00:00:00Z"),
        ("Pacific/Kwajalein", "1993-08-01T00:00:00Z", "1993-09-01T00:00:00Z"),
        ("Pacific/Kwajalein", "1969-09-01T00:00:00Z", "1969-11-01T00:00:00Z"),
        ("America/Caracas", "2007-12-01T00:00:00Z", "2016-06-01T00:00:00Z"),
        ("Asia/Pyongyang", "2015-08-01T00:00:00Z", "2018-06-01T00:00:00Z"),
        ("Europe/Volgograd", "2018-10-01T00:00:00Z", "2021-01-01T00:00:00Z"),
        ("America/St_Johns", "2010-01-01T00:00:00Z", "2011-01-01T00:00:00Z"),
        ("America/Sao_Paulo", "2017-01-01T00:00:00Z", "2019-06-01T00:00:00Z"),
    ] {
        let rules = TimeZoneDatabase::bundled().get(zone).unwrap();
        let changes = changes(&rules, from, until);
        assert!(!changes.is_empty(), "{zone}");
        for change in changes {
            compare(zone, change, &PATTERNS);
        }
    }
}

#[test]
fn slots_agree_with_the_walk_on_a_day_without_a_clock_change() {
    for zone in ["UTC", "Asia/Kolkata", "Europe/Berlin"] {
        compare(zone, "2026-07-01T00:00:00Z".parse().unwrap(), &PATTERNS);
        compare(zone, "2026-07-01T00:00:00Z".parse().unwrap(), &["* * * * *", "*/7 * * * *"]);
    }
}

#[test]
fn counting_a_year_agrees_with_walking_it() {
    for zone in ["UTC", "America/New_York", "Africa/Casablanca", "Australia/Lord_Howe"] {
        for text in ["0 2 * * *", "0 */2 * * *", "30 * * * *", "0 0 1 * 1", "0 */2 * * 0"] {
            let schedule = cron(text, zone);
            let (from, until) = (at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
            let walked = schedule.iter_after(from).take_while(|slot| *slot <= until).count();
            assert_eq!(schedule.count(from, until), walked as u64, "{text} in {zone}");
        }
    }
}
