//! Backing up and restoring 20,000 files of 2 GiB: Aegis, a bare rustic_core program over the same
//! storage, and restic where there is one, side by side; wall time and peak memory of each.
//!
//! `cargo bench -p aegis-files`, or with `-- --small` for a tenth of it. Each measurement is a
//! process of its own, this binary again, so that peaks do not mix.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a benchmark that fails should stop with where it did"
)]

use std::{
    collections::BTreeMap,
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use aegis_core::{
    engine::SystemClock,
    model::{
        ArtifactName, BackupKind, ClusterName, DisplayName, ExistingResourcePolicy, Labels, NamespaceName,
        OperationId, RecordId, RecordRef, RestoreOptions, RestoreTarget, TenantId, Timestamp,
    },
    seams::{
        BackupDriver, BackupWork, Clock, EndStatus, ListOptions, ObjectKey, ObjectStorage,
        ObjectStorageError, Observation, Operation, Outcome, PutMode, RestorePurpose, RestoreWork, Work,
        WorkResult,
    },
};
use aegis_files::{FileSet, FilesDriver, PasswordSource};
use aegis_object_store::{Durability, LocalStorage};
use bytes::Bytes;
use futures::StreamExt;
use rustic_core::{
    BackupOptions, BytesList, ConfigOptions, Credentials, ErrorKind, FileType, Id, KeyOptions,
    LocalDestination, LsOptions, PathList, ReadBackend, Repository, RepositoryBackends, RepositoryOptions,
    RestoreOptions as RusticRestore, RusticError, RusticResult, SnapshotOptions, WriteBackend,
};
use secrecy::SecretString;
use tokio::runtime::{Handle, Runtime};

const PASSWORD: &str = "benchmark";

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|text| text != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => compare(20_000, 107_374),
        ["--small"] => compare(2_000, 107_374),
        [what, home] => measured(what, Path::new(home)),
        other => panic!("unknown arguments {other:?}"),
    }
}

/// One measurement, in its own process.
fn measured(what: &str, home: &Path) {
    let runtime = Runtime::new().unwrap();
    match what {
        "aegis-backup" => runtime.block_on(aegis_backup(home)),
        "aegis-restore" => runtime.block_on(aegis_restore(home)),
        "rustic-backup" => rustic_backup(home, runtime.handle()),
        "rustic-restore" => rustic_restore(home, runtime.handle()),
        other => panic!("unknown measurement {other}"),
    }
    println!("{}", peak_of("self").unwrap_or(0));
}

fn compare(files: u64, size: usize) {
    let home = tempfile::tempdir().unwrap();
    furnish(&home.path().join("data"), files, size);
    println!("{files} files, {} MiB; wall time, peak memory", (files * size as u64) >> 20);
    let base = report("rustic_core: back up", run_self("rustic-backup", home.path()), None);
    report("Aegis:       back up", run_self("aegis-backup", home.path()), Some(base));
    report_restic("restic:      back up", home.path(), &["backup", "data"]);
    let base = report("rustic_core: restore", run_self("rustic-restore", home.path()), None);
    report("Aegis:       restore", run_self("aegis-restore", home.path()), Some(base));
    report_restic("restic:      restore", home.path(), &["restore", "latest", "--target", "out-restic"]);
}

type Measured = (Duration, u64);

fn report(what: &str, (wall, peak): Measured, base: Option<Measured>) -> Measured {
    print!("{what}  {:6.2} s  {:5} MiB", wall.as_secs_f64(), peak >> 10);
    if let Some((base_wall, base_peak)) = base {
        let time = wall.as_secs_f64() / base_wall.as_secs_f64();
        print!("   {time:.2} x time, {:.2} x memory", peak as f64 / base_peak as f64);
    }
    println!();
    (wall, peak)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the machine's clock")]
fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let began = Instant::now();
    let value = work();
    (began.elapsed(), value)
}

fn run_self(what: &str, home: &Path) -> Measured {
    let run = || Command::new(env::current_exe().unwrap()).arg(what).arg(home).output().unwrap();
    let (wall, output) = timed(run);
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    (wall, text.lines().last().unwrap().parse().unwrap())
}

/// restic on a repository of its own, if it is installed; its peak is asked for while it runs.
fn report_restic(what: &str, home: &Path, arguments: &[&str]) {
    let restic = |arguments: &[&str]| {
        let mut command = Command::new("restic");
        command.current_dir(home).env("RESTIC_PASSWORD", PASSWORD).args([
            "-r",
            "store-restic",
            "--no-cache",
            "-q",
        ]);
        command.args(arguments).stdout(Stdio::null());
        command.spawn()
    };
    if arguments[0] == "backup" {
        let Ok(mut init) = restic(&["init"]) else { return println!("{what}  not installed") };
        init.wait().unwrap();
    }
    let (wall, peak) = timed(|| {
        let Ok(mut child) = restic(arguments) else { return 0 };
        let (id, mut peak) = (child.id().to_string(), 0);
        while child.try_wait().unwrap().is_none() {
            peak = peak_of(&id).unwrap_or(peak);
            std::thread::yield_now();
        }
        peak
    });
    report(what, (wall, peak), None);
}

/// The most memory that a process has held, in KiB.
fn peak_of(process: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Half of the files are noise, half are text that compresses.
fn furnish(root: &Path, files: u64, size: usize) {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut noise = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for number in 0..files {
        let folder = root.join(format!("{:03}", number / 100));
        fs::create_dir_all(&folder).unwrap();
        let mut content = Vec::with_capacity(size + 64);
        while content.len() < size {
            if number % 2 == 0 {
                content.extend(noise().to_le_bytes());
            } else {
                writeln!(content, "line {} of file {number} says {:x}", content.len(), noise() & 0xFFFF)
                    .unwrap();
            }
        }
        content.truncate(size);
        fs::write(folder.join(format!("{number:05}.bin")), content).unwrap();
    }
}

fn storage(home: &Path, name: &str) -> Arc<dyn ObjectStorage> {
    let uri = format!("file://{}/", home.join(name).display()).parse().unwrap();
    Arc::new(LocalStorage::open(&uri, Durability::Synced).unwrap())
}

fn namespace() -> NamespaceName {
    NamespaceName::new("data").unwrap()
}

fn driver(home: &Path) -> FilesDriver {
    FilesDriver::builder(Arc::new(SystemClock::new()))
        .namespace(namespace(), FileSet::new([home.join("data")]).unwrap())
        .storage(storage(home, "store-aegis"), PasswordSource::Given(SecretString::from(PASSWORD.to_owned())))
        .restore_root(home)
        .build()
        .unwrap()
}

fn operation(number: u128, work: Work) -> Operation {
    let title = DisplayName::new("bench").unwrap();
    Operation {
        id: OperationId::from_uuid(uuid::Uuid::from_u128(number)),
        tenant: TenantId::new("default").unwrap(),
        cluster: ClusterName::new("local").unwrap(),
        name: ArtifactName::generate(&title, Timestamp::from_seconds(1)),
        started_at: SystemClock::new().now(),
        work,
    }
}

async fn run(driver: &FilesDriver, operation: &Operation) -> Outcome {
    let mut hints = driver.hints();
    driver.start(operation).await.unwrap();
    hints.next().await.unwrap();
    let Observation::Ended(outcome) = driver.observe(operation).await.unwrap() else {
        panic!("it has ended")
    };
    assert_eq!(outcome.status, EndStatus::Completed, "{outcome:?}");
    *outcome
}

async fn aegis_backup(home: &Path) {
    let work = BackupWork {
        namespaces: vec![namespace()],
        include_volumes: false,
        location: storage(home, "store-aegis").uri().clone(),
        kind: BackupKind::Full,
        base: None,
        keep_at_least: Duration::ZERO,
        labels: Labels::default(),
    };
    let outcome = run(&driver(home), &operation(1, Work::Backup(work))).await;
    let WorkResult::Backup(made) = outcome.result else { panic!("there is a record") };
    fs::write(home.join("handle"), made.handle).unwrap();
}

async fn aegis_restore(home: &Path) {
    let backup = operation(1, Work::Delete(aegis_core::seams::DeleteWork { record: record(home) }));
    let target = RestoreTarget::Path(home.join("out-aegis").to_str().unwrap().to_owned());
    let options = RestoreOptions {
        paths: Vec::new(),
        mapping: BTreeMap::from([(namespace(), target)]),
        existing: ExistingResourcePolicy::None,
        restore_volumes: false,
        preserve_node_ports: false,
    };
    let work = RestoreWork {
        record: record(home),
        namespaces: vec![namespace()],
        options,
        purpose: RestorePurpose::Recovery,
    };
    run(
        &driver(home),
        &Operation {
            id: OperationId::from_uuid(uuid::Uuid::from_u128(2)),
            work: Work::Restore(work),
            ..backup
        },
    )
    .await;
}

fn record(home: &Path) -> RecordRef {
    let title = DisplayName::new("bench").unwrap();
    RecordRef {
        id: RecordId::from_uuid(uuid::Uuid::from_u128(1)),
        cluster: ClusterName::new("local").unwrap(),
        operation: OperationId::from_uuid(uuid::Uuid::from_u128(1)),
        artifact: ArtifactName::generate(&title, Timestamp::from_seconds(1)),
        handle: fs::read_to_string(home.join("handle")).unwrap(),
        location: storage(home, "store-aegis").uri().clone(),
        namespaces: vec![namespace()],
    }
}

/// The least that rustic_core needs of a storage.
struct Bare(Arc<dyn ObjectStorage>, Handle);

impl Bare {
    fn key(tpe: FileType, id: &Id) -> ObjectKey {
        let hex = id.to_hex();
        let text = match tpe {
            FileType::Config => "config".to_owned(),
            FileType::Pack => format!("data/{}/{}", &hex.as_str()[..2], hex.as_str()),
            _ => format!("{}/{}", tpe.dirname(), hex.as_str()),
        };
        ObjectKey::new(text).unwrap()
    }
}

fn failed(error: ObjectStorageError) -> Box<RusticError> {
    RusticError::with_source(ErrorKind::Backend, "storage", error)
}

impl ReadBackend for Bare {
    fn location(&self) -> String {
        "bare".to_owned()
    }

    fn list_with_size(&self, tpe: FileType) -> RusticResult<Vec<(Id, u32)>> {
        if tpe == FileType::Config {
            let head = self.1.block_on(self.0.head(&Self::key(tpe, &Id::default())));
            return Ok(head
                .ok()
                .map(|meta| (Id::default(), u32::try_from(meta.size).unwrap()))
                .into_iter()
                .collect());
        }
        let prefix = Some(ObjectKey::new(tpe.dirname()).unwrap());
        let page = self
            .1
            .block_on(self.0.list(&ListOptions { prefix, after: None, limit: 1_000_000 }))
            .map_err(failed)?;
        let entry = |object: aegis_core::seams::ObjectMeta| {
            let name = object.key.as_str().rsplit('/').next()?;
            Some((name.parse().ok()?, u32::try_from(object.size).ok()?))
        };
        Ok(page.objects.into_iter().filter_map(entry).collect())
    }

    fn read_full(&self, tpe: FileType, id: &Id) -> RusticResult<Bytes> {
        Ok(self.1.block_on(self.0.get(&Self::key(tpe, id))).map_err(failed)?.1)
    }

    fn read_partial(&self, tpe: FileType, id: &Id, _: bool, offset: u32, length: u32) -> RusticResult<Bytes> {
        let range = u64::from(offset)..u64::from(offset) + u64::from(length);
        self.1.block_on(self.0.get_range(&Self::key(tpe, id), range)).map_err(failed)
    }

    fn warmup_path(&self, _: FileType, _: &Id) -> String {
        String::new()
    }
}

impl WriteBackend for Bare {
    fn write_bytes(&self, tpe: FileType, id: &Id, _: bool, content: BytesList) -> RusticResult<()> {
        let bytes = Bytes::from(content.slice().concat());
        self.1.block_on(self.0.put(&Self::key(tpe, id), bytes, PutMode::Overwrite)).map_err(failed)?;
        Ok(())
    }

    fn remove(&self, tpe: FileType, id: &Id, _: bool) -> RusticResult<()> {
        self.1.block_on(self.0.delete(&Self::key(tpe, id))).map_err(failed)
    }
}

fn repository(home: &Path, runtime: &Handle) -> Repository<()> {
    let backend = Bare(storage(home, "store-rustic"), runtime.clone());
    let backends = RepositoryBackends::new(Arc::new(backend), None);
    Repository::new(&RepositoryOptions::default().no_cache(true), &backends).unwrap()
}

fn rustic_backup(home: &Path, runtime: &Handle) {
    let credentials = Credentials::password(PASSWORD);
    let repository = repository(home, runtime);
    let repository =
        repository.init(&credentials, &KeyOptions::default(), &ConfigOptions::default()).unwrap();
    let source = PathList::from_string(home.join("data").to_str().unwrap()).unwrap().sanitize().unwrap();
    let snapshot = SnapshotOptions::default().to_snapshot().unwrap();
    repository.to_indexed_ids().unwrap().backup(&BackupOptions::default(), &source, snapshot).unwrap();
}

fn rustic_restore(home: &Path, runtime: &Handle) {
    let repository = repository(home, runtime).open(&Credentials::password(PASSWORD)).unwrap();
    let repository = repository.to_indexed().unwrap();
    let path = format!("latest:{}", home.join("data").display());
    let node = repository.node_from_snapshot_path(&path, |_| true).unwrap();
    let target: PathBuf = home.join("out-rustic");
    let destination = LocalDestination::new(target.to_str().unwrap(), true, false).unwrap();
    let (options, list) = (RusticRestore::default(), LsOptions::default());
    let plan = repository
        .prepare_restore(&options, repository.ls(&node, &list).unwrap(), &destination, false)
        .unwrap();
    repository.restore(plan, &options, repository.ls(&node, &list).unwrap(), &destination).unwrap();
}
