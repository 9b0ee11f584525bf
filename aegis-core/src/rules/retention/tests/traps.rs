//! The traps of other systems, each with the case that sprung it.

use super::kit::{
    acknowledged, at, codes, daily, explanation, id, kept, planned, planned_in, point, points, tiers, zone,
};
use crate::{
    model::{KeepRules, RetentionRules},
    rules::retention::{Point, RetentionInput, leaves_first, plan},
};

#[test]
fn kopia_3758_a_long_pause_does_not_empty_the_tiers() {
    let all = daily(10, "2026-02-15T02:00:00Z");
    let rules = tiers(KeepRules { daily: 7, ..KeepRules::default() });
    let (at_once, years_later) =
        (planned(&rules, &all, "2026-02-15T12:00:00Z"), planned(&rules, &all, "2031-01-01T00:00:00Z"));
    assert_eq!(kept(&at_once).len(), 7);
    assert_eq!(kept(&at_once), kept(&years_later));
}

#[test]
fn kopia_5096_a_kept_month_does_not_take_the_place_of_the_week_of_the_same_number() {
    let all = daily(79, "2026-03-20T02:00:00Z");
    let rules = tiers(KeepRules { weekly: 12, monthly: 3, ..KeepRules::default() });
    let plan = planned(&rules, &all, "2026-03-20T12:00:00Z");
    let texts: Vec<_> = plan.decisions().map(|decision| decision.explanation()).collect();
    for week in ["2026-W01", "2026-W02", "2026-W03"] {
        assert!(
            texts.iter().any(|text| text.contains(&format!("newest of ISO week {week} (rule weekly"))),
            "{week}"
        );
    }
}

#[test]
fn rustic_week_pairs_the_iso_week_with_its_own_year() {
    // 2 January 2026 and 30 December 2025 lie in 2026-W01; by calendar years the second would fall in with
    // 3 January 2025.
    let all = points(&["2026-01-02T02:00:00Z", "2025-12-30T02:00:00Z", "2025-01-03T02:00:00Z"]);
    let plan = planned(&tiers(KeepRules { weekly: 5, ..KeepRules::default() }), &all, "2026-01-03T00:00:00Z");
    assert_eq!(kept(&plan), [1, 3]);
    assert!(
        explanation(&plan, 2).contains("ISO week 2026-W01 keeps a record 3 days newer"),
        "{}",
        explanation(&plan, 2)
    );
    assert!(explanation(&plan, 3).contains("ISO week 2025-W01"));
}

#[test]
fn rustic_neighbour_an_excluded_record_shadows_no_older_one() {
    let mut all = points(&["2026-02-15T03:00:00Z", "2026-02-15T02:00:00Z", "2026-02-14T02:00:00Z"]);
    all[0].found_bad_at = Some(at("2026-02-15T04:00:00Z"));
    let plan = planned(&tiers(KeepRules { daily: 2, ..KeepRules::default() }), &all, "2026-02-23T00:00:00Z");
    assert_eq!(kept(&plan), [2, 3]);
    assert_eq!(codes(&plan, 2), ["daily", "newest_usable"], "the day is its own, not only the floor");
}

#[test]
fn rustic_minute_hourly_records_on_the_hour_are_different_hours() {
    let all: Vec<_> = (0..5).map(|n| point(n + 1, &format!("2026-02-15T{:02}:00:00Z", 9 - n))).collect();
    let plan = planned(&tiers(KeepRules { hourly: 5, ..KeepRules::default() }), &all, "2026-02-15T12:00:00Z");
    assert_eq!(kept(&plan).len(), 5);
}

#[test]
fn restic_weekly_eviction_records_added_by_an_intruder_do_not_push_out_the_verified_one() {
    let mut all = daily(28, "2026-02-15T02:00:00Z");
    let good: Vec<_> = [2, 9]
        .map(|n| {
            all[n].verified = true;
            n + 1
        })
        .into();
    // In each week, a record slightly newer than the good ones: found bad once somebody looks.
    for (n, week) in [(100, "2026-02-15T03:00:00Z"), (101, "2026-02-08T03:00:00Z")] {
        all.push(Point { found_bad_at: Some(at("2026-02-15T04:00:00Z")), ..point(n, week) });
    }
    let rules = RetentionRules { min_keep: 3, ..tiers(KeepRules { weekly: 2, ..KeepRules::default() }) };
    let kept = kept(&planned(&rules, &all, "2026-02-15T12:00:00Z"));
    assert!(kept.contains(&good[0]), "the newest verified one");
    assert!(kept.contains(&1) && kept.contains(&8), "the bad ones took no week: {kept:?}");
}

#[test]
fn restic_weekly_eviction_unverified_newcomers_cannot_expire_the_last_verified_record() {
    let mut all = daily(10, "2026-02-15T02:00:00Z");
    all[9].verified = true;
    let plan = planned(&RetentionRules::last(2), &all, "2026-02-15T12:00:00Z");
    assert_eq!(explanation(&plan, 10), "kept: newest verified record of its group");
}

#[test]
fn wal_g_name_order_only_times_say_what_is_newer() {
    // After a major upgrade the ids (and names) start again from small numbers.
    let newer = Point::new(id(1), at("2026-02-15T02:00:00Z"));
    let older = Point::new(id(900), at("2026-02-14T02:00:00Z"));
    let plan = planned(&RetentionRules::last(1), &[older, newer], "2026-02-15T12:00:00Z");
    assert_eq!(kept(&plan), [1]);
}

#[test]
fn a_day_split_by_a_clock_that_goes_back_over_midnight_is_one_bucket() {
    // St. John's put its clocks back at 00:01 until 2011: 2010-11-07 00:00:30, 2010-11-06 23:30, again 11-07.
    let all = points(&[
        "2010-11-07T04:00:00Z",
        "2010-11-07T03:00:00Z",
        "2010-11-07T02:30:30Z",
        "2010-11-06T12:00:00Z",
    ]);
    let rules = tiers(KeepRules { daily: 4, ..KeepRules::default() });
    let plan = planned_in("America/St_Johns", &rules, &all, "2010-11-08T00:00:00Z");
    assert!(explanation(&plan, 1).contains("newest of day 2010-11-07"));
    assert!(explanation(&plan, 2).contains("newest of day 2010-11-06"), "{}", explanation(&plan, 2));
    assert!(explanation(&plan, 3).contains("day 2010-11-07 keeps a record"), "{}", explanation(&plan, 3));
}

#[test]
fn a_clock_that_ran_ahead_and_was_put_right_expires_nothing_that_is_needed() {
    let mut all = daily(5, "2026-02-15T02:00:00Z");
    all.push(Point::new(id(6), at("2036-01-01T00:00:00Z")));
    assert_eq!(kept(&planned(&RetentionRules::days(30), &all, "2026-02-15T12:00:00Z")), [6, 1, 2, 3, 4, 5]);
}

#[test]
fn a_failed_night_does_not_cost_a_good_record() {
    let mut all = daily(3, "2026-02-15T02:00:00Z");
    all[0].usable = false;
    let plan = planned(&RetentionRules::last(1), &all, "2026-02-15T12:00:00Z");
    assert_eq!(kept(&plan), [1, 2]);
    assert_eq!(codes(&plan, 2), ["keep_last", "newest_usable"]);
}

#[test]
fn velero_9061_the_last_good_backup_outlives_its_ttl() {
    let zone = zone("UTC");
    let mut all = daily(3, "2026-02-15T02:00:00Z");
    all.iter_mut().for_each(|point| point.ttl_until = Some(at("2026-03-15T02:00:00Z")));
    let plan = acknowledged(RetentionInput::without_policy(&zone, &all, at("2027-01-01T00:00:00Z")));
    assert_eq!(kept(&plan), [1]);
    assert_eq!(codes(&plan, 1), ["newest_usable"]);
}

#[test]
fn velero_6868_a_changed_rule_applies_to_records_that_are_there_already() {
    let all = daily(5, "2026-02-15T02:00:00Z");
    let kept_by = |days| kept(&planned(&RetentionRules::days(days), &all, "2026-02-15T12:00:00Z")).len();
    assert_eq!((kept_by(4), kept_by(2), kept_by(5)), (4, 2, 5));
}

#[test]
fn kopiur_265_hundreds_of_records_do_not_go_at_once_without_a_persons_word() {
    let zone = zone("UTC");
    let all = daily(650, "2026-02-15T02:00:00Z");
    let rules = RetentionRules::last(7);
    let refusal = plan(&RetentionInput::new(&rules, &zone, &all, at("2026-02-15T12:00:00Z"))).unwrap_err();
    assert!(refusal.to_string().contains("it would expire 643 of 650 records"), "{refusal}");
}

#[test]
fn restic_3529_a_rule_that_cannot_be_read_is_refused_and_not_left_out() {
    for rules in [r#"{"days":"4w"}"#, r#"{"days":-1}"#, r#"{"daily":1.5}"#, r#"{"days":4,"month":12}"#] {
        assert!(serde_json::from_str::<RetentionRules>(rules).is_err(), "{rules}");
    }
}

#[test]
fn backintime_1094_a_week_has_seven_days_and_begins_on_monday() {
    let all = daily(15, "2026-02-16T02:00:00Z");
    let plan = planned(&tiers(KeepRules { weekly: 3, ..KeepRules::default() }), &all, "2026-02-16T12:00:00Z");
    assert_eq!(kept(&plan), [1, 2, 9], "Monday 16, Sunday 15 and Sunday 8 February");
}

#[test]
fn pbs_layers_a_coarse_rule_keeps_what_a_finer_one_lets_go() {
    // PBS settles a week by its weekly rule alone, so that a month that ends within it goes empty-handed.
    let all = points(&["2026-02-01T02:00:00Z", "2026-01-31T02:00:00Z", "2026-01-20T02:00:00Z"]);
    let rules = tiers(KeepRules { weekly: 1, monthly: 2, ..KeepRules::default() });
    let plan = planned(&rules, &all, "2026-02-01T12:00:00Z");
    assert_eq!(kept(&plan), [1, 2]);
    assert_eq!(codes(&plan, 2), ["monthly"]);
}

#[test]
fn pgbackrest_471_a_base_that_is_needed_stays_and_leaves_go_first() {
    let mut all = daily(4, "2026-02-15T02:00:00Z");
    all[0].parent = Some(id(4));
    assert_eq!(kept(&planned(&RetentionRules::last(1), &all, "2026-02-15T12:00:00Z")), [1, 4]);
    assert_eq!(leaves_first(&[(id(4), None), (id(1), Some(id(4)))]), [id(1), id(4)]);
}
