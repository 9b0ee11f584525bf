//! What falls due: policies, and records whose time is over.

use std::collections::HashSet;

use aegis_core::{
    model::{
        BackupRecord, ClusterName, EventFacts, EventKind, ExpiredBy, PolicyState, RecordLifecycle,
        RecordState, Slot, Timestamp,
    },
    seams::{RecordQuery, Scope, Store},
    testing::fixtures,
};
use chrono::{DateTime, Utc};

use crate::{Bench, bare, changeset, fresh, load, print, timed};

pub(crate) async fn all(bench: &Bench) {
    load::policy_states(bench, 100_000).await;
    let cluster = ClusterName::new("tick").unwrap();
    idle(bench, &cluster).await;
    ticks(bench, &cluster).await;
    expiry(bench).await;
}

fn hours(hours: u64) -> std::time::Duration {
    std::time::Duration::from_secs(hours * 3_600)
}

async fn idle(bench: &Bench, cluster: &ClusterName) {
    let now = Timestamp::UNIX_EPOCH;
    let store = async || assert!(bench.store.due_policies(cluster, now, 1_000).await.unwrap().is_empty());
    let bare = async || {
        let text = "select version, document::text from policy_state where cluster = $1 and due_at <= $2 \
            order by due_at, policy limit 1000";
        let query = sqlx::query(text).bind(cluster.as_str().to_owned()).bind(DateTime::<Utc>::from(now));
        assert!(bare::rows(&bench.bare, query).await.is_empty());
    };
    bench.times("tick of 100,000 policies, nothing due", 1.2, 200, store, bare).await;
}

/// A thousand policies move on by a day, and settle a slot each.
async fn ticks(bench: &Bench, cluster: &ClusterName) {
    let reset = "update policy_state set due_at = '2026-02-06T16:00:00Z' \
        where cluster = 'tick' and policy < lpad(to_hex(1000), 32, '0')::uuid; delete from slot";
    let mut figures = Vec::new();
    for _ in 0..bench.pairs {
        bench.execute(reset).await;
        let store = timed(async || tick(bench, cluster).await).await;
        bench.execute(reset).await;
        let bare = async || {
            let now = fixtures::START.into();
            assert_eq!(bare::tick(&bench.bare, fresh(), cluster.as_str(), now).await, 1_000);
        };
        figures.push((store, timed(bare).await));
    }
    print("tick of 100,000 policies, 1,000 due", " ms", &figures, "<= 1.30");
}

async fn tick(bench: &Bench, cluster: &ClusterName) {
    let due = bench.store.due_policies(cluster, fixtures::START, 1_000).await.unwrap();
    assert_eq!(due.len(), 1_000);
    let mut changeset = changeset();
    for state in due {
        let slot = Slot { policy_id: state.value.policy, ..fixtures::slot(1) };
        let next =
            PolicyState { due_at: Some(fixtures::START.saturating_add(hours(24))), ..(*state.value).clone() };
        changeset.update(state.version, next, EventKind::SlotSettled, EventFacts::default());
        changeset.insert(slot, EventKind::SlotSettled, EventFacts::default());
    }
    bench.store.commit(changeset).await.unwrap();
}

/// Ten thousand records of a cluster are found, looked at with what is built on them, and marked.
async fn expiry(bench: &Bench) {
    const RECORDS: u64 = 10_000;
    let cluster = ClusterName::new("expiring").unwrap();
    let mut figures = Vec::new();
    for _ in 0..bench.pairs {
        make(bench, &cluster, RECORDS).await;
        let store = timed(async || expire(bench, &cluster).await).await;
        make(bench, &cluster, RECORDS).await;
        let bare = async || {
            let marked = bare::expire(&bench.bare, fresh(), cluster.as_str()).await;
            assert_eq!(marked, RECORDS);
        };
        figures.push((store, timed(bare).await));
    }
    print("expiry of 10,000 records", " ms", &figures, "<= 1.50");
}

async fn make(bench: &Bench, cluster: &ClusterName, records: u64) {
    let numbers: Vec<_> = (0..records).map(|_| bench.number()).collect();
    for some in numbers.chunks(1_000) {
        let mut changeset = changeset();
        for number in some {
            let record = BackupRecord {
                cluster: cluster.clone(),
                chain: fixtures::id(*number),
                ..fixtures::record(*number)
            };
            changeset.insert(record, EventKind::RecordCreated, EventFacts::default());
        }
        bench.store.commit(changeset).await.unwrap();
    }
}

async fn expire(bench: &Bench, cluster: &ClusterName) {
    let mut query = RecordQuery::new(Scope::Everyone);
    (query.cluster, query.states) = (Some(cluster.clone()), vec![RecordState::Available]);
    let records = bench.store.records(&query).await.unwrap().items;
    let parents: HashSet<_> = records.iter().filter_map(|record| record.value.parent).collect();
    let alone = records.iter().filter(|record| !parents.contains(&record.value.id));
    let lifecycle = RecordLifecycle::Expired {
        at: fixtures::START,
        by: ExpiredBy::Person(aegis_core::model::Principal::engine()),
        delete_after: fixtures::START.saturating_add(hours(24)),
        reason: "older than 30 days".to_owned(),
    };
    let alone: Vec<_> = alone.collect();
    assert_eq!(alone.len(), 10_000);
    for some in alone.chunks(1_000) {
        let mut changeset = changeset();
        for record in some {
            let expired = BackupRecord { lifecycle: lifecycle.clone(), ..(*record.value).clone() };
            changeset.update(record.version, expired, EventKind::RecordExpired, EventFacts::default());
        }
        bench.store.commit(changeset).await.unwrap();
    }
}
