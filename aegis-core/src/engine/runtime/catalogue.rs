//! What of a tenant's records could be restored, kept in mind from one question to the next.
//!
//! Reading every record takes far longer than looking through them, and few of them change between two
//! questions. As for [rosters](super::roster), the event log tells which did, so that an answer rests on
//! all that was committed before it was asked for. Of each record no more is kept than is asked about.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use super::core::Core;
use crate::{
    engine::EngineError,
    model::{
        BackupRecord, ClusterName, EntityKey, NamespaceName, PolicyId, Position, RecordId, RecordState,
        TenantId, Timestamp, Versioned,
    },
    seams::{RecordQuery, Scope},
};

/// The states of records that are there.
const THERE: [RecordState; 2] = [RecordState::Available, RecordState::Expired];

/// A tenant's records that are there, by cluster.
#[derive(Clone, Debug)]
pub(crate) struct Catalogue {
    clusters: HashMap<ClusterName, Arc<Shelf>>,
    /// Up to where the log was followed: whatever changes a record now lies behind.
    followed: Position,
}

/// A cluster's records that are there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shelf {
    points: HashMap<RecordId, Point>,
    /// What records hold: many hold the same.
    holdings: HashSet<Arc<[NamespaceName]>>,
}

/// A record, as far as it is asked about.
#[derive(Clone, Debug)]
struct Point {
    /// The instant that its data reflects.
    at: Timestamp,
    policy: Option<PolicyId>,
    /// What it can't be restored without.
    parent: Option<RecordId>,
    /// Whether nothing is known against it.
    is_sound: bool,
    holds: Arc<[NamespaceName]>,
}

/// What of a cluster can be restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Restorable {
    /// How many records.
    pub(crate) count: usize,
    /// The recovery point time of the oldest.
    pub(crate) oldest: Option<Timestamp>,
    /// The recovery point time of the newest.
    pub(crate) newest: Option<Timestamp>,
}

impl Catalogue {
    const fn new(clusters: HashMap<ClusterName, Arc<Shelf>>, followed: Position) -> Self {
        Self { clusters, followed }
    }

    /// The records of a cluster; `None` if it never had any.
    pub(crate) fn shelf(&self, cluster: &ClusterName) -> Option<&Shelf> {
        self.clusters.get(cluster).map(|shelf| &**shelf)
    }

    /// Takes in records as they are.
    fn take(&mut self, records: &[Versioned<BackupRecord>]) {
        for record in records {
            let shelf = self.clusters.entry(record.cluster.clone()).or_default();
            Arc::make_mut(shelf).take(record);
        }
    }
}

impl Shelf {
    fn take(&mut self, record: &BackupRecord) {
        if !THERE.contains(&record.state()) {
            self.points.remove(&record.id);
            return;
        }
        let holds = self.holdings.get(record.namespaces.as_slice()).cloned();
        let holds = holds.unwrap_or_else(|| {
            let holds: Arc<[_]> = record.namespaces.as_slice().into();
            self.holdings.insert(Arc::clone(&holds));
            holds
        });
        let point = Point {
            at: record.recovery_point.at,
            policy: record.policy,
            parent: record.parent,
            is_sound: record.is_usable(),
            holds,
        };
        self.points.insert(record.id, point);
    }

    /// What can be restored now: nothing is known against it, nor against what it rests on.
    pub(crate) fn restorable(&self) -> Restorable {
        let points = self.points.values().filter(|point| self.is_whole(point));
        points.fold(Restorable::default(), |sum, point| Restorable {
            count: sum.count + 1,
            oldest: Some(sum.oldest.map_or(point.at, |oldest| oldest.min(point.at))),
            newest: sum.newest.max(Some(point.at)),
        })
    }

    /// Whether any record holds a namespace.
    pub(crate) fn knows(&self, namespace: &NamespaceName) -> bool {
        self.holdings.iter().any(|holds| holds.contains(namespace))
    }

    /// What policies made and can be restored, the newest first.
    pub(crate) fn by_policy(&self) -> HashMap<PolicyId, Vec<RecordId>> {
        let mut made: HashMap<PolicyId, Vec<(Reverse<Timestamp>, RecordId)>> = HashMap::new();
        for (id, point) in &self.points {
            if let Some(policy) = point.policy.filter(|_| self.is_whole(point)) {
                made.entry(policy).or_default().push((Reverse(point.at), *id));
            }
        }
        let sorted = |mut points: Vec<_>| {
            points.sort_unstable();
            points.into_iter().map(|(_, id)| id).collect()
        };
        made.into_iter().map(|(policy, points)| (policy, sorted(points))).collect()
    }

    /// Whether a record is there and holds a namespace.
    pub(crate) fn holds(&self, record: RecordId, namespace: &NamespaceName) -> bool {
        self.points.get(&record).is_some_and(|point| point.holds.contains(namespace))
    }

    fn is_whole(&self, point: &Point) -> bool {
        let mut link = Some(point);
        // No chain has more links than there are records.
        for _ in 0..=self.points.len() {
            let Some(point) = link.filter(|point| point.is_sound) else { return false };
            let Some(parent) = point.parent else { return true };
            link = self.points.get(&parent);
        }
        false
    }
}

impl Core {
    /// The records of a tenant that are there: nothing that was committed before is missing.
    pub(crate) async fn catalogue(&self, tenant: &TenantId) -> Result<Arc<Catalogue>, EngineError> {
        let kept = self.catalogues.of(tenant);
        let mut kept = kept.lock().await;
        let news = match &*kept {
            Some(catalogue) => self.changed_records(tenant, catalogue.followed).await?,
            None => None,
        };
        // Nothing is awaited from here on, so a call that is dropped leaves what was kept.
        if let (Some(catalogue), Some((changed, followed))) = (&mut *kept, news) {
            if followed != catalogue.followed || !changed.is_empty() {
                let catalogue = Arc::make_mut(catalogue);
                catalogue.take(&changed);
                catalogue.followed = followed;
            }
            return Ok(Arc::clone(catalogue));
        }
        let catalogue = Arc::new(self.read_catalogue(tenant).await?);
        *kept = Some(Arc::clone(&catalogue));
        Ok(catalogue)
    }

    async fn read_catalogue(&self, tenant: &TenantId) -> Result<Catalogue, EngineError> {
        // The log before the records, so that no change is missed.
        let mut catalogue = Catalogue::new(HashMap::new(), self.store.head().await?);
        let mut query = RecordQuery::new(Scope::Tenant(tenant.clone()));
        query.states = THERE.to_vec();
        while self.next_records(&mut query, |page| catalogue.take(&page)).await? {}
        Ok(catalogue)
    }

    /// The records that changed after a position, as they are, and up to where the log was followed;
    /// `None` if they are so many that everything is better read anew.
    async fn changed_records(
        &self,
        tenant: &TenantId,
        after: Position,
    ) -> Result<Option<(Vec<Versioned<BackupRecord>>, Position)>, EngineError> {
        let scope = Scope::Tenant(tenant.clone());
        let Some(since) = self.since(&scope, after).await? else { return Ok(None) };
        let changed: BTreeSet<_> = since
            .events()
            .filter_map(|event| match event.subject {
                EntityKey::Record(record) => Some(record),
                _ => None,
            })
            .collect();
        let mut query = RecordQuery::new(scope);
        query.ids = changed.into_iter().collect();
        let records = if query.ids.is_empty() { Vec::new() } else { self.store.records(&query).await?.items };
        Ok(Some((records, since.head)))
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        model::{FoundBad, RecoveryPoint},
        testing::fixtures::{self, id},
    };

    fn at(seconds: u64) -> Timestamp {
        fixtures::START.saturating_add(Duration::from_secs(seconds))
    }

    fn record(number: u64, parent: Option<u64>) -> BackupRecord {
        BackupRecord {
            parent: parent.map(id),
            policy: Some(id(1)),
            recovery_point: RecoveryPoint { at: at(number), clamped: false },
            ..fixtures::record(number)
        }
    }

    fn shelf(records: &[BackupRecord]) -> Shelf {
        let mut shelf = Shelf::default();
        records.iter().for_each(|record| shelf.take(record));
        shelf
    }

    #[test]
    fn what_rests_on_a_bad_or_a_missing_record_can_not_be_restored() {
        let mut bad = record(2, Some(1));
        bad.find_bad(FoundBad { at: at(9), reason: "it is torn".to_owned() });
        let shelf =
            shelf(&[record(1, None), bad, record(3, Some(2)), record(4, Some(99)), record(5, Some(1))]);
        let expected = Restorable { count: 2, oldest: Some(at(1)), newest: Some(at(5)) };
        assert_eq!(shelf.restorable(), expected);
        assert_eq!(shelf.by_policy()[&id(1)], [id(5), id(1)], "the newest first");
    }

    #[test]
    fn records_that_rest_on_each_other_can_not_be_restored() {
        assert_eq!(shelf(&[record(1, Some(2)), record(2, Some(1))]).restorable(), Restorable::default());
    }

    #[test]
    fn a_record_that_is_taken_in_again_is_as_it_is_now() {
        let mut shelf = shelf(&[record(1, None)]);
        let namespace = fixtures::namespace("app");
        assert!(shelf.holds(id(1), &namespace) && shelf.knows(&namespace));
        let mut deleted = record(1, None);
        deleted.lifecycle = crate::model::RecordLifecycle::Deleted { began_at: at(1), at: at(2) };
        shelf.take(&deleted);
        assert_eq!(shelf.restorable(), Restorable::default());
        assert!(!shelf.holds(id(1), &namespace));
    }
}
