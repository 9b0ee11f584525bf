//! What has to wait, however much of it there is, holds up nothing else.

use std::time::Duration;

use aegis_core::{
    model::{
        BackupJob, BackupRecord, ChangesetId, Entity, EventFacts, EventKind, ExpiredBy, JobStatus, Principal,
        RecordLifecycle, RecordState,
    },
    seams::{Changeset, WorkKind},
    testing::{
        Script,
        fixtures::{self, at},
    },
};

use crate::world::{START, World, options, tenant};

/// More than the engine reads at once.
const MANY: u64 = 600;
const HOUR: Duration = Duration::from_secs(3600);

/// Writes entities down as if the engine had.
async fn write(world: &World, entities: impl IntoIterator<Item = Entity>) {
    let id: ChangesetId = fixtures::id(1);
    let mut changeset = Changeset::new(id, Principal::engine(), START);
    for entity in entities {
        changeset.insert(entity, EventKind::RecordChecked, EventFacts::default());
    }
    world.store.commit(changeset).await.unwrap();
}

#[tokio::test]
async fn a_backup_starts_behind_many_whose_location_is_full() {
    let world = World::new();
    let mut crowded = options();
    crowded.max_running_per_location = 1;
    let aegis = world.builder().options(crowded).build().unwrap();
    world.driver.script_usual(WorkKind::Backup, Script::hanging());
    let urgent = |n| BackupJob { priority: 9, ..fixtures::job(n) };
    let elsewhere =
        BackupJob { location: "s3://backups/local/other/".parse().unwrap(), ..fixtures::job(MANY) };
    let last = elsewhere.id;
    write(&world, (0..MANY).map(urgent).chain([elsewhere]).map(Entity::from)).await;
    aegis.pass().await;
    assert_eq!(world.driver.begun().len(), 2, "one at each location");
    assert_eq!(tenant(&aegis).job(last).await.unwrap().job.status, JobStatus::InProgress);
}

#[tokio::test]
async fn a_record_is_deleted_behind_many_that_have_to_stay() {
    let world = World::new();
    let aegis = world.engine();
    let expired = |record: BackupRecord| BackupRecord {
        lifecycle: RecordLifecycle::Expired {
            at: START,
            by: ExpiredBy::Person(fixtures::principal()),
            delete_after: at(3600),
            reason: "asked for".to_owned(),
        },
        ..record
    };
    let parents = (1..=MANY).map(|n| expired(BackupRecord { created_at: at(120), ..fixtures::record(n) }));
    let children = (1..=MANY).map(|n| BackupRecord {
        parent: Some(fixtures::id(n)),
        chain: fixtures::id(n),
        created_at: at(180),
        ..fixtures::record(MANY + n)
    });
    let free = expired(fixtures::record(0));
    let (freed, kept) = (free.id, fixtures::record(MANY).id);
    write(&world, parents.chain(children).chain([free]).map(Entity::from)).await;
    let state = async |id| tenant(&aegis).record(id).await.unwrap().record.state();
    world.run(&aegis, HOUR / 2).await;
    assert_eq!(state(freed).await, RecordState::Expired, "its grace time goes on");
    world.run(&aegis, HOUR).await;
    assert_eq!((state(freed).await, state(kept).await), (RecordState::Deleted, RecordState::Expired));
}
