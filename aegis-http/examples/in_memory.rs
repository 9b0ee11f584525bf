//! The API over an engine in memory, with one of most things in it: for tools that try the API out.
//!
//! `cargo run -p aegis-http --example in_memory -- [ADDRESS]` prints, as JSON on one line, where it
//! listens and the ids of what is there.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use aegis_core::{
    engine::{
        Aegis, DrSubject, EngineOptions, Execute, NewDrTest, NewJob, NewPlan, NewPolicy, SystemClock, Tenant,
    },
    model::{
        ClusterName, DrDestination, DrTarget, NamespaceSelection, RecordId, RetentionRules, Schedule,
        ZoneName,
    },
    seams::{Clock, WorkKind},
    testing::{MemoryObjectStorage, ScriptedDriver},
};
use aegis_http::{HttpOptions, Metrics};
use aegis_store_memory::MemoryStore;
use serde_json::{Value, json};
use tokio::net::TcpListener;

const CLUSTER: &str = "prod-us-east-1";

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let address = std::env::args().nth(1);
    let address: SocketAddr = address.as_deref().unwrap_or("127.0.0.1:0").parse()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let engine = engine(&clock)?;
    let _running = engine.start();
    let ids = furnish(&engine.default_tenant()?, &*clock).await?;
    let options = HttpOptions::default().with_metrics(Metrics::new(String::new));
    let listener = TcpListener::bind(address).await?;
    println!("{}", json!({"address": listener.local_addr()?, "ids": ids}));
    axum::serve(listener, aegis_http::router(engine, options)).await?;
    Ok(())
}

fn engine(clock: &Arc<dyn Clock>) -> Result<Aegis, Failure> {
    let mut driver = ScriptedDriver::new(Arc::clone(clock)).with_restore_root("/restores");
    for namespace in ["default", "app-backend"] {
        driver = driver.with_namespace(namespace.parse()?, [("deployment.yaml", "replicas: 3")]);
    }
    for kind in WorkKind::ALL {
        driver = driver.with_duration(*kind, Duration::from_millis(200));
    }
    let storage = MemoryObjectStorage::new("s3://oco-backups/prod-us-east-1/".parse()?, Arc::clone(clock));
    let mut options = EngineOptions::default();
    options.poll_interval = Duration::from_millis(100);
    Ok(Aegis::builder()
        .store(Arc::new(MemoryStore::new(Arc::clone(clock))))
        .clock(Arc::clone(clock))
        .cluster(CLUSTER, Arc::new(driver))
        .storage(Arc::new(storage))
        .options(options)
        .build()?)
}

/// One of most things, by what paths call their ids.
async fn furnish(tenant: &Tenant, clock: &dyn Clock) -> Result<Value, Failure> {
    let cluster: ClusterName = CLUSTER.parse()?;
    let new = NewJob::new("manual".parse()?, cluster.clone(), NamespaceSelection::all());
    let job = tenant.create_job(new).await?.job.id;
    let record = record_of(tenant, job, clock).await?;
    let daily = Schedule::cron("@daily".parse()?, ZoneName::UTC);
    let rules = RetentionRules::days(30);
    let policy = NewPolicy::new("daily".parse()?, cluster, NamespaceSelection::all(), daily, rules);
    let policy = tenant.create_policy(policy).await?.policy.id;
    let plan = tenant.create_plan(NewPlan::new("recover".parse()?, record)).await?.plan.id;
    tenant.execute_plan(plan, Execute::Confirmed).await?;
    let target = DrTarget { cluster: None, destination: DrDestination::Folder("/restores".to_owned()) };
    let test = tenant.run_dr_test(NewDrTest::new(DrSubject::Record(record), target)).await?.id;
    let id = |id: &dyn std::fmt::Display| id.to_string();
    Ok(json!({
        "job_id": id(&job), "record_id": id(&record), "policy_id": id(&policy),
        "plan_id": id(&plan), "test_id": id(&test),
    }))
}

async fn record_of(
    tenant: &Tenant,
    job: aegis_core::model::JobId,
    clock: &dyn Clock,
) -> Result<RecordId, Failure> {
    for _ in 0..600 {
        if let Some(result) = &tenant.job(job).await?.job.result {
            return Ok(result.record);
        }
        clock.sleep(Duration::from_millis(100)).await;
    }
    Err("the first backup did not end within a minute".into())
}
