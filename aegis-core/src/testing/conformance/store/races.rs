//! Many at once.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::{
    StoreHarness, events, insert, inserting, must, must_conflict, read,
    samples::{id, job, reservation},
    seal, updating, writing,
};
use crate::{
    model::{BackupJob, Entity, EntityKey, Reservation, Version},
    seams::{Changeset, Committed, JobQuery, Scope, Store, StoreError, Write},
};

/// Commits every changeset in a task of its own; the answers in no order.
async fn at_once(
    store: &Arc<dyn Store>,
    changesets: impl IntoIterator<Item = Changeset>,
) -> Vec<Result<Committed, StoreError>> {
    let mut tasks = JoinSet::new();
    for changeset in changesets {
        let store = Arc::clone(store);
        tasks.spawn(async move { store.commit(changeset).await });
    }
    tasks.join_all().await
}

/// The same changeset committed many times at once is applied by one of them.
pub async fn concurrent_repetitions_are_applied_once<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    for n in 1..=8 {
        let changeset = inserting([Entity::from(job(n)), reservation(n).into()]);
        let answers = at_once(&store, vec![changeset; 8]).await;
        let answers: Vec<_> = answers.into_iter().map(|answer| must(answer, "repeat at once")).collect();
        assert_eq!(answers.iter().filter(|answer| **answer == Committed::Applied).count(), 1, "{answers:?}");
    }
    seal(&*store).await;
    assert_eq!(events(&*store, &Scope::Everyone).await.len(), 16);
}

/// Of those who update one version at once, exactly one does.
pub async fn one_of_two_writers_of_a_version_wins<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    for n in 1..=16 {
        insert(&*store, [job(n)]).await;
        let update = |priority| updating(Version::FIRST, BackupJob { priority, ..job(n) });
        let answers = at_once(&store, [update(1), update(2)]).await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, 1), "{won:?} {lost:?}");
        lost.into_iter().for_each(|answer| drop(must_conflict(answer, "lose")));
        let found = read(&*store, &EntityKey::Job(id(n))).await.map(|(version, _)| version);
        assert_eq!(found, Some(Version(2)));
    }
}

/// Many writers who each add one to a counter, reading again when they lose, add up.
pub async fn concurrent_writers_lose_nothing<H: StoreHarness>(harness: &H) {
    const WRITERS: u32 = 6;
    const EACH: u32 = 5;
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let counter = |count: u32| Reservation { request_hash: Some(count.to_string()), ..reservation(0) };
    insert(&*store, [counter(0)]).await;
    let key = Entity::from(counter(0)).key();
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (store, key) = (Arc::clone(&store), key.clone());
        writers.spawn(async move {
            for n in 0..EACH {
                let own = job(1 + writer * EACH + n);
                while !add_one(&*store, &key, counter, &own).await {}
            }
        });
    }
    writers.join_all().await;
    let expected: Entity = counter(WRITERS * EACH).into();
    let version = Version(u64::from(1 + WRITERS * EACH));
    assert_eq!(read(&*store, &key).await, Some((version, expected)));
    let jobs = must(store.jobs(&JobQuery::new(Scope::Everyone)).await, "list jobs").items;
    assert_eq!(jobs.len(), (WRITERS * EACH) as usize);
}

/// Adds one to the counter and inserts a job, in one changeset; whether it won.
async fn add_one(
    store: &dyn Store,
    key: &EntityKey,
    counter: impl Fn(u32) -> Reservation,
    own: &BackupJob,
) -> bool {
    let Some((version, Entity::Reservation(found))) = read(store, key).await else {
        panic!("the counter is gone")
    };
    let count: u32 = found.request_hash.as_deref().and_then(|text| text.parse().ok()).unwrap_or_default();
    let changeset =
        writing([Write::Update(counter(count + 1).into(), version), Write::Insert(own.clone().into())]);
    match store.commit(changeset).await {
        Ok(_) => true,
        answer => {
            must_conflict(answer, "add to the counter");
            false
        }
    }
}
