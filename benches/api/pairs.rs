//! Rates of the router and of the bare program, in turns.

use std::sync::Arc;

use crate::{
    Sizes,
    client::{Ask, Client, Question, rate},
    filled::median,
    world::{Jobs, World},
};

const NEW: &str = r#"{"name":"before the upgrade","cluster":"local","namespaces":["app"],"ttl_hours":24}"#;

/// What both are asked, and how much of the bare program's rate ours must reach.
fn pairs(jobs: Jobs) -> Vec<(&'static str, Ask, f64)> {
    let page = move |number, rest: &str| {
        let before = Jobs::time(jobs.any(number));
        Question::get(format!("/api/v1/backups/jobs?cluster=c3&status=completed&to={before}{rest}"))
    };
    let job = move |number| Question::get(format!("/api/v1/backups/jobs/{}", Jobs::id(jobs.any(number))));
    vec![
        ("GET /livez", Arc::new(|_| Question::get("/livez")), 0.90),
        ("GET a job", Arc::new(job), 0.80),
        ("GET 50 jobs", Arc::new(move |number| page(number, "&total=false")), 0.85),
        ("GET 50 jobs and their total", Arc::new(move |number| page(number, "")), 0.85),
        ("POST a job", Arc::new(|_| Question::post("/api/v1/backups/jobs", NEW)), 0.80),
    ]
}

/// That both answer the same bytes to what reads.
async fn compare(world: &World, what: &str, ask: &Ask) {
    let (mut ours, mut bare) = (Client::connect(world.ours).await, Client::connect(world.bare).await);
    for number in 0..20 {
        let question = ask(number);
        if question.reads() {
            assert_eq!(ours.ask(question).await, bare.ask(ask(number)).await, "{what}");
        }
    }
}

pub(crate) async fn all(world: &World, sizes: &Sizes) {
    for (what, ask, target) in pairs(world.jobs) {
        compare(world, what, &ask).await;
        let router = if ask(0).reads() { world.ours } else { world.patient };
        let mut figures = Vec::new();
        for pair in 0..sizes.pairs as u64 {
            let ours = rate(router, sizes, pair * 64, &ask).await;
            world.settle().await;
            let bare = rate(world.bare, sizes, pair * 64 + 32, &ask).await;
            world.settle().await;
            figures.push((ours, bare));
        }
        let ours = median(figures.iter().map(|(ours, _)| *ours).collect());
        let bare = median(figures.iter().map(|(_, bare)| *bare).collect());
        let ratio = median(figures.iter().map(|(ours, bare)| ours / bare).collect());
        println!("| {what} | {ours:.0}/s | {bare:.0}/s | {ratio:.2} | >= {target:.2} |");
    }
}
