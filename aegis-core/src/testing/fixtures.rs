//! Values to build tests from: sound, small, and the same each time.
//!
//! Each takes a number that its ids are made of, so that two are told apart. Change what matters
//! to a test: `BackupJob { priority: 7, ..fixtures::job(1) }`.

use std::time::Duration;

use uuid::Uuid;

use crate::model::{
    ArtifactName, Attempt, BackupJob, BackupKind, BackupRecord, Bytes, ChainId, CheckStatus, ClusterName,
    DisplayName, DrKeep, DrPhase, DrRun, DrTest, DrTestId, ExecutionId, ExecutionStatus,
    ExistingResourcePolicy, JobId, JobStatus, Labels, NamespaceName, NamespaceSelection, OperationId,
    PlanHash, PlanId, PlanStatus, Policy, PolicyId, PolicyState, Principal, RecordCopy, RecordId,
    RecordLifecycle, RecordRef, RecoveryExecution, RecoveryPlan, RecoveryPoint, ResourceCounts,
    RestoreOptions, RetentionRules, RetentionRun, RetentionRunId, Rpo, Rto, Schedule, ScheduleOptions,
    Seconds, Sizes, Slot, SlotOutcome, StorageUri, TenantId, Timestamp, Verification, VerificationId,
    VerificationLevel,
};

/// When fixtures are from: 2026-02-06T16:00:00Z.
pub const START: Timestamp = Timestamp::from_seconds(1_770_393_600);

/// The instant `seconds` after [`START`].
#[must_use]
pub fn at(seconds: u64) -> Timestamp {
    START.saturating_add(Duration::from_secs(seconds))
}

/// The id number `number` of its kind.
#[must_use]
pub fn id<T: From<Uuid>>(number: u64) -> T {
    Uuid::from_u128(u128::from(number)).into()
}

/// A name that is known to be sound.
#[track_caller]
fn sound<T, E: std::fmt::Display>(name: Result<T, E>) -> T {
    name.unwrap_or_else(|error| panic!("a fixture is not sound: {error}"))
}

/// The tenant `default`.
#[must_use]
pub fn tenant() -> TenantId {
    sound(TenantId::new("default"))
}

/// The cluster `local`.
#[must_use]
pub fn cluster() -> ClusterName {
    sound(ClusterName::new("local"))
}

/// The namespace called `name`.
///
/// # Panics
/// If that is not a namespace's name.
#[must_use]
#[track_caller]
pub fn namespace(name: &str) -> NamespaceName {
    sound(NamespaceName::new(name))
}

/// The location `s3://backups/local/`.
#[must_use]
pub fn location() -> StorageUri {
    sound("s3://backups/local".parse())
}

/// The principal `tester`.
#[must_use]
pub fn principal() -> Principal {
    sound(Principal::new("tester"))
}

/// What people call the fixture of this number.
#[must_use]
pub fn name(what: &str, number: u64) -> DisplayName {
    sound(DisplayName::new(format!("{what} {number}")))
}

/// The name of what the attempt of this number makes.
#[must_use]
pub fn artifact(number: u64) -> ArtifactName {
    ArtifactName::generate(&name("fixture", number), START)
}

/// An attempt to back up `app` that began at [`START`].
#[must_use]
pub fn attempt(number: u64) -> Attempt {
    Attempt {
        operation: id::<OperationId>(number),
        name: artifact(number),
        namespaces: vec![namespace("app")],
        base: None,
        started_at: START,
        ended_at: None,
        failure: None,
    }
}

/// A pending manual job that backs up the namespace `app`.
#[must_use]
pub fn job(number: u64) -> BackupJob {
    BackupJob {
        id: id::<JobId>(number),
        tenant: tenant(),
        name: name("job", number),
        cluster: cluster(),
        namespaces: sound(NamespaceSelection::only([namespace("app")])),
        include_volumes: false,
        location: location(),
        ttl: None,
        labels: Labels::default(),
        kind: BackupKind::Full,
        priority: 0,
        policy: None,
        slot: None,
        status: JobStatus::Pending,
        attempts: Vec::new(),
        max_attempts: Policy::DEFAULT_MAX_ATTEMPTS,
        timeout: Policy::DEFAULT_TIMEOUT,
        retry_at: None,
        created_by: principal(),
        created_at: START,
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

/// An available full record of the namespace `app`, of 1,000 bytes, made by [`job`] of this number.
#[must_use]
pub fn record(number: u64) -> BackupRecord {
    BackupRecord {
        id: id::<RecordId>(number),
        tenant: tenant(),
        job: id::<JobId>(number),
        policy: None,
        operation: id::<OperationId>(number),
        artifact: artifact(number),
        handle: format!("handle-{number}"),
        name: name("job", number),
        cluster: cluster(),
        selection: sound(NamespaceSelection::only([namespace("app")])),
        namespaces: vec![namespace("app")],
        kind: BackupKind::Full,
        parent: None,
        chain: id::<ChainId>(number),
        partial: false,
        recovery_point: RecoveryPoint { at: START, clamped: false },
        started_at: START,
        created_at: at(60),
        lifecycle: RecordLifecycle::Available,
        copies: vec![copy()],
        sizes: Sizes { logical: Some(Bytes(1_000)), stored: Some(Bytes(600)), added: Some(Bytes(300)) },
        counts: ResourceCounts::from_iter([("files", 10)]),
        checksum: None,
        encryption: None,
        ttl: None,
        evidence: Vec::new(),
        first_passed: std::collections::BTreeMap::new(),
        found_bad: None,
        was_bad: Vec::new(),
        made_during: None,
        holds: Vec::new(),
        protected: false,
        uses: Vec::new(),
        labels: Labels::default(),
        warnings: Vec::new(),
        errors: Vec::new(),
    }
}

/// A copy in [`location`], of 600 bytes.
#[must_use]
pub fn copy() -> RecordCopy {
    RecordCopy {
        location: location(),
        available_at: at(60),
        gone_at: None,
        stored: Some(Bytes(600)),
        locked_until: None,
        last_verified_at: None,
    }
}

/// [`record`] of this number, as a driver needs to know it.
#[must_use]
pub fn record_ref(number: u64) -> RecordRef {
    let record = record(number);
    RecordRef {
        id: record.id,
        cluster: record.cluster,
        operation: record.operation,
        artifact: record.artifact,
        handle: record.handle,
        location: location(),
        namespaces: record.namespaces,
    }
}

/// An enabled policy that backs up `app` every hour, keeps the last seven, and has
/// an RPO of two hours and an RTO of one.
#[must_use]
pub fn policy(number: u64) -> Policy {
    let hour = Duration::from_secs(3_600);
    Policy {
        id: id::<PolicyId>(number),
        tenant: tenant(),
        name: name("policy", number),
        description: String::new(),
        cluster: cluster(),
        namespaces: sound(NamespaceSelection::only([namespace("app")])),
        include_volumes: false,
        kind: BackupKind::Full,
        location: location(),
        schedule: Schedule::Every { period: sound(Seconds::new(3_600)) },
        schedule_options: ScheduleOptions::default(),
        retention: RetentionRules::last(7),
        rpo: Some(Rpo(hour * 2)),
        rto: Some(Rto(hour)),
        enabled: true,
        priority: 0,
        max_attempts: Policy::DEFAULT_MAX_ATTEMPTS,
        timeout: Policy::DEFAULT_TIMEOUT,
        verify: None,
        dr_test: None,
        count_partial: false,
        count_verified: None,
        labels: Labels::default(),
        created_by: principal(),
        created_at: START,
        updated_at: START,
        effective_at: START,
    }
}

/// The state of [`policy`] of this number, to which nothing has happened yet.
#[must_use]
pub fn policy_state(number: u64) -> PolicyState {
    PolicyState::new(&policy(number))
}

/// The slot of [`policy`] of this number at [`START`], which became [`job`] of this number.
#[must_use]
pub fn slot(number: u64) -> Slot {
    Slot {
        policy_id: id::<PolicyId>(number),
        tenant: tenant(),
        nominal_at: START,
        through: None,
        count: 1,
        outcome: SlotOutcome::Ran { job: id::<JobId>(number) },
        settled_at: START,
    }
}

/// A restore of everything in place that leaves what differs.
#[must_use]
pub fn restore_options() -> RestoreOptions {
    RestoreOptions {
        paths: Vec::new(),
        mapping: Default::default(),
        existing: ExistingResourcePolicy::None,
        restore_volumes: false,
        preserve_node_ports: false,
    }
}

/// A pending plan that restores [`record`] of this number in place.
#[must_use]
pub fn plan(number: u64) -> RecoveryPlan {
    RecoveryPlan {
        id: id::<PlanId>(number),
        tenant: tenant(),
        name: name("plan", number),
        description: String::new(),
        record: id::<RecordId>(number),
        target_cluster: cluster(),
        namespaces: sound(NamespaceSelection::only([namespace("app")])),
        options: restore_options(),
        status: PlanStatus::Pending,
        approvals: Vec::new(),
        execution: None,
        created_by: principal(),
        created_at: START,
        updated_at: START,
    }
}

/// A running execution of [`plan`] of this number.
#[must_use]
pub fn execution(number: u64) -> RecoveryExecution {
    RecoveryExecution {
        id: id::<ExecutionId>(number),
        tenant: tenant(),
        plan: id::<PlanId>(number),
        record: record_ref(number),
        target_cluster: cluster(),
        namespaces: vec![namespace("app")],
        options: restore_options(),
        hash: PlanHash(format!("hash-{number}")),
        operation: id::<OperationId>(number),
        name: artifact(number),
        status: ExecutionStatus::Executing,
        started_by: principal(),
        started_at: START,
        completed_at: None,
        timeout: Policy::DEFAULT_TIMEOUT,
        cancel_requested_at: None,
        percent: 0,
        result: None,
        failure: None,
        warnings: Vec::new(),
        errors: Vec::new(),
    }
}

/// A running verification of [`record`] of this number at L2.
#[must_use]
pub fn verification(number: u64) -> Verification {
    Verification {
        id: id::<VerificationId>(number),
        tenant: tenant(),
        record: record_ref(number),
        cluster: cluster(),
        level: VerificationLevel::Checksummed,
        operation: id::<OperationId>(number),
        name: artifact(number),
        status: CheckStatus::Running,
        requested_by: principal(),
        started_at: START,
        completed_at: None,
        timeout: Policy::DEFAULT_TIMEOUT,
        passed_level: None,
        bytes_read: None,
        reason: None,
        errors: Vec::new(),
    }
}

/// A DR test that restores [`record`] of this number and will keep nothing.
#[must_use]
pub fn dr_test(number: u64) -> DrTest {
    DrTest {
        id: id::<DrTestId>(number),
        tenant: tenant(),
        policy: None,
        nominal_at: None,
        target_cluster: cluster(),
        verify: None,
        checks: Vec::new(),
        keep: DrKeep::Nothing,
        run: Some(DrRun {
            record: record_ref(number),
            recovery_point_at: START,
            namespaces: vec![namespace("app")],
            options: restore_options(),
            operation: id::<OperationId>(number),
            clean_up: id::<OperationId>(number),
            name: artifact(number),
            phase: DrPhase::Restoring,
        }),
        status: CheckStatus::Running,
        requested_by: principal(),
        started_at: START,
        completed_at: None,
        timeout: Policy::DEFAULT_TIMEOUT,
        restore: None,
        findings: Vec::new(),
        conclusion: None,
        clean_up: None,
        passed_level: None,
        reason: None,
        errors: Vec::new(),
        left_behind: Vec::new(),
    }
}

/// A retention run over what no policy made, which passed and found nothing to decide.
#[must_use]
pub fn retention_run(number: u64) -> RetentionRun {
    RetentionRun {
        id: id::<RetentionRunId>(number),
        tenant: tenant(),
        policy: None,
        cluster: cluster(),
        location: location(),
        status: CheckStatus::Passed,
        requested_by: principal(),
        started_at: START,
        completed_at: Some(at(1)),
        decisions: Vec::new(),
        reason: None,
    }
}
