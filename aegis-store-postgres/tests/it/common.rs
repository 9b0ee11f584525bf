//! Changesets to commit.

use aegis_core::{
    model::{
        BackupJob, ChangesetId, ClusterName, Entity, EntityKey, EventFacts, EventKind, Position, Principal,
        Reservation, ReservationKey, TenantId, Version,
    },
    seams::{Changeset, Claim, Fence, HolderId, LeaseName, Scope, Store},
    testing::fixtures,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::database::{Database, execute};

pub(crate) fn changeset(id: u128) -> Changeset {
    Changeset::new(ChangesetId::from_uuid(Uuid::from_u128(id)), Principal::engine(), fixtures::START)
}

pub(crate) fn inserting(id: u128, entity: impl Into<Entity>) -> Changeset {
    let mut changeset = changeset(id);
    changeset.insert(entity, EventKind::JobCreated, EventFacts::default());
    changeset
}

/// A changeset with two events.
pub(crate) fn pair(id: u128) -> Changeset {
    let mut changeset = inserting(id, fixtures::job(u64::try_from(2 * id).unwrap()));
    let second = fixtures::job(u64::try_from(2 * id + 1).unwrap());
    changeset.insert(second, EventKind::JobCreated, EventFacts::default());
    changeset
}

/// What keeps the changeset 1 waiting in the middle of its statement, between its two events.
pub(crate) struct Stop(PgConnection);

impl Stop {
    pub(crate) async fn within_the_first_pair(database: &Database) -> Self {
        let mut connection = database.connect().await;
        let stopping = "do $$ begin \
            create function stop() returns trigger language plpgsql as \
                'begin perform pg_advisory_xact_lock_shared(1); return new; end'; \
            create trigger stop before insert on event_tail for each row \
                when (new.document -> 'id' ->> 'index' = '1' \
                    and new.document -> 'id' ->> 'changeset' like '%-000000000001') \
                execute function stop(); \
            end $$";
        execute(&mut connection, stopping).await;
        execute(&mut connection, "select pg_advisory_lock(1)").await;
        Self(connection)
    }

    /// Returns once so many statements wait for something.
    pub(crate) async fn until_waiting(&mut self, statements: i64) {
        until_waiting(&mut self.0, statements).await;
    }

    pub(crate) async fn go_on(&mut self) {
        execute(&mut self.0, "select pg_advisory_unlock(1)").await;
    }
}

/// Returns once so many statements on the database wait for a lock.
pub(crate) async fn until_waiting(connection: &mut PgConnection, statements: i64) {
    let waiting = "select count(*) from pg_locks where not granted \
        and pid in (select pid from pg_stat_activity where datname = current_database())";
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut *connection).await.unwrap() < statements {}
}

pub(crate) fn reservation(name: &str) -> Reservation {
    let tenant = TenantId::new("acme").unwrap();
    let key = ReservationKey::idempotency(&tenant, &Principal::engine(), "test", name);
    let owner = EntityKey::ClusterState(ClusterName::new("c1").unwrap());
    Reservation { key, tenant, owner, request_hash: None, expires_at: None }
}

/// A changeset with something of each kind of part: a fence, expectations, an insert, an update and a
/// deletion. What it needs is committed first, under the ids before `id`.
pub(crate) async fn varied(store: &dyn Store, id: u128) -> Changeset {
    let number = u64::try_from(id).unwrap();
    let job = |offset: u64| fixtures::job(number + offset);
    let gone = reservation(&format!("gone {id}"));
    let mut before = changeset(id - 1);
    for entity in [Entity::from(job(0)), job(1).into(), gone.clone().into()] {
        before.insert(entity, EventKind::JobCreated, EventFacts::default());
    }
    store.commit(before).await.unwrap();
    let mut changeset = changeset(id);
    changeset.fence(lease(store, &LeaseName::cluster(&fixtures::cluster())).await);
    changeset.expect_unchanged(EntityKey::Job(job(0).id), Version::FIRST);
    changeset.expect_absent(Entity::from(reservation("never")).key());
    changeset.insert(job(2), EventKind::JobCreated, EventFacts::default());
    let changed = BackupJob { priority: 9, ..job(1) };
    changeset.update(Version::FIRST, changed, EventKind::JobStarted, EventFacts::default());
    let read = aegis_core::model::Versioned { version: Version::FIRST, value: std::sync::Arc::new(gone) };
    changeset.delete(&read, EventKind::ReservationReleased, EventFacts::default());
    changeset
}

pub(crate) async fn lease(store: &dyn Store, name: &LeaseName) -> Fence {
    let me = HolderId("the test".to_owned());
    match store.claim(name, &me, std::time::Duration::from_secs(600)).await.unwrap() {
        Claim::Granted(lease) => lease.fence,
        Claim::Held { by, .. } => panic!("{name} is held by {by}"),
    }
}

/// The changesets of all events, one entry for each event, once everything is sealed.
pub(crate) async fn changesets_of_events(store: &dyn Store) -> Vec<u128> {
    let fence = lease(store, &LeaseName::sealer()).await;
    while store.seal(&fence, 1_000).await.unwrap().count > 0 {}
    let events = store.events(&Scope::Everyone, Position::START, usize::MAX).await.unwrap();
    events.iter().map(|sealed| sealed.event.id.changeset.as_uuid().as_u128()).collect()
}
