//! Whether a policy can be what it says.

use std::time::Duration;

use super::super::Tenant;
use crate::{
    engine::{EngineError, runtime::storage_of},
    model::{
        BackupKind, ClusterName, Policy, PolicyState, RecordState, RetentionRules, StorageUri, Timestamp,
        VerificationLevel,
    },
    rules::{LintFinding, PolicyFigures, RunTime, lint},
    seams::{Feature, Immutability, RecordQuery, Window},
};

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Tenant {
    pub(super) fn check_policy(
        &self,
        cluster: &ClusterName,
        kind: BackupKind,
        verify: Option<VerificationLevel>,
        retention: &RetentionRules,
    ) -> Result<(), EngineError> {
        let capabilities = self.core.cluster_of(&self.tenant, cluster)?.driver.capabilities();
        let driver = capabilities.driver;
        if !capabilities.kinds.contains(&kind) {
            return Err(EngineError::Unsupported(format!("the {driver} driver makes no {kind} backups")));
        }
        if let Some(level) = verify.filter(|level| !capabilities.verification.contains(level)) {
            return Err(EngineError::Unsupported(format!(
                "the {driver} driver does not verify up to {level}"
            )));
        }
        retention.validate().map_err(|error| EngineError::field("retention", error))
    }

    /// Refuses a depth of verification that no record of the cluster can ever reach.
    pub(super) fn check_counting(
        &self,
        cluster: &ClusterName,
        count_verified: Option<VerificationLevel>,
    ) -> Result<(), EngineError> {
        let Some(level) = count_verified else { return Ok(()) };
        let capabilities = self.core.cluster_of(&self.tenant, cluster)?.driver.capabilities();
        let verifies = capabilities.verification.iter().any(|deepest| *deepest >= level);
        let drills = capabilities.has(Feature::MapToPaths) || capabilities.has(Feature::MapNamespaces);
        if verifies || drills || level == VerificationLevel::Catalogued {
            return Ok(());
        }
        let driver = capabilities.driver;
        Err(EngineError::Unsupported(format!(
            "no record would ever count: the {driver} driver neither verifies up to {level} nor restores \
             elsewhere for a DR test; ask for less in `count_verified`, or leave it out"
        )))
    }

    /// How long what is written to a location is locked against deletion, as its newest record shows:
    /// by its driver's word, or the storage's about its manifest. `None` if there is none, if its lock
    /// is over, or if nobody says: a storage that is away keeps no policy from being saved.
    pub(super) async fn lock_at(&self, location: &StorageUri) -> Result<Option<Duration>, EngineError> {
        let mut query = RecordQuery::new(self.scope()).with_window(Window::first(1));
        query.location = Some(location.clone());
        query.states = vec![RecordState::Available, RecordState::Expired];
        let Some(record) = self.core.store.records(&query).await?.items.into_iter().next() else {
            return Ok(None);
        };
        if let Some(until) = record.locked_until() {
            return Ok(Some(until.since(record.created_at)));
        }
        let (storage, manifest) = storage_of(&self.core, location, &record.artifact)?;
        let asked = async {
            let written_at = storage.head(&manifest).await.ok()?.modified_at;
            match storage.immutability(&manifest).await.ok()? {
                Immutability::Until(until) => Some(until.since(written_at)),
                Immutability::None | Immutability::Indefinite | Immutability::Unknown => None,
            }
        };
        Ok(self.core.patiently(asked).await.flatten())
    }
}

/// How long the newest backups of a policy took.
pub(super) fn run_time(state: Option<&PolicyState>) -> Option<RunTime> {
    let state = state?;
    state.longest_backup().map(|longest| RunTime::LongestOf(state.recent.len(), longest))
}

/// The findings about a policy, unless one of them makes it impossible.
pub(super) fn lint_policy(
    policy: &Policy,
    run_time: Option<RunTime>,
    lock: Option<Duration>,
    now: Timestamp,
) -> Result<Vec<LintFinding>, EngineError> {
    let days = policy.retention.keep_for(policy.kind).days;
    let findings = lint(
        &PolicyFigures {
            schedule: &policy.schedule,
            options: &policy.schedule_options,
            policy: policy.id,
            anchor: policy.created_at,
            rpo: policy.rpo.map(|rpo| rpo.0),
            run_time,
            retention: days.map(|days| DAY.saturating_mul(days)),
            lock,
            verify: policy.verify,
            count_verified: policy.count_verified,
        },
        now,
    );
    match findings.iter().find(|finding| finding.code.is_impossible()) {
        Some(finding) => Err(EngineError::field("schedule", &finding.message)),
        None => Ok(findings),
    }
}
