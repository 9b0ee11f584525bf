//! The bare program: axum and sqlx, the same answers from the same rows, and nothing else.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use aegis::{
    engine::IdSource,
    model::{
        BackupJob, DisplayName, Entity, EventFacts, EventKind, NamespaceSelection, Principal, StorageUri,
        Timestamp,
    },
    seams::{Changeset, Clock},
    testing::fixtures,
};
use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::get,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, SqlitePool};
use uuid::Uuid;

/// Where the rows are.
#[derive(Clone)]
pub(crate) enum Database {
    Postgres(PgPool),
    Sqlite { readers: SqlitePool, writer: SqlitePool },
}

#[derive(Clone)]
struct Bare {
    database: Database,
    clock: Arc<dyn Clock>,
    ids: Arc<IdSource>,
}

pub(crate) fn router(database: Database, clock: Arc<dyn Clock>) -> Router {
    let bare = Bare { database, clock, ids: Arc::new(IdSource::from_seed([9; 32])) };
    Router::new()
        .route("/livez", get(async || Json(Probe { status: "ok" })))
        .route("/api/v1/backups/jobs", get(list_jobs).post(create_job))
        .route("/api/v1/backups/jobs/{id}", get(get_job))
        .with_state(bare)
}

#[derive(Serialize)]
struct Probe {
    status: &'static str,
}

/// What it reads of a job's document. The jobs of the bench were never tried, so it leaves that out.
#[derive(Deserialize)]
struct Stored {
    id: Uuid,
    name: String,
    cluster: String,
    namespaces: Namespaces,
    include_volumes: bool,
    location: String,
    ttl: Option<Duration>,
    labels: BTreeMap<String, String>,
    kind: String,
    policy: Option<Uuid>,
    status: String,
    created_by: String,
    created_at: Timestamp,
    started_at: Option<Timestamp>,
    completed_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Namespaces {
    include: Vec<String>,
    #[serde(default)]
    exclude: Vec<String>,
}

#[derive(Serialize)]
struct Job {
    id: Uuid,
    name: String,
    cluster: String,
    namespaces: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exclude_namespaces: Vec<String>,
    include_volumes: bool,
    storage_backend: String,
    storage_location: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_hours: Option<u64>,
    labels: BTreeMap<String, String>,
    status: String,
    velero_backup_name: Option<String>,
    started_at: Option<Timestamp>,
    completed_at: Option<Timestamp>,
    size_bytes: Option<u64>,
    resource_count: Option<u64>,
    error_message: Option<String>,
    created_at: Timestamp,
    created_by: String,
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_id: Option<Uuid>,
    attempts: [u8; 0],
    warnings: [u8; 0],
    errors: [u8; 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_position: Option<i64>,
}

impl Job {
    fn read(document: &str) -> Self {
        let stored: Stored = serde_json::from_str(document).unwrap();
        Self {
            id: stored.id,
            name: stored.name,
            cluster: stored.cluster,
            namespaces: stored.namespaces.include,
            exclude_namespaces: stored.namespaces.exclude,
            include_volumes: stored.include_volumes,
            storage_backend: stored.location.split_once(':').unwrap().0.to_owned(),
            storage_location: stored.location,
            ttl_hours: stored.ttl.map(|ttl| ttl.as_secs() / 3600),
            labels: stored.labels,
            status: stored.status,
            velero_backup_name: None,
            started_at: stored.started_at,
            completed_at: stored.completed_at,
            size_bytes: None,
            resource_count: None,
            error_message: None,
            created_at: stored.created_at,
            created_by: stored.created_by,
            kind: stored.kind,
            policy_id: stored.policy,
            attempts: [],
            warnings: [],
            errors: [],
            queue_position: None,
        }
    }
}

#[derive(Serialize)]
struct JobAnswer {
    job: Job,
}

#[derive(Serialize)]
struct JobList {
    jobs: Vec<Job>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<i64>,
    limit: usize,
    offset: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Which jobs.
#[derive(Deserialize)]
struct Asked {
    cluster: String,
    status: String,
    to: Timestamp,
    total: Option<bool>,
}

/// A job to make.
#[derive(Deserialize)]
struct Wanted {
    name: DisplayName,
    cluster: String,
    namespaces: Vec<String>,
    ttl_hours: u64,
}

async fn get_job(State(bare): State<Bare>, Path(id): Path<Uuid>) -> Json<JobAnswer> {
    Json(JobAnswer { job: Job::read(&bare.database.job(id).await) })
}

async fn list_jobs(State(bare): State<Bare>, Query(asked): Query<Asked>) -> Json<JobList> {
    let from = bare.clock.now().saturating_sub(Duration::from_secs(30 * 24 * 3600));
    let jobs: Vec<_> = bare.database.page(&asked, from).await.iter().map(|job| Job::read(job)).collect();
    let total = match asked.total {
        Some(false) => None,
        _ => Some(bare.database.count(&asked, from).await),
    };
    let last = jobs.last().filter(|_| jobs.len() == 50);
    let next_cursor = last.map(|job| format!("{}_{}", job.created_at.as_micros(), job.id.simple()));
    Json(JobList { jobs, total, limit: 50, offset: 0, next_cursor })
}

async fn create_job(State(bare): State<Bare>, Json(wanted): Json<Wanted>) -> (StatusCode, Json<JobAnswer>) {
    let now = bare.clock.now();
    let location: StorageUri = fixtures::location();
    let job = BackupJob {
        id: bare.ids.mint(now),
        name: wanted.name,
        cluster: wanted.cluster.parse().unwrap(),
        namespaces: NamespaceSelection::new(wanted.namespaces, Vec::<String>::new()).unwrap(),
        include_volumes: true,
        location,
        ttl: Some(Duration::from_secs(wanted.ttl_hours * 3600)),
        created_by: Principal::new("bench").unwrap(),
        created_at: now,
        ..fixtures::job(0)
    };
    let facts = EventFacts {
        cluster: Some(job.cluster.clone()),
        job: Some(job.id),
        backup: Some(job.kind),
        ..EventFacts::default()
    };
    let mut changeset = Changeset::new(bare.ids.mint(now), job.created_by.clone(), now);
    changeset.insert(job.clone(), EventKind::JobCreated, facts);
    let document = bare.database.insert(&job, changeset).await;
    let mut answer = Job::read(&document);
    answer.queue_position = Some(bare.database.before(&job).await);
    (StatusCode::CREATED, Json(JobAnswer { job: answer }))
}

impl Database {
    async fn job(&self, id: Uuid) -> String {
        match self {
            Self::Postgres(pool) => sqlx::query_scalar(
                "select document::text from job where id = $1 and tenant = 'default' and not hidden",
            )
            .bind(id)
            .fetch_one(pool)
            .await
            .unwrap(),
            Self::Sqlite { readers, .. } => sqlx::query_scalar(
                "select document from job where id = ? and tenant = 'default' and hidden = 0",
            )
            .bind(id)
            .fetch_one(readers)
            .await
            .unwrap(),
        }
    }

    async fn page(&self, asked: &Asked, from: Timestamp) -> Vec<String> {
        match self {
            Self::Postgres(pool) => sqlx::query_scalar(
                "select document::text from job where tenant = 'default' and cluster = $1 and status = $2 \
                 and at >= $3 and at < $4 and not hidden order by at desc, id desc limit 50",
            )
            .bind(&asked.cluster)
            .bind(&asked.status)
            .bind(DateTime::<Utc>::from(from))
            .bind(DateTime::<Utc>::from(asked.to))
            .fetch_all(pool)
            .await
            .unwrap(),
            Self::Sqlite { readers, .. } => sqlx::query_scalar(
                "select document from job where tenant = 'default' and cluster = ? and status = ? \
                 and at >= ? and at < ? and hidden = 0 order by at desc, id desc limit 50",
            )
            .bind(&asked.cluster)
            .bind(&asked.status)
            .bind(from.as_micros())
            .bind(asked.to.as_micros())
            .fetch_all(readers)
            .await
            .unwrap(),
        }
    }

    async fn count(&self, asked: &Asked, from: Timestamp) -> i64 {
        match self {
            Self::Postgres(pool) => sqlx::query_scalar(
                "select count(*) from job where tenant = 'default' and cluster = $1 and status = $2 \
                 and at >= $3 and at < $4 and not hidden",
            )
            .bind(&asked.cluster)
            .bind(&asked.status)
            .bind(DateTime::<Utc>::from(from))
            .bind(DateTime::<Utc>::from(asked.to))
            .fetch_one(pool)
            .await
            .unwrap(),
            Self::Sqlite { readers, .. } => sqlx::query_scalar(
                "select count(*) from job where tenant = 'default' and cluster = ? and status = ? \
                 and at >= ? and at < ? and hidden = 0",
            )
            .bind(&asked.cluster)
            .bind(&asked.status)
            .bind(from.as_micros())
            .bind(asked.to.as_micros())
            .fetch_one(readers)
            .await
            .unwrap(),
        }
    }

    /// How many waiting jobs of its cluster go before this one.
    async fn before(&self, job: &BackupJob) -> i64 {
        match self {
            Self::Postgres(pool) => sqlx::query_scalar(
                "select count(*) from job where tenant = 'default' and cluster = $1 and status = 'pending' \
                 and (priority > 0 or priority = 0 and (at, id) < ($2, $3))",
            )
            .bind(job.cluster.as_str())
            .bind(DateTime::<Utc>::from(job.created_at))
            .bind(job.id.as_uuid())
            .fetch_one(pool)
            .await
            .unwrap(),
            Self::Sqlite { readers, .. } => sqlx::query_scalar(
                "select count(*) from job where tenant = 'default' and cluster = ? and status = 'pending' \
                 and (priority > 0 or priority = 0 and (at, id) < (?, ?))",
            )
            .bind(job.cluster.as_str())
            .bind(job.created_at.as_micros())
            .bind(job.id.as_uuid())
            .fetch_one(readers)
            .await
            .unwrap(),
        }
    }

    /// Writes a new job and what is told of it; answers its document.
    async fn insert(&self, job: &BackupJob, changeset: Changeset) -> String {
        let id = changeset.id.as_uuid();
        let (_, event) = changeset.into_writes().next().unwrap();
        let document = Entity::from(job.clone()).to_document().unwrap();
        let event = serde_json::to_string(&event).unwrap();
        match self {
            Self::Postgres(pool) => {
                sqlx::query(
                    "with remembered as (insert into changeset (id, applied_at) values ($1, now())), \
                     written as (insert into job \
                         (id, version, tenant, cluster, location, status, live, hidden, priority, at, document) \
                         values ($2, 1, 'default', $3, $4, 'pending', true, false, 0, $5, $6::text::json)) \
                     insert into event_tail (tenant, document) values ('default', $7::text::json)",
                )
                .bind(id)
                .bind(job.id.as_uuid())
                .bind(job.cluster.as_str())
                .bind(job.location.to_string())
                .bind(DateTime::<Utc>::from(job.created_at))
                .bind(&document)
                .bind(event)
                .execute(pool)
                .await
                .unwrap();
            }
            Self::Sqlite { writer, .. } => {
                let mut transaction = writer.begin_with("begin immediate").await.unwrap();
                let texts = [
                    sqlx::query("insert into changeset (id, applied_at) values (?, ?)")
                        .bind(id)
                        .bind(job.created_at.as_micros()),
                    sqlx::query(
                        "insert into job \
                         (id, version, tenant, cluster, location, status, live, hidden, priority, at, document) \
                         values (?, 1, 'default', ?, ?, 'pending', 1, 0, 0, ?, ?)",
                    )
                    .bind(job.id.as_uuid())
                    .bind(job.cluster.as_str().to_owned())
                    .bind(job.location.to_string())
                    .bind(job.created_at.as_micros())
                    .bind(document.clone()),
                    sqlx::query("insert into event_tail (tenant, document) values ('default', ?)").bind(event),
                ];
                for text in texts {
                    text.execute(&mut *transaction).await.unwrap();
                }
                transaction.commit().await.unwrap();
            }
        }
        document
    }
}
