//! The sessions that the store has: made when they are needed, lent for one statement each, ended when
//! nobody needed them for long.
//!
//! One whose statement was answered goes straight back, so that a call costs one round trip.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use deadpool::managed::{self, PoolError, QueueMode};
use futures::future;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::Notify;

use crate::{
    connection::Lent,
    session::{self, Keeper, PING, Session, within},
};

/// A session that was lent longer ago is ended.
const REST: Duration = Duration::from_secs(10 * 60);

/// How often such sessions are looked for, at most.
const SWEEP: Duration = Duration::from_secs(60);

/// Sessions with one database, as many as there are places.
#[derive(Clone)]
pub(crate) struct Pool {
    places: managed::Pool<Keeper>,
    acquire_timeout: Duration,
    statement_timeout: Duration,
    sweeps: Arc<Sweeps>,
}

/// When the pool was swept last.
struct Sweeps {
    began: Instant,
    /// In `SWEEP`s since then.
    last: AtomicU64,
}

impl Pool {
    /// A pool of so many places, which connects when it is first used. A caller waits for a session for
    /// `acquire_timeout` at most; the database ends statements after `statement_timeout`.
    #[expect(clippy::disallowed_methods, reason = "real sessions grow old in real time")]
    #[expect(clippy::expect_used, reason = "only a pool with timeouts of its own can't be built")]
    pub(crate) fn new(
        connect: PgConnectOptions,
        places: u32,
        acquire_timeout: Duration,
        statement_timeout: Duration,
    ) -> Self {
        let places = managed::Pool::builder(Keeper { connect, left: Notify::new() })
            .max_size(usize::try_from(places).unwrap_or(usize::MAX))
            // The one that was used last comes first, so that those that are not needed rest.
            .queue_mode(QueueMode::Lifo)
            .build()
            .expect("a pool without timeouts of its own needs no runtime");
        let sweeps = Arc::new(Sweeps { began: Instant::now(), last: AtomicU64::new(0) });
        Self { places, acquire_timeout, statement_timeout, sweeps }
    }

    /// A session, for one statement: one that is free, or a new one. What there is to wait for, be it a
    /// free place or a database that starts, is waited for together.
    pub(crate) async fn acquire(&self) -> Result<Lent, sqlx::Error> {
        let acquired = async {
            if self.sweeps.are_due() {
                self.sweep(REST).await;
            }
            self.places.get().await
        };
        match within(self.acquire_timeout, acquired).await {
            Some(Ok(session)) => Ok(Lent::new(session, self.statement_timeout)),
            Some(Err(PoolError::Backend(error))) => Err(error),
            Some(Err(PoolError::Closed)) => Err(sqlx::Error::PoolClosed),
            // The last three are never asked of the pool.
            None
            | Some(Err(
                PoolError::Timeout(_) | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_),
            )) => Err(sqlx::Error::PoolTimedOut),
        }
    }

    /// Ends the free sessions that were lent longer ago than `rest`, and those that are old.
    pub(crate) async fn sweep(&self, rest: Duration) {
        let swept = self.places.retain(|_, used| used.last_used() < rest && !session::is_old(&used));
        future::join_all(swept.removed.into_iter().map(Session::end)).await;
    }

    /// Lends none any more, and ends every session: those that are lent once they are answered, those
    /// that are being made after the statement that they are made for.
    pub(crate) async fn close(&self) {
        self.end_free().await;
        self.places.close();
        loop {
            let left = self.places.manager().left.notified();
            // One may have come back just before the end, for somebody who was then sent away.
            self.end_free().await;
            let status = self.places.status();
            if status.size == 0 && status.waiting == 0 {
                return;
            }
            // Who gives up connecting tells nobody.
            within(PING, left).await;
        }
    }

    async fn end_free(&self) {
        let free = self.places.retain(|_, _| false);
        future::join_all(free.removed.into_iter().map(Session::end)).await;
    }
}

impl Sweeps {
    /// Whether it is time for the next, which counts as done from now on.
    fn are_due(&self) -> bool {
        let now = self.began.elapsed().as_secs() / SWEEP.as_secs();
        self.last.fetch_max(now, Ordering::Relaxed) < now
    }
}
