//! What the answers about RPO, RTO and health are made from: read once, judged by the rules.

use std::{cmp::Reverse, collections::HashMap, time::Duration};

use super::Tenant;
use crate::{
    engine::{
        EngineError,
        decide::{covers, rpo_verdict},
    },
    model::{
        BackupJob, BackupRecord, Bytes, CheckStatus, ClusterName, DrTest, ExecutionStatus, JobStatus, Policy,
        PolicyId, PolicyState, RecoveryExecution, StorageUri, Timestamp, Versioned,
    },
    rules::{
        exposure::{Mend, RpoVerdict},
        rto::{self, RtoBasis, RtoInput, RtoSample, RtoVerdict, STALE_AFTER},
    },
    seams::{
        DrTestQuery, ExecutionQuery, JobQuery, PolicyQuery, PolicyStateQuery, StoreExt, VerificationQuery,
        Window,
    },
};

/// How many of the newest restores from a location tell how long one from there takes.
const PER_LOCATION: usize = 64;
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

/// What is measured beside the policies' own backups.
#[derive(Default)]
struct Evidence {
    /// Restores of what a policy made.
    of_policies: HashMap<PolicyId, Vec<RtoSample>>,
    /// Restores of manual backups.
    of_manual: Vec<(Versioned<BackupRecord>, RtoSample)>,
    /// Restores that succeeded, and reads, from a location: the newest.
    from_locations: HashMap<StorageUri, Vec<RtoSample>>,
    running: HashMap<PolicyId, Timestamp>,
}

impl Evidence {
    fn add_restore(&mut self, record: Option<Versioned<BackupRecord>>, from: &StorageUri, sample: RtoSample) {
        let own = RtoSample { basis: RtoBasis::SamePolicy, ..sample };
        match record.map(|record| (record.policy, record)) {
            Some((Some(policy), _)) => self.of_policies.entry(policy).or_default().push(own),
            Some((None, record)) => self.of_manual.push((record, own)),
            None => {}
        }
        // That another policy's restore failed says nothing of this one's.
        if sample.succeeded {
            self.from_locations.entry(from.clone()).or_default().push(sample);
        }
    }

    /// Leaves so many restores of each location as tell enough, and as many as cost nothing.
    fn keep_newest(&mut self) {
        for samples in self.from_locations.values_mut() {
            samples.sort_by_key(|sample| Reverse(sample.at));
            samples.truncate(PER_LOCATION);
        }
    }

    /// The samples of restores of what counts for a policy.
    fn restores_of(&self, policy: &Policy) -> impl Iterator<Item = RtoSample> {
        let covered =
            |record: &BackupRecord| record.cluster == policy.cluster && covers(record, &policy.namespaces);
        let manual = self.of_manual.iter().filter(move |(record, _)| covered(record));
        self.of_policies
            .get(&policy.id)
            .into_iter()
            .flatten()
            .copied()
            .chain(manual.map(|(_, sample)| *sample))
    }

    /// The samples on every rung of the ladder that speak of a policy.
    fn gather(&self, samples: &mut Vec<RtoSample>, policy: &Policy, state: Option<&PolicyState>) {
        samples.clear();
        samples.extend(self.restores_of(policy));
        samples.extend(self.from_locations.get(&policy.location).into_iter().flatten());
        samples.extend(state.into_iter().flat_map(|state| &state.recent).map(|backup| RtoSample {
            basis: RtoBasis::BackupThroughput,
            at: backup.at,
            duration: backup.took,
            bytes: backup.handled,
            succeeded: true,
        }));
    }
}

impl Tenant {
    /// Judges every policy, or those of one cluster. Reads what is kept of each policy, and nothing
    /// whose amount grows with its history but what was restored in the last 90 days.
    pub(super) async fn assess(&self, cluster: Option<&ClusterName>) -> Result<Assessment, EngineError> {
        let mut query = PolicyQuery::new(self.scope());
        query.cluster = cluster.cloned();
        let mut policies = self.core.store.policies(&query).await?.items;
        policies.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        let query = PolicyStateQuery { scope: self.scope(), cluster: cluster.cloned() };
        let states = self.core.store.policy_states(&query).await?;
        let mut states: HashMap<_, _> = states.into_iter().map(|state| (state.policy, state)).collect();
        let now = self.core.clock.now();
        let evidence = self.evidence(cluster, now).await?;
        let mut assessed = Vec::with_capacity(policies.len());
        let mut samples = Vec::new();
        for policy in policies {
            let state = states.remove(&policy.id);
            let size = self.restore_size(state.as_deref()).await?;
            evidence.gather(&mut samples, &policy, state.as_deref());
            let input =
                RtoInput { samples: &samples, size, assumption: None, decision_time: Duration::ZERO, now };
            let running_since = evidence.running.get(&policy.id).copied();
            assessed.push(judge(policy, state, running_since, &input));
        }
        Ok(Assessment { now, policies: assessed })
    }

    /// What a restore of the newest usable record would write.
    async fn restore_size(&self, state: Option<&PolicyState>) -> Result<Option<Bytes>, EngineError> {
        let Some((state, newest)) = state.and_then(|state| Some((state, state.newest_usable?))) else {
            return Ok(None);
        };
        if let Some(backup) = state.recent.iter().find(|backup| backup.record == newest.record) {
            return Ok(backup.size);
        }
        // A manual backup, or one that is older than those kept in mind.
        let record = self.core.store.find::<BackupRecord>(&self.scope(), newest.record).await?;
        Ok(record.and_then(|record| record.sizes.logical))
    }

    async fn evidence(&self, cluster: Option<&ClusterName>, now: Timestamp) -> Result<Evidence, EngineError> {
        let store = &self.core.store;
        let mut query = ExecutionQuery::new(self.scope());
        query.active_after = Some(now.saturating_sub(STALE_AFTER));
        let mut evidence = Evidence::default();
        for execution in store.executions(&query).await?.items {
            let Some(sample) = restore_sample(&execution) else { continue };
            let record = store.find::<BackupRecord>(&self.scope(), execution.record.id).await?;
            evidence.add_restore(record, &execution.record.location, sample);
        }
        let mut query = DrTestQuery::new(self.scope());
        query.active_after = Some(now.saturating_sub(STALE_AFTER));
        for test in store.dr_tests(&query).await?.items {
            let (Some(sample), Some(run)) = (drill_sample(&test), &test.run) else { continue };
            let record = store.find::<BackupRecord>(&self.scope(), run.record.id).await?;
            evidence.add_restore(record, &run.record.location, sample);
        }
        let mut query = VerificationQuery::new(self.scope()).with_window(Window::first(VERIFICATIONS));
        query.cluster = cluster.cloned();
        query.status = Some(CheckStatus::Passed);
        evidence.keep_newest();
        for verification in store.verifications(&query).await?.items {
            let Some(at) = verification.completed_at else { continue };
            let read = RtoSample {
                basis: RtoBasis::VerificationRead,
                at,
                duration: at.since(verification.started_at),
                bytes: verification.bytes_read,
                succeeded: true,
            };
            let location = verification.record.location.clone();
            evidence.from_locations.entry(location).or_default().push(read);
        }
        let mut query = JobQuery::new(self.scope());
        query.cluster = cluster.cloned();
        query.statuses = vec![JobStatus::InProgress];
        query.hidden = true;
        let running = store.jobs(&query).await?.items;
        evidence.running =
            running.iter().filter_map(|job| Some((job.policy?, running_since(job)?))).collect();
        Ok(evidence)
    }
}

/// The one place where a policy is judged.
fn judge(
    policy: Versioned<Policy>,
    state: Option<Versioned<PolicyState>>,
    running_since: Option<Timestamp>,
    input: &RtoInput<'_>,
) -> Assessed {
    let mend = Mend {
        next_slot: state.as_ref().and_then(|state| state.next_run_at),
        running_since,
        duration: state.iter().flat_map(|state| &state.recent).map(|backup| backup.took).max(),
    };
    let rto = policy.rto.map(|target| rto::judge(target.0, input));
    let own = input.samples.iter().filter(|s| s.basis == RtoBasis::SamePolicy && s.succeeded);
    Assessed {
        rpo: state.as_ref().and_then(|state| rpo_verdict(&policy, state, input.now, &mend)),
        restore: rto.map_or_else(|| rto::estimate(input), |verdict| verdict.estimate),
        rto,
        restored_at: own.map(|sample| sample.at).max(),
        running_since,
        policy,
        state,
    }
}

fn running_since(job: &BackupJob) -> Option<Timestamp> {
    job.open_attempt().map(|attempt| attempt.started_at)
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

impl Assessed {
    /// Whether the policy keeps every objective that it has; one without any keeps none.
    pub(super) fn is_compliant(&self) -> bool {
        (self.policy.rpo.is_some() || self.policy.rto.is_some())
            && (self.policy.rpo.is_none() || self.rpo.is_some_and(|rpo| rpo.is_compliant()))
            && self.rto.is_none_or(|rto| rto.is_compliant())
    }
}
