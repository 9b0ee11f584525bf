//! Requests that are sent again.

use aegis_core::{
    engine::{Aegis, Execute, NewPlan, Once, Tenant},
    model::EntityKey,
    seams::{ErrorClass, JobQuery, Scope},
};

use crate::world::{World, new_job, new_policy, tenant};

fn under(aegis: &Aegis, key: &str, fingerprint: &str) -> Tenant {
    let (route, key, fingerprint) = ("POST /things".to_owned(), key.to_owned(), fingerprint.to_owned());
    tenant(aegis).once(Once { route, key, fingerprint })
}

#[tokio::test]
async fn a_request_sent_again_makes_nothing_new_and_finds_what_it_made() {
    let world = World::new();
    let aegis = world.engine();
    let request = under(&aegis, "key", "body");
    assert_eq!(request.outcome().await.unwrap(), None);
    let job = request.create_job(new_job("manual")).await.unwrap().job.id;
    assert_eq!(request.outcome().await.unwrap(), Some(EntityKey::Job(job)));
    let error = request.create_job(new_job("manual")).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::AlreadyExists);
    assert_eq!(tenant(&aegis).jobs(JobQuery::new(Scope::Everyone)).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn a_key_serves_one_request_of_one_client() {
    let world = World::new();
    let aegis = world.engine();
    under(&aegis, "key", "body").create_job(new_job("manual")).await.unwrap();
    let error = under(&aegis, "key", "another body").outcome().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::InvalidInput);
    assert_eq!(under(&aegis, "another key", "body").outcome().await.unwrap(), None);
    let someone = tenant(&aegis).id().clone();
    let someone = aegis.tenant(someone, "someone".parse().unwrap()).unwrap();
    let once =
        Once { route: "POST /things".to_owned(), key: "key".to_owned(), fingerprint: "body".to_owned() };
    assert_eq!(someone.once(once).outcome().await.unwrap(), None);
}

#[tokio::test]
async fn the_key_is_in_the_way_before_the_name_that_the_same_request_took() {
    let world = World::new();
    let aegis = world.engine();
    let request = under(&aegis, "key", "body");
    let policy = request.create_policy(new_policy("nightly", 3600)).await.unwrap().policy.id;
    let error = request.create_policy(new_policy("nightly", 3600)).await.unwrap_err();
    assert!(error.to_string().contains("request"), "{error}");
    assert_eq!(request.outcome().await.unwrap(), Some(EntityKey::Policy(policy)));
}

#[tokio::test]
async fn an_execution_is_found_by_its_key() {
    let world = World::new();
    let aegis = world.engine();
    let record = world.backup(&aegis).await.job.result.as_ref().unwrap().record;
    let plan = tenant(&aegis).create_plan(NewPlan::new("recover".parse().unwrap(), record)).await.unwrap();
    let request = under(&aegis, "key", "body");
    request.execute_plan(plan.plan.id, Execute::Confirmed).await.unwrap();
    let execution = tenant(&aegis).execution_status(plan.plan.id).await.unwrap().execution.id;
    assert_eq!(request.outcome().await.unwrap(), Some(EntityKey::Execution(execution)));
}

#[tokio::test]
async fn a_request_that_was_refused_leaves_its_key_free() {
    let world = World::new();
    let aegis = world.engine();
    tenant(&aegis).create_policy(new_policy("nightly", 3600)).await.unwrap();
    let request = under(&aegis, "key", "body");
    request.create_policy(new_policy("nightly", 3600)).await.unwrap_err();
    assert_eq!(request.outcome().await.unwrap(), None);
}
