//! Commits: what they rest on, and that they are all or nothing.

use super::{
    StoreHarness, changeset, commit, deleting, events, insert, inserting, must, must_conflict, read,
    samples::{at, cluster, cluster_state, id, job, plan, policy_state, reservation, tenant},
    seal, updating, writing,
};
use crate::{
    model::{BackupJob, ClusterState, Entity, EntityKey, JobStatus, PolicyState, Version},
    seams::{Changeset, Committed, Conflict, ErrorClass, JobQuery, LeaseName, Scope, Store, Write},
};

const SECOND: Version = Version(2);

fn running(n: u32) -> BackupJob {
    BackupJob { status: JobStatus::InProgress, ..job(n) }
}

/// An update with the version that was read takes its place, and counts up.
pub async fn an_update_replaces_what_was_read<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    insert(&*store, [job(1)]).await;
    commit(&*store, updating(Version::FIRST, running(1))).await;
    assert_eq!(read(&*store, &EntityKey::Job(id(1))).await, Some((SECOND, running(1).into())));
    commit(&*store, updating(SECOND, job(1))).await;
    assert_eq!(read(&*store, &EntityKey::Job(id(1))).await, Some((Version(3), job(1).into())));
}

/// An update with a version that is not there, older or newer, is refused and says which is.
pub async fn an_update_of_another_version_is_refused<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    insert(&*store, [job(1)]).await;
    commit(&*store, updating(Version::FIRST, running(1))).await;
    for expected in [Version::FIRST, Version(3)] {
        let conflict = must_conflict(store.commit(updating(expected, job(1))).await, "update");
        let key = EntityKey::Job(id(1));
        assert_eq!(conflict, Conflict::Changed { key, expected, found: Some(SECOND) });
    }
    assert_eq!(read(&*store, &EntityKey::Job(id(1))).await, Some((SECOND, running(1).into())));
}

/// An update of what is gone, or never was, is refused and says so.
pub async fn an_update_of_what_is_gone_is_refused<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    insert(&*store, [reservation(1)]).await;
    commit(&*store, deleting(Version::FIRST, reservation(1))).await;
    for gone in [Entity::from(reservation(1)), plan(9).into()] {
        let key = gone.key();
        let conflict = must_conflict(store.commit(updating(Version::FIRST, gone)).await, "update");
        assert_eq!(conflict, Conflict::Changed { key: key.clone(), expected: Version::FIRST, found: None });
        assert_eq!(read(&*store, &key).await, None);
    }
}

/// A deletion with the version that was read removes it, from lists too.
pub async fn a_deletion_removes_what_was_read<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    insert(&*store, [job(1), job(2)]).await;
    commit(&*store, deleting(Version::FIRST, job(1))).await;
    assert_eq!(read(&*store, &EntityKey::Job(id(1))).await, None);
    let left = must(store.jobs(&JobQuery::new(Scope::Everyone)).await, "list jobs").items;
    assert_eq!(left.iter().map(|job| job.id).collect::<Vec<_>>(), [id(2)]);
}

/// A deletion with a version that is not there is refused; so is the second one.
pub async fn a_deletion_of_another_version_is_refused<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let key = EntityKey::Job(id(1));
    insert(&*store, [job(1)]).await;
    commit(&*store, updating(Version::FIRST, running(1))).await;
    let expected = Version::FIRST;
    let conflict = must_conflict(store.commit(deleting(expected, job(1))).await, "delete");
    assert_eq!(conflict, Conflict::Changed { key: key.clone(), expected, found: Some(SECOND) });
    commit(&*store, deleting(SECOND, running(1))).await;
    let conflict = must_conflict(store.commit(deleting(SECOND, running(1))).await, "delete again");
    assert_eq!(conflict, Conflict::Changed { key, expected: SECOND, found: None });
}

/// The key of what was deleted is free, and its versions begin anew.
pub async fn what_was_deleted_may_be_inserted_again<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    insert(&*store, [reservation(1)]).await;
    commit(&*store, updating(Version::FIRST, reservation(1))).await;
    commit(&*store, deleting(SECOND, reservation(1))).await;
    insert(&*store, [reservation(1)]).await;
    let key = Entity::from(reservation(1)).key();
    assert_eq!(read(&*store, &key).await, Some((Version::FIRST, reservation(1).into())));
}

/// An insert of a key that is taken is refused and leaves what is there.
pub async fn an_insert_of_what_exists_is_refused<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    insert(&*store, [job(1)]).await;
    let answer = store.commit(inserting([running(1)])).await;
    let class = answer.as_ref().map_err(crate::seams::StoreError::class).err();
    assert_eq!(class, Some(ErrorClass::AlreadyExists));
    assert_eq!(must_conflict(answer, "insert"), Conflict::Exists { key: EntityKey::Job(id(1)) });
    assert_eq!(read(&*store, &EntityKey::Job(id(1))).await, Some((Version::FIRST, job(1).into())));
}

/// Whatever a decision rests on without writing it must be as it was.
pub async fn an_expected_version_must_be_there_still<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    insert(&*store, [job(1)]).await;
    let key = EntityKey::Job(id(1));
    let resting_on = |n, version| {
        let mut changeset = inserting([plan(n)]);
        changeset.expect_unchanged(key.clone(), version);
        changeset
    };
    commit(&*store, resting_on(1, Version::FIRST)).await;
    commit(&*store, updating(Version::FIRST, running(1))).await;
    let conflict = must_conflict(store.commit(resting_on(2, Version::FIRST)).await, "rest on a version");
    let expected = Version::FIRST;
    assert_eq!(conflict, Conflict::Changed { key: key.clone(), expected, found: Some(SECOND) });
    commit(&*store, deleting(SECOND, running(1))).await;
    let conflict = must_conflict(store.commit(resting_on(3, SECOND)).await, "rest on what is gone");
    assert_eq!(conflict, Conflict::Changed { key: key.clone(), expected: SECOND, found: None });
    assert_eq!(read(&*store, &EntityKey::Plan(id(3))).await, None);
}

/// Whatever must be absent for a decision must be absent still.
pub async fn an_expected_absence_must_hold_still<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let key = EntityKey::ClusterState(cluster("c1"));
    let resting_on_none = |n| {
        let mut changeset = inserting([plan(n)]);
        changeset.expect_absent(key.clone());
        changeset
    };
    commit(&*store, resting_on_none(1)).await;
    insert(&*store, [cluster_state("c1")]).await;
    let conflict = must_conflict(store.commit(resting_on_none(2)).await, "rest on an absence");
    assert_eq!(conflict, Conflict::Exists { key: key.clone() });
    assert_eq!(read(&*store, &EntityKey::Plan(id(2))).await, None);
}

/// Whether the last write, an expectation or a fence fails: nothing of the changeset is done.
pub async fn a_refused_changeset_changes_nothing<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    insert(&*store, [Entity::from(job(1)), reservation(1).into(), plan(1).into()]).await;
    let sound = || {
        writing([
            Write::Insert(job(2).into()),
            Write::Update(running(1).into(), Version::FIRST),
            Write::Delete(reservation(1).into(), Version::FIRST),
        ])
    };
    let mut exists = sound();
    exists.changes.extend(inserting([plan(1)]).changes);
    let mut stale = sound();
    stale.changes.extend(updating(SECOND, plan(1)).changes);
    let mut unexpected = sound();
    unexpected.expect_absent(EntityKey::Plan(id(1)));
    let mut fenced = sound();
    let name = LeaseName::cluster(&cluster("c1"));
    fenced.fence(crate::seams::Fence { name, generation: crate::seams::Generation(1) });
    for refused in [exists, stale, unexpected, fenced] {
        must_conflict(store.commit(refused).await, "commit what does not hold");
        assert_eq!(read(&*store, &EntityKey::Job(id(2))).await, None);
        assert_eq!(read(&*store, &EntityKey::Job(id(1))).await, Some((Version::FIRST, job(1).into())));
        assert!(read(&*store, &Entity::from(reservation(1)).key()).await.is_some());
    }
    seal(&*store).await;
    assert_eq!(events(&*store, &Scope::Everyone).await.len(), 3, "a refused changeset has no events");
}

/// A changeset that was refused was not applied, and is applied once what it rests on holds.
pub async fn a_refused_changeset_may_be_committed_again<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let early = updating(Version::FIRST, running(1));
    must_conflict(store.commit(early.clone()).await, "update what is not there yet");
    insert(&*store, [job(1)]).await;
    commit(&*store, early).await;
    assert_eq!(read(&*store, &EntityKey::Job(id(1))).await, Some((SECOND, running(1).into())));
}

/// A changeset that was applied answers so, does nothing again and has no further events, although
/// nothing of what it rested on holds any more.
pub async fn a_repeated_changeset_is_applied_once<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let fence = super::claim(&*store, &LeaseName::cluster(&cluster("c1")), "me", super::LONG).await;
    insert(&*store, [job(1)]).await;
    let mut once = updating(Version::FIRST, running(1));
    once.changes.extend(inserting([reservation(1)]).changes);
    once.expect_absent(EntityKey::Plan(id(1)));
    once.fence(fence.clone());
    commit(&*store, once.clone()).await;
    assert_eq!(must(store.commit(once.clone()).await, "repeat"), Committed::Already);

    must(store.release(&fence).await, "release");
    insert(&*store, [plan(1)]).await;
    commit(&*store, deleting(Version::FIRST, reservation(1))).await;
    assert_eq!(must(store.commit(once).await, "repeat late"), Committed::Already);
    assert_eq!(read(&*store, &EntityKey::Job(id(1))).await, Some((SECOND, running(1).into())));
    assert_eq!(read(&*store, &Entity::from(reservation(1)).key()).await, None);
    seal(&*store).await;
    assert_eq!(events(&*store, &Scope::Everyone).await.len(), 5);
}

async fn must_be_malformed(store: &dyn Store, changeset: Changeset, what: &str) {
    match store.commit(changeset).await {
        Ok(answer) => panic!("{what} was {answer:?}"),
        Err(error) => assert_eq!(error.class(), ErrorClass::InvalidInput, "{what}: {error}"),
    }
}

/// Two writes of one key, and a change of owner, are no sound changesets.
pub async fn a_malformed_changeset_is_refused<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    insert(&*store, [job(1)]).await;
    must_be_malformed(&*store, inserting([job(2), job(2)]), "two inserts of one key").await;
    let mut twice = updating(Version::FIRST, running(1));
    twice.changes.extend(updating(SECOND, job(1)).changes);
    must_be_malformed(&*store, twice, "two updates of one key").await;
    let stolen = || BackupJob { tenant: tenant("globex"), ..job(1) };
    must_be_malformed(&*store, updating(Version::FIRST, stolen()), "an update to another tenant").await;
    must_be_malformed(&*store, deleting(Version::FIRST, stolen()), "a deletion for another tenant").await;
    assert_eq!(read(&*store, &EntityKey::Job(id(1))).await, Some((Version::FIRST, job(1).into())));
    assert_eq!(read(&*store, &EntityKey::Job(id(2))).await, None);
}

/// A changeset may have expectations alone.
pub async fn a_changeset_without_writes_only_checks<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    insert(&*store, [Entity::from(policy_state(1)), ClusterState::new(cluster("c1")).into()]).await;
    let key = EntityKey::PolicyState(id(1));
    let checking = |version| {
        let mut changeset = changeset();
        changeset.expect_unchanged(key.clone(), version);
        changeset
    };
    commit(&*store, checking(Version::FIRST)).await;
    must_conflict(store.commit(checking(SECOND)).await, "check");
    commit(&*store, updating(Version::FIRST, PolicyState { watermark: at(9), ..policy_state(1) })).await;
    must_conflict(store.commit(checking(Version::FIRST)).await, "check");
}
