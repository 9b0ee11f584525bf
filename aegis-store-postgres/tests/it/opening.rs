//! Opening a database: empty, known, too new, read-only, away, of another encoding.

use std::time::Duration;

use aegis_core::{
    model::EntityKey,
    seams::{ErrorClass, Scope, Store, StoreError, report},
    testing::fixtures,
};
use aegis_store_postgres::{PostgresOptions, PostgresStore};

use crate::{
    common::inserting,
    database::{Database, SCHEMA, connect, execute},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_open_an_empty_database_at_once_all_can_use_it() {
    let Some(database) = Database::empty("opening PostgreSQL").await else { return };
    let open = || PostgresStore::open(database.options());
    let (one, two, three) = tokio::join!(open(), open(), open());
    for (number, store) in (1..).zip([one, two, three]) {
        store.unwrap().commit(inserting(number.into(), fixtures::job(number))).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_of_a_newer_version_is_refused_and_named() {
    let Some(database) = Database::fresh("opening PostgreSQL").await else { return };
    let newer = "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
                 values (9999, 'later', true, '', 0)";
    execute(&mut database.connect().await, newer).await;
    let refused = PostgresStore::open(database.options()).await.unwrap_err();
    assert_eq!(refused.class(), ErrorClass::Internal);
    let said = report(&refused).to_string();
    assert!(said.contains("9999") && said.contains("newer version"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_read_only_database_reads_are_answered_and_commits_are_unavailable() {
    let Some(database) = Database::fresh("opening PostgreSQL").await else { return };
    database.open().await.commit(inserting(1, fixtures::job(1))).await.unwrap();
    let name = database.url.rsplit('/').next().unwrap();
    let set = format!("alter database {name} set default_transaction_read_only = on");
    execute(&mut connect(&database.url).await, &set).await;

    let store = database.open().await;
    let key = EntityKey::Job(fixtures::job(1).id);
    assert!(store.get(&Scope::Everyone, &key).await.unwrap().is_some());
    let refused = store.commit(inserting(2, fixtures::job(2))).await.unwrap_err();
    assert_eq!(refused.class(), ErrorClass::Unavailable);
    assert!(report(&refused).to_string().contains("read-only"), "{}", report(&refused));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_takes_too_long_is_cancelled_and_says_so() {
    let Some(database) = Database::fresh("opening PostgreSQL").await else { return };
    let store = PostgresStore::open(database.options().statement_timeout(Duration::from_millis(200))).await;
    let mut other = database.connect().await;
    execute(&mut other, "begin").await;
    execute(&mut other, "lock table job").await;
    let refused = store.unwrap().commit(inserting(1, fixtures::job(1))).await.unwrap_err();
    assert_eq!(refused.class(), ErrorClass::Unavailable);
    assert!(report(&refused).to_string().contains("statement timeout"), "{}", report(&refused));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_error_and_no_debug_text_has_the_password() {
    // Nothing listens there.
    let url = "postgres://aegis:s3cret-word@127.0.0.1:1/aegis";
    let options = PostgresOptions::new(url).unwrap().acquire_timeout(Duration::from_millis(100));
    assert!(!format!("{options:?}").contains("s3cret"));
    let away: StoreError = PostgresStore::open(options).await.unwrap_err();
    assert_eq!(away.class(), ErrorClass::Unavailable);
    assert!(!format!("{away:?} {}", report(&away)).contains("s3cret"), "{away:?}");
    let invalid = PostgresOptions::new("mysql://aegis:s3cret-word@db/aegis").unwrap_err();
    assert!(!format!("{invalid:?} {invalid}").contains("s3cret"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "a real server takes real time")]
async fn what_opening_waits_for_may_take_longer_than_a_statement() {
    let Some(database) = Database::fresh("opening PostgreSQL").await else { return };
    let timeout = Duration::from_millis(100);
    let mut other = database.connect().await;
    execute(&mut other, "begin").await;
    execute(&mut other, "lock table _sqlx_migrations").await;
    let done = async {
        tokio::time::sleep(5 * timeout).await;
        execute(&mut other, "commit").await;
    };
    let (store, ()) = tokio::join!(PostgresStore::open(database.options().statement_timeout(timeout)), done);
    // From then on the timeout holds.
    let store = store.unwrap();
    execute(&mut other, "begin").await;
    execute(&mut other, "lock table job").await;
    let refused = store.commit(inserting(1, fixtures::job(1))).await.unwrap_err();
    assert!(report(&refused).to_string().contains("statement timeout"), "{}", report(&refused));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_may_use_the_tables_and_nothing_else_opens_them() {
    let Some(database) = Database::fresh("opening PostgreSQL").await else { return };
    let user = format!("user_{}", database.url.rsplit('/').next().unwrap());
    let mut admin = database.connect().await;
    execute(&mut admin, &format!("drop role if exists {user}")).await;
    execute(&mut admin, &format!("create role {user} login")).await;
    let schema = format!("schema \"{}\"", SCHEMA.replace('"', "\"\""));
    execute(&mut admin, &format!("grant usage on {schema} to {user}")).await;
    let rights = "select, insert, update, delete";
    execute(&mut admin, &format!("grant {rights} on all tables in {schema} to {user}")).await;
    let url = database.url.replacen("postgres@", &format!("{user}@"), 1);
    let store = PostgresStore::open(PostgresOptions::new(&url).unwrap().schema(SCHEMA)).await.unwrap();
    store.commit(inserting(1, fixtures::job(1))).await.unwrap();
}
