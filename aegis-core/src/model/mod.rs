//! The model: what each thing is, and which steps are legal.

mod artifact;
mod backup;
mod check;
mod cluster_state;
mod dr_test;
mod entity;
mod event;
mod evidence;
mod id;
mod job;
mod labels;
mod location;
mod machine;
mod policy;
mod record;
mod recovery;
mod reservation;
mod retention;
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
pub use check::{CheckStatus, CheckStep, RetentionDecision, RetentionGroup, RetentionRun, Verification};
pub use cluster_state::{ActiveRestore, ClusterState, Discovery, RestoredBy};
pub use dr_test::{
    DrCleanUp, DrConclusion, DrDestination, DrFinding, DrKeep, DrPhase, DrRestore, DrRun, DrTarget,
    DrTargetError, DrTest, DrTestRule, RecordChoice,
};
pub use entity::{Entity, EntityKey, EntityKind, SlotKey, Stored, Version, Versioned};
pub use event::{
    Anchor, ChainHash, Event, EventFacts, EventId, EventKind, ParseChainHashError, Position, SealedEvent,
};
pub use evidence::{Evidence, EvidenceSource, FoundBad, WasBad};
pub use id::{
    ChainId, ChangesetId, ClusterName, DisplayName, DrTestId, ExecutionId, JobId, NameError, NamespaceName,
    OperationId, ParseIdError, PlanId, PolicyId, Principal, RecordId, RetentionRunId, TenantId,
    VerificationId,
};
pub use job::{Attempt, BackupJob, JobResult, JobStatus, JobStep, JobStepKind};
pub use labels::{Labels, LabelsError};
pub use location::{StorageBackend, StorageUri, StorageUriError};
pub use machine::{Machine, TransitionError, UnknownLabel};
pub use policy::{Policy, PolicyState, PolicyTerm, RecentBackup, Rpo, Rto, UsablePoint};
pub use record::{
    BackupRecord, Deletion, ExpiredBy, Hold, RecordCopy, RecordLifecycle, RecordRef, RecordState, RecordStep,
    RecordStepKind, RecordUse,
};
pub use recovery::{
    Approval, ApprovalRule, ExecutionResult, ExecutionStatus, ExecutionStepKind, ExistingResourcePolicy,
    PlanHash, PlanStatus, PlanStepKind, RecoveryExecution, RecoveryPlan, RestoreOptions, RestoreTarget,
};
pub use reservation::{Reservation, ReservationKey};
pub use retention::{Breaker, KeepRules, RetentionRules, RetentionRulesError};
pub use schedule::{
    BlackoutWindow, BoundsError, CatchUp, CronError, CronExpression, CronField, CronFields, Frequency,
    Minute, MonthDay, Overlap, Schedule, ScheduleOptions, Seconds, SecondsError, SlotKind, TimeOfDay,
    Weekday, ZoneError, ZoneName, zone_data_version,
};
pub use selection::{NamespacePattern, NamespaceSelection, ResolvedNamespaces, SelectionError};
pub use slot::{MissReason, SkipReason, Slot, SlotOutcome};
pub use time::{ParseTimestampError, Timestamp};
