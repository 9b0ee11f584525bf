//! The sessions of a pool: which are lent again, and which end.

use std::time::Duration;

use deadpool::managed::Metrics;
use sqlx::Row;

use super::{
    database::{Database, sessions},
    server::Server,
};
use crate::{PostgresOptions, connection::Lent, session, statement::Statement};

/// The process at the other end.
async fn asked(lent: Lent) -> i32 {
    lent.fetch(&Statement::new("select pg_backend_pid()")).await.unwrap()[0].get(0)
}

#[test]
fn a_session_is_old_after_half_an_hour() {
    let mut used = Metrics::default();
    assert!(!session::is_old(&used));
    used.created -= Duration::from_secs(30 * 60);
    assert!(session::is_old(&used));
}

#[tokio::test]
async fn sessions_that_nobody_needs_end_and_others_are_made_once_somebody_does() {
    let Some(database) = Database::fresh("a pool on PostgreSQL").await else { return };
    let pool = database.options().pool();
    let (one, two) = tokio::join!(pool.acquire(), pool.acquire());
    assert_ne!(asked(one.unwrap()).await, asked(two.unwrap()).await);
    let mut other = database.connect().await;
    let lent = pool.acquire().await.unwrap();
    pool.sweep(Duration::from_secs(600)).await;
    assert_eq!(sessions(&mut other).await.len(), 2);
    pool.sweep(Duration::ZERO).await;
    while sessions(&mut other).await.len() > 1 {}
    let used = asked(lent).await;
    assert_eq!(sessions(&mut other).await, [used], "one that is lent stays");
    pool.sweep(Duration::ZERO).await;
    assert_ne!(asked(pool.acquire().await.unwrap()).await, used);
}

#[tokio::test]
async fn a_refused_statement_leaves_the_session_and_a_read_only_database_does_not() {
    let Some(database) = Database::fresh("a pool on PostgreSQL").await else { return };
    let pool = database.options().connections(1).pool();
    let first = asked(pool.acquire().await.unwrap()).await;
    let refused = pool.acquire().await.unwrap().fetch(&Statement::new("select 1 / 0")).await;
    refused.unwrap_err();
    assert_eq!(asked(pool.acquire().await.unwrap()).await, first);
    let read_only = Statement::new("set default_transaction_read_only = on");
    pool.acquire().await.unwrap().execute(&read_only).await.unwrap();
    let refused = pool.acquire().await.unwrap().execute(&Statement::new("create table t ()")).await;
    refused.unwrap_err();
    assert_ne!(asked(pool.acquire().await.unwrap()).await, first);
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a place without a runtime")]
async fn a_session_that_comes_back_unasked_whether_it_lives_is_not_lent_again() {
    let Some(database) = Database::fresh("a pool on PostgreSQL").await else { return };
    let pool = database.options().connections(1).pool();
    let first = asked(pool.acquire().await.unwrap()).await;
    let mut lent = pool.acquire().await.unwrap();
    lent.unbounded();
    std::thread::spawn(|| drop(lent)).join().unwrap();
    assert_ne!(asked(pool.acquire().await.unwrap()).await, first);
}

#[tokio::test]
async fn a_server_that_starts_is_waited_for() {
    let Some(mut server) = Server::start("a starting PostgreSQL server").await else { return };
    let options = PostgresOptions::new(&server.url("aegis")).unwrap();
    let pool = options.acquire_timeout(Duration::from_secs(60)).pool();
    server.kill();
    let (acquired, ()) = tokio::join!(pool.acquire(), server.run());
    asked(acquired.unwrap()).await;
}
