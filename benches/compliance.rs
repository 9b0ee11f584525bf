//! How long it takes to say how 10,000 policies stand now, after 720 runs of each and after 8,640.
//!
//! Every policy has its state and its counts as that many runs leave them. The jobs and records of
//! all those runs would not fit into the memory of most machines, so some policies have them and the
//! others do not: the answer must not care. Both sizes are measured in turn, in the processor time of
//! this process, so that others on the machine count little.
//!
//! `cargo bench --bench compliance --features testing`

#![expect(clippy::clone_on_ref_ptr, reason = "`Arc::clone` would not let the clone become an `Arc<dyn …>`")]

use std::{sync::Arc, time::Duration};

use aegis::{
    Aegis,
    engine::Tenant,
    model::{
        BackupJob, BackupRecord, Bytes, ChangesetId, Entity, EventFacts, EventKind, JobId, JobStatus,
        PolicyId, PolicyState, Position, Principal, RecentBackup, RecordId, RecoveryPoint, Sizes, Timestamp,
        UsablePoint,
    },
    rules::{
        health::{Outcome, RunFact, Tally},
        rto::RtoStatus,
    },
    seams::{Changeset, Claim, DerivedRow, HolderId, LeaseName, ReaderStep, Store},
    store::MemoryStore,
    testing::{ManualClock, MemoryObjectStorage, ScriptedDriver, fixtures},
};

const POLICIES: u64 = 10_000;
/// How many policies have all their jobs and records.
const WITH_HISTORY: u64 = 50;
/// How many runs of a policy lie behind us, over 360 days, and how many of them in the last 30.
const FEW: u64 = 720;
const MANY: u64 = 8_640;
const SPAN: Duration = Duration::from_secs(360 * 24 * 3600);
/// How often each size is measured.
const ROUNDS: usize = 25;
/// What must be reached: milliseconds of processor time, and the larger by the smaller.
const REQUIRED: f64 = 15.0;
const REQUIRED_RATIO: f64 = 1.1;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(run())
}

async fn run() -> Result<(), Failure> {
    let (few, many) = (world(FEW).await?, world(MANY).await?);
    let (mut of_few, mut of_many) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        of_few.push(measure(&few, FEW).await?);
        of_many.push(measure(&many, MANY).await?);
    }
    let (of_few, of_many) = (median(of_few), median(of_many));
    let ratio = of_many / of_few;
    println!("{FEW} runs each: {of_few:.2} ms, {MANY} runs each: {of_many:.2} ms of processor time");
    println!("(required: {REQUIRED} ms), {ratio:.3} times as long (required: {REQUIRED_RATIO})");
    // Without optimisation the figures say nothing.
    let optimised = !cfg!(debug_assertions);
    let kept = of_few.max(of_many) <= REQUIRED && ratio <= REQUIRED_RATIO;
    if optimised && !kept { Err("too slow".into()) } else { Ok(()) }
}

/// One answer, in milliseconds.
async fn measure(tenant: &Tenant, runs: u64) -> Result<f64, Failure> {
    let start = core_time()?;
    let answer = tenant.compliance(None).await?;
    let took = core_time()?.saturating_sub(start);
    let counted = answer.policies.iter().all(|policy| policy.backup_count_30d == runs / 12);
    let judged = answer
        .policies
        .iter()
        .all(|policy| policy.rpo_compliant() && policy.rto_status() == RtoStatus::AtRisk);
    if answer.policies.len() == usize::try_from(POLICIES)? && counted && judged {
        Ok(took.as_secs_f64() * 1000.0)
    } else {
        Err(format!("the answer is wrong: {:?}", answer.policies.first()).into())
    }
}

fn core_time() -> Result<Duration, Failure> {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Ok(Duration::new(u64::try_from(spent.tv_sec)?, u32::try_from(spent.tv_nsec)?))
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// An engine after so many runs of every policy.
async fn world(runs: u64) -> Result<Tenant, Failure> {
    let clock: Arc<ManualClock> = Arc::new(ManualClock::starting_at(fixtures::START));
    clock.advance(SPAN);
    let store = Arc::new(MemoryStore::new(clock.clone()));
    let mut filling = Filling { store: &store, count: 0, next: Vec::new() };
    for number in 0..POLICIES {
        let policy = fixtures::policy(number);
        let state = state(number, runs);
        filling.add(Entity::from(policy)).await?;
        filling.add(Entity::from(state)).await?;
        if number < WITH_HISTORY {
            for run in 0..runs {
                filling.add(Entity::from(job(number, run, runs))).await?;
                filling.add(Entity::from(record(number, run, runs))).await?;
            }
        }
    }
    filling.flush().await?;
    keep_counts(&store, runs).await?;
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

/// Commits what it is given, a thousand at a time.
struct Filling<'a> {
    store: &'a MemoryStore,
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
async fn keep_counts(store: &MemoryStore, runs: u64) -> Result<(), Failure> {
    let holder = HolderId("bench".to_owned());
    let Claim::Granted(lease) = store.claim(&LeaseName::sealer(), &holder, Duration::from_secs(3600)).await?
    else {
        return Err("someone else seals".into());
    };
    let head = store.seal(&lease.fence, usize::MAX).await?.head;
    store.release(&lease.fence).await?;
    for (reader, counted) in [("figures/ended", runs), ("figures/left-month", runs - runs / 12)] {
        let mut step = ReaderStep::new(reader, Position::START, head);
        for number in 0..POLICIES {
            let policy: PolicyId = fixtures::id(number);
            let one = Tally::of(&RunFact {
                at: fixtures::START,
                outcome: Outcome::Completed,
                kind: aegis::model::BackupKind::Full,
                policy: Some(policy),
                cluster: fixtures::cluster(),
                took: Duration::ZERO,
                size: None,
                added: None,
            });
            let tally = (0..counted).fold(Tally::default(), |sum, _| sum.plus(&one));
            let document = serde_json::to_string(&tally)?.into();
            step.derived.push(DerivedRow {
                tenant: fixtures::tenant(),
                key: format!("policy/{policy}"),
                document,
            });
        }
        store.advance_reader(step).await?;
    }
    Ok(())
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
    let number = policy * MANY + run;
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
    let number = policy * MANY + run;
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
        record: fixtures::id::<RecordId>(policy * MANY + runs - 1),
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
