//! The engine, put together as the configuration says.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use aegis::{
    Aegis,
    engine::{ClusterOptions, EngineOptions, SystemClock},
    files::{FileSet, FilesDriver, PasswordSource},
    http::StoreKind,
    model::TenantId,
    seams::{ObjectStorage, Store},
    storage::open,
    store::{MemoryStore, PostgresOptions, PostgresStore, SqliteOptions, SqliteStore},
    webhooks::Webhook,
};

use crate::{
    config::{Cluster, Config, StoreChoice},
    house::{House, Password},
    problem::{Problem, Result},
};

/// How long shutdown waits for what the engine has under way; the rest of 30 s is for requests.
const ENGINE_DRAIN: Duration = Duration::from_secs(20);

/// The engine with what it remembers in.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) engine: Aegis,
    pub(crate) store: OpenStore,
    /// The password of each storage, by the storage's name.
    pub(crate) passwords: BTreeMap<String, Password>,
}

/// The store, to be closed at the end.
#[derive(Debug, Clone)]
pub(crate) enum OpenStore {
    Memory(Arc<MemoryStore>),
    Sqlite(Arc<SqliteStore>),
    Postgres(Arc<PostgresStore>),
}

/// A storage that is open, with whose it is.
struct OpenStorage<'a> {
    storage: Arc<dyn ObjectStorage>,
    password: PasswordSource,
    tenants: &'a [TenantId],
}

/// Puts the engine together. Nothing runs yet.
///
/// # Errors
/// Whatever can't be opened, with what to do.
pub(crate) async fn build(config: &Config, house: &House) -> Result<Built> {
    let clock = Arc::new(SystemClock::new());
    let mut passwords = BTreeMap::new();
    let mut storages = Vec::new();
    for (name, storage) in &config.storage {
        let password = house.password(name, storage)?;
        storages.push(OpenStorage {
            storage: open(&storage.uri, &storage.options)?,
            password: password.source(),
            tenants: &storage.tenants,
        });
        passwords.insert(name.clone(), password);
    }
    let store = OpenStore::open(&config.store, house, &clock).await?;
    let mut builder =
        Aegis::builder().store(store.seam()).clock(Arc::<SystemClock>::clone(&clock)).options(pace(config));
    for (name, cluster) in &config.clusters {
        let driver = driver(cluster, &storages, house, &clock)
            .map_err(|problem| problem.at(format_args!("the cluster `{name}`")))?;
        let mut options = ClusterOptions::for_tenants(cluster.tenants.iter().cloned());
        if let Some(most) = cluster.max_running.and_then(|most| usize::try_from(most).ok()) {
            options = options.with_max_running(most);
        }
        builder = builder.cluster_with(name.as_str(), Arc::new(driver), options);
    }
    for open in &storages {
        builder = builder.storage_for(Arc::clone(&open.storage), open.tenants.iter().cloned());
    }
    for webhook in &config.webhooks {
        let webhook = Webhook::new(webhook.clone(), Arc::<SystemClock>::clone(&clock));
        builder = builder.notifier(Arc::new(webhook));
    }
    for (tenant, settings) in &config.tenants {
        builder = builder.tenant(tenant.clone(), settings.options);
    }
    Ok(Built { engine: builder.build()?, store, passwords })
}

fn pace(config: &Config) -> EngineOptions {
    let mut options = EngineOptions::default();
    options.keep_events = config.keep_events;
    options.drain_timeout = ENGINE_DRAIN;
    options
}

/// The driver of a cluster, with the storages that its tenants have.
fn driver(
    cluster: &Cluster,
    storages: &[OpenStorage<'_>],
    house: &House,
    clock: &Arc<SystemClock>,
) -> Result<FilesDriver> {
    let mut driver = FilesDriver::builder(Arc::<SystemClock>::clone(clock)).scratch(house.scratch());
    for (name, namespace) in &cluster.namespaces {
        let own = namespace.paths.iter().filter_map(|path| within(path, house.root()));
        let excludes = namespace.excludes.iter().cloned().chain(own);
        driver = driver.namespace(name.clone(), FileSet::new(&namespace.paths)?.excluding(excludes)?);
    }
    let usable = |open: &&OpenStorage<'_>| open.tenants.iter().any(|tenant| cluster.tenants.contains(tenant));
    for open in storages.iter().filter(usable) {
        driver = driver.storage(Arc::clone(&open.storage), open.password.clone());
    }
    for root in &cluster.restore_roots {
        driver = driver.restore_root(root);
    }
    Ok(driver.build()?)
}

/// What to leave out where a protected path has the data directory in it: backups of backups would
/// never end.
fn within(path: &Path, data_dir: &Path) -> Option<String> {
    let relative = data_dir.strip_prefix(path).ok()?.to_str().filter(|relative| !relative.is_empty())?;
    let literal = |c: char| if "*?[]{}\\!".contains(c) { format!("\\{c}") } else { c.to_string() };
    Some(format!("/{}", relative.chars().map(literal).collect::<String>()))
}

impl OpenStore {
    async fn open(choice: &StoreChoice, house: &House, clock: &Arc<SystemClock>) -> Result<Self> {
        let clock = Arc::<SystemClock>::clone(clock);
        match choice {
            StoreChoice::Memory => Ok(Self::Memory(Arc::new(MemoryStore::new(clock)))),
            StoreChoice::Sqlite(file) => {
                let file = file.clone().unwrap_or_else(|| house.database());
                let opened = SqliteStore::open(SqliteOptions::new(file), clock).await;
                Ok(Self::Sqlite(Arc::new(opened.map_err(|error| Problem::of(&error))?)))
            }
            StoreChoice::Postgres(options) => {
                let opened = PostgresStore::open(PostgresOptions::clone(options)).await;
                let store = opened.map_err(|error| {
                    Problem::of(&error)
                        .mend("check the store's URL, and that the database runs and lets us in")
                })?;
                Ok(Self::Postgres(Arc::new(store)))
            }
        }
    }

    /// As the engine takes it.
    pub(crate) fn seam(&self) -> Arc<dyn Store> {
        match self {
            Self::Memory(store) => Arc::<MemoryStore>::clone(store),
            Self::Sqlite(store) => Arc::<SqliteStore>::clone(store),
            Self::Postgres(store) => Arc::<PostgresStore>::clone(store),
        }
    }

    /// As `GET /health` names it.
    pub(crate) const fn kind(&self) -> StoreKind {
        match self {
            Self::Memory(_) | Self::Sqlite(_) => StoreKind::Other,
            Self::Postgres(_) => StoreKind::PostgreSql,
        }
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Memory(_) => {}
            Self::Sqlite(store) => store.close().await,
            Self::Postgres(store) => store.close().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_directory_is_left_out_of_what_it_lies_in() {
        let within = |path: &str, data: &str| within(Path::new(path), Path::new(data));
        assert_eq!(within("/srv", "/srv/a[1]/aegis-data").as_deref(), Some("/a\\[1\\]/aegis-data"));
        assert_eq!(within("/srv", "/var/aegis-data"), None);
    }
}
