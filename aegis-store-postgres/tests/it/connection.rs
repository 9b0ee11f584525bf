//! Connections that are lost, at every message of a commit.

use std::time::Duration;

use aegis_core::{
    model::EntityKey,
    seams::{ErrorClass, Scope, Store},
    testing::fixtures,
};
use aegis_store_postgres::{PostgresOptions, PostgresStore};

use crate::{
    common::{changesets_of_events, inserting, varied},
    database::{Database, SCHEMA},
    proxy::{Cut, Proxy},
};

struct Behind {
    database: Database,
    proxy: Proxy,
}

impl Behind {
    async fn fresh(test: &str) -> Option<Self> {
        let database = Database::fresh(test).await?;
        let server =
            database.url.split('@').nth(1).and_then(|rest| rest.split('/').next()).unwrap().to_owned();
        let proxy = Proxy::to(server).await;
        Some(Self { database, proxy })
    }

    /// A store with no connection yet but the one that opened it.
    async fn open(&self) -> PostgresStore {
        let name = self.database.url.rsplit('/').next().unwrap();
        let url = format!("postgres://postgres@127.0.0.1:{}/{name}?sslmode=disable", self.proxy.port);
        let options = PostgresOptions::new(&url).unwrap().schema(SCHEMA).connections(1);
        PostgresStore::open(options.acquire_timeout(Duration::from_millis(700))).await.unwrap()
    }
}

/// Messages of a commit: those that prepare it, and the one that carries it out.
const MESSAGES: i64 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_connection_is_cut_anywhere_is_applied_once() {
    let Some(behind) = Behind::fresh("cut connections on PostgreSQL").await else { return };
    let direct = behind.database.open().await;
    let mut expected = Vec::new();
    let mut cuts = 0;
    for (id, (message, what)) in (1_000..)
        .step_by(1_000)
        .zip((0..MESSAGES).flat_map(|message| [(message, Cut::Request), (message, Cut::Answer)]))
    {
        let store = behind.open().await;
        let changeset = varied(&direct, id).await;
        behind.proxy.cut_after(message, what);
        let answer = store.commit(changeset.clone()).await;
        cuts += u32::from(behind.proxy.has_cut());
        behind.proxy.heal();
        // The store settles it by itself, over a new connection.
        answer.unwrap_or_else(|error| panic!("message {message}, {what:?}: {error:?}"));
        expected.extend([id - 1; 3]);
        expected.extend([id; 3]);
        store.close().await;
    }
    assert!(cuts >= 4, "only {cuts} commits lost their connection");
    assert_eq!(changesets_of_events(&direct).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_nobody_can_settle_is_indeterminate_until_it_is_made_again() {
    let Some(behind) = Behind::fresh("cut connections on PostgreSQL").await else { return };
    let direct = behind.database.open().await;
    let mut expected = Vec::new();
    let mut indeterminate = 0;
    for (id, (message, what)) in (1_000..)
        .step_by(1_000)
        .zip((0..MESSAGES).flat_map(|message| [(message, Cut::Request), (message, Cut::Answer)]))
    {
        let store = behind.open().await;
        let changeset = varied(&direct, id).await;
        behind.proxy.cut_after(message, what);
        behind.proxy.go_away();
        let answer = store.commit(changeset.clone()).await;
        behind.proxy.heal();
        if let Err(error) = answer {
            assert_eq!(error.class(), ErrorClass::Indeterminate, "message {message}, {what:?}: {error:?}");
            indeterminate += 1;
            store.commit(changeset).await.unwrap();
        }
        expected.extend([id - 1; 3]);
        expected.extend([id; 3]);
        store.close().await;
    }
    assert!(indeterminate >= 4, "only {indeterminate} commits were indeterminate");
    assert_eq!(changesets_of_events(&direct).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_away_is_used_again_without_a_restart() {
    let Some(behind) = Behind::fresh("cut connections on PostgreSQL").await else { return };
    let store = behind.open().await;
    store.commit(inserting(1, fixtures::job(1))).await.unwrap();
    behind.proxy.cut_after(0, Cut::Request);
    behind.proxy.go_away();
    let key = EntityKey::Job(fixtures::job(1).id);
    for _ in 0..2 {
        let error = store.get(&Scope::Everyone, &key).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Unavailable, "{error:?}");
        assert!(!format!("{error:?}").contains("postgres@"), "{error:?}");
    }
    let unsent = store.commit(inserting(2, fixtures::job(2))).await.unwrap_err();
    assert_eq!(unsent.class(), ErrorClass::Unavailable, "{unsent:?}");
    behind.proxy.heal();
    assert!(store.get(&Scope::Everyone, &key).await.unwrap().is_some());
    store.commit(inserting(2, fixtures::job(2))).await.unwrap();
}
