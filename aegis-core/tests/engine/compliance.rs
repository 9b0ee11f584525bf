//! RPO and RTO: what the engine answers, and what it keeps so that the answer is cheap.

use std::{sync::Arc, time::Duration};

use aegis_core::{
    engine::{Aegis, ComplianceStatus, PolicyChange, PolicyCompliance},
    model::{
        BackupKind, Breaker, EventKind, JobStatus, NamespaceSelection, PolicyId, Position, RecordId,
        RecordState, RetentionRules, Rpo, SkipReason, SlotOutcome, Timestamp, VerificationLevel,
    },
    rules::{
        LintCode,
        exposure::{Exposure, RpoStatus},
    },
    seams::{BackupDriver, ErrorClass, Feature, JobQuery, ObjectKey, RecordQuery, Scope, Window, WorkKind},
    testing::{MemoryObjectStorage, Script},
};

use crate::world::{START, World, every, local, location, name, namespace, new_job, new_policy, tenant};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// An hourly policy that may lose 90 minutes.
async fn hourly(aegis: &Aegis) -> PolicyId {
    let mut new = new_policy("hourly", 3600);
    new.rpo = Some(Rpo(90 * MINUTE));
    tenant(aegis).create_policy(new).await.unwrap().policy.id
}

pub(crate) async fn only(aegis: &Aegis) -> PolicyCompliance {
    let mut answer = tenant(aegis).compliance(None).await.unwrap();
    assert_eq!(answer.policies.len(), 1);
    answer.policies.remove(0)
}

fn at(elapsed: Duration) -> Timestamp {
    START.saturating_add(elapsed)
}

pub(crate) async fn records(aegis: &Aegis) -> Vec<RecordId> {
    let records = tenant(aegis).records(RecordQuery::new(Scope::Everyone)).await.unwrap();
    records.items.iter().map(|view| view.record.id).collect()
}

#[tokio::test]
async fn without_policies_nothing_is_known() {
    let world = World::new();
    let answer = tenant(&world.engine()).compliance(None).await.unwrap();
    assert_eq!((answer.overall, answer.total_policies), (ComplianceStatus::Unknown, 0));
}

#[tokio::test]
async fn before_the_first_backup_a_policy_is_not_compliant_and_has_no_figure() {
    let world = World::new();
    let aegis = world.engine();
    hourly(&aegis).await;
    let answer = tenant(&aegis).compliance(Some(local())).await.unwrap();
    assert_eq!((answer.overall, answer.non_compliant_policies), (ComplianceStatus::NonCompliant, 1));
    let policy = &answer.policies[0];
    assert_eq!((policy.rpo_status(), policy.rpo_actual_hours()), (RpoStatus::Unknown, None));
    assert!(policy.issue.as_ref().unwrap().starts_with("Nothing usable can be restored"), "{policy:?}");
}

#[tokio::test]
async fn a_backup_makes_it_compliant_by_its_start_and_time_alone_ends_that() {
    let world = World::new();
    let aegis = world.engine();
    let id = hourly(&aegis).await;
    world.run(&aegis, HOUR + 20 * MINUTE).await;
    let policy = only(&aegis).await;
    assert_eq!((policy.policy, policy.rpo_status()), (id, RpoStatus::Met));
    let point = policy.recovery_point_at.unwrap();
    assert!(point >= at(HOUR) && point < at(HOUR + MINUTE), "{point}");
    assert!(policy.last_successful_backup.unwrap() > point, "a backup ends after its point");
    assert_eq!(policy.next_violation_at(), Some(point.saturating_add(90 * MINUTE)));
    assert_eq!((policy.backup_count_30d, policy.failed_backups_30d), (1, 0));
    world.clock.advance(2 * HOUR);
    let policy = only(&aegis).await;
    assert_eq!((policy.rpo_status(), policy.rpo_compliant()), (RpoStatus::Missed, false));
    assert_eq!(policy.rpo_actual_hours(), Some(2.4));
    assert_eq!(policy.rpo.unwrap().violated_since, Some(point.saturating_add(90 * MINUTE)));
    assert_eq!(policy.next_violation_at(), None);
}

#[tokio::test]
async fn failures_are_counted_and_named_in_the_issue() {
    let world = World::new();
    let aegis = world.engine();
    hourly(&aegis).await;
    world.run(&aegis, HOUR + 20 * MINUTE).await;
    world.driver.script_usual(WorkKind::Backup, Script::failing("no space left"));
    world.run(&aegis, 2 * HOUR).await;
    let policy = only(&aegis).await;
    assert_eq!((policy.backup_count_30d, policy.failed_backups_30d), (1, 2));
    let issue = policy.issue.unwrap();
    assert!(issue.starts_with("The last 2 scheduled backups failed. RPO target of 1.5 hours"), "{issue}");
    assert!(issue.contains("no space left"), "{issue}");
}

#[tokio::test]
async fn a_manual_backup_counts_for_every_policy_that_it_covers() {
    let world = World::new();
    let aegis = world.engine();
    hourly(&aegis).await;
    let mut all = new_policy("all", 24 * 3600);
    (all.namespaces, all.rpo) = (NamespaceSelection::all(), Some(Rpo(HOUR)));
    tenant(&aegis).create_policy(all).await.unwrap();
    world.backup(&aegis).await;
    let answer = tenant(&aegis).compliance(None).await.unwrap();
    let status = |of: &str| answer.policies.iter().find(|p| p.name == name(of)).unwrap().rpo_status();
    assert_eq!((status("hourly"), status("all")), (RpoStatus::Met, RpoStatus::Unknown));
    assert_eq!(answer.overall, ComplianceStatus::NonCompliant);
}

#[tokio::test]
async fn a_policy_that_a_manual_backup_covers_already_begins_compliant() {
    let world = World::new();
    let aegis = world.engine();
    world.backup(&aegis).await;
    hourly(&aegis).await;
    assert_eq!(only(&aegis).await.rpo_status(), RpoStatus::Met);
}

#[tokio::test]
async fn a_point_found_bad_ceases_to_count_and_the_one_before_it_counts_again() {
    let world = World::new();
    let aegis = world.engine();
    let id = hourly(&aegis).await;
    world.run(&aegis, 2 * HOUR + 40 * MINUTE).await;
    let newest = only(&aegis).await.recovery_point_at.unwrap();
    let me = tenant(&aegis);
    let bad = records(&aegis).await[0];
    let handle = me.record(bad).await.unwrap().record.handle.clone();
    assert!(world.driver.damage(&handle, VerificationLevel::Checksummed));
    me.verify_record(bad, VerificationLevel::Checksummed).await.unwrap();
    world.run(&aegis, 5 * MINUTE).await;
    let policy = only(&aegis).await;
    let older = policy.recovery_point_at.unwrap();
    assert!(older < newest.saturating_sub(50 * MINUTE), "{older}");
    assert_eq!(policy.rpo_status(), RpoStatus::Missed, "the older one is 105 minutes old");
    let books = me.attainment(id, START, at(3 * HOUR)).await.unwrap();
    assert!(books.restated.share.compliant < books.as_known.share.compliant, "{books:?}");
}

#[tokio::test]
async fn what_rests_on_a_point_found_bad_ceases_to_count_with_it() {
    let mut world = World::new();
    let chained = world.driver.capabilities().clone().with_features([Feature::Chains]);
    world.driver = world.driver.with_capabilities(chained);
    let aegis = world.engine();
    let mut new = new_policy("hourly", 3600);
    (new.rpo, new.kind) = (Some(Rpo(90 * MINUTE)), BackupKind::Incremental);
    new.retention = RetentionRules::last(50);
    tenant(&aegis).create_policy(new).await.unwrap();
    world.run(&aegis, 3 * HOUR + 20 * MINUTE).await;
    assert_eq!(only(&aegis).await.rpo_status(), RpoStatus::Met);
    let me = tenant(&aegis);
    let chain = records(&aegis).await;
    assert_eq!(me.record(chain[0]).await.unwrap().record.parent, Some(chain[1]), "a chain of three");
    let root = chain[2];
    let handle = me.record(root).await.unwrap().record.handle.clone();
    assert!(world.driver.damage(&handle, VerificationLevel::Checksummed));
    me.verify_record(root, VerificationLevel::Checksummed).await.unwrap();
    world.run(&aegis, 5 * MINUTE).await;
    assert!(me.record(root).await.unwrap().record.found_bad.is_some());
    assert_eq!(only(&aegis).await.rpo_status(), RpoStatus::Unknown);
    world.run(&aegis, HOUR).await;
    let fresh = records(&aegis).await[0];
    assert_eq!(me.record(fresh).await.unwrap().record.parent, None, "nothing builds on a bad chain");
    assert_eq!(only(&aegis).await.rpo_status(), RpoStatus::Met);
}

#[tokio::test]
async fn what_is_kept_of_exposure_agrees_with_the_catalogue_while_retention_removes_records() {
    let world = World::new();
    let aegis = world.engine();
    let mut new = new_policy("hourly", 3600);
    (new.rpo, new.retention) = (Some(Rpo(HOUR)), RetentionRules::last(1));
    let id = tenant(&aegis).create_policy(new).await.unwrap().policy.id;
    for _ in 0..60 {
        world.run(&aegis, HOUR).await;
        let listed = tenant(&aegis).records(RecordQuery::new(Scope::Everyone)).await.unwrap().items;
        let usable = listed.iter().filter(|view| view.is_restorable);
        let newest = usable.max_by_key(|view| view.record.recovery_point.at).map(|view| view.record.id);
        let state = tenant(&aegis).policy(id).await.unwrap().state.unwrap();
        assert_eq!(state.newest_usable.map(|point| point.record), newest);
    }
}

#[tokio::test]
async fn another_target_or_wider_namespaces_are_judged_from_then_on() {
    let world = World::new();
    let aegis = world.engine();
    let id = hourly(&aegis).await;
    world.run(&aegis, HOUR + 30 * MINUTE).await;
    let mut tighter = PolicyChange::default();
    tighter.rpo = Some(Some(Rpo(10 * MINUTE)));
    tenant(&aegis).update_policy(id, tighter).await.unwrap();
    let policy = only(&aegis).await;
    assert_eq!(policy.rpo_status(), RpoStatus::Missed);
    let mut wider = PolicyChange::default();
    wider.namespaces = Some(NamespaceSelection::only([namespace("app"), namespace("db")]).unwrap());
    tenant(&aegis).update_policy(id, wider).await.unwrap();
    assert_eq!(only(&aegis).await.rpo_status(), RpoStatus::Unknown, "no record covers `db`");
    let past = tenant(&aegis).attainment(id, at(HOUR + 5 * MINUTE), at(HOUR + 25 * MINUTE)).await.unwrap();
    assert_eq!(past.as_known.share.percent(), Some(100.0), "the past is judged by what held then");
}

#[tokio::test]
async fn disabled_policies_are_listed_and_counted_nowhere() {
    let world = World::new();
    let aegis = world.engine();
    let id = hourly(&aegis).await;
    let mut off = PolicyChange::default();
    off.enabled = Some(false);
    tenant(&aegis).update_policy(id, off).await.unwrap();
    let answer = tenant(&aegis).compliance(None).await.unwrap();
    assert_eq!((answer.overall, answer.total_policies), (ComplianceStatus::Unknown, 0));
    assert!(!answer.policies[0].enabled);
}

#[tokio::test]
async fn attainment_counts_unprotected_time_from_the_policys_making() {
    let world = World::new();
    let aegis = world.engine();
    let id = hourly(&aegis).await;
    world.run(&aegis, 4 * HOUR).await;
    let books = tenant(&aegis).attainment(id, at(Duration::ZERO), at(4 * HOUR)).await.unwrap();
    let known = books.as_known;
    assert_eq!(known.share.counted, 4 * HOUR);
    assert!(known.unprotected >= HOUR && known.unprotected < HOUR + 2 * MINUTE, "{known:?}");
    assert_eq!((known.worst_exposure, known.violations.count), (None, 1));
    assert_eq!(known.share.compliant + known.unprotected, 4 * HOUR);
    assert_eq!(books.restated, known);
    let error = tenant(&aegis).attainment(id, at(HOUR), at(HOUR)).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::InvalidInput);
}

#[tokio::test]
async fn a_history_of_any_length_is_judged_over_any_part_of_it_although_its_records_are_gone() {
    let world = World::new();
    let aegis = world.engine();
    let mut new = new_policy("often", 60);
    new.rpo = Some(Rpo(3 * MINUTE));
    new.retention = RetentionRules::last(2);
    new.retention.grace = Duration::ZERO;
    new.retention.breaker = Breaker { share_percent: 100, count: u32::MAX };
    let id = tenant(&aegis).create_policy(new).await.unwrap().policy.id;
    // More records than are read at once.
    world.run(&aegis, 1_050 * MINUTE).await;
    let mut left = RecordQuery::new(Scope::Everyone);
    left.states = vec![RecordState::Available, RecordState::Expired];
    let left = tenant(&aegis).records(left).await.unwrap().items.len();
    assert!(left < 100, "{left} records are left");
    let share = async |from, to| {
        let known = tenant(&aegis).attainment(id, at(from), at(to)).await.unwrap().as_known;
        (known.share.percent(), known.share.counted)
    };
    assert_eq!(share(10 * MINUTE, 40 * MINUTE).await, (Some(100.0), 30 * MINUTE), "long ago");
    assert_eq!(share(1_000 * MINUTE, 1_050 * MINUTE).await, (Some(100.0), 50 * MINUTE), "lately");
    assert_eq!(share(10 * MINUTE, 1_050 * MINUTE).await, (Some(100.0), 1_040 * MINUTE), "all the time");
}

#[tokio::test]
async fn time_in_which_a_policy_was_off_counts_in_the_raw_share_alone() {
    let world = World::new();
    let aegis = world.engine();
    let id = hourly(&aegis).await;
    let enabled = |enabled| {
        let mut change = PolicyChange::default();
        change.enabled = Some(enabled);
        change
    };
    tenant(&aegis).update_policy(id, enabled(false)).await.unwrap();
    world.run(&aegis, HOUR).await;
    tenant(&aegis).update_policy(id, enabled(true)).await.unwrap();
    world.run(&aegis, HOUR / 2).await;
    let known = tenant(&aegis).attainment(id, START, at(2 * HOUR)).await.unwrap().as_known;
    assert_eq!((known.share.counted, known.raw.counted), (HOUR / 2, HOUR + HOUR / 2));
}

#[tokio::test]
async fn a_policy_that_cannot_keep_its_rpo_is_saved_with_a_warning() {
    let world = World::new();
    let aegis = world.engine();
    let mut new = new_policy("daily", 24 * 3600);
    new.rpo = Some(Rpo(HOUR));
    let view = tenant(&aegis).create_policy(new).await.unwrap();
    assert!(view.warnings.iter().any(|warning| warning.code == LintCode::SlotGapExceedsRpo));
    let mut often = PolicyChange::default();
    often.schedule = Some(every(1800));
    let view = tenant(&aegis).update_policy(view.policy.id, often).await.unwrap();
    assert_eq!(view.warnings, []);
}

#[tokio::test]
async fn what_its_backups_took_and_how_long_storage_locks_them_is_held_against_a_policy() {
    let mut world = World::new();
    let storage = Arc::new(MemoryObjectStorage::new(location(), Arc::new(world.clock.clone())));
    world.storage = Arc::clone(&storage) as _;
    let aegis = world.engine();
    let me = tenant(&aegis);
    let mut new = new_policy("hourly", 3600);
    (new.rpo, new.retention) = (Some(Rpo(HOUR)), RetentionRules::days(7));
    let id = me.create_policy(new).await.unwrap().policy.id;
    world.run(&aegis, HOUR + 10 * MINUTE).await;
    let saved = async || me.update_policy(id, PolicyChange::default()).await.unwrap().warnings;
    let [slow] = &saved().await[..] else { panic!("one finding") };
    assert!(slow.message.contains("(the longest of the newest 1)"), "{slow:?}");
    let record = me.record(records(&aegis).await[0]).await.unwrap().record;
    let manifest = ObjectKey::new(format!("{}/manifest.json", record.artifact)).unwrap();
    storage.lock_until(&manifest, at(30 * 24 * HOUR));
    let codes: Vec<_> = saved().await.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [LintCode::SlotGapExceedsRpo, LintCode::LockLongerThanRetention]);
}

#[tokio::test]
async fn a_policy_that_could_never_run_is_refused() {
    let world = World::new();
    let aegis = world.engine();
    let mut new = new_policy("never", 3600);
    new.schedule_options.blackout = vec![aegis_core::model::BlackoutWindow::Once {
        from: Timestamp::from_seconds(0),
        until: Timestamp::from_seconds(4_000_000_000),
    }];
    let error = tenant(&aegis).create_policy(new).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::InvalidInput);
    assert!(error.to_string().contains("blackout"), "{error}");
}

#[tokio::test]
async fn a_slot_that_was_due_before_an_edit_runs_under_the_old_schedule() {
    let world = World::new();
    let aegis = world.engine();
    let id = hourly(&aegis).await;
    aegis.pass().await;
    world.clock.advance(HOUR + Duration::from_secs(5));
    let mut slower = PolicyChange::default();
    slower.schedule = Some(every(2 * 3600));
    let state = tenant(&aegis).update_policy(id, slower).await.unwrap().state.unwrap();
    assert!(state.last_job.is_some());
    let slots = tenant(&aegis).slots(id, Window::first(10)).await.unwrap().items;
    assert!(matches!(slots[0].outcome, SlotOutcome::Ran { .. }), "{slots:?}");
    world.run(&aegis, 5 * MINUTE).await;
    let jobs = tenant(&aegis).jobs(JobQuery::new(Scope::Everyone)).await.unwrap().items;
    assert_eq!(jobs.iter().map(|job| job.status).collect::<Vec<_>>(), [JobStatus::Completed]);
}

#[tokio::test]
async fn enabling_skips_the_slots_that_came_while_it_was_off() {
    let world = World::new();
    let aegis = world.engine();
    let mut new = new_policy("hourly", 3600);
    new.enabled = false;
    let id = tenant(&aegis).create_policy(new).await.unwrap().policy.id;
    world.clock.advance(3 * HOUR);
    let mut on = PolicyChange::default();
    on.enabled = Some(true);
    tenant(&aegis).update_policy(id, on).await.unwrap();
    let slots = tenant(&aegis).slots(id, Window::first(10)).await.unwrap().items;
    let skipped = SlotOutcome::Skipped { reason: SkipReason::Disabled };
    assert!(slots.iter().all(|slot| slot.outcome == skipped), "{slots:?}");
    assert_eq!(slots.iter().map(|slot| slot.count).sum::<u64>(), 3);
}

#[tokio::test]
async fn a_manual_backup_of_less_does_not_count() {
    let world = World::new();
    let aegis = world.engine();
    let mut new = new_policy("both", 3600);
    new.namespaces = NamespaceSelection::only([namespace("app"), namespace("db")]).unwrap();
    new.rpo = Some(Rpo(HOUR));
    tenant(&aegis).create_policy(new).await.unwrap();
    let job = tenant(&aegis).create_job(new_job("app alone")).await.unwrap();
    world.end(&aegis, job.job.id).await;
    assert_eq!(only(&aegis).await.rpo_status(), RpoStatus::Unknown);
}

#[tokio::test]
async fn a_violation_by_time_alone_is_noted_and_told_once_and_ends_with_the_next_backup() {
    let world = World::new();
    let aegis = world.engine();
    world.backup(&aegis).await;
    let mut new = new_policy("daily", 24 * 3600);
    new.rpo = Some(Rpo(90 * MINUTE));
    let id = tenant(&aegis).create_policy(new).await.unwrap().policy.id;
    let state = async || tenant(&aegis).policy(id).await.unwrap().state.unwrap();
    let last = state().await.newest_usable.unwrap().recovery_point_at.saturating_add(90 * MINUTE);
    let first_missed = Timestamp::from_micros(last.as_micros() + 1);
    assert_eq!((state().await.verdict_changes_at, state().await.violated_since), (Some(first_missed), None));
    world.run(&aegis, 4 * HOUR).await;
    assert_eq!((state().await.verdict_changes_at, state().await.violated_since), (None, Some(last)));
    let told = async || {
        let events = tenant(&aegis).events(Position::START, 1000).await.unwrap();
        let of_state = events.into_iter().filter(|sealed| sealed.event.kind == EventKind::PolicyStateChanged);
        let reasons =
            of_state.filter_map(|sealed| Some((sealed.event.at, sealed.event.facts.reason.clone()?)));
        reasons.collect::<Vec<_>>()
    };
    let [(at, reason)] = &told().await[..] else { panic!("told {:?}", told().await) };
    assert!(*at > last && at.since(last) < MINUTE, "{at}");
    assert!(reason.starts_with("RPO target of 1.5 hours is not being met"), "{reason}");
    world.backup(&aegis).await;
    assert!(state().await.violated_since.is_none() && state().await.verdict_changes_at.is_some());
    assert_eq!(told().await.len(), 1);
}

#[tokio::test]
async fn each_location_says_what_it_could_give_back_by_itself_and_how_late_a_backup_may_start() {
    let world = World::new();
    let aegis = world.engine();
    let id = hourly(&aegis).await;
    let me = tenant(&aegis);
    let ask = async || me.attainment(id, START, at(4 * HOUR)).await.unwrap();
    assert!(ask().await.by_location.is_empty(), "nothing is anywhere yet");
    world.run(&aegis, HOUR + 20 * MINUTE).await;
    let policy = only(&aegis).await;
    let answer = ask().await;
    let exposure = answer.by_location.get(&location()).and_then(Exposure::duration);
    assert_eq!((answer.by_location.len(), exposure), (1, policy.rpo.unwrap().actual()));
    let took = me.policy(id).await.unwrap().state.unwrap().recent[0].took;
    let latest = policy.next_violation_at().unwrap().saturating_sub(took);
    assert_eq!(policy.latest_safe_start, Some(latest));
}

#[tokio::test]
async fn a_policy_that_lets_partial_records_count_is_judged_by_them_from_then_on() {
    let world = World::new();
    let aegis = world.engine();
    let policy = hourly(&aegis).await;
    world.driver.script_next(WorkKind::Backup, Script::partially_failing("2 files could not be read"));
    world.run(&aegis, HOUR + 10 * MINUTE).await;
    assert_eq!(only(&aegis).await.recovery_point_at, None);
    let mut change = PolicyChange::default();
    change.count_partial = Some(true);
    assert!(tenant(&aegis).update_policy(policy, change).await.unwrap().policy.count_partial);
    assert!(only(&aegis).await.recovery_point_at.is_some());
}

#[tokio::test]
async fn an_objective_that_is_not_set_is_not_kept_and_the_issue_says_so() {
    let world = World::new();
    let aegis = world.engine();
    hourly(&aegis).await;
    world.run(&aegis, HOUR + 10 * MINUTE).await;
    let stands = only(&aegis).await;
    assert!(stands.rpo_compliant() && !stands.rto_compliant());
    assert!(stands.issue.as_ref().unwrap().contains("No RTO is set"), "{stands:?}");
}
