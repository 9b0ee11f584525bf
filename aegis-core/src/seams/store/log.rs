//! What is said of the event log and of progress.

use crate::model::{OperationId, Position, Progress, Timestamp};

/// What sealing came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// How many events were sealed now.
    pub count: usize,
    /// The newest position of the log.
    pub head: Position,
}

/// How far an operation has come, as it was last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgressReport {
    /// The operation.
    pub operation: OperationId,
    /// When it was last seen.
    pub observed_at: Timestamp,
    /// How far it was.
    pub progress: Progress,
    /// The outer system's own word for where it stands, where it has one.
    pub state: Option<String>,
}
