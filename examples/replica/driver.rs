//! A driver whose work can be counted: each backup is done by the process that began it and dies with it.
//!
//! What happens is written down in a directory that all replicas share. `<operation>.begun` appears once,
//! whoever tries, and names the process; `<operation>.done` appears when its work is over. Each process
//! keeps a lock on `<process>.alive`, which the system takes from it when it dies, however it dies.

use std::{
    fs::{self, File},
    io,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use aegis::{
    model::{Consistency, NamespaceName, OperationId, Progress, Sizes, TenantId},
    seams::{
        BackupDriver, BackupResult, BrowsePage, BrowseRequest, Capabilities, Clock, DriverError, EndStatus,
        InventoryPage, InventoryRequest, Observation, Operation, Outcome, RestorePreview, RestoreWork, Work,
        WorkResult,
    },
};
use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};

/// The only namespace that there is.
pub(crate) const NAMESPACE: &str = "documents";

/// What was begun and finished, in a directory that processes share.
#[derive(Debug)]
pub(crate) struct Ledger {
    directory: PathBuf,
    process: String,
    /// Locked as long as this process lives.
    _alive: File,
}

/// An operation that some process began.
#[derive(Clone, Debug)]
pub(crate) struct Begun {
    pub(crate) operation: String,
    pub(crate) process: String,
    pub(crate) is_done: bool,
}

impl Ledger {
    /// The ledger in `directory`, for a process that calls itself `process` as no other does.
    pub(crate) fn open(directory: PathBuf, process: &str) -> io::Result<Self> {
        fs::create_dir_all(&directory)?;
        let alive = File::create(directory.join(format!("{process}.alive")))?;
        alive.lock()?;
        Ok(Self { directory, process: process.to_owned(), _alive: alive })
    }

    fn file(&self, name: impl std::fmt::Display, what: &str) -> PathBuf {
        self.directory.join(format!("{name}.{what}"))
    }

    /// Whether the operation is this process's to do: nobody has begun it before.
    fn begin(&self, operation: OperationId) -> io::Result<bool> {
        let (note, begun) = (self.file(operation, &self.process), self.file(operation, "begun"));
        fs::write(&note, &self.process)?;
        // A link appears whole, and for one of those who try.
        let linked = fs::hard_link(&note, &begun);
        fs::remove_file(&note)?;
        match linked {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn finish(&self, operation: OperationId) -> io::Result<()> {
        File::create_new(self.file(operation, "done")).map(drop)
    }

    fn is_done(&self, operation: impl std::fmt::Display) -> io::Result<bool> {
        self.file(operation, "done").try_exists()
    }

    fn is_alive(&self, process: &str) -> io::Result<bool> {
        let alive = File::open(self.file(process, "alive"))?;
        match alive.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(fs::TryLockError::WouldBlock) => Ok(true),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// Everything that was ever begun.
    pub(crate) fn begun(&self) -> io::Result<Vec<Begun>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "begun") {
                continue;
            }
            let operation = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let (process, is_done) = (fs::read_to_string(&path)?, self.is_done(&operation)?);
            all.push(Begun { operation, process, is_done });
        }
        Ok(all)
    }
}

/// A driver over a [`Ledger`]; each of its backups takes a while.
#[derive(Debug)]
pub(crate) struct CountedDriver {
    capabilities: Capabilities,
    clock: Arc<dyn Clock>,
    ledger: Arc<Ledger>,
    takes: Duration,
    /// Told of what is begun, finished and lost.
    tell: fn(&str),
}

impl CountedDriver {
    pub(crate) fn new(clock: Arc<dyn Clock>, ledger: Arc<Ledger>, takes: Duration, tell: fn(&str)) -> Self {
        let capabilities = Capabilities::new("counted", Consistency::InstantSnapshot);
        Self { capabilities, clock, ledger, takes, tell }
    }

    fn state(&self, operation: &Operation) -> io::Result<Observation> {
        let ended = || Ok(Observation::Ended(Box::new(self.outcome(operation))));
        let process = match fs::read_to_string(self.ledger.file(operation.id, "begun")) {
            Ok(process) => process,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Observation::Absent),
            Err(error) => return Err(error),
        };
        if self.ledger.is_done(operation.id)? {
            return ended();
        }
        if process == self.ledger.process || self.ledger.is_alive(&process)? {
            return Ok(Observation::Running(Progress::default()));
        }
        // It may have come to its end between our two looks, just before it died.
        if self.ledger.is_done(operation.id)? {
            return ended();
        }
        (self.tell)(&format!("{} was begun by {process}, which is dead: lost", operation.name));
        Ok(Observation::Lost { reason: format!("{process} died over it") })
    }

    fn outcome(&self, operation: &Operation) -> Outcome {
        let namespaces = match &operation.work {
            Work::Backup(work) => work.namespaces.clone(),
            _ => Vec::new(),
        };
        let result = BackupResult {
            handle: operation.id.to_string(),
            kind: aegis::model::BackupKind::Full,
            consistent_at: Some(operation.started_at),
            sizes: Sizes::default(),
            counts: [("files", 1)].into_iter().collect(),
            namespaces,
            checksum: None,
            encryption: None,
            locked_until: None,
        };
        Outcome {
            status: EndStatus::Completed,
            ended_at: self.clock.now(),
            warnings: Vec::new(),
            errors: Vec::new(),
            failure_class: None,
            result: WorkResult::Backup(result),
        }
    }
}

#[async_trait]
impl BackupDriver for CountedDriver {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn namespaces(&self) -> Result<Vec<NamespaceName>, DriverError> {
        Ok(vec![NamespaceName::new(NAMESPACE).map_err(internal)?])
    }

    #[expect(clippy::disallowed_methods, reason = "the work goes on by itself, and dies with its process")]
    async fn start(&self, operation: &Operation) -> Result<(), DriverError> {
        let Work::Backup(_) = operation.work else { return unsupported() };
        if !self.ledger.begin(operation.id).map_err(internal)? {
            return Ok(());
        }
        (self.tell)(&format!("began {}", operation.name));
        let (clock, ledger, takes) = (Arc::clone(&self.clock), Arc::clone(&self.ledger), self.takes);
        let (id, name, tell) = (operation.id, operation.name.clone(), self.tell);
        tokio::spawn(async move {
            clock.sleep(takes).await;
            match ledger.finish(id) {
                Ok(()) => tell(&format!("finished {name}")),
                Err(error) => tell(&format!("could not finish {name}: {error}")),
            }
        });
        Ok(())
    }

    async fn observe(&self, operation: &Operation) -> Result<Observation, DriverError> {
        self.state(operation).map_err(internal)
    }

    async fn cancel(&self, _: &Operation) -> Result<(), DriverError> {
        unsupported()
    }

    async fn preview(&self, _: &TenantId, _: &RestoreWork) -> Result<RestorePreview, DriverError> {
        unsupported()
    }

    async fn browse(&self, _: &BrowseRequest) -> Result<BrowsePage, DriverError> {
        unsupported()
    }

    async fn inventory(&self, _: &InventoryRequest) -> Result<InventoryPage, DriverError> {
        unsupported()
    }

    fn hints(&self) -> BoxStream<'static, OperationId> {
        stream::empty().boxed()
    }
}

fn internal(error: impl std::error::Error) -> DriverError {
    DriverError::internal(error.to_string())
}

fn unsupported<T>() -> Result<T, DriverError> {
    Err(DriverError::unsupported("the counted driver does not do this"))
}
