//! How far operations have come: notes without version or event.

use std::{collections::HashMap, time::Duration};

use aegis_core::{
    model::OperationId,
    seams::{Monotonic, ProgressReport},
};

/// How long a note is kept at the least.
const KEPT_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// The newest note of each operation, and when it was made.
#[derive(Debug, Default)]
pub(crate) struct ProgressNotes(HashMap<OperationId, (Monotonic, ProgressReport)>);

impl ProgressNotes {
    pub(crate) fn note(&mut self, reports: Vec<ProgressReport>, at: Monotonic) {
        self.0.extend(reports.into_iter().map(|report| (report.operation, (at, report))));
    }

    pub(crate) fn of(&self, operations: &[OperationId]) -> HashMap<OperationId, ProgressReport> {
        let noted = |id: &OperationId| self.0.get(id).map(|(_, report)| (*id, report.clone()));
        operations.iter().filter_map(noted).collect()
    }

    pub(crate) fn prune(&mut self, now: Monotonic) {
        self.0.retain(|_, (at, _)| now.since(*at) <= KEPT_FOR);
    }
}
