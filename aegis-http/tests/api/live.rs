//! Live events, over a socket.

use std::{sync::Arc, time::Duration};

use aegis_core::{
    engine::{NewJob, Tenant},
    model::{EventKind, NamespaceSelection, Position},
    seams::{LogStart, Store},
    testing::ManualClock,
};
use aegis_http::HttpOptions;
use aegis_store_memory::MemoryStore;
use serde_json::Value;

use crate::{
    socket::position,
    world::{Ask, CLUSTER, START, Setting, World, tokens},
};

async fn make_job(tenant: &Tenant) {
    let new = NewJob::new("manual".parse().unwrap(), CLUSTER.parse().unwrap(), NamespaceSelection::all());
    tenant.create_job(new).await.unwrap();
}

/// Every event of the tenant, as the audit shows it.
async fn audited(world: &World, token: &str) -> Vec<Value> {
    let all = world.ask(Ask::new("GET", "/api/v1/audit?limit=1000").token(token)).await.with(200);
    all["events"].as_array().unwrap().clone()
}

/// A world in which one can listen at a time.
fn one_place() -> World {
    let mut world = World::guarded();
    let mut options = HttpOptions::default().with_access(tokens());
    options.max_listeners = 1;
    world.router = aegis_http::router(world.engine.clone(), options);
    world
}

async fn ticket(world: &World) -> String {
    let answer = world.ask(Ask::new("POST", "/api/v1/events/ticket").token("viewer")).await.with(201);
    format!("?ticket={}", answer["ticket"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_heard_by_all_who_listen_in_frames_of_several() {
    let world = World::guarded();
    let served = world.serve().await;
    let mut ears = Vec::new();
    for _ in 0..3 {
        let mut ear = served.listen("", Some("viewer")).await.unwrap();
        assert_eq!(ear.hear().await.unwrap(), serde_json::json!({"events": [], "next": 0}));
        ears.push(ear);
    }
    make_job(&world.engine.default_tenant().unwrap()).await;
    world.run(60).await;
    let all = audited(&world, "viewer").await;
    let end = position(all.last().unwrap());
    for mut ear in ears {
        let mut frames = Vec::new();
        while frames.last().is_none_or(|frame: &Value| frame["next"].as_u64() < Some(end)) {
            frames.push(ear.hear().await.unwrap());
            world.clock.advance(Duration::from_millis(100));
        }
        assert!(frames.len() < all.len(), "{} frames for {} events", frames.len(), all.len());
        let heard: Vec<_> = frames.iter().flat_map(|frame| frame["events"].as_array().unwrap()).collect();
        assert_eq!(heard, all.iter().collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_break_nothing_is_lost_and_nothing_comes_twice() {
    let world = World::guarded();
    let served = world.serve().await;
    let own = world.engine.default_tenant().unwrap();
    let (mut heard, mut next) = (Vec::new(), 0);
    for _ in 0..4 {
        make_job(&own).await;
        world.run(30).await;
        let end = position(audited(&world, "viewer").await.last().unwrap());
        let mut ear = served.listen(&format!("?after={next}"), Some("viewer")).await.unwrap();
        let (positions, until) = ear.hear_until(end, &world.clock).await;
        heard.extend(positions);
        next = until;
    }
    let all: Vec<u64> = audited(&world, "viewer").await.iter().map(position).collect();
    assert_eq!(heard, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_hears_its_own_events_alone() {
    let world = World::guarded();
    let served = world.serve().await;
    let mut stranger = served.listen("", Some("stranger")).await.unwrap();
    make_job(&world.engine.default_tenant().unwrap()).await;
    world.ask(Ask::new("POST", "/api/v1/events/ticket").token("stranger")).await.with(201);
    world.run(60).await;
    let own: Vec<u64> = audited(&world, "stranger").await.iter().map(position).collect();
    let (heard, _) = stranger.hear_until(*own.last().unwrap(), &world.clock).await;
    assert_eq!(heard, own);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_opens_one_connection_for_a_minute() {
    let world = World::guarded();
    let served = world.serve().await;
    assert_eq!(served.listen("", None).await.err(), Some(401));
    let first = ticket(&world).await;
    served.listen(&first, None).await.unwrap().hear().await.unwrap();
    assert_eq!(served.listen(&first, None).await.err(), Some(401), "it is used up");
    let second = ticket(&world).await;
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(served.listen(&second, None).await.err(), Some(401), "it is over");
    assert_eq!(served.listen("?ticket=guessed", Some("admin")).await.err(), Some(401));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_kept_by_its_hash_alone() {
    let world = World::guarded();
    let ticket = ticket(&world).await;
    world.run(1).await;
    let audit = serde_json::to_string(&audited(&world, "viewer").await).unwrap();
    assert!(!audit.contains(ticket.trim_start_matches("?ticket=")), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_that_the_log_does_not_have_is_refused() {
    let world = World::guarded();
    let served = world.serve().await;
    assert_eq!(served.listen("?after=1", Some("viewer")).await.err(), Some(400));
    world.ask(Ask::new("GET", "/api/v1/events").token("viewer")).await.refused(400, "bad_request");
}

/// A world whose log was cut after `position`.
async fn cut_world(position: u64) -> World {
    let clock = ManualClock::starting_at(START.parse().unwrap());
    let store = Arc::new(MemoryStore::new(Arc::new(clock)));
    let world = World::new(Setting {
        access: tokens(),
        store: Some(Arc::clone(&store) as Arc<dyn Store>),
        ..Setting::default()
    });
    make_job(&world.engine.default_tenant().unwrap()).await;
    world.run(60).await;
    let position = Position(position);
    store.cut_log(LogStart { position, ..LogStart::default() }).await.unwrap();
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_comes_back_to_a_log_that_was_cut_is_told_and_the_audit_begins_where_it_starts() {
    let world = cut_world(2).await;
    let served = world.serve().await;
    let mut ear = served.listen("?after=1", Some("viewer")).await.unwrap();
    ear.hear().await.unwrap();
    let goodbye = ear.hear().await.unwrap_err().unwrap();
    assert_eq!(u16::from(goodbye.code), 4410);
    let gone = world.ask(Ask::new("GET", "/api/v1/audit?after=1").token("viewer")).await;
    gone.refused(404, "not_found");
    let first = audited(&world, "viewer").await;
    assert!(position(&first[0]) > 2, "{first:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_comes_from_beyond_the_end_of_the_log_is_told() {
    let world = World::guarded();
    make_job(&world.engine.default_tenant().unwrap()).await;
    world.run(60).await;
    let end = position(audited(&world, "viewer").await.last().unwrap());
    let beyond = format!("/api/v1/audit?after={}", end + 1000);
    world.ask(Ask::new("GET", &beyond).token("viewer")).await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_is_sent_away_with_the_position_when_the_server_drains() {
    let world = World::guarded();
    let served = world.serve().await;
    let mut ear = served.listen("", Some("viewer")).await.unwrap();
    ear.hear().await.unwrap();
    world.lifecycle.drain();
    let goodbye = ear.hear().await.unwrap_err().unwrap();
    assert_eq!(u16::from(goodbye.code), 1001);
    assert!(goodbye.reason.ends_with("go on with after=0"), "{}", goodbye.reason);
    assert_eq!(served.listen("", Some("viewer")).await.err(), Some(503));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_takes_nothing_is_sent_away_and_can_go_on() {
    let world = one_place();
    let served = world.serve().await;
    let own = world.engine.default_tenant().unwrap();
    for _ in 0..400 {
        make_job(&own).await;
    }
    world.run(1).await;
    let mut slow = served.listen("?after=0", Some("viewer")).await.unwrap();
    // It has the only place until it was waited for long enough.
    while served.listen("", Some("viewer")).await.is_err() {
        world.clock.advance(Duration::from_secs(31));
    }
    let (mut heard, mut next) = (Vec::new(), 0);
    while let Ok(frame) = slow.hear().await {
        heard.extend(frame["events"].as_array().unwrap().iter().map(position));
        next = frame["next"].as_u64().unwrap();
    }
    let all: Vec<u64> = audited(&world, "viewer").await.iter().map(position).collect();
    assert!(heard.len() < all.len(), "it was sent away before it had all {}", all.len());
    let mut again = loop {
        match served.listen(&format!("?after={next}"), Some("viewer")).await {
            Ok(again) => break again,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    heard.extend(again.hear_until(*all.last().unwrap(), &world.clock).await.0);
    assert!(heard.starts_with(&all), "nothing twice, nothing left out");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_listen_than_there_are_places() {
    let world = one_place();
    let served = world.serve().await;
    let first = served.listen("", Some("viewer")).await.unwrap();
    assert_eq!(served.listen("", Some("viewer")).await.err(), Some(503));
    drop(first);
}

#[test]
fn every_kind_of_event_is_documented() {
    let source = include_str!("../../../aegis-core/src/model/event.rs");
    let lines: Vec<_> = source.lines().map(str::trim).collect();
    let documented: Vec<String> = lines
        .windows(2)
        .filter_map(|pair| {
            let meaning = pair[0].strip_prefix("/// ")?;
            let (_, label) = pair[1].strip_suffix("\",")?.split_once(" = \"")?;
            Some(format!("| `{label}` | {meaning} |"))
        })
        .collect();
    assert_eq!(documented.len(), EventKind::ALL.len());
    let page = include_str!("../../../docs/events.md");
    let (_, kinds) = page.split_once("## Kinds").unwrap();
    let table: Vec<_> = kinds.lines().filter(|line| line.starts_with("| `")).collect();
    assert_eq!(table, documented);
}
