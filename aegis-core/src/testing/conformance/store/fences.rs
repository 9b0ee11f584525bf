//! Fences: late writes are told apart.

use super::{
    LONG, StoreHarness, claim, commit, inserting, must, must_conflict, read,
    samples::{cluster, id, job},
};
use crate::{
    model::EntityKey,
    seams::{Changeset, Conflict, Fence, Generation, LeaseName, Store},
};

fn name() -> LeaseName {
    LeaseName::cluster(&cluster("c1"))
}

/// The insert of job `n` under `fence`.
fn fenced(n: u32, fence: &Fence) -> Changeset {
    let mut changeset = inserting([job(n)]);
    changeset.fence(fence.clone());
    changeset
}

async fn must_be_fenced(store: &dyn Store, n: u32, fence: &Fence, doing: &str) {
    let conflict = must_conflict(store.commit(fenced(n, fence)).await, doing);
    assert_eq!(conflict, Conflict::Fenced { name: name() }, "{doing}");
    assert_eq!(read(store, &EntityKey::Job(id(n))).await, None, "{doing}");
}

/// While the lease is held, also after its renewal, its holder's changes are made.
pub async fn a_commit_passes_under_a_held_lease<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let fence = claim(&*store, &name(), "one", LONG).await;
    commit(&*store, fenced(1, &fence)).await;
    claim(&*store, &name(), "one", LONG).await;
    commit(&*store, fenced(2, &fence)).await;
}

/// Once the lease ran out, nothing is changed under it, whether or not another has it.
pub async fn a_commit_under_a_lease_that_ran_out_is_refused<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let fence = claim(&*store, &name(), "one", LONG).await;
    fresh.pass(LONG).await;
    must_be_fenced(&*store, 1, &fence, "commit under a lease that ran out").await;
}

/// Once the lease was given back, nothing is changed under it, even if the same holder has it anew.
pub async fn a_commit_under_a_lease_given_back_is_refused<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let fence = claim(&*store, &name(), "one", LONG).await;
    must(store.release(&fence).await, "release");
    must_be_fenced(&*store, 1, &fence, "commit under a lease given back").await;
    claim(&*store, &name(), "one", LONG).await;
    must_be_fenced(&*store, 1, &fence, "commit under the grant before").await;
}

/// A lease that nobody was ever granted protects nothing.
pub async fn a_commit_under_a_lease_never_granted_is_refused<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let invented = |generation| Fence { name: name(), generation: Generation(generation) };
    must_be_fenced(&*store, 1, &invented(1), "commit under an unknown lease").await;
    let fence = claim(&*store, &name(), "one", LONG).await;
    let next = invented(fence.generation.0 + 1);
    must_be_fenced(&*store, 1, &next, "commit under a grant to come").await;
}

/// A holder that slept through its lease, and wakes after another took over, changes nothing.
pub async fn a_late_commit_after_a_takeover_is_refused<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let old = claim(&*store, &name(), "one", LONG).await;
    fresh.pass(LONG).await;
    let new = claim(&*store, &name(), "two", LONG).await;
    must_be_fenced(&*store, 1, &old, "commit after a takeover").await;
    let mut both = fenced(1, &new);
    both.fence(old);
    must_conflict(store.commit(both).await, "commit with one fence of two that holds");
    commit(&*store, fenced(1, &new)).await;
}
