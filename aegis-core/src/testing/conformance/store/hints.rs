//! Hints: who waits is told, and who commits is not held up.

use std::{pin::pin, time::Duration};

use futures::{
    StreamExt,
    future::{self, Either},
    stream::BoxStream,
};

use super::{LONG, StoreHarness, claim, insert, must, samples::job, seal};
use crate::seams::{LeaseName, Store, StoreHint};

/// How long a hint may take on a busy machine, by its own clock.
const PATIENCE: Duration = Duration::from_secs(5);

/// A stream that hears what is done from now on.
async fn listening(store: &dyn Store) -> BoxStream<'static, StoreHint> {
    let mut hints = store.hints();
    until(&mut hints, &StoreHint::Everything).await;
    hints
}

/// Waits for a hint, whatever comes before.
#[expect(clippy::disallowed_methods, reason = "hints come by the machine's own clock")]
async fn until(hints: &mut BoxStream<'static, StoreHint>, hint: &StoreHint) {
    let heard = pin!(async { while hints.next().await.is_some_and(|heard| heard != *hint) {} });
    let patience = pin!(tokio::time::sleep(PATIENCE));
    match future::select(heard, patience).await {
        Either::Left(_) => {}
        Either::Right(_) => panic!("nobody said {hint:?} within {PATIENCE:?}"),
    }
}

/// A commit tells that there is something to seal and for which cluster there is work, sealing that
/// the log grew, and the return of a cluster's lease that its work is free.
pub async fn who_waits_is_told_what_there_is_to_do<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let mut hints = listening(&*store).await;
    let cluster = job(1).cluster;
    let work = StoreHint::Work(cluster.clone());
    insert(&*store, [job(1)]).await;
    until(&mut hints, &StoreHint::Committed).await;
    insert(&*store, [job(2)]).await;
    until(&mut hints, &work).await;
    seal(&*store).await;
    until(&mut hints, &StoreHint::Sealed).await;
    let fence = claim(&*store, &LeaseName::cluster(&cluster), "one", LONG).await;
    must(store.release(&fence).await, "give a lease back");
    until(&mut hints, &work).await;
}

/// Each stream tells everything, and one that was dropped takes nothing from the others.
pub async fn each_listener_is_told_and_who_is_gone_is_no_hindrance<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let gone = listening(&*store).await;
    let mut first = listening(&*store).await;
    let mut second = listening(&*store).await;
    drop(gone);
    // Nobody takes these: they hold up no commit.
    for n in 1..=100 {
        insert(&*store, [job(n)]).await;
    }
    until(&mut first, &StoreHint::Committed).await;
    until(&mut second, &StoreHint::Committed).await;
}
