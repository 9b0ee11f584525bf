//! A driver that fails to order.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;

use super::{
    call::{Answers, Faulty, ask, cause, change},
    plan::{FaultPlan, FaultPoint},
};
use crate::{
    model::{NamespaceName, OperationId, TenantId},
    seams::{
        BackupDriver, BrowsePage, BrowseRequest, Capabilities, DriverError, InventoryPage, InventoryRequest,
        Observation, Operation, RestorePreview, RestoreWork,
    },
};

/// Another driver, whose calls go wrong as a [`FaultPlan`] says.
#[derive(Debug)]
pub struct FaultyDriver<D: ?Sized> {
    plan: FaultPlan,
    answers: Answers,
    inner: Arc<D>,
}

impl<D: BackupDriver + ?Sized> FaultyDriver<D> {
    /// Makes the calls to `inner` go wrong.
    #[must_use]
    pub fn new(inner: Arc<D>, plan: FaultPlan) -> Self {
        Self { plan, answers: Answers::default(), inner }
    }
}

impl<D: BackupDriver + ?Sized> Faulty for FaultyDriver<D> {
    type Error = DriverError;

    fn plan(&self) -> &FaultPlan {
        &self.plan
    }

    fn answers(&self) -> &Answers {
        &self.answers
    }

    fn unavailable(&self, point: FaultPoint, why: &'static str) -> DriverError {
        DriverError::unavailable(format!("the driver is unavailable for `{point}`")).with_source(cause(why))
    }

    fn indeterminate(&self, point: FaultPoint) -> DriverError {
        DriverError::indeterminate(format!("the driver did not answer to `{point}`: it may have happened"))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<D: BackupDriver + ?Sized> BackupDriver for FaultyDriver<D> {
    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    async fn namespaces(&self) -> Result<Vec<NamespaceName>, DriverError> {
        let question = || "namespaces".to_owned();
        ask(self, FaultPoint::DriverRead, question, || self.inner.namespaces()).await
    }

    async fn start(&self, operation: &Operation) -> Result<(), DriverError> {
        change(self, FaultPoint::Start, || self.inner.start(operation)).await
    }

    async fn observe(&self, operation: &Operation) -> Result<Observation, DriverError> {
        let question = || format!("observe {}", operation.id);
        ask(self, FaultPoint::Observe, question, || self.inner.observe(operation)).await
    }

    async fn cancel(&self, operation: &Operation) -> Result<(), DriverError> {
        change(self, FaultPoint::Cancel, || self.inner.cancel(operation)).await
    }

    async fn preview(&self, tenant: &TenantId, restore: &RestoreWork) -> Result<RestorePreview, DriverError> {
        let question = || format!("preview {tenant} {restore:?}");
        ask(self, FaultPoint::DriverRead, question, || self.inner.preview(tenant, restore)).await
    }

    async fn browse(&self, request: &BrowseRequest) -> Result<BrowsePage, DriverError> {
        let question = || format!("browse {request:?}");
        ask(self, FaultPoint::DriverRead, question, || self.inner.browse(request)).await
    }

    async fn inventory(&self, request: &InventoryRequest) -> Result<InventoryPage, DriverError> {
        let question = || format!("inventory {request:?}");
        ask(self, FaultPoint::DriverRead, question, || self.inner.inventory(request)).await
    }

    fn hints(&self) -> BoxStream<'static, OperationId> {
        self.inner.hints()
    }
}
