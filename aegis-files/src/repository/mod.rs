//! A restic repository at `<location>/repository/`: opening it, making it, and its errors.

mod backend;
pub(crate) mod error;
mod packs;
mod progress;
pub(crate) mod session;

use std::{sync::Arc, time::Duration};

use aegis_core::{
    model::StorageUri,
    seams::{Clock, DriverError, ListOptions, ObjectKey, ObjectStorage, ObjectStorageError},
};
use rustic_core::{
    ConfigOptions, Credentials, KeyOptions, OpenStatus, Repository, RepositoryBackends, RepositoryOptions,
};
use secrecy::ExposeSecret;
use tokio::runtime::Handle;

pub(crate) use backend::file_key;
use backend::{FOLDER, StorageBackend};
use progress::Bars;
use session::Session;

use crate::{
    control::Stop,
    lease::{Claim, RepositoryLease},
    secret::PasswordSource,
};

/// An open repository without its index.
pub(crate) type OpenRepository = Repository<OpenStatus>;

/// A storage location with what it takes to open its repository.
#[derive(Clone, Debug)]
pub(crate) struct Location {
    pub(crate) storage: Arc<dyn ObjectStorage>,
    pub(crate) password: PasswordSource,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) runtime: Handle,
    pub(crate) lease: Arc<RepositoryLease>,
    /// How long a backup may take: what it refers to may be pruned a day later.
    pub(crate) longest_job: Duration,
}

impl Location {
    /// The location's name.
    pub(crate) fn uri(&self) -> &StorageUri {
        self.storage.uri()
    }

    /// Opens the repository. Blocks.
    ///
    /// # Errors
    /// `NotFound` if there is none, `Unauthenticated` for a wrong password, `Internal` for a
    /// damaged one, and the storage's own.
    pub(crate) fn open(&self, session: &Arc<Session>) -> Result<OpenRepository, DriverError> {
        let action = format!("open the repository in {}", self.uri());
        if !self.exists()? {
            let error = DriverError::not_found(format!("could not {action}: there is none"));
            return Err(
                error.with_suggestion("make a backup there first, or name the right storage location")
            );
        }
        let credentials = Credentials::password(self.password.read()?.expose_secret());
        let repository = self.prepare(session).and_then(|repository| repository.open(&credentials));
        repository.map_err(|cause| session.error(&action, cause))
    }

    /// Opens the repository, and makes it first if there is none. Blocks.
    ///
    /// # Errors
    /// As [`open`](Self::open), and `Unavailable` while another process makes it.
    pub(crate) fn open_or_init(&self, session: &Arc<Session>) -> Result<OpenRepository, DriverError> {
        if !self.exists()? {
            self.init(session)?;
        }
        self.open(session)
    }

    /// Makes the repository under its lease, so that two processes never make two.
    fn init(&self, session: &Arc<Session>) -> Result<(), DriverError> {
        match self.runtime.block_on(self.lease.claim())? {
            Claim::Held(held) => {
                let made = self.init_alone(session);
                let released = self.runtime.block_on(held.release());
                made.and(released)
            }
            Claim::Busy => {
                let error = format!("another process prepares the repository in {}", self.uri());
                Err(DriverError::unavailable(error)
                    .with_suggestion("it will be ready in a moment; try again"))
            }
            // The config is created conditionally, so at worst one of two fails.
            Claim::Unsupported => self.init_alone(session),
        }
    }

    fn init_alone(&self, session: &Arc<Session>) -> Result<(), DriverError> {
        if self.exists()? {
            return Ok(());
        }
        self.clear_unfinished()?;
        let action = format!("make a repository in {}", self.uri());
        let credentials = Credentials::password(self.password.read()?.expose_secret());
        let made = self
            .prepare(session)
            .and_then(|r| r.init(&credentials, &KeyOptions::default(), &ConfigOptions::default()));
        made.map(drop).map_err(|cause| session.error(&action, cause))
    }

    fn prepare(&self, session: &Arc<Session>) -> rustic_core::RusticResult<Repository<()>> {
        let backend =
            StorageBackend::new(Arc::clone(&self.storage), self.runtime.clone(), Arc::clone(session));
        Repository::new_with_progress(
            &RepositoryOptions::default().no_cache(true),
            &RepositoryBackends::new(Arc::new(backend), None),
            Bars(Arc::clone(session)),
        )
    }

    /// Whether the repository's config is there.
    pub(crate) fn exists(&self) -> Result<bool, DriverError> {
        let key = object_key(&format!("{FOLDER}/config"))?;
        match self.runtime.block_on(self.storage.head(&key)) {
            Ok(_) => Ok(true),
            Err(ObjectStorageError::NotFound { .. }) => Ok(false),
            Err(cause) => Err(error::storage("look for the repository", &Arc::new(cause))),
        }
    }

    /// Removes the keys that a process which died while it made the repository has left: rustic
    /// writes the key first, and would later try to open the config with the wrong one.
    fn clear_unfinished(&self) -> Result<(), DriverError> {
        let prefix = object_key(FOLDER)?;
        let options = ListOptions { prefix: Some(prefix), ..ListOptions::default() };
        let page = self
            .runtime
            .block_on(self.storage.list(&options))
            .map_err(|cause| error::storage("look for the repository", &Arc::new(cause)))?;
        let is_key = |key: &ObjectKey| key.as_str().starts_with(&format!("{FOLDER}/keys/"));
        if page.objects.iter().any(|object| !is_key(&object.key)) {
            return Err(error::damaged(format!("the repository in {} has lost its config", self.uri())));
        }
        for object in page.objects {
            self.runtime
                .block_on(self.storage.delete(&object.key))
                .map_err(|cause| error::storage("remove an unfinished key", &Arc::new(cause)))?;
        }
        Ok(())
    }
}

/// `text` as a key; only for texts that are keys by their making.
pub(crate) fn object_key(text: &str) -> Result<ObjectKey, DriverError> {
    ObjectKey::new(text).map_err(|cause| DriverError::internal("not an object key").with_source(cause))
}

/// Runs rustic's part of some work, and says what really ended it.
pub(crate) fn attempt<T>(
    session: &Session,
    action: &str,
    work: impl FnOnce() -> rustic_core::RusticResult<T>,
) -> Result<T, Stop> {
    session.control.check()?;
    work().map_err(|cause| session.cause(action, cause))
}
