//! Progress, and what may be forgotten.

use std::time::Duration;

use super::{
    StoreHarness, commit, events, insert, inserting, must, read,
    samples::{at, cluster_state, every_kind, id, job, reservation},
    seal,
};
use crate::{
    model::{Entity, OperationId, Progress, Reservation, Version},
    seams::{Committed, ProgressReport, Scope, Store},
};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn report(n: u32, items_done: u64) -> ProgressReport {
    let progress = Progress {
        bytes_done: u64::from(u32::MAX) + 1,
        bytes_total: Some(1 << 50),
        items_done,
        items_total: Some(9),
        eta_low: Some(Duration::from_millis(1_500)),
        eta_high: None,
        reached: Some(7),
    };
    ProgressReport { operation: id(n), observed_at: at(n), progress, state: Some("WaitingForÜ".to_owned()) }
}

async fn noted(store: &dyn Store, numbers: &[u32]) -> Vec<ProgressReport> {
    let operations: Vec<OperationId> = numbers.iter().map(|n| id(*n)).collect();
    let mut noted: Vec<_> =
        must(store.progress(&operations).await, "ask for progress").into_values().collect();
    noted.sort_by_key(|report| report.operation);
    noted
}

/// The last note of an operation stands, also within one call; what was never noted is left out.
pub async fn the_last_progress_wins<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    must(store.report_progress(vec![report(1, 5), report(2, 1)]).await, "note progress");
    must(store.report_progress(vec![report(1, 6), report(1, 4)]).await, "note progress");
    assert_eq!(noted(&*store, &[1, 2, 3]).await, [report(1, 4), report(2, 1)]);
    assert_eq!(noted(&*store, &[2]).await, [report(2, 1)]);
    assert_eq!(noted(&*store, &[]).await, []);
}

/// A reservation stands until it is pruned at or after its end, and its key is free from then on.
pub async fn pruning_forgets_expired_reservations<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let until = |n, end| Reservation { expires_at: Some(at(end)), ..reservation(n) };
    insert(&*store, [until(1, 10), until(2, 20), until(3, 30), reservation(4)]).await;
    must(store.prune(at(20)).await, "prune");
    for (n, stays) in [(1, false), (2, false), (3, true), (4, true)] {
        let found = read(&*store, &Entity::from(reservation(n)).key()).await;
        assert_eq!(found.is_some(), stays, "reservation {n}");
    }
    insert(&*store, [until(1, 40)]).await;
    let found = read(&*store, &Entity::from(reservation(1)).key()).await;
    assert_eq!(found.map(|(version, _)| version), Some(Version::FIRST));
}

/// Progress noted more than a week ago goes.
pub async fn pruning_forgets_old_progress<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    must(store.report_progress(vec![report(1, 1), report(2, 1)]).await, "note progress");
    fresh.pass(DAY * 5).await;
    must(store.report_progress(vec![report(2, 2)]).await, "note progress");
    fresh.pass(DAY * 2 + HOUR).await;
    must(store.prune(at(0)).await, "prune");
    assert_eq!(noted(&*store, &[1, 2]).await, [report(2, 2)]);
}

/// Entities that people see, events, young progress and reservations without an end stay.
pub async fn pruning_keeps_what_is_needed<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let mut entities = every_kind(1);
    entities.retain(|entity| !matches!(entity, Entity::Reservation(_)));
    entities.push(reservation(1).into());
    insert(&*store, entities.clone()).await;
    seal(&*store).await;
    insert(&*store, [cluster_state("unsealed")]).await;
    must(store.report_progress(vec![report(1, 1)]).await, "note progress");
    fresh.pass(DAY * 6).await;
    must(store.prune(at(3_000_000_000)).await, "prune");
    for entity in entities {
        assert!(read(&*store, &entity.key()).await.is_some(), "{entity:?} is gone");
    }
    assert_eq!(noted(&*store, &[1]).await, [report(1, 1)]);
    seal(&*store).await;
    assert_eq!(events(&*store, &Scope::Everyone).await.len(), 13);
}

/// A changeset that was applied is known as such for a day, pruned or not.
pub async fn repetitions_are_known_for_a_day<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let once = inserting([job(1)]);
    commit(&*store, once.clone()).await;
    fresh.pass(DAY - HOUR).await;
    must(store.prune(at(3_000_000_000)).await, "prune");
    assert_eq!(must(store.commit(once).await, "repeat after 23 hours"), Committed::Already);
}
