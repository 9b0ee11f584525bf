//! What an engine keeps in mind of policies never shows: an answer is what a new engine would say.

use std::{sync::Arc, time::Duration};

use aegis_core::{
    engine::{Aegis, Compliance, NewPolicy, PolicyChange},
    model::{PolicyId, Position, Rpo, Rto},
    seams::{Clock, LeaseName, Scope, Store},
    testing::{Fault, FaultPlan, FaultPoint, FaultyStore},
};
use proptest::{prelude::*, test_runner::Config};

use crate::world::{World, name, new_policy, tenant};

const HOUR: Duration = Duration::from_secs(3600);

fn policy(number: usize) -> NewPolicy {
    let mut new = new_policy(&format!("policy {number}"), 3600);
    new.rpo = Some(Rpo(2 * HOUR));
    new.rto = Some(Rto(HOUR));
    new
}

async fn said(aegis: &Aegis) -> Compliance {
    tenant(aegis).compliance(None).await.unwrap()
}

/// What an engine says that was never asked before.
async fn anew(world: &World) -> Compliance {
    said(&world.builder().seed([9; 32]).holder("new").build().unwrap()).await
}

/// Something that happens between two questions.
#[derive(Clone, Copy, Debug)]
enum Step {
    Create,
    Rename(usize),
    Disable(usize),
    Delete(usize),
    /// The engines work for so many hours.
    Work(u32),
    /// Nobody works for so many days.
    Rest(u32),
    Seal,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Create),
        2 => (0usize..6).prop_map(Step::Rename),
        1 => (0usize..6).prop_map(Step::Disable),
        1 => (0usize..6).prop_map(Step::Delete),
        4 => (1u32..4).prop_map(Step::Work),
        2 => (1u32..29).prop_map(Step::Rest),
        2 => Just(Step::Seal),
    ];
    prop::collection::vec(step, 1..14)
}

/// Takes a step through `other`, so that the engine that is asked had no part in it.
async fn take(world: &World, other: &Aegis, step: Step, made: &mut Vec<PolicyId>, number: usize) {
    let nth = |n: usize| made.get(n).copied();
    let changes = tenant(other);
    match step {
        Step::Create => made.push(changes.create_policy(policy(number)).await.unwrap().policy.id),
        Step::Rename(n) => {
            let Some(id) = nth(n) else { return };
            let mut change = PolicyChange::default();
            change.name = Some(name(&format!("renamed {number}")));
            changes.update_policy(id, change).await.unwrap();
        }
        Step::Disable(n) => {
            let Some(id) = nth(n) else { return };
            let mut change = PolicyChange::default();
            change.enabled = Some(false);
            changes.update_policy(id, change).await.unwrap();
        }
        Step::Delete(n) => {
            let Some(id) = nth(n) else { return };
            changes.delete_policy(id).await.unwrap();
            made.remove(n);
        }
        Step::Work(hours) => world.run(other, HOUR * hours).await,
        Step::Rest(days) => world.clock.advance(HOUR * 24 * days),
        Step::Seal => seal(world).await,
    }
}

async fn seal(world: &World) {
    let holder = aegis_core::seams::HolderId("the test".to_owned());
    let claim = world.store.claim(&LeaseName::sealer(), &holder, HOUR).await.unwrap();
    let aegis_core::seams::Claim::Granted(lease) = claim else { return };
    while world.store.seal(&lease.fence, 100).await.unwrap().count > 0 {}
    world.store.release(&lease.fence).await.unwrap();
}

proptest! {
    #![proptest_config(Config { cases: 48, failure_persistence: None, ..Config::default() })]

    #[test]
    fn every_answer_is_what_a_new_engine_would_say(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = World::new();
            let (asked, other) = (world.engine(), world.other_engine());
            let mut made = Vec::new();
            for (number, step) in steps.into_iter().enumerate() {
                take(&world, &other, step, &mut made, number).await;
                prop_assert_eq!(said(&asked).await, anew(&world).await, "after {:?}", step);
            }
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn what_another_engine_committed_is_in_the_next_answer_sealed_or_not() {
    let world = World::new();
    let (asked, other) = (world.engine(), world.other_engine());
    assert_eq!(said(&asked).await.policies, []);
    let id = tenant(&other).create_policy(policy(1)).await.unwrap().policy.id;
    assert_eq!(said(&asked).await.policies.len(), 1);
    seal(&world).await;
    let mut change = PolicyChange::default();
    change.name = Some(name("another"));
    tenant(&other).update_policy(id, change).await.unwrap();
    assert_eq!(said(&asked).await.policies[0].name, name("another"));
    tenant(&other).delete_policy(id).await.unwrap();
    assert_eq!(said(&asked).await.policies, []);
}

#[tokio::test]
async fn a_question_that_fails_leaves_nothing_wrong_behind() {
    let world = World::new();
    let clock: Arc<dyn Clock> = Arc::new(world.clock.clone());
    let plan = FaultPlan::seeded(1, clock).at(FaultPoint::StoreRead, 12, Fault::Refuse);
    let faulty: Arc<dyn Store> = Arc::new(FaultyStore::new(Arc::clone(&world.store), plan.clone()));
    let (asked, other) = (world.builder().store(faulty).build().unwrap(), world.other_engine());
    let mut failed = 0;
    for number in 0..12 {
        tenant(&other).create_policy(policy(number)).await.unwrap();
        match tenant(&asked).compliance(None).await {
            Ok(answer) => assert_eq!(answer, anew(&world).await),
            Err(_) => failed += 1,
        }
    }
    assert_eq!(failed, 1);
    let events = world.store.events(&Scope::Everyone, Position::START, 10).await.unwrap();
    assert!(events.is_empty(), "all of it was read from the tail");
}
