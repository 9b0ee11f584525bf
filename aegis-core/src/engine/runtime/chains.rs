//! Whether records can be restored, by all that they depend on.

use std::collections::{BTreeSet, HashMap};

use super::Core;
use crate::{
    engine::EngineError,
    model::{BackupRecord, RecordId, TenantId},
    seams::{RecordQuery, Scope},
};

/// What whoever depends on a record has to know of it.
#[derive(Clone, Copy, Debug)]
struct Link {
    usable: bool,
    parent: Option<RecordId>,
}

impl From<&BackupRecord> for Link {
    fn from(record: &BackupRecord) -> Self {
        Self { usable: record.is_usable(), parent: record.parent }
    }
}

/// The chains of some records, as far as they are usable; `None` where a record is not there.
pub(crate) struct Chains(HashMap<RecordId, Option<Link>>);

impl Chains {
    /// Whether a record and everything that it depends on can be used.
    pub(crate) fn is_whole(&self, record: RecordId) -> bool {
        let mut next = record;
        // No chain has more links than there are records.
        for _ in 0..self.0.len() {
            let Some(link) = self.0.get(&next).copied().flatten().filter(|link| link.usable) else {
                return false;
            };
            let Some(parent) = link.parent else { return true };
            next = parent;
        }
        false
    }

    /// What is yet to be looked at.
    fn missing(&self) -> Vec<RecordId> {
        let links = self.0.values().flatten().filter(|link| link.usable);
        let parents: BTreeSet<_> = links.filter_map(|link| link.parent).collect();
        parents.into_iter().filter(|parent| !self.0.contains_key(parent)).collect()
    }
}

impl Core {
    /// Whether a record and everything that it depends on can be used.
    pub(crate) async fn is_restorable(&self, record: &BackupRecord) -> Result<bool, EngineError> {
        Ok(self.chains(&record.tenant, [record]).await?.is_whole(record.id))
    }

    /// What some records depend on, read a generation at a time.
    pub(crate) async fn chains<'a>(
        &self,
        tenant: &TenantId,
        records: impl IntoIterator<Item = &'a BackupRecord> + Send,
    ) -> Result<Chains, EngineError> {
        let links = records.into_iter().map(|record| (record.id, Some(Link::from(record))));
        let mut chains = Chains(links.collect());
        loop {
            let missing = chains.missing();
            if missing.is_empty() {
                return Ok(chains);
            }
            chains.0.extend(missing.iter().map(|id| (*id, None)));
            let mut query = RecordQuery::new(Scope::Tenant(tenant.clone()));
            query.ids = missing;
            let found = self.store.records(&query).await?.items;
            chains.0.extend(found.iter().map(|record| (record.id, Some(Link::from(&**record)))));
        }
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::testing::fixtures::{self, id};

    fn chains(parents: &[(u64, Option<u64>)]) -> Chains {
        let record = |(number, parent): &(u64, Option<u64>)| BackupRecord {
            parent: parent.map(id),
            ..fixtures::record(*number)
        };
        Chains(parents.iter().map(record).map(|record| (record.id, Some(Link::from(&record)))).collect())
    }

    #[test]
    fn a_record_is_whole_if_all_that_it_rests_on_is_there() {
        let chains = chains(&[(1, None), (2, Some(1)), (3, Some(2)), (4, Some(9))]);
        assert_eq!([1, 2, 3, 4].map(|number| chains.is_whole(id(number))), [true, true, true, false]);
    }

    #[test]
    fn records_that_rest_on_each_other_are_not_whole() {
        let chains = chains(&[(1, Some(2)), (2, Some(1))]);
        assert!(!chains.is_whole(id(1)) && chains.missing().is_empty());
    }
}
