//! The example requests of the API reference as they stand, and what is answered.

use serde_json::{Value, json};

use crate::{
    shapes::{
        COMPLIANCE, EXECUTION, JOB, JOB_IN_LISTS, PLAN, PLAN_IN_LISTS, POLICY, POLICY_COMPLIANCE,
        POLICY_IN_LISTS, RECORD, RECORD_IN_LISTS, has,
    },
    world::World,
};

fn job_request() -> Value {
    json!({
        "name": "manual-backup-prod-2026-02-06",
        "cluster": "prod-us-east-1",
        "namespaces": ["default", "app-backend", "app-frontend"],
        "include_volumes": true,
        "storage_backend": "s3",
        "storage_location": "s3://oco-backups/prod-us-east-1/",
        "ttl_hours": 720,
        "labels": {"trigger": "manual", "environment": "production"}
    })
}

fn policy_request() -> Value {
    json!({
        "name": "prod-daily-backup-policy",
        "description": "Daily backups for all production namespaces with 30-day retention.",
        "cluster": "prod-us-east-1",
        "namespaces": ["*"],
        "exclude_namespaces": ["kube-system", "kube-public", "velero"],
        "schedule": "0 2 * * *",
        "retention_days": 30,
        "include_volumes": true,
        "storage_backend": "s3",
        "storage_location": "s3://oco-backups/prod-us-east-1/",
        "rpo_hours": 24,
        "rto_hours": 4,
        "enabled": true
    })
}

/// The example job, carried out; its id.
async fn backed_up(world: &World) -> String {
    let job = world.post("/api/v1/backups/jobs", job_request()).await.with(201);
    world.run(120).await;
    job["job"]["id"].as_str().unwrap().to_owned()
}

async fn record_id(world: &World) -> String {
    let records = world.get("/api/v1/backups/records").await.with(200);
    records["records"][0]["id"].as_str().unwrap().to_owned()
}

fn plan_request(record: &str) -> Value {
    json!({
        "name": "recover-prod-backend-2026-02-06",
        "backup_record_id": record,
        "target_cluster": "prod-us-east-1",
        "target_namespaces": ["app-backend"],
        "restore_volumes": true,
        "namespace_mapping": {},
        "preserve_node_ports": false,
        "description": "Recover app-backend namespace after accidental deployment deletion."
    })
}

async fn planned(world: &World) -> String {
    backed_up(world).await;
    let record = record_id(world).await;
    let plan = world.post("/api/v1/recovery/plans", plan_request(&record)).await.with(201);
    plan["plan"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_job_is_made_and_says_what_was_asked_for() {
    let world = World::open();
    let job = world.post("/api/v1/backups/jobs", job_request()).await.with(201)["job"].take();
    has(&job, JOB_IN_LISTS);
    has(&job, JOB);
    for (field, asked) in job_request().as_object().unwrap() {
        assert_eq!(&job[field], asked, "{field}");
    }
    assert_eq!(job["status"], "pending");
    for unknown in ["completed_at", "size_bytes", "resource_count", "error_message"] {
        assert!(job[unknown].is_null(), "{unknown}");
    }
}

#[tokio::test]
async fn jobs_are_listed_and_shown_once_they_completed() {
    let world = World::open();
    let id = backed_up(&world).await;
    let uri = "/api/v1/backups/jobs?cluster=prod-us-east-1&status=completed&limit=5";
    let list = world.get(uri).await.with(200);
    assert_eq!((&list["total"], &list["limit"], &list["offset"]), (&json!(1), &json!(5), &json!(0)));
    has(&list["jobs"][0], JOB_IN_LISTS);
    assert!(list["jobs"][0].get("resources_backed_up").is_none(), "lists leave the detail maps out");
    let job = world.get(&format!("/api/v1/backups/jobs/{id}")).await.with(200)["job"].take();
    has(&job, JOB_IN_LISTS);
    has(&job, JOB);
    has(&job, &[("resources_backed_up", "object"), ("completed_at", "time"), ("size_bytes", "integer")]);
    assert_eq!(job["status"], "completed");
    let name = job["velero_backup_name"].as_str().unwrap();
    assert!(name.starts_with("oco-manual-backup-prod-2026-02-06-"), "{name}");
}

#[tokio::test]
async fn deleting_a_job_cancels_one_that_waits_and_hides_one_that_ended() {
    let world = World::open();
    let waiting = world.post("/api/v1/backups/jobs", job_request()).await.with(201);
    let waiting = format!("/api/v1/backups/jobs/{}", waiting["job"]["id"].as_str().unwrap());
    assert!(world.delete(&waiting).await.with(204).is_null());
    assert_eq!(world.get(&waiting).await.with(200)["job"]["status"], "cancelled");
    let ended = format!("/api/v1/backups/jobs/{}", backed_up(&world).await);
    world.delete(&ended).await.with(204);
    world.get(&ended).await.refused(404, "not_found");
    assert_eq!(world.get("/api/v1/backups/records").await.with(200)["total"], 1, "its record stays");
}

#[tokio::test]
async fn a_record_lies_in_a_folder_of_its_own_and_can_be_restored() {
    let world = World::open();
    let job = backed_up(&world).await;
    let list = world.get("/api/v1/backups/records?cluster=prod-us-east-1&limit=3").await.with(200);
    assert_eq!(list["total"], 1);
    assert_eq!(list["total_size_bytes"], list["records"][0]["size_bytes"]);
    has(&list["records"][0], RECORD_IN_LISTS);
    assert!(list["records"][0].get("included_resources").is_none(), "lists leave the detail maps out");
    let uri = format!("/api/v1/backups/records/{}", record_id(&world).await);
    let record = world.get(&uri).await.with(200)["record"].take();
    has(&record, RECORD_IN_LISTS);
    has(&record, RECORD);
    assert_eq!((&record["backup_job_id"], &record["is_restorable"]), (&json!(job), &json!(true)));
    let name = record["velero_backup_name"].as_str().unwrap();
    assert_eq!(record["storage_location"], format!("s3://oco-backups/prod-us-east-1/{name}/"));
    assert_eq!(world.get("/api/v1/backups/records?storage_backend=gcs").await.with(200)["total"], 0);
}

#[tokio::test]
async fn a_plan_is_made_listed_shown_and_deleted() {
    let world = World::open();
    let id = planned(&world).await;
    let list = world.get("/api/v1/recovery/plans?status=pending").await.with(200);
    assert_eq!(list["total"], 1);
    has(&list["plans"][0], PLAN_IN_LISTS);
    let uri = format!("/api/v1/recovery/plans/{id}");
    let plan = world.get(&uri).await.with(200)["plan"].take();
    has(&plan, PLAN_IN_LISTS);
    has(&plan, PLAN);
    for (field, asked) in plan_request(plan["backup_record_id"].as_str().unwrap()).as_object().unwrap() {
        assert_eq!(&plan[field], asked, "{field}");
    }
    assert_eq!((&plan["created_by"], &plan["execution_history"]), (&json!("admin"), &json!([])));
    world.delete(&uri).await.with(204);
    world.get(&uri).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_plan_is_executed_and_its_status_followed_to_the_end() {
    let world = World::open();
    let plan = planned(&world).await;
    let (execute, status) =
        (format!("/api/v1/recovery/execute/{plan}"), format!("/api/v1/recovery/execute/{plan}/status"));
    world.get(&status).await.refused(404, "not_found");
    let began = world.post(&execute, json!({"confirmed": true, "dry_run": false})).await.with(202);
    has(&began["execution"], EXECUTION);
    assert_eq!(
        (&began["execution"]["status"], &began["execution"]["plan_id"]),
        (&json!("executing"), &json!(plan))
    );
    world.post(&execute, json!({"confirmed": true})).await.refused(409, "conflict");
    let running = world.get(&status).await.with(200)["execution"].take();
    has(&running, EXECUTION);
    has(&running, &[("progress_pct", "integer")]);
    world.run(120).await;
    let ended = world.get(&status).await.with(200)["execution"].take();
    has(&ended, EXECUTION);
    has(
        &ended,
        &[("resources_restored", "object"), ("completed_at", "time"), ("duration_seconds", "integer")],
    );
    assert_eq!((&ended["status"], &ended["progress_pct"]), (&json!("completed"), &json!(100)));
    let plan = format!("/api/v1/recovery/plans/{plan}");
    assert_eq!(world.get(&plan).await.with(200)["plan"]["execution_history"][0]["id"], ended["id"]);
    world.delete(&plan).await.refused(409, "conflict");
}

#[tokio::test]
async fn an_execution_needs_a_confirmation_and_a_dry_run_does_not() {
    let world = World::open();
    let execute = format!("/api/v1/recovery/execute/{}", planned(&world).await);
    for body in [json!({}), json!({"confirmed": false}), json!({"dry_run": false})] {
        world.post(&execute, body).await.refused(422, "validation_error");
    }
    let preview = world.post(&execute, json!({"dry_run": true})).await.with(202)["execution"].take();
    assert_eq!((&preview["dry_run"], &preview["status"]), (&json!(true), &json!("completed")));
    has(&preview["preview"], &[("create", "integer"), ("size_bytes", "integer"), ("obstacles", "strings")]);
    world.get(&format!("{execute}/status")).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_policy_is_made_listed_shown_changed_and_deleted() {
    let world = World::open();
    let policy = world.post("/api/v1/dr/policies", policy_request()).await.with(201)["policy"].take();
    has(&policy, POLICY_IN_LISTS);
    has(&policy, POLICY);
    for (field, asked) in policy_request().as_object().unwrap() {
        assert_eq!(&policy[field], asked, "{field}");
    }
    assert_eq!(policy["schedule_human"], "Daily at 02:00 UTC");
    assert_eq!(policy["next_run_at"], "2026-02-07T02:00:00Z");
    assert!(policy["last_run_at"].is_null() && policy["last_run_status"].is_null());
    let list = world.get("/api/v1/dr/policies?enabled=true").await.with(200);
    assert_eq!(list["total"], 1);
    has(&list["policies"][0], POLICY_IN_LISTS);
    let uri = format!("/api/v1/dr/policies/{}", policy["id"].as_str().unwrap());
    assert_eq!(world.get(&uri).await.with(200)["policy"]["run_history"], json!([]));
    let changed =
        world.put(&uri, json!({"retention_days": 60, "rpo_hours": 12})).await.with(200)["policy"].take();
    has(&changed, POLICY);
    assert_eq!(
        (&changed["retention_days"], &changed["rpo_hours"], &changed["rto_hours"]),
        (&json!(60), &json!(12), &json!(4))
    );
    world.delete(&uri).await.with(204);
    world.get(&uri).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_policy_that_ran_says_so() {
    let world = World::open();
    let hourly = json!({
        "name": "prod-hourly-critical-namespaces", "cluster": "prod-us-east-1", "schedule": "0 * * * *",
        "retention_days": 7, "rpo_hours": 1, "rto_hours": 1,
    });
    let policy = world.post("/api/v1/dr/policies", hourly).await.with(201)["policy"].take();
    assert_eq!(policy["schedule_human"], "Every hour");
    world.run(3 * 3600 + 300).await;
    let uri = format!("/api/v1/dr/policies/{}", policy["id"].as_str().unwrap());
    let policy = world.get(&uri).await.with(200)["policy"].take();
    assert_eq!(
        (&policy["last_run_at"], &policy["last_run_status"]),
        (&json!("2026-02-06T19:00:00Z"), &json!("completed"))
    );
    let runs = policy["run_history"].as_array().unwrap();
    assert_eq!(runs.len(), 3);
    assert_eq!(runs[0]["run_at"], "2026-02-06T19:00:00Z");
    for run in runs {
        has(run, &[("run_at", "time"), ("status", "string"), ("duration_seconds", "integer")]);
        assert_eq!(run["status"], "completed");
    }
}

#[tokio::test]
async fn compliance_counts_policies_and_says_what_is_wrong() {
    let world = World::open();
    assert_eq!(world.get("/api/v1/dr/compliance").await.with(200)["compliance"]["overall_status"], "unknown");
    world.post("/api/v1/dr/policies", policy_request()).await.with(201);
    let before =
        world.get("/api/v1/dr/compliance?cluster=prod-us-east-1").await.with(200)["compliance"].take();
    has(&before, COMPLIANCE);
    has(&before["policies"][0], POLICY_COMPLIANCE);
    has(&before["policies"][0], &[("issue", "string")]);
    assert_eq!(
        (&before["overall_status"], &before["policies"][0]["rpo_status"]),
        (&json!("non_compliant"), &json!("unknown"))
    );
    assert!(before["policies"][0]["rpo_actual_hours"].is_null());
    world.run(11 * 3600).await;
    let after = world.get("/api/v1/dr/compliance").await.with(200)["compliance"]["policies"][0].take();
    has(&after, POLICY_COMPLIANCE);
    has(&after, &[("rpo_actual_hours", "number"), ("last_successful_backup", "time")]);
    assert_eq!((&after["rpo_compliant"], &after["backup_count_30d"]), (&json!(true), &json!(1)));
}

#[tokio::test]
async fn the_health_summary_gathers_clusters_and_totals() {
    let world = World::open();
    world.post("/api/v1/dr/policies", policy_request()).await.with(201);
    backed_up(&world).await;
    let summary = world.get("/api/v1/health/summary").await.with(200)["health_summary"].take();
    has(&summary, &[("overall_status", "string"), ("assessed_at", "time")]);
    assert_eq!(summary["clusters"].as_array().unwrap().len(), 1, "another tenant's cluster is not there");
    let cluster = &summary["clusters"][0];
    has(cluster, &[("cluster", "string"), ("status", "string")]);
    has(
        &cluster["backup_status"],
        &[
            ("total_policies", "integer"),
            ("active_policies", "integer"),
            ("last_backup_at", "time"),
            ("last_backup_status", "string"),
            ("backups_last_24h", "integer"),
            ("failed_last_24h", "integer"),
            ("total_backup_size_bytes", "integer"),
        ],
    );
    has(
        &cluster["dr_compliance"],
        &[("compliant", "boolean"), ("rpo_met", "boolean"), ("rto_met", "boolean")],
    );
    has(
        &cluster["recovery_readiness"],
        &[
            ("restorable_backups", "integer"),
            ("oldest_restorable", "time"),
            ("newest_restorable", "time"),
            ("estimated_full_restore_minutes", "integer?"),
        ],
    );
    has(
        &summary["totals"],
        &[
            ("total_clusters", "integer"),
            ("healthy_clusters", "integer"),
            ("warning_clusters", "integer"),
            ("critical_clusters", "integer"),
            ("total_backup_policies", "integer"),
            ("total_backup_size_bytes", "integer"),
            ("total_restorable_backups", "integer"),
        ],
    );
    assert_eq!(summary["totals"]["total_restorable_backups"], 1);
}

#[tokio::test]
async fn health_has_the_four_dependencies_and_what_is_not_used_degrades_nothing() {
    let world = World::open();
    let health = world.get("/health").await.with(200);
    has(
        &health,
        &[("status", "string"), ("service", "string"), ("version", "string"), ("uptime_seconds", "integer")],
    );
    assert_eq!((&health["status"], &health["service"]), (&json!("healthy"), &json!("aegis")));
    for dependency in ["postgresql", "redis", "velero", "kubernetes"] {
        assert_eq!(health["dependencies"][dependency], "not_configured", "{dependency}");
    }
    assert_eq!(health["dependencies"]["store"], "connected");
}

#[tokio::test]
async fn a_bad_schedule_and_an_unknown_cluster_or_location_are_validation_errors() {
    let world = World::open();
    let with = |field: &str, value: Value| {
        let mut request = policy_request();
        request[field] = value;
        request
    };
    for (field, value) in [
        ("schedule", json!("every day")),
        ("cluster", json!("prod-eu")),
        ("storage_location", json!("s3://elsewhere/")),
        ("storage_location", json!("sftp://host/backups")),
        ("storage_backend", json!("gcs")),
        ("timezone", json!("Mars/Olympus")),
        ("retention_days", json!(0)),
        ("rpo_hours", json!(-1)),
    ] {
        let answer = world.post("/api/v1/dr/policies", with(field, value)).await.with(422);
        assert_eq!(answer["error"]["code"], "validation_error");
        assert_eq!(answer["error"]["details"]["fields"][0]["field"], field, "{answer}");
    }
    world.post("/api/v1/dr/policies", policy_request()).await.with(201);
    world.post("/api/v1/dr/policies", policy_request()).await.refused(409, "conflict");
}

#[tokio::test]
async fn what_is_asked_of_a_driver_in_vain_is_accepted_with_a_warning() {
    let world = World::open();
    let job = world.post("/api/v1/backups/jobs", job_request()).await.with(201);
    assert!(job["job"]["warnings"][0].as_str().unwrap().starts_with("include_volumes"), "{job}");
}

#[tokio::test]
async fn a_policy_asks_for_drills_and_an_interval() {
    let world = World::open();
    let mut request = policy_request();
    request["schedule"] = json!("@every 15m");
    request["dr_test"] =
        json!({"schedule": "0 4 * * SUN", "target": {"folder": "/restores"}, "keep": "if_failed"});
    let policy = world.post("/api/v1/dr/policies", request).await.with(201)["policy"].take();
    assert_eq!((&policy["schedule"], &policy["timezone"]), (&json!("@every 900s"), &Value::Null));
    let rule = &policy["dr_test"];
    assert_eq!(
        (&rule["schedule"], &rule["timezone"], &rule["keep"], &rule["target"]["folder"]),
        (&json!("0 4 * * SUN"), &json!("UTC"), &json!("if_failed"), &json!("/restores"))
    );
    let uri = format!("/api/v1/dr/policies/{}", policy["id"].as_str().unwrap());
    let again = json!({"schedule": policy["schedule"], "dr_test": rule});
    assert_eq!(&world.put(&uri, again).await.with(200)["policy"]["dr_test"], rule, "it reads back as shown");
    assert!(world.put(&uri, json!({"dr_test": null})).await.with(200)["policy"]["dr_test"].is_null());
    let odd = json!({"dr_test": {"schedule": "odd", "target": {"folder": "/restores"}}});
    let answer = world.put(&uri, odd).await.with(422);
    assert_eq!(answer["error"]["details"]["fields"][0]["field"], "dr_test");
}
