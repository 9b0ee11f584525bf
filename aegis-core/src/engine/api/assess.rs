//! What the answers about RPO, RTO and health are made from: read once, judged by the rules.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use super::Tenant;
use crate::{
    engine::{
        EngineError,
        decide::{covers, expected, rpo_verdict, sample_of},
        runtime::{Entry, Roster},
    },
    model::{
        BackupJob, BackupRecord, Bytes, CheckStatus, ClusterName, DrRun, DrTest, ExecutionStatus, JobStatus,
        NamespaceName, Policy, PolicyId, PolicyState, RecordId, RecordRef, RecoveryExecution, RestoreOptions,
        StorageUri, Timestamp, Versioned,
    },
    rules::{
        exposure::RpoVerdict,
        health::Tally,
        rto::{self, RestoreSize, RtoBasis, RtoInput, RtoSample, RtoVerdict, STALE_AFTER},
    },
    seams::{DrTestQuery, ExecutionQuery, JobQuery, RecordQuery, VerificationQuery, Window},
};

/// How many of the newest restores from a location tell how long one from there takes.
const PER_LOCATION: usize = 64;
/// How many of a cluster's newest verifications tell how fast its storage is read.
const VERIFICATIONS: usize = 64;
/// How many records one read names at most.
const NAMED: usize = 1000;

/// What was read for the policies of a tenant, or of one of its clusters.
pub(super) struct Assessment<'a> {
    /// The instant of every verdict.
    pub(super) now: Timestamp,
    tenant: &'a Tenant,
    cluster: Option<&'a ClusterName>,
    roster: Arc<Roster>,
    evidence: Evidence,
}

/// One policy, judged.
pub(super) struct Assessed<'a> {
    pub(super) policy: &'a Versioned<Policy>,
    pub(super) state: Option<&'a PolicyState>,
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
    /// The longest that one of its newest backups took.
    pub(super) longest_backup: Option<Duration>,
    /// How its runs of the last 30 days ended, as far as the log is sealed.
    pub(super) runs: Tally,
}

/// A restore of a record that says something of the policies that it counts for.
type OfRecord = (Versioned<BackupRecord>, RtoSample);

/// What is measured beside the policies' own backups.
#[derive(Default)]
struct Evidence {
    /// Restores of what a policy made.
    of_policies: HashMap<PolicyId, Vec<OfRecord>>,
    /// Restores of manual backups.
    of_manual: Vec<OfRecord>,
    /// Restores that succeeded, and reads, from a location: the newest.
    from_locations: HashMap<StorageUri, Vec<RtoSample>>,
    running: HashMap<PolicyId, Timestamp>,
    /// What the newest usable records would write that are not among the backups that their policies'
    /// states keep in mind: manual ones, and older ones.
    sizes: HashMap<RecordId, Option<Bytes>>,
}

impl Evidence {
    /// Adds a restore of `record`. Of the policies that the record counts for it says something if it
    /// brought back all of it, or if it failed.
    fn add_restore(&mut self, record: Option<Versioned<BackupRecord>>, from: &StorageUri, sample: RtoSample) {
        // That another policy's restore failed says nothing of this one's.
        if sample.succeeded {
            let anyones = RtoSample { basis: RtoBasis::SameLocation, ..sample };
            self.from_locations.entry(from.clone()).or_default().push(anyones);
        }
        let Some(record) = record.filter(|_| sample.basis.is_of_policy()) else { return };
        match record.policy {
            Some(policy) => self.of_policies.entry(policy).or_default().push((record, sample)),
            None => self.of_manual.push((record, sample)),
        }
    }

    /// Leaves so many restores of each location as tell enough, and as many as cost nothing.
    fn keep_newest(&mut self) {
        for samples in self.from_locations.values_mut() {
            samples.sort_by_key(|sample| Reverse(sample.at));
            samples.truncate(PER_LOCATION);
        }
    }

    /// The samples of restores of what has all that a policy protects.
    fn restores_of(&self, policy: &Policy) -> impl Iterator<Item = RtoSample> {
        let covered =
            |record: &BackupRecord| record.cluster == policy.cluster && covers(record, &policy.namespaces);
        let own = self.of_policies.get(&policy.id).into_iter().flatten();
        own.chain(&self.of_manual).filter(move |(record, _)| covered(record)).map(|(_, sample)| *sample)
    }

    /// What a restore of the newest usable record would write that is not among the newest backups.
    fn size_of_other(&self, state: Option<&PolicyState>) -> RestoreSize {
        let newest = state.and_then(|state| state.newest_usable);
        let size = newest.and_then(|newest| self.sizes.get(&newest.record).copied().flatten());
        size.map_or(RestoreSize::Unknown, RestoreSize::Known)
    }

    /// The samples on every rung of the ladder that speak of a policy; of its backups, if its state is
    /// given.
    fn gather(&self, samples: &mut Vec<RtoSample>, policy: &Policy, state: Option<&PolicyState>) {
        samples.clear();
        samples.extend(self.restores_of(policy));
        samples.extend(self.from_locations.get(&policy.location).into_iter().flatten());
        samples.extend(state.into_iter().flat_map(|state| &state.recent).map(sample_of));
    }
}

impl Tenant {
    /// What is needed to judge every policy, or those of one cluster. Reads what has changed of them,
    /// and nothing whose amount grows with their history but what was restored in the last 90 days.
    pub(super) async fn assess<'a>(
        &'a self,
        cluster: Option<&'a ClusterName>,
    ) -> Result<Assessment<'a>, EngineError> {
        let roster = self.core.roster(&self.tenant).await?;
        let now = self.core.clock.now();
        let mut evidence = self.evidence(cluster, now).await?;
        evidence.sizes = self.missing_sizes(entries(&roster, cluster)).await?;
        Ok(Assessment { now, tenant: self, cluster, roster, evidence })
    }

    /// What the newest usable records would write that their policies' states say nothing of.
    async fn missing_sizes(
        &self,
        entries: impl Iterator<Item = &Entry> + Send,
    ) -> Result<HashMap<RecordId, Option<Bytes>>, EngineError> {
        let unknown = entries.filter(|entry| entry.backups.size.is_none());
        let newest = unknown.filter_map(|entry| Some(entry.state.as_ref()?.newest_usable?.record));
        let records = self.records_named(newest).await?;
        Ok(records.into_iter().map(|(id, record)| (id, record.sizes.logical)).collect())
    }

    /// The records with these ids, in as many reads as it takes; what is not the tenant's is left out.
    async fn records_named(
        &self,
        ids: impl Iterator<Item = RecordId> + Send,
    ) -> Result<HashMap<RecordId, Versioned<BackupRecord>>, EngineError> {
        let ids: Vec<_> = ids.collect::<BTreeSet<_>>().into_iter().collect();
        let mut named = HashMap::with_capacity(ids.len());
        for some in ids.chunks(NAMED) {
            let mut query = RecordQuery::new(self.scope());
            query.ids = some.to_vec();
            named.extend(self.core.store.records(&query).await?.items.into_iter().map(|r| (r.id, r)));
        }
        Ok(named)
    }

    async fn evidence(&self, cluster: Option<&ClusterName>, now: Timestamp) -> Result<Evidence, EngineError> {
        let store = &self.core.store;
        let since = Some(now.saturating_sub(STALE_AFTER));
        let mut query = ExecutionQuery::new(self.scope());
        query.active_after = since;
        let executions = store.executions(&query).await?.items;
        let mut query = DrTestQuery::new(self.scope());
        query.active_after = since;
        let tests = store.dr_tests(&query).await?.items;
        let restores =
            executions.iter().filter_map(|execution| Some((&execution.record, restore_sample(execution)?)));
        let drills = tests.iter().filter_map(|test| Some((&test.run.as_ref()?.record, drill_sample(test)?)));
        let measured: Vec<_> = restores.chain(drills).collect();
        let records = self.records_named(measured.iter().map(|(record, _)| record.id)).await?;
        let mut evidence = Evidence::default();
        for (record, sample) in measured {
            evidence.add_restore(records.get(&record.id).cloned(), &record.location, sample);
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

impl Assessment<'_> {
    /// The policies with their verdicts, by name.
    pub(super) fn judged(&self) -> impl Iterator<Item = Assessed<'_>> {
        let core = &self.tenant.core;
        let decision_time = core.tenants.get(&self.tenant.tenant).map(|options| options.decision_time);
        let decision_time = decision_time.unwrap_or_default();
        let mut samples = Vec::new();
        entries(&self.roster, self.cluster).map(move |entry| {
            let (policy, state) = (&entry.policy, entry.state.as_deref());
            let known = entry.backups.estimate_at(self.now);
            self.evidence.gather(&mut samples, policy, state.filter(|_| known.is_none()));
            let served = core.clusters.get(&policy.cluster);
            let input = RtoInput {
                samples: &samples,
                backups: known.flatten(),
                size: entry.backups.size.unwrap_or_else(|| self.evidence.size_of_other(state)),
                assumption: served.and_then(|served| served.options.assumed_restore_time),
                decision_time,
                now: self.now,
            };
            judge(entry, self.evidence.running.get(&policy.id).copied(), &input)
        })
    }
}

/// The policies of a tenant, or of one of its clusters.
fn entries<'a>(roster: &'a Roster, cluster: Option<&'a ClusterName>) -> impl Iterator<Item = &'a Entry> {
    roster.entries().iter().filter(move |entry| cluster.is_none_or(|name| entry.policy.cluster == *name))
}

/// The one place where a policy is judged.
fn judge<'a>(entry: &'a Entry, running_since: Option<Timestamp>, input: &RtoInput<'_>) -> Assessed<'a> {
    let (policy, state) = (&entry.policy, entry.state.as_deref());
    let longest_backup = entry.backups.longest;
    let mend = state.map(|state| expected(state, running_since, longest_backup)).unwrap_or_default();
    let rto = policy.rto.map(|target| rto::judge(target.0, input));
    let own = input.samples.iter().filter(|sample| sample.basis.is_of_policy() && sample.succeeded);
    Assessed {
        rpo: state.and_then(|state| rpo_verdict(policy, state, input.now, &mend)),
        restore: rto.map_or_else(|| rto::estimate(input), |verdict| verdict.estimate),
        rto,
        restored_at: own.map(|sample| sample.at).max(),
        running_since,
        longest_backup,
        runs: entry.runs,
        policy,
        state,
    }
}

fn running_since(job: &BackupJob) -> Option<Timestamp> {
    job.open_attempt().map(|attempt| attempt.started_at)
}

/// The rung of a restore: of all that the record has into the cluster that it came from, into
/// another, or of a part. A failure stands against the policy whatever it was to bring back.
fn restore_basis(
    record: &RecordRef,
    target: &ClusterName,
    namespaces: &[NamespaceName],
    options: &RestoreOptions,
    succeeded: bool,
) -> RtoBasis {
    let whole = options.paths.is_empty()
        && options.restore_volumes
        && (namespaces.is_empty() || record.namespaces.iter().all(|name| namespaces.contains(name)));
    match (whole || !succeeded, *target == record.cluster) {
        (true, true) => RtoBasis::SamePolicy,
        (true, false) => RtoBasis::SamePolicyElsewhere,
        (false, _) => RtoBasis::SameLocation,
    }
}

/// What a restore that is over tells: one that was cancelled tells nothing, and neither does one
/// that fell short, or that found everything in place and wrote nothing. One that found some of it
/// in place brought back a part.
fn restore_sample(execution: &RecoveryExecution) -> Option<RtoSample> {
    let succeeded = match execution.status {
        ExecutionStatus::Completed => true,
        ExecutionStatus::Failed => false,
        ExecutionStatus::Executing | ExecutionStatus::PartiallyFailed | ExecutionStatus::Cancelled => {
            return None;
        }
    };
    let result = execution.result.as_ref();
    let bytes = result.map(|result| result.bytes);
    if succeeded && bytes == Some(Bytes(0)) {
        return None;
    }
    let RecoveryExecution { record, target_cluster, namespaces, options, .. } = execution;
    let found_some = succeeded && result.is_some_and(|result| result.unchanged > 0);
    Some(RtoSample {
        basis: match restore_basis(record, target_cluster, namespaces, options, succeeded) {
            _ if found_some => RtoBasis::SameLocation,
            basis => basis,
        },
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
    let DrRun { record, namespaces, options, .. } = test.run.as_ref()?;
    Some(RtoSample {
        basis: restore_basis(record, &test.target_cluster, namespaces, options, succeeded),
        at: test.completed_at?,
        duration: test.recovery_time_actual().unwrap_or_default(),
        bytes: restore.map(|restore| restore.bytes),
        succeeded,
    })
}

impl Assessed<'_> {
    /// Whether the policy keeps every objective that it has; one without any keeps none.
    pub(super) fn is_compliant(&self) -> bool {
        (self.policy.rpo.is_some() || self.policy.rto.is_some())
            && (self.policy.rpo.is_none() || self.rpo.is_some_and(|rpo| rpo.is_compliant()))
            && self.rto.is_none_or(|rto| rto.is_compliant())
    }
}
