//! Starting, refusing to start, and stopping.

use std::{fs, net::TcpListener, process::Command};

use reqwest::Method;
use serde_json::json;

use crate::process::{Place, Server, Store, answer, program, refused};

#[test]
fn a_second_server_in_the_same_data_directory_is_refused_clearly() {
    let place = Place::new(Store::Sqlite);
    let _first = place.serve();
    let told = refused(place.command(&[]));
    assert!(told.contains("another server is running in") && told.contains("--data-dir"), "{told}");
}

#[test]
fn an_address_that_is_taken_is_told_with_the_mend() {
    let place = Place::new(Store::Sqlite);
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let mut command = Command::new(program());
    command.current_dir(place.path()).args(["--listen", &address]);
    let told = refused(command);
    assert!(told.contains(&address) && told.contains("--listen ADDRESS"), "{told}");
}

#[test]
fn a_wrong_configuration_is_told_with_file_line_and_key() {
    let place = Place::new(Store::Sqlite);
    fs::write(place.path().join("aegis.toml"), "[store]\nurl = \"mysql://db\"\n").unwrap();
    let told = refused(place.command(&["--config", "aegis.toml"]));
    assert!(told.contains("aegis.toml:2: store.url: this is no store"), "{told}");
}

#[test]
fn a_database_that_is_away_is_told_with_the_mend() {
    let place = Place::new(Store::Sqlite);
    let told = refused(place.command(&["--store", "postgres://aegis@127.0.0.1:1/aegis"]));
    assert!(told.contains("check the store's URL"), "{told}");
}

#[tokio::test]
async fn with_tokens_only_their_holders_are_let_in() {
    let place = Place::new(Store::Sqlite);
    let made = Command::new(program()).args(["token", "new", "ops"]).output().unwrap();
    let lines = String::from_utf8(made.stdout).unwrap();
    fs::write(place.path().join("aegis.toml"), &lines).unwrap();
    let server = Server::start(place.command(&["--config", "aegis.toml"]));
    let (status, body) = server.post("/api/v1/backups/jobs", json!({})).await;
    assert_eq!((status.as_u16(), &body["error"]["code"]), (401, &json!("unauthorized")));
    let token = lines.lines().find_map(|line| line.split_once("Bearer ")).unwrap().1;
    let ask = server.request(Method::GET, "/api/v1/clusters").bearer_auth(token);
    assert_eq!(answer(ask).await.unwrap().1["clusters"][0]["name"], "local");
}

#[tokio::test]
async fn a_restart_forgets_nothing() {
    let place = Place::new(Store::Sqlite);
    let server = place.serve();
    let nightly = json!({"name": "nightly", "cluster": "local", "schedule": "@daily", "retention_days": 7});
    let (status, made) = server.post("/api/v1/dr/policies", nightly).await;
    assert_eq!(status, 201, "{made}");
    assert!(server.stop(), "it ends well when it is asked to");
    let id = made["policy"]["id"].as_str().unwrap();
    assert_eq!(place.serve().get(&format!("/api/v1/dr/policies/{id}")).await["policy"]["name"], "nightly");
}

#[test]
fn with_a_certificate_the_port_is_encrypted() {
    let place = Place::new(Store::Sqlite);
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "chain.pem"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"])
        .current_dir(place.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let tls = "[tls]\ncertificate = \"chain.pem\"\nkey = \"key.pem\"\n";
    fs::write(place.path().join("aegis.toml"), tls).unwrap();
    let server = Server::start(place.command(&["--config", "aegis.toml"]));
    assert!(server.url.starts_with("https://"), "{}", server.url);
    let ask = |url: &str| {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--cacert", "chain.pem", url]).current_dir(place.path());
        curl.output().unwrap()
    };
    assert_eq!(ask(&format!("{}/livez", server.url)).stdout, br#"{"status":"ok"}"#);
    assert!(!ask(&format!("{}/livez", server.url.replace("https:", "http:"))).status.success());
    fs::write(place.path().join("chain.pem"), "").unwrap();
    let told = refused(place.command(&["--config", "aegis.toml", "--data-dir", "other"]));
    assert!(told.contains("chain.pem: there is no certificate in it") && told.contains("[tls]"), "{told}");
}
