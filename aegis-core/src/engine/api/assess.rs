//! What the answers about RPO, RTO and health are made from: read once, judged by the rules.

use std::{collections::HashMap, time::Duration};

use super::Tenant;
use crate::{
    engine::{
        EngineError,
        decide::{covers, rpo_verdict},
    },
    model::{
        BackupJob, BackupKind, BackupRecord, Bytes, CheckStatus, ClusterName, DrTest, ExecutionStatus,
        JobStatus, Policy, PolicyId, PolicyState, RecoveryExecution, StorageUri, Timestamp, Versioned,
    },
    rules::{
        exposure::{Mend, RpoVerdict},
        rto::{self, RtoBasis, RtoInput, RtoSample, RtoVerdict, STALE_AFTER},
    },
    seams::{
        DrTestQuery, ExecutionQuery, JobQuery, PolicyQuery, RecordQuery, StoreExt, VerificationQuery, Window,
    },
};

/// How many of a policy's newest records tell how long its backups take and how large they are.
const RECENT: usize = 10;
/// How many of a cluster's newest verifications tell how fast its storage is read.
const VERIFICATIONS: usize = 64;

/// What was read for the policies of a tenant, or of one of its clusters.
pub(super) struct Assessment {
    /// The instant of every verdict.
    pub(super) now: Timestamp,
    /// The policies, with their verdicts, by name.
    pub(super) policies: Vec<Assessed>,
}

/// One policy, judged.
pub(super) struct Assessed {
    pub(super) policy: Versioned<Policy>,
    pub(super) state: Option<Versioned<PolicyState>>,
    /// `None` without an RPO.
    pub(super) rpo: Option<RpoVerdict>,
    /// `None` without an RTO.
    pub(super) rto: Option<RtoVerdict>,
    /// How long a restore of its newest records takes, whether or not it has an RTO.
    pub(super) restore: Option<rto::RtoEstimate>,
    /// Since when a backup runs.
    pub(super) running_since: Option<Timestamp>,
    /// When a restore of one of its records last succeeded.
    pub(super) restored_at: Option<Timestamp>,
}

/// One measurement, and what it was measured on.
struct Measured {
    record: Option<Versioned<BackupRecord>>,
    location: StorageUri,
    sample: RtoSample,
}

/// What is measured beside the policies' own backups.
struct Evidence {
    restores: Vec<Measured>,
    reads: Vec<Measured>,
    running: HashMap<PolicyId, Timestamp>,
}

impl Tenant {
    /// Judges every policy, or those of one cluster. Reads nothing whose amount grows with a
    /// policy's history but what was restored in the last 90 days.
    pub(super) async fn assess(&self, cluster: Option<&ClusterName>) -> Result<Assessment, EngineError> {
        let mut query = PolicyQuery::new(self.scope());
        query.cluster = cluster.cloned();
        let mut policies = self.core.store.policies(&query).await?.items;
        policies.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        let now = self.core.clock.now();
        let evidence = self.evidence(cluster, now).await?;
        let mut assessed = Vec::with_capacity(policies.len());
        for policy in policies {
            assessed.push(self.assess_policy(policy, &evidence, now).await?);
        }
        Ok(Assessment { now, policies: assessed })
    }

    async fn assess_policy(
        &self,
        policy: Versioned<Policy>,
        evidence: &Evidence,
        now: Timestamp,
    ) -> Result<Assessed, EngineError> {
        let store = &self.core.store;
        let state = store.find::<PolicyState>(&self.scope(), policy.id).await?;
        let recent = self.recent_records(policy.id).await?;
        let running_since = evidence.running.get(&policy.id).copied();
        let mend = Mend {
            next_slot: state.as_ref().and_then(|state| state.next_run_at),
            running_since,
            duration: recent.iter().map(|record| took(record)).max(),
        };
        let size = self.restore_size(state.as_deref(), &recent).await?;
        let samples = samples_for(&policy, evidence, &recent);
        let input =
            RtoInput { samples: &samples, size, assumption: None, decision_time: Duration::ZERO, now };
        let of_policy = samples.iter().filter(|s| s.basis == RtoBasis::SamePolicy && s.succeeded);
        Ok(Assessed {
            rpo: state.as_ref().and_then(|state| rpo_verdict(&policy, state, now, &mend)),
            rto: policy.rto.map(|target| rto::judge(target.0, &input)),
            restore: rto::estimate(&input),
            restored_at: of_policy.map(|sample| sample.at).max(),
            running_since,
            policy,
            state,
        })
    }

    /// The newest records that a policy made, the newest first.
    pub(super) async fn recent_records(
        &self,
        policy: PolicyId,
    ) -> Result<Vec<Versioned<BackupRecord>>, EngineError> {
        let mut query = RecordQuery::new(self.scope()).with_window(Window::first(RECENT));
        query.policy = Some(policy);
        Ok(self.core.store.records(&query).await?.items)
    }

    /// What a restore of the newest usable record would write.
    async fn restore_size(
        &self,
        state: Option<&PolicyState>,
        recent: &[Versioned<BackupRecord>],
    ) -> Result<Option<Bytes>, EngineError> {
        let Some(newest) = state.and_then(|state| state.newest_usable) else { return Ok(None) };
        if let Some(record) = recent.iter().find(|record| record.id == newest.record) {
            return Ok(record.sizes.logical);
        }
        let record = self.core.store.find::<BackupRecord>(&self.scope(), newest.record).await?;
        Ok(record.and_then(|record| record.sizes.logical))
    }

    async fn evidence(&self, cluster: Option<&ClusterName>, now: Timestamp) -> Result<Evidence, EngineError> {
        let store = &self.core.store;
        let mut query = ExecutionQuery::new(self.scope());
        query.active_after = Some(now.saturating_sub(STALE_AFTER));
        let mut restores = Vec::new();
        for execution in store.executions(&query).await?.items {
            let Some(sample) = restore_sample(&execution) else { continue };
            let record = store.find::<BackupRecord>(&self.scope(), execution.record.id).await?;
            restores.push(Measured { record, location: execution.record.location.clone(), sample });
        }
        let mut query = DrTestQuery::new(self.scope());
        query.active_after = Some(now.saturating_sub(STALE_AFTER));
        for test in store.dr_tests(&query).await?.items {
            let (Some(sample), Some(run)) = (drill_sample(&test), &test.run) else { continue };
            let record = store.find::<BackupRecord>(&self.scope(), run.record.id).await?;
            restores.push(Measured { record, location: run.record.location.clone(), sample });
        }
        let mut query = VerificationQuery::new(self.scope()).with_window(Window::first(VERIFICATIONS));
        query.cluster = cluster.cloned();
        query.status = Some(CheckStatus::Passed);
        let reads = store.verifications(&query).await?.items;
        let reads = reads.iter().filter_map(|verification| {
            let end = verification.completed_at?;
            let sample = RtoSample {
                basis: RtoBasis::VerificationRead,
                at: end,
                duration: end.since(verification.started_at),
                bytes: verification.bytes_read,
                succeeded: true,
            };
            Some(Measured { record: None, location: verification.record.location.clone(), sample })
        });
        let mut query = JobQuery::new(self.scope());
        query.cluster = cluster.cloned();
        query.statuses = vec![JobStatus::InProgress];
        query.hidden = true;
        let running = store.jobs(&query).await?.items;
        Ok(Evidence {
            restores,
            reads: reads.collect(),
            running: running.iter().filter_map(|job| Some((job.policy?, running_since(job)?))).collect(),
        })
    }
}

fn running_since(job: &BackupJob) -> Option<Timestamp> {
    job.open_attempt().map(|attempt| attempt.started_at)
}

/// How long it took until a record counted.
pub(super) fn took(record: &BackupRecord) -> Duration {
    record.created_at.since(record.started_at)
}

/// What a restore that is over tells: one that was cancelled tells nothing, and neither does one
/// that brought back a part, or that found everything in place and wrote nothing.
fn restore_sample(execution: &RecoveryExecution) -> Option<RtoSample> {
    let succeeded = match execution.status {
        ExecutionStatus::Completed => true,
        ExecutionStatus::Failed => false,
        ExecutionStatus::Executing | ExecutionStatus::PartiallyFailed | ExecutionStatus::Cancelled => {
            return None;
        }
    };
    let bytes = execution.result.as_ref().map(|result| result.bytes);
    if succeeded && bytes == Some(Bytes(0)) {
        return None;
    }
    Some(RtoSample {
        basis: RtoBasis::SameLocation,
        at: execution.completed_at?,
        duration: execution.duration()?,
        bytes,
        succeeded,
    })
}

/// What a DR test that is over tells: one that was not run tells nothing; one that failed, even if
/// only by its checks, is a restore that did not succeed.
fn drill_sample(test: &DrTest) -> Option<RtoSample> {
    let succeeded = match test.status {
        CheckStatus::Passed => true,
        CheckStatus::Failed => false,
        CheckStatus::Running | CheckStatus::NotRun => return None,
    };
    let restore = test.restore.as_ref();
    if succeeded && restore.is_none_or(|restore| restore.bytes == Bytes(0)) {
        return None;
    }
    Some(RtoSample {
        basis: RtoBasis::SameLocation,
        at: test.completed_at?,
        duration: test.recovery_time_actual().unwrap_or_default(),
        bytes: restore.map(|restore| restore.bytes),
        succeeded,
    })
}

/// The samples on every rung of the ladder that speak of one policy.
fn samples_for(policy: &Policy, evidence: &Evidence, recent: &[Versioned<BackupRecord>]) -> Vec<RtoSample> {
    let own = |record: &BackupRecord| match record.policy {
        Some(id) => id == policy.id,
        None => record.cluster == policy.cluster && covers(record, &policy.namespaces),
    };
    let restores = evidence.restores.iter().filter_map(|measured| {
        if measured.record.as_deref().is_some_and(own) {
            return Some(RtoSample { basis: RtoBasis::SamePolicy, ..measured.sample });
        }
        // That another policy's restore failed says nothing of this one's.
        (measured.location == policy.location && measured.sample.succeeded).then_some(measured.sample)
    });
    let reads = evidence.reads.iter().filter(|measured| measured.location == policy.location);
    let backups = recent.iter().map(|record| RtoSample {
        basis: RtoBasis::BackupThroughput,
        at: record.created_at,
        duration: took(record),
        bytes: match record.kind {
            BackupKind::Full | BackupKind::Snapshot => record.sizes.logical,
            BackupKind::Incremental | BackupKind::Differential => record.sizes.added,
        },
        succeeded: true,
    });
    restores.chain(reads.map(|measured| measured.sample)).chain(backups).collect()
}

impl Assessed {
    /// Whether the policy keeps every objective that it has; one without any keeps none.
    pub(super) fn is_compliant(&self) -> bool {
        (self.policy.rpo.is_some() || self.policy.rto.is_some())
            && (self.policy.rpo.is_none() || self.rpo.is_some_and(|rpo| rpo.is_compliant()))
            && self.rto.is_none_or(|rto| rto.is_compliant())
    }
}
