//! Many rows, put in by the database itself, as the store would have written them.

use std::time::Duration;

use aegis_core::{
    model::{BackupJob, Entity, JobStatus},
    testing::fixtures,
};
use sqlx::AssertSqlSafe;

use crate::Bench;

/// What counts everything anew, as the migration does.
const COUNT: &str = include_str!("../../migrations/0002_tally.sql");

/// Between the times of two jobs.
pub(crate) const SPACING: Duration = Duration::from_millis(3_154);

/// Finished jobs with the numbers from `first` to before `last`: 20 clusters, 1,000 policies, one in 50
/// failed, a year for ten million.
pub(crate) async fn jobs(bench: &Bench, first: u64, last: u64) {
    let spacing = SPACING.as_micros();
    let document = BackupJob { status: JobStatus::Completed, ..fixtures::job(0) };
    let document = Entity::from(document).to_document().unwrap();
    let indexes: Vec<(String, String)> = sqlx::query_as(AssertSqlSafe(format!(
        "select indexname::text, indexdef from pg_indexes where schemaname = '{}' and tablename = 'job' \
         and indexname <> 'job_key'",
        crate::SCHEMA
    )))
    .fetch_all(&bench.bare)
    .await
    .unwrap();
    for (name, _) in &indexes {
        bench.execute(&format!("drop index {name}")).await;
    }
    bench.execute("alter table job disable trigger user").await;
    let text = format!(
        "insert into job (id, version, tenant, cluster, policy, location, status, live, hidden, priority, at, document) \
         select id, 2, 'default', cluster, lpad(to_hex(n % 1000 + 1), 32, '0')::uuid, '{}', status, false, false, 0, at, \
             replace(replace(replace(replace($1, '00000000-0000-0000-0000-000000000000', id::text), \
                 '\"cluster\":\"local\"', '\"cluster\":\"' || cluster || '\"'), \
                 '\"status\":\"completed\"', '\"status\":\"' || status || '\"'), \
                 '\"created_at\":\"2026-02-06T16:00:00Z\"', \
                 '\"created_at\":\"' || to_char(at at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') || '\"')::json \
         from (select n, lpad(to_hex(n), 32, '0')::uuid as id, 'c' || n % 20 as cluster, \
             case when n % 50 = 7 then 'failed' else 'completed' end as status, \
             timestamptz '2026-02-06T16:00:00Z' + n * {spacing} * interval '1 microsecond' as at \
             from generate_series($2, $3 - 1) as n) as n",
        fixtures::location()
    );
    sqlx::query(AssertSqlSafe(text))
        .bind(document)
        .bind(i64::try_from(first).unwrap())
        .bind(i64::try_from(last).unwrap())
        .execute(&bench.bare)
        .await
        .unwrap();
    bench.execute("alter table job enable trigger user").await;
    for (_, definition) in &indexes {
        bench.execute(definition).await;
    }
    let (_, count) = COUNT.rsplit_once("insert into tally ").unwrap();
    bench.execute(&format!("begin; truncate tally, tally_tail; insert into tally {count} commit")).await;
    bench.execute("vacuum analyze job").await;
    bench.execute("vacuum analyze tally").await;
    bench.execute("checkpoint").await;
}

/// So many policies' states in the cluster `tick`, the first thousand due at the fixtures' start.
pub(crate) async fn policy_states(bench: &Bench, count: u64) {
    let text = "insert into policy_state (policy, version, tenant, cluster, due_at, document) \
        select id, 1, 'default', 'tick', timestamptz '2026-02-06T16:00:00Z' + \
            case when n < 1000 then interval '0' else n * interval '1 second' end, \
            replace(replace($1, '00000000-0000-0000-0000-000000000000', id::text), \
                '\"cluster\":\"local\"', '\"cluster\":\"tick\"')::json \
        from (select n, lpad(to_hex(n), 32, '0')::uuid as id from generate_series(0, $2 - 1) as n) as n";
    sqlx::query(text)
        .bind(Entity::from(fixtures::policy_state(0)).to_document().unwrap())
        .bind(i64::try_from(count).unwrap())
        .execute(&bench.bare)
        .await
        .unwrap();
    bench.execute("vacuum analyze policy_state").await;
}
