//! The engine in someone's service: protect a directory every night, and once now. What it knows is
//! in one SQLite file, so that a restart forgets nothing.
//!
//! `cargo run --example embed`

#![expect(clippy::clone_on_ref_ptr, reason = "`Arc::clone` would not let the clone become an `Arc<dyn …>`")]

use std::{error::Error, fs, sync::Arc};

use aegis::{
    Aegis,
    engine::{NewPolicy, SystemClock},
    files::{FileSet, FilesDriver, PasswordSource},
    model::{EventKind, NamespaceSelection, Position, RetentionRules, Schedule, ZoneName},
    storage::{StorageOptions, open},
    store::{SqliteOptions, SqliteStore},
};
use futures::StreamExt;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // A service has real places; this example cleans up after itself.
    let home = tempfile::tempdir()?;
    let (documents, key) = (home.path().join("documents"), home.path().join("repository.key"));
    fs::create_dir(&documents)?;
    fs::write(documents.join("orders.csv"), "1;apples\n")?;
    fs::write(&key, "a long random password, with a copy elsewhere\n")?;

    let clock = Arc::new(SystemClock::new());
    let storage =
        open(&format!("file://{}/backups/", home.path().display()).parse()?, &StorageOptions::default())?;
    let driver = FilesDriver::builder(clock.clone())
        .namespace("documents".parse()?, FileSet::new([documents])?)
        .storage(storage.clone(), PasswordSource::File(key))
        .build()?;
    let store = SqliteStore::open(SqliteOptions::new(home.path().join("aegis.db")), clock).await?;
    let aegis = Aegis::builder()
        .store(Arc::new(store))
        .cluster("local", Arc::new(driver))
        .storage(storage)
        .build()?;
    let running = aegis.start();

    let tenant = aegis.default_tenant()?;
    let nightly = Schedule::cron("0 2 * * *".parse()?, ZoneName::UTC);
    let keep = RetentionRules::days(30);
    let policy =
        NewPolicy::new("nightly".parse()?, "local".parse()?, NamespaceSelection::all(), nightly, keep);
    let policy = tenant.create_policy(policy).await?.policy.id;
    let job = tenant.run_policy(policy).await?.job.id;

    let mut events = tenant.subscribe(Position::START);
    while let Some(sealed) = events.next().await.transpose()? {
        println!("{}  {}", sealed.event.at, sealed.event.kind);
        if matches!(sealed.event.kind, EventKind::JobCompleted | EventKind::JobFailed) {
            break;
        }
    }
    let job = tenant.job(job).await?.job;
    println!("{} is {}", job.name, job.status);
    running.shutdown().await;
    job.result.is_some().then_some(()).ok_or("the backup made no recovery point")?;
    Ok(())
}
