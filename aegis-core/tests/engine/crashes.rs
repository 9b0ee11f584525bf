//! Crashes after each durable write, and faults from a seed: no effect counts twice, nothing that
//! was acknowledged vanishes, and the world heals.

use std::{collections::HashSet, sync::Arc, time::Duration};

use aegis_core::{
    engine::Aegis,
    model::{ChainHash, Position, RecordState, SlotOutcome, VerificationLevel},
    seams::{ErrorClass, JobQuery, RecordQuery, Scope, Window},
    testing::{Fault, FaultPlan, FaultyDriver, FaultyStorage, FaultyStore},
};

use crate::world::{World, new_job, new_policy, options, tenant};

const HOUR: Duration = Duration::from_secs(3600);

/// An engine whose store, driver and storage do what the plan says.
fn faulty_engine(world: &World, plan: &FaultPlan) -> Aegis {
    Aegis::builder()
        .store(Arc::new(FaultyStore::new(Arc::clone(&world.store), plan.clone())))
        .clock(Arc::new(world.clock.clone()))
        .cluster("local", Arc::new(FaultyDriver::new(Arc::new(world.driver.clone()), plan.clone())))
        .storage(Arc::new(FaultyStorage::new(Arc::clone(&world.storage), plan.clone())))
        .options(options())
        .seed([3; 32])
        .holder("faulty")
        .build()
        .unwrap()
}

/// What must hold once the world has healed.
async fn check(world: &World, aegis: &Aegis, context: &str) {
    let me = tenant(aegis);
    let jobs = me.jobs(JobQuery::new(Scope::Everyone)).await.unwrap().items;
    assert!(jobs.iter().all(|job| !job.is_live()), "{context}: a job never ended");
    let records = me.records(RecordQuery::new(Scope::Everyone)).await.unwrap().items;
    let made: HashSet<_> =
        jobs.iter().filter_map(|job| job.result.as_ref()).map(|result| result.record).collect();
    let known: HashSet<_> = records.iter().map(|view| view.record.id).collect();
    assert_eq!(made, known, "{context}: every record has its job and every result its record");
    let handles: HashSet<_> = world.driver.backups().into_iter().map(|item| item.handle).collect();
    for view in &records {
        let there = handles.contains(&view.record.handle);
        let usable = matches!(view.record.state(), RecordState::Available | RecordState::Expired);
        assert!(!usable || there, "{context}: record {} has no data", view.record.id);
        assert!(view.record.uses.is_empty(), "{context}: record {} is in use for ever", view.record.id);
    }
    let mut slots_with = HashSet::new();
    for policy in me.policies(aegis_core::seams::PolicyQuery::new(Scope::Everyone)).await.unwrap().items {
        for slot in me.slots(policy.policy.id, Window::first(1000)).await.unwrap().items {
            if let SlotOutcome::Ran { job } = slot.outcome {
                assert!(slots_with.insert(job), "{context}: two slots share a job");
                assert!(jobs.iter().any(|known| known.id == job), "{context}: a slot's job vanished");
            }
        }
    }
    let mut head = ChainHash::GENESIS;
    for sealed in me.events(Position::START, 100_000).await.unwrap() {
        head = head.link(&sealed.event, sealed.position).unwrap();
        assert_eq!(head, sealed.hash, "{context}: the chain breaks at {}", sealed.position);
    }
}

#[tokio::test]
async fn a_crash_after_any_durable_write_is_recovered_from() {
    let mut after = 0;
    loop {
        let world = World::new();
        let plan = FaultPlan::seeded(1, Arc::new(world.clock.clone()));
        let aegis = faulty_engine(&world, &plan);
        let mut new = new_policy("hourly", 3600);
        new.verify = Some(VerificationLevel::Present);
        tenant(&aegis).create_policy(new).await.unwrap();
        let job = tenant(&aegis).create_job(new_job("manual")).await.unwrap().job.id;
        plan.crash_after(after);
        world.run(&aegis, HOUR + Duration::from_secs(300)).await;
        let died = plan.is_dead();
        drop(aegis);
        world.driver.lose_process();
        let heir = world.other_engine();
        world.run(&heir, 3 * HOUR).await;
        // Half an hour after a slot nothing of it is still under way.
        world.run(&heir, HOUR / 2).await;
        let context = format!("crash after {after} writes");
        assert!(tenant(&heir).job(job).await.unwrap().job.result.is_some(), "{context}: the job was lost");
        check(&world, &heir, &context).await;
        if !died {
            break;
        }
        after += 1;
    }
    assert!(after > 10, "a slot, a backup and a check take more than {after} writes");
}

#[tokio::test]
async fn seeded_faults_everywhere_do_no_lasting_harm() {
    for seed in 0..12 {
        let world = World::new();
        let plan = FaultPlan::seeded(seed, Arc::new(world.clock.clone()))
            .with_probability(0.03, Fault::Refuse)
            .with_probability(0.03, Fault::LoseAnswer)
            .with_probability(0.02, Fault::Duplicate);
        let aegis = faulty_engine(&world, &plan);
        let clean = world.other_engine();
        let mut new = new_policy("hourly", 3600);
        new.verify = Some(VerificationLevel::Present);
        tenant(&clean).create_policy(new).await.unwrap();
        world.run(&aegis, 12 * HOUR).await;
        plan.heal();
        world.run(&aegis, HOUR + HOUR / 2).await;
        assert!(!plan.happened().is_empty(), "seed {seed}: nothing went wrong");
        check(&world, &aegis, &format!("seed {seed}")).await;
        let error = tenant(&aegis).cancel_job(last_job(&aegis).await).await.unwrap_err();
        assert_eq!(
            error.class(),
            ErrorClass::InvalidTransition,
            "seed {seed}: an ended job is not cancelled"
        );
    }
}

async fn last_job(aegis: &Aegis) -> aegis_core::model::JobId {
    let jobs = tenant(aegis).jobs(JobQuery::new(Scope::Everyone)).await.unwrap().items;
    jobs.first().map(|job| job.id).unwrap()
}
