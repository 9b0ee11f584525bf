//! A restart.

use super::{
    LONG, StoreHarness, claim, commit, events, insert, inserting, must, read,
    readers::{all, row, step},
    samples::{at, cluster, every_kind, id, job, policy_state},
    seal,
    sealing::{must_be_dense, must_be_linked},
    updating,
};
use crate::{
    model::{BackupJob, JobStatus, Version},
    seams::{Claim, Committed, HolderId, JobQuery, LeaseName, Scope},
};

/// A newly opened store knows all that was committed, noted and granted before.
///
/// Nothing is checked of a store that says that it keeps nothing.
pub async fn reopening_keeps_everything<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let entities = every_kind(1);
    insert(&*store, entities.clone()).await;
    let running = BackupJob { status: JobStatus::InProgress, ..job(2) };
    let repeated = inserting([job(2)]);
    commit(&*store, repeated.clone()).await;
    commit(&*store, updating(Version::FIRST, running.clone())).await;
    seal(&*store).await;
    insert(&*store, [policy_state(2)]).await;
    must(store.advance_reader(step(0, 3, [row("acme", "count", "3")])).await, "step on");
    let name = LeaseName::cluster(&cluster("c1"));
    let fence = claim(&*store, &name, "one", LONG).await;
    let before = events(&*store, &Scope::Everyone).await;
    drop(store);

    let Some(store) = fresh.reopen().await else { return };
    for entity in entities {
        assert_eq!(read(&*store, &entity.key()).await, Some((Version::FIRST, entity)));
    }
    let live = must(store.jobs(&JobQuery::new(Scope::Everyone)).await, "list jobs").items;
    assert_eq!(live.iter().map(|job| (job.version, job.id)).collect::<Vec<_>>(), [(Version(2), id(2))]);
    let due = must(store.due_policies(&cluster("c1"), at(9), 9).await, "list what is due");
    assert_eq!(due.len(), 2);
    assert_eq!(must(store.commit(repeated).await, "repeat"), Committed::Already);
    assert_eq!(events(&*store, &Scope::Everyone).await, before);
    assert_eq!(all(&*store).await, (3, vec![("count".to_owned(), "3".to_owned())]));
    let claimed = must(store.claim(&name, &HolderId("two".to_owned()), LONG).await, "claim");
    assert!(matches!(claimed, Claim::Held { .. }), "a lease was lost: {claimed:?}");
    let mut fenced = inserting([job(3)]);
    fenced.fence(fence);
    commit(&*store, fenced).await;
    seal(&*store).await;
    let after = events(&*store, &Scope::Everyone).await;
    assert_eq!(after.len(), before.len() + 2);
    must_be_dense(&after);
    must_be_linked(&after);
}
