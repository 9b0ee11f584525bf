//! What must be verified before it counts for a policy's RPO.

use std::time::Duration;

use aegis_core::{
    engine::{Aegis, NewPolicy, PolicyChange, PolicyCompliance},
    model::{PolicyId, RecordId, Rpo, Timestamp, VerificationLevel},
    rules::{LintCode, exposure::RpoStatus},
    seams::{BackupDriver, ErrorClass, RecordQuery, Scope},
};

use crate::world::{START, World, new_policy, tenant};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const ASKED: VerificationLevel = VerificationLevel::Checksummed;

/// An hourly policy that may lose 90 minutes, and has nothing verified by itself.
fn hourly() -> NewPolicy {
    let mut new = new_policy("hourly", 3600);
    new.rpo = Some(Rpo(90 * MINUTE));
    new
}

fn strict() -> NewPolicy {
    let mut new = hourly();
    new.count_verified = Some(ASKED);
    new
}

/// The policy, and its first record, 20 minutes after that was made.
async fn with_a_record(world: &World, aegis: &Aegis, new: NewPolicy) -> (PolicyId, RecordId) {
    let policy = tenant(aegis).create_policy(new).await.unwrap().policy.id;
    world.run(aegis, HOUR + 20 * MINUTE).await;
    let records = tenant(aegis).records(RecordQuery::new(Scope::Everyone)).await.unwrap().items;
    (policy, records[0].record.id)
}

async fn verify(world: &World, aegis: &Aegis, record: RecordId, level: VerificationLevel) {
    tenant(aegis).verify_record(record, level).await.unwrap();
    world.run(aegis, 5 * MINUTE).await;
}

async fn only(aegis: &Aegis) -> PolicyCompliance {
    tenant(aegis).compliance(None).await.unwrap().policies.remove(0)
}

fn at(elapsed: Duration) -> Timestamp {
    START.saturating_add(elapsed)
}

fn asking(level: Option<VerificationLevel>) -> PolicyChange {
    let mut change = PolicyChange::default();
    change.count_verified = Some(level);
    change
}

#[tokio::test]
async fn a_record_counts_once_it_is_verified_as_deep_as_its_policy_asks() {
    let world = World::new();
    let aegis = world.engine();
    let (policy, record) = with_a_record(&world, &aegis, strict()).await;
    let unverified = only(&aegis).await;
    assert_eq!(unverified.rpo_status(), RpoStatus::Unknown);
    assert_eq!((unverified.recovery_point_at, unverified.last_successful_backup), (None, None));
    verify(&world, &aegis, record, VerificationLevel::Present).await;
    assert_eq!(only(&aegis).await.rpo_status(), RpoStatus::Unknown, "that is not deep enough");
    verify(&world, &aegis, record, VerificationLevel::Structured).await;
    let verified = only(&aegis).await;
    let point = tenant(&aegis).record(record).await.unwrap().record.recovery_point.at;
    assert!(verified.rpo_compliant());
    assert_eq!(verified.recovery_point_at, Some(point));
    assert_eq!(verified.next_violation_at(), Some(point.saturating_add(90 * MINUTE)));
    assert!(verified.last_successful_backup.is_some());
    let state = tenant(&aegis).policy(policy).await.unwrap().state.unwrap();
    assert_eq!(state.newest_usable.map(|newest| newest.record), Some(record));
}

#[tokio::test]
async fn attainment_counts_from_the_first_check_that_was_deep_enough_however_often_it_is_repeated() {
    let world = World::new();
    let aegis = world.engine();
    let (policy, record) = with_a_record(&world, &aegis, strict()).await;
    verify(&world, &aegis, record, ASKED).await;
    let since = tenant(&aegis).record(record).await.unwrap().record.verified_since(ASKED).unwrap();
    let (from, to) = (at(HOUR), at(HOUR + 30 * MINUTE));
    let protected = to.since(since);
    world.run(&aegis, 10 * MINUTE).await;
    for _ in 0..2 {
        let books = tenant(&aegis).attainment(policy, from, to).await.unwrap();
        assert_eq!(books.as_known.unprotected, 30 * MINUTE - protected);
        assert_eq!(books.restated, books.as_known);
        verify(&world, &aegis, record, ASKED).await;
    }
}

#[tokio::test]
async fn a_verified_record_that_is_found_bad_counted_until_then_in_one_book_and_never_in_the_other() {
    let world = World::new();
    let aegis = world.engine();
    let (policy, record) = with_a_record(&world, &aegis, strict()).await;
    verify(&world, &aegis, record, ASKED).await;
    let verified = tenant(&aegis).record(record).await.unwrap();
    let since = verified.record.verified_since(ASKED).unwrap();
    assert!(world.driver.damage(&verified.record.handle, ASKED));
    verify(&world, &aegis, record, ASKED).await;
    let found = tenant(&aegis).record(record).await.unwrap().record.found_bad.clone().unwrap().at;
    assert_eq!(only(&aegis).await.rpo_status(), RpoStatus::Unknown);
    let books = tenant(&aegis).attainment(policy, at(HOUR), found).await.unwrap();
    assert_eq!(books.restated.unprotected, found.since(at(HOUR)));
    assert_eq!(
        books.as_known.unprotected,
        since.since(at(HOUR)),
        "a check that fails takes back none before it"
    );
}

#[tokio::test]
async fn asking_for_more_or_less_is_judged_from_then_on() {
    let world = World::new();
    let aegis = world.engine();
    let (policy, _) = with_a_record(&world, &aegis, hourly()).await;
    assert!(only(&aegis).await.rpo_compliant());
    let before = (at(HOUR + 5 * MINUTE), at(HOUR + 20 * MINUTE));
    let view = tenant(&aegis).update_policy(policy, asking(Some(ASKED))).await.unwrap();
    assert!(view.warnings.iter().any(|warning| warning.code == LintCode::CountsOnlyVerifiedDeeper));
    assert_eq!(only(&aegis).await.rpo_status(), RpoStatus::Unknown);
    world.run(&aegis, 10 * MINUTE).await;
    let view = tenant(&aegis).update_policy(policy, asking(None)).await.unwrap();
    assert_eq!(view.warnings, []);
    assert!(only(&aegis).await.rpo_compliant());
    let past = tenant(&aegis).attainment(policy, before.0, before.1).await.unwrap();
    assert_eq!(past.as_known.share.percent(), Some(100.0), "nothing was asked for then");
    let strict = tenant(&aegis).attainment(policy, before.1, at(HOUR + 30 * MINUTE)).await.unwrap();
    assert_eq!(strict.as_known.unprotected, 10 * MINUTE);
}

#[tokio::test]
async fn a_policy_that_verifies_as_deep_as_it_asks_keeps_its_rpo_without_a_warning() {
    let world = World::new();
    let aegis = world.engine();
    let mut new = strict();
    new.verify = Some(VerificationLevel::Restored);
    let view = tenant(&aegis).create_policy(new).await.unwrap();
    assert_eq!(view.warnings, []);
    world.run(&aegis, 3 * HOUR + 20 * MINUTE).await;
    let newest = tenant(&aegis).records(RecordQuery::new(Scope::Everyone)).await.unwrap().items.remove(0);
    let policy = only(&aegis).await;
    assert!(policy.rpo_compliant());
    assert_eq!(policy.recovery_point_at, Some(newest.record.recovery_point.at));
}

#[tokio::test]
async fn a_depth_that_the_driver_can_never_reach_is_refused() {
    let mut world = World::new();
    let mut shallow = world.driver.capabilities().clone();
    shallow.verification = [VerificationLevel::Present].into();
    shallow.features.clear();
    world.driver = world.driver.with_capabilities(shallow);
    let aegis = world.engine();
    let error = tenant(&aegis).create_policy(strict()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unsupported);
    assert!(error.to_string().contains("no record would ever count"), "{error}");
    let policy = tenant(&aegis).create_policy(hourly()).await.unwrap().policy.id;
    let error = tenant(&aegis).update_policy(policy, asking(Some(ASKED))).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unsupported);
}
