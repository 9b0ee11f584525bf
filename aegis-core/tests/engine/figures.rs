//! Counts of runs: folded from the event log, kept beside it, exact at every moment.

use std::{sync::Arc, time::Duration};

use aegis_core::{
    engine::{Aegis, StatisticsAnswer},
    model::{BackupKind, JobStatus, NamespaceSelection, PolicyId, Position, Timestamp},
    seams::{ErrorClass, JobQuery, Scope, Store, WorkKind},
    testing::{Fault, FaultPlan, FaultPoint, FaultyStore, Script},
};

use crate::world::{START, World, local, new_policy, tenant};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A policy over everything that the cluster has.
async fn policy(aegis: &Aegis, seconds: u32) -> PolicyId {
    let mut new = new_policy("all", seconds);
    new.namespaces = NamespaceSelection::all();
    tenant(aegis).create_policy(new).await.unwrap().policy.id
}

fn at(elapsed: Duration) -> Timestamp {
    START.saturating_add(elapsed)
}

async fn statistics(aegis: &Aegis) -> StatisticsAnswer {
    tenant(aegis).statistics(START, at(90 * DAY)).await.unwrap()
}

/// How many jobs completed, by the catalogue.
async fn completed(world: &World) -> u64 {
    let mut query = JobQuery::new(Scope::Everyone);
    query.statuses = vec![JobStatus::Completed];
    query.hidden = true;
    world.store.jobs(&query).await.unwrap().items.len().try_into().unwrap()
}

/// An engine whose readers' steps suffer `fault` every other time.
fn faulty_engine(world: &World, seed: u64, fault: Fault, probability: f64) -> Aegis {
    let plan = FaultPlan::seeded(seed, Arc::new(world.clock.clone())).with_probability_at(
        [FaultPoint::AdvanceReader],
        probability,
        fault,
    );
    let store = FaultyStore::new(Arc::clone(&world.store), plan);
    let seed = [u8::try_from(seed).unwrap(); 32];
    world.builder().store(Arc::new(store) as Arc<dyn Store>).seed(seed).build().unwrap()
}

#[tokio::test]
async fn statistics_count_what_the_log_tells_by_day_policy_and_cluster() {
    let world = World::new();
    let aegis = world.engine();
    let policy = policy(&aegis, 3600).await;
    world.run(&aegis, 10 * HOUR + 20 * MINUTE).await;
    let me = tenant(&aegis);
    let first = me.statistics(START, at(10 * HOUR)).await.unwrap();
    let day_end = at(8 * HOUR);
    assert_eq!(day_end.to_string(), "2026-02-07T00:00:00Z");
    assert_eq!(first.statistics.total.completed, 10);
    assert_eq!((first.from, first.to), (day_end.saturating_sub(DAY), day_end.saturating_add(DAY)));
    let by_day: Vec<u64> = first.statistics.by_day.values().map(|tally| tally.runs()).collect();
    assert_eq!(by_day, [7, 3]);
    assert_eq!(first.statistics.by_policy[&policy].success_rate(), Some(1.0));
    assert_eq!(first.statistics.by_cluster[&local()].runs(), 10);
    assert_eq!(first.statistics.by_kind[&BackupKind::Full].runs(), 10);
    assert!(first.statistics.total.mean_size().unwrap().0 > 0);
    assert!(first.statistics.total.mean_duration().unwrap() > Duration::ZERO);
    world.driver.script_next(WorkKind::Backup, Script::failing("no space left"));
    world.run(&aegis, HOUR).await;
    let next = me.statistics(START, at(12 * HOUR)).await.unwrap();
    assert_eq!((next.statistics.total.completed, next.statistics.total.failed), (10, 1));
    assert!(next.as_of > first.as_of);
    let error = me.statistics(START, START).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::InvalidInput);
}

#[tokio::test]
async fn runs_leave_the_sliding_windows_and_another_engine_counts_the_same() {
    let world = World::new();
    let aegis = world.engine();
    policy(&aegis, 3600).await;
    world.run(&aegis, 30 * HOUR + 20 * MINUTE).await;
    let now = at(30 * HOUR + 20 * MINUTE);
    let answer = tenant(&aegis).statistics(START, now).await.unwrap();
    assert_eq!((answer.last_24h.runs(), answer.last_7d.runs()), (24, 30));
    let other = tenant(&world.other_engine()).statistics(START, now).await.unwrap();
    assert_eq!(other, answer);
    world.clock.advance(DAY);
    let later = tenant(&aegis).statistics(START, now).await.unwrap();
    assert_eq!((later.last_24h.runs(), later.last_7d.runs()), (0, 30));
}

#[tokio::test]
async fn an_answer_has_what_no_reader_has_counted_yet() {
    let world = World::new();
    let behind = faulty_engine(&world, 3, Fault::Refuse, 1.0);
    let id = policy(&behind, 3600).await;
    world.run(&behind, 30 * HOUR + 20 * MINUTE).await;
    assert_eq!(world.store.reader_position("figures/ended").await.unwrap(), Position::START);
    let answer = statistics(&behind).await;
    assert_eq!((answer.statistics.total.completed, answer.last_24h.completed), (30, 24));
    world.engine().pass().await;
    assert!(world.store.reader_position("figures/ended").await.unwrap() > Position::START);
    let counted = statistics(&behind).await;
    assert_eq!((&counted.statistics, counted.last_24h), (&answer.statistics, answer.last_24h));
    assert_eq!(counted.statistics.by_policy[&id].completed, 30);
}

#[tokio::test]
async fn after_a_restart_only_what_came_since_is_read() {
    let world = World::new();
    let aegis = world.engine();
    policy(&aegis, 3600).await;
    world.run(&aegis, 50 * HOUR).await;
    let head = tenant(&aegis).events(Position::START, 10_000).await.unwrap().last().unwrap().position;
    let is_there = |position| position == head;
    assert!(is_there(world.store.reader_position("figures/ended").await.unwrap()));
    let left = world.store.reader_position("figures/left-day").await.unwrap();
    assert!(left > Position(head.0 / 3) && left < head, "{left} of {head}");
    assert_eq!(statistics(&world.other_engine()).await, statistics(&aegis).await);
}

#[tokio::test]
async fn two_engines_that_count_at_once_count_each_run_once() {
    for fault in [Fault::LoseAnswer, Fault::Lie, Fault::Duplicate, Fault::Refuse] {
        let world = World::new();
        let one = faulty_engine(&world, 4, fault, 0.5);
        let two = faulty_engine(&world, 5, fault, 0.5);
        policy(&one, 1800).await;
        for _ in 0..60 {
            futures::future::join(one.pass(), two.pass()).await;
            world.clock.advance(HOUR / 2);
            // The lease goes to and fro, so that each finds what the other did.
            world.run(if completed(&world).await % 2 == 0 { &one } else { &two }, MINUTE).await;
        }
        world.run(&one, MINUTE).await;
        assert_eq!(statistics(&one).await.statistics.total.completed, completed(&world).await, "{fault:?}");
        assert!(completed(&world).await > 20);
    }
}

#[tokio::test]
async fn a_run_leaves_the_last_30_days_when_it_is_30_days_old() {
    let world = World::new();
    let aegis = world.engine();
    policy(&aegis, 24 * 3600).await;
    world.run(&aegis, 2 * DAY + HOUR).await;
    let only = async || tenant(&aegis).compliance(None).await.unwrap().policies.remove(0);
    assert_eq!(only().await.backup_count_30d, 2);
    let events = tenant(&aegis).events(Position::START, 1000).await.unwrap();
    let ended = events.iter().find(|sealed| sealed.event.kind.as_str() == "job.completed").unwrap().event.at;
    let leaves = ended.saturating_add(30 * DAY);
    let now = at(2 * DAY + HOUR);
    world.clock.advance(leaves.since(now) - Duration::from_micros(1));
    assert_eq!(only().await.backup_count_30d, 2);
    world.clock.advance(Duration::from_micros(1));
    assert_eq!(only().await.backup_count_30d, 1);
    world.clock.advance(2 * DAY);
    assert_eq!(only().await.backup_count_30d, 0);
}
