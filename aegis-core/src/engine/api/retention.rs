//! Retention, as people preview, run and resume it.

use super::Tenant;
use crate::{
    engine::{
        EngineError,
        decide::{Group, decisions_of},
        runtime::{RETRIES, group_of, newest_of_cluster},
    },
    model::{
        CheckStatus, EntityKey, EventFacts, EventKind, Policy, PolicyId, PolicyState, Reservation,
        ReservationKey, RetentionDecision, RetentionRules, RetentionRun, RetentionRunId, StorageUri,
        Versioned,
    },
    rules::retention::Acknowledgement,
    seams::{RetentionRunQuery, StoreExt, Window},
};

/// What a run of retention would do now, record by record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionPreview {
    /// Where the records lie.
    pub location: StorageUri,
    /// Every decision with its reasons.
    pub decisions: Vec<RetentionDecision>,
    /// What would make the run ask for an acknowledgement, for a person.
    pub cautions: Option<String>,
}

impl Tenant {
    /// What retention would do with a policy's records now, under its own rules or others. Changes
    /// nothing; the same function decides in earnest.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` (rules that would keep nothing); `Unavailable` (the clock is
    /// behind the newest event).
    pub async fn preview_retention(
        &self,
        policy: PolicyId,
        rules: Option<RetentionRules>,
    ) -> Result<RetentionPreview, EngineError> {
        let policy = self.find::<Policy>(policy).await?;
        let state = self.core.store.find::<PolicyState>(&self.scope(), policy.id).await?;
        let mut hypothetical = Policy::clone(&policy);
        hypothetical.retention = rules.unwrap_or(hypothetical.retention);
        let records =
            group_of(&self.core, &self.tenant, &policy.cluster, Some(policy.id), &policy.location).await?;
        let group = Group {
            tenant: &self.tenant,
            cluster: &policy.cluster,
            location: &policy.location,
            policy: Some(&hypothetical),
            records: &records,
            newest_of_cluster: newest_of_cluster(&self.core, &self.tenant, &policy.cluster).await?,
            last_run: state.as_ref().and_then(|state| state.last_sweep_at),
            newest_event: self.core.store.newest_event_at().await?,
            acknowledgement: Acknowledgement::Given,
        };
        let plan =
            group.plan(self.core.clock.now()).map_err(|refusal| EngineError::Blocked(refusal.to_string()))?;
        let cautions = plan.cautions();
        Ok(RetentionPreview {
            location: policy.location.clone(),
            decisions: decisions_of(&plan),
            cautions: (!cautions.is_empty()).then(|| cautions.to_string()),
        })
    }

    /// Runs retention over a policy's records now. `acknowledgement` says go to what would
    /// otherwise stop and ask.
    ///
    /// # Errors
    /// `NotFound`; `VersionConflict` if the records changed again and again meanwhile;
    /// `InvalidTransition` while retention is frozen. A run that was refused is an answer.
    pub async fn run_retention(
        &self,
        policy: PolicyId,
        acknowledgement: Acknowledgement,
    ) -> Result<RetentionRun, EngineError> {
        let policy = self.find::<Policy>(policy).await?;
        if self.is_retention_frozen().await? {
            return Err(EngineError::Blocked(
                "retention is frozen since the catalogue was rebuilt: look at it, then resume retention"
                    .to_owned(),
            ));
        }
        for _ in 0..RETRIES {
            let state = self.core.store.find::<PolicyState>(&self.scope(), policy.id).await?;
            let records =
                group_of(&self.core, &self.tenant, &policy.cluster, Some(policy.id), &policy.location)
                    .await?;
            let group = Group {
                tenant: &self.tenant,
                cluster: &policy.cluster,
                location: &policy.location,
                policy: Some(&policy),
                records: &records,
                newest_of_cluster: newest_of_cluster(&self.core, &self.tenant, &policy.cluster).await?,
                last_run: state.as_ref().and_then(|state| state.last_sweep_at),
                newest_event: self.core.store.newest_event_at().await?,
                acknowledgement,
            };
            let decider = self.decider();
            let mut sweep = decider.sweep(&group, self.principal.clone());
            if let Some(state) = state.filter(|_| sweep.run.status == CheckStatus::Passed) {
                let next = decider.swept(&state, self.core.options.sweep_interval, sweep.run.status);
                let facts = EventFacts { policy: Some(policy.id), ..EventFacts::default() };
                sweep.changeset.update(state.version, next, EventKind::PolicyStateChanged, facts);
            }
            self.take_key(&mut sweep.changeset, EntityKey::RetentionRun(sweep.run.id));
            if self.commit(sweep.changeset).await?.is_none() {
                self.core.wake(&policy.cluster);
                return Ok(sweep.run);
            }
        }
        Err(EngineError::VersionConflict { what: "record" })
    }

    /// One retention run.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn retention_run(&self, id: RetentionRunId) -> Result<Versioned<RetentionRun>, EngineError> {
        self.find::<RetentionRun>(id).await
    }

    /// Retention runs of a policy, newest first, at most `limit`.
    ///
    /// # Errors
    /// As every call.
    pub async fn retention_runs(
        &self,
        policy: PolicyId,
        limit: usize,
    ) -> Result<Vec<Versioned<RetentionRun>>, EngineError> {
        let mut query = RetentionRunQuery::new(self.scope()).with_window(Window::first(limit));
        query.policy = Some(policy);
        Ok(self.core.store.retention_runs(&query).await?.items)
    }

    /// Whether nothing expires until a person says go.
    ///
    /// # Errors
    /// As every call.
    pub async fn is_retention_frozen(&self) -> Result<bool, EngineError> {
        Ok(self.freeze().await?.is_some())
    }

    /// Says go after a rebuild: retention decides again from now on. Idempotent.
    ///
    /// # Errors
    /// As every call.
    pub async fn resume_retention(&self) -> Result<(), EngineError> {
        let Some(freeze) = self.freeze().await? else { return Ok(()) };
        let changeset = {
            let decider = self.decider();
            let mut changeset = self.changeset(&decider);
            changeset.delete(&freeze, EventKind::ReservationReleased, EventFacts::default());
            changeset
        };
        self.commit(changeset).await.map(drop)
    }

    pub(super) async fn freeze(&self) -> Result<Option<Versioned<Reservation>>, EngineError> {
        let key = ReservationKey::retention_freeze(&self.tenant);
        Ok(self.core.store.find::<Reservation>(&self.scope(), key).await?)
    }
}
