//! Webhooks, from the configuration to a receiver that listens.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use aegis::{engine::SystemClock, seams::Clock};
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};

use crate::process::{Place, Server, Store};

const SECRET: &str = "a long random secret";

/// What came, and what is answered.
#[derive(Debug)]
struct Mailbox {
    came: Vec<Delivery>,
    answer: StatusCode,
}

/// What came in one request.
#[derive(Clone, Debug)]
struct Delivery {
    headers: HeaderMap,
    body: String,
}

impl Delivery {
    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    fn event(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// What `openssl` signs it with.
    fn signature(&self) -> String {
        let signed =
            format!("{}.{}.{}", self.header("webhook-id"), self.header("webhook-timestamp"), self.body);
        let command = format!("openssl dgst -sha256 -hmac '{SECRET}' -binary | openssl base64 -A");
        let mut sign = Command::new("sh");
        sign.args(["-c", &command]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut sign = sign.spawn().unwrap();
        sign.stdin.take().unwrap().write_all(signed.as_bytes()).unwrap();
        String::from_utf8(sign.wait_with_output().unwrap().stdout).unwrap()
    }
}

/// A receiver on this machine; it listens until the test ends.
#[derive(Debug)]
struct Receiver {
    mailbox: Arc<Mutex<Mailbox>>,
    url: String,
    _listening: JoinSet<()>,
}

impl Receiver {
    async fn answering(answer: StatusCode) -> Self {
        let mailbox = Arc::new(Mutex::new(Mailbox { came: Vec::new(), answer }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let router = Router::new().route("/hook", post(take)).with_state(Arc::clone(&mailbox));
        let mut listening = JoinSet::new();
        listening.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { mailbox, url, _listening: listening }
    }

    fn answer(&self, answer: StatusCode) {
        self.mailbox.lock().unwrap().answer = answer;
    }

    fn came(&self) -> Vec<Delivery> {
        self.mailbox.lock().unwrap().came.clone()
    }

    /// What came of this kind, once something did.
    async fn wait_for(&self, kind: &str) -> Delivery {
        until(async || self.came().into_iter().find(|came| came.event()["type"] == kind)).await
    }
}

async fn take(State(mailbox): State<Arc<Mutex<Mailbox>>>, headers: HeaderMap, body: String) -> StatusCode {
    let mut mailbox = mailbox.lock().unwrap();
    mailbox.came.push(Delivery { headers, body });
    mailbox.answer
}

/// Asks until there is something, for a minute.
async fn until<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..600 {
        if let Some(found) = ask().await {
            return found;
        }
        SystemClock::new().sleep(Duration::from_millis(100)).await;
    }
    panic!("nothing within a minute")
}

/// A server that tells the receiver of jobs, and gives up on what it has not taken for two seconds.
fn serve(place: &Place, receiver: &Receiver) -> Server {
    let configuration = format!(
        "[webhooks.pager]\nurl = \"{}\"\nsecret_file = \"pager.secret\"\nevents = [\"job.*\"]\n\
         patience_seconds = 2\nallow_private = true\n",
        receiver.url
    );
    fs::write(place.path().join("aegis.toml"), configuration).unwrap();
    fs::write(place.path().join("pager.secret"), format!("{SECRET}\n")).unwrap();
    Server::start(place.command(&["--config", "aegis.toml", "--protect", "documents=documents"]))
}

async fn back_up(server: &Server) {
    let (status, job) = server.post("/api/v1/backups/jobs", json!({"name": "now", "cluster": "local"})).await;
    assert_eq!(status, 201, "{job}");
}

#[tokio::test]
async fn what_a_job_comes_to_is_told_in_order_and_signed() {
    let place = Place::new(Store::Sqlite);
    let receiver = Receiver::answering(StatusCode::NO_CONTENT).await;
    let server = serve(&place, &receiver);
    back_up(&server).await;
    receiver.wait_for("aegis.job.completed").await;
    let came = receiver.came();
    let types: Vec<_> = came.iter().map(|came| came.event()["type"].clone()).collect();
    assert_eq!(types, ["aegis.job.created", "aegis.job.started", "aegis.job.completed"]);
    for delivery in came {
        let event = delivery.event();
        assert_eq!(delivery.header("content-type"), "application/cloudevents+json");
        assert_eq!(
            (&event["specversion"], &event["id"]),
            (&json!("1.0"), &json!(delivery.header("webhook-id")))
        );
        assert_eq!(event["source"], "/aegis/default");
        assert_eq!(delivery.header("webhook-signature"), format!("v1,{}", delivery.signature()));
    }
}

#[tokio::test]
async fn what_a_receiver_fails_to_take_comes_again_and_at_last_is_listed_for_the_operator() {
    let place = Place::new(Store::Sqlite);
    let receiver = Receiver::answering(StatusCode::INTERNAL_SERVER_ERROR).await;
    let server = serve(&place, &receiver);
    back_up(&server).await;
    let letters = until(async || {
        let listed = server.get("/api/v1/webhooks/dead-letters").await["dead_letters"].take();
        // Of the job's three events.
        listed.as_array().filter(|letters| letters.len() == 3).cloned()
    });
    let letters = letters.await;
    let tries = receiver.came();
    let first: Vec<_> =
        tries.iter().filter(|came| came.header("webhook-id") == tries[0].header("webhook-id")).collect();
    assert!(first.len() >= 2, "it was tried {} times", first.len());
    assert_eq!(letters[0]["webhook"], "pager");
    assert_eq!(letters[0]["reason"], "the receiver answered 500 Internal Server Error");
    let before = letters[0]["position"].as_u64().unwrap() - 1;
    let log = server.get(&format!("/api/v1/audit?after={before}&limit=1")).await;
    assert_eq!(log["events"][0]["kind"], "job.created", "the log has what was not taken");

    let ids: BTreeSet<_> = tries.iter().map(|came| came.header("webhook-id").to_owned()).collect();
    receiver.answer(StatusCode::NO_CONTENT);
    back_up(&server).await;
    let is_new = |came: &Delivery| !ids.contains(came.header("webhook-id"));
    let came = until(async || {
        let came: Vec<_> = receiver.came().into_iter().filter(is_new).collect();
        came.iter().any(|came| came.event()["type"] == "aegis.job.completed").then_some(came)
    });
    assert_eq!(came.await.len(), 3, "the next job's events come, each once");
}
