//! The simulation against the engine: what it foretells is what happens.

use std::time::Duration;

use aegis_core::{
    engine::{NewPolicy, PolicyChange},
    model::{
        Bytes, KeepRules, NamespaceSelection, RecordState, RetentionRules, Schedule, Timestamp, ZoneName,
    },
    rules::{
        exposure::Window,
        simulation::{
            DataModel, Outage, OutageKind, PolicyHistory, RunModel, Scenario, Share, SimulatedPolicy,
            simulate,
        },
    },
    seams::{Clock, ErrorClass, RecordQuery, Scope},
    testing::ScriptedDriver,
};

use crate::world::{World, local, name, options, tenant};

const HOUR: Duration = Duration::from_secs(3600);

/// First and last nominal time, how many, and what became of them.
type Slots = Vec<(Timestamp, Timestamp, u64, &'static str)>;

fn foretold_slots(history: &PolicyHistory) -> Slots {
    let ran = history.runs.iter().map(|run| (run.nominal_at, run.nominal_at, 1, "ran"));
    let others =
        history.not_run.iter().map(|range| (range.first, range.last, range.count, range.outcome.label()));
    let mut slots: Slots = ran.chain(others).collect();
    slots.sort_unstable();
    slots
}

/// The seconds of the recovery point times, since the engine may look a moment late.
fn foretold_records(history: &PolicyHistory) -> Vec<(i64, &'static str)> {
    let state = |removed: bool, expired: bool| match (removed, expired) {
        (true, _) => "gone",
        (false, true) => "expired",
        (false, false) => "available",
    };
    let points = history.points.iter();
    points
        .map(|point| (point.at.as_seconds(), state(point.removed_at.is_some(), point.expired_at.is_some())))
        .collect()
}

#[tokio::test]
async fn the_engine_does_what_the_simulation_foretold() {
    let world = World::new();
    let aegis = world.engine();
    let schedule = Schedule::cron("0 */4 * * *".parse().unwrap(), ZoneName::new("Europe/Berlin").unwrap());
    let keep = KeepRules { hourly: 6, daily: 4, weekly: 2, ..KeepRules::default() };
    let retention = RetentionRules { keep, ..RetentionRules::default() };
    let policy = NewPolicy::new(name("foreseen"), local(), NamespaceSelection::all(), schedule, retention);
    let policy = tenant(&aegis).create_policy(policy).await.unwrap().policy;

    // A week, thirty hours in which nobody looks, and some days more.
    world.run(&aegis, HOUR * 24 * 7 + HOUR / 2).await;
    let away = world.clock.now();
    world.clock.advance(HOUR * 30);
    let back = world.clock.now();
    world.run(&aegis, HOUR * 24 * 5).await;

    let runs = RunModel::steady(ScriptedDriver::USUAL_DURATION);
    let data = DataModel { size: Bytes(1_000_000), daily_change: Share::percent(1) };
    let mut scenario = Scenario::new(vec![SimulatedPolicy::of(&policy, runs, data)], 1, policy.created_at);
    scenario.length = world.clock.now().since(policy.created_at);
    scenario.sweep_interval = options().sweep_interval;
    scenario.outages = vec![Outage { kind: OutageKind::Engine, window: Window { from: away, until: back } }];
    let history = simulate(&scenario).unwrap().policies.remove(0);

    let slots = tenant(&aegis).slots(policy.id, aegis_core::seams::Window::first(1000)).await.unwrap().items;
    let mut slots: Slots = slots
        .iter()
        .map(|slot| {
            (slot.nominal_at, slot.through.unwrap_or(slot.nominal_at), slot.count, slot.outcome.label())
        })
        .collect();
    slots.sort_unstable();
    assert_eq!(slots, foretold_slots(&history));
    assert!(slots.iter().any(|(.., label)| *label == "coalesced"), "{slots:?}");

    let records = tenant(&aegis).records(RecordQuery::new(Scope::Everyone)).await.unwrap().items;
    let mut records: Vec<_> = records
        .iter()
        .map(|view| {
            let state = match view.record.state() {
                RecordState::Available => "available",
                RecordState::Expired => "expired",
                RecordState::Deleting | RecordState::Deleted => "gone",
            };
            (view.record.recovery_point.at.as_seconds(), state)
        })
        .collect();
    records.sort_unstable();
    assert_eq!(records, foretold_records(&history));
    let states =
        ["available", "expired", "gone"].map(|state| records.iter().filter(|(_, is)| *is == state).count());
    assert!(states.iter().all(|count| *count > 2), "{states:?}");
}

#[tokio::test]
async fn a_policy_is_foreseen_under_another_schedule_in_the_world_that_its_backups_show() {
    let world = World::new();
    let aegis = world.engine();
    let daily = Schedule::cron("0 2 * * *".parse().unwrap(), ZoneName::UTC);
    let policy = NewPolicy::new(
        name("foreseen"),
        local(),
        NamespaceSelection::all(),
        daily.clone(),
        RetentionRules::days(2),
    );
    let policy = tenant(&aegis).create_policy(policy).await.unwrap().policy;
    let early = tenant(&aegis).foresee_policy(policy.id, &PolicyChange::default()).await.unwrap_err();
    assert_eq!(early.class(), ErrorClass::InvalidTransition);
    assert!(early.to_string().contains("run it once"), "{early}");

    world.run(&aegis, HOUR * 24 * 3).await;
    let mut change = PolicyChange::default();
    change.schedule = Some(Schedule::cron("0 * * * *".parse().unwrap(), ZoneName::UTC));
    let mut foreseen = Vec::new();
    for change in [PolicyChange::default(), change] {
        let mut scenario = tenant(&aegis).foresee_policy(policy.id, &change).await.unwrap();
        assert_eq!(scenario.start, world.clock.now());
        (scenario.length, scenario.sweep_interval) = (HOUR * 24 * 10, HOUR);
        let history = simulate(&scenario).unwrap().policies.remove(0);
        let [run, ..] = &history.runs[..] else { panic!("nothing ran") };
        assert_eq!(run.ended_at.since(run.started_at), ScriptedDriver::USUAL_DURATION);
        let last = *history.curve.last().unwrap();
        foreseen.push((history.runs.len(), last.points));
    }
    // Two days are kept, and one in its grace time. The hours at which the ten days begin and end are no slots of theirs.
    assert_eq!(foreseen, [(10, 3), (239, 72)]);
    let unchanged = tenant(&aegis).policy(policy.id).await.unwrap().policy;
    assert_eq!(unchanged.schedule, daily);
}
