//! The health summary of every cluster, and the health score.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    time::Duration,
};

use futures::future;

use super::{Tenant, assess::Assessed, attainment::attained};
use crate::{
    engine::{
        Aegis, Connection, EngineError, Health,
        decide::{PointBook, dr_table},
        runtime::{Counter, Restorable, Shelf},
    },
    model::{
        BackupRecord, Bytes, ClusterName, JobStatus, NamespaceName, NamespacePattern, Policy, RecordState,
        StorageUri, Timestamp, VerificationLevel, Versioned,
    },
    rules::{
        exposure::{self, Book},
        health::{
            ClusterFacts, ClusterHealth, CoverageFacts, HealthScore, HealthStatus, HealthTotals,
            PolicyHealth, PolicyScoreFacts, Proof, RpoFacts, Tally, judge_cluster, overall, score,
        },
        rto,
    },
    seams::{Capabilities, JobQuery, RecordQuery, Window},
};

/// Over which time the score looks at attainment, and how old a tried restore may be where the policy
/// asks for no DR tests.
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);
/// How many runs of a policy the score looks at.
const RUNS: usize = 64;
/// Among how many of a cluster's newest jobs the one is looked for that ended last.
const RECENT: usize = 16;

/// How healthy everything of a tenant is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthSummary {
    /// All clusters together.
    pub overall: HealthStatus,
    /// The instant of the verdicts.
    pub assessed_at: Timestamp,
    /// Every cluster of the tenant, by name: those served here, and those that a policy names.
    pub clusters: Vec<ClusterSummary>,
    /// How many clusters are how healthy.
    pub totals: HealthTotals,
}

impl HealthSummary {
    /// How many policies there are.
    #[must_use]
    pub fn total_backup_policies(&self) -> usize {
        self.clusters.iter().map(|cluster| cluster.backups.total_policies).sum()
    }

    /// What all backups take in storage, as far as it is known.
    #[must_use]
    pub fn total_backup_size(&self) -> Bytes {
        Bytes(self.clusters.iter().fold(0, |sum, cluster| sum.saturating_add(cluster.backups.total_size.0)))
    }

    /// How many records can be restored.
    #[must_use]
    pub fn total_restorable_backups(&self) -> usize {
        self.clusters.iter().map(|cluster| cluster.readiness.restorable_backups).sum()
    }
}

/// How healthy one cluster is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterSummary {
    /// The cluster.
    pub cluster: ClusterName,
    /// The verdict with its reasons.
    pub health: ClusterHealth,
    /// How its backups go.
    pub backups: BackupStatus,
    /// What could be brought back.
    pub readiness: RecoveryReadiness,
}

/// How the backups of a cluster go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupStatus {
    /// Its policies.
    pub total_policies: usize,
    /// Those that are enabled.
    pub active_policies: usize,
    /// When its newest job that is over ended.
    pub last_backup_at: Option<Timestamp>,
    /// How that job ended.
    pub last_backup_status: Option<JobStatus>,
    /// Jobs that ended in the last 24 hours and made a record.
    pub backups_last_24h: u64,
    /// Jobs that failed in the last 24 hours.
    pub failed_last_24h: u64,
    /// What its records take in storage, as far as it is known.
    pub total_size: Bytes,
}

/// What of a cluster could be brought back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveryReadiness {
    /// Records that can be restored now: finished, not known bad, their chain whole, not leaving.
    pub restorable_backups: usize,
    /// The recovery point time of the oldest of them.
    pub oldest_restorable: Option<Timestamp>,
    /// The recovery point time of the newest of them.
    pub newest_restorable: Option<Timestamp>,
    /// How long restoring everything that is protected takes, one policy after another; `None` if
    /// that is unknown for any of them.
    pub estimated_full_restore_minutes: Option<u64>,
}

impl Aegis {
    /// Whether the engine and all that it depends on work: asks the store, each cluster's driver and
    /// each storage location, all at once, and waits 5 s at most. Changes nothing. Names clusters
    /// and locations of every tenant: for operators, not for answers to tenants.
    pub async fn health(&self) -> Health {
        self.core().health().await
    }

    /// Whether the store answers, without which nothing can be asked of the engine; waits 5 s at most.
    pub async fn store_connection(&self) -> Connection {
        self.core().probe_store().await
    }

    /// Every cluster that is served here, by name, with what its driver can do. Names clusters of
    /// every tenant, as [`health`](Self::health) does.
    pub fn clusters(&self) -> impl Iterator<Item = (&ClusterName, &Capabilities)> {
        self.core().clusters.iter().map(|(name, served)| (name, served.driver.capabilities()))
    }
}

impl Tenant {
    /// How healthy every cluster is, with reasons, and all of them together.
    ///
    /// RPO and RTO verdicts are those of [`compliance`](Self::compliance). Drivers and storage
    /// locations are asked whether they answer; what is away is a reason, not an error.
    ///
    /// # Errors
    /// As every call.
    pub async fn health_summary(&self) -> Result<HealthSummary, EngineError> {
        let assessment = self.assess(None).await?;
        let now = assessment.now;
        let policies: Vec<_> = assessment.judged().collect();
        let mut by_cluster: BTreeMap<&ClusterName, Vec<&Assessed<'_>>> = BTreeMap::new();
        by_cluster.extend(self.clusters().map(|name| (name, Vec::new())));
        for assessed in &policies {
            by_cluster.entry(&assessed.policy.cluster).or_default().push(assessed);
        }
        let catalogue = self.core.catalogue(&self.tenant).await?;
        let runs = self.core.runs_by_cluster(Counter::LeftDay, &self.tenant, now).await?;
        // Everything outside is asked at once, so that what is away costs one wait.
        let gaps = by_cluster.iter().map(|(name, own)| self.gaps(name, own, catalogue.shelf(name)));
        let (away, gaps) = future::join(self.locations_away(), future::join_all(gaps)).await;
        let summaries = by_cluster.into_iter().zip(gaps).map(|((name, own), gaps)| {
            let day = runs.get(name).copied().unwrap_or_default();
            let restorable = catalogue.shelf(name).map(Shelf::restorable).unwrap_or_default();
            self.summarize(name, own, day, restorable, &away, gaps)
        });
        let clusters = future::try_join_all(summaries).await?;
        let (status, totals) = overall(clusters.iter().map(|cluster| cluster.health.status));
        Ok(HealthSummary { overall: status, assessed_at: now, clusters, totals })
    }

    async fn summarize(
        &self,
        cluster: &ClusterName,
        policies: Vec<&Assessed<'_>>,
        day: Tally,
        restorable: Restorable,
        away: &[StorageUri],
        gaps: Result<Gaps, EngineError>,
    ) -> Result<ClusterSummary, EngineError> {
        let gaps = gaps?;
        let backups = self.backup_status(cluster, &policies, &day).await?;
        let readiness = readiness(restorable, &policies);
        let judged: Vec<_> = policies.iter().map(|assessed| policy_health(assessed)).collect();
        let uses =
            |uri: &&StorageUri| policies.iter().any(|assessed| uri.contains(&assessed.policy.location));
        let away: Vec<String> = away.iter().filter(uses).map(ToString::to_string).collect();
        let health = judge_cluster(&ClusterFacts {
            policies: &judged,
            restorable: readiness.restorable_backups,
            unprotected: &gaps.unprotected.iter().map(String::as_str).collect::<Vec<_>>(),
            locations_away: &away.iter().map(String::as_str).collect::<Vec<_>>(),
            driver_away: gaps.driver_away.as_deref(),
        });
        Ok(ClusterSummary { cluster: cluster.clone(), health, backups, readiness })
    }

    async fn backup_status(
        &self,
        cluster: &ClusterName,
        policies: &[&Assessed<'_>],
        day: &Tally,
    ) -> Result<BackupStatus, EngineError> {
        // One that was cancelled is no backup; among the newest, the last is the one that ended last.
        let ended = [JobStatus::Completed, JobStatus::PartiallyFailed, JobStatus::Failed];
        let mut query = JobQuery::new(self.scope()).with_window(Window::first(RECENT));
        query.cluster = Some(cluster.clone());
        query.statuses = ended.to_vec();
        query.hidden = true;
        let recent = self.core.store.jobs(&query).await?.items;
        let last = recent.iter().max_by_key(|job| job.completed_at);
        let mut there = RecordQuery::new(self.scope());
        there.cluster = Some(cluster.clone());
        there.states = vec![RecordState::Available, RecordState::Expired, RecordState::Deleting];
        Ok(BackupStatus {
            total_policies: policies.len(),
            active_policies: policies.iter().filter(|assessed| assessed.policy.enabled).count(),
            last_backup_at: last.as_ref().and_then(|job| job.completed_at),
            last_backup_status: last.as_ref().map(|job| job.status),
            backups_last_24h: day.records(),
            failed_last_24h: day.failed,
            total_size: self.core.store.record_totals(&there).await?.stored,
        })
    }

    /// Namespaces that nobody looks after, or why the driver can't say which there are.
    async fn gaps(
        &self,
        cluster: &ClusterName,
        policies: &[&Assessed<'_>],
        shelf: Option<&Shelf>,
    ) -> Result<Gaps, EngineError> {
        let away = |reason: String| Gaps { unprotected: Vec::new(), driver_away: Some(reason) };
        let Ok(served) = self.core.cluster_of(&self.tenant, cluster) else {
            return Ok(away("no engine here serves this cluster".to_owned()));
        };
        let namespaces = self.core.answer_of(served.driver.namespaces());
        let namespaces = match self.core.patiently(namespaces).await {
            Some(Ok(namespaces)) => namespaces,
            Some(Err(error)) => return Ok(away(error.detail().message.clone())),
            None => return Ok(away("the driver did not answer in time".to_owned())),
        };
        let gap = |(name, new_since): (NamespaceName, Option<Timestamp>)| match new_since {
            None => name.to_string(),
            Some(since) => format!("{name} (new since {since})"),
        };
        let unprotected = self.unprotected(cluster, namespaces, policies, shelf).await?;
        Ok(Gaps { unprotected: unprotected.into_iter().map(gap).collect(), driver_away: None })
    }

    /// The tenant's storage locations that do not answer.
    async fn locations_away(&self) -> Vec<StorageUri> {
        let own = self.core.locations.iter().filter(|known| known.tenants.contains(&self.tenant));
        let asked = own.map(|known| async {
            let connection = self.core.probe_storage(&*known.storage).await;
            (!connection.is_connected()).then(|| known.storage.uri().clone())
        });
        future::join_all(asked).await.into_iter().flatten().collect()
    }

    /// The health score, from 0 to 100, over every enabled policy, with all that it was made from and
    /// what would raise it; `None` without an enabled policy. Looks 30 days back; a tried restore may be
    /// as old as the longest wait between the DR tests that the policy asks for, 30 days if for none.
    ///
    /// # Errors
    /// As every call.
    pub async fn health_score(&self) -> Result<Option<HealthScore>, EngineError> {
        let assessment = self.assess(None).await?;
        let now = assessment.now;
        let enabled: Vec<_> = assessment.judged().filter(|assessed| assessed.policy.enabled).collect();
        let clusters: BTreeSet<_> = enabled.iter().map(|assessed| assessed.policy.cluster.clone()).collect();
        let mut facts = Vec::with_capacity(enabled.len());
        for cluster in &clusters {
            let records = self.core.records_of(&self.tenant, cluster, &[]).await?;
            let book = PointBook::new(records.iter().map(|record| &**record), Book::AsKnown);
            for assessed in enabled.iter().filter(|assessed| assessed.policy.cluster == *cluster) {
                facts.push(self.score_facts(assessed, &records, &book, now).await?);
            }
        }
        Ok(score(&facts, self.coverage_facts().await?))
    }

    async fn score_facts(
        &self,
        assessed: &Assessed<'_>,
        records: &[Versioned<BackupRecord>],
        book: &PointBook<'_>,
        now: Timestamp,
    ) -> Result<PolicyScoreFacts, EngineError> {
        let policy = assessed.policy;
        let window = exposure::Window { from: now.saturating_sub(MONTH), until: now };
        let attainment = attained(policy, assessed.state, book, window, now);
        let tried = records.iter().filter(|record| record.policy == Some(policy.id)).filter_map(|record| {
            let proven =
                record.evidence.iter().filter(|e| e.passed && e.level >= VerificationLevel::Restored);
            proven.map(|evidence| evidence.at).max()
        });
        let proof = tried.chain(assessed.restored_at).max().map_or(Proof::Never, |at| Proof::Age {
            seconds: now.since(at).as_secs(),
            interval: test_interval(policy, now).as_secs(),
        });
        let mut query = JobQuery::new(self.scope()).with_window(Window::first(RUNS));
        query.policy = Some(policy.id);
        query.statuses = vec![JobStatus::Completed, JobStatus::PartiallyFailed, JobStatus::Failed];
        query.hidden = true;
        let runs = self.core.store.jobs(&query).await?.items;
        Ok(PolicyScoreFacts {
            policy: policy.name.to_string(),
            weight: 1,
            is_vital: false,
            rpo: assessed
                .rpo
                .map(|rpo| RpoFacts { attainment: attainment.share, is_compliant: rpo.is_compliant() }),
            has_restorable_point: assessed.state.as_ref().is_some_and(|state| state.newest_usable.is_some()),
            proof,
            rto: assessed.rto.map(|rto| rto.status),
            copies: None,
            runs: runs.iter().map(|job| job.status == JobStatus::Completed).collect(),
        })
    }

    /// What is protected of all that the tenant's clusters hold; unknown if any of them can't say.
    async fn coverage_facts(&self) -> Result<CoverageFacts, EngineError> {
        let (mut all_protected, mut all_discovered) = (0, 0);
        for cluster in self.clusters() {
            let Some(answer) = self.core.patiently(self.coverage(cluster)).await else {
                return Ok(CoverageFacts::Unknown);
            };
            let CoverageFacts::Known { protected, discovered } = answer?.coverage.facts() else {
                return Ok(CoverageFacts::Unknown);
            };
            (all_protected, all_discovered) = (all_protected + protected, all_discovered + discovered);
        }
        Ok(CoverageFacts::Known { protected: all_protected, discovered: all_discovered })
    }
}

/// How much time may pass between two tried restores of a policy.
fn test_interval(policy: &Policy, now: Timestamp) -> Duration {
    dr_table(policy).and_then(|table| table.longest_gap(now)).unwrap_or(MONTH)
}

/// What of a cluster could be brought back, and how long all that is protected takes.
fn readiness<'a>(restorable: Restorable, policies: &[&Assessed<'a>]) -> RecoveryReadiness {
    // Two policies of the same namespaces are one thing to restore.
    let mut parts = HashSet::new();
    let mut is_other = |policy: &'a Policy| {
        parts.insert((texts(policy.namespaces.include()), texts(policy.namespaces.exclude())))
    };
    let enabled = policies.iter().filter(|assessed| assessed.policy.enabled);
    let restores: Vec<_> =
        enabled.filter(|assessed| is_other(assessed.policy)).map(|assessed| assessed.restore).collect();
    RecoveryReadiness {
        restorable_backups: restorable.count,
        oldest_restorable: restorable.oldest,
        newest_restorable: restorable.newest,
        estimated_full_restore_minutes: rto::full_restore_minutes(restores),
    }
}

fn texts(patterns: &[NamespacePattern]) -> Vec<&str> {
    patterns.iter().map(NamespacePattern::as_str).collect()
}

/// What a cluster's driver tells, or why it does not.
struct Gaps {
    unprotected: Vec<String>,
    driver_away: Option<String>,
}

fn policy_health<'a>(assessed: &'a Assessed<'_>) -> PolicyHealth<'a> {
    PolicyHealth {
        name: assessed.policy.name.as_str(),
        enabled: assessed.policy.enabled,
        rpo: assessed.rpo,
        rto: assessed.rto,
        last_run_failed: assessed
            .state
            .as_ref()
            .is_some_and(|state| state.last_run_status == Some(JobStatus::Failed)),
    }
}
