//! Recovery executions that run into the cluster.

use super::{StartError, failure_of, start_error};
use crate::{
    engine::{
        decide::{ExecutionStep, ExecutionSurroundings, execution_operation},
        runtime::{Worker, worker::Interrupted},
    },
    model::{
        BackupRecord, ClusterState, ExecutionStatus, ExecutionStepKind, Progress, RecoveryExecution,
        RecoveryPlan, Versioned,
    },
    seams::{ExecutionQuery, Observation, Operation, Scope, StoreExt},
};

/// What is read along with an execution.
#[derive(Debug)]
struct Around {
    plan: Option<Versioned<RecoveryPlan>>,
    record: Option<Versioned<BackupRecord>>,
    cluster: Option<Versioned<ClusterState>>,
    progress: Option<Progress>,
}

impl Around {
    fn as_ref(&self) -> ExecutionSurroundings<'_> {
        ExecutionSurroundings {
            plan: self.plan.as_ref(),
            record: self.record.as_ref(),
            cluster: self.cluster.as_ref(),
            percent: self.progress.and_then(|progress| progress.percent()).unwrap_or(0),
        }
    }
}

impl Worker {
    /// Looks at every execution that runs into the cluster.
    pub(crate) async fn watch_executions(&mut self) -> Result<(), Interrupted> {
        let mut query = ExecutionQuery::new(Scope::Everyone);
        query.cluster = Some(self.cluster.clone());
        query.status = Some(ExecutionStatus::Executing);
        for execution in self.core.store.executions(&query).await?.items {
            let operation = execution_operation(&execution);
            if let Some(observation) = self.observe(&operation).await? {
                let done = self.follow_execution(&execution, &operation, observation).await;
                self.go_on(done)?;
            }
        }
        Ok(())
    }

    async fn follow_execution(
        &mut self,
        execution: &Versioned<RecoveryExecution>,
        operation: &Operation,
        observation: Observation,
    ) -> Result<(), Interrupted> {
        let around = self.around(execution).await?;
        match self.decider().observe_execution(execution, &around.as_ref(), observation)? {
            ExecutionStep::Wait => {}
            ExecutionStep::Start => self.start_execution(execution, &around, operation).await?,
            ExecutionStep::Cancel => self.cancel(operation).await,
            ExecutionStep::Commit(changeset) => {
                self.commit(changeset).await?;
            }
        }
        Ok(())
    }

    async fn start_execution(
        &mut self,
        execution: &Versioned<RecoveryExecution>,
        around: &Around,
        operation: &Operation,
    ) -> Result<(), Interrupted> {
        let Err(error) = self.start(operation).await? else { return Ok(()) };
        match start_error(&error) {
            StartError::Final => {
                let failure = failure_of(&error);
                let step = ExecutionStepKind::Fail;
                let changeset =
                    self.decider().end_execution(execution, &around.as_ref(), step, Some(failure), None)?;
                self.commit(changeset).await?;
            }
            StartError::Observe => {
                let error = crate::seams::report(&error).to_string();
                tracing::warn!(execution = %execution.id, %error, "a restore was not started yet");
            }
        }
        Ok(())
    }

    async fn around(&self, execution: &RecoveryExecution) -> Result<Around, Interrupted> {
        let everyone = Scope::Everyone;
        let store = &self.core.store;
        Ok(Around {
            plan: store.find(&everyone, execution.plan).await?,
            record: store.find(&everyone, execution.record.id).await?,
            cluster: store.find(&everyone, execution.target_cluster.clone()).await?,
            progress: self.core.progress_of(execution.operation).await?,
        })
    }
}
