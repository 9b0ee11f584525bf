//! DR tests: restored somewhere harmless, checked, measured.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aegis_core::{
    engine::{Aegis, DrSubject, NewDrTest, PolicyChange},
    model::{
        Bytes, CheckStatus, DisplayName, DrDestination, DrKeep, DrTarget, DrTest, DrTestId, DrTestRule,
        EvidenceSource, JobStatus, NamespaceName, NamespaceSelection, PolicyId, RecordChoice, RecordId,
        RestoreTarget, RestoredBy, Rto, VerificationLevel, Versioned,
    },
    rules::rto::{RtoBasis, RtoStatus},
    seams::{DrCheck, DrTestQuery, DrVerdict, ErrorClass, RestoredCopy, Scope, WorkKind},
    testing::Script,
};

use crate::world::{World, every, local, name, namespace, new_job, new_policy, tenant};

/// A check that answers as it is told, and counts how often it was asked.
#[derive(Debug)]
struct Told {
    name: DisplayName,
    verdict: Option<DrVerdict>,
    asked: AtomicUsize,
}

#[async_trait::async_trait]
impl DrCheck for Told {
    fn name(&self) -> &DisplayName {
        &self.name
    }

    async fn check(&self, _restored: &RestoredCopy) -> DrVerdict {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match &self.verdict {
            Some(verdict) => verdict.clone(),
            None => std::future::pending().await,
        }
    }
}

fn told(what: &str, verdict: Option<DrVerdict>) -> Arc<Told> {
    Arc::new(Told { name: name(what), verdict, asked: AtomicUsize::new(0) })
}

/// Compares a file that was restored with what it should be.
#[derive(Debug)]
struct Sentinel {
    name: DisplayName,
    driver: aegis_core::testing::ScriptedDriver,
    expected: &'static str,
}

#[async_trait::async_trait]
impl DrCheck for Sentinel {
    fn name(&self) -> &DisplayName {
        &self.name
    }

    async fn check(&self, restored: &RestoredCopy) -> DrVerdict {
        let file =
            restored.targets.get(&namespace("app")).and_then(|target| self.driver.read(target, "a.txt"));
        match file {
            Some(bytes) if bytes == self.expected => DrVerdict::Passed,
            Some(_) => DrVerdict::Failed { reason: "a.txt differs".to_owned() },
            None => DrVerdict::Failed { reason: "a.txt is not there".to_owned() },
        }
    }
}

pub(crate) async fn record(world: &World, aegis: &Aegis) -> RecordId {
    world.backup(aegis).await.job.result.as_ref().unwrap().record
}

pub(crate) fn folder() -> DrTarget {
    DrTarget { cluster: None, destination: DrDestination::Folder("/restores/drills".to_owned()) }
}

pub(crate) fn into(from: &str, to: &str) -> DrTarget {
    let pairs: [(NamespaceName, NamespaceName); 1] = [(namespace(from), namespace(to))];
    DrTarget { cluster: None, destination: DrDestination::Namespaces(pairs.into()) }
}

pub(crate) fn of(record: RecordId, target: DrTarget) -> NewDrTest {
    NewDrTest::new(DrSubject::Record(record), target)
}

pub(crate) async fn finish(world: &World, aegis: &Aegis, test: DrTestId) -> Versioned<DrTest> {
    world.run(aegis, Duration::from_secs(600)).await;
    tenant(aegis).dr_test(test).await.unwrap()
}

pub(crate) async fn run(world: &World, aegis: &Aegis, new: NewDrTest) -> Versioned<DrTest> {
    let test = tenant(aegis).run_dr_test(new).await.unwrap();
    assert_eq!(test.status, CheckStatus::Running);
    finish(world, aegis, test.id).await
}

/// Where a test restores its one namespace to.
pub(crate) fn target_of(test: &DrTest) -> RestoreTarget {
    test.run.as_ref().unwrap().options.mapping.values().next().unwrap().clone()
}

fn rule(seconds: u32) -> DrTestRule {
    DrTestRule {
        schedule: every(seconds),
        select: RecordChoice::Latest,
        verify: None,
        checks: Vec::new(),
        target: folder(),
        keep: DrKeep::Nothing,
    }
}

#[tokio::test]
async fn a_test_restores_to_a_folder_of_its_own_measures_proves_the_record_and_cleans_up() {
    let world = World::new();
    let aegis = world.engine();
    let record = record(&world, &aegis).await;
    world.clock.advance(Duration::from_secs(3600));
    let test = run(&world, &aegis, of(record, folder())).await;
    assert_eq!(test.status, CheckStatus::Passed);
    assert_eq!(test.passed_level, Some(VerificationLevel::Restored));
    assert!(test.recovery_time_actual().unwrap() >= Duration::from_secs(60));
    assert!(test.recovery_point_actual().unwrap() >= Duration::from_secs(3600));
    assert_eq!(test.restore.as_ref().unwrap().bytes, Bytes(6));
    let target = target_of(&test);
    assert!(matches!(&target, RestoreTarget::Path(path) if path.starts_with("/restores/drills/oco-drill-")));
    assert_eq!(world.driver.read(&target, "a.txt"), None);
    assert_eq!(test.clean_up.as_ref().unwrap().status, CheckStatus::Passed);
    assert_eq!(test.clean_up.as_ref().unwrap().removed, [("files", 2)].into_iter().collect());
    assert!(test.left_behind.is_empty());
    let view = tenant(&aegis).record(record).await.unwrap();
    assert_eq!(view.record.verified().unwrap().0, VerificationLevel::Restored);
    assert_eq!(view.record.evidence.first().unwrap().found_by, EvidenceSource::DrTest(test.id));
    assert!(view.record.uses.is_empty());
}

#[tokio::test]
async fn two_tests_of_one_record_never_share_a_folder() {
    let world = World::new();
    let aegis = world.engine();
    let record = record(&world, &aegis).await;
    let one = run(&world, &aegis, of(record, folder())).await;
    let two = run(&world, &aegis, of(record, folder())).await;
    assert_eq!((one.status, two.status), (CheckStatus::Passed, CheckStatus::Passed));
    assert_ne!(target_of(&one), target_of(&two));
}

#[tokio::test]
async fn a_target_that_is_in_place_is_refused() {
    let world = World::new();
    let aegis = world.engine();
    let record = record(&world, &aegis).await;
    let error = tenant(&aegis).run_dr_test(of(record, into("app", "app"))).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::InvalidInput);
    assert!(error.to_string().contains("never restores in place"), "{error}");
    let mut new = new_policy("hourly", 3600);
    new.dr_test = Some(DrTestRule { target: into("app", "app"), ..rule(600) });
    let error = tenant(&aegis).create_policy(new).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::InvalidInput);
}

#[tokio::test]
async fn a_target_that_a_policy_protects_is_refused() {
    let world = World::new();
    let aegis = world.engine();
    let record = record(&world, &aegis).await;
    let mut new = new_policy("rows", 3600);
    new.namespaces = NamespaceSelection::only([namespace("db")]).unwrap();
    tenant(&aegis).create_policy(new).await.unwrap();
    let error = tenant(&aegis).run_dr_test(of(record, into("app", "db"))).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::InvalidInput);
    assert!(error.to_string().contains("protected by policy `rows`"), "{error}");
}

#[tokio::test]
async fn a_target_where_something_lies_already_is_refused_and_left_as_it_is() {
    let world = World::new();
    let aegis = world.engine();
    let record = record(&world, &aegis).await;
    let lab = RestoreTarget::Namespace(namespace("lab"));
    world.driver.write(&lab, "a.txt", "something else");
    let error = tenant(&aegis).run_dr_test(of(record, into("app", "lab"))).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::InvalidTransition);
    assert_eq!(world.driver.read(&lab, "a.txt").unwrap(), "something else");
}

#[tokio::test]
async fn while_a_test_restores_into_a_namespace_others_and_backups_of_it_wait() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    let record = record(&world, &aegis).await;
    let lab = world.driver.clone().with_namespace(namespace("lab"), [] as [(&str, &str); 0]);
    drop(lab);
    let first = me.run_dr_test(of(record, into("app", "lab"))).await.unwrap();
    let error = me.run_dr_test(of(record, into("app", "lab"))).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::InvalidTransition);
    assert!(error.to_string().contains(&RestoredBy::DrTest(first.id).to_string()), "{error}");
    let mut new = new_job("of the lab");
    new.namespaces = NamespaceSelection::only([namespace("lab")]).unwrap();
    let job = me.create_job(new).await.unwrap().job.id;
    world.run(&aegis, Duration::from_secs(30)).await;
    assert_eq!(me.job(job).await.unwrap().job.status, JobStatus::Pending);
    assert_eq!(finish(&world, &aegis, first.id).await.status, CheckStatus::Passed);
    assert_eq!(world.end(&aegis, job).await.job.status, JobStatus::Completed);
}

#[tokio::test]
async fn checks_that_pass_prove_more_than_the_restore() {
    let world = World::new();
    let sentinel = Sentinel { name: name("sentinel"), driver: world.driver.clone(), expected: "one" };
    let aegis = world.builder().dr_check(Arc::new(sentinel)).build().unwrap();
    let record = record(&world, &aegis).await;
    let mut new = of(record, folder());
    new.verify = Some(VerificationLevel::Checksummed);
    new.checks = vec![name("sentinel")];
    let test = run(&world, &aegis, new).await;
    assert_eq!(test.reason, None);
    assert_eq!(test.passed_level, Some(VerificationLevel::Proven));
    let view = tenant(&aegis).record(record).await.unwrap();
    assert_eq!(view.record.verified().unwrap().0, VerificationLevel::Proven);
    let levels: Vec<_> = view.record.evidence.iter().map(|evidence| evidence.level).collect();
    assert!(levels.contains(&VerificationLevel::Checksummed), "{levels:?}");
}

#[tokio::test]
async fn a_restore_that_says_it_completed_and_brought_nothing_fails_by_its_sentinel() {
    let world = World::new();
    let sentinel = Sentinel { name: name("sentinel"), driver: world.driver.clone(), expected: "one" };
    let aegis = world.builder().dr_check(Arc::new(sentinel)).build().unwrap();
    let record = record(&world, &aegis).await;
    world.driver.script_next(WorkKind::Restore, Script::completing_without_effect());
    let mut new = of(record, folder());
    new.checks = vec![name("sentinel")];
    let test = run(&world, &aegis, new).await;
    assert_eq!(test.status, CheckStatus::Failed);
    assert_eq!(test.reason.as_deref(), Some("the check `sentinel` failed: a.txt is not there"));
    assert_eq!(test.passed_level, None);
    let view = tenant(&aegis).record(record).await.unwrap();
    assert!(view.record.verified().is_none());
}

#[tokio::test]
async fn a_check_that_could_not_look_leaves_the_test_not_run() {
    let world = World::new();
    let away = told("away", Some(DrVerdict::NotRun { reason: "no tools".to_owned() }));
    let asked = Arc::clone(&away);
    let aegis = world.builder().dr_check(away).build().unwrap();
    let record = record(&world, &aegis).await;
    let mut new = of(record, folder());
    new.checks = vec![name("away")];
    let test = run(&world, &aegis, new).await;
    assert_eq!(test.status, CheckStatus::NotRun);
    assert_eq!(test.reason.as_deref(), Some("the check `away` was not run: no tools"));
    assert_eq!(test.passed_level, None);
    assert_eq!(asked.asked.load(Ordering::Relaxed), 1);
    assert!(tenant(&aegis).record(record).await.unwrap().record.verified().is_none());
}

#[tokio::test]
async fn a_check_that_never_ends_keeps_no_backup_waiting_and_ends_with_the_tests_time() {
    let world = World::new();
    let mut options = crate::world::options();
    options.dr_test_timeout = Duration::from_secs(1200);
    let endless = told("endless", None);
    let aegis = world.builder().options(options).dr_check(endless).build().unwrap();
    let record = record(&world, &aegis).await;
    let mut new = of(record, folder());
    new.checks = vec![name("endless")];
    let test = tenant(&aegis).run_dr_test(new).await.unwrap();
    world.run(&aegis, Duration::from_secs(300)).await;
    assert_eq!(world.backup(&aegis).await.job.status, JobStatus::Completed);
    world.run(&aegis, Duration::from_secs(1200)).await;
    let test = tenant(&aegis).dr_test(test.id).await.unwrap();
    assert_eq!(test.status, CheckStatus::NotRun);
    assert!(test.reason.as_ref().unwrap().contains("did not end within 1200 seconds"));
}

#[tokio::test]
async fn a_check_that_the_engine_does_not_have_is_refused() {
    let world = World::new();
    let aegis = world.engine();
    let record = record(&world, &aegis).await;
    let mut new = of(record, folder());
    new.checks = vec![name("sentinel")];
    let error = tenant(&aegis).run_dr_test(new).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::InvalidInput);
}

#[tokio::test]
async fn a_restore_that_fails_fails_the_test_and_one_that_is_lost_was_not_run() {
    let world = World::new();
    let aegis = world.engine();
    let record = record(&world, &aegis).await;
    world.driver.script_next(WorkKind::Restore, Script::failing("the disk is full"));
    let test = run(&world, &aegis, of(record, folder())).await;
    assert_eq!(test.status, CheckStatus::Failed);
    assert!(test.reason.as_ref().unwrap().contains("the disk is full"));
    assert!(test.recovery_time_actual().is_none() && test.passed_level.is_none());
    world.driver.script_next(WorkKind::Restore, Script::losing("its process died"));
    let test = run(&world, &aegis, of(record, folder())).await;
    assert_eq!(test.status, CheckStatus::NotRun);
    assert!(test.reason.as_ref().unwrap().contains("its process died"));
    let view = tenant(&aegis).record(record).await.unwrap();
    assert!(view.record.verified().is_none() && view.record.uses.is_empty());
}

#[tokio::test]
async fn a_record_whose_data_has_vanished_fails_the_test() {
    let world = World::new();
    let aegis = world.engine();
    let record = record(&world, &aegis).await;
    let handle = tenant(&aegis).record(record).await.unwrap().record.handle.clone();
    assert!(world.driver.vanish(&handle));
    let test = run(&world, &aegis, of(record, folder())).await;
    assert_eq!(test.status, CheckStatus::Failed);
    assert!(test.left_behind.is_empty());
}

#[tokio::test]
async fn a_test_goes_on_under_another_engine_and_restores_once() {
    let world = World::new();
    let one = world.engine();
    let record = record(&world, &one).await;
    let test = tenant(&one).run_dr_test(of(record, folder())).await.unwrap();
    world.run(&one, Duration::from_secs(20)).await;
    drop(one);
    let two = world.other_engine();
    let test = finish(&world, &two, test.id).await;
    assert_eq!(test.status, CheckStatus::Passed);
    assert_eq!(world.driver.effects(test.run.as_ref().unwrap().operation).begun, 1);
}

async fn scheduled(world: &World, aegis: &Aegis, rule: DrTestRule) -> PolicyId {
    let mut new = new_policy("hourly", 3600);
    new.dr_test = Some(rule);
    let policy = tenant(aegis).create_policy(new).await.unwrap().policy.id;
    world.run(aegis, Duration::from_secs(60)).await;
    policy
}

async fn tests_of(aegis: &Aegis, policy: PolicyId) -> Vec<Versioned<DrTest>> {
    let mut query = DrTestQuery::new(Scope::Everyone);
    query.policy = Some(policy);
    tenant(aegis).dr_tests(query).await.unwrap().items
}

#[tokio::test]
async fn a_policy_has_its_newest_record_tested_at_its_times() {
    let world = World::new();
    let aegis = world.engine();
    let policy = scheduled(&world, &aegis, rule(2 * 3600)).await;
    world.run(&aegis, Duration::from_secs(4 * 3600 + 1800)).await;
    let tests = tests_of(&aegis, policy).await;
    let times: Vec<_> = tests.iter().map(|test| test.nominal_at.unwrap()).collect();
    let due = [4, 2].map(|hours| crate::world::START.saturating_add(Duration::from_secs(hours * 3600)));
    assert_eq!(times, due);
    assert!(tests.iter().all(|test| test.status == CheckStatus::Passed), "{tests:?}");
    let state = tenant(&aegis).policy(policy).await.unwrap().state.unwrap();
    assert_eq!(state.last_dr_test, Some(tests.first().unwrap().id));
    assert_eq!(state.last_run_status, Some(JobStatus::Completed));
}

#[tokio::test]
async fn a_scheduled_test_without_a_record_was_not_run_and_says_so() {
    let world = World::new();
    let aegis = world.engine();
    let policy = scheduled(&world, &aegis, rule(1200)).await;
    world.run(&aegis, Duration::from_secs(1300)).await;
    let tests = tests_of(&aegis, policy).await;
    let test = tests.first().unwrap();
    assert_eq!(test.status, CheckStatus::NotRun);
    assert!(test.reason.as_ref().unwrap().contains("no record"), "{:?}", test.reason);
    assert!(test.run.is_none() && test.passed_level.is_none());
}

#[tokio::test]
async fn a_downtime_of_many_times_is_made_up_for_by_one_test() {
    let world = World::new();
    let aegis = world.engine();
    let policy = scheduled(&world, &aegis, rule(2 * 3600)).await;
    world.run(&aegis, Duration::from_secs(3600 + 300)).await;
    world.clock.advance(Duration::from_secs(24 * 3600));
    world.run(&aegis, Duration::from_secs(600)).await;
    assert_eq!(tests_of(&aegis, policy).await.len(), 1);
}

#[tokio::test]
async fn a_rule_that_is_taken_away_or_a_policy_that_is_disabled_has_no_more_tests() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    let policy = scheduled(&world, &aegis, rule(2 * 3600)).await;
    let mut off = PolicyChange::default();
    off.enabled = Some(false);
    me.update_policy(policy, off).await.unwrap();
    assert_eq!(me.policy(policy).await.unwrap().state.unwrap().next_dr_test_at, None);
    let mut on = PolicyChange::default();
    on.enabled = Some(true);
    on.dr_test = Some(None);
    me.update_policy(policy, on).await.unwrap();
    world.run(&aegis, Duration::from_secs(3 * 3600)).await;
    assert_eq!(tests_of(&aegis, policy).await.len(), 0);
}

#[tokio::test]
async fn a_random_choice_stays_in_its_window_and_reaches_more_than_the_latest() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    let mut records = Vec::new();
    for _ in 0..4 {
        records.push(record(&world, &aegis).await);
        world.clock.advance(Duration::from_secs(3600));
    }
    let window = RecordChoice::RandomWithin(Duration::from_secs(3 * 3600 + 1200));
    let mut chosen = std::collections::BTreeSet::new();
    for _ in 0..12 {
        let test = NewDrTest::new(DrSubject::Cluster(local(), window), folder());
        chosen.insert(me.run_dr_test(test).await.unwrap().run.as_ref().unwrap().record.id);
    }
    assert!(!chosen.contains(&records[0]), "the first record is older than the window");
    assert!(chosen.len() > 1, "{chosen:?}");
}

#[tokio::test]
async fn a_test_of_a_policys_record_is_evidence_for_its_recovery_time_and_a_failed_one_against_it() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    let mut new = new_policy("hourly", 3600);
    new.rto = Some(Rto(Duration::from_secs(1800)));
    let policy = me.create_policy(new).await.unwrap().policy.id;
    world.run(&aegis, Duration::from_secs(3600 + 300)).await;
    let verdict = async || me.compliance(None).await.unwrap().policies.remove(0);
    assert!(verdict().await.rto.unwrap().estimate.is_none_or(|estimate| !estimate.basis.is_proof()));
    let drill = || NewDrTest::new(DrSubject::Policy(policy, RecordChoice::Latest), folder());
    run(&world, &aegis, drill()).await;
    let judged = verdict().await;
    assert_eq!(judged.rto.unwrap().estimate.unwrap().basis, RtoBasis::SamePolicy);
    assert_eq!(judged.rto_status(), RtoStatus::Met);
    world.driver.script_next(WorkKind::Restore, Script::failing("the disk is full"));
    run(&world, &aegis, drill()).await;
    assert_eq!(verdict().await.rto_status(), RtoStatus::Missed);
}
