//! A log that others write to, too: other versions, and somebody who changes its table.

use aegis_core::{
    model::{ChainHash, Position, TenantId},
    seams::{ErrorClass, LeaseName, Scope, Store, report},
    testing::fixtures,
};

use crate::{
    common::{changesets_of_events, inserting, lease},
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
