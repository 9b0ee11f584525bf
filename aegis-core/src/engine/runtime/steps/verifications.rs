//! Verifications that run by the cluster's driver.

use super::{StartError, failure_of, start_error};
use crate::{
    engine::{
        decide::{VerificationStep, verification_operation},
        runtime::{Worker, worker::Interrupted},
    },
    model::{BackupRecord, CheckStatus, Verification, Versioned},
    seams::{ErrorClass, Observation, Operation, Scope, StoreExt, VerificationQuery},
};

impl Worker {
    /// Looks at every verification that runs.
    pub(crate) async fn watch_verifications(&mut self) -> Result<(), Interrupted> {
        let mut query = VerificationQuery::new(Scope::Everyone);
        query.cluster = Some(self.cluster.clone());
        query.status = Some(CheckStatus::Running);
        for verification in self.core.store.verifications(&query).await?.items {
            let operation = verification_operation(&verification);
            if let Some(observation) = self.observe(&operation).await? {
                let done = self.follow_verification(&verification, &operation, observation).await;
                self.go_on(done)?;
            }
        }
        Ok(())
    }

    async fn follow_verification(
        &mut self,
        verification: &Versioned<Verification>,
        operation: &Operation,
        observation: Observation,
    ) -> Result<(), Interrupted> {
        let record = self.core.store.find::<BackupRecord>(&Scope::Everyone, verification.record.id).await?;
        match self.decider().observe_verification(verification, record.as_ref(), observation)? {
            VerificationStep::Wait => {}
            VerificationStep::Start => {
                self.start_verification(verification, record.as_ref(), operation).await?
            }
            VerificationStep::Commit(mut changeset) => {
                self.core.note_exposure(&mut changeset).await?;
                self.commit(changeset).await?;
            }
        }
        Ok(())
    }

    async fn start_verification(
        &mut self,
        verification: &Versioned<Verification>,
        record: Option<&Versioned<BackupRecord>>,
        operation: &Operation,
    ) -> Result<(), Interrupted> {
        let Err(error) = self.start(operation).await? else { return Ok(()) };
        if start_error(&error) == StartError::Observe {
            let error = crate::seams::report(&error).to_string();
            tracing::warn!(verification = %verification.id, %error, "a verification was not started yet");
            return Ok(());
        }
        let reason = failure_of(&error).message;
        let step = if error.class() == ErrorClass::NotFound {
            self.decider().miss_verified_record(verification, record, reason)?
        } else {
            self.decider().give_up_verification(verification, record, reason)?
        };
        if let VerificationStep::Commit(mut changeset) = step {
            self.core.note_exposure(&mut changeset).await?;
            self.commit(changeset).await?;
        }
        Ok(())
    }
}
