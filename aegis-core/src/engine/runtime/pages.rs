//! Records, read by the page: a cluster may have any number of them.

use super::Core;
use crate::{
    engine::EngineError,
    model::{BackupRecord, Versioned},
    seams::{Cursor, RecordQuery, Window},
};

/// How many records one read brings.
const PAGE: usize = 1000;

impl Core {
    /// All records that match, newest first, read by the page, so that no read is long. One that is made
    /// meanwhile is not among them.
    pub(crate) async fn all_records(
        &self,
        mut query: RecordQuery,
    ) -> Result<Vec<Versioned<BackupRecord>>, EngineError> {
        let mut records = Vec::new();
        while self.next_records(&mut query, |page| records.extend(page)).await? {}
        Ok(records)
    }

    /// Shows the next page to `take` and moves the query on behind it; whether there may be more.
    pub(crate) async fn next_records(
        &self,
        query: &mut RecordQuery,
        take: impl FnOnce(Vec<Versioned<BackupRecord>>),
    ) -> Result<bool, EngineError> {
        query.window = Window { after: query.window.after, ..Window::first(PAGE) };
        let page = self.store.records(query).await?.items;
        let is_full = page.len() == PAGE;
        if let Some(last) = page.last() {
            query.window.after = Some(Cursor { at: last.created_at, id: last.id.as_uuid() });
        }
        take(page);
        Ok(is_full)
    }
}
