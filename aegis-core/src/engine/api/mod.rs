//! What can be asked of the engine, typed.

mod assess;
mod attainment;
mod compliance;
mod coverage;
mod dead_letters;
mod dr_tests;
mod events;
mod health;
mod jobs;
mod once;
mod plans;
mod policies;
mod rebuild;
mod records;
mod retention;
mod statistics;
mod tenant;
mod tickets;
mod verify_log;

pub use attainment::PolicyAttainment;
pub use compliance::{Compliance, ComplianceStatus, PolicyCompliance};
pub use coverage::{ClusterCoverage, Coverage};
pub use dead_letters::DeadLetter;
pub use dr_tests::{DrSubject, NewDrTest};
pub use health::{BackupStatus, ClusterSummary, HealthSummary, RecoveryReadiness};
pub use jobs::{JobView, NewJob};
pub use once::Once;
pub use plans::{Execute, Executed, ExecutionView, NewPlan, PlanView};
pub use policies::{NewPolicy, PolicyChange, PolicyView};
pub use rebuild::Rebuilt;
pub use records::{HoldRequest, RecordView};
pub use retention::RetentionPreview;
pub use statistics::StatisticsAnswer;
pub use tenant::{Listing, Tenant};
