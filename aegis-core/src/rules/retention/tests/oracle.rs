//! The rules a second time, written as naively as possible and sharing no code with the planner:
//! calendar fields as text, sets in place of walks, fixpoints in place of order.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::{
    super::{Acknowledgement, Guards, Planner, Point, Reason, RetentionInput, Verdict, leaves_first, plan},
    kit::{DAY, id, zone},
};
use crate::model::{BackupKind, KeepRules, RecordId, RetentionRules, Timestamp};

/// The records that stay, with the names of all rules that keep them.
type Stay = BTreeMap<RecordId, BTreeSet<&'static str>>;

/// What stays, rule by rule.
pub(super) fn naive(input: &RetentionInput<'_>) -> Stay {
    let points = input.points;
    let find = |id: RecordId| points.iter().find(|point| point.id == id);
    let bad_since = |point: &Point| {
        let (mut found, mut next, mut steps) = (point.found_bad_at, point.parent, 0);
        while let Some(parent) = next.and_then(find).filter(|_| steps <= points.len()) {
            found = [found, parent.found_bad_at].into_iter().flatten().min();
            (next, steps) = (parent.parent, steps + 1);
        }
        found
    };
    let minutes = |n: u64| Duration::from_secs(n * 60);
    let locked = |p: &Point| p.guards.locked_until.is_some_and(|until| until > input.now);
    let guarded = |p: &Point| p.guards.held || p.guards.protected || p.guards.in_use || locked(p);
    let bad = |p: &Point| bad_since(p).is_some();
    let bad_for_days =
        |p: &Point| bad_since(p).is_some_and(|found| input.now < found.saturating_add(DAY * 7));
    let future = |p: &Point| !bad(p) && p.at > input.now.saturating_add(minutes(5));
    let sound = |p: &Point| !bad(p) && !future(p);
    let good = |p: &Point| p.usable && sound(p);
    let select = |test: &dyn Fn(&Point) -> bool| -> Vec<&Point> {
        let mut all: Vec<&Point> = points.iter().filter(|p| test(p)).collect();
        all.sort_by_key(|p| std::cmp::Reverse((p.at, p.id)));
        all
    };
    let goods = select(&good);
    let of_cluster = |p: &Point| good(p) && input.newest_usable_of_cluster == Some(p.id);
    let lives = |p: &Point| p.ttl_until.is_some_and(|until| input.now < until);

    let mut stay = Stay::new();
    let mut keep = |code: &'static str, kept: Vec<&Point>| {
        for p in kept {
            stay.entry(p.id).or_default().insert(code);
        }
    };
    keep("held", select(&|p| p.guards.held));
    keep("protected", select(&|p| p.guards.protected));
    keep("locked", select(&locked));
    keep("in_use", select(&|p| p.guards.in_use));
    keep("future", select(&future));
    keep("known_bad", select(&bad_for_days));
    keep("ttl", select(&|p| sound(p) && lives(p)));
    keep("newest_usable", goods.iter().take(1).copied().collect());
    keep("newest_verified", select(&|p| good(p) && p.verified).into_iter().take(1).collect());
    keep("newest_usable_of_cluster", select(&of_cluster));
    if let Some(rules) = input.rules {
        keep("min_keep", goods.iter().take(usize::try_from(rules.min_keep).unwrap()).copied().collect());
        let newest = goods.first().map(|p| p.at);
        let young = |p: &Point| {
            let days = rules.keep_for(p.kind).days;
            days.is_some_and(|days| newest.is_none_or(|newest| newest.since(p.at) < DAY * days))
        };
        keep("days", select(&|p| sound(p) && young(p)));
        let classes = std::iter::once((None, &rules.keep))
            .chain(rules.by_kind.iter().map(|(kind, keep)| (Some(*kind), keep)));
        for (class, rules_of_class) in classes {
            let rest = |p: &Point| {
                let own = rules.by_kind.contains_key(&p.kind).then_some(p.kind);
                own == class && !guarded(p) && sound(p)
            };
            for rest in [select(&rest), select(&|p| rest(p) && p.usable)] {
                for (code, kept) in naive_tiers(rules_of_class, &rest, input.zone) {
                    keep(code, kept);
                }
            }
        }
    } else {
        keep("no_rule", select(&|p| sound(p) && p.ttl_until.is_none()));
    }
    loop {
        let parents: BTreeSet<_> =
            stay.keys().filter_map(|id| find(find(*id)?.parent?)).map(|parent| parent.id).collect();
        let before = stay.len();
        for parent in parents {
            stay.entry(parent).or_default().insert("ancestor");
        }
        if stay.len() == before {
            return stay;
        }
    }
}

/// Names the bucket of a record.
type Name<'a> = &'a dyn Fn(&Point) -> String;

fn naive_tiers<'a>(
    keep: &KeepRules,
    rest: &[&'a Point],
    zone: &TimeZone,
) -> Vec<(&'static str, Vec<&'a Point>)> {
    let field = |p: &Point, format: &str| {
        jiff::Timestamp::from(p.at).to_zoned(zone.clone()).strftime(format).to_string()
    };
    let quarter = |p: &Point| {
        let zoned = jiff::Timestamp::from(p.at).to_zoned(zone.clone());
        format!("{} {}", zoned.year(), (zoned.month() + 2) / 3)
    };
    let names: [(&'static str, u32, Name<'_>); 7] = [
        ("keep_last", keep.keep_last, &|p| p.id.to_string()),
        ("hourly", keep.hourly, &|p| field(p, "%Y-%m-%d %H %z")),
        ("daily", keep.daily, &|p| field(p, "%Y-%m-%d")),
        ("weekly", keep.weekly, &|p| field(p, "%G-%V")),
        ("monthly", keep.monthly, &|p| field(p, "%Y-%m")),
        ("quarterly", keep.quarterly, &quarter),
        ("yearly", keep.yearly, &|p| field(p, "%Y")),
    ];
    let of_tier = |(code, count, name): (&'static str, u32, Name<'_>)| {
        let count = usize::try_from(count).unwrap();
        let mut seen: Vec<String> = Vec::new();
        let mut stay = Vec::new();
        for p in rest {
            let bucket = name(p);
            if !seen.contains(&bucket) {
                if seen.len() < count {
                    stay.push(*p);
                }
                seen.push(bucket);
            }
        }
        if seen.len() < count {
            stay.extend(rest.last());
        }
        (code, stay)
    };
    names.into_iter().filter(|(_, count, _)| *count > 0).map(of_tier).collect()
}

/// The epoch of the generated times: a Sunday evening before a change of clocks in New York.
pub(super) const NOW: i64 = 1_793_500_000;

fn any_point(n: usize) -> impl Strategy<Value = Point> {
    let ages = prop_oneof![
        4 => -600..200_000i64,
        3 => 0..90 * 86_400i64,
        2 => 0..1500 * 86_400i64,
        1 => (0..60i64).prop_map(|hours| hours * 1800),
        1 => -100_000..0i64,
    ];
    let guards =
        (0..40u8, proptest::option::weighted(0.1, -86_400..86_400i64)).prop_map(|(die, lock)| Guards {
            held: die == 0,
            protected: die == 1,
            in_use: die == 2,
            locked_until: lock.map(|seconds| Timestamp::from_seconds(NOW + seconds)),
        });
    let kinds = proptest::sample::select(BackupKind::ALL);
    (
        ages,
        guards,
        (0..8u8, any::<bool>(), any::<bool>()),
        proptest::option::weighted(0.08, 0..20 * 86_400i64),
        proptest::option::weighted(0.1, -86_400..86_400i64),
        proptest::option::weighted(0.3, 0..24usize),
        kinds,
    )
        .prop_map(move |(age, guards, (usable, verified, expired), found, ttl, parent, kind)| Point {
            usable: usable > 0,
            verified,
            expired,
            kind,
            guards,
            found_bad_at: found.map(|ago| Timestamp::from_seconds(NOW - ago)),
            ttl_until: ttl.map(|left| Timestamp::from_seconds(NOW + left)),
            parent: parent.filter(|parent| *parent != n).map(id),
            ..Point::new(id(n), Timestamp::from_seconds(NOW - age))
        })
}

pub(super) fn any_points() -> impl Strategy<Value = Vec<Point>> {
    (0..24usize).prop_flat_map(|count| (0..count).map(any_point).collect::<Vec<_>>())
}

fn any_keep() -> impl Strategy<Value = KeepRules> {
    let count = || prop_oneof![3 => Just(0u32), 2 => 1..5u32, 1 => 5..40u32];
    (proptest::option::weighted(0.4, 1..60u32), count(), count(), count(), count(), count(), count(), count())
        .prop_map(|(days, keep_last, hourly, daily, weekly, monthly, quarterly, yearly)| KeepRules {
            days,
            keep_last,
            hourly,
            daily,
            weekly,
            monthly,
            quarterly,
            yearly,
        })
}

pub(super) fn any_rules() -> impl Strategy<Value = RetentionRules> {
    let own = (proptest::sample::select(BackupKind::ALL), any_keep());
    (any_keep(), 0..4u32, proptest::option::weighted(0.3, own))
        .prop_map(|(keep, min_keep, own)| RetentionRules {
            keep,
            min_keep,
            by_kind: own.into_iter().collect(),
            ..RetentionRules::default()
        })
        .prop_filter("only rules that may be saved", |rules| rules.validate().is_ok())
}

pub(super) fn any_zone() -> impl Strategy<Value = TimeZone> {
    proptest::sample::select(vec![
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "America/St_Johns",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Africa/Casablanca",
        "Asia/Kathmandu",
    ])
    .prop_map(zone)
}

fn given<'a>(rules: &'a RetentionRules, zone: &'a TimeZone, points: &'a [Point]) -> RetentionInput<'a> {
    RetentionInput {
        acknowledgement: Acknowledgement::Given,
        ..RetentionInput::new(rules, zone, points, Timestamp::from_seconds(NOW))
    }
}

/// The order in which reasons are given.
const ORDER: [&str; 20] = [
    "held",
    "protected",
    "locked",
    "in_use",
    "future",
    "known_bad",
    "keep_last",
    "hourly",
    "daily",
    "weekly",
    "monthly",
    "quarterly",
    "yearly",
    "days",
    "ttl",
    "no_rule",
    "min_keep",
    "newest_usable",
    "newest_verified",
    "newest_usable_of_cluster",
];

/// What stays and by which rules, as the planner has it; each rule speaks once, in its place.
fn explained(input: &RetentionInput<'_>) -> Stay {
    let plan = plan(input).unwrap();
    let kept = plan.decisions().filter(|decision| decision.verdict == Verdict::Keep);
    kept.map(|decision| {
        let codes: Vec<_> = decision.reasons.iter().map(Reason::code).collect();
        let place = |code: &&str| ORDER.iter().position(|known| known == code).unwrap_or(ORDER.len());
        assert!(codes.is_sorted_by(|a, b| place(a) < place(b)), "{codes:?}");
        (decision.id, codes.into_iter().collect())
    })
    .collect()
}

fn kept(input: &RetentionInput<'_>) -> BTreeSet<RecordId> {
    let plan = plan(input).unwrap();
    plan.decisions().filter(|d| d.verdict == Verdict::Keep).map(|d| d.id).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(400), ..ProptestConfig::default() })]

    #[test]
    fn the_planner_agrees_with_the_naive_one_in_every_verdict_and_every_reason_to_keep(
        points in any_points(), rules in any_rules(), zone in any_zone(), cluster in proptest::option::of(0..24usize),
    ) {
        let input =
            RetentionInput { newest_usable_of_cluster: cluster.map(id), ..given(&rules, &zone, &points) };
        prop_assert_eq!(explained(&input), naive(&input));
    }

    #[test]
    fn without_a_policy_too(points in any_points(), zone in any_zone()) {
        let input = RetentionInput {
            acknowledgement: Acknowledgement::Given,
            ..RetentionInput::without_policy(&zone, &points, Timestamp::from_seconds(NOW))
        };
        prop_assert_eq!(explained(&input), naive(&input));
    }

    #[test]
    fn every_record_has_one_decision_with_reasons_that_agree_with_it(
        points in any_points(), rules in any_rules(), zone in any_zone(),
    ) {
        let plan = plan(&given(&rules, &zone, &points)).unwrap();
        prop_assert_eq!(plan.decisions().len(), points.len());
        for decision in plan.decisions() {
            prop_assert!(!decision.reasons.is_empty());
            let word = if decision.verdict == Verdict::Keep { "kept: " } else { "expired: " };
            for text in decision.explain() {
                prop_assert!(text.starts_with(word), "{}", text);
            }
        }
    }

    #[test]
    fn the_order_of_the_input_does_not_matter(
        points in any_points().prop_flat_map(|points| (Just(points.clone()), Just(points).prop_shuffle())),
        rules in any_rules(), zone in any_zone(),
    ) {
        let (straight, shuffled) = points;
        prop_assert_eq!(kept(&given(&rules, &zone, &straight)), kept(&given(&rules, &zone, &shuffled)));
    }

    #[test]
    fn a_planner_that_judged_another_group_before_decides_the_same(
        first in any_points(), second in any_points(), rules in any_rules(), zone in any_zone(),
    ) {
        let mut used = Planner::default();
        let _ = used.decide(&given(&rules, &zone, &first)).unwrap();
        let verdicts = used.decide(&given(&rules, &zone, &second)).unwrap().to_vec();
        let kept = kept(&given(&rules, &zone, &second));
        for (point, verdict) in second.iter().zip(verdicts) {
            prop_assert_eq!(kept.contains(&point.id), verdict == Verdict::Keep);
        }
    }

    #[test]
    fn a_hold_more_never_expires_the_held_one_nor_lets_the_floors_fall(
        points in any_points(), rules in any_rules(), zone in any_zone(), which in 0..24usize,
    ) {
        let mut held = points;
        let Some(point) = held.get_mut(which) else { return Ok(()) };
        point.guards.held = true;
        let id = point.id;
        prop_assert!(kept(&given(&rules, &zone, &held)).contains(&id));
    }

    #[test]
    fn what_stays_stays_when_it_is_judged_again(
        points in any_points(), rules in any_rules(), zone in any_zone(),
    ) {
        let first = kept(&given(&rules, &zone, &points));
        let left: Vec<_> = points.into_iter().filter(|point| first.contains(&point.id)).collect();
        prop_assert_eq!(kept(&given(&rules, &zone, &left)), first);
    }

    #[test]
    fn asking_for_more_never_expires_more(
        points in any_points(), rules in any_rules(), zone in any_zone(), more in 0..9u8,
    ) {
        let mut generous = rules.clone();
        let keep = &mut generous.keep;
        match more {
            0 => keep.days = Some(keep.days.map_or(1, |days| days + 1)),
            1 => keep.keep_last += 1,
            2 => keep.hourly += 1,
            3 => keep.daily += 1,
            4 => keep.weekly += 1,
            5 => keep.monthly += 1,
            6 => keep.quarterly += 1,
            7 => keep.yearly += 1,
            _ => generous.min_keep += 1,
        }
        let (fewer, more) = (kept(&given(&rules, &zone, &points)), kept(&given(&generous, &zone, &points)));
        prop_assert!(fewer.is_subset(&more), "{:?} and {:?}", fewer, more);
    }

    #[test]
    fn no_record_is_deleted_before_one_that_rests_on_it(points in any_points()) {
        let links: Vec<_> = points.iter().map(|point| (point.id, point.parent)).collect();
        let order = leaves_first(&links);
        prop_assert_eq!(order.len(), points.len());
        let place = |id: RecordId| order.iter().position(|known| *known == id);
        let circular = |point: &Point| {
            let (mut at, mut steps) = (point.parent, 0);
            while let Some(next) = at.and_then(|id| points.iter().find(|p| p.id == id)) {
                steps += 1;
                if steps > points.len() { return true }
                at = next.parent;
            }
            false
        };
        for point in points.iter().filter(|point| !circular(point)) {
            if let Some(parent) = point.parent.and_then(place) {
                prop_assert!(place(point.id) < Some(parent));
            }
        }
    }
}
