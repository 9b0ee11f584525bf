//! Three replicas over one PostgreSQL, of which one is killed every two seconds: every job ends once,
//! every slot has one outcome, no backup is made twice, and the event log verifies.
//!
//! `AEGIS_TEST_JOBS=10000` makes it long (`scripts/kill-replicas.sh`), `AEGIS_TEST_SEED=N` kills the same
//! replicas again.
#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(clippy::disallowed_methods, reason = "processes run by the machine's own clock")]

#[path = "../examples/replica/driver.rs"]
mod driver;
#[path = "../examples/replica/house.rs"]
mod house;

use std::{
    collections::{HashMap, HashSet},
    env,
    path::Path,
    process::{Child, Command},
    time::{Duration, Instant},
};

use aegis::{
    Aegis,
    engine::{NewPolicy, PolicyChange, Tenant},
    model::{
        BackupJob, JobId, JobStatus, Machine, NamespaceSelection, PolicyId, Position, RetentionRules,
        Schedule, Seconds, SlotOutcome, Timestamp, Versioned,
    },
    seams::{ErrorClass, JobQuery, RecordQuery, Scope, Window},
};
use driver::Begun;
use futures::future;
use house::House;

const NAME: &str = "replicas_that_are_killed_end_every_job_once_and_lose_no_slot";
/// Tells a child of this test what it is called, and where.
const CHILD: [&str; 4] =
    ["AEGIS_TEST_REPLICA", "AEGIS_TEST_REPLICA_URL", "AEGIS_TEST_REPLICA_SCHEMA", "AEGIS_TEST_REPLICA_HOME"];
const REPLICAS: usize = 3;
const KILL_EVERY: Duration = Duration::from_secs(2);
/// So that the jobs come while replicas die.
const POST_EVERY: Duration = Duration::from_millis(8);
const PERIOD: u32 = 2;
/// How long all may stand still before the test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

fn house<'a>(url: &'a str, schema: &'a str, home: &'a Path) -> House<'a> {
    House { url, schema, home, takes: Duration::from_millis(50), at_a_time: 16, tell: |_| {} }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_are_killed_end_every_job_once_and_lose_no_slot() {
    if let [Ok(name), Ok(url), Ok(schema), Ok(home)] = CHILD.map(env::var) {
        return serve(&name, &house(&url, &schema, Path::new(&home))).await;
    }
    let Ok(server) = env::var("AEGIS_TEST_POSTGRES") else {
        let why = "no PostgreSQL server: run bash scripts/test.sh, or set AEGIS_TEST_POSTGRES";
        return aegis::testing::skip(NAME, why);
    };
    let jobs: usize = env::var("AEGIS_TEST_JOBS").map_or(500, |jobs| jobs.parse().unwrap());
    let seed: u64 = env::var("AEGIS_TEST_SEED").map_or(1, |seed| seed.parse().unwrap());
    let home = tempfile::tempdir().unwrap();
    let (url, schema) = (format!("{server}/postgres"), format!("replicas_{}", std::process::id()));
    let house = house(&url, &schema, home.path());
    let ledger = house.ledger("judge").unwrap();
    let aegis = house.engine(&ledger).await.unwrap();
    let tenant = aegis.default_tenant().unwrap();

    let began = Instant::now();
    let policies = create_policies(&tenant).await;
    let mut replicas = Replicas::start(&house, seed);
    let work = async {
        for n in 0..jobs {
            future::join(tenant.create_job(house::job(n).unwrap()), tokio::time::sleep(POST_EVERY))
                .await
                .0
                .unwrap();
        }
        for policy in &policies {
            switch_off(&tenant, *policy).await;
        }
        until_all_have_ended(&tenant).await;
    };
    let killing = async {
        loop {
            tokio::time::sleep(KILL_EVERY).await;
            replicas.kill_one();
        }
    };
    future::select(Box::pin(work), Box::pin(killing)).await;
    let ends = until_all_ends_are_told(&tenant).await;
    let took = began.elapsed();

    let all = all_jobs(&tenant).await;
    let begun = ledger.begun().unwrap();
    every_posted_job_is_completed(&all, jobs);
    every_job_ended_once(&all, &ends);
    no_backup_was_made_twice(&all, &begun, &replicas.killed);
    every_completed_job_has_one_record(&tenant, &all).await;
    let mut slots = 0;
    for policy in policies {
        slots += every_slot_has_one_outcome(&tenant, policy, &all).await;
    }
    the_log_verifies(&aegis).await;

    let lost = begun.iter().filter(|begun| !begun.is_done).count();
    let killed = replicas.killed.len();
    println!(
        "{} jobs, {slots} slots, {killed} replicas killed (seed {seed}), {lost} backups lost with them and made again, in {took:.1?}",
        all.len()
    );
    assert!(killed >= 3, "only {killed} replicas were killed: too few to tell");
}

/// What a child does until it is killed.
async fn serve(name: &str, house: &House<'_>) {
    let aegis = house.engine(&house.ledger(name).unwrap()).await.unwrap();
    let mut running = aegis.start();
    running.ended().await;
}

/// The processes, each under a name that none had before.
struct Replicas<'a> {
    house: &'a House<'a>,
    alive: Vec<(String, Child)>,
    killed: HashSet<String>,
    started: usize,
    chance: u64,
}

impl<'a> Replicas<'a> {
    fn start(house: &'a House<'a>, seed: u64) -> Self {
        let mut replicas =
            Self { house, alive: Vec::new(), killed: HashSet::new(), started: 0, chance: seed };
        (0..REPLICAS).for_each(|_| replicas.start_one());
        replicas
    }

    fn start_one(&mut self) {
        self.started += 1;
        let name = format!("replica-{}", self.started);
        let House { url, schema, home, .. } = self.house;
        let values = [name.as_ref(), url.as_ref(), schema.as_ref(), home.as_os_str()];
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", NAME, "--nocapture"]).envs(CHILD.into_iter().zip(values));
        let child = command.stdout(std::process::Stdio::null()).spawn().unwrap();
        self.alive.push((name, child));
    }

    /// Kills one by chance, without a word, and starts another in its place.
    fn kill_one(&mut self) {
        self.chance =
            self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let place = usize::try_from(self.chance >> 33).unwrap() % self.alive.len();
        let (name, mut child) = self.alive.swap_remove(place);
        assert_eq!(child.try_wait().unwrap(), None, "{name} ended by itself");
        child.kill().unwrap();
        child.wait().unwrap();
        self.killed.insert(name);
        self.start_one();
    }
}

impl Drop for Replicas<'_> {
    fn drop(&mut self) {
        for (_, child) in &mut self.alive {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

async fn create_policies(tenant: &Tenant) -> Vec<PolicyId> {
    let mut policies = Vec::new();
    for n in 0..house::CLUSTERS / 2 {
        let schedule = Schedule::Every { period: Seconds::new(PERIOD).unwrap() };
        let (name, cluster) = (format!("policy-{n}").parse().unwrap(), house::cluster(n).unwrap());
        let new =
            NewPolicy::new(name, cluster, NamespaceSelection::all(), schedule, RetentionRules::days(30));
        policies.push(tenant.create_policy(new).await.unwrap().policy.id);
    }
    policies
}

/// Switches a policy off, however often its own runs are faster.
async fn switch_off(tenant: &Tenant, policy: PolicyId) {
    let mut change = PolicyChange::default();
    change.enabled = Some(false);
    while let Err(error) = tenant.update_policy(policy, change.clone()).await {
        assert_eq!(error.class(), ErrorClass::VersionConflict, "{error}");
    }
}

/// Waits until no job waits or runs. Panics if none ends for long.
async fn until_all_have_ended(tenant: &Tenant) {
    let mut query =
        JobQuery::new(Scope::Everyone).with_window(Window { limit: 0, offset: 0, after: None, count: true });
    query.live = Some(true);
    let (mut least, mut since) = (u64::MAX, Instant::now());
    loop {
        let live = tenant.jobs(query.clone()).await.unwrap().total.unwrap();
        if live == 0 {
            return;
        }
        if live < least {
            (least, since) = (live, Instant::now());
        }
        assert!(since.elapsed() < PATIENCE, "{live} jobs do not end");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn all_jobs(tenant: &Tenant) -> Vec<Versioned<BackupJob>> {
    tenant.jobs(JobQuery::new(Scope::Everyone).with_window(Window::ALL)).await.unwrap().items
}

/// How often the log tells the end of each job, once it tells that of all.
async fn until_all_ends_are_told(tenant: &Tenant) -> HashMap<JobId, u32> {
    let all = all_jobs(tenant).await.len();
    let (mut ends, mut at, since) = (HashMap::new(), Position::START, Instant::now());
    while ends.len() < all {
        for sealed in tenant.events(at, 1_000).await.unwrap() {
            at = sealed.position;
            if let (aegis::model::EntityKey::Job(job), true) =
                (&sealed.event.subject, is_an_end(sealed.event.kind))
            {
                *ends.entry(*job).or_default() += 1;
            }
        }
        assert!(since.elapsed() < PATIENCE, "the log tells the ends of {} jobs of {all}", ends.len());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    ends
}

fn is_an_end(kind: aegis::model::EventKind) -> bool {
    use aegis::model::EventKind::{JobCancelled, JobCompleted, JobFailed, JobPartiallyFailed};
    matches!(kind, JobCompleted | JobPartiallyFailed | JobFailed | JobCancelled)
}

fn every_posted_job_is_completed(all: &[Versioned<BackupJob>], posted: usize) {
    let completed = |job: &&Versioned<BackupJob>| job.policy.is_none() && job.status == JobStatus::Completed;
    assert_eq!(all.iter().filter(completed).count(), posted);
}

fn every_job_ended_once(all: &[Versioned<BackupJob>], ends: &HashMap<JobId, u32>) {
    for job in all {
        assert!(job.status.is_terminal(), "{} is {}", job.name, job.status);
        assert_eq!(ends.get(&job.id), Some(&1), "the ends of {} in the log", job.name);
    }
}

/// A job's next attempt began only when the one before was lost with its process; one was finished.
fn no_backup_was_made_twice(all: &[Versioned<BackupJob>], begun: &[Begun], killed: &HashSet<String>) {
    let mut begun: HashMap<_, _> = begun.iter().map(|begun| (begun.operation.as_str(), begun)).collect();
    for job in all {
        let attempts: Vec<_> =
            job.attempts.iter().map(|attempt| begun.remove(attempt.operation.to_string().as_str())).collect();
        let done = attempts.iter().flatten().filter(|attempt| attempt.is_done).count();
        assert_eq!(done, usize::from(job.status == JobStatus::Completed), "{}: {attempts:?}", job.name);
        let is_last_done = attempts.last().is_some_and(|last| last.is_some_and(|last| last.is_done));
        assert!(is_last_done || done == 0, "{} went on after it was done: {attempts:?}", job.name);
        for lost in attempts.iter().flatten().filter(|attempt| !attempt.is_done) {
            assert!(killed.contains(&lost.process), "{}: nobody killed {}", job.name, lost.process);
        }
    }
    assert!(begun.is_empty(), "the driver began what no job knows of: {begun:?}");
}

async fn every_completed_job_has_one_record(tenant: &Tenant, all: &[Versioned<BackupJob>]) {
    let query = RecordQuery::new(Scope::Everyone).with_window(Window {
        limit: 0,
        offset: 0,
        after: None,
        count: true,
    });
    let records = tenant.records(query).await.unwrap().total.unwrap();
    let completed = all.iter().filter(|job| job.status == JobStatus::Completed);
    let named: HashSet<_> = completed.map(|job| job.result.as_ref().unwrap().record).collect();
    assert_eq!(u64::try_from(named.len()).unwrap(), records);
}

/// Every nominal time from the first on lies in one entry, and each that ran has a job of its own.
async fn every_slot_has_one_outcome(
    tenant: &Tenant,
    policy: PolicyId,
    all: &[Versioned<BackupJob>],
) -> usize {
    let mut slots = tenant.slots(policy, Window::ALL).await.unwrap().items;
    slots.sort_by_key(|slot| slot.nominal_at);
    let own: HashSet<JobId> = all.iter().filter(|job| job.policy == Some(policy)).map(|job| job.id).collect();
    let mut ran = HashSet::new();
    let mut next: Option<Timestamp> = None;
    for slot in &slots {
        assert!(next.is_none_or(|next| slot.nominal_at == next), "{:?} after {next:?}", slot.nominal_at);
        next =
            Some(slot.through.unwrap_or(slot.nominal_at).saturating_add(Duration::from_secs(PERIOD.into())));
        if let SlotOutcome::Ran { job } = slot.outcome {
            assert!(ran.insert(job), "two slots share {job}");
        }
    }
    assert_eq!(ran, own, "jobs of slots");
    assert!(!ran.is_empty(), "no slot ran");
    slots.len()
}

async fn the_log_verifies(aegis: &Aegis) {
    let verified = aegis.verify_log().await.unwrap();
    assert!(verified.is_whole(), "{verified}");
}
