//! A connection that the pool lends for one statement: it answers in time, or it is closed.
//!
//! The database ends a statement that takes too long. What no timeout of the database helps against is
//! a network that falls silent: then nobody says anything for a quarter of an hour.

use std::{io, time::Duration};

use deadpool::managed::Object;
use sqlx::{
    PgConnection,
    postgres::{PgQueryResult, PgRow},
};

use crate::{
    error,
    session::{self, Keeper, PING, Session, within},
    statement::Statement,
};

/// How much longer than the database's own timeout a statement is waited for.
const MARGIN: Duration = Duration::from_secs(3);

/// A connection of the pool, for one statement.
pub(crate) struct Lent {
    /// Nothing once it went back or was closed.
    session: Option<Object<Keeper>>,
    patience: Duration,
}

impl Lent {
    /// A connection whose statements the database ends after `statement_timeout`.
    pub(crate) fn new(session: Object<Keeper>, statement_timeout: Duration) -> Self {
        Self { session: Some(session), patience: statement_timeout.saturating_add(MARGIN) }
    }

    /// Carries out a statement.
    pub(crate) async fn execute(mut self, statement: &Statement) -> Result<PgQueryResult, sqlx::Error> {
        let heard = within(self.patience, statement.execute(self.unbounded())).await;
        self.settle(heard).await
    }

    /// Carries out a statement that answers with rows.
    pub(crate) async fn fetch(mut self, statement: &Statement) -> Result<Vec<PgRow>, sqlx::Error> {
        let heard = within(self.patience, statement.fetch(self.unbounded())).await;
        self.settle(heard).await
    }

    /// The connection itself, for changes of the schema, which take what they take.
    pub(crate) fn unbounded(&mut self) -> &mut PgConnection {
        let session = self.session();
        session.in_doubt = true;
        &mut session.connection
    }

    /// The same connection if it lives; one that does not is closed.
    pub(crate) async fn living(mut self) -> Option<Self> {
        if self.session().lives(PING).await {
            return Some(self);
        }
        self.close();
        None
    }

    #[expect(clippy::expect_used, reason = "it is taken out by what takes the whole alone")]
    fn session(&mut self) -> &mut Session {
        self.session.as_mut().expect("a connection is there until it goes back or is closed")
    }

    /// The pool gets back what was answered. Nobody knows what a silent connection still has under way, and
    /// one to a database that can't be written to any more may have been left by a failover.
    async fn settle<T>(self, heard: Option<Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
        let silent = || io::Error::new(io::ErrorKind::TimedOut, "the database did not answer in time");
        let answer = heard.unwrap_or_else(|| Err(sqlx::Error::Io(silent())));
        if answer.as_ref().err().is_none_or(error::leaves_connection) {
            self.give_back().await;
        } else {
            self.close();
        }
        answer
    }

    async fn give_back(mut self) {
        let Some(mut session) = self.session.take() else { return };
        session.in_doubt = false;
        if session::is_old(Object::metrics(&session)) {
            Object::take(session).end().await;
        }
    }

    /// Closes it without a word to the database, which may not listen.
    fn close(mut self) {
        // What is taken out of the pool leaves its place to another.
        drop(self.session.take().map(Object::take));
    }
}

impl Drop for Lent {
    /// A call that was dropped half-way leaves an answer behind. Its place is kept until that came, so
    /// that callers who give up early can't have more at work in the database than there are places.
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        // Without a runtime it goes back as it is, and is closed when the next caller comes.
        if session.in_doubt
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(clear(session, self.patience));
        }
    }
}

/// Gives a session back once it has answered, or closes it.
async fn clear(mut session: Object<Keeper>, patience: Duration) {
    if !session.lives(patience).await {
        drop(Object::take(session));
    }
}
