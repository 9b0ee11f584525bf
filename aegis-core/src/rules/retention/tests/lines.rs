//! One test per line of the rules.

use std::collections::BTreeMap;

use super::{
    super::{
        Acknowledgement, Guards, Point, Reason, RetentionInput, RetentionRefusal, Tier, Verdict, not_before,
        plan,
    },
    kit::{
        HOUR, MINUTE, acknowledged, at, codes, daily, explanation, id, kept, planned, planned_in, point,
        points, reasons, tiers, zone,
    },
};
use crate::model::{BackupKind, Breaker, KeepRules, RetentionRules, RetentionRulesError};

const NOW: &str = "2026-02-15T12:00:00Z";

#[test]
fn order_is_time_then_id_and_the_newest_of_equals_has_the_greater_id() {
    let same = points(&["2026-02-15T02:00:00Z", "2026-02-15T02:00:00Z", "2026-02-15T02:00:00Z"]);
    assert_eq!(kept(&planned(&RetentionRules::last(1), &same, NOW)), [3]);
}

#[test]
fn held_protected_locked_and_in_use_are_kept_and_take_no_slot() {
    let mut all = daily(8, "2026-02-15T02:00:00Z");
    all[0].guards.held = true;
    all[1].guards.protected = true;
    all[2].guards.locked_until = Some(at("2026-02-16T00:00:00Z"));
    all[3].guards.in_use = true;
    let plan = planned(&RetentionRules::last(2), &all, NOW);
    assert_eq!(kept(&plan), [1, 2, 3, 4, 5, 6]);
    assert_eq!(codes(&plan, 1), ["held", "newest_usable"]);
    assert_eq!([2, 3, 4].map(|n| codes(&plan, n)), [["protected"], ["locked"], ["in_use"]]);
}

#[test]
fn a_lock_that_has_ended_guards_nothing() {
    let mut all = daily(3, "2026-02-15T02:00:00Z");
    all[2].guards.locked_until = Some(at(NOW));
    assert_eq!(kept(&planned(&RetentionRules::last(1), &all, NOW)), [1]);
}

#[test]
fn tiers_pick_the_newest_of_each_of_the_n_newest_non_empty_buckets() {
    let all = points(&[
        "2026-02-15T02:00:00Z",
        "2026-02-15T01:00:00Z",
        "2026-02-13T23:00:00Z",
        "2026-02-13T01:00:00Z",
        "2026-02-01T01:00:00Z",
        "2026-01-31T01:00:00Z",
    ]);
    let plan = planned(&tiers(KeepRules { daily: 3, ..KeepRules::default() }), &all, NOW);
    assert_eq!(kept(&plan), [1, 3, 5]);
    assert_eq!(
        reasons(&plan, 4),
        [Reason::NotNewest { tier: Tier::Daily, rank: 2, of: 3, newer_by: HOUR * 22 }]
    );
    assert_eq!(reasons(&plan, 6), [Reason::BeyondTier { tier: Tier::Daily, rank: 4, of: 3 }]);
}

#[test]
fn buckets_are_read_in_the_policys_zone() {
    let all = points(&["2026-02-14T22:30:00Z", "2026-02-14T23:30:00Z"]);
    let rules = tiers(KeepRules { daily: 2, ..KeepRules::default() });
    let plan = planned_in("Europe/Berlin", &rules, &all, NOW);
    assert_eq!(explanation(&plan, 1), "kept: newest of day 2026-02-14 (rule daily 2, 2nd of 2)");
}

#[test]
fn an_iso_week_is_named_with_its_own_year() {
    let all = points(&["2024-12-31T02:00:00Z", "2024-12-29T02:00:00Z", "2024-01-01T02:00:00Z"]);
    let plan = planned(&tiers(KeepRules { weekly: 3, ..KeepRules::default() }), &all, "2025-01-01T00:00:00Z");
    assert_eq!(kept(&plan), [1, 2, 3]);
    assert!(explanation(&plan, 1).starts_with("kept: newest of ISO week 2025-W01 (rule weekly 3, 1st of 3)"));
    assert!(explanation(&plan, 2).contains("ISO week 2024-W52"));
    assert!(explanation(&plan, 3).contains("ISO week 2024-W01"));
}

#[test]
fn the_repeated_hour_is_two_buckets_told_apart_by_offset() {
    let all = points(&["2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z", "2026-11-01T06:10:00Z"]);
    let rules = tiers(KeepRules { hourly: 2, ..KeepRules::default() });
    let plan = planned_in("America/New_York", &rules, &all, "2026-11-01T12:00:00Z");
    assert_eq!(kept(&plan), [2, 1]);
    assert!(explanation(&plan, 1).contains("hour 2026-11-01 01:00-04:00"));
    assert!(explanation(&plan, 2).contains("hour 2026-11-01 01:00-05:00"));
}

#[test]
fn oldest_fill_keeps_the_oldest_record_while_a_tier_has_fewer_buckets_than_n() {
    let young = daily(10, "2026-02-12T02:00:00Z");
    let plan = planned(&tiers(KeepRules { monthly: 12, ..KeepRules::default() }), &young, NOW);
    assert_eq!(kept(&plan), [1, 10]);
    assert_eq!(explanation(&plan, 10), "kept: oldest record (rule monthly 12, filled to 1 so far)");
}

#[test]
fn oldest_fill_ends_once_the_tier_has_n_buckets() {
    let all = daily(40, "2026-02-12T02:00:00Z");
    let plan = planned(&tiers(KeepRules { monthly: 2, ..KeepRules::default() }), &all, NOW);
    assert_eq!(kept(&plan), [1, 13]);
}

#[test]
fn oldest_fill_takes_the_oldest_among_the_rest_not_a_held_one() {
    let mut all = daily(5, "2026-02-12T02:00:00Z");
    all[4].guards.held = true;
    let plan = planned(&tiers(KeepRules { monthly: 12, ..KeepRules::default() }), &all, NOW);
    assert_eq!(kept(&plan), [1, 4, 5]);
    assert_eq!(codes(&plan, 5), ["held"]);
}

#[test]
fn days_keeps_while_newest_usable_minus_point_is_under_n_times_24_hours() {
    let all = points(&["2026-02-15T02:00:00Z", "2026-02-13T02:00:00.000001Z", "2026-02-13T02:00:00Z"]);
    let plan = planned(&RetentionRules::days(2), &all, NOW);
    assert_eq!(kept(&plan), [1, 2]);
    assert_eq!(
        explanation(&plan, 3),
        "expired: 0 s past rule days 2, measured from the newest usable record"
    );
}

#[test]
fn days_are_measured_from_the_newest_usable_point_so_ageing_stops_when_backups_stop() {
    let all = daily(3, "2026-02-15T02:00:00Z");
    assert_eq!(kept(&planned(&RetentionRules::days(7), &all, "2030-01-01T00:00:00Z")), [1, 2, 3]);
}

#[test]
fn days_without_any_usable_point_keeps_all_because_age_cannot_be_told() {
    let mut all = daily(2, "2026-02-15T02:00:00Z");
    all.iter_mut().for_each(|point| point.usable = false);
    let plan = planned(&RetentionRules::days(1), &all, NOW);
    assert_eq!(reasons(&plan, 2), [Reason::AgeUnknown { days: 1 }]);
}

#[test]
fn expires_at_shown_is_point_plus_n_times_24_h_not_before() {
    let shown = |point: &Point| not_before(Some(&RetentionRules::days(30)), point);
    let mut one = point(1, "2026-02-15T02:00:00Z");
    assert_eq!(shown(&one), Some(at("2026-03-17T02:00:00Z")));
    one.guards.locked_until = Some(at("2026-04-01T00:00:00Z"));
    assert_eq!(shown(&one), Some(at("2026-04-01T00:00:00Z")));
    one.guards.held = true;
    assert_eq!(shown(&one), None);
    let bad = Point { found_bad_at: Some(at("2026-02-16T00:00:00Z")), ..point(1, "2026-02-15T02:00:00Z") };
    assert_eq!(shown(&bad), Some(at("2026-02-23T00:00:00Z")), "7 days after it was found bad");
    assert_eq!(not_before(Some(&RetentionRules::last(3)), &point(1, NOW)), None);
}

#[test]
fn a_ttl_is_a_rule_of_that_record_alone_by_the_clock() {
    let zone = zone("UTC");
    let mut all = daily(3, "2026-02-15T02:00:00Z");
    all[1].ttl_until = Some(at("2026-02-15T12:00:01Z"));
    all[2].ttl_until = Some(at(NOW));
    let plan = acknowledged(RetentionInput::without_policy(&zone, &all, at(NOW)));
    assert_eq!(kept(&plan), [1, 2]);
    assert_eq!(explanation(&plan, 2), "kept: its own time to live lasts until 2026-02-15T12:00:01Z");
    assert_eq!(explanation(&plan, 3), "expired: its own time to live ended 0 s ago");
}

#[test]
fn without_a_policy_ttl_and_floors_decide() {
    let zone = zone("UTC");
    let mut all = daily(3, "2026-02-15T02:00:00Z");
    for point in &mut all {
        point.ttl_until = Some(at("2026-02-15T03:00:00Z"));
    }
    all[2].verified = true;
    let plan = acknowledged(RetentionInput::without_policy(&zone, &all, at(NOW)));
    assert_eq!(kept(&plan), [1, 3]);
    assert_eq!((codes(&plan, 1), codes(&plan, 3)), (vec!["newest_usable"], vec!["newest_verified"]));
}

#[test]
fn a_record_of_no_policy_and_no_ttl_stays() {
    let zone = zone("UTC");
    let all = daily(2, "2026-02-15T02:00:00Z");
    assert_eq!(kept(&acknowledged(RetentionInput::without_policy(&zone, &all, at(NOW)))), [1, 2]);
}

#[test]
fn a_manual_job_run_under_a_policy_takes_slots_like_others() {
    let mut all = points(&["2026-02-15T03:00:00Z", "2026-02-15T02:00:00Z"]);
    all[0].ttl_until = Some(at("2026-02-15T04:00:00Z"));
    let plan = planned(&tiers(KeepRules { daily: 1, ..KeepRules::default() }), &all, NOW);
    assert_eq!(kept(&plan), [1]);
}

#[test]
fn min_keep_keeps_the_n_newest_usable_records_held_ones_counted() {
    let mut all = daily(5, "2026-02-15T02:00:00Z");
    all[0].guards.held = true;
    all[1].usable = false;
    let rules = RetentionRules { min_keep: 2, ..RetentionRules::default() };
    let plan = planned(&rules, &all, NOW);
    assert_eq!(kept(&plan), [1, 3]);
    assert_eq!(explanation(&plan, 3), "kept: 2nd newest usable record (rule min_keep 2)");
    assert_eq!(explanation(&plan, 5), "expired: 4th newest usable record, 2 beyond rule min_keep 2");
}

#[test]
fn an_empty_rule_set_is_refused_by_the_planner() {
    let zone = zone("UTC");
    let rules = RetentionRules::default();
    let refusal = plan(&RetentionInput::new(&rules, &zone, &[], at(NOW))).unwrap_err();
    assert_eq!(refusal, RetentionRefusal::Rules(RetentionRulesError::Empty));
}

#[test]
fn floors_keep_the_newest_usable_and_newest_verified_and_take_no_slot() {
    let mut all = daily(4, "2026-02-15T02:00:00Z");
    all[0].usable = false;
    all[3].verified = true;
    let plan = planned(&RetentionRules::last(1), &all, NOW);
    assert_eq!(kept(&plan), [1, 2, 4]);
    assert_eq!(codes(&plan, 2), ["keep_last", "newest_usable"]);
    assert_eq!(codes(&plan, 4), ["newest_verified"]);
}

#[test]
fn the_newest_usable_record_of_the_cluster_stays_in_whichever_group_it_is() {
    let zone = zone("UTC");
    let all = daily(3, "2026-02-15T02:00:00Z");
    let rules = RetentionRules::last(1);
    let input = RetentionInput::new(&rules, &zone, &all, at(NOW));
    let plan = acknowledged(RetentionInput { newest_usable_of_cluster: Some(id(3)), ..input });
    assert_eq!(kept(&plan), [1, 3]);
}

#[test]
fn known_bad_takes_no_slot_serves_no_floor_and_expires_7_days_after_it_was_found_bad() {
    let mut all = daily(3, "2026-02-15T02:00:00Z");
    all[0].verified = true;
    all[0].found_bad_at = Some(at("2026-02-15T03:00:00Z"));
    let rules = RetentionRules { min_keep: 1, ..RetentionRules::last(1) };
    let young = planned(&rules, &all, "2026-02-22T02:59:59Z");
    assert_eq!(kept(&young), [1, 2]);
    assert_eq!(explanation(&young, 1), "kept: found bad; goes on 2026-02-22T03:00:00Z");
    assert_eq!(codes(&young, 2), ["keep_last", "min_keep", "newest_usable"], "its slot and its floors");
    let old = planned(&rules, &all, "2026-02-22T03:00:00Z");
    assert_eq!(kept(&old), [2]);
    assert_eq!(codes(&old, 1), ["known_bad"]);
}

#[test]
fn guards_apply_to_known_bad_records() {
    let mut all = daily(2, "2026-02-15T02:00:00Z");
    all[1].found_bad_at = Some(at("2026-01-01T00:00:00Z"));
    all[1].guards.held = true;
    assert_eq!(kept(&planned(&RetentionRules::last(1), &all, NOW)), [1, 2]);
}

#[test]
fn a_child_of_a_bad_record_is_bad_from_the_same_finding() {
    let mut all = daily(4, "2026-02-15T02:00:00Z");
    all[0].parent = Some(id(2));
    all[1].parent = Some(id(3));
    all[2].found_bad_at = Some(at("2026-02-10T00:00:00Z"));
    let plan = planned(&RetentionRules::last(1), &all, NOW);
    assert_eq!(kept(&plan), [1, 2, 3, 4]);
    assert_eq!(codes(&plan, 1), ["known_bad"]);
    assert_eq!(codes(&plan, 4), ["keep_last", "newest_usable"]);
    assert_eq!(kept(&planned(&RetentionRules::last(1), &all, "2026-02-17T00:00:00Z")), [4]);
}

#[test]
fn a_point_more_than_5_minutes_in_the_future_is_kept_takes_no_slot_and_is_flagged() {
    let mut all = points(&["2026-02-15T12:05:00.000001Z", "2026-02-15T12:05:00Z", "2026-02-15T02:00:00Z"]);
    all[0].verified = true;
    let rules = RetentionRules { min_keep: 1, ..RetentionRules::last(1) };
    let plan = planned(&rules, &all, NOW);
    assert_eq!(kept(&plan), [1, 2]);
    assert_eq!(reasons(&plan, 1), [Reason::Future { by: MINUTE * 5 + std::time::Duration::from_micros(1) }]);
    assert_eq!(codes(&plan, 2), ["keep_last", "min_keep", "newest_usable"]);
}

#[test]
fn a_future_point_is_never_the_newest_usable_for_days() {
    let all = points(&["2030-01-01T00:00:00Z", "2026-02-15T02:00:00Z", "2026-02-14T02:00:00Z"]);
    assert_eq!(kept(&planned(&RetentionRules::days(7), &all, NOW)), [1, 2, 3]);
}

#[test]
fn now_earlier_than_the_newest_event_by_more_than_5_minutes_refuses_the_run() {
    let zone = zone("UTC");
    let all = daily(2, "2026-02-15T02:00:00Z");
    let rules = RetentionRules::last(2);
    let run = |newest_event: &str| {
        let input = RetentionInput::new(&rules, &zone, &all, at(NOW));
        plan(&RetentionInput { newest_event: Some(at(newest_event)), ..input }).map(|_| ())
    };
    assert_eq!(run("2026-02-15T12:05:00Z"), Ok(()));
    assert!(matches!(run("2026-02-15T12:05:00.000001Z"), Err(RetentionRefusal::ClockBehind { .. })));
}

#[test]
fn more_than_7_days_after_the_last_run_needs_an_acknowledgement_unless_nothing_would_expire() {
    let zone = zone("UTC");
    let all = daily(3, "2026-02-15T02:00:00Z");
    let run = |rules: &RetentionRules, last_run: &str, acknowledgement| {
        let input = RetentionInput::new(rules, &zone, &all, at(NOW));
        plan(&RetentionInput { last_run: Some(at(last_run)), acknowledgement, ..input }).map(|_| ())
    };
    let expiring = RetentionRules::last(2);
    assert_eq!(run(&expiring, "2026-02-08T12:00:00Z", Acknowledgement::None), Ok(()));
    let refused = run(&expiring, "2026-02-08T11:59:59Z", Acknowledgement::None).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the retention run needs an acknowledgement: the last run was 7 days ago, so the clock may have jumped; \
         look at the preview, then run it with one"
    );
    assert_eq!(run(&expiring, "2026-02-08T11:59:59Z", Acknowledgement::Given), Ok(()));
    assert_eq!(run(&RetentionRules::last(3), "2020-01-01T00:00:00Z", Acknowledgement::None), Ok(()));
}

#[test]
fn a_run_that_would_expire_more_than_half_and_more_than_5_needs_an_acknowledgement() {
    let zone = zone("UTC");
    let run = |count: usize, last: u32, acknowledgement| {
        let (all, rules) = (daily(count, "2026-02-15T02:00:00Z"), RetentionRules::last(last));
        let input = RetentionInput::new(&rules, &zone, &all, at(NOW));
        plan(&RetentionInput { acknowledgement, ..input }).map(|plan| plan.expiring().count())
    };
    assert_eq!(run(12, 6, Acknowledgement::None), Ok(6), "exactly half");
    assert_eq!(run(6, 1, Acknowledgement::None), Ok(5), "exactly 5");
    let refused = run(11, 5, Acknowledgement::None).unwrap_err();
    assert!(refused.to_string().contains("it would expire 6 of 11 records"), "{refused}");
    assert_eq!(run(11, 5, Acknowledgement::Given), Ok(6));
}

#[test]
fn the_breakers_figures_are_set_per_policy() {
    let zone = zone("UTC");
    let all = daily(4, "2026-02-15T02:00:00Z");
    let breaker = Breaker { share_percent: 10, count: 0 };
    let rules = RetentionRules { breaker, ..RetentionRules::last(3) };
    assert!(plan(&RetentionInput::new(&rules, &zone, &all, at(NOW))).is_err());
}

#[test]
fn records_that_an_earlier_run_marked_do_not_trip_the_breaker_again() {
    let zone = zone("UTC");
    let mut all = daily(20, "2026-02-15T02:00:00Z");
    all.iter_mut().skip(1).for_each(|point| point.expired = true);
    let rules = RetentionRules::last(1);
    let plan = plan(&RetentionInput::new(&rules, &zone, &all, at(NOW))).unwrap();
    assert_eq!(plan.expiring().count(), 19);
}

#[test]
fn each_decision_lists_every_reason_in_order() {
    let mut all = daily(3, "2026-02-15T02:00:00Z");
    all[1].verified = true;
    all[1].ttl_until = Some(at("2026-03-01T00:00:00Z"));
    all[1].found_bad_at = None;
    all[0].usable = false;
    all[0].parent = Some(id(2));
    let keep = KeepRules { days: Some(7), keep_last: 2, daily: 2, ..KeepRules::default() };
    let plan = planned(&RetentionRules { min_keep: 1, ..tiers(keep) }, &all, NOW);
    assert_eq!(
        codes(&plan, 2),
        ["keep_last", "daily", "days", "ttl", "min_keep", "newest_usable", "newest_verified", "ancestor"]
    );
    let held = Guards { held: true, ..Guards::default() };
    all[1].guards = held;
    let plan = planned(&RetentionRules { min_keep: 1, ..tiers(keep) }, &all, NOW);
    assert_eq!(
        codes(&plan, 2),
        ["held", "days", "ttl", "min_keep", "newest_usable", "newest_verified", "ancestor"]
    );
}

#[test]
fn expire_reasons_say_which_rule_it_fell_out_of_and_by_how_much() {
    let all = daily(60, "2026-02-15T02:00:00Z");
    let keep = KeepRules { days: Some(7), daily: 5, weekly: 4, monthly: 1, ..KeepRules::default() };
    let plan = planned(&RetentionRules { min_keep: 2, ..tiers(keep) }, &all, NOW);
    assert_eq!(
        explanation(&plan, 40),
        "expired: day 2026-01-07 is the 40th newest with records, 35 beyond rule daily 5; \
         expired: ISO week 2026-W02 is the 6th newest with records, 2 beyond rule weekly 4; \
         expired: month 2026-01 is the 2nd newest with records, 1 beyond rule monthly 1; \
         expired: 32 days past rule days 7, measured from the newest usable record; \
         expired: 40th newest usable record, 38 beyond rule min_keep 2"
    );
    assert!(
        explanation(&plan, 9)
            .contains("expired: ISO week 2026-W06 keeps a record 1 day newer (rule weekly 4, 2nd of 4)"),
        "{}",
        explanation(&plan, 9)
    );
    assert_eq!(explanation(&plan, 8), "kept: newest of ISO week 2026-W06 (rule weekly 4, 2nd of 4)");
}

#[test]
fn ancestors_of_all_that_stays_stay() {
    let mut all = daily(5, "2026-02-15T02:00:00Z");
    all[0].parent = Some(id(2));
    all[1].parent = Some(id(4));
    let plan = planned(&RetentionRules::last(1), &all, NOW);
    assert_eq!(kept(&plan), [1, 2, 4]);
    assert_eq!(reasons(&plan, 4), [Reason::AncestorOf(id(2))]);
}

#[test]
fn an_ancestor_that_claims_to_be_newer_than_its_child_stays_all_the_same() {
    let mut all = daily(4, "2026-02-15T02:00:00Z");
    all[3].guards.held = true;
    all[3].parent = Some(id(2));
    all[1].parent = Some(id(3));
    assert_eq!(kept(&planned(&RetentionRules::last(1), &all, NOW)), [1, 2, 3, 4]);
}

#[test]
fn a_record_that_cannot_be_restored_displaces_none_that_can() {
    let mut all = points(&["2026-02-15T02:00:00Z", "2026-02-15T01:00:00Z", "2026-02-14T02:00:00Z"]);
    all[0].usable = false;
    let plan = planned(&tiers(KeepRules { daily: 2, ..KeepRules::default() }), &all, NOW);
    assert_eq!(kept(&plan), [1, 2, 3]);
    assert_eq!(codes(&plan, 2), ["daily", "newest_usable"]);
}

#[test]
fn a_kind_with_rules_of_its_own_is_judged_by_those_alone() {
    let mut all = daily(6, "2026-02-15T02:00:00Z");
    all[4].kind = BackupKind::Snapshot;
    all[5].kind = BackupKind::Snapshot;
    let by_kind =
        BTreeMap::from([(BackupKind::Snapshot, KeepRules { keep_last: 1, ..KeepRules::default() })]);
    let rules = RetentionRules { by_kind, ..RetentionRules::days(2) };
    assert_eq!(kept(&planned(&rules, &all, NOW)), [1, 2, 5]);
}

#[test]
fn the_verdicts_without_reasons_are_the_same_as_with_them() {
    let zone = zone("UTC");
    let all = daily(50, "2026-02-15T02:00:00Z");
    let rules = tiers(KeepRules { daily: 7, monthly: 12, ..KeepRules::default() });
    let input = RetentionInput {
        acknowledgement: Acknowledgement::Given,
        ..RetentionInput::new(&rules, &zone, &all, at(NOW))
    };
    let with = acknowledged(input);
    let mut planner = super::super::Planner::default();
    let bare = planner.decide(&input).unwrap();
    for (point, verdict) in all.iter().zip(bare) {
        assert_eq!(with.decision(point.id).unwrap().verdict, *verdict);
    }
    assert!(bare.contains(&Verdict::Expire));
}
