//! What a claim costs those who hold the lease.

use std::time::Duration;

use aegis_core::{
    model::EntityKey,
    seams::{Claim, ErrorClass, HolderId, LeaseName, Scope, Store},
    testing::fixtures,
};
use aegis_store_postgres::PostgresStore;

use crate::{
    common::lease,
    database::{Database, execute},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_finds_the_lease_held_writes_nothing() {
    let Some(database) = Database::fresh("leases on PostgreSQL").await else { return };
    let store = database.open().await;
    lease(&store, &LeaseName::sealer()).await;
    let other = HolderId("another".to_owned());
    let claim = store.claim(&LeaseName::sealer(), &other, Duration::from_secs(60)).await.unwrap();
    assert!(matches!(claim, Claim::Held { .. }), "{claim:?}");
    // A row that was locked, be it only to look at it, keeps who did.
    let locked: bool = sqlx::query_scalar("select xmax <> '0' from lease")
        .fetch_one(&mut database.connect().await)
        .await
        .unwrap();
    assert!(!locked);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_are_renewed_and_events_sealed_while_reads_take_every_connection() {
    let Some(database) = Database::fresh("leases on PostgreSQL").await else { return };
    let options = database.options().connections(1).acquire_timeout(Duration::from_millis(500));
    let store = PostgresStore::open(options.statement_timeout(Duration::from_secs(10))).await.unwrap();
    let mut other = database.connect().await;
    execute(&mut other, "begin").await;
    execute(&mut other, "lock table job").await;
    let key = EntityKey::Job(fixtures::job(1).id);
    let slow = store.get(&Scope::Everyone, &key);
    let meanwhile = async {
        let crowded = store.get(&Scope::Everyone, &key).await.unwrap_err();
        assert_eq!(crowded.class(), ErrorClass::Unavailable, "the pool has a connection left");
        let fence = lease(&store, &LeaseName::sealer()).await;
        store.seal(&fence, 10).await.unwrap();
        store.release(&fence).await.unwrap();
        execute(&mut other, "commit").await;
    };
    let (slow, ()) = tokio::join!(slow, meanwhile);
    assert!(slow.unwrap().is_none());
}
