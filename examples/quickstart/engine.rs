//! The engine, put together: memory store, files driver, a local folder as storage location.

use std::{path::PathBuf, sync::Arc, time::Duration};

use aegis::{
    Aegis,
    engine::{EngineOptions, SystemClock},
    files::{FileSet, FilesDriver, PasswordSource},
    model::{ClusterName, NamespaceName, StorageUri},
    storage::{StorageOptions, open},
    store::MemoryStore,
};
use sha2::{Digest, Sha256};

use crate::{
    house::House,
    problem::{Problem, Result},
    survey::Survey,
};

/// The engine with the names of what it serves.
pub(crate) struct Engine {
    pub(crate) aegis: Aegis,
    pub(crate) clock: Arc<SystemClock>,
    pub(crate) cluster: ClusterName,
    pub(crate) location: StorageUri,
    /// What the user named.
    pub(crate) live: NamespaceName,
    /// The copy of it that may be changed.
    pub(crate) copy: NamespaceName,
    pub(crate) copy_path: PathBuf,
}

/// Puts the engine together. Nothing runs yet.
#[expect(clippy::clone_on_ref_ptr, reason = "`Arc::clone` would not let the clone become an `Arc<dyn …>`")]
pub(crate) fn build(path: &PathBuf, survey: &Survey, house: &House) -> Result<Engine> {
    let clock = Arc::new(SystemClock::new());
    let location: StorageUri = uri(&house.backups())?;
    let storage = open(&location, &StorageOptions::default())?;
    let name = name_of(path);
    let (live, copy) = (NamespaceName::new(&name)?, NamespaceName::new(format!("{name}-copy"))?);
    let copy_path = house.scratch().join(&name);
    let driver = FilesDriver::builder(clock.clone())
        .namespace(live.clone(), FileSet::new([path])?.excluding(survey.excludes())?)
        .namespace(copy.clone(), FileSet::new([&copy_path])?)
        .storage(Arc::clone(&storage), PasswordSource::File(house.password_file()))
        .restore_root(house.restored())
        .restore_root(house.scratch())
        .scratch(house.verify())
        .build()?;
    let cluster = ClusterName::new("local")?;
    let aegis = Aegis::builder()
        .store(Arc::new(MemoryStore::new(clock.clone())))
        .clock(clock.clone())
        .cluster(cluster.as_str(), Arc::new(driver))
        .storage(storage)
        .options(options())
        .build()?;
    Ok(Engine { aegis, clock, cluster, location, live, copy, copy_path })
}

/// Paced for someone who watches.
fn options() -> EngineOptions {
    let mut options = EngineOptions::default();
    options.poll_interval = Duration::from_millis(200);
    options.progress_interval = Duration::from_millis(200);
    options.idle_interval = Duration::from_secs(1);
    options.retry_backoff = Duration::from_secs(2);
    options
}

fn uri(folder: &std::path::Path) -> Result<StorageUri> {
    let text = folder.to_str().ok_or_else(|| {
        Problem::new(format!("{} can't be a storage location: it is not UTF-8", folder.display()))
            .mend("choose another place with --data-dir DIR")
    })?;
    Ok(format!("file://{text}/").parse()?)
}

/// A name for what lies at `path`: the same each time, another for each path.
fn name_of(path: &std::path::Path) -> String {
    let last = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let plain: String =
        last.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-' || *c == '_').take(40).collect();
    let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
    let short: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    if plain.is_empty() { format!("files-{short}") } else { format!("{plain}-{short}") }
}
