//! A month of schedules in milliseconds: the whole engine in memory, under a clock turned by hand.
//!
//! `cargo run --release --features testing --example in_memory_test`

use std::{error::Error, sync::Arc, time::Duration};

use aegis::{
    Aegis,
    engine::{EngineOptions, NewPolicy, SystemClock},
    model::{
        ClusterName, DisplayName, JobStatus, NamespaceName, NamespaceSelection, RecordState, RetentionRules,
        Schedule, SlotOutcome, ZoneName,
    },
    seams::{Clock, JobQuery, RecordQuery, Scope, Window, WorkKind},
    store::MemoryStore,
    testing::{ManualClock, MemoryObjectStorage, Script, ScriptedDriver},
};

const MONTH: Duration = Duration::from_secs(31 * 24 * 3600);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let stopwatch = SystemClock::new();
    let clock = ManualClock::starting_at("2026-03-01T00:00:00Z".parse()?);
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());

    // A driver that does as it is told: backups take ten minutes, and two nights go wrong.
    let driver = ScriptedDriver::new(Arc::clone(&shared))
        .with_namespace(NamespaceName::new("shop")?, [("orders.csv", "1;apples\n")])
        .with_duration(WorkKind::Backup, Duration::from_secs(600));
    driver.script_next(WorkKind::Backup, Script::failing("the disk is full"));
    driver.script_next(WorkKind::Backup, Script::losing("the machine was rebooted"));

    // Nobody watches, so the engine need look only when something is due, or runs.
    let mut options = EngineOptions::default();
    options.idle_interval = Duration::from_secs(24 * 3600);
    options.poll_interval = Duration::from_secs(60);
    let aegis = Aegis::builder()
        .options(options)
        .store(Arc::new(MemoryStore::new(Arc::clone(&shared))))
        .clock(Arc::clone(&shared))
        .cluster("test", Arc::new(driver))
        .storage(Arc::new(MemoryObjectStorage::new("s3://test/backups/".parse()?, shared)))
        .build()?;
    let tenant = aegis.default_tenant()?;

    // Nightly in Berlin, whose clocks change on the 29th. Keep a week.
    let policy = NewPolicy::new(
        DisplayName::new("nightly")?,
        ClusterName::new("test")?,
        NamespaceSelection::all(),
        Schedule::cron("30 2 * * *".parse()?, ZoneName::new("Europe/Berlin")?),
        RetentionRules::last(7),
    );
    let policy = tenant.create_policy(policy).await?.policy.id;

    // Pass by pass, each as late as the one before allows.
    let end = clock.now().saturating_add(MONTH);
    while clock.now() < end {
        let pause = aegis.pass().await;
        clock.advance(pause.max(Duration::from_millis(1)));
    }

    let jobs = tenant.jobs(JobQuery::new(Scope::Everyone)).await?.items;
    let completed = jobs.iter().filter(|job| job.status == JobStatus::Completed).count();
    let retried = jobs.iter().filter(|job| job.attempts.len() > 1).count();
    let slots = tenant.slots(policy, Window::first(100)).await?.items;
    let ran = slots.iter().filter(|slot| matches!(slot.outcome, SlotOutcome::Ran { .. })).count();
    let records = tenant.records(RecordQuery::new(Scope::Everyone)).await?.items;
    let kept = records.iter().filter(|view| view.record.state() == RecordState::Available).count();
    println!(
        "31 days: {ran} slots ran, {completed} of {} backups completed, {retried} at the second try",
        jobs.len()
    );
    println!("{} recovery points were made, the newest {kept} are kept", records.len());
    println!("it took {} ms", stopwatch.monotonic().elapsed().as_millis());

    // A test would assert this. The spring night has no 02:30, and runs all the same.
    assert_eq!((ran, jobs.len(), completed, retried, kept), (31, 31, 30, 1, 7));
    Ok(())
}
