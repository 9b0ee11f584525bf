//! An expected absence is strict against what is inserted meanwhile.

use std::sync::Arc;

use aegis_core::{
    model::{Entity, EventFacts, EventKind},
    seams::{Changeset, Store, StoreError},
};

use crate::{
    common::{changeset, reservation},
    database::Database,
};

/// Takes `own`, for which `other` must be free.
fn taking(id: u128, own: &str, other: &str) -> Changeset {
    let mut changeset = changeset(id);
    changeset.expect_absent(Entity::from(reservation(other)).key());
    changeset.insert(reservation(own), EventKind::ReservationMade, EventFacts::default());
    changeset
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_each_need_the_other_to_be_absent_one_at_most_is_applied() {
    let Some(database) = Database::fresh("absence on PostgreSQL").await else { return };
    let store = Arc::new(database.open().await);
    for round in 0..40u128 {
        let (one, two) = (format!("one {round}"), format!("two {round}"));
        let commit = |changeset| {
            let store = Arc::clone(&store);
            async move { store.commit(changeset).await }
        };
        let (first, second) = tokio::join!(
            commit(taking(round * 2 + 1, &one, &two)),
            commit(taking(round * 2 + 2, &two, &one))
        );
        let applied = [&first, &second].iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(applied, 1, "round {round}: {first:?} {second:?}");
        let refused = [first, second].into_iter().find_map(Result::err);
        assert!(matches!(refused, Some(StoreError::Conflict(_))), "round {round}: {refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_expected_to_be_absent_leaves_nothing_behind() {
    let Some(database) = Database::fresh("absence on PostgreSQL").await else { return };
    let store = database.open().await;
    store.commit(taking(1, "one", "two")).await.unwrap();
    let rows: i64 = sqlx::query_scalar("select count(*) from reservation where version = 0")
        .fetch_one(&mut database.connect().await)
        .await
        .unwrap();
    assert_eq!(rows, 0);
    store.commit(taking(2, "two", "three")).await.unwrap();
}
