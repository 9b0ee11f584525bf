//! What deletion removes, and what it keeps.

use super::{
    DriverHarness,
    session::{CHANGED, ENTRY, Session, in_place},
};
use crate::{model::ExistingResourcePolicy, seams::Feature};

/// What was deleted is not listed any more, and may be deleted again by the same operation and by
/// another.
pub async fn a_deleted_backup_is_gone_and_may_be_deleted_again<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open(harness).await else { return };
    let record = session.back_up().await;
    let operation = session.delete(&record);
    for _ in 0..2 {
        session.complete(&operation).await;
    }
    session.complete(&session.delete(&record)).await;
    if session.has(Feature::Inventory) {
        let left = session.inventory(100).await;
        assert!(left.is_empty(), "what was deleted is still listed: {left:?}");
    }
}

/// Deleting one backup leaves the others listed and restorable, also where they share data.
pub async fn deleting_one_backup_keeps_the_others<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open(harness).await else { return };
    let first = session.back_up().await;
    session.write(ENTRY, CHANGED).await;
    let second = session.back_up().await;
    session.complete(&session.delete(&first)).await;
    session.remove(ENTRY).await;
    session.complete(&session.restore(&second, in_place(ExistingResourcePolicy::None))).await;
    assert_eq!(session.read(ENTRY).await.as_deref(), Some(CHANGED));
    if session.has(Feature::Inventory) {
        let left: Vec<_> = session.inventory(100).await.into_iter().map(|item| item.handle).collect();
        assert_eq!(left, [second.handle]);
    }
}
