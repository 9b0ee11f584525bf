//! The decisions about slots, each by its words.

use jiff::tz::TimeZoneDatabase;

use super::*;

/// The wall times, `month-day hour:minute offset`, of the slots from `from` until `until`.
fn shown(text: &str, zone: &str, from: &str, until: &str) -> Vec<String> {
    let rules = TimeZoneDatabase::bundled().get(zone).unwrap();
    let (from, until) = (at(from), at(until));
    let before = Timestamp::from_micros(from.as_micros() - 1);
    let slots = cron(text, zone);
    let show = |slot: Timestamp| {
        jiff::Timestamp::from(slot).to_zoned(rules.clone()).strftime("%m-%d %H:%M %:z").to_string()
    };
    slots.iter_after(before).take_while(|slot| *slot < until).map(show).collect()
}

/// New York's night of 8 March 2026, 00:00 to 06:00.
fn spring(text: &str) -> Vec<String> {
    shown(text, "America/New_York", "2026-03-08T05:00:00Z", "2026-03-08T10:00:00Z")
}

/// New York's night of 1 November 2026, 00:00 to 06:00.
fn autumn(text: &str) -> Vec<String> {
    shown(text, "America/New_York", "2026-11-01T04:00:00Z", "2026-11-01T11:00:00Z")
}

#[test]
fn calendar_slot_that_does_not_exist_runs_at_the_first_instant_after_the_gap() {
    assert_eq!(spring("30 2 * * *"), ["03-08 03:00 -04:00"]);
    assert_eq!(spring("15 1-3 * * *"), ["03-08 01:15 -05:00", "03-08 03:00 -04:00", "03-08 03:15 -04:00"]);
}

#[test]
fn calendar_slot_on_a_missing_whole_day_runs_at_the_first_instant_after_it_apia_2011() {
    let slots = shown("0 9 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z", "2011-12-31T12:00:00Z");
    assert_eq!(slots, ["12-29 09:00 -10:00", "12-31 00:00 +14:00", "12-31 09:00 +14:00"]);
    let slots = shown("0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", "2012-01-10T00:00:00Z");
    assert_eq!(slots, ["12-31 00:00 +14:00"]);
}

#[test]
fn calendar_slot_that_happens_twice_runs_the_first_time_only() {
    assert_eq!(autumn("30 1 * * *"), ["11-01 01:30 -04:00"]);
    assert_eq!(autumn("0 0,1,2 * * *"), ["11-01 00:00 -04:00", "11-01 01:00 -04:00", "11-01 02:00 -05:00"]);
    let quarters = autumn("*/15 1 * * *");
    assert_eq!(
        quarters,
        ["11-01 01:00 -04:00", "11-01 01:15 -04:00", "11-01 01:30 -04:00", "11-01 01:45 -04:00"]
    );
}

#[test]
fn interval_slot_runs_whenever_the_wall_clock_shows_it_in_both_passes_of_a_repeated_hour() {
    assert_eq!(
        autumn("0 * * * *")[..4],
        ["11-01 00:00 -04:00", "11-01 01:00 -04:00", "11-01 01:00 -05:00", "11-01 02:00 -05:00"]
    );
    let halves = autumn("*/30 * * * *");
    assert_eq!(
        halves[2..7],
        [
            "11-01 01:00 -04:00",
            "11-01 01:30 -04:00",
            "11-01 01:00 -05:00",
            "11-01 01:30 -05:00",
            "11-01 02:00 -05:00"
        ]
    );
}

#[test]
fn interval_slot_never_waits_longer_in_elapsed_time_than_the_patterns_own_gap() {
    assert_eq!(
        spring("0 */2 * * *"),
        ["03-08 00:00 -05:00", "03-08 03:00 -04:00", "03-08 04:00 -04:00"],
        "02:00 is left out"
    );
    assert_eq!(
        autumn("0 */2 * * *")[..3],
        ["11-01 00:00 -04:00", "11-01 01:00 -05:00", "11-01 02:00 -05:00"],
        "one slot in the second pass"
    );
}

#[test]
fn interval_slot_gains_nothing_where_the_clock_change_makes_nothing_wait() {
    assert_eq!(
        spring("30 * * * *"),
        [
            "03-08 00:30 -05:00",
            "03-08 01:30 -05:00",
            "03-08 03:30 -04:00",
            "03-08 04:30 -04:00",
            "03-08 05:30 -04:00"
        ]
    );
}

#[test]
fn interval_slot_after_a_gap_of_half_an_hour_in_lord_howe() {
    let slots = |from, until| shown("0 * * * *", "Australia/Lord_Howe", from, until);
    assert_eq!(
        slots("2026-10-03T14:30:00Z", "2026-10-03T17:30:00Z"),
        ["10-04 01:00 +10:30", "10-04 02:30 +11:00", "10-04 03:00 +11:00", "10-04 04:00 +11:00"]
    );
    assert_eq!(
        slots("2026-04-04T14:00:00Z", "2026-04-04T17:00:00Z"),
        ["04-05 01:00 +11:00", "04-05 01:30 +10:30", "04-05 02:00 +10:30", "04-05 03:00 +10:30"]
    );
}

#[test]
fn interval_slot_after_a_gap_of_a_day_or_more_that_does_not_exist_runs_at_the_first_instant_after() {
    // Havana leaves out 00:00 to 01:00 of Sunday 8 March 2026.
    let slots = shown("0 */2 * * SUN", "America/Havana", "2026-03-02T05:00:00Z", "2026-03-08T12:00:00Z");
    assert_eq!(
        slots[..4],
        ["03-08 01:00 -04:00", "03-08 02:00 -04:00", "03-08 04:00 -04:00", "03-08 06:00 -04:00"]
    );
}

#[test]
fn two_nominal_times_on_one_instant_are_one_slot() {
    // 02:00, 02:15, 02:30, 02:45 and 03:00 all come at 03:00.
    assert_eq!(spring("*/15 2,3 * * *")[..2], ["03-08 03:00 -04:00", "03-08 03:15 -04:00"]);
    assert_eq!(
        cron("*/15 2,3 * * *", "America/New_York")
            .count(at("2026-03-08T05:00:00Z"), at("2026-03-08T08:00:00Z")),
        4
    );
}

#[test]
fn a_slots_identity_is_its_instant_whatever_second_is_asked_from() {
    let slots = cron("0 2 * * *", "UTC");
    for after in ["2026-02-05T02:00:00Z", "2026-02-05T02:00:00.000001Z", "2026-02-06T01:59:59.999999Z"] {
        assert_eq!(slots.next_after(at(after)), Some(at("2026-02-06T02:00:00Z")), "{after}");
    }
    for until in ["2026-02-06T02:00:00Z", "2026-02-06T02:00:00.000001Z", "2026-02-07T01:59:59.999999Z"] {
        assert_eq!(slots.last_until(at(until)), Some(at("2026-02-06T02:00:00Z")), "{until}");
    }
    assert_eq!(slots.last_before(at("2026-02-06T02:00:00Z")), Some(at("2026-02-05T02:00:00Z")));
}

#[test]
fn day_of_month_and_day_of_week_both_restricted_is_or() {
    let days = shown("0 0 13 * FRI", "UTC", "2026-11-01T00:00:00Z", "2026-11-21T00:00:00Z");
    assert_eq!(days, ["11-06 00:00 +00:00", "11-13 00:00 +00:00", "11-20 00:00 +00:00"]);
    let days = shown("0 0 10 * FRI", "UTC", "2026-11-09T00:00:00Z", "2026-11-14T00:00:00Z");
    assert_eq!(days, ["11-10 00:00 +00:00", "11-13 00:00 +00:00"]);
    assert_eq!(shown("0 0 */1 * MON", "UTC", "2026-11-01T00:00:00Z", "2026-11-08T00:00:00Z").len(), 7);
}

#[test]
fn every_is_anchor_plus_k_times_duration_in_elapsed_time() {
    let anchor = at("2026-03-07T18:30:00.25Z");
    let slots = every(6 * 3_600, anchor);
    let found: Vec<_> = slots.iter_after(anchor).take(3).map(|slot| slot.to_string()).collect();
    assert_eq!(found, ["2026-03-08T00:30:00.25Z", "2026-03-08T06:30:00.25Z", "2026-03-08T12:30:00.25Z"]);
    assert_eq!(slots.next_after(Timestamp::MIN), Some(at("2026-03-08T00:30:00.25Z")));
    assert_eq!(slots.last_until(anchor), None);
    assert_eq!(slots.last_until(at("2026-03-08T06:30:00.25Z")), Some(at("2026-03-08T06:30:00.25Z")));
    assert_eq!(slots.count(Timestamp::MIN, at("2026-03-08T12:30:00.25Z")), 3);
    assert_eq!(slots.next_after(Timestamp::MAX), None);
}

#[test]
fn zone_data_knows_that_morocco_no_longer_changes_its_clocks() {
    let rules = TimeZoneDatabase::bundled().get("Africa/Casablanca").unwrap();
    let changes = rules.following(at("2027-01-01T00:00:00Z").into()).filter(|change| {
        rules.to_offset(change.timestamp() - jiff::SignedDuration::from_secs(1)) != change.offset()
    });
    assert_eq!(changes.take(1).count(), 0);
}

#[test]
fn leap_days_and_long_months_are_found_years_ahead() {
    let next = |text: &str, after: &str| cron(text, "UTC").next_after(at(after)).unwrap().to_string();
    assert_eq!(next("0 0 29 2 *", "2096-03-01T00:00:00Z"), "2104-02-29T00:00:00Z");
    assert_eq!(next("0 0 31 * *", "2026-01-31T00:00:00Z"), "2026-03-31T00:00:00Z");
    assert_eq!(
        cron("0 0 29 2 *", "UTC").last_until(at("2103-01-01T00:00:00Z")),
        Some(at("2096-02-29T00:00:00Z"))
    );
}

#[test]
fn searches_end_at_the_ends_of_the_calendar() {
    for zone in ["UTC", "America/New_York"] {
        for text in ["0 2 * * *", "0 */6 * * *", "0 0 29 2 *", "* * * * *"] {
            let slots = cron(text, zone);
            assert_eq!(slots.next_after(Timestamp::MAX), None, "{text} {zone}");
            let _ = slots.last_until(Timestamp::MIN);
            assert!(slots.next_after(Timestamp::MIN).is_some(), "{text} {zone}");
            assert!(slots.last_until(Timestamp::MAX).is_some(), "{text} {zone}");
        }
    }
}
