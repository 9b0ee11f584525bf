//! DR policies, which people own, and their state, which the engine owns.

use std::{num::NonZeroU32, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    BackupKind, BackupRecord, Bytes, ClusterName, DisplayName, DrTestId, DrTestRule, JobId, JobStatus,
    Labels, NamespaceSelection, PolicyId, Principal, RecordId, RetentionRules, Schedule, ScheduleOptions,
    StorageUri, TenantId, Timestamp, VerificationLevel, ZoneName,
};

/// The recovery point objective: how much may be lost, as time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rpo(pub Duration);

/// The recovery time objective: how long getting back may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rto(pub Duration);

/// What people want protected, how often, for how long, and how well. Edited by people alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Its id.
    pub id: PolicyId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Its name; unique per tenant.
    pub name: DisplayName,
    /// Why it exists, in people's words.
    pub description: String,
    /// What is protected.
    pub cluster: ClusterName,
    /// Which namespaces of it.
    pub namespaces: NamespaceSelection,
    /// Whether volumes are wanted, for drivers that have them.
    pub include_volumes: bool,
    /// What kind of backup its slots make.
    pub kind: BackupKind,
    /// Where the data goes.
    pub location: StorageUri,
    /// When it runs.
    pub schedule: Schedule,
    /// What bends the schedule.
    pub schedule_options: ScheduleOptions,
    /// What stays.
    pub retention: RetentionRules,
    /// How much may be lost.
    pub rpo: Option<Rpo>,
    /// How long getting back may take.
    pub rto: Option<Rto>,
    /// Whether it runs.
    pub enabled: bool,
    /// Higher goes first.
    pub priority: i32,
    /// How many attempts a job may have.
    pub max_attempts: NonZeroU32,
    /// How long an attempt may run before the job fails.
    pub timeout: Duration,
    /// How deep each new record is verified; not at all if `None`.
    pub verify: Option<VerificationLevel>,
    /// The DR tests that prove it; none if `None`.
    pub dr_test: Option<DrTestRule>,
    /// Whether records that lack something count for the RPO.
    pub count_partial: bool,
    /// How deep a record must be verified before it counts for the RPO; not at all if `None`.
    pub count_verified: Option<VerificationLevel>,
    /// Labels of its jobs.
    pub labels: Labels,
    /// Who made it.
    pub created_by: Principal,
    /// When it was made; an `every` schedule counts from here.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Since when its schedule, as it is, is in force: its making, its last change or enabling.
    pub effective_at: Timestamp,
}

impl Policy {
    /// How long an attempt may run unless the policy says otherwise.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(24 * 3600);
    /// How many attempts a job may have unless the policy says otherwise.
    pub const DEFAULT_MAX_ATTEMPTS: NonZeroU32 = NonZeroU32::MIN.saturating_add(2);

    /// The zone of its calendar: its schedule's, else UTC.
    #[must_use]
    pub fn zone(&self) -> ZoneName {
        self.schedule.zone().unwrap_or(ZoneName::UTC)
    }
}

/// What the engine knows of a policy. Changed by the engine alone, so that a tick never collides
/// with an edit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyState {
    /// The policy.
    pub policy: PolicyId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The cluster that it protects; decides whose loop looks after it.
    pub cluster: ClusterName,
    /// Up to where its slots are settled, this instant included.
    pub watermark: Timestamp,
    /// When its next slot starts; `None` while it is disabled or never fires again.
    pub next_run_at: Option<Timestamp>,
    /// When retention looks at its records next.
    pub next_sweep_at: Option<Timestamp>,
    /// Up to where the times of its DR tests are settled, this instant included.
    pub dr_test_watermark: Timestamp,
    /// When its next DR test is due; `None` while it asks for none or is disabled.
    pub next_dr_test_at: Option<Timestamp>,
    /// Its newest scheduled DR test.
    pub last_dr_test: Option<DrTestId>,
    /// The next instant at which the verdict on its RPO changes by time alone, the first of the new
    /// verdict; `None` if only something that happens can change it.
    #[serde(default)]
    pub verdict_changes_at: Option<Timestamp>,
    /// When the engine must look at it next, for whatever reason; `None` for never.
    pub due_at: Option<Timestamp>,
    /// When a slot last became a job.
    pub last_run_at: Option<Timestamp>,
    /// The job of that slot.
    pub last_job: Option<JobId>,
    /// How its last ended job ended.
    pub last_run_status: Option<JobStatus>,
    /// How many of its scheduled jobs failed since the last that did not.
    pub failures_in_a_row: u32,
    /// Why the newest of these failed; `None` if none did.
    pub last_failure: Option<String>,
    /// Its newest backups, the newest first, at most [`RECENT`](Self::RECENT): how long they take and
    /// how much they are.
    pub recent: Vec<RecentBackup>,
    /// Its newest usable recovery point: record, recovery point time, usable since.
    pub newest_usable: Option<UsablePoint>,
    /// When compliance with the RPO ended, if it ended before the last change and has not come back.
    pub violated_since: Option<Timestamp>,
    /// When a backup that counts for it last ended.
    pub last_success_at: Option<Timestamp>,
    /// What was asked of it and since when, the oldest first, the present one last.
    pub terms: Vec<PolicyTerm>,
    /// When retention last ran.
    pub last_sweep_at: Option<Timestamp>,
}

/// What a policy asked for from an instant on, until the next term: what its past is judged by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyTerm {
    /// Since when.
    pub from: Timestamp,
    /// Whether it ran.
    pub enabled: bool,
    /// How much might be lost.
    pub rpo: Option<Rpo>,
    /// What had to be covered.
    pub namespaces: NamespaceSelection,
    /// Whether records that lacked something counted.
    #[serde(default)]
    pub count_partial: bool,
    /// How deep a record had to be verified before it counted.
    pub count_verified: Option<VerificationLevel>,
}

impl PolicyTerm {
    /// What `policy` asks for, from `from` on.
    #[must_use]
    pub fn of(policy: &Policy, from: Timestamp) -> Self {
        Self {
            from,
            enabled: policy.enabled,
            rpo: policy.rpo,
            namespaces: policy.namespaces.clone(),
            count_partial: policy.count_partial,
            count_verified: policy.count_verified,
        }
    }
}

/// A recovery point that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsablePoint {
    /// The record.
    pub record: RecordId,
    /// The instant that its data reflects.
    pub recovery_point_at: Timestamp,
    /// Since when it can be used.
    pub available_at: Timestamp,
}

/// What a backup tells of those to come, and of how long a restore takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecentBackup {
    /// Its record.
    pub record: RecordId,
    /// When the record was made.
    pub at: Timestamp,
    /// How long it took until the record counted.
    pub took: Duration,
    /// What a restore would write; `None` if nobody knows.
    pub size: Option<Bytes>,
    /// What was read or written meanwhile; `None` if nobody knows.
    pub handled: Option<Bytes>,
}

impl RecentBackup {
    /// What `record` tells.
    #[must_use]
    pub fn of(record: &BackupRecord) -> Self {
        Self {
            record: record.id,
            at: record.created_at,
            took: record.created_at.since(record.started_at),
            size: record.sizes.logical,
            handled: match record.kind {
                BackupKind::Full | BackupKind::Snapshot => record.sizes.logical,
                BackupKind::Incremental | BackupKind::Differential => record.sizes.added,
            },
        }
    }
}

impl PolicyState {
    /// How many backups it keeps in [`recent`](Self::recent).
    pub const RECENT: usize = 10;

    /// Keeps `backup` in mind, as long as it is one of the newest. Idempotent.
    pub fn note_backup(&mut self, backup: RecentBackup) {
        self.recent.retain(|known| known.record != backup.record);
        let newer = |known: &RecentBackup| (known.at, known.record) > (backup.at, backup.record);
        let place = self.recent.partition_point(newer);
        self.recent.insert(place, backup);
        self.recent.truncate(Self::RECENT);
    }

    /// The longest that one of the newest backups took.
    #[must_use]
    pub fn longest_backup(&self) -> Option<Duration> {
        self.recent.iter().map(|backup| backup.took).max()
    }

    /// The state of a policy that nothing has happened to yet.
    #[must_use]
    pub fn new(policy: &Policy) -> Self {
        Self {
            policy: policy.id,
            tenant: policy.tenant.clone(),
            cluster: policy.cluster.clone(),
            watermark: policy.effective_at,
            next_run_at: None,
            next_sweep_at: None,
            dr_test_watermark: policy.effective_at,
            next_dr_test_at: None,
            last_dr_test: None,
            verdict_changes_at: None,
            due_at: Some(policy.effective_at),
            last_run_at: None,
            last_job: None,
            last_run_status: None,
            failures_in_a_row: 0,
            last_failure: None,
            recent: Vec::new(),
            newest_usable: None,
            violated_since: Some(policy.effective_at),
            last_success_at: None,
            terms: vec![PolicyTerm::of(policy, policy.effective_at)],
            last_sweep_at: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::testing::fixtures;

    #[test]
    fn policies_that_were_saved_before_count_verified_ask_for_no_verification() {
        let without = |value: serde_json::Value| {
            let serde_json::Value::Object(mut fields) = value else { panic!("an object") };
            assert!(fields.remove("count_verified").is_some());
            serde_json::Value::Object(fields)
        };
        let policy = fixtures::policy(1);
        let old = without(serde_json::to_value(&policy).unwrap());
        assert_eq!(serde_json::from_value::<Policy>(old).unwrap(), policy);
        let term = PolicyTerm::of(&policy, Timestamp::MIN);
        let old = without(serde_json::to_value(&term).unwrap());
        assert_eq!(serde_json::from_value::<PolicyTerm>(old).unwrap(), term);
    }

    #[test]
    fn the_newest_backups_are_kept_in_mind_each_once_in_whatever_order_they_come() {
        let backup = |n: u32| RecentBackup {
            record: RecordId::from_uuid(Uuid::from_u128(n.into())),
            at: Timestamp::from_seconds(n.into()),
            took: Duration::from_secs(1),
            size: None,
            handled: None,
        };
        let mut state = fixtures::policy_state(1);
        for n in [3, 12, 1, 2, 11, 4, 5, 10, 6, 7, 9, 8, 8] {
            state.note_backup(backup(n));
        }
        assert_eq!(state.recent, (3..=12).rev().map(backup).collect::<Vec<_>>());
    }
}
