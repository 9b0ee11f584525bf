//! A server that is killed under load loses nothing that was acknowledged.

use std::{sync::Arc, time::Duration};

use aegis_core::{
    model::EntityKey,
    seams::{ErrorClass, Scope, Store},
    testing::fixtures,
};
use aegis_store_postgres::{PostgresOptions, PostgresStore};
use tokio::task::JoinSet;

use crate::{
    common::{changesets_of_events, inserting},
    server::Server,
};

const WRITERS: usize = 4;
const KILLS: u32 = 3;

/// Commits one job after the other until told to stop; each is committed until the store has said
/// that it is.
async fn write(store: Arc<PostgresStore>, first: u64, stop: tokio::sync::watch::Receiver<bool>) -> Vec<u64> {
    let mut acknowledged = Vec::new();
    for number in (first..).step_by(WRITERS) {
        if *stop.borrow() {
            break;
        }
        let changeset = inserting(number.into(), fixtures::job(number));
        while let Err(error) = store.commit(changeset.clone()).await {
            let class = error.class();
            assert!(matches!(class, ErrorClass::Unavailable | ErrorClass::Indeterminate), "{error:?}");
        }
        acknowledged.push(number);
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "a real server takes real time")]
async fn a_killed_server_has_every_acknowledged_commit_when_it_is_back() {
    let Some(mut server) = Server::start("a killed PostgreSQL server").await else { return };
    let options = PostgresOptions::new(&server.url("aegis")).unwrap().connections(8);
    let options = options.acquire_timeout(Duration::from_millis(500));
    let store = Arc::new(PostgresStore::open(options).await.unwrap());
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut writers = JoinSet::new();
    for first in (1..).take(WRITERS) {
        writers.spawn(write(Arc::clone(&store), first, stopped.clone()));
    }
    for _ in 0..KILLS {
        tokio::time::sleep(Duration::from_millis(700)).await;
        server.kill();
        server.run().await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    stop.send(true).unwrap();
    let acknowledged: Vec<u64> = writers.join_all().await.into_iter().flatten().collect();
    assert!(acknowledged.len() > 100, "only {} commits: too few to tell", acknowledged.len());

    for number in &acknowledged {
        let key = EntityKey::Job(fixtures::job(*number).id);
        assert!(store.get(&Scope::Everyone, &key).await.unwrap().is_some(), "job {number} is lost");
    }
    let mut events = changesets_of_events(&*store).await;
    events.sort_unstable();
    let mut expected: Vec<u128> = acknowledged.into_iter().map(u128::from).collect();
    expected.sort_unstable();
    assert_eq!(events, expected, "each commit has one event");
}
