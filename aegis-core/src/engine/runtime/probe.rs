//! Whether what the engine depends on answers.

use std::{collections::BTreeMap, future::Future, time::Duration};

use futures::future::{self, Either};

use super::{Core, Served};
use crate::{
    model::{ClusterName, StorageUri},
    seams::{Clock, DriverError, ListOptions, ObjectStorage, report},
};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a driver may take to answer what a person asked.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);

/// Whether something that the engine depends on answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    /// It does.
    Connected,
    /// It does not.
    Disconnected {
        /// Why, for a person; never a secret.
        reason: String,
    },
}

impl Connection {
    /// Whether it answers.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        matches!(self, Self::Connected)
    }

    fn of<T, E: std::error::Error + 'static>(answer: Option<Result<T, E>>) -> Self {
        match answer {
            Some(Ok(_)) => Self::Connected,
            Some(Err(error)) => Self::Disconnected { reason: report(&error).to_string() },
            None => Self::Disconnected { reason: format!("no answer within {} s", PATIENCE.as_secs()) },
        }
    }
}

/// Whether the engine and all that it depends on work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// How long the engine has been there.
    pub uptime: Duration,
    /// What remembers.
    pub store: Connection,
    /// The driver of each cluster that is served here.
    pub clusters: BTreeMap<ClusterName, Connection>,
    /// Each storage location that is known here.
    pub locations: BTreeMap<StorageUri, Connection>,
}

impl Health {
    /// Whether everything answers; otherwise the engine is degraded.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        let rest = self.clusters.values().chain(self.locations.values());
        self.store.is_connected() && rest.into_iter().all(Connection::is_connected)
    }
}

impl Core {
    /// Asks everything at once, and waits no longer than [`PATIENCE`].
    pub(crate) async fn health(&self) -> Health {
        let clusters = future::join_all(
            self.clusters
                .iter()
                .map(|(name, served)| async { (name.clone(), self.probe_cluster(served).await) }),
        );
        let locations = future::join_all(self.locations.iter().map(|location| async {
            (location.storage.uri().clone(), self.probe_storage(&*location.storage).await)
        }));
        let store = self.probe_store();
        let (store, clusters, locations) = future::join3(store, clusters, locations).await;
        Health {
            uptime: self.clock.monotonic().since(self.started),
            store,
            clusters: clusters.into_iter().collect(),
            locations: locations.into_iter().collect(),
        }
    }

    /// Whether the store answers.
    pub(crate) async fn probe_store(&self) -> Connection {
        Connection::of(self.patiently(self.store.newest_event_at()).await)
    }

    async fn probe_cluster(&self, served: &Served) -> Connection {
        Connection::of(self.patiently(served.driver.namespaces()).await)
    }

    /// Whether a storage can be read. Writes nothing, unlike its own probe.
    pub(crate) async fn probe_storage(&self, storage: &dyn ObjectStorage) -> Connection {
        let options = ListOptions { limit: 1, ..ListOptions::default() };
        Connection::of(self.patiently(storage.list(&options)).await)
    }

    /// What a driver answers to a person's question: one that says nothing holds no request for ever.
    pub(crate) async fn answer_of<T>(
        &self,
        answer: impl Future<Output = Result<T, DriverError>>,
    ) -> Result<T, DriverError> {
        answer_in(&*self.clock, ANSWERED_WITHIN, answer).await.unwrap_or_else(|| {
            let message = format!("the driver did not answer within {} s", ANSWERED_WITHIN.as_secs());
            Err(DriverError::unavailable(message).with_suggestion("see whether it is well, then ask again"))
        })
    }

    /// The answer, if it comes in time.
    pub(crate) async fn patiently<T>(&self, answer: impl Future<Output = T>) -> Option<T> {
        answer_in(&*self.clock, PATIENCE, answer).await
    }
}

async fn answer_in<T>(clock: &dyn Clock, time: Duration, answer: impl Future<Output = T>) -> Option<T> {
    let answer = std::pin::pin!(answer);
    match future::select(answer, clock.sleep(time)).await {
        Either::Left((answer, _)) => Some(answer),
        Either::Right(_) => None,
    }
}
