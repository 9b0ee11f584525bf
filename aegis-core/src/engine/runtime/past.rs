//! Records read back into the past, no further than it matters.

use std::collections::{BTreeSet, HashMap};

use super::Core;
use crate::{
    engine::EngineError,
    model::{BackupRecord, RecordId, TenantId, Timestamp, Versioned},
    seams::{Cursor, RecordQuery, Scope, Window},
};

/// How many records of before the time asked about are read at first. Each further read brings twice as many.
const FEW: usize = 8;
/// How many records one read brings at most.
const MANY: usize = 1000;

/// Records that were there at some time after an instant, as far as they were read: newest first by their making.
pub(crate) struct Past {
    query: RecordQuery,
    since: Timestamp,
    limit: usize,
    records: Vec<Versioned<BackupRecord>>,
    unread: Option<Timestamp>,
}

impl Past {
    /// Reads what was made since then, of all that matches.
    pub(crate) async fn since(
        core: &Core,
        mut query: RecordQuery,
        since: Timestamp,
    ) -> Result<Self, EngineError> {
        query.from = Some(since);
        let records = core.all_records(query.clone()).await?;
        (query.from, query.to) = (None, Some(since));
        Ok(Self { query, since, limit: FEW, records, unread: Some(since) })
    }

    /// What was read.
    pub(crate) fn records(&self) -> &[Versioned<BackupRecord>] {
        &self.records
    }

    /// No record that was not read was made later than this; `None` if all were read.
    pub(crate) const fn unread(&self) -> Option<Timestamp> {
        self.unread
    }

    /// Reads some more, further back.
    pub(crate) async fn read_on(&mut self, core: &Core) -> Result<(), EngineError> {
        self.query.window = Window { after: self.query.window.after, ..Window::first(self.limit) };
        let page = core.store.records(&self.query).await?.items;
        let last = page.last().filter(|_| page.len() == self.limit);
        self.unread = last.map(|last| last.created_at);
        self.query.window.after = last.map(|last| Cursor { at: last.created_at, id: last.id.as_uuid() });
        self.limit = (self.limit * 2).min(MANY);
        let since = self.since;
        let was_there = |record: &Versioned<BackupRecord>| {
            record.lifecycle.unusable_since().is_none_or(|gone| gone > since)
        };
        self.records.extend(page.into_iter().filter(was_there));
        Ok(())
    }
}

impl Core {
    /// What records depend on and is not among them, whoever made it.
    pub(crate) async fn ancestors(
        &self,
        tenant: &TenantId,
        records: impl IntoIterator<Item = &BackupRecord>,
    ) -> Result<Vec<Versioned<BackupRecord>>, EngineError> {
        let mut parents: HashMap<RecordId, Option<RecordId>> =
            records.into_iter().map(|record| (record.id, record.parent)).collect();
        let mut ancestors = Vec::new();
        loop {
            let missing: BTreeSet<_> =
                parents.values().flatten().filter(|parent| !parents.contains_key(parent)).copied().collect();
            if missing.is_empty() {
                return Ok(ancestors);
            }
            parents.extend(missing.iter().map(|id| (*id, None)));
            let mut query = RecordQuery::new(Scope::Tenant(tenant.clone()));
            query.ids = missing.into_iter().collect();
            let found = self.store.records(&query).await?.items;
            parents.extend(found.iter().map(|record| (record.id, record.parent)));
            ancestors.extend(found);
        }
    }
}
