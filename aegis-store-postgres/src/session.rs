//! A session with the database, and how the store comes by one.

use std::time::Duration;

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use tokio::sync::Notify;

use crate::error;

/// How long a session may take to say that it lives, or to end.
pub(crate) const PING: Duration = Duration::from_secs(1);

/// One that was lent longer ago is asked whether it still lives before it is lent again.
const IDLE: Duration = Duration::from_secs(1);

/// One that is older is ended once it is free.
const AGE: Duration = Duration::from_secs(30 * 60);

/// How long a database that takes no connections yet is left alone, at first and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

/// A session with the database.
pub(crate) struct Session {
    pub(crate) connection: PgConnection,
    /// Whether it was asked what it is not known to have answered: it may still be at work.
    pub(crate) in_doubt: bool,
}

impl Session {
    /// Whether it lives, and has nothing left to answer.
    pub(crate) async fn lives(&mut self, patience: Duration) -> bool {
        self.in_doubt = true;
        self.in_doubt = !matches!(within(patience, self.connection.ping()).await, Some(Ok(())));
        !self.in_doubt
    }

    /// Takes leave of the database, which may not listen.
    pub(crate) async fn end(self) {
        within(PING, self.connection.close()).await;
    }
}

/// Whether a session is to be replaced by another.
pub(crate) fn is_old(used: &Metrics) -> bool {
    used.age() > AGE
}

/// Makes a pool's sessions, and judges those that were lent before.
pub(crate) struct Keeper {
    pub(crate) connect: PgConnectOptions,
    /// Told of each session that leaves the pool.
    pub(crate) left: Notify,
}

impl Manager for Keeper {
    type Type = Session;
    type Error = sqlx::Error;

    /// Connects. A database that is starting is asked again and again, for as long as somebody waits.
    #[expect(clippy::disallowed_methods, reason = "a real database takes real time")]
    async fn create(&self) -> Result<Session, sqlx::Error> {
        let mut pause = BACKOFF.0;
        loop {
            match self.connect.connect().await {
                Ok(connection) => return Ok(Session { connection, in_doubt: false }),
                Err(error) if error::may_be_starting(&error) => tokio::time::sleep(pause).await,
                Err(error) => return Err(error),
            }
            pause = pause.saturating_mul(2).min(BACKOFF.1);
        }
    }

    async fn recycle(&self, session: &mut Session, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        if session.in_doubt {
            return Err(RecycleError::message("nobody knows what it has under way"));
        }
        if metrics.last_used() > IDLE && !session.lives(PING).await {
            return Err(RecycleError::message("it was lost while nobody used it"));
        }
        Ok(())
    }

    fn detach(&self, _: &mut Session) {
        self.left.notify_waiters();
    }
}

/// What comes of `answer`, unless it takes longer.
#[expect(clippy::disallowed_methods, reason = "a real network takes real time")]
pub(crate) async fn within<T>(patience: Duration, answer: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(patience, answer).await.ok()
}
