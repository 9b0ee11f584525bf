//! `/metrics`: in the format that is asked for, and for those who run the service alone.

use aegis_http::HttpOptions;

use crate::world::{Ask, CLUSTER, World, tokens};

#[tokio::test]
async fn figures_are_in_prometheus_text_format_and_name_nothing_of_a_tenants() {
    let world = World::open();
    let answer = world.get("/metrics").await;
    assert_eq!(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = answer.with(200).as_str().unwrap().to_owned();
    let lines: Vec<_> = text.lines().collect();
    for figure in lines.chunks(3) {
        let [help, kind, sample] = figure else { panic!("{figure:?} is no figure") };
        let (name, value) = sample.split_once(' ').unwrap();
        assert!(
            name.starts_with("aegis_") && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
            "{name}"
        );
        assert!(
            help.starts_with(&format!("# HELP {name} ")) && *kind == format!("# TYPE {name} gauge"),
            "{figure:?}"
        );
        value.parse::<u64>().unwrap();
    }
    assert!(lines.contains(&"aegis_store_up 1") && lines.contains(&"aegis_clusters 2"), "{text}");
    assert!(!text.contains(CLUSTER) && !text.contains("default"), "{text}");
}

#[tokio::test]
async fn figures_take_a_token_that_serves_nothing_else() {
    let world = World::guarded();
    let ask = Ask::new("GET", "/metrics");
    world.ask(ask.clone()).await.refused(401, "unauthorized");
    world.ask(ask.clone().token("admin")).await.refused(401, "unauthorized");
    world.ask(ask.token("metrics")).await.with(200);
    let other = Ask::new("GET", "/api/v1/dr/policies").token("metrics");
    world.ask(other).await.refused(401, "unauthorized");
}

#[tokio::test]
async fn a_service_that_keeps_no_figures_says_so() {
    let mut world = World::guarded();
    let options = HttpOptions::default().with_access(tokens());
    world.router = aegis_http::router(world.engine.clone(), options);
    world.get("/metrics").await.refused(404, "not_found");
}
