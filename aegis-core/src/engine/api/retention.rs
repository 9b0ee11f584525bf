//! Retention, as people preview, run and resume it.

use std::sync::Arc;

use super::{Listing, Tenant};
use crate::{
    engine::{
        EngineError,
        decide::{Group, decisions_of},
        runtime::RETRIES,
    },
    model::{
        ClusterName, EntityKey, EventFacts, EventKind, Policy, PolicyId, Reservation, ReservationKey,
        RetentionDecision, RetentionGroup, RetentionRules, RetentionRun, RetentionRunId, StorageUri,
        Versioned,
    },
    rules::retention::{Acknowledgement, RetentionRefusal},
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
    /// The groups that retention judges apart from one another: those that have records, or those of
    /// them that come from one cluster. A policy has one in each location that it ever put records
    /// into; records of no policy have one for each cluster and location.
    ///
    /// # Errors
    /// As every call.
    pub async fn retention_groups(
        &self,
        cluster: Option<ClusterName>,
    ) -> Result<Vec<RetentionGroup>, EngineError> {
        Ok(self.core.catalogue(&self.tenant).await?.groups(cluster.as_ref()))
    }

    /// What retention would do now with a policy's records in its present location: see
    /// [`preview_group`](Self::preview_group).
    ///
    /// # Errors
    /// `NotFound`; as [`preview_group`](Self::preview_group).
    pub async fn preview_retention(
        &self,
        policy: PolicyId,
        rules: Option<RetentionRules>,
    ) -> Result<RetentionPreview, EngineError> {
        self.preview_group(&self.present_group(policy).await?, rules).await
    }

    /// What retention would do with a group's records now, under its policy's rules or others. Changes
    /// nothing; the same function decides in earnest.
    ///
    /// # Errors
    /// `NotFound` (no such policy, and no such records); `InvalidInput` (rules for records whose policy
    /// is none or deleted, or that would keep nothing); `Unavailable` (a clock that is behind the newest
    /// event).
    pub async fn preview_group(
        &self,
        group: &RetentionGroup,
        rules: Option<RetentionRules>,
    ) -> Result<RetentionPreview, EngineError> {
        let mut group = self.read_group(group, Acknowledgement::Given).await?;
        if let Some(rules) = rules {
            let Some(policy) = &mut group.policy else {
                let message = "no policy has these records, so their time to live and floors decide";
                return Err(EngineError::field("rules", message));
            };
            Arc::make_mut(policy).retention = rules;
        }
        let plan = group.plan(self.core.clock.now()).map_err(refused)?;
        let cautions = plan.cautions();
        Ok(RetentionPreview {
            location: group.key.location,
            decisions: decisions_of(&plan),
            cautions: (!cautions.is_empty()).then(|| cautions.to_string()),
        })
    }

    /// Runs retention now over a policy's records in its present location: see
    /// [`run_group`](Self::run_group).
    ///
    /// # Errors
    /// `NotFound`; as [`run_group`](Self::run_group).
    pub async fn run_retention(
        &self,
        policy: PolicyId,
        acknowledgement: Acknowledgement,
    ) -> Result<RetentionRun, EngineError> {
        self.run_group(&self.present_group(policy).await?, acknowledgement).await
    }

    /// Runs retention over a group's records now. `acknowledgement` says go to what would otherwise
    /// stop and ask.
    ///
    /// # Errors
    /// `NotFound` (no such policy, and no such records); `VersionConflict` if the records changed again
    /// and again meanwhile; `InvalidTransition` while retention is frozen. A run that was refused is an
    /// answer.
    pub async fn run_group(
        &self,
        group: &RetentionGroup,
        acknowledgement: Acknowledgement,
    ) -> Result<RetentionRun, EngineError> {
        self.refuse_while_frozen().await?;
        for _ in 0..RETRIES {
            let group = self.read_group(group, acknowledgement).await?;
            let mut sweep = self.decider().sweep(&group, self.principal.clone());
            self.take_key(&mut sweep.changeset, EntityKey::RetentionRun(sweep.run.id));
            if self.commit(sweep.changeset).await?.is_none() {
                return Ok(sweep.run);
            }
        }
        Err(EngineError::VersionConflict { what: "record" })
    }

    /// A policy's records where it puts them now.
    async fn present_group(&self, policy: PolicyId) -> Result<RetentionGroup, EngineError> {
        let policy = self.find::<Policy>(policy).await?;
        Ok(RetentionGroup {
            cluster: policy.cluster.clone(),
            policy: Some(policy.id),
            location: policy.location.clone(),
        })
    }

    async fn read_group(
        &self,
        key: &RetentionGroup,
        acknowledgement: Acknowledgement,
    ) -> Result<Group, EngineError> {
        let mut group = self.core.group(&self.tenant, key, acknowledgement).await?;
        if group.records.is_empty() && group.policy.is_none() {
            return Err(EngineError::not_found("retention group", key));
        }
        group.last_run = self.core.last_run(&group).await?;
        Ok(group)
    }

    /// One retention run.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn retention_run(&self, id: RetentionRunId) -> Result<Versioned<RetentionRun>, EngineError> {
        self.find::<RetentionRun>(id).await
    }

    /// Retention runs of a policy, newest first.
    ///
    /// # Errors
    /// As every call.
    pub async fn retention_runs(
        &self,
        policy: PolicyId,
        window: Window,
    ) -> Result<Listing<Versioned<RetentionRun>>, EngineError> {
        let mut query = RetentionRunQuery::new(self.scope()).with_window(window);
        query.policy = Some(policy);
        let page = self.core.store.retention_runs(&query).await?;
        Ok(Listing { items: page.items, total: page.total })
    }

    /// Whether nothing expires until a person says go.
    ///
    /// # Errors
    /// As every call.
    pub async fn is_retention_frozen(&self) -> Result<bool, EngineError> {
        Ok(self.freeze().await?.is_some())
    }

    pub(super) async fn refuse_while_frozen(&self) -> Result<(), EngineError> {
        if !self.is_retention_frozen().await? {
            return Ok(());
        }
        let message =
            "retention is frozen since the catalogue was rebuilt: look at it, then resume retention";
        Err(EngineError::Blocked(message.to_owned()))
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

fn refused(refusal: RetentionRefusal) -> EngineError {
    match refusal {
        RetentionRefusal::Rules(error) => EngineError::field("rules", error),
        RetentionRefusal::ClockBehind { .. } => EngineError::Unavailable(refusal.to_string()),
        RetentionRefusal::Unacknowledged(_) => EngineError::Blocked(refusal.to_string()),
    }
}
