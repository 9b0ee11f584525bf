//! What of a tenant's records could be restored, kept in mind from one question to the next.
//!
//! Reading every record takes far longer than looking through them, and few of them change between two
//! questions. As for [rosters](super::roster), the event log tells which did, so that an answer rests on
//! all that was committed before it was asked for. Of each record no more is kept than is asked about.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::{bag::Bag, core::Core};
use crate::{
    engine::EngineError,
    model::{
        BackupRecord, ClusterName, EntityKey, NamespaceName, PolicyId, Position, RecordId, RecordState,
        RetentionGroup, StorageUri, TenantId, Timestamp, Versioned,
    },
    seams::{RecordQuery, Scope},
};

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
    holdings: Bag<Arc<[NamespaceName]>>,
    /// Where records lie, or have lain: many lie in the same locations.
    places: Bag<Arc<[StorageUri]>>,
    /// Whose records lie where.
    owners: Bag<(Option<PolicyId>, Arc<[StorageUri]>)>,
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
    lies_in: Arc<[StorageUri]>,
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

    /// The groups that retention judges apart, or those of one cluster, in order.
    pub(crate) fn groups(&self, cluster: Option<&ClusterName>) -> Vec<RetentionGroup> {
        let shelves = self.clusters.iter().filter(|(name, _)| cluster.is_none_or(|only| only == *name));
        let groups: BTreeSet<_> = shelves.flat_map(|(name, shelf)| shelf.groups(name)).collect();
        groups.into_iter().collect()
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
        let before = self.points.remove(&record.id);
        if RecordState::THERE.contains(&record.state()) {
            let places: Vec<_> = record.copies.iter().map(|copy| copy.location.clone()).collect();
            let point = Point {
                at: record.recovery_point.at,
                policy: record.policy,
                parent: record.parent,
                is_sound: record.is_usable(),
                holds: self.holdings.share(&record.namespaces),
                lies_in: self.places.share(&places),
            };
            self.owners.put((point.policy, Arc::clone(&point.lies_in)));
            self.points.insert(record.id, point);
        }
        if let Some(before) = before {
            self.holdings.take(&before.holds);
            self.places.take(&before.lies_in);
            self.owners.take(&(before.policy, before.lies_in));
        }
    }

    fn groups<'a>(&'a self, cluster: &'a ClusterName) -> impl Iterator<Item = RetentionGroup> + 'a {
        self.owners.things().flat_map(|(policy, places)| {
            let group = |location: &StorageUri| RetentionGroup {
                cluster: cluster.clone(),
                policy: *policy,
                location: location.clone(),
            };
            places.iter().map(group)
        })
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
        self.holdings.things().any(|holds| holds.contains(namespace))
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
        query.states = RecordState::THERE.to_vec();
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

    use proptest::{collection::vec, option, prelude::*, sample::subsequence};

    use super::*;
    use crate::{
        model::{ExpiredBy, FoundBad, RecordCopy, RecordLifecycle, RecoveryPoint, Version},
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
        deleted.lifecycle = RecordLifecycle::Deleted { began_at: at(1), at: at(2) };
        shelf.take(&deleted);
        assert_eq!(shelf.restorable(), Restorable::default());
        assert!(!shelf.holds(id(1), &namespace) && !shelf.knows(&namespace));
    }

    #[test]
    fn records_that_hold_the_same_share_one_list_of_it_and_of_where_they_lie() {
        let shelf = shelf(&[record(1, None), record(2, None), record(2, None)]);
        let [one, two] = [1, 2].map(|number| &shelf.points[&id(number)]);
        assert!(Arc::ptr_eq(&one.holds, &two.holds) && Arc::ptr_eq(&one.lies_in, &two.lies_in));
    }

    fn lifecycle() -> impl Strategy<Value = RecordLifecycle> {
        let by = ExpiredBy::Rules;
        let expired = RecordLifecycle::Expired { at: at(1), by, delete_after: at(2), reason: String::new() };
        let deleted = RecordLifecycle::Deleted { began_at: at(2), at: at(3) };
        prop_oneof![4 => Just(RecordLifecycle::Available), 2 => Just(expired), 2 => Just(deleted)]
    }

    /// What is told of one of a few records: of some policy or none, in some locations, here or gone.
    #[expect(clippy::unwrap_used, reason = "a test stops where a name is not sound")]
    fn told() -> impl Strategy<Value = BackupRecord> {
        let lies_in = subsequence(vec!["s3://one/", "s3://two/", "file:///three/"], 1..=3);
        let holds = subsequence(vec!["app", "db"], 1..=2);
        let which = (1..8_u64, option::of(1..3_u64));
        (which, lies_in, holds, any::<bool>(), lifecycle()).prop_map(
            |((number, policy), lies_in, holds, is_gone, lifecycle)| {
                let copy = |location: &str| RecordCopy {
                    location: location.parse().unwrap(),
                    gone_at: is_gone.then(|| at(1)),
                    ..fixtures::copy()
                };
                BackupRecord {
                    cluster: ClusterName::new(format!("c{}", number % 2)).unwrap(),
                    policy: policy.map(id),
                    copies: lies_in.into_iter().map(copy).collect(),
                    namespaces: holds.into_iter().map(fixtures::namespace).collect(),
                    lifecycle,
                    ..fixtures::record(number)
                }
            },
        )
    }

    proptest! {
        #[test]
        fn the_groups_and_what_is_held_are_those_of_the_records_as_they_were_last_told(
            told in vec(told(), 0..40),
        ) {
            let mut catalogue = Catalogue::new(HashMap::new(), Position::START);
            let mut latest = HashMap::new();
            for record in told {
                catalogue.take(&[Versioned { version: Version(1), value: Arc::new(record.clone()) }]);
                latest.insert(record.id, record);
            }
            latest.retain(|_, record| RecordState::THERE.contains(&record.state()));
            let groups: BTreeSet<_> = latest.values().flat_map(BackupRecord::groups).collect();
            prop_assert_eq!(catalogue.groups(None), groups.into_iter().collect::<Vec<_>>());
            for cluster in catalogue.clusters.keys() {
                let own = || latest.values().filter(|record| record.cluster == *cluster);
                let groups: BTreeSet<_> = own().flat_map(BackupRecord::groups).collect();
                prop_assert_eq!(catalogue.groups(Some(cluster)), groups.into_iter().collect::<Vec<_>>());
                for name in ["app", "db"].map(fixtures::namespace) {
                    let is_held = own().any(|record| record.namespaces.contains(&name));
                    prop_assert_eq!(catalogue.clusters[cluster].knows(&name), is_held);
                }
            }
        }
    }
}
