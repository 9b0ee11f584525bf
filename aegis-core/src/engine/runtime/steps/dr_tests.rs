//! DR tests that run into the cluster, and those that its policies ask for.

use super::{StartError, failure_of, start_error};
use crate::{
    engine::{
        EngineError,
        decide::{
            Decider, DrOrder, DrTestStep, DrTestSurroundings, dr_clean_up_operation, dr_restore_operation,
            dr_table,
        },
        runtime::{Outcome, Worker, drills::DrRecords, worker::Interrupted},
    },
    model::{
        BackupRecord, CheckStatus, ClusterState, DrPhase, DrRun, DrTest, DrTestRule, Policy, PolicyState,
        Principal, Timestamp, Verification, VerificationLevel, Versioned,
    },
    rules::{Activity, Standing, settle},
    seams::{
        Changeset, DrTestQuery, ErrorClass, Feature, Operation, RestoredCopy, Scope, StoreExt, Window,
        WorkKind, report,
    },
};

/// What is read along with a DR test.
#[derive(Debug)]
struct Around {
    record: Option<Versioned<BackupRecord>>,
    cluster: Option<Versioned<ClusterState>>,
    presence_check: Option<VerificationLevel>,
    verification_timeout: std::time::Duration,
    lacks_clean_up: Option<&'static str>,
}

impl Around {
    const fn as_ref(&self) -> DrTestSurroundings<'_> {
        DrTestSurroundings {
            record: self.record.as_ref(),
            cluster: self.cluster.as_ref(),
            presence_check: self.presence_check,
            verification_timeout: self.verification_timeout,
            lacks_clean_up: self.lacks_clean_up,
        }
    }
}

/// The DR tests that a policy asks for.
impl Worker {
    /// Settles the times of a policy's DR tests that have come, and begins the one that runs.
    pub(crate) async fn settle_dr_tests(
        &mut self,
        state: &Versioned<PolicyState>,
    ) -> Result<(), Interrupted> {
        let Some(policy) = self.core.store.find::<Policy>(&Scope::Everyone, state.policy).await? else {
            return Ok(());
        };
        let mut changeset = self.decider().changeset();
        let table = dr_table(&policy).filter(|_| policy.enabled);
        let (Some(table), Some(rule)) = (table, &policy.dr_test) else {
            Decider::settle_dr_tests(&mut changeset, &policy, state, None, None);
            self.commit(changeset).await?;
            return Ok(());
        };
        let activity = self.dr_activity(&policy).await?;
        let now = self.core.clock.now();
        let settlement = settle(&table, Standing { watermark: state.dr_test_watermark, now, activity });
        let began = match settlement.run {
            Some(nominal) => Some(self.schedule_dr_test(&mut changeset, &policy, rule, nominal).await?),
            None => None,
        };
        Decider::settle_dr_tests(&mut changeset, &policy, state, Some(&settlement), began);
        self.commit(changeset).await?;
        Ok(())
    }

    async fn dr_activity(&self, policy: &Policy) -> Result<Activity, Interrupted> {
        let mut query = DrTestQuery::new(Scope::Everyone).with_window(Window::first(1));
        query.policy = Some(policy.id);
        query.status = Some(CheckStatus::Running);
        let running = self.core.store.dr_tests(&query).await?.items;
        Ok(if running.is_empty() { Activity::Idle } else { Activity::Active })
    }

    /// Puts a DR test into `changeset`: one that begins, or one that was not run and says why.
    async fn schedule_dr_test(
        &self,
        changeset: &mut Changeset,
        policy: &Policy,
        rule: &DrTestRule,
        nominal: Timestamp,
    ) -> Result<crate::model::DrTestId, Interrupted> {
        let core = &self.core;
        let decider = self.decider();
        let id = decider.ids.mint(decider.now);
        let order = DrOrder {
            tenant: policy.tenant.clone(),
            policy: Some(policy.id),
            nominal_at: Some(nominal),
            target_cluster: rule.target.cluster.clone().unwrap_or_else(|| policy.cluster.clone()),
            verify: rule.verify,
            checks: rule.checks.clone(),
            keep: rule.keep,
            requested_by: Principal::engine(),
            timeout: core.options.dr_test_timeout,
        };
        let ready = match core.choose_record(DrRecords::Policy(policy), rule.select).await {
            Ok(record) => core.prepare_dr_test(&decider, changeset, id, record, &rule.target).await,
            Err(error) => Err(error),
        };
        match ready {
            Ok(prepared) => decider.begin_dr_test(changeset, id, order, prepared),
            Err(error) if is_final(&error) => {
                tracing::warn!(policy = %policy.id, error = %report(&error), "a DR test was not run");
                decider.refuse_dr_test(changeset, id, order, report(&error).to_string());
            }
            Err(error) => return Err(error.into()),
        }
        Ok(id)
    }
}

/// DR tests that run.
impl Worker {
    /// Looks at every DR test that runs into the cluster.
    pub(crate) async fn watch_dr_tests(&mut self) -> Result<(), Interrupted> {
        let mut query = DrTestQuery::new(Scope::Everyone);
        query.cluster = Some(self.cluster.clone());
        query.status = Some(CheckStatus::Running);
        for test in self.core.store.dr_tests(&query).await?.items {
            if let Some(run) = &test.run {
                let done = self.follow_dr_test(&test, run).await;
                self.go_on(done)?;
            }
        }
        Ok(())
    }

    async fn follow_dr_test(&mut self, test: &Versioned<DrTest>, run: &DrRun) -> Result<(), Interrupted> {
        self.polling = true;
        let operation = match run.phase {
            DrPhase::CleaningUp(since) => dr_clean_up_operation(test, run, since),
            DrPhase::Restoring
            | DrPhase::Verifying(_)
            | DrPhase::Checking
            | DrPhase::Stopping
            | DrPhase::Over => dr_restore_operation(test, run),
        };
        let around = self.around_dr_test(test, run).await?;
        let step = match run.phase {
            DrPhase::Restoring => {
                let Some(observation) = self.observe(&operation).await? else { return Ok(()) };
                self.decider().observe_dr_restore(test, around.as_ref(), observation)?
            }
            DrPhase::Verifying(id) => {
                let verification = self.core.store.find::<Verification>(&Scope::Everyone, id).await?;
                self.decider().observe_dr_verification(test, around.as_ref(), verification.as_deref())?
            }
            DrPhase::Checking => {
                let findings = self.checks.findings(&self.core, &test.checks, restored(test, run));
                self.decider().observe_dr_checks(test, around.as_ref(), findings)?
            }
            DrPhase::Stopping => {
                let Some(observation) = self.observe(&operation).await? else { return Ok(()) };
                self.decider().observe_dr_stop(test, around.as_ref(), &observation)?
            }
            DrPhase::CleaningUp(since) => {
                let Some(observation) = self.observe(&operation).await? else { return Ok(()) };
                self.decider().observe_dr_clean_up(test, around.as_ref(), since, observation)?
            }
            DrPhase::Over => return Ok(()),
        };
        self.take_dr_step(test, &around, &operation, step).await
    }

    async fn take_dr_step(
        &mut self,
        test: &Versioned<DrTest>,
        around: &Around,
        operation: &Operation,
        step: DrTestStep,
    ) -> Result<(), Interrupted> {
        match step {
            DrTestStep::Wait | DrTestStep::Check => {}
            DrTestStep::Start => self.start_dr_work(test, around, operation).await?,
            DrTestStep::Cancel => {
                let served = self.served();
                if served.is_some_and(|served| served.driver.capabilities().has(Feature::CancelRestore)) {
                    self.cancel(operation).await;
                }
            }
            DrTestStep::Commit(mut changeset) => {
                self.core.note_exposure(&mut changeset).await?;
                if let Outcome::Applied = self.commit(changeset).await? {
                    self.checks.forget(test.id);
                    // The next phase has something to start or to look at.
                    self.again = true;
                }
            }
        }
        Ok(())
    }

    async fn start_dr_work(
        &mut self,
        test: &Versioned<DrTest>,
        around: &Around,
        operation: &Operation,
    ) -> Result<(), Interrupted> {
        let Err(error) = self.start(operation).await? else { return Ok(()) };
        if start_error(&error) == StartError::Observe {
            let error = report(&error).to_string();
            let kind = operation.work.kind();
            tracing::warn!(test = %test.id, %kind, %error, "work of a DR test was not started yet");
            return Ok(());
        }
        let is_missing = error.class() == ErrorClass::NotFound;
        let reason = failure_of(&error).message;
        let decider = self.decider();
        let mut changeset = if operation.work.kind() == WorkKind::CleanUp {
            decider.fail_dr_clean_up(test, around.as_ref(), reason)?
        } else {
            decider.refuse_dr_restore(test, around.as_ref(), reason, is_missing)?
        };
        self.core.note_exposure(&mut changeset).await?;
        self.commit(changeset).await?;
        Ok(())
    }

    async fn around_dr_test(&self, test: &DrTest, run: &DrRun) -> Result<Around, Interrupted> {
        let everyone = Scope::Everyone;
        let capabilities = self.served().map(|served| served.driver.capabilities());
        let own = self.core.cluster_of(&test.tenant, &run.record.cluster).ok();
        let checks = own.map(|served| &served.driver.capabilities().verification);
        Ok(Around {
            record: self.core.store.find(&everyone, run.record.id).await?,
            presence_check: checks
                .and_then(|levels| levels.range(VerificationLevel::Present..).next().copied()),
            cluster: self.core.store.find(&everyone, test.target_cluster.clone()).await?,
            verification_timeout: self.core.options.verification_timeout,
            lacks_clean_up: capabilities.filter(|can| !can.has(Feature::CleanUp)).map(|can| can.driver),
        })
    }
}

fn restored(test: &DrTest, run: &DrRun) -> RestoredCopy {
    RestoredCopy {
        test: test.id,
        tenant: test.tenant.clone(),
        record: run.record.clone(),
        recovery_point_at: run.recovery_point_at,
        cluster: test.target_cluster.clone(),
        targets: run.options.mapping.clone(),
    }
}

/// Whether an error says that a DR test can't be run as things are, and not that we can't tell.
fn is_final(error: &EngineError) -> bool {
    match error.class() {
        ErrorClass::InvalidInput
        | ErrorClass::NotFound
        | ErrorClass::InvalidTransition
        | ErrorClass::Forbidden
        | ErrorClass::Unsupported => true,
        ErrorClass::AlreadyExists
        | ErrorClass::VersionConflict
        | ErrorClass::Unauthenticated
        | ErrorClass::Unavailable
        | ErrorClass::Indeterminate
        | ErrorClass::RateLimited
        | ErrorClass::Internal => false,
    }
}
