//! Two servers over one database.

use std::{collections::BTreeSet, fs};

use serde_json::json;

use crate::process::{Place, Server, Store};

/// Both protect the same documents in the same place, each with a data directory of its own.
const CONFIGURATION: &str = r#"
[clusters.local]
driver = "files"
[clusters.local.namespaces]
documents = ["documents"]
[storage.shared]
url = "file://FOLDER/backups/"
password_file = "repository.key"
"#;

#[tokio::test]
async fn a_job_posted_to_one_server_is_seen_on_the_other_and_each_runs_once() {
    let test = "a_job_posted_to_one_server_is_seen_on_the_other_and_each_runs_once";
    let Some(store) = Store::postgres(test) else { return };
    let place = Place::new(store);
    let configuration = CONFIGURATION.replace("FOLDER", place.path().to_str().unwrap());
    fs::write(place.path().join("aegis.toml"), configuration).unwrap();
    fs::write(place.path().join("repository.key"), "a long random password\n").unwrap();
    let start = |data: &str| Server::start(place.command(&["--config", "aegis.toml", "--data-dir", data]));
    let servers = [start("one"), start("two")];
    let mut posted = BTreeSet::new();
    for number in 0..6 {
        let [here, there] = if number % 2 == 0 { [0, 1] } else { [1, 0] };
        let new = json!({"name": format!("job-{number}"), "cluster": "local"});
        let (status, job) = servers[here].post("/api/v1/backups/jobs", new).await;
        assert_eq!(status, 201, "{job}");
        let id = job["job"]["id"].as_str().unwrap().to_owned();
        let seen = servers[there].get(&format!("/api/v1/backups/jobs/{id}")).await;
        assert_eq!(seen["job"]["name"], format!("job-{number}"));
        posted.insert(id);
    }
    for id in &posted {
        let ended = servers[0].ended(&format!("/api/v1/backups/jobs/{id}"), "/job/status").await;
        assert_eq!(ended["job"]["status"], "completed", "{ended}");
        assert_eq!(ended["job"]["attempts"].as_array().map(Vec::len), Some(1), "{ended}");
    }
    let records = servers[1].get("/api/v1/backups/records").await;
    assert_eq!(records["total"], posted.len());
}
