//! A log that others write to, too: other versions, and somebody who changes its table.

use aegis_core::{
    model::{ChainHash, Position, TenantId},
    seams::{Committed, ErrorClass, LeaseName, Scope, Store, report},
    testing::fixtures,
};
use aegis_store_postgres::PostgresStore;

use crate::{
    common::{Stop, changesets_of_events, inserting, lease, pair},
    database::{Database, execute},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_was_moved_to_another_tenant_is_shown_to_nobody_and_named() {
    let Some(database) = Database::fresh("the log on PostgreSQL").await else { return };
    let store = database.open().await;
    store.commit(inserting(1, fixtures::job(1))).await.unwrap();
    store.commit(inserting(2, fixtures::job(2))).await.unwrap();
    assert_eq!(changesets_of_events(&store).await, [1, 2]);
    let moving = "update event set tenant = 'thief' where position = 2";
    execute(&mut database.connect().await, moving).await;
    let thief = Scope::Tenant(TenantId::new("thief").unwrap());
    for scope in [thief, Scope::Everyone] {
        let refused = store.events(&scope, Position::START, 10).await.unwrap_err();
        assert_eq!(refused.class(), ErrorClass::Internal);
        assert!(report(&refused).to_string().contains("position 2"), "{}", report(&refused));
    }
}

/// Commits a pair that stops between its two events, and another one meanwhile; `meanwhile` then runs
/// before the first goes on.
async fn interleave(database: &Database, store: &PostgresStore, meanwhile: impl Future<Output = ()>) {
    let mut stop = Stop::within_the_first_pair(database).await;
    let beside = async {
        stop.until_waiting(1).await;
        store.commit(pair(2)).await.unwrap();
        meanwhile.await;
        stop.go_on().await;
    };
    let (stopped, ()) = tokio::join!(store.commit(pair(1)), beside);
    assert_eq!(stopped.unwrap(), Committed::Applied);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_events_of_commits_that_interleave_lie_together() {
    let Some(database) = Database::fresh("the log on PostgreSQL").await else { return };
    let store = database.open().await;
    interleave(&database, &store, async {}).await;
    assert_eq!(changesets_of_events(&store).await, [1, 1, 2, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lower_number_that_is_committed_late_is_sealed_after_the_higher_ones() {
    let Some(database) = Database::fresh("the log on PostgreSQL").await else { return };
    let store = database.open().await;
    let seal_the_second = async { assert_eq!(changesets_of_events(&store).await, [2, 2]) };
    interleave(&database, &store, seal_the_second).await;
    assert_eq!(changesets_of_events(&store).await, [2, 2, 1, 1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_newer_version_wrote_is_sealed_as_it_was_written() {
    let Some(database) = Database::fresh("the log on PostgreSQL").await else { return };
    let store = database.open().await;
    let document = r#"{"tenant":"acme", "kind": "of.tomorrow", "and more": [1]}"#;
    let writing = format!("insert into event_tail (tenant, document) values ('acme', '{document}')");
    let mut newer = database.connect().await;
    execute(&mut newer, &writing).await;
    let fence = lease(&store, &LeaseName::sealer()).await;
    assert_eq!(store.seal(&fence, 10).await.unwrap().count, 1);
    let sealed: (String, Vec<u8>) =
        sqlx::query_as("select document::text, hash from event").fetch_one(&mut newer).await.unwrap();
    let hash = ChainHash::GENESIS.link_document(document.as_bytes(), Position(1));
    assert_eq!(sealed, (document.to_owned(), hash.as_bytes().to_vec()));
}
