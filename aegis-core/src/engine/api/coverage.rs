//! What of a cluster is protected, and what is not.

use std::collections::BTreeSet;

use super::{Tenant, assess::Assessed};
use crate::{
    engine::{EngineError, decide::counts_by_itself, runtime::Shelf},
    model::{
        BackupRecord, ClusterName, ClusterState, NamespaceName, Policy, PolicyState, RecordState, Timestamp,
        Versioned,
    },
    rules::coverage::{CoverageInput, NamespaceCoverage, coverage_facts, coverage_of, new_since},
    rules::health::CoverageFacts,
    seams::{Cursor, PolicyQuery, RecordQuery, Scope, StoreExt, Window, report},
};

/// How many records one read brings.
const BATCH: usize = 64;

/// What of a cluster is protected, at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterCoverage {
    /// The cluster.
    pub cluster: ClusterName,
    /// The instant.
    pub at: Timestamp,
    /// What is known.
    pub coverage: Coverage,
}

/// Whether it is known what a cluster holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// The cluster's driver listed its namespaces: each with what is true of it, by name.
    Known(Vec<(NamespaceName, NamespaceCoverage)>),
    /// The driver could not list them, which is not the same as nothing to protect.
    Unknown {
        /// Why, for a person.
        reason: String,
    },
}

impl Coverage {
    /// As the health score counts it.
    #[must_use]
    pub fn facts(&self) -> CoverageFacts {
        match self {
            Self::Known(namespaces) => coverage_facts(namespaces.iter().map(|(_, coverage)| coverage)),
            Self::Unknown { .. } => CoverageFacts::Unknown,
        }
    }
}

impl Tenant {
    /// Which namespaces that exist in a cluster the tenant's policies protect, which they leave out
    /// on purpose, and which nobody looks after, each with the reason; of what appeared a short time
    /// ago, that it is new. Changes nothing.
    ///
    /// # Errors
    /// `InvalidInput` if the tenant has no such cluster. A driver that can't list its namespaces is
    /// an answer: [`Coverage::Unknown`].
    pub async fn coverage(&self, cluster: &ClusterName) -> Result<ClusterCoverage, EngineError> {
        let served = self.core.cluster_of(&self.tenant, cluster)?;
        let at = self.core.clock.now();
        let coverage = match self.core.answer_of(served.driver.namespaces()).await {
            Ok(namespaces) => Coverage::Known(self.judge_coverage(cluster, namespaces).await?),
            Err(error) => {
                tracing::warn!(%cluster, error = %report(&error), "the namespaces of a cluster are not known");
                Coverage::Unknown { reason: error.detail().message.clone() }
            }
        };
        Ok(ClusterCoverage { cluster: cluster.clone(), at, coverage })
    }

    async fn judge_coverage(
        &self,
        cluster: &ClusterName,
        namespaces: Vec<NamespaceName>,
    ) -> Result<Vec<(NamespaceName, NamespaceCoverage)>, EngineError> {
        let known = self.core.store.find::<ClusterState>(&Scope::Everyone, cluster.clone()).await?;
        let discovery = known.as_ref().and_then(|state| state.discovery.as_ref());
        let (now, grace) = (self.core.clock.now(), self.core.options.coverage_grace);
        let mut query = PolicyQuery::new(self.scope());
        query.cluster = Some(cluster.clone());
        let policies = self.core.store.policies(&query).await?.items;
        let mut recoverable = Vec::with_capacity(policies.len());
        for policy in &policies {
            recoverable.push(self.recoverable(policy, &namespaces).await?);
        }
        let inputs: Vec<_> = policies
            .iter()
            .zip(&recoverable)
            .map(|(policy, recoverable)| CoverageInput { policy, recoverable })
            .collect();
        let judged = namespaces.into_iter().map(|name| {
            let coverage = coverage_of(&name, new_since(discovery, &name, now, grace), &inputs);
            (name, coverage)
        });
        Ok(judged.collect())
    }

    /// Those of a cluster's namespaces that nobody can bring back and nobody leaves out on purpose; of
    /// what appeared a short time ago, since when it is there. Reads one record, as a rule, for all
    /// namespaces that it holds.
    pub(super) async fn unprotected(
        &self,
        cluster: &ClusterName,
        namespaces: Vec<NamespaceName>,
        policies: &[&Assessed<'_>],
        shelf: Option<&Shelf>,
    ) -> Result<Vec<(NamespaceName, Option<Timestamp>)>, EngineError> {
        let mut left: BTreeSet<NamespaceName> = namespaces.into_iter().collect();
        if let Some(shelf) = shelf {
            self.take_recoverable(&mut left, policies, shelf).await?;
        }
        if left.is_empty() {
            return Ok(Vec::new());
        }
        let known = self.core.store.find::<ClusterState>(&Scope::Everyone, cluster.clone()).await?;
        let discovery = known.as_ref().and_then(|state| state.discovery.as_ref());
        let (now, grace) = (self.core.clock.now(), self.core.options.coverage_grace);
        let recoverable = BTreeSet::new();
        let inputs: Vec<_> = policies
            .iter()
            .map(|assessed| CoverageInput { policy: assessed.policy, recoverable: &recoverable })
            .collect();
        let unprotected = left.into_iter().filter_map(|name| {
            match coverage_of(&name, new_since(discovery, &name, now, grace), &inputs) {
                NamespaceCoverage::Unprotected { new_since, .. } => Some((name, new_since)),
                NamespaceCoverage::Protected { .. } | NamespaceCoverage::Excluded { .. } => None,
            }
        });
        Ok(unprotected.collect())
    }

    /// Takes those namespaces out that some policy can bring back: of each policy, by the newest of its
    /// records that holds any of them and counts.
    async fn take_recoverable(
        &self,
        left: &mut BTreeSet<NamespaceName>,
        policies: &[&Assessed<'_>],
        shelf: &Shelf,
    ) -> Result<(), EngineError> {
        let mut sought: BTreeSet<_> = left.iter().filter(|name| shelf.knows(name)).cloned().collect();
        let made = shelf.by_policy();
        for assessed in policies.iter().filter(|assessed| assessed.policy.enabled) {
            if sought.is_empty() {
                break;
            }
            let policy = assessed.policy;
            let mut selected: BTreeSet<_> =
                sought.iter().filter(|name| policy.namespaces.matches(name)).cloned().collect();
            if selected.is_empty() {
                continue;
            }
            let own = made.get(&policy.id).into_iter().flatten().copied();
            let newest = assessed.state.and_then(|state| state.newest_usable).map(|point| point.record);
            for id in newest.into_iter().chain(own) {
                let wanted: BTreeSet<_> = selected.iter().filter(|name| shelf.holds(id, name)).collect();
                if wanted.is_empty() {
                    continue;
                }
                let Some(record) = self.core.store.find::<BackupRecord>(&self.scope(), id).await? else {
                    continue;
                };
                if self.counts_for(policy, &record, &wanted).await? {
                    let found: BTreeSet<NamespaceName> = wanted.into_iter().cloned().collect();
                    for names in [&mut selected, &mut sought, &mut *left] {
                        names.retain(|name| !found.contains(name));
                    }
                }
            }
        }
        Ok(())
    }

    /// Which of `namespaces` a policy can bring back. Looks at its newest usable record, which may be
    /// a manual one that covers it, and then at its own from the newest on, until each namespace that
    /// it selects was found: one, as a rule.
    async fn recoverable(
        &self,
        policy: &Policy,
        namespaces: &[NamespaceName],
    ) -> Result<BTreeSet<NamespaceName>, EngineError> {
        let mut found = BTreeSet::new();
        let mut wanted: BTreeSet<&NamespaceName> =
            namespaces.iter().filter(|name| policy.enabled && policy.namespaces.matches(name)).collect();
        if let Some(state) = self.core.store.find::<PolicyState>(&self.scope(), policy.id).await?
            && let Some(newest) = state.newest_usable
            && let Some(record) = self.core.store.find::<BackupRecord>(&self.scope(), newest.record).await?
            && self.counts_for(policy, &record, &wanted).await?
        {
            wanted.retain(|name| !record.namespaces.contains(name));
            found.extend(record.namespaces.iter().cloned());
        }
        let mut query = RecordQuery::new(self.scope()).with_window(Window::first(BATCH));
        query.policy = Some(policy.id);
        query.states = vec![RecordState::Available, RecordState::Expired];
        while !wanted.is_empty() {
            let records = self.core.store.records(&query).await?.items;
            let Some(last) = records.last() else { break };
            query.window.after = Some(Cursor { at: last.created_at, id: last.id.as_uuid() });
            for record in &records {
                if self.counts_for(policy, record, &wanted).await? {
                    wanted.retain(|name| !record.namespaces.contains(name));
                    found.extend(record.namespaces.iter().cloned());
                }
            }
        }
        Ok(found)
    }

    /// Whether a record can bring back something that is wanted, by itself and by the policy's word.
    async fn counts_for(
        &self,
        policy: &Policy,
        record: &Versioned<BackupRecord>,
        wanted: &BTreeSet<&NamespaceName>,
    ) -> Result<bool, EngineError> {
        let counts = counts_by_itself(record, policy).is_some()
            && record.namespaces.iter().any(|name| wanted.contains(name));
        Ok(counts && self.is_restorable(record).await?)
    }
}
