//! From an engine's event log to a receiver over a socket.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use aegis_core::{
    engine::{Aegis, NewJob, SystemClock},
    model::{EventKind, NamespaceSelection, Position},
    seams::Notifier,
    testing::{ManualClock, MemoryObjectStorage, ScriptedDriver},
};
use aegis_store_memory::MemoryStore;
use aegis_webhooks::{EventFilter, EventPattern, PrivateAddresses, Webhook, WebhookOptions};
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Redirect,
    routing::post,
};
use tokio::{net::TcpListener, task::JoinSet};

const SECRET: &str = "a long random secret";

/// Answers as it is told, then 204, and remembers what came.
#[derive(Clone, Default)]
struct Receiver {
    answers: Arc<Mutex<VecDeque<StatusCode>>>,
    came: Arc<Mutex<Vec<(HeaderMap, serde_json::Value)>>>,
}

impl Receiver {
    /// Where it listens, for as long as the tasks live.
    async fn listen(&self, tasks: &mut JoinSet<()>) -> String {
        drop(rustls::crypto::ring::default_provider().install_default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?token=hush", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/hook", post(take))
            .route("/moved", post(async || Redirect::temporary("/hook")))
            .with_state(self.clone());
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        url
    }

    fn types(&self) -> Vec<String> {
        let came = self.came.lock().unwrap();
        came.iter().map(|(_, event)| event["type"].as_str().unwrap().to_owned()).collect()
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: String) -> StatusCode {
    receiver.came.lock().unwrap().push((headers, serde_json::from_str(&body).unwrap()));
    receiver.answers.lock().unwrap().pop_front().unwrap_or(StatusCode::NO_CONTENT)
}

/// An engine that has made a backup, with this webhook.
async fn backed_up(clock: &Arc<ManualClock>, options: WebhookOptions) -> Aegis {
    let driver = ScriptedDriver::new(Arc::<ManualClock>::clone(clock))
        .with_namespace("shop".parse().unwrap(), [("orders", "1;apples")]);
    let storage =
        MemoryObjectStorage::new("s3://example/backups/".parse().unwrap(), Arc::<ManualClock>::clone(clock));
    let aegis = Aegis::builder()
        .store(Arc::new(MemoryStore::new(Arc::<ManualClock>::clone(clock))))
        .clock(Arc::<ManualClock>::clone(clock))
        .cluster("test", Arc::new(driver))
        .storage(Arc::new(storage))
        .notifier(Arc::new(Webhook::new(options, Arc::<ManualClock>::clone(clock))))
        .build()
        .unwrap();
    let job = NewJob::new("first".parse().unwrap(), "test".parse().unwrap(), NamespaceSelection::all());
    aegis.default_tenant().unwrap().create_job(job).await.unwrap();
    aegis.pass().await;
    clock.advance(ScriptedDriver::USUAL_DURATION);
    aegis.pass().await;
    aegis
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::starting_at("2026-03-01T00:00:00Z".parse().unwrap()))
}

fn options(url: &str) -> WebhookOptions {
    let jobs: EventPattern = "job.*".parse().unwrap();
    WebhookOptions::new("pager", url, SECRET)
        .unwrap()
        .with_events([jobs].into_iter().collect::<EventFilter>())
        .with_private_addresses(PrivateAddresses::Permitted)
}

#[tokio::test]
async fn wanted_events_come_once_in_order_and_signed() {
    let (receiver, mut tasks, clock) = (Receiver::default(), JoinSet::new(), clock());
    let url = receiver.listen(&mut tasks).await;
    backed_up(&clock, options(&url)).await;
    assert_eq!(receiver.types(), ["aegis.job.created", "aegis.job.started", "aegis.job.completed"]);
    let came = receiver.came.lock().unwrap();
    let (headers, event) = &came[0];
    assert_eq!(headers["content-type"], "application/cloudevents+json");
    assert_eq!(headers["webhook-id"], event["id"].as_str().unwrap());
    assert_eq!(headers["webhook-timestamp"], clock_seconds("2026-03-01T00:00:00Z"));
    assert!(headers["webhook-signature"].to_str().unwrap().starts_with("v1,"));
    assert_eq!(
        (&*event["specversion"].to_string(), &*event["source"].to_string()),
        ("\"1.0\"", "\"/aegis/default\"")
    );
    assert_eq!(event["data"]["tenant"], "default");
}

fn clock_seconds(text: &str) -> String {
    let at: aegis_core::model::Timestamp = text.parse().unwrap();
    at.as_seconds().to_string()
}

#[tokio::test]
async fn what_was_not_taken_comes_again_and_nothing_overtakes_it() {
    let (receiver, mut tasks, clock) = (Receiver::default(), JoinSet::new(), clock());
    receiver
        .answers
        .lock()
        .unwrap()
        .extend([StatusCode::INTERNAL_SERVER_ERROR, StatusCode::TOO_MANY_REQUESTS]);
    let url = receiver.listen(&mut tasks).await;
    let aegis = backed_up(&clock, options(&url)).await;
    for _ in 0..5 {
        clock.advance(Duration::from_secs(5));
        aegis.pass().await;
    }
    let created = "aegis.job.created";
    assert_eq!(receiver.types(), [created, created, created, "aegis.job.started", "aegis.job.completed"]);
    assert!(aegis.default_tenant().unwrap().dead_letters().await.unwrap().is_empty());
}

#[tokio::test]
async fn after_its_patience_what_is_not_taken_is_a_dead_letter_and_the_rest_goes_on() {
    let (receiver, mut tasks, clock) = (Receiver::default(), JoinSet::new(), clock());
    receiver.answers.lock().unwrap().extend([StatusCode::INTERNAL_SERVER_ERROR; 3]);
    let url = receiver.listen(&mut tasks).await;
    let aegis = backed_up(&clock, options(&url).with_patience(Duration::from_secs(3600))).await;
    clock.advance(Duration::from_secs(7200));
    aegis.pass().await;
    let tenant = aegis.default_tenant().unwrap();
    let letters = tenant.dead_letters().await.unwrap();
    let [letter] = &*letters else { panic!("{letters:?}") };
    assert_eq!(
        (&*letter.notifier, &*letter.reason),
        ("pager", "the receiver answered 500 Internal Server Error")
    );
    let event = &tenant.events(Position(letter.position.0 - 1), 1).await.unwrap()[0];
    assert_eq!(event.event.kind, EventKind::JobCreated);
    assert_eq!(receiver.types().last().unwrap(), "aegis.job.completed");
}

#[tokio::test]
async fn an_address_of_this_machine_is_refused_unless_it_is_permitted() {
    let (receiver, mut tasks, clock) = (Receiver::default(), JoinSet::new(), clock());
    let url = receiver.listen(&mut tasks).await;
    let strict = |url: &str| options(url).with_private_addresses(PrivateAddresses::Refused);
    let aegis = backed_up(&clock, options(&url)).await;
    let came = receiver.types().len();
    let event = &aegis.default_tenant().unwrap().events(Position::START, 1).await.unwrap()[0];
    for (url, why) in [
        (url.replace("http:", "https:"), "127.0.0.1 is not of the open internet"),
        ("https://localhost:1/".to_owned(), "is not of the open internet"),
        ("https://[::1]:1/".to_owned(), "::1 is not of the open internet"),
        (url, "plain HTTP is not permitted"),
    ] {
        let webhook = Webhook::new(strict(&url), Arc::new(SystemClock::new()));
        let refused = webhook.notify(event).await.unwrap_err();
        let told = aegis_core::seams::report(&refused).to_string();
        assert!(told.contains(why) && !told.contains("hush"), "{url}: {told}");
    }
    assert_eq!(receiver.types().len(), came, "nothing was sent");
}

#[tokio::test]
async fn a_redirection_is_not_followed() {
    let (receiver, mut tasks) = (Receiver::default(), JoinSet::new());
    let url = receiver.listen(&mut tasks).await;
    backed_up(&clock(), options(&url.replace("/hook", "/moved"))).await;
    assert_eq!(receiver.types(), [""; 0]);
}

#[test]
fn neither_the_secret_nor_the_addresss_path_is_printed() {
    let printed = format!("{:?}", options("https://example.com/hush?hush"));
    assert!(!printed.contains("hush") && !printed.contains(SECRET), "{printed}");
}
