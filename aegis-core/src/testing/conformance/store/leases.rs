//! Leases: who holds what.

use std::{sync::Arc, time::Duration};

use tokio::task::JoinSet;

use super::{LONG, StoreHarness, claim, must, samples::cluster};
use crate::seams::{Claim, Fence, HolderId, LeaseName, Store};

fn name() -> LeaseName {
    LeaseName::cluster(&cluster("c1"))
}

/// Who holds the lease, as another sees it; panics if that one is granted.
async fn held_by(store: &dyn Store, name: &LeaseName, other: &str) -> (HolderId, Duration) {
    match must(store.claim(name, &HolderId(other.to_owned()), LONG).await, "claim") {
        Claim::Held { by, remaining } => (by, remaining),
        Claim::Granted(lease) => panic!("{other} was granted a lease that another holds: {lease:?}"),
    }
}

/// While one holds a lease, others are told who and for how long.
pub async fn a_lease_has_one_holder<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let granted = must(store.claim(&name(), &HolderId("one".to_owned()), LONG).await, "claim");
    let Claim::Granted(lease) = granted else { panic!("a free lease was refused: {granted:?}") };
    assert_eq!((&lease.fence.name, lease.valid_for), (&name(), LONG));
    fresh.pass(Duration::from_secs(100)).await;
    let (by, remaining) = held_by(&*store, &name(), "two").await;
    assert_eq!(by, HolderId("one".to_owned()));
    assert!(remaining <= Duration::from_secs(500), "{remaining:?} of 600 s are left after 100 s");
    assert!(remaining > Duration::from_secs(400), "{remaining:?} of 600 s are left after 100 s");
}

/// The holder's own claim renews: the same generation, counted from now.
pub async fn a_holder_renews_under_its_generation<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let first = claim(&*store, &name(), "one", LONG).await;
    fresh.pass(LONG / 2).await;
    assert_eq!(claim(&*store, &name(), "one", LONG).await, first);
    fresh.pass(LONG / 2 + Duration::from_secs(60)).await;
    assert_eq!(held_by(&*store, &name(), "two").await.0, HolderId("one".to_owned()));
}

/// A lease that was not renewed in time goes to whoever claims it, under a greater generation.
pub async fn a_lease_that_ran_out_goes_to_another<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let first = claim(&*store, &name(), "one", LONG).await;
    fresh.pass(LONG).await;
    let second = claim(&*store, &name(), "two", LONG).await;
    assert!(second.generation > first.generation, "{second:?} after {first:?}");
    assert_eq!(held_by(&*store, &name(), "one").await.0, HolderId("two".to_owned()));
}

/// A lease that ran out is a new grant even for who had it: others may have acted meanwhile.
pub async fn a_lease_that_ran_out_is_granted_anew_to_its_holder<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let first = claim(&*store, &name(), "one", LONG).await;
    fresh.pass(LONG).await;
    let second = claim(&*store, &name(), "one", LONG).await;
    assert!(second.generation > first.generation, "{second:?} after {first:?}");
}

/// A lease given back is free for anyone, and each grant after that is a new one.
pub async fn a_lease_given_back_is_free_at_once<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let mut last = claim(&*store, &name(), "one", LONG).await;
    for holder in ["two", "two", "one"] {
        must(store.release(&last).await, "release");
        let next = claim(&*store, &name(), holder, LONG).await;
        assert!(next.generation > last.generation, "{next:?} after {last:?}");
        last = next;
    }
}

/// Giving back what was granted anew since, or never was, changes nothing.
pub async fn giving_back_an_old_grant_changes_nothing<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let first = claim(&*store, &name(), "one", LONG).await;
    fresh.pass(LONG).await;
    claim(&*store, &name(), "two", LONG).await;
    must(store.release(&first).await, "release late");
    must(store.release(&Fence { name: LeaseName::sealer(), ..first }).await, "release what is unknown");
    assert_eq!(held_by(&*store, &name(), "one").await.0, HolderId("two".to_owned()));
}

/// Each name is a lease of its own.
pub async fn leases_of_different_names_are_apart<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let names = [name(), LeaseName::cluster(&cluster("c2")), LeaseName::sealer(), LeaseName::notifier("c1")];
    for (name, holder) in names.iter().zip(["a", "b", "c", "d"]) {
        assert_eq!(&claim(&*store, name, holder, LONG).await.name, name);
    }
    for (name, holder) in names.iter().zip(["a", "b", "c", "d"]) {
        assert_eq!(held_by(&*store, name, "e").await.0, HolderId(holder.to_owned()));
    }
}

/// Of many who claim a free lease at once, one is granted, and again each time that it was given back.
pub async fn one_of_many_claimants_is_granted<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    for round in 0..8 {
        let mut claimants = JoinSet::new();
        for n in 0..8 {
            let store = Arc::clone(&store);
            let claiming = async move { store.claim(&name(), &HolderId(n.to_string()), LONG).await };
            claimants.spawn(claiming);
        }
        let claims = claimants.join_all().await.into_iter().map(|claim| must(claim, "claim at once"));
        let mut granted = claims.filter_map(|claim| match claim {
            Claim::Granted(lease) => Some(lease.fence),
            Claim::Held { .. } => None,
        });
        let Some(first) = granted.next() else { panic!("nobody was granted the lease in round {round}") };
        assert_eq!(granted.count(), 0, "in round {round}, besides {first:?}");
        must(store.release(&first).await, "release");
    }
}
