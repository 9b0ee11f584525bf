//! The one writer: a task that owns the only connection that changes anything.
//!
//! Changesets that wait are committed together, in one transaction with one flush to the disk. A
//! caller that goes away changes nothing of that: what it asked for is in the queue or was never.

use std::{path::Path, sync::Arc};

use aegis_core::seams::{Changeset, Monotonic, StoreError};
use futures::future::BoxFuture;
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    clock::StoreClock,
    commit::{self, Verdict},
    error::{Fault, closed, uncommitted},
};

/// How many changesets, and how many writes, go into one transaction at the most.
const CHANGESETS_AT_A_TIME: usize = 256;
const WRITES_AT_A_TIME: usize = 4_096;

const COMMIT: &str = "commit a changeset";

/// What waits for the writer.
enum Work {
    Commit(Box<Waiting>),
    Other(Task),
}

/// A changeset, and who waits for its verdict.
struct Waiting {
    changeset: Changeset,
    answer: oneshot::Sender<Verdict>,
}

type Task = Box<dyn for<'d> FnOnce(&'d mut Desk) -> BoxFuture<'d, ()> + Send>;

/// The way to the writer. The writer ends when the last of these is dropped, after what waits.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    queue: mpsc::Sender<Work>,
    /// Its other end goes when the writer has ended.
    running: watch::Receiver<()>,
    file: Arc<Path>,
}

impl Writer {
    /// A queue of `length` places and what empties it; `guard` is dropped when that ends.
    #[expect(
        clippy::disallowed_methods,
        reason = "what was asked for must be done whole if its caller goes away"
    )]
    pub(crate) fn start(desk: Desk, length: usize, guard: impl Send + 'static) -> Self {
        let (queue, work) = mpsc::channel(length);
        let (ended, running) = watch::channel(());
        let file = Arc::clone(&desk.file);
        tokio::spawn(async move {
            desk.run(work).await;
            drop(guard);
            drop(ended);
        });
        Self { queue, running, file }
    }

    pub(crate) async fn commit(&self, changeset: Changeset) -> Verdict {
        let (answer, verdict) = oneshot::channel();
        let work = Work::Commit(Box::new(Waiting { changeset, answer }));
        self.queue.send(work).await.map_err(|_| closed(COMMIT, &self.file))?;
        verdict.await.map_err(|lost| StoreError::Indeterminate { action: COMMIT, source: lost.into() })?
    }

    pub(crate) async fn change<T: Send + 'static>(
        &self,
        action: &'static str,
        change: impl for<'c> FnOnce(&'c mut SqliteConnection, Monotonic) -> BoxFuture<'c, Result<T, Fault>>
        + Send
        + 'static,
    ) -> Result<T, StoreError> {
        let (answer, outcome) = oneshot::channel();
        let task: Task = Box::new(move |desk| {
            Box::pin(async move {
                // Nobody may wait any more.
                let _ = answer.send(desk.transact(action, change).await);
            })
        });
        self.queue.send(Work::Other(task)).await.map_err(|_| closed(action, &self.file))?;
        outcome.await.map_err(|lost| StoreError::Indeterminate { action, source: lost.into() })?
    }

    /// Has the writer take nothing more on, and waits until it has done what waited before.
    pub(crate) async fn close(&self) {
        let task: Task = Box::new(|desk| {
            Box::pin(async move {
                desk.closing = true;
            })
        });
        // Whether or not it takes this on: it ends, and that shows.
        let _ = self.queue.send(Work::Other(task)).await;
        let mut running = self.running.clone();
        while running.changed().await.is_ok() {}
    }
}

/// Where the writing is done.
pub(crate) struct Desk {
    pub(crate) options: SqliteConnectOptions,
    /// `None` after a transaction whose end is not known.
    pub(crate) connection: Option<SqliteConnection>,
    pub(crate) clock: Arc<StoreClock>,
    pub(crate) file: Arc<Path>,
    pub(crate) closing: bool,
}

impl Desk {
    async fn run(mut self, mut work: mpsc::Receiver<Work>) {
        let mut next = work.recv().await;
        while let Some(now) = next.take() {
            match now {
                Work::Other(task) => task(&mut self).await,
                Work::Commit(first) => {
                    let (batch, other) = gather(*first, &mut work);
                    self.commit(batch).await;
                    next = other;
                }
            }
            if self.closing {
                work.close();
            }
            if next.is_none() {
                next = work.recv().await;
            }
        }
        if let Some(connection) = self.connection {
            // Whatever it says, all that was acknowledged is on the disk.
            let _ = connection.close().await;
        }
    }

    /// Commits a batch. One that fails is tried again piece by piece, so that one changeset that
    /// can't be written takes no other with it.
    async fn commit(&mut self, batch: Vec<Waiting>) {
        let (changesets, answers): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|waiting| (waiting.changeset, waiting.answer)).unzip();
        let changesets: Arc<[Changeset]> = changesets.into();
        match self.commit_all(Arc::clone(&changesets)).await {
            Ok(verdicts) => {
                for (answer, verdict) in answers.into_iter().zip(verdicts) {
                    let _ = answer.send(verdict);
                }
            }
            Err(error) => {
                let mut failed = Some(error);
                for (changeset, answer) in changesets.iter().zip(answers) {
                    let verdict = match failed.take() {
                        Some(error) if changesets.len() == 1 => Err(error),
                        _ => self.commit_one(changeset.clone()).await,
                    };
                    let _ = answer.send(verdict);
                }
            }
        }
    }

    async fn commit_one(&mut self, changeset: Changeset) -> Verdict {
        let verdicts = self.commit_all(Arc::new([changeset])).await?;
        verdicts.into_iter().next().unwrap_or_else(|| Err(closed(COMMIT, &self.file)))
    }

    async fn commit_all(&mut self, batch: Arc<[Changeset]>) -> Result<Vec<Verdict>, StoreError> {
        self.transact(COMMIT, move |connection, now| {
            Box::pin(async move { commit::commit(connection, &batch, now).await })
        })
        .await
    }

    /// Does `change` in a transaction of its own.
    async fn transact<T>(
        &mut self,
        action: &'static str,
        change: impl for<'c> FnOnce(&'c mut SqliteConnection, Monotonic) -> BoxFuture<'c, Result<T, Fault>>
        + Send
        + 'static,
    ) -> Result<T, StoreError> {
        let answer = |error: sqlx::Error| Fault::from(error).answer(action, &self.file);
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            // Where the file was is nothing to begin anew with.
            None => self.options.clone().create_if_missing(false).connect().await.map_err(answer)?,
        };
        let mut transaction = connection.begin_with("begin immediate").await.map_err(answer)?;
        // Read inside, so that readings are in the order of commits.
        let outcome = match change(&mut transaction, self.clock.now()).await {
            Ok(value) => {
                transaction.commit().await.map_err(|error| uncommitted(error, action, &self.file))?;
                Ok(value)
            }
            Err(fault) => {
                // SQLite rolls back by itself where there is no room, and then has nothing left to roll
                // back: what went wrong first is the answer.
                let first = fault.answer(action, &self.file);
                if transaction.rollback().await.is_err() {
                    return Err(first);
                }
                Err(first)
            }
        };
        self.connection = Some(connection);
        outcome
    }
}

/// What waits beside `first`, up to what is no changeset.
fn gather(first: Waiting, work: &mut mpsc::Receiver<Work>) -> (Vec<Waiting>, Option<Work>) {
    let mut writes = first.changeset.changes.len();
    let mut batch = vec![first];
    while batch.len() < CHANGESETS_AT_A_TIME && writes < WRITES_AT_A_TIME {
        match work.try_recv() {
            Ok(Work::Commit(waiting)) => {
                writes = writes.saturating_add(waiting.changeset.changes.len());
                batch.push(*waiting);
            }
            Ok(other @ Work::Other(_)) => return (batch, Some(other)),
            Err(_) => break,
        }
    }
    (batch, None)
}

#[cfg(test)]
mod tests {
    use aegis_core::{
        model::{ChangesetId, EventFacts, EventKind, Principal, Timestamp},
        seams::{Committed, ErrorClass, report},
        testing::{ManualClock, fixtures},
    };

    use super::*;
    use crate::migrate::{VERSIONS, migrate};

    async fn desk(file: &Path) -> Desk {
        let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
        let mut connection = options.connect().await.unwrap();
        migrate(&mut connection, VERSIONS, file).await.unwrap();
        let clock = Arc::new(ManualClock::starting_at(Timestamp::UNIX_EPOCH));
        let clock = Arc::new(StoreClock::open(clock, &mut connection).await.unwrap());
        Desk { options, connection: Some(connection), clock, file: file.into(), closing: false }
    }

    async fn execute(desk: &mut Desk, text: &'static str) -> Result<(), StoreError> {
        desk.transact("test", move |connection, _| {
            Box::pin(async move { Ok(sqlx::query(text).execute(connection).await.map(drop)?) })
        })
        .await
    }

    #[tokio::test]
    async fn what_went_wrong_first_is_told_where_sqlite_rolled_back_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let mut desk = desk(&folder.path().join("aegis.db")).await;
        execute(&mut desk, "create table big (bytes blob)").await.unwrap();
        // No page more than there are.
        let full = sqlx::query("pragma max_page_count = 1");
        full.execute(desk.connection.as_mut().unwrap()).await.unwrap();
        let error = execute(&mut desk, "insert into big values (zeroblob(1000000))").await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Unavailable, "{}", report(&error));
        assert!(report(&error).to_string().contains("no more room"), "{}", report(&error));
        execute(&mut desk, "insert into big values (zeroblob(1000000))").await.unwrap();
    }

    /// A changeset that inserts a job, and its verdict to come.
    fn waiting(number: u64) -> (Waiting, oneshot::Receiver<Verdict>) {
        let id = ChangesetId::from_uuid(uuid::Uuid::from_u128(number.into()));
        let mut changeset = Changeset::new(id, Principal::engine(), fixtures::START);
        changeset.insert(fixtures::job(number), EventKind::JobCreated, EventFacts::default());
        let (answer, verdict) = oneshot::channel();
        (Waiting { changeset, answer }, verdict)
    }

    #[tokio::test]
    async fn a_changeset_that_can_not_be_written_takes_no_other_of_its_batch_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut desk = desk(&folder.path().join("aegis.db")).await;
        let refusing = "create trigger refusing before insert on changeset \
            when new.id = x'00000000000000000000000000000002' begin select raise(abort, 'no'); end";
        execute(&mut desk, refusing).await.unwrap();
        let (batch, verdicts): (Vec<_>, Vec<_>) = (1..=3).map(waiting).unzip();
        desk.commit(batch).await;
        let mut answers = Vec::new();
        for verdict in verdicts {
            answers.push(verdict.await.unwrap().map_err(|error| error.class()));
        }
        let (applied, refused) = (Ok(Committed::Applied), Err(ErrorClass::Internal));
        assert_eq!(answers, [applied, refused, applied]);
        execute(&mut desk, "drop trigger refusing").await.unwrap();
        let (again, verdict) = waiting(2);
        desk.commit(vec![again]).await;
        assert_eq!(verdict.await.unwrap().unwrap(), Committed::Applied, "what was refused left nothing");
    }

    #[tokio::test]
    async fn a_commit_whose_end_fails_is_indeterminate_and_settled_by_its_repetition() {
        let folder = tempfile::tempdir().unwrap();
        let mut desk = desk(&folder.path().join("aegis.db")).await;
        // What is missing is missed when the transaction ends.
        let breaking = "create table parent (id integer primary key); \
            create table child (id integer references parent (id) deferrable initially deferred); \
            create trigger breaking after insert on changeset begin insert into child values (1); end";
        execute(&mut desk, breaking).await.unwrap();
        for expected in [Err(ErrorClass::Indeterminate), Ok(Committed::Applied), Ok(Committed::Already)] {
            let (batch, verdict) = waiting(1);
            desk.commit(vec![batch]).await;
            assert_eq!(verdict.await.unwrap().map_err(|error| error.class()), expected);
            if expected.is_err() {
                execute(&mut desk, "drop trigger breaking").await.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn a_file_that_is_gone_is_not_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("aegis.db");
        let mut desk = desk(&file).await;
        desk.connection = None;
        std::fs::remove_file(&file).unwrap();
        let error = execute(&mut desk, "select 1").await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Unavailable, "{}", report(&error));
        assert!(!file.exists());
    }
}
