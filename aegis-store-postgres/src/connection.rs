//! A connection that the pool lends for one statement: it answers in time, or it is closed.
//!
//! The database ends a statement that takes too long. What no timeout of the database helps against is
//! a network that falls silent: then nobody says anything for a quarter of an hour.

use std::{io, time::Duration};

use sqlx::{
    Connection, PgConnection, Postgres,
    pool::PoolConnection,
    postgres::{PgQueryResult, PgRow},
};

use crate::{error, statement::Statement};

/// How much longer than the database's own timeout a statement is waited for.
const MARGIN: Duration = Duration::from_secs(3);

/// How long a connection may take to say that it lives.
const PING: Duration = Duration::from_secs(1);

/// A connection of the pool, for one statement.
pub(crate) struct Lent {
    connection: PoolConnection<Postgres>,
    patience: Duration,
}

impl Lent {
    /// A connection whose statements the database ends after `statement_timeout`.
    pub(crate) fn new(connection: PoolConnection<Postgres>, statement_timeout: Duration) -> Self {
        Self { connection, patience: statement_timeout.saturating_add(MARGIN) }
    }

    /// Carries out a statement.
    pub(crate) async fn execute(mut self, statement: &Statement) -> Result<PgQueryResult, sqlx::Error> {
        let heard = within(self.patience, statement.execute(&mut self.connection)).await;
        self.settle(heard)
    }

    /// Carries out a statement that answers with rows.
    pub(crate) async fn fetch(mut self, statement: &Statement) -> Result<Vec<PgRow>, sqlx::Error> {
        let heard = within(self.patience, statement.fetch(&mut self.connection)).await;
        self.settle(heard)
    }

    /// The connection itself, for changes of the schema, which take what they take.
    pub(crate) fn unbounded(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Whether it lives; one that does not is closed.
    pub(crate) async fn lives(&mut self) -> bool {
        let lives = matches!(within(PING, self.connection.ping()).await, Some(Ok(())));
        if !lives {
            self.close();
        }
        lives
    }

    /// The pool gets back what may be asked again. Nobody knows what a silent connection still has under
    /// way, and one to a database that can't be written to any more may have been left by a failover.
    fn settle<T>(&mut self, heard: Option<Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
        let silent = || io::Error::new(io::ErrorKind::TimedOut, "the database did not answer in time");
        let answer = heard.unwrap_or_else(|| {
            self.close();
            Err(sqlx::Error::Io(silent()))
        });
        if answer.as_ref().is_err_and(error::is_read_only) {
            self.close();
        }
        answer
    }

    /// Closes it without a word to the database, which may not listen.
    fn close(&mut self) {
        // Dropped before it went back, it leaves its place in the pool to another.
        drop(self.connection.return_to_pool());
    }
}

impl Drop for Lent {
    /// On its way back the pool asks it whether it lives, and would wait for that answer for ever.
    fn drop(&mut self) {
        let back = self.connection.return_to_pool();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(within(self.patience, back));
        }
    }
}

/// What comes of `answer`, unless it takes longer.
#[expect(clippy::disallowed_methods, reason = "a real network takes real time")]
async fn within<T>(patience: Duration, answer: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(patience, answer).await.ok()
}
