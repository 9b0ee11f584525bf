//! Sealing: positions and chains.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::task::JoinSet;

use super::{
    LONG, StoreHarness, claim, commit, events, insert, inserting, must, must_conflict,
    samples::{cluster_state, id, job, plan, tenant},
    seal,
};
use crate::{
    model::{BackupJob, ChainHash, Entity, EntityKey, Position, SealedEvent, TenantId},
    seams::{Conflict, LeaseName, Scope, Store},
};

fn subjects(events: &[SealedEvent]) -> Vec<EntityKey> {
    events.iter().map(|sealed| sealed.event.subject.clone()).collect()
}

#[track_caller]
pub(super) fn must_be_dense(events: &[SealedEvent]) {
    let positions: Vec<u64> = events.iter().map(|sealed| sealed.position.0).collect();
    assert_eq!(positions, (1..=positions.len() as u64).collect::<Vec<_>>(), "positions have gaps");
}

/// Whether each event is linked to the one before it of the same owner.
#[track_caller]
pub(super) fn must_be_linked(events: &[SealedEvent]) {
    let mut heads: HashMap<Option<TenantId>, ChainHash> = HashMap::new();
    for sealed in events {
        let head = heads.entry(sealed.event.tenant.clone()).or_insert(ChainHash::GENESIS);
        *head = must(head.link(&sealed.event, sealed.position), "link an event");
        assert_eq!(sealed.hash, *head, "the link of {:?} at {}", sealed.event.id, sealed.position);
    }
}

/// Positions begin at 1, have no gaps, follow the commits, and within one its changes.
pub async fn positions_are_dense_and_in_commit_order<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let mut order = Vec::new();
    for n in [5, 3, 9, 1] {
        let entities: [Entity; 3] =
            [plan(n).into(), BackupJob { tenant: tenant("globex"), ..job(n) }.into(), plan(n + 100).into()];
        order.extend(entities.iter().map(Entity::key));
        insert(&*store, entities).await;
    }
    seal(&*store).await;
    let events = events(&*store, &Scope::Everyone).await;
    must_be_dense(&events);
    assert_eq!(subjects(&events), order);
}

/// Each tenant's events are linked to one another, from the beginning; so are those of nobody.
pub async fn chains_verify_for_each_tenant_and_for_none<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    for n in 1..=5 {
        let other = BackupJob { tenant: tenant("globex"), ..job(n + 10) };
        let state = cluster_state(&format!("c{n}"));
        insert(&*store, [Entity::from(job(n)), other.into(), state.into(), plan(n).into()]).await;
    }
    seal(&*store).await;
    let all = events(&*store, &Scope::Everyone).await;
    assert_eq!(all.len(), 20);
    must_be_linked(&all);
    for name in ["acme", "globex"] {
        must_be_linked(&events(&*store, &Scope::Tenant(tenant(name))).await);
    }
}

/// Seals as many as asked for, tells how far it is, and goes on there, also under another holder.
pub async fn sealing_goes_on_where_it_stopped<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let fence = claim(&*store, &LeaseName::sealer(), "one", LONG).await;
    let nothing = must(store.seal(&fence, 10).await, "seal nothing");
    assert_eq!((nothing.count, nothing.head), (0, Position::START));
    for n in 1..=5 {
        insert(&*store, [job(n)]).await;
    }
    for (limit, count, head) in [(2, 2, 2), (0, 0, 2), (2, 2, 4)] {
        let sealed = must(store.seal(&fence, limit).await, "seal");
        assert_eq!((sealed.count, sealed.head), (count, Position(head)));
        assert_eq!(events(&*store, &Scope::Everyone).await.len() as u64, head);
    }
    must(store.release(&fence).await, "release");
    let fence = claim(&*store, &LeaseName::sealer(), "two", LONG).await;
    insert(&*store, [job(6)]).await;
    let rest = must(store.seal(&fence, 10).await, "seal");
    assert_eq!((rest.count, rest.head), (2, Position(6)));
    let events = events(&*store, &Scope::Everyone).await;
    must_be_dense(&events);
    must_be_linked(&events);
    assert_eq!(subjects(&events), (1..=6).map(|n| EntityKey::Job(id(n))).collect::<Vec<_>>());
}

/// A batch never ends within a changeset, however few events were asked for.
pub async fn a_changeset_is_sealed_whole<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    insert(&*store, [Entity::from(job(1)), plan(1).into(), cluster_state("c1").into()]).await;
    insert(&*store, [job(2)]).await;
    insert(&*store, [Entity::from(job(3)), plan(3).into()]).await;
    let fence = claim(&*store, &LeaseName::sealer(), "one", LONG).await;
    for (limit, count, head) in [(1, 3, 3), (2, 3, 6)] {
        let sealed = must(store.seal(&fence, limit).await, "seal");
        assert_eq!((sealed.count, sealed.head), (count, Position(head)), "at most {limit}");
    }
    let events = events(&*store, &Scope::Everyone).await;
    must_be_dense(&events);
    let places: Vec<_> = events.iter().map(|sealed| sealed.event.id.index).collect();
    assert_eq!(places, [0, 1, 2, 0, 0, 1]);
}

/// Without the lease, or after it ran out, nothing is sealed.
pub async fn sealing_needs_the_lease<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    insert(&*store, [job(1)]).await;
    let fence = claim(&*store, &LeaseName::sealer(), "one", LONG).await;
    fresh.pass(LONG + Duration::from_secs(1)).await;
    let fenced = Conflict::Fenced { name: LeaseName::sealer() };
    assert_eq!(must_conflict(store.seal(&fence, 10).await, "seal too late"), fenced);
    let newer = claim(&*store, &LeaseName::sealer(), "two", LONG).await;
    assert_eq!(must_conflict(store.seal(&fence, 10).await, "seal after a takeover"), fenced);
    assert_eq!(events(&*store, &Scope::Everyone).await, []);
    assert_eq!(must(store.seal(&newer, 10).await, "seal").count, 1);
}

/// Sealing twice at once, while others commit, gives every event one position and breaks no chain.
pub async fn sealing_at_once_numbers_each_event_once<H: StoreHarness>(harness: &H) {
    const WRITERS: u32 = 4;
    const EACH: u32 = 10;
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let fence = claim(&*store, &LeaseName::sealer(), "one", LONG).await;
    let mut tasks = JoinSet::new();
    for writer in 0..WRITERS {
        let writing = Arc::clone(&store);
        tasks.spawn(async move {
            for n in 0..EACH {
                let (first, second) = (1 + 2 * (writer * EACH + n), 2 + 2 * (writer * EACH + n));
                let state: Entity = cluster_state(&format!("c{second}")).into();
                commit(&*writing, inserting([Entity::from(job(first)), state])).await;
            }
        });
        let (sealing, fence) = (Arc::clone(&store), fence.clone());
        tasks.spawn(async move {
            for _ in 0..EACH {
                must(sealing.seal(&fence, 3).await, "seal at once");
            }
        });
    }
    tasks.join_all().await;
    seal_rest(&*store, &fence).await;
    let events = events(&*store, &Scope::Everyone).await;
    assert_eq!(events.len(), (2 * WRITERS * EACH) as usize);
    must_be_dense(&events);
    must_be_linked(&events);
    let pairs = events.chunks(2).map(|pair| [pair[0].event.id, pair[1].event.id]);
    for [first, second] in pairs {
        assert_eq!(first.changeset, second.changeset, "the events of a changeset lie together");
    }
}

async fn seal_rest(store: &dyn Store, fence: &crate::seams::Fence) {
    while must(store.seal(fence, 100).await, "seal").count > 0 {}
}
