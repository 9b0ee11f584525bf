//! Lists and their totals, over more and more jobs.

use aegis_core::{
    model::{BackupJob, ClusterName, JobStatus, Timestamp},
    seams::{JobQuery, Scope, Store, Window},
    testing::fixtures,
};
use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Row};

use crate::{Bench, bare, load, median, print, timed, writes};

pub(crate) async fn all(bench: &Bench, sizes: &str) {
    let (mut there, mut times) = (1, Vec::new());
    for size in sizes.split(',').map(|size| size.trim().parse::<u64>().unwrap()) {
        load::jobs(bench, there, size + 1).await;
        there = size + 1;
        times.push(list(bench, size).await);
        totals(bench, size).await;
    }
    if let [first, .., last] = times.as_slice() {
        print("the list at the last size against the first", " ms", &[(*last, *first)], "<= 1.50");
    }
    writes::claims(bench, &format!("{} finished", there - 1)).await;
}

/// Finished jobs of a cluster since ten thousand jobs ago.
fn recent(size: u64) -> JobQuery {
    let mut query = JobQuery::new(Scope::Tenant(fixtures::tenant()));
    query.cluster = Some(ClusterName::new("c3").unwrap());
    query.statuses = vec![JobStatus::Completed];
    query.from = Some(time(size.saturating_sub(9_000)));
    query
}

fn time(number: u64) -> Timestamp {
    fixtures::START.saturating_add(load::SPACING * u32::try_from(number).unwrap())
}

/// The middle of the store's times.
async fn list(bench: &Bench, size: u64) -> f64 {
    let query = recent(size).with_window(Window::first(50));
    let from: DateTime<Utc> = query.from.unwrap().into();
    let text = format!(
        "select version, document::text from job where tenant = $1 and cluster = $2 and status = 'completed' \
         and at >= $3 and not hidden order by at desc, id desc limit {}",
        50
    );
    let times = std::cell::RefCell::new(Vec::new());
    let store = async || {
        let took = timed(async || assert_eq!(bench.store.jobs(&query).await.unwrap().items.len(), 50)).await;
        times.borrow_mut().push(took);
    };
    let bare = async || {
        let tenant = fixtures::tenant().as_str().to_owned();
        let asked = sqlx::query(AssertSqlSafe(text.clone())).bind(tenant).bind("c3").bind(from);
        assert_eq!(bare::rows(&bench.bare, asked).await.len(), 50);
    };
    let what = format!("list of 50 by cluster, status and time of {size}");
    bench.times(&what, 1.15, 200, store, bare).await;
    // Rows are not jobs yet: the same with the documents read.
    let decoded = async || {
        let tenant = fixtures::tenant().as_str().to_owned();
        let asked = sqlx::query(AssertSqlSafe(text.clone())).bind(tenant).bind("c3").bind(from);
        let rows = bare::rows(&bench.bare, asked).await;
        let jobs = rows.iter().map(|row| serde_json::from_str::<BackupJob>(row.get(1)).unwrap());
        assert_eq!(jobs.collect::<Vec<_>>().len(), 50);
    };
    bench.times(&format!("{what}, both as jobs"), 1.15, 200, store, decoded).await;
    median(times.into_inner())
}

/// What a total adds to a list, narrowed in each way.
async fn totals(bench: &Bench, size: u64) {
    let everything = JobQuery::new(Scope::Tenant(fixtures::tenant()));
    let half = |mut query: JobQuery| {
        (query.from, query.to) = (Some(time(size / 4)), Some(time(size / 4 * 3)));
        query
    };
    let mut of_cluster = everything.clone();
    of_cluster.cluster = recent(size).cluster;
    let mut of_policy = everything.clone();
    of_policy.policy = Some(fixtures::id(8));
    let mut failed = everything.clone();
    failed.statuses = vec![JobStatus::Failed];
    let asked = [
        ("nothing", everything.clone()),
        ("cluster", of_cluster.clone()),
        ("policy", of_policy.clone()),
        ("status", failed),
        ("cluster, status and time", recent(size)),
        ("half of the time", half(everything)),
        ("cluster and half of the time", half(of_cluster)),
        ("policy and half of the time", half(of_policy)),
    ];
    for (by, query) in asked {
        let mut figures = Vec::new();
        for _ in 0..bench.pairs {
            let (mut with, mut without) = (Vec::new(), Vec::new());
            for _ in 0..50 {
                let page = query.clone().with_window(Window { count: true, ..Window::first(50) });
                with.push(
                    timed(async || assert!(bench.store.jobs(&page).await.unwrap().total.is_some())).await,
                );
                let page = query.clone().with_window(Window::first(50));
                without.push(
                    timed(async || assert!(bench.store.jobs(&page).await.unwrap().total.is_none())).await,
                );
            }
            figures.push((median(with), median(without)));
        }
        let more = median(figures.iter().map(|(with, without)| with - without).collect());
        let target = format!("+{more:.2} ms; <= +1 ms");
        print(&format!("list with its total by {by} of {size}, against without"), " ms", &figures, &target);
    }
}
