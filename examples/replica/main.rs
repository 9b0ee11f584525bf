//! Three replicas of one service over one PostgreSQL, in one terminal. They find their work in the
//! database; the one that does it is killed in the middle, and the others go on.
//!
//! `cargo run --features postgres --example replica -- postgres://USER@HOST/DATABASE`, or with a server
//! that is gone afterwards, `bash scripts/test-servers.sh run cargo run --features postgres --example replica`
//!
//! It ends with 0 only if every job ended once, as completed, no backup was made twice, and the event log
//! verifies.

mod driver;
mod house;

use std::{
    collections::HashMap,
    env,
    error::Error,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode},
    sync::{Arc, OnceLock},
    time::Duration,
};

use aegis::{
    engine::{SystemClock, Tenant},
    model::{EntityKey, EventKind, JobStatus, Position},
    seams::{Clock, JobQuery, Scope},
};
use driver::Begun;
use house::House;

const JOBS: usize = 36;
const REPLICAS: usize = 3;
/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Tells a child what it is called, and where.
const CHILD: [&str; 4] = ["AEGIS_REPLICA", "AEGIS_REPLICA_URL", "AEGIS_REPLICA_SCHEMA", "AEGIS_REPLICA_HOME"];

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> ExitCode {
    let done = match CHILD.map(env::var) {
        [Ok(name), Ok(url), Ok(schema), Ok(home)] => {
            serve(&name, &house(&url, &schema, Path::new(&home))).await
        }
        _ => show().await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("it did not hold: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// The database: the one that is named, or that of the test servers.
fn url() -> Outcome<String> {
    let named = env::args().nth(1);
    let tests = || env::var("AEGIS_TEST_POSTGRES").ok().map(|server| format!("{server}/postgres"));
    named.or_else(tests).ok_or_else(|| {
        "no database: name one (postgres://USER@HOST/DATABASE), or run it as \
         `bash scripts/test-servers.sh run cargo run --features postgres --example replica`, which starts one"
            .into()
    })
}

fn house<'a>(url: &'a str, schema: &'a str, home: &'a Path) -> House<'a> {
    House { url, schema, home, takes: Duration::from_millis(600), at_a_time: 2, tell: say }
}

/// What one replica does, until it is killed.
async fn serve(name: &str, house: &House<'_>) -> Outcome<()> {
    NAME.get_or_init(|| name.to_owned());
    let aegis = house.engine(&house.ledger(name)?).await?;
    say("serves");
    let mut running = aegis.start();
    running.ended().await;
    Ok(())
}

/// The whole story.
async fn show() -> Outcome<()> {
    let home = tempfile::tempdir()?;
    let (url, schema) = (url()?, format!("aegis_example_{}", std::process::id()));
    let house = house(&url, &schema, home.path());
    let ledger = house.ledger("nobody")?;
    let aegis = house.engine(&ledger).await?;
    let tenant = aegis.default_tenant()?;

    say(&format!("{REPLICAS} replicas over the schema {schema}, which you may drop afterwards"));
    let mut replicas = Replicas::start(&house)?;
    for n in 0..JOBS {
        let job = house::job(n)?;
        tenant.create_job(job).await?;
    }
    say(&format!("posted {JOBS} jobs of {} clusters", house::CLUSTERS));

    let victim =
        until("a replica is in the middle of its work", || async { Ok(in_the_middle(&ledger.begun()?)) })
            .await?;
    let interrupted = replicas.kill(&victim)?;
    say(&format!(
        "killed {victim} (process {interrupted}); others wait {:?} at most for its work",
        house::LEASE
    ));

    until("every job has ended", || async {
        let jobs = tenant.jobs(JobQuery::new(Scope::Everyone)).await?.items;
        Ok(jobs.iter().all(|job| !job.is_live()).then_some(()))
    })
    .await?;
    let ends = until("the log tells of it", || ends_in_the_log(&tenant)).await?;
    drop(replicas);
    check(&tenant, &ends, &ledger.begun()?, &victim).await?;
    let verified = aegis.verify_log().await?;
    println!("\n{verified}");
    if verified.is_whole() { Ok(()) } else { Err("the event log does not verify".into()) }
}

/// Who has finished something and has something left to lose.
fn in_the_middle(begun: &[Begun]) -> Option<String> {
    let has_finished = |process: &str| begun.iter().any(|one| one.is_done && one.process == process);
    let mut unfinished = begun.iter().filter(|one| !one.is_done);
    unfinished.find(|one| has_finished(&one.process)).map(|one| one.process.clone())
}

/// How often the log tells that each job was completed, once it tells that of all.
async fn ends_in_the_log(tenant: &Tenant) -> Outcome<Option<HashMap<EntityKey, u32>>> {
    let mut ends = HashMap::new();
    for sealed in tenant.events(Position::START, 100_000).await? {
        if sealed.event.kind == EventKind::JobCompleted {
            *ends.entry(sealed.event.subject.clone()).or_default() += 1;
        }
    }
    Ok((ends.len() >= JOBS).then_some(ends))
}

/// Every job is completed, once, by one backup; what the dead replica did not finish was made again.
async fn check(
    tenant: &Tenant,
    ends: &HashMap<EntityKey, u32>,
    begun: &[Begun],
    victim: &str,
) -> Outcome<()> {
    let jobs = tenant.jobs(JobQuery::new(Scope::Everyone)).await?.items;
    let is_done = |operation: String| begun.iter().any(|one| one.operation == operation && one.is_done);
    for job in &jobs {
        let made = job.attempts.iter().filter(|attempt| is_done(attempt.operation.to_string())).count();
        let told = ends.get(&EntityKey::Job(job.id)).copied().unwrap_or(0);
        if (job.status, made, told) != (JobStatus::Completed, 1, 1) {
            let (name, status) = (&job.name, job.status);
            return Err(
                format!("{name} is {status}, was backed up {made} times and ended {told} times").into()
            );
        }
    }
    let lost: Vec<_> = begun.iter().filter(|one| !one.is_done).collect();
    if lost.iter().any(|one| one.process != victim) {
        return Err("work was lost that nobody was killed over".into());
    }
    println!(
        "\n{} jobs completed, each once. Backups begun: {}, finished: {}, lost with {victim}: {}",
        jobs.len(),
        begun.len(),
        begun.len() - lost.len(),
        lost.len()
    );
    let mut of: Vec<_> = begun.iter().filter(|one| one.is_done).map(|one| one.process.as_str()).collect();
    of.sort_unstable();
    for work in of.chunk_by(|a, b| a == b) {
        println!("  {} made {}", work.first().unwrap_or(&""), work.len());
    }
    Ok(())
}

/// The processes; none outlives the story.
struct Replicas(HashMap<String, Child>);

impl Replicas {
    fn start(house: &House<'_>) -> Outcome<Self> {
        let this: PathBuf = env::current_exe()?;
        let mut replicas = HashMap::new();
        for n in 1..=REPLICAS {
            let name = format!("replica-{n}");
            let values = [name.as_ref(), house.url.as_ref(), house.schema.as_ref(), house.home.as_os_str()];
            let child = Command::new(&this).envs(CHILD.into_iter().zip(values)).spawn()?;
            replicas.insert(name, child);
        }
        Ok(Self(replicas))
    }

    /// Kills one without a word; answers its number.
    fn kill(&mut self, name: &str) -> Outcome<u32> {
        let child = self.0.get_mut(name).ok_or("no such replica")?;
        child.kill()?;
        child.wait()?;
        Ok(child.id())
    }
}

impl Drop for Replicas {
    fn drop(&mut self) {
        for child in self.0.values_mut() {
            // One that was killed before is gone.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Asks again and again until there is an answer.
async fn until<T, F: Future<Output = Outcome<Option<T>>>>(what: &str, ask: impl Fn() -> F) -> Outcome<T> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    while clock.monotonic().elapsed() < PATIENCE {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        clock.sleep(Duration::from_millis(50)).await;
    }
    Err(format!("waited {PATIENCE:?} until {what}").into())
}

static NAME: OnceLock<String> = OnceLock::new();

/// One line: when, who, what.
fn say(what: &str) {
    let now = SystemClock::new().now().to_string();
    let time = now.get(11..19).unwrap_or(&now);
    println!("{time}  {:<10} {what}", NAME.get().map_or("", String::as_str));
}
