//! The model: what each thing is, and which steps are legal.

mod artifact;
mod backup;
mod id;
mod labels;
mod location;
mod machine;
mod schedule;
mod selection;
mod slot;
mod time;

pub(crate) use machine::labels as machine_labels;

pub use artifact::{ArtifactName, ArtifactNameError};
pub use backup::{
    BackupKind, Bytes, Consistency, Encryption, Failure, IssueGroup, Progress, RecoveryPoint, ResourceCounts,
    Sizes, VerificationLevel,
};
pub use id::{
    ChainId, ChangesetId, ClusterName, DisplayName, DrTestId, ExecutionId, JobId, NameError, NamespaceName,
    OperationId, ParseIdError, PlanId, PolicyId, Principal, RecordId, RetentionRunId, TenantId,
    VerificationId,
};
pub use labels::{Labels, LabelsError};
pub use location::{StorageBackend, StorageUri, StorageUriError};
pub use machine::{Machine, TransitionError, UnknownLabel};
pub use schedule::{
    BlackoutWindow, BoundsError, CatchUp, CronError, CronExpression, CronField, CronFields, Frequency,
    Minute, MonthDay, Overlap, Schedule, ScheduleOptions, Seconds, SecondsError, SlotKind, TimeOfDay,
    Weekday, ZoneError, ZoneName, zone_data_version,
};
pub use selection::{NamespacePattern, NamespaceSelection, ResolvedNamespaces, SelectionError};
pub use slot::{MissReason, SkipReason, Slot, SlotOutcome};
pub use time::{ParseTimestampError, Timestamp};
