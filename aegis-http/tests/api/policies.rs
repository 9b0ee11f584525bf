//! Policies: what a change leaves alone, what it may not say, and what it warns of.

use serde_json::{Value, json};

use crate::world::World;

/// A policy with more rules than one, and its path.
async fn made(world: &World) -> (Value, String) {
    let policy = json!({
        "name": "daily", "cluster": "prod-us-east-1", "schedule": "0 2 * * *",
        "retention_days": 30, "retention": {"weekly": 3, "min_keep": 2, "grace_hours": 48},
    });
    let policy = world.post("/api/v1/dr/policies", policy).await.with(201)["policy"].take();
    let uri = format!("/api/v1/dr/policies/{}", policy["id"].as_str().unwrap());
    (policy, uri)
}

/// The fields that a request was refused for.
fn refused(answer: &Value) -> Vec<&str> {
    let fields = answer["error"]["details"]["fields"].as_array().unwrap();
    fields.iter().map(|field| field["field"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_change_of_one_retention_rule_keeps_the_others() {
    let world = World::open();
    let (_, uri) = made(&world).await;
    let changed = world.put(&uri, json!({"retention": {"weekly": 4}})).await.with(200)["policy"].take();
    assert_eq!(changed["retention_days"], 30);
    let kept = ["weekly", "min_keep", "grace_hours"].map(|rule| changed["retention"][rule].as_u64().unwrap());
    assert_eq!(kept, [4, 2, 48]);
    let cleared = json!({"retention": {"weekly": null, "grace_hours": null}, "retention_days": 60});
    let cleared = world.put(&uri, cleared).await.with(200)["policy"].take();
    let kept = ["days", "weekly", "min_keep", "grace_hours"]
        .map(|rule| cleared["retention"][rule].as_u64().unwrap());
    assert_eq!(kept, [60, 0, 2, 24]);
}

#[tokio::test]
async fn a_kind_of_storage_that_is_not_the_locations_is_refused_though_no_location_is_named() {
    let world = World::open();
    let job = json!({"name": "manual", "cluster": "prod-us-east-1", "storage_backend": "gcs"});
    assert_eq!(refused(&world.post("/api/v1/backups/jobs", job).await.with(422)), ["storage_backend"]);
    let (policy, uri) = made(&world).await;
    assert_eq!(policy["storage_backend"], "s3");
    assert_eq!(
        refused(&world.put(&uri, json!({"storage_backend": "gcs"})).await.with(422)),
        ["storage_backend"]
    );
    world.put(&uri, json!({"storage_backend": "s3"})).await.with(200);
}

#[tokio::test]
async fn whether_partial_records_count_can_be_changed_and_not_cleared() {
    let world = World::open();
    let (policy, uri) = made(&world).await;
    assert_eq!(policy["count_partial"], false);
    let changed = world.put(&uri, json!({"count_partial": true})).await.with(200);
    assert_eq!(changed["policy"]["count_partial"], true);
    assert_eq!(refused(&world.put(&uri, json!({"count_partial": null})).await.with(422)), ["count_partial"]);
}

#[tokio::test]
async fn a_number_that_makes_no_sense_is_refused_by_name_and_what_is_no_number_as_such() {
    let world = World::open();
    let (_, uri) = made(&world).await;
    for (body, field) in [
        (json!({"retention_days": -1}), "retention_days"),
        (json!({"retention_days": 1.5}), "retention_days"),
        (json!({"rpo_hours": -1}), "rpo_hours"),
        (json!({"priority": 3_000_000_000_u64}), "priority"),
        (json!({"retention": {"weekly": -4}}), "retention.weekly"),
    ] {
        assert_eq!(refused(&world.put(&uri, &body).await.with(422)), [field], "{body}");
    }
    world.put(&uri, json!({"retention_days": "30"})).await.refused(400, "bad_request");
}

#[tokio::test]
async fn volumes_that_a_driver_does_not_have_are_warned_of_whenever_they_are_asked_for() {
    let world = World::open();
    let (_, uri) = made(&world).await;
    let changed = world.put(&uri, json!({"include_volumes": true})).await.with(200);
    assert!(changed["policy"]["warnings"][0].as_str().unwrap().starts_with("include_volumes"), "{changed}");
}

#[tokio::test]
async fn a_preview_names_what_is_wrong_as_its_request_does() {
    let world = World::open();
    let (policy, _) = made(&world).await;
    let none = json!({"days": null, "weekly": null, "min_keep": null});
    let preview = json!({"policy_id": policy["id"], "retention": none});
    let answer = world.post("/api/v1/retention/preview", preview).await.with(422);
    assert_eq!(refused(&answer), ["retention"]);
}

#[tokio::test]
async fn what_is_not_set_is_left_out_unless_the_reference_shows_it_as_null() {
    let world = World::open();
    let policy = json!({
        "name": "bare", "cluster": "prod-us-east-1", "schedule": "@every 1h", "retention": {"keep_last": 3},
        "enabled": false,
    });
    let policy = world.post("/api/v1/dr/policies", policy).await.with(201)["policy"].take();
    for unset in ["timezone", "retention_days", "rpo_hours", "rto_hours", "next_run_at", "verify", "dr_test"]
    {
        assert!(policy.get(unset).is_none(), "{unset}: {policy}");
    }
    for shown in ["last_run_at", "last_run_status"] {
        assert_eq!(policy.get(shown), Some(&Value::Null), "{shown}");
    }
    let stands = world.get("/api/v1/dr/compliance").await.with(200)["compliance"]["policies"][0].take();
    for unset in ["rpo_target_hours", "rto_target_hours", "next_violation_at", "rto_basis"] {
        assert!(stands.get(unset).is_none(), "{unset}: {stands}");
    }
    assert_eq!(stands.get("rpo_actual_hours"), Some(&Value::Null));
    let summary = world.get("/api/v1/health/summary").await.with(200);
    let cluster = &summary["health_summary"]["clusters"][0];
    for (part, unset) in [("backup_status", "last_backup_at"), ("recovery_readiness", "oldest_restorable")] {
        assert!(cluster[part].is_object() && cluster[part].get(unset).is_none(), "{part}.{unset}: {cluster}");
    }
}
