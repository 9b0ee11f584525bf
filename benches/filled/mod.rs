//! A store after many runs of 10,000 policies, and an engine over it.
//!
//! Every policy has its state and its counts as that many runs leave them. The jobs and records of
//! all those runs would not fit into the memory of most machines, so some policies have them and the
//! others do not: the answers must not care.

#![expect(unreachable_pub, reason = "shared by benches")]
#![expect(clippy::clone_on_ref_ptr, reason = "`Arc::clone` would not let the clone become an `Arc<dyn …>`")]

pub mod history;

use std::{sync::Arc, time::Duration};

use aegis::{
    Aegis,
    engine::Tenant,
    model::{
        BackupJob, BackupRecord, Bytes, ChangesetId, Entity, EventFacts, EventKind, JobId, JobStatus,
        PolicyId, PolicyState, Position, Principal, RecentBackup, RecordId, RecoveryPoint, Sizes, Timestamp,
        UsablePoint,
    },
    rules::health::{Outcome, RunFact, Tally},
    seams::{Changeset, Claim, DerivedRow, HolderId, LeaseName, ReaderStep, Store},
    testing::{ManualClock, MemoryObjectStorage, ScriptedDriver, fixtures},
};

pub const POLICIES: u64 = 10_000;
/// How long ago the first of their runs was.
pub const SPAN: Duration = Duration::from_secs(360 * 24 * 3600);
/// How many runs there are room for in the ids of each policy.
pub const ROOM: u64 = 8_640;

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The clock of such a store: all runs lie behind it.
pub fn clock() -> Arc<ManualClock> {
    let clock: Arc<ManualClock> = Arc::new(ManualClock::starting_at(fixtures::START));
    clock.advance(SPAN);
    clock
}

/// Writes what so many runs of every policy leave; the first `with_history` policies have all their
/// slots, jobs and records, and what was done with some of these.
pub async fn fill(store: &dyn Store, runs: u64, with_history: u64) -> Result<(), Failure> {
    let mut filling = Filling { store, count: 0, next: Vec::new() };
    for number in 0..POLICIES {
        filling.add(Entity::from(fixtures::policy(number))).await?;
        filling.add(Entity::from(state(number, runs))).await?;
        if number < with_history {
            for run in 0..runs {
                filling.add(Entity::from(history::slot(number, run, runs))).await?;
                filling.add(Entity::from(job(number, run, runs))).await?;
                filling.add(Entity::from(record(number, run, runs))).await?;
            }
        }
    }
    for entity in history::all(with_history, runs) {
        filling.add(entity).await?;
    }
    filling.flush().await?;
    keep_counts(store, runs).await
}

/// An engine over a store.
pub fn tenant(store: Arc<dyn Store>, clock: Arc<ManualClock>) -> Result<Tenant, Failure> {
    let storage = MemoryObjectStorage::new(fixtures::location(), clock.clone());
    let engine = Aegis::builder()
        .store(store)
        .clock(clock.clone())
        .cluster("local", Arc::new(ScriptedDriver::new(clock)))
        .storage(Arc::new(storage))
        .seed([7; 32])
        .build()?;
    Ok(engine.default_tenant()?)
}

/// The one in the middle.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Commits what it is given, a thousand at a time.
struct Filling<'a> {
    store: &'a dyn Store,
    count: u64,
    next: Vec<Entity>,
}

impl Filling<'_> {
    async fn add(&mut self, entity: Entity) -> Result<(), Failure> {
        self.next.push(entity);
        if self.next.len() < 1000 { Ok(()) } else { self.flush().await }
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        self.count += 1;
        let id: ChangesetId = fixtures::id(self.count);
        let mut changeset = Changeset::new(id, Principal::engine(), fixtures::START);
        for entity in self.next.drain(..) {
            changeset.insert(entity, EventKind::RecordChecked, EventFacts::default());
        }
        self.store.commit(changeset).await?;
        Ok(())
    }
}

/// Seals the log, and keeps what the readers of it would have counted.
async fn keep_counts(store: &dyn Store, runs: u64) -> Result<(), Failure> {
    let holder = HolderId("bench".to_owned());
    let Claim::Granted(lease) = store.claim(&LeaseName::sealer(), &holder, Duration::from_secs(3600)).await?
    else {
        return Err("someone else seals".into());
    };
    let head = loop {
        let sealed = store.seal(&lease.fence, 10_000).await?;
        if sealed.count == 0 {
            break sealed.head;
        }
    };
    store.release(&lease.fence).await?;
    for (reader, counted) in [("figures/ended", runs), ("figures/left-month", runs - runs / 12)] {
        let mut step = ReaderStep::new(reader, Position::START, head);
        for number in 0..POLICIES {
            let policy: PolicyId = fixtures::id(number);
            step.derived.push(row(format!("policy/{policy}"), counted)?);
        }
        store.advance_reader(step).await?;
    }
    history::refuse(store, head).await
}

/// So many runs that completed, under a key.
pub fn row(key: String, runs: u64) -> Result<DerivedRow, Failure> {
    let one = Tally::of(&RunFact {
        at: fixtures::START,
        outcome: Outcome::Completed,
        kind: aegis::model::BackupKind::Full,
        policy: None,
        cluster: fixtures::cluster(),
        took: Duration::ZERO,
        size: None,
        added: None,
    });
    let tally = (0..runs).fold(Tally::default(), |sum, _| sum.plus(&one));
    Ok(DerivedRow { tenant: fixtures::tenant(), key, document: serde_json::to_string(&tally)?.into() })
}

/// When a run began: the last one a minute ago.
fn started(run: u64, runs: u64) -> Timestamp {
    let period = SPAN.as_secs() / runs;
    let back = Duration::from_secs((runs - run - 1) * period + 60);
    fixtures::START.saturating_add(SPAN).saturating_sub(back)
}

fn ended(run: u64, runs: u64) -> Timestamp {
    started(run, runs).saturating_add(Duration::from_secs(30))
}

fn job(policy: u64, run: u64, runs: u64) -> BackupJob {
    let number = policy * ROOM + run;
    BackupJob {
        id: fixtures::id::<JobId>(number),
        policy: Some(fixtures::id(policy)),
        status: JobStatus::Completed,
        created_at: started(run, runs),
        completed_at: Some(ended(run, runs)),
        ..fixtures::job(number)
    }
}

fn record(policy: u64, run: u64, runs: u64) -> BackupRecord {
    let number = policy * ROOM + run;
    BackupRecord {
        policy: Some(fixtures::id(policy)),
        recovery_point: RecoveryPoint { at: started(run, runs), ..fixtures::record(number).recovery_point },
        started_at: started(run, runs),
        created_at: ended(run, runs),
        sizes: Sizes { logical: Some(Bytes(1 << 30)), ..Sizes::default() },
        ..fixtures::record(number)
    }
}

fn state(policy: u64, runs: u64) -> PolicyState {
    let mut state = fixtures::policy_state(policy);
    let newest = record(policy, runs - 1, runs);
    state.newest_usable = Some(UsablePoint {
        record: fixtures::id::<RecordId>(policy * ROOM + runs - 1),
        recovery_point_at: newest.recovery_point.at,
        available_at: newest.created_at,
    });
    state.violated_since = None;
    state.next_run_at = Some(newest.created_at.saturating_add(Duration::from_secs(3600)));
    state.last_success_at = Some(newest.created_at);
    for run in (0..runs).rev().take(PolicyState::RECENT) {
        state.note_backup(RecentBackup::of(&record(policy, run, runs)));
    }
    state
}
