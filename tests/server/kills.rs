//! Killed at any moment, the server forgets nothing that it acknowledged and does nothing twice.

use std::{collections::BTreeMap, time::Duration};

use aegis::{engine::SystemClock, seams::Clock};
use futures::{StreamExt, future::join_all, stream};
use reqwest::Method;
use serde_json::{Value, json};

use crate::process::{Place, Server, Store};

const ROUNDS: u64 = 2;
const CLIENTS: usize = 4;
/// Between a client's requests.
const PAUSE: Duration = Duration::from_millis(200);

const RECORDS: &str = "/api/v1/backups/records";

fn job(key: &str) -> Value {
    json!({"name": key, "cluster": "local", "namespaces": ["documents"], "ttl_hours": 1})
}

/// Posts jobs until the server is gone: the key of each, with the id that was acknowledged, if any.
async fn load(server: &Server, round: u64, client: usize) -> Vec<(String, Option<String>)> {
    let mut sent = Vec::new();
    for number in 0.. {
        let key = format!("job-{round}-{client}-{number}");
        let answer = server.ask_as(&key, Method::POST, "/api/v1/backups/jobs", Some(job(&key))).await;
        match answer {
            Ok((status, body)) => {
                assert_eq!(status, 201, "{body}");
                sent.push((key, Some(body["job"]["id"].as_str().unwrap().to_owned())));
                SystemClock::new().sleep(PAUSE).await;
            }
            Err(_) => {
                sent.push((key, None));
                return sent;
            }
        }
    }
    sent
}

/// Kills a server under load, several times, and asks the last what it knows.
async fn survive(store: Store) {
    let place = Place::new(store);
    let mut sent = BTreeMap::new();
    let mut policy = Value::Null;
    for round in 0..ROUNDS {
        let server = place.serve();
        if round == 0 {
            let often = json!({
                "name": "often", "cluster": "local", "schedule": "@every 1s", "retention_days": 1,
            });
            let (status, body) = server.post("/api/v1/dr/policies", often).await;
            assert_eq!(status, 201, "{body}");
            policy = body["policy"]["id"].clone();
        }
        let clients = join_all((0..CLIENTS).map(|client| load(&server, round, client)));
        let killer = async {
            // Under load, with jobs at work: a server waits for the lease of the one before. At another
            // moment of the work each time.
            backed_up(&server).await;
            SystemClock::new().sleep(Duration::from_millis(370 * round)).await;
            server.kill();
        };
        let (all, ()) = futures::join!(clients, killer);
        sent.extend(all.into_iter().flatten());
    }
    let server = place.serve();
    let acknowledged = sent.values().flatten().count();
    assert!(acknowledged > 20, "only {acknowledged} jobs were acknowledged: that is no load");
    let again = sent.iter().map(|(key, id)| posted_again(&server, key, id.as_deref()));
    stream::iter(again).buffer_unordered(CLIENTS).collect::<()>().await;
    let jobs = all_of(&server, "/api/v1/backups/jobs", "jobs").await;
    let names = counted(jobs.iter().map(|job| &job["name"]));
    for key in sent.keys() {
        assert_eq!(names.get(&json!(key).to_string()), Some(&1), "jobs under the key {key}");
    }
    let path = format!("/api/v1/dr/policies/{}/slots?limit=1000", policy.as_str().unwrap());
    let slots = server.get(&path).await["slots"].take();
    let slots = slots.as_array().unwrap();
    assert!(slots.iter().any(|slot| slot["job_id"].is_string()), "the policy ran: {slots:?}");
    once("a slot", slots.iter().map(|slot| &slot["run_at"]));
    once("the slot of a job", slots.iter().map(|slot| &slot["job_id"]).filter(|id| !id.is_null()));
    let records = all_of(&server, RECORDS, "records").await;
    once("the record of a job", records.iter().map(|record| &record["backup_job_id"]));
}

/// Sent again under its key, a request finds what it did, or does it now: once in any case.
async fn posted_again(server: &Server, key: &str, id: Option<&str>) {
    let again = server.ask_as(key, Method::POST, "/api/v1/backups/jobs", Some(job(key))).await;
    let (status, body) = again.unwrap();
    assert_eq!(status, 201, "{body}");
    if let Some(id) = id {
        assert_eq!(body["job"]["id"], id, "{key} was acknowledged as another job");
    }
}

/// Waits until the server has made a record.
async fn backed_up(server: &Server) {
    let made = server.get(RECORDS).await["total"].take();
    for _ in 0..300 {
        if server.get(RECORDS).await["total"] != made {
            return;
        }
        SystemClock::new().sleep(PAUSE).await;
    }
    panic!("no backup within half a minute")
}

/// That nothing is there twice.
fn once<'a>(what: &str, found: impl Iterator<Item = &'a Value>) {
    for (value, count) in counted(found) {
        assert_eq!(count, 1, "{what} is there twice: {value}");
    }
}

fn counted<'a>(found: impl Iterator<Item = &'a Value>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for value in found {
        *counts.entry(value.to_string()).or_insert(0) += 1;
    }
    counts
}

/// Every item of a list, page by page.
async fn all_of(server: &Server, path: &str, key: &str) -> Vec<Value> {
    let mut items = Vec::new();
    let mut cursor = String::new();
    loop {
        let mut page = server.get(&format!("{path}?limit=500{cursor}")).await;
        items.append(page[key].as_array_mut().unwrap());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}

#[tokio::test]
async fn what_was_acknowledged_outlives_kills_and_happens_once_with_sqlite() {
    survive(Store::Sqlite).await;
}

#[tokio::test]
async fn what_was_acknowledged_outlives_kills_and_happens_once_with_postgres() {
    let test = "what_was_acknowledged_outlives_kills_and_happens_once_with_postgres";
    if let Some(store) = Store::postgres(test) {
        survive(store).await;
    }
}
