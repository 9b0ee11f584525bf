//! Hints from handle to handle: `notify` after the commit, `listen` on a connection of its own.
//!
//! A handle hears its own at once, and those of others by the database. What it says there carries
//! its name, so that it passes over what comes back to it. Statements of its own send them, on a
//! connection of the pool and after the commit: inside its transaction, they would make every commit
//! wait for a lock that all of them share.

use std::{
    collections::BTreeSet,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aegis_core::seams::{HintBoard, StoreHint};
use futures::stream::{self, BoxStream, StreamExt};
use sqlx::postgres::{PgListener, PgNotification};

use crate::{options::PostgresOptions, pool::Pool, statement::Statement, store::PostgresStore};

/// How long hints gather after some were sent: a handle sends no more often than that.
const GATHER: Duration = Duration::from_millis(10);
/// After how long without a word a connection that listens is asked whether it still lives, and how
/// long it may take to say so.
const QUIET: Duration = Duration::from_secs(20);
const ANSWER: Duration = Duration::from_secs(5);
/// How long a database that can't be listened to is left alone, at first and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// The hints of one handle.
#[derive(Debug)]
pub(crate) struct Hints {
    /// The handle's name among those of the database.
    own: String,
    board: HintBoard,
    outbox: Mutex<Outbox>,
}

/// What is to be sent.
#[derive(Debug, Default)]
struct Outbox {
    waiting: BTreeSet<StoreHint>,
    /// Whether there is a task that sends.
    sending: bool,
}

impl Hints {
    pub(crate) fn new(own: String) -> Self {
        Self { own, board: HintBoard::default(), outbox: Mutex::default() }
    }

    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts hints into the outbox; whether somebody has to begin sending.
    fn put(&self, hints: &BTreeSet<StoreHint>) -> bool {
        let mut outbox = self.outbox();
        outbox.waiting.extend(hints.iter().cloned());
        !hints.is_empty() && !mem::replace(&mut outbox.sending, true)
    }

    /// What is to be sent now; `None`, and nobody sends any more, if nothing is.
    fn take(&self) -> Option<BTreeSet<StoreHint>> {
        let mut outbox = self.outbox();
        outbox.sending = !outbox.waiting.is_empty();
        outbox.sending.then(|| mem::take(&mut outbox.waiting))
    }

    /// What another handle said; nothing if it was this one.
    fn heard(&self, notification: &PgNotification) -> Option<StoreHint> {
        let (handle, hint) = notification.payload().split_once(' ')?;
        if handle == self.own { None } else { hint.parse().ok() }
    }
}

impl PostgresStore {
    /// Tells everyone who listens, here and elsewhere. Waits for nothing.
    #[expect(clippy::disallowed_methods, reason = "who commits must not wait for hints to be sent")]
    pub(crate) fn hint(&self, hints: impl IntoIterator<Item = StoreHint>) {
        let hints: BTreeSet<_> = hints.into_iter().collect();
        if self.hints.put(&hints) {
            let channel = self.options.schema_name().to_owned();
            tokio::spawn(send(Arc::clone(&self.hints), self.pool.clone(), channel));
        }
        self.hints.board.post(hints);
    }

    pub(crate) fn listen(&self) -> BoxStream<'static, StoreHint> {
        let ear = Ear {
            options: self.options.clone(),
            hints: Arc::clone(&self.hints),
            listener: None,
            pause: BACKOFF.0,
        };
        let others = stream::unfold(ear, |mut ear| async { Some((ear.hear().await, ear)) });
        stream::select(self.hints.board.listen([]), others).boxed()
    }
}

/// Sends what waits, again and again, until nothing does. What can't be sent is lost.
#[expect(clippy::disallowed_methods, reason = "a real database takes real time")]
async fn send(hints: Arc<Hints>, pool: Pool, channel: String) {
    while let Some(waiting) = hints.take() {
        let said = waiting.iter().map(|hint| format!("{} {hint}", hints.own)).collect();
        let sent = async { pool.acquire().await?.execute(&notify(&channel, said)).await };
        if let Err(error) = sent.await {
            tracing::debug!(%error, "hints were not sent: who waits for them looks by itself");
        }
        tokio::time::sleep(GATHER).await;
    }
}

fn notify(channel: &str, said: Vec<String>) -> Statement {
    Statement::new("select pg_notify($1, n.said) from unnest($2::text[]) as n (said)")
        .with(channel)
        .with(said)
}

/// Who listens to the database for one stream.
struct Ear {
    options: PostgresOptions,
    hints: Arc<Hints>,
    listener: Option<PgListener>,
    pause: Duration,
}

impl Ear {
    /// The next hint of another handle. Cancel safe.
    async fn hear(&mut self) -> StoreHint {
        loop {
            let Some(listener) = &mut self.listener else {
                match listen(&self.options).await {
                    Ok(listener) => {
                        (self.listener, self.pause) = (Some(listener), BACKOFF.0);
                        return StoreHint::Everything;
                    }
                    Err(error) => self.rest(&error).await,
                }
                continue;
            };
            match next(listener).await {
                Ok(Heard::Said(notification)) => {
                    if let Some(hint) = self.hints.heard(&notification) {
                        return hint;
                    }
                }
                Ok(Heard::Nothing) => {}
                Ok(Heard::Break) => return StoreHint::Everything,
                Err(error) => {
                    self.listener = None;
                    self.rest(&error).await;
                }
            }
        }
    }

    #[expect(clippy::disallowed_methods, reason = "a real database takes real time")]
    async fn rest(&mut self, error: &sqlx::Error) {
        tracing::debug!(%error, "the database can't be listened to: others' hints are lost meanwhile");
        tokio::time::sleep(self.pause).await;
        self.pause = self.pause.saturating_mul(2).min(BACKOFF.1);
    }
}

/// What a connection that listens came to.
enum Heard {
    Said(PgNotification),
    /// Nothing for a while, but it lives.
    Nothing,
    /// The connection was lost, and another one listens now.
    Break,
}

async fn listen(options: &PostgresOptions) -> Result<PgListener, sqlx::Error> {
    let mut listener = PgListener::connect_with(&options.listening()).await?;
    listener.listen(options.schema_name()).await?;
    Ok(listener)
}

/// Waits for the next notification. A connection that is quiet for long is asked whether it lives:
/// one whose other end is gone without a word would be quiet for ever.
#[expect(clippy::disallowed_methods, reason = "a real database takes real time")]
async fn next(listener: &mut PgListener) -> Result<Heard, sqlx::Error> {
    match tokio::time::timeout(QUIET, listener.try_recv()).await {
        Ok(received) => Ok(received?.map_or(Heard::Break, Heard::Said)),
        Err(_) => {
            let asked = sqlx::query("select 1").execute(listener);
            match tokio::time::timeout(ANSWER, asked).await {
                Ok(answered) => answered.map(|_| Heard::Nothing),
                Err(late) => Err(sqlx::Error::Io(late.into())),
            }
        }
    }
}
