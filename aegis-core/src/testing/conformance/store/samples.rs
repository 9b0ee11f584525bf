//! Entities to write: every field set, names in many scripts.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use uuid::Uuid;

use crate::model::{
    ActiveRestore, Approval, ArtifactName, Attempt, BackupJob, BackupKind, BackupRecord, Bytes, CheckStatus,
    CheckStep, ClusterName, ClusterState, Deletion, Discovery, DisplayName, DrCleanUp, DrConclusion,
    DrDestination, DrFinding, DrKeep, DrPhase, DrRestore, DrRun, DrTarget, DrTest, DrTestRule, Encryption,
    Entity, EntityKey, Evidence, EvidenceSource, ExecutionResult, ExecutionStatus, ExistingResourcePolicy,
    Failure, FoundBad, Hold, IssueGroup, JobResult, JobStatus, KeepRules, Labels, NamespaceName,
    NamespaceSelection, PlanHash, PlanStatus, Policy, PolicyState, PolicyTerm, Principal, RecentBackup,
    RecordChoice, RecordCopy, RecordLifecycle, RecordRef, RecordUse, RecoveryExecution, RecoveryPlan,
    RecoveryPoint, Reservation, ReservationKey, ResourceCounts, RestoreOptions, RestoreTarget, RestoredBy,
    RetentionDecision, RetentionRules, RetentionRun, Rpo, Rto, Schedule, ScheduleOptions, Seconds, Sizes,
    Slot, SlotOutcome, StorageUri, TenantId, Timestamp, UsablePoint, Verification, VerificationLevel, WasBad,
};

/// The instant `n` seconds and some microseconds after the suite's beginning.
pub(super) fn at(n: u32) -> Timestamp {
    Timestamp::from_micros(1_770_393_600_123_456 + i64::from(n) * 1_000_000)
}

/// An id that is the same each time, and greater for a greater `n`.
pub(super) fn id<T: From<Uuid>>(n: u32) -> T {
    Uuid::from_u128(0x0194_d2c5_0000_7000_8000_0000_0000_0000 + u128::from(n)).into()
}

#[track_caller]
fn valid<T, E: std::fmt::Display>(value: Result<T, E>) -> T {
    value.unwrap_or_else(|error| panic!("the suite's own sample is refused: {error}"))
}

pub(super) fn tenant(name: &str) -> TenantId {
    valid(TenantId::new(name))
}

pub(super) fn cluster(name: &str) -> ClusterName {
    valid(ClusterName::new(name))
}

pub(super) fn location(text: &str) -> StorageUri {
    valid(text.parse())
}

fn name(text: &str) -> DisplayName {
    valid(DisplayName::new(text))
}

fn someone() -> Principal {
    valid(Principal::new("Zoë O'Neil <zoë@example.org>"))
}

fn artifact(n: u32) -> ArtifactName {
    valid(ArtifactName::try_from(&*format!("oco-nightly-{n}")))
}

fn namespaces() -> Vec<NamespaceName> {
    ["documents", "public.users", "fotos/Überblick"].map(|name| valid(NamespaceName::new(name))).to_vec()
}

fn selection() -> NamespaceSelection {
    valid(NamespaceSelection::new(["*"], ["kube-*"]))
}

fn labels() -> Labels {
    valid(Labels::new([("team", "платформа"), ("tier", "")]))
}

fn counts() -> ResourceCounts {
    [("files", 20_000), ("directories", u64::from(u32::MAX) + 1)].into_iter().collect()
}

fn sizes() -> Sizes {
    Sizes { logical: Some(Bytes(1 << 40)), stored: Some(Bytes(12_345)), added: Some(Bytes(0)) }
}

fn failure() -> Failure {
    Failure {
        message: "could not read `/srv/データ/…`".to_owned(),
        cause: Some("EIO\n\t\"quoted\", 'single', 100 % and \\backslash".to_owned()),
        suggestion: Some("look at the disk 💾".to_owned()),
    }
}

fn issues() -> Vec<IssueGroup> {
    let mut group = IssueGroup::once("permission denied").with_suggestion("run as another user");
    group.examples = vec!["/srv/a b".to_owned(), "/srv/ñ".to_owned()];
    vec![group, IssueGroup::once("vanished")]
}

fn reference(n: u32) -> RecordRef {
    RecordRef {
        id: id(n),
        cluster: cluster("c1"),
        operation: id(n),
        artifact: artifact(n),
        handle: "snapshot/δ".to_owned(),
        location: location("s3://backups/one/"),
        namespaces: namespaces(),
    }
}

fn options() -> RestoreOptions {
    let [first, second, _] = ["documents", "public.users", "x"].map(|name| valid(NamespaceName::new(name)));
    RestoreOptions {
        paths: vec!["a/b".to_owned(), "ü".to_owned()],
        mapping: [
            (first.clone(), RestoreTarget::Path("/srv/restores/α".to_owned())),
            (second, RestoreTarget::Namespace(first)),
        ]
        .into(),
        existing: ExistingResourcePolicy::Update,
        restore_volumes: true,
        preserve_node_ports: true,
    }
}

/// A pending job of tenant `acme` in cluster `c1`, made at `at(n)`, without a policy.
pub(super) fn job(n: u32) -> BackupJob {
    BackupJob {
        id: id(n),
        tenant: tenant("acme"),
        name: name("Nightly: дневник №1"),
        cluster: cluster("c1"),
        namespaces: selection(),
        include_volumes: true,
        location: location("s3://backups/one/"),
        ttl: Some(Duration::from_millis(2_592_000_123)),
        labels: labels(),
        kind: BackupKind::Incremental,
        priority: 0,
        policy: None,
        slot: None,
        status: JobStatus::Pending,
        attempts: Vec::new(),
        max_attempts: NonZeroU32::MIN,
        timeout: Duration::from_secs(3600),
        retry_at: None,
        created_by: someone(),
        created_at: at(n),
        started_at: None,
        completed_at: None,
        cancel_requested_at: None,
        late_operation: None,
        result: None,
        failure: None,
        warnings: Vec::new(),
        errors: Vec::new(),
        hidden: false,
    }
}

fn full_job(n: u32) -> BackupJob {
    let attempt = Attempt {
        operation: id(n),
        name: artifact(n),
        namespaces: namespaces(),
        base: Some(reference(n)),
        started_at: at(n),
        ended_at: Some(at(n + 1)),
        failure: Some(failure()),
    };
    BackupJob {
        priority: i32::MIN,
        policy: Some(id(n)),
        slot: Some(at(n)),
        status: JobStatus::PartiallyFailed,
        attempts: vec![attempt.clone(), attempt],
        retry_at: Some(at(n + 2)),
        started_at: Some(at(n)),
        completed_at: Some(at(n + 3)),
        cancel_requested_at: Some(at(n + 2)),
        late_operation: Some(id(n + 1)),
        result: Some(JobResult { record: id(n), sizes: sizes(), counts: counts() }),
        failure: Some(failure()),
        warnings: issues(),
        errors: issues(),
        hidden: true,
        ..job(n)
    }
}

/// A copy in `uri` that takes `stored` bytes.
pub(super) fn copy(uri: &str, stored: u64) -> RecordCopy {
    RecordCopy {
        location: location(uri),
        available_at: at(0),
        gone_at: None,
        stored: Some(Bytes(stored)),
        locked_until: None,
        last_verified_at: None,
    }
}

/// An available record of tenant `acme` in cluster `c1`, made at `at(n)`, without a policy, with one
/// copy of 1 byte in `s3://backups/one/`.
pub(super) fn record(n: u32) -> BackupRecord {
    BackupRecord {
        id: id(n),
        tenant: tenant("acme"),
        job: id(n),
        policy: None,
        operation: id(n),
        artifact: artifact(n),
        handle: "snapshot/δ".to_owned(),
        name: name("Sicherung vom 6."),
        cluster: cluster("c1"),
        selection: selection(),
        namespaces: namespaces(),
        kind: BackupKind::Full,
        parent: None,
        chain: id(n),
        partial: false,
        recovery_point: RecoveryPoint { at: at(n), clamped: true },
        started_at: at(n),
        created_at: at(n),
        lifecycle: RecordLifecycle::Available,
        copies: vec![copy("s3://backups/one/", 1)],
        sizes: sizes(),
        counts: counts(),
        checksum: Some("sha256:00ff".to_owned()),
        encryption: Some(Encryption { algorithm: "AES-256-CTR".to_owned(), key_id: Some("k1".to_owned()) }),
        ttl: Some(Duration::from_secs(86_400)),
        evidence: Vec::new(),
        first_passed: BTreeMap::new(),
        found_bad: None,
        was_bad: Vec::new(),
        made_during: None,
        holds: Vec::new(),
        protected: false,
        uses: Vec::new(),
        labels: labels(),
        warnings: Vec::new(),
        errors: Vec::new(),
    }
}

/// The removal of record `n`, put off until then.
pub(super) fn deletion(n: u32, deferred_until: Option<Timestamp>) -> Deletion {
    Deletion {
        operation: id(n),
        name: artifact(n),
        started_at: at(n),
        deferred_until,
        last_error: Some("заблокировано".to_owned()),
    }
}

fn full_record(n: u32) -> BackupRecord {
    let first = RecordCopy {
        gone_at: Some(at(n + 1)),
        locked_until: Some(at(n + 2)),
        last_verified_at: Some(at(n + 3)),
        ..copy("file:///srv/backups/", 7)
    };
    BackupRecord {
        policy: Some(id(n)),
        parent: Some(id(n + 1)),
        partial: true,
        lifecycle: RecordLifecycle::Deleting(deletion(n, Some(at(n + 9)))),
        copies: vec![first, copy("az://container/β/", 8)],
        evidence: vec![Evidence {
            level: VerificationLevel::Restored,
            at: at(n),
            passed: true,
            found_by: EvidenceSource::DrTest(id(n)),
        }],
        first_passed: [(VerificationLevel::Restored, at(n))].into(),
        found_bad: Some(FoundBad { at: at(n), reason: "the index is cut".to_owned() }),
        was_bad: vec![WasBad {
            found: FoundBad { at: at(n), reason: "a block is missing".to_owned() },
            until: at(n + 1),
        }],
        made_during: Some(RestoredBy::DrTest(id(n))),
        holds: vec![Hold {
            name: name("Rechtsstreit"),
            reason: "court".to_owned(),
            set_by: someone(),
            set_at: at(n),
            until: Some(at(n + 100)),
        }],
        protected: true,
        uses: vec![
            RecordUse::Execution(id(n)),
            RecordUse::Verification(id(n)),
            RecordUse::Job(id(n)),
            RecordUse::DrTest(id(n)),
        ],
        warnings: issues(),
        errors: issues(),
        ..record(n)
    }
}

/// A pending plan of tenant `acme` into cluster `c1`, from record `n`, made at `at(n)`.
pub(super) fn plan(n: u32) -> RecoveryPlan {
    RecoveryPlan {
        id: id(n),
        tenant: tenant("acme"),
        name: name("Zurück nach gestern"),
        description: "two\nlines".to_owned(),
        record: id(n),
        target_cluster: cluster("c1"),
        namespaces: selection(),
        options: options(),
        status: PlanStatus::Pending,
        approvals: vec![Approval { by: someone(), at: at(n), hash: PlanHash("00ff".to_owned()) }],
        execution: Some(id(n)),
        created_by: someone(),
        created_at: at(n),
        updated_at: at(n + 1),
    }
}

/// An active execution of plan `n` of tenant `acme` into cluster `c1`, begun at `at(n)`.
pub(super) fn execution(n: u32) -> RecoveryExecution {
    RecoveryExecution {
        id: id(n),
        tenant: tenant("acme"),
        plan: id(n),
        record: reference(n),
        target_cluster: cluster("c1"),
        namespaces: namespaces(),
        options: options(),
        hash: PlanHash("00ff".to_owned()),
        operation: id(n),
        name: artifact(n),
        status: ExecutionStatus::Executing,
        started_by: someone(),
        started_at: at(n),
        completed_at: None,
        timeout: Duration::from_secs(60),
        cancel_requested_at: Some(at(n + 1)),
        percent: 65,
        result: Some(ExecutionResult { restored: counts(), unchanged: 3, bytes: Bytes(1 << 50) }),
        failure: Some(failure()),
        warnings: issues(),
        errors: issues(),
    }
}

/// An enabled policy of tenant `acme` for cluster `c1`, made at `at(n)`.
pub(super) fn policy(n: u32) -> Policy {
    Policy {
        id: id(n),
        tenant: tenant("acme"),
        name: name("全部"),
        description: String::new(),
        cluster: cluster("c1"),
        namespaces: selection(),
        include_volumes: false,
        kind: BackupKind::Differential,
        location: location("gs://backups/two/"),
        schedule: Schedule::Every { period: valid(Seconds::new(10)) },
        schedule_options: ScheduleOptions {
            jitter: Some(valid(Seconds::new(5))),
            start_window: Some(valid(Seconds::new(600))),
            ..ScheduleOptions::default()
        },
        retention: RetentionRules {
            by_kind: [(BackupKind::Full, KeepRules { yearly: 7, ..KeepRules::default() })].into(),
            ..RetentionRules::last(3)
        },
        rpo: Some(Rpo(Duration::from_secs(900))),
        rto: Some(Rto(Duration::from_micros(1))),
        enabled: true,
        priority: 7,
        max_attempts: Policy::DEFAULT_MAX_ATTEMPTS,
        timeout: Policy::DEFAULT_TIMEOUT,
        verify: Some(VerificationLevel::Checksummed),
        dr_test: Some(DrTestRule {
            schedule: Schedule::Every { period: valid(Seconds::new(86_400)) },
            select: RecordChoice::RandomWithin(Duration::from_secs(604_800)),
            verify: None,
            checks: vec![name("Zeilen zählen")],
            target: DrTarget {
                cluster: Some(cluster("c2")),
                destination: DrDestination::Folder("/δοκιμή".to_owned()),
            },
            keep: DrKeep::IfFailed,
        }),
        count_partial: true,
        count_verified: Some(VerificationLevel::Checksummed),
        labels: labels(),
        created_by: someone(),
        created_at: at(n),
        updated_at: at(n + 1),
        effective_at: at(n + 2),
    }
}

/// The state of policy `n` of tenant `acme` in cluster `c1`, due at `at(n)`.
pub(super) fn policy_state(n: u32) -> PolicyState {
    PolicyState {
        policy: id(n),
        tenant: tenant("acme"),
        cluster: cluster("c1"),
        watermark: at(n),
        next_run_at: Some(at(n + 1)),
        next_sweep_at: Some(at(n + 2)),
        dr_test_watermark: at(n),
        next_dr_test_at: Some(at(n + 3)),
        last_dr_test: Some(id(n)),
        verdict_changes_at: Some(at(n + 4)),
        due_at: Some(at(n)),
        last_run_at: Some(at(n)),
        last_job: Some(id(n)),
        last_run_status: Some(JobStatus::Failed),
        failures_in_a_row: 3,
        last_failure: Some("no space left".to_owned()),
        recent: vec![RecentBackup {
            record: id(n),
            at: at(n),
            took: Duration::from_secs(60),
            size: Some(Bytes(1)),
            handled: None,
        }],
        newest_usable: Some(UsablePoint { record: id(n), recovery_point_at: at(n), available_at: at(n + 1) }),
        violated_since: Some(at(n)),
        last_success_at: Some(at(n + 1)),
        terms: vec![PolicyTerm {
            from: at(n),
            enabled: true,
            rpo: Some(Rpo(Duration::from_secs(3600))),
            namespaces: NamespaceSelection::all(),
            count_partial: true,
            count_verified: None,
        }],
        last_sweep_at: Some(at(n)),
    }
}

/// The slot of policy 1 of tenant `acme` at `at(n)`.
pub(super) fn slot(n: u32) -> Slot {
    Slot {
        policy_id: id(1),
        tenant: tenant("acme"),
        nominal_at: at(n),
        through: Some(at(n + 50)),
        count: 6,
        outcome: SlotOutcome::Coalesced { into: at(n + 60) },
        settled_at: at(n + 61),
    }
}

/// A running check of record `n` of tenant `acme` by cluster `c1`, begun at `at(n)`.
pub(super) fn verification(n: u32) -> Verification {
    Verification {
        id: id(n),
        tenant: tenant("acme"),
        record: reference(n),
        cluster: cluster("c1"),
        level: VerificationLevel::Structured,
        operation: id(n),
        name: artifact(n),
        status: CheckStatus::Running,
        requested_by: someone(),
        started_at: at(n),
        completed_at: Some(at(n + 1)),
        timeout: Duration::from_secs(60),
        passed_level: Some(VerificationLevel::Present),
        bytes_read: Some(Bytes(99)),
        reason: Some("ни одного".to_owned()),
        errors: issues(),
    }
}

/// A running DR test of record `n` of tenant `acme` into cluster `c1` without a policy, begun at `at(n)`.
pub(super) fn dr_test(n: u32) -> DrTest {
    DrTest {
        id: id(n),
        tenant: tenant("acme"),
        policy: None,
        nominal_at: Some(at(n)),
        target_cluster: cluster("c1"),
        verify: Some(VerificationLevel::Checksummed),
        checks: vec![name("Zeilen zählen")],
        keep: DrKeep::Nothing,
        run: Some(DrRun {
            record: reference(n),
            recovery_point_at: at(n),
            namespaces: namespaces(),
            options: options(),
            operation: id(n),
            clean_up: id(n + 1),
            name: artifact(n),
            phase: DrPhase::CleaningUp(at(n)),
        }),
        status: CheckStatus::Running,
        requested_by: someone(),
        started_at: at(n),
        completed_at: None,
        timeout: Duration::from_secs(60),
        restore: Some(DrRestore {
            duration: Duration::from_micros(1_234_567),
            bytes: Bytes(77),
            restored: [("files", 3)].into_iter().collect(),
        }),
        findings: vec![DrFinding {
            check: name("Zeilen zählen"),
            status: CheckStatus::NotRun,
            reason: Some("no room".to_owned()),
        }],
        conclusion: Some(DrConclusion {
            step: CheckStep::GiveUp,
            reason: Some("no room".to_owned()),
            failed_level: Some(VerificationLevel::Proven),
        }),
        clean_up: Some(DrCleanUp {
            status: CheckStatus::Failed,
            removed: [("files", 2)].into_iter().collect(),
            reason: Some("не удалено".to_owned()),
            errors: issues(),
        }),
        passed_level: Some(VerificationLevel::Proven),
        reason: Some("no room".to_owned()),
        errors: issues(),
        left_behind: vec![RestoreTarget::Path("/restores/δοκιμή".to_owned())],
    }
}

/// A retention run of tenant `acme` in cluster `c1` without a policy, begun at `at(n)`.
pub(super) fn retention_run(n: u32) -> RetentionRun {
    RetentionRun {
        id: id(n),
        tenant: tenant("acme"),
        policy: None,
        cluster: cluster("c1"),
        location: location("s3://backups/one/"),
        status: CheckStatus::Passed,
        requested_by: someone(),
        started_at: at(n),
        completed_at: Some(at(n + 1)),
        decisions: vec![RetentionDecision {
            record: id(n),
            kept: true,
            reasons: vec!["it is the last good one".to_owned(), "удержание".to_owned()],
        }],
        reason: Some("dry".to_owned()),
    }
}

/// What goes on in cluster `name`.
pub(super) fn cluster_state(name: &str) -> ClusterState {
    let active = ActiveRestore { by: RestoredBy::Execution(id(1)), namespaces: namespaces(), since: at(1) };
    let discovery = Discovery::begin(namespaces(), at(1));
    ClusterState { cluster: cluster(name), restores: vec![active], discovery: Some(discovery) }
}

/// A key of tenant `acme`, taken for ever.
pub(super) fn reservation(n: u32) -> Reservation {
    Reservation {
        key: ReservationKey::policy_name(&tenant("acme"), &name(&format!("nightly {n}"))),
        tenant: tenant("acme"),
        owner: EntityKey::Policy(id(n)),
        request_hash: Some("00ff".to_owned()),
        expires_at: None,
    }
}

/// One entity of each kind, with every field set.
pub(super) fn every_kind(n: u32) -> Vec<Entity> {
    let execution = RecoveryExecution { completed_at: Some(at(n + 5)), ..execution(n) };
    vec![
        full_job(n).into(),
        full_record(n).into(),
        plan(n).into(),
        execution.into(),
        policy(n).into(),
        policy_state(n).into(),
        slot(n).into(),
        verification(n).into(),
        DrTest { policy: Some(id(n)), completed_at: Some(at(n + 1)), ..dr_test(n) }.into(),
        RetentionRun { policy: Some(id(n)), ..retention_run(n) }.into(),
        cluster_state(&format!("cluster-{n}")).into(),
        Reservation { expires_at: Some(at(n)), ..reservation(n) }.into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seams::{ColumnType, Value};

    #[test]
    fn every_kind_of_entity_comes_back_from_its_document() {
        for entity in every_kind(1) {
            let document = entity.to_document().unwrap();
            assert_eq!(Entity::from_document(entity.key().kind(), &document).unwrap(), entity);
        }
    }

    #[test]
    fn every_sample_fills_its_columns_with_values_of_their_types() {
        for entity in every_kind(1) {
            let kind = entity.key().kind();
            for column in kind.key_columns() {
                assert!(entity.value(*column).is_some(), "{kind:?} has no {column}");
            }
            for column in kind.key_columns().iter().chain(kind.columns()) {
                let value_type = entity.value(*column).map(|value| match value {
                    Value::Uuid(_) => ColumnType::Uuid,
                    Value::Text(_) => ColumnType::Text,
                    Value::Instant(_) => ColumnType::Instant,
                    Value::Integer(_) => ColumnType::Integer,
                    Value::Flag(_) => ColumnType::Flag,
                });
                assert!(value_type.is_none_or(|found| found == column.value_type()), "{kind:?}: {column}");
            }
        }
    }

    #[test]
    fn an_entity_says_nothing_in_columns_that_its_kind_does_not_have() {
        use crate::seams::Column;
        let all = [
            Column::Id,
            Column::Key,
            Column::Tenant,
            Column::Cluster,
            Column::Policy,
            Column::Record,
            Column::Plan,
            Column::Chain,
            Column::Location,
            Column::Status,
            Column::Enabled,
            Column::Live,
            Column::Hidden,
            Column::Priority,
            Column::At,
            Column::EndedAt,
            Column::DueAt,
            Column::Stored,
        ];
        for entity in every_kind(1) {
            let kind = entity.key().kind();
            for column in all {
                let has = kind.key_columns().contains(&column) || kind.columns().contains(&column);
                assert!(has || entity.value(column).is_none(), "{kind:?} says something in {column}");
            }
        }
    }
}
