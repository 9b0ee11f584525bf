//! An event log that proves itself: backups leave events, anchors vouch for them, and what somebody
//! does to the log behind the engine's back is found and named.
//!
//! `cargo run --features testing --example verify_log`

use std::{error::Error, path::Path, sync::Arc, time::Duration};

use aegis::{
    Aegis,
    engine::{EngineOptions, LogVerification, NewJob},
    model::{NamespaceSelection, Position},
    rules::LogFinding,
    seams::{Clock, Store},
    storage::{StorageOptions, open},
    store::MemoryStore,
    testing::{ManualClock, ScriptedDriver, TamperedStore, Tampering},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let home = tempfile::tempdir()?;
    let clock = ManualClock::starting_at("2026-03-01T00:00:00Z".parse()?);
    let store = Arc::new(MemoryStore::new(Arc::new(clock.clone())));
    verify(store, clock, home.path()).await
}

/// The whole story, over any store.
async fn verify(store: Arc<dyn Store>, clock: ManualClock, home: &Path) -> Result<(), Box<dyn Error>> {
    // Somebody with access to the store's rows stands between it and the engine.
    let rows = Arc::new(TamperedStore::new(store));
    let aegis = engine(Arc::clone(&rows), &clock, home)?;
    let tenant = aegis.default_tenant()?;

    for name in ["monday", "tuesday", "wednesday"] {
        let job = NewJob::new(name.parse()?, "shop".parse()?, NamespaceSelection::all());
        tenant.create_job(job).await?;
        aegis.pass().await;
        clock.advance(ScriptedDriver::USUAL_DURATION);
        aegis.pass().await;
        clock.advance(Duration::from_secs(24 * 3600));
    }
    aegis.pass().await;

    let untouched = tell("Nobody touched it", tenant.verify_log().await?);
    let events = tenant.events(Position::START, 5).await?;
    let [_, second, .., last] = &*events else { return Err("three backups leave more events".into()) };
    rows.tamper(Tampering::Change(second.position));
    let changed = tell("Somebody else stands in the second event", tenant.verify_log().await?);
    rows.tamper(Tampering::CutOff(last.position));
    let cut_off = tell("And what came after the fifth is gone", tenant.verify_log().await?);

    if untouched.is_whole()
        && changed.findings == [LogFinding::Changed { position: second.position }]
        && matches!(&*cut_off.findings, [_, LogFinding::CutOff { ends, .. }] if *ends == last.position)
    {
        Ok(())
    } else {
        Err("the log did not verify as it should".into())
    }
}

fn engine(rows: Arc<TamperedStore>, clock: &ManualClock, home: &Path) -> Result<Aegis, Box<dyn Error>> {
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let driver = ScriptedDriver::new(Arc::clone(&shared))
        .with_namespace("orders".parse()?, [("orders.csv", "1;apples\n")]);
    let location = format!("file://{}/backups/", home.display()).parse()?;
    let mut options = EngineOptions::default();
    options.anchor_interval = Duration::from_secs(3600);
    Ok(Aegis::builder()
        .store(rows)
        .clock(shared)
        .cluster("shop", Arc::new(driver))
        .storage(open(&location, &StorageOptions::default())?)
        .options(options)
        .build()?)
}

fn tell(what: &str, verified: LogVerification) -> LogVerification {
    println!("{what}:\n{verified}\n");
    verified
}
