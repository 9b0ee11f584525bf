//! Two servers over one database.

use std::{collections::BTreeSet, fs};

use aegis::http::TokenHash;
use serde_json::json;

use crate::{
    ear::{Ear, positions},
    process::{Place, Server, Store},
};

/// Both protect the same documents in the same place, each with a data directory of its own.
const CONFIGURATION: &str = r#"
[clusters.local]
driver = "files"
[clusters.local.namespaces]
documents = ["documents"]
[storage.shared]
url = "file://FOLDER/backups/"
password_file = "repository.key"
[[auth.tokens]]
name = "ops"
sha256 = "HASH"
roles = ["operator"]
"#;

const TOKEN: &str = "a long random token";

/// Two servers in a place, asked with the token that they know.
fn both(place: &Place) -> [Server; 2] {
    let folder = place.path().to_str().unwrap();
    let hash = TokenHash::of(TOKEN).to_string();
    let configuration = CONFIGURATION.replace("FOLDER", folder).replace("HASH", &hash);
    fs::write(place.path().join("aegis.toml"), configuration).unwrap();
    fs::write(place.path().join("repository.key"), "a long random password\n").unwrap();
    ["one", "two"].map(|data| {
        Server::start(place.command(&["--config", "aegis.toml", "--data-dir", data])).with_token(TOKEN)
    })
}

/// The id of a job that was posted to the server.
async fn post(server: &Server, name: &str) -> String {
    let (status, job) = server.post("/api/v1/backups/jobs", json!({"name": name, "cluster": "local"})).await;
    assert_eq!(status, 201, "{job}");
    job["job"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_job_posted_to_one_server_is_seen_on_the_other_and_each_runs_once() {
    let test = "a_job_posted_to_one_server_is_seen_on_the_other_and_each_runs_once";
    let Some(store) = Store::postgres(test) else { return };
    let place = Place::new(store);
    let servers = both(&place);
    let mut posted = BTreeSet::new();
    for number in 0..6 {
        let [here, there] = if number % 2 == 0 { [0, 1] } else { [1, 0] };
        let id = post(&servers[here], &format!("job-{number}")).await;
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

#[tokio::test]
async fn what_happens_on_one_server_is_heard_on_the_other_and_nothing_is_lost_by_a_kill() {
    let test = "what_happens_on_one_server_is_heard_on_the_other_and_nothing_is_lost_by_a_kill";
    let Some(store) = Store::postgres(test) else { return };
    let place = Place::new(store);
    let [one, two] = both(&place);
    let mut at_one = Ear::open(&one, TOKEN, None).await;
    let begun = at_one.next;
    let mut at_two = Ear::open(&two, TOKEN, Some(begun)).await;

    let job = post(&one, "before").await;
    at_two.hear_of("job.created", &job).await;
    at_two.hear_of("job.completed", &job).await;
    at_one.hear_of("job.started", &job).await;

    // It does not get to hear of the end on the server that dies.
    let cut_short = post(&one, "meanwhile").await;
    one.kill();
    while at_one.hear().await {}
    let after = post(&two, "after").await;
    let mut resumed = Ear::open(&two, TOKEN, Some(at_one.next)).await;
    for job in [&cut_short, &after] {
        resumed.hear_of("job.completed", job).await;
        at_two.hear_of("job.completed", job).await;
    }

    let end = resumed.next.min(at_two.next);
    let log = two.get(&format!("/api/v1/audit?after={begun}&limit=1000")).await;
    let upto = |positions: Vec<u64>| positions.into_iter().filter(|at| *at <= end).collect::<Vec<_>>();
    let all = upto(positions(log["events"].as_array().unwrap()));
    assert_eq!(
        upto([at_one.positions(), resumed.positions()].concat()),
        all,
        "it went on where it was cut off"
    );
    assert_eq!(upto(at_two.positions()), all, "it was not disturbed");
}
