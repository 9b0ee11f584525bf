//! DR tests, as people ask for them.

use super::{Listing, Tenant};
use crate::{
    engine::{
        EngineError,
        decide::{Decider, DrOrder},
        runtime::{RETRIES, drills::DrRecords},
    },
    model::{
        BackupRecord, ClusterName, DisplayName, DrKeep, DrTarget, DrTest, DrTestId, DrTestRule, EntityKey,
        Policy, PolicyId, RecordChoice, RecordId, VerificationLevel, Versioned,
    },
    seams::DrTestQuery,
};

/// What a DR test restores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DrSubject {
    /// A record of a policy.
    Policy(PolicyId, RecordChoice),
    /// A record of a cluster, whatever it was made for.
    Cluster(ClusterName, RecordChoice),
    /// This record.
    Record(RecordId),
}

/// A DR test to run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewDrTest {
    /// What is restored.
    pub subject: DrSubject,
    /// Where to: nowhere that anything lives.
    pub target: DrTarget,
    /// How deep the record's own cluster checks it after the restore; not at all if `None`.
    pub verify: Option<VerificationLevel>,
    /// Which of the engine's checks look at what was restored, by name, in this order.
    pub checks: Vec<DisplayName>,
    /// What of it stays at the target.
    pub keep: DrKeep,
}

impl NewDrTest {
    /// A DR test that restores, measures and cleans up, without further checks.
    #[must_use]
    pub const fn new(subject: DrSubject, target: DrTarget) -> Self {
        Self { subject, target, verify: None, checks: Vec::new(), keep: DrKeep::Nothing }
    }
}

impl Tenant {
    /// Runs a DR test: restores a record somewhere harmless, has it checked, measures, and has what
    /// was restored removed. It has begun when this answers; [`dr_test`](Self::dr_test) says how it
    /// is.
    ///
    /// What could not be removed, or was not to be, is named in [`DrTest::left_behind`], and why in
    /// [`DrTest::clean_up`].
    ///
    /// # Errors
    /// `NotFound` (the policy or record); `InvalidInput` (a target that is in place or where
    /// something lives, a check that the engine does not have); `InvalidTransition` (there is no
    /// record that could be restored, the target is taken or not empty); `Unsupported` (the target's
    /// driver can't restore there, the record's does not verify so deep).
    pub async fn run_dr_test(&self, new: NewDrTest) -> Result<Versioned<DrTest>, EngineError> {
        for _ in 0..RETRIES {
            let (record, policy) = self.record_of(&new.subject).await?;
            self.check_dr_checks(&record.cluster, new.verify, &new.checks)?;
            let decider = self.decider();
            let mut changeset = self.changeset(&decider);
            let id: DrTestId = decider.ids.mint(decider.now);
            let target_cluster = new.target.cluster.clone().unwrap_or_else(|| record.cluster.clone());
            let prepared =
                self.core.prepare_dr_test(&decider, &mut changeset, id, record, &new.target).await?;
            let order = DrOrder {
                tenant: self.tenant.clone(),
                policy,
                nominal_at: None,
                target_cluster: target_cluster.clone(),
                verify: new.verify,
                checks: new.checks.clone(),
                keep: new.keep,
                requested_by: self.principal.clone(),
                timeout: self.core.options.dr_test_timeout,
            };
            decider.begin_dr_test(&mut changeset, id, order, prepared);
            self.take_key(&mut changeset, EntityKey::DrTest(id));
            if self.commit(changeset).await?.is_none() {
                return self.dr_test(id).await.map_err(EngineError::after_change);
            }
        }
        Err(EngineError::VersionConflict { what: "record or its target" })
    }

    /// The record to restore, and the policy that it proves.
    async fn record_of(
        &self,
        subject: &DrSubject,
    ) -> Result<(Versioned<BackupRecord>, Option<PolicyId>), EngineError> {
        let record = match subject {
            DrSubject::Policy(id, choice) => {
                let policy = self.find::<Policy>(*id).await?;
                self.core.choose_record(DrRecords::Policy(&policy), *choice).await?
            }
            DrSubject::Cluster(cluster, choice) => {
                self.core.cluster_of(&self.tenant, cluster)?;
                self.core.choose_record(DrRecords::Cluster(&self.tenant, cluster), *choice).await?
            }
            DrSubject::Record(id) => {
                let record = self.find::<BackupRecord>(*id).await?;
                if !self.is_restorable(&record).await? {
                    let message = format!("record `{id}` can't be restored: see its state and checks");
                    return Err(EngineError::Blocked(message));
                }
                record
            }
        };
        let policy = record.policy;
        Ok((record, policy))
    }

    /// One DR test.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn dr_test(&self, id: DrTestId) -> Result<Versioned<DrTest>, EngineError> {
        self.find::<DrTest>(id).await
    }

    /// Asks a DR test to end: its restore is cancelled where the driver can, and waited for where it
    /// can't; what it left is cleaned up; then the test ends as not run. Idempotent, and without
    /// effect once what the test came to is known.
    ///
    /// # Errors
    /// `NotFound`; `InvalidTransition` if it has ended.
    pub async fn cancel_dr_test(&self, id: DrTestId) -> Result<Versioned<DrTest>, EngineError> {
        let test = self
            .change::<DrTest>(id, |_, test, mut changeset| {
                Decider::cancel_dr_test(&mut changeset, test)?;
                Ok(changeset)
            })
            .await?;
        Ok(test)
    }

    /// DR tests that match, newest first; the scope of `query` is overridden by this tenant's.
    ///
    /// # Errors
    /// As every call.
    pub async fn dr_tests(&self, mut query: DrTestQuery) -> Result<Listing<Versioned<DrTest>>, EngineError> {
        query.scope = self.scope();
        let page = self.core.store.dr_tests(&query).await?;
        Ok(Listing { items: page.items, total: page.total })
    }

    /// Refuses a rule whose tests could never run.
    pub(super) fn check_dr_rule(
        &self,
        cluster: &ClusterName,
        rule: Option<&DrTestRule>,
    ) -> Result<(), EngineError> {
        let Some(rule) = rule else { return Ok(()) };
        self.core.check_dr_target(&self.tenant, cluster, &rule.target)?;
        self.check_dr_checks(cluster, rule.verify, &rule.checks)
    }

    fn check_dr_checks(
        &self,
        cluster: &ClusterName,
        verify: Option<VerificationLevel>,
        checks: &[DisplayName],
    ) -> Result<(), EngineError> {
        if let Some(unknown) = checks.iter().find(|name| !self.core.checks.contains_key(*name)) {
            let known: Vec<String> = self.core.checks.keys().map(|name| format!("`{name}`")).collect();
            let mend =
                if known.is_empty() { "it has none".to_owned() } else { format!("use {}", known.join(", ")) };
            let message = format!("this engine has no check `{unknown}`: {mend}");
            return Err(EngineError::field("checks", message));
        }
        let capabilities = self.core.cluster_of(&self.tenant, cluster)?.driver.capabilities();
        match verify.filter(|level| !capabilities.verification.contains(level)) {
            Some(level) => {
                let driver = capabilities.driver;
                Err(EngineError::Unsupported(format!("the {driver} driver does not verify up to {level}")))
            }
            None => Ok(()),
        }
    }
}
