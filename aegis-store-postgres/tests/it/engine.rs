//! The engine over this store.

use std::{sync::Arc, time::Duration};

use aegis_core::{
    engine::{Aegis, EngineOptions, NewJob},
    model::{ClusterName, JobStatus, NamespaceName, NamespaceSelection, Position},
    seams::{Clock, Scope, Store},
    testing::{ManualClock, MemoryObjectStorage, ScriptedDriver, fixtures},
};

use crate::database::Database;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// An engine over `store` that keeps events for 40 days.
fn engine(store: Arc<dyn Store>, clock: &ManualClock) -> Aegis {
    let dated: Arc<dyn Clock> = Arc::new(clock.clone());
    let app = NamespaceName::new("app").unwrap();
    let driver = ScriptedDriver::new(Arc::clone(&dated)).with_namespace(app, [("a.txt", "one")]);
    let storage = MemoryObjectStorage::new(fixtures::location(), Arc::clone(&dated));
    let mut options = EngineOptions::default();
    options.keep_events = Some(40 * DAY);
    options.idle_interval = HOUR;
    Aegis::builder()
        .store(store)
        .clock(dated)
        .cluster("local", Arc::new(driver))
        .storage(Arc::new(storage))
        .options(options)
        .seed([1; 32])
        .build()
        .unwrap()
}

/// A backup, two hours, and then `days` in which nothing happens but that they pass.
async fn days(aegis: &Aegis, clock: &ManualClock, days: u32) {
    let name = "manual".parse().unwrap();
    let job = NewJob::new(name, ClusterName::new("local").unwrap(), NamespaceSelection::all());
    let tenant = aegis.default_tenant().unwrap();
    let job = tenant.create_job(job).await.unwrap().job.id;
    for step in [Duration::ZERO, HOUR, HOUR, DAY * days, HOUR, HOUR] {
        clock.advance(step);
        for _ in 0..10 {
            aegis.pass().await;
            clock.advance(Duration::from_secs(10));
        }
    }
    assert_eq!(tenant.job(job).await.unwrap().job.status, JobStatus::Completed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_events_are_let_go_their_rows_are_removed_and_the_log_verifies() {
    let Some(database) = Database::fresh("the engine on PostgreSQL").await else { return };
    let clock = ManualClock::starting_at(fixtures::START);
    let store = Arc::new(database.open().await);
    let aegis = engine(Arc::clone(&store) as _, &clock);
    days(&aegis, &clock, 39).await;
    assert_eq!(store.log_start().await.unwrap().position, Position::START);
    days(&aegis, &clock, 3).await;
    let start = store.log_start().await.unwrap().position;
    assert!(start > Position::START);
    let left = store.events(&Scope::Everyone, start, 1_000).await.unwrap();
    assert_eq!(left.first().map(|sealed| sealed.position), Some(start.next()));
    let verified = aegis.verify_log().await.unwrap();
    assert_eq!(verified.findings, [], "{verified}");
    let first: i64 = sqlx::query_scalar("select min(position) from event")
        .fetch_one(&mut database.connect().await)
        .await
        .unwrap();
    assert_eq!(Position(first.unsigned_abs()), start.next());
}
