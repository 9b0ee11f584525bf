//! The model: what each thing is, and which steps are legal.

mod id;
mod location;
mod time;

pub use id::{
    ChainId, ChangesetId, ClusterName, DisplayName, DrTestId, ExecutionId, JobId, NameError, NamespaceName,
    OperationId, ParseIdError, PlanId, PolicyId, Principal, RecordId, RetentionRunId, TenantId,
    VerificationId,
};
pub use location::{StorageBackend, StorageUri, StorageUriError};
pub use time::{ParseTimestampError, Timestamp};
