//! Proptest strategies for values of the model that are sound, odd ones among them.

use std::{collections::BTreeMap, fmt, num::NonZeroU32, time::Duration};

use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
    sample::select,
};
use uuid::Uuid;

use super::fixtures;
use crate::model::{
    ArtifactName, Attempt, BackupJob, BackupKind, BackupRecord, Bytes, ClusterName, CronExpression, Deletion,
    DisplayName, Evidence, EvidenceSource, ExistingResourcePolicy, ExpiredBy, Failure, FoundBad, Frequency,
    Hold, IssueGroup, JobResult, JobStep, KeepRules, Labels, NamespaceName, NamespaceSelection, PlanStepKind,
    Policy, Principal, Progress, RecordStep, RecoveryPlan, ResourceCounts, RestoreOptions, RestoreTarget,
    RetentionRules, Rpo, Rto, Schedule, ScheduleOptions, Seconds, Sizes, StorageUri, TenantId, TimeOfDay,
    Timestamp, VerificationLevel, ZoneName,
};

/// A value that a strategy knows to be sound.
#[track_caller]
fn sound<T, E: fmt::Display>(value: Result<T, E>) -> T {
    value.unwrap_or_else(|error| panic!("a strategy made what is not sound: {error}"))
}

/// Any id of its kind.
pub fn id<T: From<Uuid> + fmt::Debug>() -> impl Strategy<Value = T> {
    any::<u128>().prop_map(|number| Uuid::from_u128(number).into())
}

/// Instants of the years 2020 to 2040, to the microsecond.
pub fn timestamp() -> impl Strategy<Value = Timestamp> {
    (1_577_836_800_000_000..2_208_988_800_000_000_i64).prop_map(Timestamp::from_micros)
}

/// Durations from a second to a year.
pub fn duration() -> impl Strategy<Value = Duration> {
    (1..31_536_000_u64).prop_map(Duration::from_secs)
}

/// Tenants.
pub fn tenant_id() -> impl Strategy<Value = TenantId> {
    "[A-Za-z0-9._-]{1,63}".prop_map(|text| sound(TenantId::new(text)))
}

/// Cluster names, long ones too.
pub fn cluster_name() -> impl Strategy<Value = ClusterName> {
    "[A-Za-z0-9._-]{1,100}".prop_map(|text| sound(ClusterName::new(text)))
}

/// Namespace names: words, tables, disks, and text in any script.
pub fn namespace_name() -> impl Strategy<Value = NamespaceName> {
    prop_oneof!["[a-z][a-z0-9-]{0,20}", "[a-z]{1,8}[./][a-z0-9]{1,8}", r"[^\p{C}*?\[\]{}!\\]{1,40}",]
        .prop_map(|text| sound(NamespaceName::new(text)))
}

/// Names that people give, in any script.
pub fn display_name() -> impl Strategy<Value = DisplayName> {
    r"[^\p{C}]{1,40}".prop_map(|text| sound(DisplayName::new(text)))
}

/// Principals, in any script.
pub fn principal() -> impl Strategy<Value = Principal> {
    r"[^\p{C}]{1,40}".prop_map(|text| sound(Principal::new(text)))
}

/// Names of what attempts make, with and without a suffix.
pub fn artifact_name() -> impl Strategy<Value = ArtifactName> {
    (display_name(), timestamp(), option::of(any::<u32>())).prop_map(|(name, at, salt)| match salt {
        Some(salt) => ArtifactName::generate_distinct(&name, at, salt),
        None => ArtifactName::generate(&name, at),
    })
}

/// Locations in every kind of storage.
pub fn storage_uri() -> impl Strategy<Value = StorageUri> {
    let bucket = "(s3|gs|az)://[a-z0-9]{3,20}(/[a-zA-Z0-9_=-]{1,12}){0,3}/?";
    let folder = "file://(/[a-zA-Z0-9_ ä-]{1,12}){1,4}/?";
    prop_oneof![bucket, folder].prop_map(|text| sound(text.parse()))
}

/// Up to five labels.
pub fn labels() -> impl Strategy<Value = Labels> {
    btree_map("[a-z./-]{1,30}", r"[^\p{C}]{0,30}", 0..5).prop_map(|labels| sound(Labels::new(labels)))
}

/// Selections of everything, of names, and of globs, with and without excludes.
pub fn namespace_selection() -> impl Strategy<Value = NamespaceSelection> {
    let glob = prop_oneof!["[a-z]{1,6}[*]", "[a-z]{1,4}[?][a-z]{1,4}", Just("{app,web}-*".to_owned())];
    let pattern = prop_oneof![namespace_name().prop_map(|name| name.to_string()), glob.boxed()].boxed();
    prop_oneof![
        Just(NamespaceSelection::all()),
        vec(namespace_name(), 1..4).prop_map(|names| sound(NamespaceSelection::only(names))),
        (vec(pattern.clone(), 1..4), vec(pattern, 0..3))
            .prop_map(|(include, exclude)| sound(NamespaceSelection::new(include, exclude))),
    ]
}

/// Kinds of backup.
pub fn backup_kind() -> impl Strategy<Value = BackupKind> {
    select(BackupKind::ALL)
}

/// Levels of verification.
pub fn verification_level() -> impl Strategy<Value = VerificationLevel> {
    select(VerificationLevel::ALL)
}

/// Sizes, each known or not.
pub fn sizes() -> impl Strategy<Value = Sizes> {
    let size = || option::of((0..1_u64 << 50).prop_map(Bytes));
    (size(), size(), size()).prop_map(|(logical, stored, added)| Sizes { logical, stored, added })
}

/// Counts of up to three kinds of things.
pub fn resource_counts() -> impl Strategy<Value = ResourceCounts> {
    btree_map("[a-z]{1,12}", 0..1_u64 << 40, 0..3).prop_map(ResourceCounts)
}

/// Progress, the totals known or not.
pub fn progress() -> impl Strategy<Value = Progress> {
    let part = || (0..1_u64 << 40, option::of(0..1_u64 << 40));
    (part(), part()).prop_map(|((bytes_done, bytes_total), (items_done, items_total))| Progress {
        bytes_done,
        bytes_total: bytes_total.map(|total| total.max(bytes_done)),
        items_done,
        items_total: items_total.map(|total| total.max(items_done)),
        ..Progress::default()
    })
}

/// Failures.
pub fn failure() -> impl Strategy<Value = Failure> {
    let text = || r"[^\p{C}]{1,40}";
    (text(), option::of(text()), option::of(text())).prop_map(|(message, cause, suggestion)| Failure {
        message,
        cause,
        suggestion,
    })
}

/// Groups of warnings or errors.
pub fn issue_group() -> impl Strategy<Value = IssueGroup> {
    (r"[^\p{C}]{1,40}", 1..1_000_u64, vec("[a-z/.]{1,20}", 0..3), option::of(r"[^\p{C}]{1,40}"))
        .prop_map(|(cause, count, examples, suggestion)| IssueGroup { cause, count, examples, suggestion })
}

/// Periods from a second to a month.
pub fn seconds() -> impl Strategy<Value = Seconds> {
    (1..2_678_400_u32).prop_map(|seconds| sound(Seconds::new(seconds)))
}

/// Time zones: with clock changes on either half of the earth, odd offsets, and none.
pub fn zone_name() -> impl Strategy<Value = ZoneName> {
    const ZONES: &[&str] =
        &["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"];
    select(ZONES).prop_map(|zone| sound(ZoneName::new(zone)))
}

/// Schedules of every kind.
pub fn schedule() -> impl Strategy<Value = Schedule> {
    const TEXTS: &[&str] =
        &["@hourly", "30 2 * * *", "*/15 * * * *", "0 2 * * MON-FRI", "0 0 1,15 * *", "0 3 29 2 *"];
    let cron = select(TEXTS).prop_map(|text| sound(CronExpression::new(text)));
    let time = (0..24_u8, 0..60_u8).prop_map(|(hour, minute)| sound(TimeOfDay::new(hour, minute)));
    prop_oneof![
        seconds().prop_map(|period| Schedule::Every { period }),
        (cron, zone_name()).prop_map(|(expression, zone)| Schedule::cron(expression, zone)),
        (time, zone_name())
            .prop_map(|(time, zone)| Schedule::Frequency { frequency: Frequency::Daily { time }, zone }),
    ]
}

/// What some tiers keep; at least the newest record.
pub fn keep_rules() -> impl Strategy<Value = KeepRules> {
    let count = || 0..20_u32;
    (option::of(1..400_u32), 1..20_u32, count(), count(), count(), count(), count(), count()).prop_map(
        |(days, keep_last, hourly, daily, weekly, monthly, quarterly, yearly)| KeepRules {
            days,
            keep_last,
            hourly,
            daily,
            weekly,
            monthly,
            quarterly,
            yearly,
        },
    )
}

/// Retention rules, for some kinds of backup others.
pub fn retention_rules() -> impl Strategy<Value = RetentionRules> {
    let by_kind = btree_map(backup_kind(), keep_rules(), 0..2);
    (keep_rules(), 0..5_u32, by_kind, 0..1_000_000_u64).prop_map(|(keep, min_keep, by_kind, grace)| {
        RetentionRules {
            keep,
            min_keep,
            by_kind,
            grace: Duration::from_secs(grace),
            ..RetentionRules::default()
        }
    })
}

/// Policies, whose RPO and RTO may be missing.
pub fn policy() -> impl Strategy<Value = Policy> {
    let whose = (id(), tenant_id(), display_name(), cluster_name(), namespace_selection(), storage_uri());
    let when = (schedule(), option::of(seconds()), retention_rules(), timestamp());
    let goals =
        (option::of(duration()), option::of(duration()), any::<bool>(), option::of(verification_level()));
    (whose, when, goals, backup_kind(), labels()).prop_map(|(whose, when, goals, kind, labels)| {
        let (id, tenant, name, cluster, namespaces, location) = whose;
        let (schedule, jitter, retention, created_at) = when;
        let (rpo, rto, enabled, verify) = goals;
        Policy {
            id,
            tenant,
            name,
            cluster,
            namespaces,
            location,
            schedule,
            schedule_options: ScheduleOptions { jitter, ..ScheduleOptions::default() },
            retention,
            rpo: rpo.map(Rpo),
            rto: rto.map(Rto),
            enabled,
            verify,
            kind,
            labels,
            created_at,
            updated_at: created_at,
            effective_at: created_at,
            ..fixtures::policy(0)
        }
    })
}

/// Attempts that have just begun.
pub fn attempt() -> impl Strategy<Value = Attempt> {
    (id(), artifact_name(), vec(namespace_name(), 1..4), timestamp()).prop_map(
        |(operation, name, namespaces, started_at)| Attempt {
            operation,
            name,
            namespaces,
            base: None,
            started_at,
            ended_at: None,
            failure: None,
        },
    )
}

fn job_step() -> impl Strategy<Value = JobStep> {
    let result = || {
        (id(), sizes(), resource_counts()).prop_map(|(record, sizes, counts)| JobResult {
            record,
            sizes,
            counts,
        })
    };
    prop_oneof![
        3 => attempt().prop_map(JobStep::Start),
        1 => (failure(), timestamp()).prop_map(|(failure, retry_at)| JobStep::Lose { failure, retry_at }),
        1 => result().prop_map(JobStep::Complete),
        1 => (result(), failure()).prop_map(|(result, failure)| JobStep::PartiallyFail(result, failure)),
        1 => failure().prop_map(JobStep::Fail),
        1 => Just(JobStep::Cancel),
    ]
}

/// Jobs in every state, as the steps of the state machine lead there.
pub fn backup_job() -> impl Strategy<Value = BackupJob> {
    let whose = (id(), tenant_id(), display_name(), cluster_name(), namespace_selection(), storage_uri());
    let how = (backup_kind(), any::<i32>(), option::of(id()), labels(), option::of(duration()), 1..5_u32);
    let steps = vec((job_step(), timestamp()), 0..6);
    (whose, how, steps, timestamp()).prop_map(|(whose, how, steps, created_at)| {
        let (id, tenant, name, cluster, namespaces, location) = whose;
        let (kind, priority, policy, labels, ttl, attempts) = how;
        let job = BackupJob {
            id,
            tenant,
            name,
            cluster,
            namespaces,
            location,
            kind,
            priority,
            policy,
            labels,
            ttl,
            max_attempts: NonZeroU32::new(attempts).unwrap_or(NonZeroU32::MIN),
            created_at,
            ..fixtures::job(0)
        };
        let step = |job: BackupJob, (step, at)| job.clone().apply(step, at).unwrap_or(job);
        steps.into_iter().fold(job, step)
    })
}

fn record_step() -> impl Strategy<Value = RecordStep> {
    let expired_by = prop_oneof![Just(ExpiredBy::Rules), principal().prop_map(ExpiredBy::Person)];
    let deletion = (id(), artifact_name(), timestamp(), option::of(timestamp())).prop_map(
        |(operation, name, started_at, deferred_until)| Deletion {
            operation,
            name,
            started_at,
            deferred_until,
            last_error: None,
        },
    );
    prop_oneof![
        (expired_by, timestamp(), r"[^\p{C}]{1,40}")
            .prop_map(|(by, delete_after, reason)| RecordStep::Expire { by, delete_after, reason }),
        Just(RecordStep::Reinstate),
        deletion.prop_map(RecordStep::Delete),
        Just(RecordStep::Confirm),
    ]
}

fn hold() -> impl Strategy<Value = Hold> {
    (display_name(), principal(), timestamp(), option::of(timestamp())).prop_map(
        |(name, set_by, set_at, until)| Hold { name, reason: "asked for".to_owned(), set_by, set_at, until },
    )
}

fn evidence() -> impl Strategy<Value = Evidence> {
    (verification_level(), timestamp(), any::<bool>(), id()).prop_map(|(level, at, passed, verification)| {
        let found_by = EvidenceSource::Verification(verification);
        Evidence { level, at, passed, found_by }
    })
}

/// Records in every state, as the steps of the state machine lead there, some held, protected,
/// checked, or found bad.
pub fn backup_record() -> impl Strategy<Value = BackupRecord> {
    let whose = (id(), tenant_id(), display_name(), cluster_name(), storage_uri(), option::of(id()));
    let what = (backup_kind(), sizes(), resource_counts(), vec(namespace_name(), 1..4), artifact_name());
    let guards = (vec(hold(), 0..2), any::<bool>(), vec(evidence(), 0..3), option::of(timestamp()));
    let steps = vec((record_step(), timestamp()), 0..5);
    (whose, what, guards, steps, timestamp()).prop_map(|(whose, what, guards, steps, created_at)| {
        let (id, tenant, name, cluster, location, policy) = whose;
        let (kind, sizes, counts, namespaces, artifact) = what;
        let (holds, protected, evidence, bad_at) = guards;
        let mut record = BackupRecord {
            id,
            tenant,
            name,
            cluster,
            policy,
            kind,
            sizes,
            counts,
            selection: sound(NamespaceSelection::only(namespaces.iter().cloned())),
            namespaces,
            artifact,
            holds,
            protected,
            found_bad: bad_at.map(|at| FoundBad { at, reason: "a checksum is wrong".to_owned() }),
            created_at,
            ..fixtures::record(0)
        };
        record.copies.iter_mut().for_each(|copy| {
            copy.location = location.clone();
            copy.available_at = created_at;
        });
        evidence.into_iter().for_each(|found| record.note_evidence(found));
        let step = |record: BackupRecord, (step, at)| record.clone().apply(step, at).unwrap_or(record);
        steps.into_iter().fold(record, step)
    })
}

/// What of a record to restore, where to, and how.
pub fn restore_options() -> impl Strategy<Value = RestoreOptions> {
    let target = prop_oneof![
        namespace_name().prop_map(RestoreTarget::Namespace),
        "(/[a-z]{1,8}){1,3}".prop_map(RestoreTarget::Path),
    ];
    let mapping = btree_map(namespace_name(), target, 0..2);
    let paths = vec("[a-z]{1,8}(/[a-z]{1,8}){0,2}", 0..3);
    (paths, mapping, select(ExistingResourcePolicy::ALL)).prop_map(
        |(paths, mapping, existing): (_, BTreeMap<_, _>, _)| RestoreOptions {
            paths,
            mapping,
            existing,
            ..fixtures::restore_options()
        },
    )
}

/// Recovery plans in every state, as the steps of the state machine lead there.
pub fn recovery_plan() -> impl Strategy<Value = RecoveryPlan> {
    let whose = (id(), tenant_id(), display_name(), cluster_name(), id(), namespace_selection());
    let steps = vec((select(PlanStepKind::ALL), timestamp()), 0..5);
    (whose, restore_options(), steps, timestamp()).prop_map(|(whose, options, steps, created_at)| {
        let (id, tenant, name, target_cluster, record, namespaces) = whose;
        let plan = RecoveryPlan {
            id,
            tenant,
            name,
            target_cluster,
            record,
            namespaces,
            options,
            created_at,
            updated_at: created_at,
            ..fixtures::plan(0)
        };
        let step = |plan: RecoveryPlan, (step, at)| plan.clone().apply(step, at).unwrap_or(plan);
        steps.into_iter().fold(plan, step)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    use serde::{Serialize, de::DeserializeOwned};

    use super::*;
    use crate::model::{JobStatus, PlanStatus, RecordState};

    fn reads_back<T: Serialize + DeserializeOwned + PartialEq + fmt::Debug>(value: &T) {
        let json = serde_json::to_string(value).unwrap();
        assert_eq!(&serde_json::from_str::<T>(&json).unwrap(), value, "{json}");
    }

    /// What `of` says of a thousand values, always the same thousand.
    fn seen<T: fmt::Debug, K: Ord>(strategy: impl Strategy<Value = T>, of: impl Fn(&T) -> K) -> BTreeSet<K> {
        let mut runner = TestRunner::deterministic();
        (0..1_000).map(|_| of(&strategy.new_tree(&mut runner).unwrap().current())).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn what_is_made_is_sound_and_reads_back_as_written(
            job in backup_job(), record in backup_record(), plan in recovery_plan(), policy in policy(),
            progress in progress(), issue in issue_group(),
        ) {
            reads_back(&job);
            reads_back(&record);
            reads_back(&plan);
            reads_back(&policy);
            reads_back(&progress);
            reads_back(&issue);
            prop_assert!(policy.retention.validate().is_ok());
            prop_assert!(!record.copies.is_empty());
        }
    }

    #[test]
    fn every_state_is_reached() {
        assert_eq!(seen(backup_job(), |job| job.status).len(), JobStatus::ALL.len());
        assert_eq!(seen(backup_record(), BackupRecord::state).len(), RecordState::ALL.len());
        assert_eq!(seen(recovery_plan(), |plan| plan.status).len(), PlanStatus::ALL.len());
    }
}
