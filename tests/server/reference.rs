//! The API reference's example requests as they stand, against the configuration that names its
//! clusters and buckets: real files, and a real S3 server.

use std::{env, fs};

use aegis::testing::skip;
use reqwest::Method;
use serde_json::{Value, json};

use crate::process::{Place, Server, Store};

const CONFIGURATION: &str = include_str!("../../examples/server/reference.toml");

const NAMESPACES: [&str; 6] =
    ["default", "app-backend", "app-frontend", "kube-system", "kube-public", "velero"];

fn serve(place: &Place, endpoint: &str) -> Server {
    fs::write(place.path().join("reference.toml"), CONFIGURATION).unwrap();
    for namespace in NAMESPACES {
        let folder = place.path().join("namespaces").join(namespace);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("deployment.yaml"), format!("namespace: {namespace}\n")).unwrap();
    }
    let mut command = place.command(&["--config", "reference.toml"]);
    command.env("AEGIS_STORAGE_PRIMARY_ENDPOINT", endpoint);
    // The bucket outlives a test, and with it the repository: one after another, servers open the same.
    command.env("AEGIS_STORAGE_PRIMARY_PASSWORD_ENV", "PASSWORD").env("PASSWORD", "a long random password");
    Server::start(command)
}

fn created(answer: (reqwest::StatusCode, Value), status: u16) -> Value {
    assert_eq!(answer.0, status, "{}", answer.1);
    answer.1
}

#[tokio::test]
async fn the_example_requests_of_the_api_reference_work_as_they_stand_with_sqlite() {
    let test = "the_example_requests_of_the_api_reference_work_as_they_stand_with_sqlite";
    follow(test, Store::Sqlite).await;
}

#[tokio::test]
async fn the_example_requests_of_the_api_reference_work_as_they_stand_with_postgres() {
    let test = "the_example_requests_of_the_api_reference_work_as_they_stand_with_postgres";
    if let Some(store) = Store::postgres(test) {
        follow(test, store).await;
    }
}

/// Sends the reference's requests, one after another.
async fn follow(test: &str, store: Store) {
    let Ok(endpoint) = env::var("AEGIS_TEST_S3_ENDPOINT") else {
        return skip(test, "no AEGIS_TEST_S3_ENDPOINT: run it with scripts/test-servers.sh");
    };
    let place = Place::new(store);
    let server = serve(&place, &endpoint);
    assert_eq!(server.get("/health").await["status"], "healthy");

    let policy = json!({
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
    });
    let policy = created(server.post("/api/v1/dr/policies", policy).await, 201);
    assert_eq!(policy["policy"]["schedule_human"], "Daily at 02:00 UTC");
    assert_eq!(server.get("/api/v1/dr/policies?enabled=true").await["total"], 1);

    let job = json!({
        "name": "manual-backup-prod-2026-02-06",
        "cluster": "prod-us-east-1",
        "namespaces": ["default", "app-backend", "app-frontend"],
        "include_volumes": true,
        "storage_backend": "s3",
        "storage_location": "s3://oco-backups/prod-us-east-1/",
        "ttl_hours": 720,
        "labels": {"trigger": "manual", "environment": "production"}
    });
    let job = created(server.post("/api/v1/backups/jobs", job).await, 201);
    let path = format!("/api/v1/backups/jobs/{}", job["job"]["id"].as_str().unwrap());
    let ended = server.ended(&path, "/job/status").await;
    assert_eq!(ended["job"]["status"], "completed", "{ended}");
    let list = server.get("/api/v1/backups/jobs?cluster=prod-us-east-1&status=completed&limit=5").await;
    assert_eq!((&list["total"], &list["limit"]), (&json!(1), &json!(5)));

    let records = server.get("/api/v1/backups/records?cluster=prod-us-east-1&limit=3").await;
    let record = &records["records"][0];
    let location = record["storage_location"].as_str().unwrap();
    assert!(location.starts_with("s3://oco-backups/prod-us-east-1/oco-manual-backup"), "{location}");

    fs::remove_dir_all(place.path().join("namespaces/app-backend")).unwrap();
    let plan = json!({
        "name": "recover-prod-backend-2026-02-06",
        "backup_record_id": record["id"],
        "target_cluster": "prod-us-east-1",
        "target_namespaces": ["app-backend"],
        "restore_volumes": true,
        "namespace_mapping": {},
        "preserve_node_ports": false,
        "description": "Recover app-backend namespace after accidental deployment deletion."
    });
    let plan = created(server.post("/api/v1/recovery/plans", plan).await, 201);
    assert_eq!(server.get("/api/v1/recovery/plans?status=pending").await["total"], 1);
    let execute = format!("/api/v1/recovery/execute/{}", plan["plan"]["id"].as_str().unwrap());
    created(server.post(&execute, json!({"confirmed": true, "dry_run": false})).await, 202);
    let ended = server.ended(&format!("{execute}/status"), "/execution/status").await;
    assert_eq!(ended["execution"]["status"], "completed", "{ended}");
    let restored = fs::read_to_string(place.path().join("namespaces/app-backend/deployment.yaml"));
    assert_eq!(restored.unwrap(), "namespace: app-backend\n");

    let policy = format!("/api/v1/dr/policies/{}", policy["policy"]["id"].as_str().unwrap());
    let change = Some(json!({"retention_days": 60, "rpo_hours": 12}));
    let changed = created(server.ask(Method::PUT, &policy, change).await.unwrap(), 200);
    assert_eq!(
        (&changed["policy"]["retention_days"], &changed["policy"]["rpo_hours"]),
        (&json!(60), &json!(12))
    );
    assert_eq!(server.get("/api/v1/dr/compliance").await["compliance"]["total_policies"], 1);
    let summary = server.get("/api/v1/health/summary").await;
    assert_eq!(summary["health_summary"]["clusters"][0]["cluster"], "prod-us-east-1");
    created(server.ask(Method::DELETE, &policy, None).await.unwrap(), 204);
}
