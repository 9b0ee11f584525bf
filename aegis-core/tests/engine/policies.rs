//! Policies and their slots.

use std::{sync::Arc, time::Duration};

use aegis_core::{
    engine::{EngineError, PolicyChange},
    model::{
        CronExpression, JobStatus, Rpo, Schedule, SkipReason, Slot, SlotOutcome, Timestamp, Versioned,
        ZoneName, zone_data_version,
    },
    seams::{ErrorClass, JobQuery, RecordQuery, Scope, SlotQuery, Window, WorkKind},
    testing::{Fault, FaultPlan, FaultPoint, FaultyStore, Script},
};

use crate::world::{World, every, name, new_policy, tenant};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_policy_runs_at_its_slots_and_each_slot_yields_one_job() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    let policy = me.create_policy(new_policy("hourly", 3600)).await.unwrap();
    assert_eq!(policy.zone_data, None, "elapsed time has no zone");
    assert_eq!(
        policy.state.as_ref().unwrap().next_run_at,
        Some(crate::world::START.saturating_add(Duration::from_secs(3600)))
    );
    world.run(&aegis, Duration::from_secs(5 * 3600 + 300)).await;
    let slots = me.slots(policy.policy.id, Window::first(100)).await.unwrap().items;
    assert_eq!(slots.len(), 5);
    assert!(slots.iter().all(|slot| matches!(slot.outcome, SlotOutcome::Ran { .. })));
    let records = me.records(RecordQuery::new(Scope::Everyone)).await.unwrap();
    assert_eq!(records.items.len(), 5);
    let state = me.policy(policy.policy.id).await.unwrap().state.unwrap();
    assert_eq!(state.last_run_status, Some(JobStatus::Completed));
    let newest = records.items.iter().max_by_key(|view| view.record.recovery_point.at).unwrap();
    assert_eq!(state.newest_usable.unwrap().record, newest.record.id);
}

#[tokio::test]
async fn the_version_of_the_zone_data_is_shown_with_the_next_run() {
    let world = World::new();
    let aegis = world.engine();
    let mut new = new_policy("nightly", 3600);
    let zone = ZoneName::new("Africa/Casablanca").unwrap();
    new.schedule = Schedule::cron(CronExpression::new("0 2 * * *").unwrap(), zone);
    let view = tenant(&aegis).create_policy(new).await.unwrap();
    assert_eq!(view.zone_data, Some(zone_data_version()));
    assert_eq!(view.schedule_human, "Daily at 02:00 Africa/Casablanca");
    assert!(view.state.unwrap().next_run_at.is_some());
}

/// Which entry of the ledger holds each of `nominal`; panics where it is not exactly one.
fn entries_of(slots: &[Versioned<Slot>], nominal: impl Iterator<Item = Timestamp>) -> Vec<&Slot> {
    let holds = |slot: &Slot, at| slot.nominal_at <= at && at <= slot.through.unwrap_or(slot.nominal_at);
    let entry_of = |at| {
        let found: Vec<&Slot> = slots.iter().map(|slot| &**slot).filter(|slot| holds(slot, at)).collect();
        assert_eq!(found.len(), 1, "{at}: {found:?}");
        found[0]
    };
    nominal.map(entry_of).collect()
}

#[tokio::test]
async fn every_nominal_time_of_a_year_of_downtime_edits_and_pauses_reads_back_with_one_outcome() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    let id = me.create_policy(new_policy("hourly", 3600)).await.unwrap().policy.id;
    let change = |edit: fn(&mut PolicyChange)| {
        let mut change = PolicyChange::default();
        edit(&mut change);
        change
    };
    let hours = |hours: u32| Duration::from_secs(3600) * hours;
    let (hour, year) = (3600, 365 * 24);
    world.run(&aegis, hours(2) + Duration::from_secs(600)).await;
    world.clock.advance(hours(year));
    world.run(&aegis, Duration::from_secs(600)).await;
    // 20 minutes past an hour: every second hour from here on.
    me.update_policy(id, change(|change| change.schedule = Some(every(7200)))).await.unwrap();
    world.run(&aegis, hours(4)).await;
    me.update_policy(id, change(|change| change.enabled = Some(false))).await.unwrap();
    world.run(&aegis, hours(10)).await;
    me.update_policy(id, change(|change| change.enabled = Some(true))).await.unwrap();
    world.run(&aegis, hours(4)).await;

    let slots = me.slots(id, Window::first(1_000)).await.unwrap().items;
    assert!(slots.len() < 15, "{} entries for a year", slots.len());
    let at = |hours: u32| crate::world::START.saturating_add(Duration::from_secs(hour) * hours);
    let hourly = entries_of(&slots, (1..=year + 2).map(at));
    let into = SlotOutcome::Coalesced { into: at(year + 2) };
    assert!(hourly[..2].iter().all(|slot| matches!(slot.outcome, SlotOutcome::Ran { .. })));
    assert!(hourly[2..hourly.len() - 1].iter().all(|slot| slot.outcome == into));
    assert!(matches!(hourly[hourly.len() - 1].outcome, SlotOutcome::Ran { .. }));
    let later: Vec<u32> = (year + 3..=year + 20).filter(|hour| hour % 2 == 0).collect();
    let off = SlotOutcome::Skipped { reason: SkipReason::Disabled };
    for (hour, slot) in later.iter().zip(entries_of(&slots, later.iter().copied().map(at))) {
        let was_off = (year + 7..=year + 16).contains(hour);
        assert_eq!(slot.outcome == off, was_off, "{hour}: {slot:?}");
        assert_eq!(matches!(slot.outcome, SlotOutcome::Ran { .. }), !was_off, "{hour}: {slot:?}");
    }
    let counted: u64 = slots.iter().map(|slot| slot.count).sum();
    assert_eq!(counted, u64::from(year) + 2 + later.len() as u64, "and nothing else");
}

#[tokio::test]
async fn making_or_enabling_a_policy_never_fires_a_past_slot() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    let mut new = new_policy("hourly", 3600);
    new.enabled = false;
    let policy = me.create_policy(new).await.unwrap().policy.id;
    world.run(&aegis, Duration::from_secs(10 * 3600 + 60)).await;
    let change = |enabled| {
        let mut change = PolicyChange::default();
        change.enabled = Some(enabled);
        change
    };
    me.update_policy(policy, change(true)).await.unwrap();
    aegis.pass().await;
    assert!(me.jobs(JobQuery::new(Scope::Everyone)).await.unwrap().items.is_empty());
    world.run(&aegis, Duration::from_secs(3600)).await;
    assert_eq!(me.jobs(JobQuery::new(Scope::Everyone)).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn after_downtime_the_latest_slot_runs_once_and_the_others_are_coalesced() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    let policy = me.create_policy(new_policy("hourly", 3600)).await.unwrap().policy.id;
    aegis.pass().await;
    world.clock.advance(Duration::from_secs(48 * 3600 + 10));
    world.run(&aegis, Duration::from_secs(300)).await;
    assert_eq!(me.jobs(JobQuery::new(Scope::Everyone)).await.unwrap().items.len(), 1);
    let slots = me.slots(policy, Window::first(100)).await.unwrap().items;
    assert_eq!(slots.iter().map(|slot| slot.count).sum::<u64>(), 48);
}

#[tokio::test]
async fn a_failing_policy_counts_its_failures_and_a_success_ends_the_count() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    let policy = me.create_policy(new_policy("hourly", 3600)).await.unwrap().policy.id;
    world.driver.script_usual(WorkKind::Backup, Script::failing("no space left"));
    world.run(&aegis, Duration::from_secs(2 * 3600 + 300)).await;
    let state = me.policy(policy).await.unwrap().state.unwrap();
    assert_eq!((state.failures_in_a_row, state.last_run_status), (2, Some(JobStatus::Failed)));
    world.driver.script_usual(WorkKind::Backup, Script::completing());
    world.run(&aegis, Duration::from_secs(3600)).await;
    assert_eq!(me.policy(policy).await.unwrap().state.unwrap().failures_in_a_row, 0);
}

#[tokio::test]
async fn what_people_run_between_the_slots_neither_counts_as_a_failed_slot_nor_ends_the_count() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    let policy = me.create_policy(new_policy("hourly", 3600)).await.unwrap().policy.id;
    world.driver.script_usual(WorkKind::Backup, Script::failing("no space left"));
    world.run(&aegis, Duration::from_secs(3600 + 300)).await;
    let by_hand = async || {
        let job = me.run_policy(policy).await.unwrap().job.id;
        let ended = world.end(&aegis, job).await.job.status;
        let state = me.policy(policy).await.unwrap().state.unwrap();
        assert_eq!(state.last_run_status, Some(ended));
        (ended, state.failures_in_a_row, state.last_failure.is_some())
    };
    assert_eq!(by_hand().await, (JobStatus::Failed, 1, true));
    world.driver.script_usual(WorkKind::Backup, Script::completing());
    assert_eq!(by_hand().await, (JobStatus::Completed, 1, true));
}

#[tokio::test]
async fn two_policies_of_one_name_are_refused_and_a_deleted_name_is_free_again() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    let first = me.create_policy(new_policy("nightly", 3600)).await.unwrap().policy.id;
    let error = me.create_policy(new_policy("nightly", 60)).await.unwrap_err();
    assert!(matches!(error, EngineError::AlreadyExists { what: "policy", .. }), "{error}");
    let mut rename = PolicyChange::default();
    rename.name = Some(name("daily"));
    me.update_policy(first, rename).await.unwrap();
    let second = me.create_policy(new_policy("nightly", 60)).await.unwrap().policy.id;
    me.delete_policy(second).await.unwrap();
    me.create_policy(new_policy("nightly", 60)).await.unwrap();
}

#[tokio::test]
async fn deleting_a_policy_keeps_its_records() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    let policy = me.create_policy(new_policy("hourly", 3600)).await.unwrap().policy.id;
    world.run(&aegis, Duration::from_secs(3600 + 300)).await;
    me.delete_policy(policy).await.unwrap();
    world.run(&aegis, Duration::from_secs(30 * 24 * 3600)).await;
    let records = me.records(RecordQuery::new(Scope::Everyone)).await.unwrap();
    assert!(records.items.iter().any(|view| view.is_restorable));
}

#[tokio::test]
async fn an_edit_that_lost_a_race_is_refused_when_it_asked_for_a_version() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    let policy = me.create_policy(new_policy("hourly", 3600)).await.unwrap().policy;
    let mut change = PolicyChange::default();
    change.schedule = Some(every(60));
    let me = me.if_version(Some(policy.version));
    me.update_policy(policy.id, change.clone()).await.unwrap();
    let error = me.update_policy(policy.id, change).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::VersionConflict);
}

#[tokio::test]
async fn slots_settled_while_the_clock_was_ahead_come_again_after_an_edit_and_the_issue_says_so() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    let mut new = new_policy("hourly", 3600);
    new.rpo = Some(Rpo(HOUR * 2));
    let id = me.create_policy(new).await.unwrap().policy.id;
    world.run(&aegis, HOUR + HOUR / 2).await;
    world.clock.jump_wall_forward(HOUR * 24 * 365);
    world.run(&aegis, Duration::from_secs(300)).await;
    world.clock.jump_wall_back(HOUR * 24 * 365);
    world.run(&aegis, HOUR * 3).await;
    let issue = me.compliance(None).await.unwrap().policies.remove(0).issue.unwrap();
    assert!(issue.contains("the clock was ahead once") && issue.contains("save the policy again"), "{issue}");

    me.update_policy(id, PolicyChange::default()).await.unwrap();
    world.run(&aegis, HOUR * 3).await;
    let slots = me.slots(id, Window::first(1_000)).await.unwrap().items;
    let hours = (1..=7).map(|hour| crate::world::START.saturating_add(HOUR * hour));
    let entries = entries_of(&slots, hours);
    let ran: Vec<bool> = entries.iter().map(|slot| matches!(slot.outcome, SlotOutcome::Ran { .. })).collect();
    assert_eq!(ran, [true, false, false, false, true, true, true]);
    assert_eq!(slots.iter().map(|slot| slot.count).sum::<u64>(), 7, "and nothing that is to come");
    let issue = me.compliance(None).await.unwrap().policies.remove(0).issue;
    assert!(issue.is_none_or(|issue| !issue.contains("the clock was ahead")));
}

#[tokio::test]
async fn slots_that_were_due_when_their_policy_was_deleted_have_an_outcome() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    let id = me.create_policy(new_policy("hourly", 3600)).await.unwrap().policy.id;
    world.run(&aegis, HOUR + HOUR / 2).await;
    world.clock.advance(HOUR * 3);
    me.delete_policy(id).await.unwrap();
    let mut query = SlotQuery::new(Scope::Everyone);
    query.policy = Some(id);
    let slots = world.store.slots(&query).await.unwrap().items;
    let [due, ran] = &slots[..] else { panic!("{slots:?}") };
    assert!(matches!(ran.outcome, SlotOutcome::Ran { .. }));
    assert_eq!((due.count, due.outcome), (3, SlotOutcome::Skipped { reason: SkipReason::Deleted }));
}

#[tokio::test]
async fn a_backup_that_ends_while_a_policy_is_made_counts_for_it_whatever_was_read_before() {
    let mut stale = 0;
    for read in 1..=40 {
        let world = World::new();
        let aegis = world.engine();
        let plan =
            FaultPlan::seeded(1, Arc::new(world.clock.clone())).at(FaultPoint::StoreRead, read, Fault::Stale);
        let store = Arc::new(FaultyStore::new(Arc::clone(&world.store), plan.clone()));
        let slow = world.builder().store(store).seed([2; 32]).holder("two").build().unwrap();
        if tenant(&slow).create_policy(new_policy("before", 3600)).await.is_err() {
            continue;
        }
        world.backup(&aegis).await;
        // One of its reads answers what it answered before the backup.
        let Ok(made) = tenant(&slow).create_policy(new_policy("after", 3600)).await else { continue };
        stale += plan.happened().len();
        let state = tenant(&aegis).policy(made.policy.id).await.unwrap().state.unwrap();
        assert!(state.newest_usable.is_some(), "read {read} was stale");
    }
    assert!(stale > 0);
}
