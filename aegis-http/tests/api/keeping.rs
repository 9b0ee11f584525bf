//! What keeps records and lets them go, over HTTP; and how far back lists go.

use serde_json::json;

use crate::world::{CLUSTER, World};

const LOCATION: &str = "s3://oco-backups/prod-us-east-1/";

/// The id of the record of a manual backup.
async fn backed_up(world: &World) -> String {
    let job = json!({"name": "manual", "cluster": CLUSTER, "ttl_hours": 9000});
    world.post("/api/v1/backups/jobs", job).await.with(201);
    world.run(120).await;
    let records = world.get("/api/v1/backups/records?limit=1").await.with(200);
    records["records"][0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_protected_record_stays_until_the_rules_may_decide_again() {
    let world = World::open();
    let old = format!("/api/v1/backups/records/{}", backed_up(&world).await);
    backed_up(&world).await;
    let protection = format!("{old}/protection");
    let answer = world.put(&protection, "{}").await.with(200);
    assert_eq!(answer["record"]["protected"], true);
    world.delete(&old).await.refused(409, "conflict");
    world.delete(&protection).await.with(204);
    assert_eq!(world.get(&old).await.with(200)["record"]["protected"], false);
    world.delete(&old).await.with(202);
}

#[tokio::test]
async fn records_of_no_policy_are_previewed_and_judged_by_cluster_and_location() {
    let world = World::open();
    let record = backed_up(&world).await;
    let groups = world.get("/api/v1/retention/groups").await.with(200);
    let group = json!({"policy_id": null, "cluster": CLUSTER, "storage_location": LOCATION});
    assert_eq!((&groups["groups"], &groups["frozen"]), (&json!([group]), &json!(false)));
    let named = json!({"cluster": CLUSTER, "storage_location": LOCATION});
    let preview = world.post("/api/v1/retention/preview", &named).await.with(200);
    assert_eq!(preview["preview"]["decisions"][0]["record_id"], record);
    let run = world.post("/api/v1/retention/runs", &named).await.with(201);
    assert_eq!((&run["run"]["policy_id"], &run["run"]["kept"]), (&json!(null), &json!(1)));
    let rules = json!({"cluster": CLUSTER, "storage_location": LOCATION, "retention": {"days": 1}});
    world.post("/api/v1/retention/preview", rules).await.refused(422, "validation_error");
    let elsewhere = json!({"cluster": "elsewhere", "storage_location": LOCATION});
    world.post("/api/v1/retention/preview", elsewhere).await.refused(404, "not_found");
    let half = json!({"cluster": CLUSTER});
    world.post("/api/v1/retention/preview", half).await.refused(422, "validation_error");
}

#[tokio::test]
async fn what_a_deleted_policy_left_is_judged_where_it_lies() {
    let world = World::open();
    let policy = json!({"name": "p", "cluster": CLUSTER, "schedule": "@hourly", "retention_days": 3});
    let policy = world.post("/api/v1/dr/policies", policy).await.with(201)["policy"]["id"].clone();
    world.run(3 * 3600).await;
    let uri = format!("/api/v1/dr/policies/{}", policy.as_str().unwrap());
    world.delete(&uri).await.with(204);
    world.post("/api/v1/retention/preview", json!({"policy_id": policy})).await.refused(404, "not_found");
    let left = json!({"policy_id": policy, "storage_location": LOCATION});
    let preview = world.post("/api/v1/retention/preview", left).await.with(200);
    assert!(preview["preview"]["kept"].as_u64().unwrap() >= 2, "{preview}");
}

#[tokio::test]
async fn saying_go_where_nothing_is_frozen_changes_nothing() {
    let world = World::open();
    world.post("/api/v1/retention/resume", "{}").await.with(204);
    assert_eq!(world.get("/api/v1/audit").await.with(200)["events"], json!([]));
}

#[tokio::test]
async fn jobs_of_30_days_and_records_of_90_are_listed_unless_more_is_asked_for() {
    let world = World::open();
    backed_up(&world).await;
    let count = async |uri: &str| world.get(uri).await.with(200)["total"].as_u64().unwrap();
    let (jobs, records) = ("/api/v1/backups/jobs", "/api/v1/backups/records");
    let day = 24 * 3600;
    world.clock.advance(std::time::Duration::from_secs(29 * day));
    assert_eq!((count(jobs).await, count(records).await), (1, 1));
    world.clock.advance(std::time::Duration::from_secs(2 * day));
    assert_eq!((count(jobs).await, count(records).await), (0, 1));
    world.clock.advance(std::time::Duration::from_secs(60 * day));
    assert_eq!((count(jobs).await, count(records).await), (0, 0));
    let ever = "?from=2026-01-01T00:00:00Z";
    assert_eq!((count(&format!("{jobs}{ever}")).await, count(&format!("{records}{ever}")).await), (1, 1));
}

#[tokio::test]
async fn a_drill_that_is_cancelled_tells_what_it_came_to() {
    let world = World::open();
    let record = backed_up(&world).await;
    let test = json!({"backup_record_id": record, "target": {"folder": "/restores"}});
    let test = world.post("/api/v1/dr/tests", test).await.with(202)["test"]["id"].clone();
    let uri = format!("/api/v1/dr/tests/{}", test.as_str().unwrap());
    let cancelled = world.post(&format!("{uri}/cancel"), "{}").await.with(200)["test"].clone();
    assert_eq!(cancelled["conclusion"]["status"], "not_run", "{cancelled}");
    world.run(600).await;
    let ended = world.get(&uri).await.with(200)["test"].clone();
    assert_eq!(ended["status"], "not_run");
    world.post(&format!("{uri}/cancel"), "{}").await.refused(409, "conflict");
}

#[tokio::test]
async fn how_a_policy_kept_its_rpo_is_told_with_spread_budget_and_locations() {
    let world = World::open();
    let policy =
        json!({"name": "p", "cluster": CLUSTER, "schedule": "@hourly", "retention_days": 3, "rpo_hours": 2});
    world.post("/api/v1/dr/policies", policy).await.with(201);
    world.run(6 * 3600).await;
    let history = world.get("/api/v1/dr/compliance/history").await.with(200)["history"][0].clone();
    assert!(history["spread"]["p50_seconds"].as_u64().unwrap() <= 3600, "{history}");
    assert_eq!(history["error_budget"]["objective_pct"], 99.0);
    let (spent, left) = (&history["error_budget"]["spent_seconds"], &history["error_budget"]["left_seconds"]);
    assert!(spent.is_u64() && left.is_u64(), "{history}");
    assert_eq!(history["by_location"][0]["storage_location"], LOCATION);
    assert!(history["by_location"][0]["exposure_seconds"].as_u64().unwrap() <= 3600, "{history}");
    let compliance = world.get("/api/v1/dr/compliance").await.with(200)["compliance"]["policies"][0].clone();
    assert!(compliance["latest_safe_start"].is_string(), "{compliance}");
}
