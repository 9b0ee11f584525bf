//! Lists beyond the reference's: counted and paged like all others.

use serde_json::{Value, json};

use crate::world::World;

async fn hourly(world: &World) -> String {
    let policy = json!({
        "name": "hourly", "cluster": "prod-us-east-1", "schedule": "@every 1h", "retention": {"keep_last": 9},
    });
    let made = world.post("/api/v1/dr/policies", policy).await.with(201);
    made["policy"]["id"].as_str().unwrap().to_owned()
}

/// Every item of a list, page by page; each page says how many there are.
async fn all(world: &World, uri: &str, items: &str, total: u64) -> Vec<Value> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world.get(&format!("{uri}limit=2{cursor}")).await.with(200);
        assert_eq!(page["total"], total, "{page}");
        found.extend(page[items].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

#[tokio::test]
async fn slots_are_counted_and_paged_with_the_jobs_that_ran_for_them() {
    let world = World::open();
    let policy = hourly(&world).await;
    world.run(5 * 3600 + 600).await;
    let uri = format!("/api/v1/dr/policies/{policy}/slots?");
    let slots = all(&world, &uri, "slots", 5).await;
    assert_eq!(slots.len(), 5);
    assert!(slots.iter().all(|slot| slot["status"] == "completed" && slot["duration_seconds"].is_u64()));
    let second = world.get(&format!("{uri}limit=1&offset=1")).await.with(200);
    assert_eq!(second["slots"][0], slots[1]);
}

#[tokio::test]
async fn the_history_of_compliance_is_counted_and_paged_and_the_same_of_each_policy_by_itself() {
    let world = World::open();
    for name in ["one", "two", "three"] {
        let policy = json!({"name": name, "cluster": "prod-us-east-1", "schedule": "@every 1h", "rpo_hours": 1, "retention_days": 7});
        world.post("/api/v1/dr/policies", policy).await.with(201);
        world.run(1800).await;
    }
    world.run(3 * 3600).await;
    let between = "from=2026-02-06T16:00:00Z&to=2026-02-06T19:00:00Z";
    let history = all(&world, &format!("/api/v1/dr/compliance/history?{between}&"), "history", 3).await;
    let policies = world.get("/api/v1/dr/policies").await.with(200);
    let ids = |list: &[Value], id: &str| list.iter().map(|item| item[id].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&history, "policy_id"), ids(policies["policies"].as_array().unwrap(), "id"));
    for book in history {
        assert!(book["as_known"]["counted_seconds"].as_u64() > Some(0), "{book}");
        let id = book["policy_id"].as_str().unwrap();
        let by_itself =
            world.get(&format!("/api/v1/dr/compliance/history?{between}&policy_id={id}")).await.with(200);
        assert_eq!(by_itself["history"], json!([book]));
    }
}

#[tokio::test]
async fn the_history_of_compliance_tells_of_a_leap_year_and_of_no_longer_time() {
    let world = World::open();
    let since = |from: &str| format!("/api/v1/dr/compliance/history?from={from}&to=2026-02-06T16:00:00Z");
    world.get(&since("2025-02-05T16:00:00Z")).await.with(200);
    let message = world.get(&since("2025-02-05T15:59:59Z")).await.refused(422, "validation_error");
    assert!(message.contains("366 days"), "{message}");
}

#[tokio::test]
async fn retention_runs_are_counted_and_paged_and_one_by_itself_has_its_decisions() {
    let world = World::open();
    let policy = hourly(&world).await;
    world.run(3 * 3600).await;
    for _ in 0..3 {
        world.post("/api/v1/retention/runs", json!({"policy_id": policy})).await.with(201);
        world.clock.advance(std::time::Duration::from_secs(1));
    }
    let uri = format!("/api/v1/retention/runs?policy_id={policy}&");
    let total = world.get(&uri).await.with(200)["total"].as_u64().unwrap();
    let runs = all(&world, &uri, "runs", total).await;
    assert!(runs.len() >= 3 && runs.iter().all(|run| run.get("decisions").is_none()));
    let one = format!("/api/v1/retention/runs/{}", runs[0]["id"].as_str().unwrap());
    let one = world.get(&one).await.with(200)["run"].take();
    assert_eq!(one["decisions"].as_array().unwrap().len() as u64, one["kept"].as_u64().unwrap());
}

#[tokio::test]
async fn the_checks_of_a_record_are_counted_and_paged() {
    let world = World::open();
    world
        .post("/api/v1/backups/jobs", json!({"name": "manual", "cluster": "prod-us-east-1"}))
        .await
        .with(201);
    world.run(120).await;
    let records = world.get("/api/v1/backups/records").await.with(200);
    let record = format!("/api/v1/backups/records/{}", records["records"][0]["id"].as_str().unwrap());
    for _ in 0..3 {
        world.post(&format!("{record}/verify"), json!({})).await.with(202);
        world.run(120).await;
    }
    assert_eq!(all(&world, &format!("{record}/verifications?"), "verifications", 3).await.len(), 3);
}
