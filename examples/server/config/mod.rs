//! What the server is to be: read from a file, the environment and the command line, in this order,
//! the later over the earlier.

mod load;
mod read;
mod secret;
mod section;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use aegis::{
    engine::TenantOptions,
    files::PasswordSource,
    http::{LimitProfile, Token, TokenHash},
    model::{ClusterName, NamespaceName, StorageUri, TenantId},
    storage::StorageOptions,
    store::PostgresOptions,
    webhooks::WebhookOptions,
};
use tracing_subscriber::filter::Targets;

pub(crate) use load::load;

/// What the server is to be. Everything in it is valid by itself and fits together.
#[derive(Debug)]
pub(crate) struct Config {
    /// Where it was read, if it was.
    pub(crate) file: Option<PathBuf>,
    pub(crate) listen: SocketAddr,
    pub(crate) data_dir: PathBuf,
    pub(crate) store: StoreChoice,
    pub(crate) clusters: BTreeMap<ClusterName, Cluster>,
    pub(crate) storage: BTreeMap<String, Storage>,
    pub(crate) tenants: BTreeMap<TenantId, Tenant>,
    pub(crate) tokens: Vec<Token>,
    /// What opens `/metrics`.
    pub(crate) metrics: Option<TokenHash>,
    pub(crate) tls: Option<Tls>,
    pub(crate) webhooks: Vec<WebhookOptions>,
    /// How long events are kept; for good unless said.
    pub(crate) keep_events: Option<Duration>,
    pub(crate) log: Log,
    pub(crate) http: Http,
}

impl Config {
    /// Whether anybody may see figures: where nobody has a token everyone on this machine may, else whoever
    /// has the one for them.
    pub(crate) const fn shows_figures(&self) -> bool {
        self.tokens.is_empty() || self.metrics.is_some()
    }
}

/// Where the engine remembers.
#[derive(Debug)]
pub(crate) enum StoreChoice {
    /// Nowhere for long.
    Memory,
    /// One file; the data directory's own if none is named.
    Sqlite(Option<PathBuf>),
    /// A database.
    Postgres(Box<PostgresOptions>),
}

/// A protected system. The driver is the one for files: there is no other yet.
#[derive(Debug, Default)]
pub(crate) struct Cluster {
    pub(crate) namespaces: BTreeMap<NamespaceName, Namespace>,
    pub(crate) restore_roots: Vec<PathBuf>,
    pub(crate) tenants: Vec<TenantId>,
    pub(crate) max_running: Option<u32>,
}

/// A named set of paths.
#[derive(Debug, Default)]
pub(crate) struct Namespace {
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) excludes: Vec<String>,
}

/// A storage location.
#[derive(Debug)]
pub(crate) struct Storage {
    pub(crate) uri: StorageUri,
    pub(crate) options: StorageOptions,
    /// The repository's password; a file in the data directory, made where it is missing, if none
    /// is named.
    pub(crate) password: Option<PasswordSource>,
    pub(crate) tenants: Vec<TenantId>,
}

/// What holds for a tenant.
#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) options: TenantOptions,
    pub(crate) limits: LimitProfile,
}

/// A certificate chain and its key, both PEM files.
#[derive(Debug)]
pub(crate) struct Tls {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// What is logged, and how.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) format: LogFormat,
    pub(crate) level: Targets,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Human,
    Json,
}

/// How the API is served; limits are those of the library where none is set.
#[derive(Debug)]
pub(crate) struct Http {
    pub(crate) max_body_bytes: Option<u32>,
    pub(crate) max_connections: Option<u32>,
    /// Whether big answers are compressed for those who take them so.
    pub(crate) compression: bool,
}
