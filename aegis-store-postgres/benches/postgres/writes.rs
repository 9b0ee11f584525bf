//! Commits: new jobs, next states, imports, claims.

use std::{cell::RefCell, time::Duration};

use aegis_core::{
    model::{
        BackupJob, BackupRecord, ClusterName, Entity, EntityKey, EventFacts, EventKind, JobStatus, Version,
        Versioned,
    },
    seams::{Changeset, Committed, HolderId, JobOrder, JobQuery, LeaseName, Scope, Store, Window},
    testing::fixtures,
};

use crate::{Bench, bare, changeset, fresh, print, timed};

pub(crate) async fn all(bench: &Bench) {
    for writers in [1, 8, 32] {
        creations(bench, writers).await;
    }
    for writers in [1, 8, 32] {
        transitions(bench, writers).await;
    }
    imports(bench).await;
    gets(bench).await;
    single_claims(bench).await;
    claims(bench, "nothing finished").await;
    history(bench).await;
}

pub(crate) fn job(number: u64) -> BackupJob {
    let cluster = ClusterName::new(format!("w{}", number % 20)).unwrap();
    let created_at = fixtures::START.saturating_add(Duration::from_micros((number % (1 << 40)) * 1_000));
    BackupJob { cluster, created_at, ..fixtures::job(number) }
}

fn inserting(entities: impl IntoIterator<Item = Entity>, kind: EventKind) -> Changeset {
    let mut changeset = changeset();
    for entity in entities {
        changeset.insert(entity, kind, EventFacts::default());
    }
    changeset
}

fn starting(job: BackupJob, read: Version) -> Changeset {
    let mut changeset = changeset();
    let running = BackupJob { status: JobStatus::InProgress, ..job };
    changeset.update(read, running, EventKind::JobStarted, EventFacts::default());
    changeset
}

async fn commit(bench: &Bench, changeset: Changeset) {
    assert_eq!(bench.store.commit(changeset).await.unwrap(), Committed::Applied);
}

/// Inserts so many jobs; answers them.
async fn fill(bench: &Bench, jobs: u64, made: impl Fn(u64) -> BackupJob) -> Vec<BackupJob> {
    let all: Vec<_> = (0..jobs).map(|_| made(bench.number())).collect();
    for some in all.chunks(1_000) {
        commit(bench, inserting(some.iter().cloned().map(Entity::from), EventKind::JobCreated)).await;
    }
    all
}

async fn creations(bench: &Bench, writers: usize) {
    let creation = |number| inserting([job(number).into()], EventKind::JobCreated);
    let store = async |number| commit(bench, creation(number)).await;
    let bare = async |number| bare::write(&bench.bare, creation(number)).await;
    bench.rates(&format!("create a job, {writers} writers"), 0.9, writers, store, bare).await;
}

async fn transitions(bench: &Bench, writers: usize) {
    let each = 1_000 * (bench.stretch.as_secs() + 1);
    let mut figures = Vec::new();
    for _ in 0..bench.pairs {
        let jobs = RefCell::new(fill(bench, each, job).await);
        let next = || jobs.borrow_mut().pop().map(|job| starting(job, Version::FIRST));
        let store = drain(writers, each, next, async |next| commit(bench, next).await).await;
        let jobs = RefCell::new(fill(bench, each, job).await);
        let next = || jobs.borrow_mut().pop().map(|job| starting(job, Version::FIRST));
        let bare = drain(writers, each, next, async |next| bare::write(&bench.bare, next).await).await;
        figures.push((store, bare));
    }
    print(&format!("a job's next state, {writers} writers"), "/s", &figures, ">= 0.90");
}

/// How many a second `writers` at once get done of all that `next` has.
async fn drain(
    writers: usize,
    all: u64,
    next: impl Fn() -> Option<Changeset>,
    work: impl AsyncFn(Changeset),
) -> f64 {
    let spent = timed(async || {
        let writer = async || {
            while let Some(changeset) = next() {
                work(changeset).await;
            }
        };
        futures::future::join_all((0..writers).map(|_| writer())).await;
    });
    all as f64 / (spent.await / 1e3)
}

async fn imports(bench: &Bench) {
    let import = |number: u64| {
        let record = |n| BackupRecord { id: fixtures::id(number * 100 + n), ..fixtures::record(1) };
        inserting((0..100).map(|n| record(n).into()), EventKind::RecordCreated)
    };
    let store = async |number| commit(bench, import(number)).await;
    let bare = async |number| bare::import(&bench.bare, import(number)).await;
    bench.rates("import of 100 records", 0.75, 1, store, bare).await;
}

async fn gets(bench: &Bench) {
    let jobs = fill(bench, 1_000, job).await;
    let id = |number: u64| jobs[usize::try_from(number % 1_000).unwrap()].id;
    let scope = Scope::Tenant(fixtures::tenant());
    let store = async |number| {
        assert!(bench.store.get(&scope, &EntityKey::Job(id(number))).await.unwrap().is_some());
    };
    let bare = async |number| {
        let text = "select version, document::text from job where id = $1 and tenant = $2";
        let query = sqlx::query(text).bind(id(number).as_uuid()).bind(fixtures::tenant().as_str().to_owned());
        assert_eq!(bare::rows(&bench.bare, query).await.len(), 1);
    };
    bench.rates("get by id", 0.9, 1, store, bare).await;
}

/// Leases of as many names as there are numbers.
async fn single_claims(bench: &Bench) {
    let name = |number: u64| LeaseName::notifier(&format!("n{}", number % 1_000));
    let (me, ttl) = (HolderId("bench".to_owned()), Duration::from_secs(60));
    let store = async |number| {
        bench.store.claim(&name(number), &me, ttl).await.unwrap();
    };
    let bare = async |number| {
        let text = "insert into lease as l (name, generation, holder, expires_at) values ($1, 1, $2, now() + $3) \
            on conflict (name) do update set expires_at = excluded.expires_at, holder = excluded.holder, \
                generation = case when l.holder = excluded.holder then l.generation else l.generation + 1 end \
            where l.holder = excluded.holder or l.expires_at < now() returning generation";
        let query = sqlx::query(text).bind(name(number).as_str().to_owned()).bind(me.0.clone()).bind(ttl);
        assert_eq!(bare::rows(&bench.bare, query).await.len(), 1);
    };
    bench.rates("claim of a lease", 0.9, 1, store, bare).await;
}

/// Takes what waits longest: 100 jobs at a time, and one.
pub(crate) async fn claims(bench: &Bench, among: &str) {
    let cluster = ClusterName::new("waiting").unwrap();
    let waiting = |number| BackupJob { cluster: cluster.clone(), ..job(number) };
    for (limit, turns, target) in [(100, 20, 0.5), (1, 200, 0.9)] {
        let mut figures = Vec::new();
        for _ in 0..bench.pairs {
            fill(bench, 2 * limit * turns, waiting).await;
            let (mut store, mut beside) = (0.0, 0.0);
            for _ in 0..turns {
                store += timed(async || take(bench, &cluster, limit).await).await;
                let taken = async || {
                    let limit = i64::try_from(limit).unwrap();
                    bare::take(&bench.bare, fresh(), cluster.as_str(), limit).await;
                };
                beside += timed(taken).await;
            }
            let rate = |spent: f64| (limit * turns) as f64 / (spent / 1e3);
            figures.push((rate(store), rate(beside)));
        }
        print(&format!("claims of {limit}, {among}"), "/s", &figures, &format!(">= {target:.2}"));
    }
}

async fn take(bench: &Bench, cluster: &ClusterName, limit: u64) {
    let mut query =
        JobQuery::new(Scope::Everyone).with_window(Window::first(usize::try_from(limit).unwrap()));
    (query.cluster, query.statuses, query.order) =
        (Some(cluster.clone()), vec![JobStatus::Pending], JobOrder::Dispatch);
    query.hidden = true;
    let mut changeset = changeset();
    for Versioned { version, value } in bench.store.jobs(&query).await.unwrap().items {
        let running = BackupJob { status: JobStatus::InProgress, ..(*value).clone() };
        changeset.update(version, running, EventKind::JobStarted, EventFacts::default());
    }
    assert_eq!(changeset.changes.len() as u64, limit);
    commit(bench, changeset).await;
}

/// One job from its first entry in the log to its ten thousandth.
async fn history(bench: &Bench) {
    const ENTRIES: u64 = 10_000;
    let job = fill(bench, 1, job).await.remove(0);
    let mut times = Vec::new();
    for version in 1..=ENTRIES {
        let next = || starting(job.clone(), Version(version));
        times.push(timed(async || commit(bench, next()).await).await);
    }
    let (first, last) = (times[..500].to_vec(), times[times.len() - 500..].to_vec());
    let (first, last) = (crate::median(first), crate::median(last));
    print("a job's next state, with 10,000 entries against with 1", " ms", &[(last, first)], "~ 1");
}
