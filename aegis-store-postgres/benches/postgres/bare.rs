//! The same rows in one statement each, without any check but the version that was read.

use aegis_core::{
    model::{Entity, EntityKind, EventFacts, EventKind},
    seams::{Changeset, Column, ColumnType, Value, Write},
};
use chrono::{DateTime, Utc};
use sqlx::{
    AssertSqlSafe, PgPool, Postgres,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use uuid::Uuid;

type Bound<'q> = Query<'q, Postgres, PgArguments>;

fn columns(kind: EntityKind) -> Vec<Column> {
    kind.key_columns().iter().chain(kind.columns()).copied().collect()
}

fn names(columns: &[Column]) -> String {
    columns.iter().map(|column| column.name()).collect::<Vec<_>>().join(", ")
}

fn bind<'q>(query: Bound<'q>, column: Column, entity: &Entity) -> Bound<'q> {
    match (entity.value(column), column.value_type()) {
        (Some(Value::Uuid(id)), _) => query.bind(id),
        (Some(Value::Text(text)), _) => query.bind(text.into_owned()),
        (Some(Value::Instant(at)), _) => query.bind(DateTime::<Utc>::from(at)),
        (Some(Value::Integer(number)), _) => query.bind(number),
        (Some(Value::Flag(flag)), _) => query.bind(flag),
        (None, ColumnType::Uuid) => query.bind(None::<Uuid>),
        (None, ColumnType::Text) => query.bind(None::<String>),
        (None, ColumnType::Instant) => query.bind(None::<DateTime<Utc>>),
        (None, ColumnType::Integer) => query.bind(None::<i64>),
        (None, ColumnType::Flag) => query.bind(None::<bool>),
    }
}

/// Writes what a changeset of one write says.
pub(crate) async fn write(pool: &PgPool, changeset: Changeset) {
    let id = changeset.id.as_uuid();
    let (write, event) = changeset.into_writes().next().unwrap();
    let entity = write.entity();
    let kind = entity.key().kind();
    let columns = columns(kind);
    let place = |n: usize| format!("${}", n + 2);
    let places: Vec<_> = (0..columns.len()).map(place).collect();
    let (document, told) = (place(columns.len()), place(columns.len() + 1));
    let written = match write {
        Write::Insert(_) => format!(
            "insert into {kind} ({}, version, document) values ({}, 1, {document}::text::json)",
            names(&columns),
            places.join(", ")
        ),
        Write::Update(..) | Write::Delete(..) => {
            let set: Vec<_> =
                columns.iter().zip(&places).map(|(name, place)| format!("{name} = {place}")).collect();
            let version = place(columns.len() + 2);
            format!(
                "update {kind} set {}, version = version + 1, document = {document}::text::json \
                 where id = $2 and version = {version}",
                set[1..].join(", ")
            )
        }
    };
    let text = format!(
        "with remembered as (insert into changeset (id, applied_at) values ($1, now())), written as ({written}) \
         insert into event_tail (tenant, document) values ($3, {told}::text::json)"
    );
    let query = sqlx::query(AssertSqlSafe(text)).bind(id);
    let query = columns.iter().fold(query, |query, column| bind(query, *column, entity));
    let mut query = query.bind(entity.to_document().unwrap()).bind(serde_json::to_string(&event).unwrap());
    if let Some(version) = write.before() {
        query = query.bind(i64::try_from(version.0).unwrap());
    }
    query.execute(pool).await.unwrap();
}

/// Inserts the entities of a changeset, all of one kind, by arrays.
pub(crate) async fn import(pool: &PgPool, changeset: Changeset) {
    let id = changeset.id.as_uuid();
    let writes: Vec<_> = changeset.into_writes().collect();
    let kind = writes[0].0.entity().key().kind();
    let columns = columns(kind);
    let names = names(&columns);
    let array = |(n, column): (usize, &Column)| {
        let name = match column.value_type() {
            ColumnType::Uuid => "uuid",
            ColumnType::Text => "text",
            ColumnType::Instant => "timestamptz",
            ColumnType::Integer => "bigint",
            ColumnType::Flag => "boolean",
        };
        format!("${}::{name}[]", n + 4)
    };
    let arrays: Vec<_> = columns.iter().enumerate().map(array).collect();
    let text = format!(
        "with remembered as (insert into changeset (id, applied_at) values ($1, now())), \
            written as (insert into {kind} ({names}, version, document) select {names}, 1, document::json \
                from unnest({}, $2::text[]) as n ({names}, document)) \
         insert into event_tail (tenant, document) select tenant, document::json \
            from unnest(${}::text[], $3::text[]) as n (tenant, document)",
        arrays.join(", "),
        columns.len() + 4
    );
    let documents: Vec<_> = writes.iter().map(|(write, _)| write.entity().to_document().unwrap()).collect();
    let events: Vec<_> = writes.iter().map(|(_, event)| serde_json::to_string(event).unwrap()).collect();
    let mut query = sqlx::query(AssertSqlSafe(text)).bind(id).bind(documents).bind(events);
    let entities = || writes.iter().map(|(write, _)| write.entity());
    for column in columns {
        let values = entities().map(|entity| entity.value(column));
        query = match column.value_type() {
            ColumnType::Uuid => query.bind(
                values.map(|v| if let Some(Value::Uuid(v)) = v { Some(v) } else { None }).collect::<Vec<_>>(),
            ),
            ColumnType::Text => query.bind(
                values
                    .map(|v| if let Some(Value::Text(v)) = v { Some(v.into_owned()) } else { None })
                    .collect::<Vec<_>>(),
            ),
            ColumnType::Instant => {
                query.bind(
                    values
                        .map(|v| {
                            if let Some(Value::Instant(v)) = v {
                                Some(DateTime::<Utc>::from(v))
                            } else {
                                None
                            }
                        })
                        .collect::<Vec<_>>(),
                )
            }
            ColumnType::Integer => query.bind(
                values
                    .map(|v| if let Some(Value::Integer(v)) = v { Some(v) } else { None })
                    .collect::<Vec<_>>(),
            ),
            ColumnType::Flag => query.bind(
                values.map(|v| if let Some(Value::Flag(v)) = v { Some(v) } else { None }).collect::<Vec<_>>(),
            ),
        };
    }
    let tenants: Vec<_> =
        entities().map(|entity| entity.tenant().map(|tenant| tenant.as_str().to_owned())).collect();
    query.bind(tenants).execute(pool).await.unwrap();
}

/// An event, as the sealer reads it.
fn told() -> String {
    let mut changeset = crate::changeset();
    let job = aegis_core::testing::fixtures::job(1);
    changeset.insert(job, EventKind::JobStarted, EventFacts::default());
    serde_json::to_string(&changeset.into_writes().next().unwrap().1).unwrap()
}

/// Takes so many waiting jobs of a cluster, with an event for each; how many it took.
pub(crate) async fn take(pool: &PgPool, id: Uuid, cluster: &str, limit: i64) -> u64 {
    let text = "with remembered as (insert into changeset (id, applied_at) values ($1, now())), \
        waiting as (select id from job where cluster = $2 and status = 'pending' \
            order by priority desc, at, id limit $3 for update skip locked), \
        taken as (update job as j set status = 'in_progress', version = version + 1, \
            document = replace(document::text, '\"pending\"', '\"in_progress\"')::json \
            from waiting as w where j.id = w.id returning j.id, j.tenant) \
        insert into event_tail (tenant, document) \
        select tenant, $4::text::json from taken";
    sqlx::query(text)
        .bind(id)
        .bind(cluster)
        .bind(limit)
        .bind(told())
        .execute(pool)
        .await
        .unwrap()
        .rows_affected()
}

/// Moves so many due policies of a cluster on by a day, with a slot and two events for each.
pub(crate) async fn tick(pool: &PgPool, id: Uuid, cluster: &str, now: DateTime<Utc>) -> u64 {
    let text = "with remembered as (insert into changeset (id, applied_at) values ($1, now())), \
        due as (select policy, due_at from policy_state where cluster = $2 and due_at <= $3 \
            order by due_at, policy limit 1000 for update), \
        moved as (update policy_state as p set due_at = p.due_at + interval '1 day', version = version + 1, \
            document = replace(document::text, '\"due_at\":null', '\"due_at\":\"2026-02-08T16:00:00Z\"')::json \
            from due as d where p.policy = d.policy returning p.policy, p.tenant, d.due_at), \
        settled as (insert into slot (policy, at, version, tenant, document) \
            select policy, due_at, 1, tenant, $4::text::json from moved returning policy, tenant) \
        insert into event_tail (tenant, document) select tenant, $5::text::json from moved \
            union all select tenant, $5::text::json from settled";
    let slot = Entity::from(aegis_core::testing::fixtures::slot(1)).to_document().unwrap();
    let done = sqlx::query(text)
        .bind(id)
        .bind(cluster)
        .bind(now)
        .bind(slot)
        .bind(told())
        .execute(pool)
        .await
        .unwrap();
    done.rows_affected() / 2
}

/// Finds the records of a cluster that nothing available is built on and marks them, with an event for each.
pub(crate) async fn expire(pool: &PgPool, id: Uuid, cluster: &str) -> u64 {
    let text = "with remembered as (insert into changeset (id, applied_at) values ($1, now())), \
        found as (select id from record as r where cluster = $2 and status = 'available' and not exists \
            (select from record as c where c.chain = r.chain and c.at > r.at and c.status = 'available')), \
        marked as (update record as r set status = 'expired', due_at = now() + interval '1 day', \
            version = version + 1, document = replace(document::text, '\"state\":\"available\"', \
                '\"state\":\"expired\",\"delete_after\":\"2026-03-06T16:00:00Z\",\"reason\":\"older than 30 days\"')::json \
            from found as f where r.id = f.id returning r.id, r.tenant) \
        insert into event_tail (tenant, document) \
        select tenant, $3::text::json from marked";
    sqlx::query(text).bind(id).bind(cluster).bind(told()).execute(pool).await.unwrap().rows_affected()
}

/// Rows as they come.
pub(crate) async fn rows<'q>(pool: &PgPool, query: Bound<'q>) -> Vec<PgRow> {
    query.fetch_all(pool).await.unwrap()
}
