//! Connections that are lost, at every message of a commit.

use std::time::Duration;

use aegis_core::{
    model::{EntityKey, Position},
    seams::{Committed, ErrorClass, LeaseName, Scope, Store},
    testing::fixtures,
};
use aegis_store_postgres::{PostgresOptions, PostgresStore};

use crate::{
    common::{Stop, changesets_of_events, inserting, lease, pair, until_waiting, varied},
    database::{Database, SCHEMA, execute, sessions},
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

    fn options(&self) -> PostgresOptions {
        let name = self.database.url.rsplit('/').next().unwrap();
        let url = format!("postgres://postgres@127.0.0.1:{}/{name}?sslmode=disable", self.proxy.port);
        let options = PostgresOptions::new(&url).unwrap().schema(SCHEMA).connections(1);
        options.acquire_timeout(Duration::from_millis(700))
    }

    /// A store with no connection yet but the one that opened it.
    async fn open(&self) -> PostgresStore {
        PostgresStore::open(self.options()).await.unwrap()
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
async fn a_lost_commit_that_still_runs_when_it_is_made_again_is_applied_once() {
    let Some(behind) = Behind::fresh("cut connections on PostgreSQL").await else { return };
    let direct = behind.database.open().await;
    let store = behind.open().await;
    let mut stop = Stop::within_the_first_pair(&behind.database).await;
    let losing = async {
        stop.until_waiting(1).await;
        behind.proxy.cut_now();
        // The second try waits for the first, which nobody listens to any more.
        stop.until_waiting(2).await;
        stop.go_on().await;
    };
    let (settled, ()) = tokio::join!(store.commit(pair(1)), losing);
    assert_eq!(settled.unwrap(), Committed::Already);
    assert_eq!(changesets_of_events(&direct).await, [1, 1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealer_whose_connection_is_cut_anywhere_seals_each_event_once_and_in_order() {
    let Some(behind) = Behind::fresh("cut connections on PostgreSQL").await else { return };
    let direct = behind.database.open().await;
    let (mut expected, mut cuts) = (Vec::new(), 0);
    // To read a batch and to move it, each is prepared and then carried out.
    for (id, (message, what)) in
        (2..).zip((0..MESSAGES).flat_map(|message| [(message, Cut::Request), (message, Cut::Answer)]))
    {
        let store = behind.open().await;
        let fence = lease(&store, &LeaseName::sealer()).await;
        direct.commit(pair(id)).await.unwrap();
        behind.proxy.cut_after(message, what);
        if let Err(error) = store.seal(&fence, 10).await {
            let class = error.class();
            assert!(matches!(class, ErrorClass::Unavailable | ErrorClass::Indeterminate), "{error:?}");
        }
        cuts += u32::from(behind.proxy.has_cut());
        behind.proxy.heal();
        store.close().await;
        expected.extend([id; 2]);
    }
    assert!(cuts >= 4, "only {cuts} batches lost their connection");
    assert_eq!(changesets_of_events(&direct).await, expected);
    let events = direct.events(&Scope::Everyone, Position::START, 1_000).await.unwrap();
    let positions: Vec<u64> = events.iter().map(|sealed| sealed.position.0).collect();
    assert_eq!(positions, (1..=expected.len() as u64).collect::<Vec<_>>());
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_falls_silent_is_given_up_in_time_and_used_again_once_it_answers() {
    let Some(behind) = Behind::fresh("silent connections on PostgreSQL").await else { return };
    let options = behind.options().statement_timeout(Duration::from_secs(3));
    let store = PostgresStore::open(options.acquire_timeout(Duration::from_secs(2))).await.unwrap();
    store.commit(inserting(1, fixtures::job(1))).await.unwrap();
    // The commit has reached the server before nothing is heard any more.
    let mut other = behind.database.connect().await;
    execute(&mut other, "begin").await;
    execute(&mut other, "lock table job").await;
    let falling_silent = async {
        until_waiting(&mut other, 1).await;
        behind.proxy.fall_silent();
        execute(&mut other, "rollback").await;
    };
    let (unsettled, ()) = tokio::join!(store.commit(inserting(2, fixtures::job(2))), falling_silent);
    let unsettled = unsettled.unwrap_err();
    assert_eq!(unsettled.class(), ErrorClass::Indeterminate, "{unsettled:?}");
    let key = EntityKey::Job(fixtures::job(1).id);
    let unheard = store.get(&Scope::Everyone, &key).await.unwrap_err();
    assert_eq!(unheard.class(), ErrorClass::Unavailable, "{unheard:?}");
    behind.proxy.heal();
    assert!(store.get(&Scope::Everyone, &key).await.unwrap().is_some());
    store.commit(inserting(2, fixtures::job(2))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "a real network takes real time")]
async fn a_call_that_is_dropped_while_the_database_is_silent_keeps_no_connection_for_ever() {
    let Some(behind) = Behind::fresh("silent connections on PostgreSQL").await else { return };
    let options = behind.options().statement_timeout(Duration::from_millis(500));
    let store = PostgresStore::open(options.acquire_timeout(Duration::from_secs(20))).await.unwrap();
    behind.proxy.fall_silent();
    let dropped = store.commit(inserting(1, fixtures::job(1)));
    tokio::time::timeout(Duration::from_millis(100), dropped).await.unwrap_err();
    behind.proxy.heal();
    // The only connection that there may be is free again once nobody waits for the lost one.
    store.commit(inserting(1, fixtures::job(1))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_survives_that_every_connection_of_the_pool_was_lost() {
    let Some(database) = Database::fresh("cut connections on PostgreSQL").await else { return };
    let store = database.open().await;
    let key = EntityKey::Job(fixtures::job(1).id);
    let ask = || store.get(&Scope::Everyone, &key);
    let mut admin = database.connect().await;
    let (a, b, c, d) = tokio::join!(ask(), ask(), ask(), ask());
    assert!([a, b, c, d].iter().all(Result::is_ok));
    let ended: i64 = sqlx::query_scalar(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity \
         where datname = current_database() and pid <> pg_backend_pid()",
    )
    .fetch_one(&mut admin)
    .await
    .unwrap();
    assert!(ended > 1, "the pool had {ended} connections");
    store.commit(inserting(1, fixtures::job(1))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_costs_one_round_trip() {
    const CALLS: i64 = 20;
    let Some(behind) = Behind::fresh("round trips on PostgreSQL").await else { return };
    let store = behind.open().await;
    let key = EntityKey::Job(fixtures::job(1).id);
    // The first one prepares the statement.
    assert!(store.get(&Scope::Everyone, &key).await.unwrap().is_none());
    behind.proxy.cut_after(1_000, Cut::Request);
    for _ in 0..CALLS {
        assert!(store.get(&Scope::Everyone, &key).await.unwrap().is_none());
    }
    let messages = 1_000 - behind.proxy.left();
    // On a machine that stood still meanwhile, one is asked whether it lives.
    assert!((CALLS..CALLS + CALLS / 2).contains(&messages), "{CALLS} calls took {messages} messages");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_call_that_was_dropped_half_way_the_next_is_answered_on_the_same_connection() {
    let Some(database) = Database::fresh("dropped calls on PostgreSQL").await else { return };
    let store = PostgresStore::open(database.options().connections(1)).await.unwrap();
    let key = |number| EntityKey::Job(fixtures::job(number).id);
    for number in [1, 2] {
        store.commit(inserting(number.into(), fixtures::job(number))).await.unwrap();
    }
    let mut other = database.connect().await;
    let before = sessions(&mut other).await;
    for _ in 0..3 {
        execute(&mut other, "begin").await;
        execute(&mut other, "lock table job").await;
        let first = key(1);
        tokio::select! {
            answer = store.get(&Scope::Everyone, &first) => panic!("{answer:?}"),
            () = until_waiting(&mut other, 1) => {}
        }
        execute(&mut other, "commit").await;
        let (_, found) = store.get(&Scope::Everyone, &key(2)).await.unwrap().unwrap();
        assert_eq!(found.key(), key(2));
    }
    assert_eq!(sessions(&mut other).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_waits_for_what_is_under_way_and_ends_every_connection() {
    let Some(database) = Database::fresh("closing PostgreSQL").await else { return };
    let store = database.open().await;
    let key = EntityKey::Job(fixtures::job(1).id);
    let mut other = database.connect().await;
    execute(&mut other, "begin").await;
    execute(&mut other, "lock table job").await;
    let closing = async {
        until_waiting(&mut other, 1).await;
        let meanwhile = async {
            let late = store.get(&Scope::Everyone, &key).await.unwrap_err();
            assert_eq!(late.class(), ErrorClass::Unavailable, "{late:?}");
            execute(&mut other, "commit").await;
        };
        tokio::join!(store.close(), meanwhile);
    };
    let (slow, ()) = tokio::join!(store.get(&Scope::Everyone, &key), closing);
    assert!(slow.unwrap().is_none());
    // The server's own processes may take a moment to end.
    while !sessions(&mut other).await.is_empty() {}
}
