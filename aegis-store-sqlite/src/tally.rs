//! Totals: what the tally says and what is not folded into it yet, in one snapshot.
//!
//! Whatever changes a row that lists are made of leaves, by a trigger, what it adds and takes away in
//! `tally_tail`. Sealing folds that into `tally`, which has a row for each of the values that lists
//! are narrowed by and each stretch of time. So a total is a sum over few rows, however many there
//! are to count.

use aegis_core::{
    model::{Bytes, EntityKind, Timestamp},
    seams::{RecordTotals, Stretches, TallyLevel, Value},
};
use sqlx::{Row, SqliteConnection};

use crate::{
    error::Fault,
    query::{Select, up_to},
    rows::unsigned,
    sql::Sql,
};

/// That a row of the tally is of the level that has the answer.
const fn at_level(level: TallyLevel) -> &'static str {
    match level {
        TallyLevel::Policy => "",
        TallyLevel::Cluster => " and policy = x''",
        TallyLevel::Tenant => " and policy = x'' and cluster = ''",
    }
}

/// That the time lies between, as far as there are ends.
pub(crate) fn between<'q>(from: Option<Timestamp>, to: Option<Timestamp>) -> Sql<'q> {
    let mut sql = Sql::default();
    if let Some(from) = from {
        sql.push(" and at >= ").bind(Value::Instant(from));
    }
    if let Some(to) = to {
        sql.push(" and at < ").bind(Value::Instant(to));
    }
    sql
}

/// How many entities match, and what those of them that take storage take.
pub(crate) async fn totals(
    reader: &mut SqliteConnection,
    select: &Select<'_>,
) -> Result<RecordTotals, Fault> {
    let row = summed(select).query().fetch_one(reader).await?;
    let (high, low): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
    let stored = (i128::from(high) << 32) + i128::from(low);
    let stored = Bytes(u64::try_from(stored.clamp(0, i64::MAX.into())).unwrap_or(0));
    Ok(RecordTotals { count: unsigned(row.try_get(0)?)?, stored })
}

/// One row: the count, and the two parts of what is stored.
fn summed<'q>(select: &Select<'q>) -> Sql<'q> {
    let mut sql = Sql::new("select sum(count), sum(high), sum(low) from (");
    sql.append(&counted(select)).push(")");
    sql
}

/// Rows whose sums are those of all that matches, and never null.
fn counted<'q>(select: &Select<'q>) -> Sql<'q> {
    let (kind, narrowing, narrowed) = (select.kind, select.narrowing, &select.narrowed);
    let stored = if kind == EntityKind::Record { "stored" } else { "0" };
    let parts =
        format!("coalesce(sum({stored} >> 32), 0) as high, coalesce(sum({stored} & 4294967295), 0) as low");
    let rows = format!("count(*) as count, {parts}");
    let Some(cut) = narrowing.cut() else { return select.ask(&rows) };
    let mut sql = Sql::new(
        "select coalesce(sum(count), 0) as count, coalesce(sum(stored_high), 0) as high, \
         coalesce(sum(stored_low), 0) as low from tally where ",
    );
    for (place, Stretches { span, first, last }) in cut.whole.iter().copied().enumerate() {
        if place > 0 {
            sql.push(" union all select coalesce(sum(count), 0), coalesce(sum(stored_high), 0), coalesce(sum(stored_low), 0) from tally where ");
        }
        sql.push(&format!("kind = '{kind}' and span = {span}{}", at_level(narrowing.level())));
        sql.append(narrowed).push(" and bucket >= ").bind(first).push(" and bucket < ").bind(last);
    }
    sql.push(&format!(
        " union all select coalesce(sum(count), 0), {parts} from tally_tail where kind = '{kind}'"
    ));
    sql.append(narrowed).append(&between(cut.from, cut.to));
    for edge in cut.edges {
        let edge = between(Some(edge.start), Some(edge.end));
        sql.push(" union all ").append(&select.ask(&rows)).append(&edge);
    }
    sql
}

/// Folds at most `limit` rows of the tail into the tally.
pub(crate) async fn fold(connection: &mut SqliteConnection, limit: usize) -> Result<(), Fault> {
    let mut newest = Sql::new("select max(seq) from (select seq from tally_tail order by seq limit ");
    newest.bind(up_to(limit)).push(")");
    let newest: Option<i64> = newest.query().fetch_one(&mut *connection).await?.try_get(0)?;
    let Some(newest) = newest else { return Ok(()) };
    let [shortest, ..] = Stretches::SPANS;
    // What cancels out goes nowhere, as most steps of a job that is soon over do.
    let mut sql = Sql::new(format!(
        "with changed as (select kind, tenant, cluster, policy, status, hidden, at >> {shortest} as bucket, \
            sum(count) as count, sum(stored >> 32) as high, sum(stored & 4294967295) as low \
            from tally_tail where seq <= "
    ));
    sql.bind(newest).push(&format!(
        " group by 1, 2, 3, 4, 5, 6, 7 \
            having sum(count) <> 0 or sum(stored & 4294967295) <> -sum(stored >> 32) * 4294967296) \
         insert into tally (kind, span, policy, cluster, tenant, bucket, status, hidden, count, stored_high, stored_low) \
         select c.kind, l.span, case l.level when 'policy' then c.policy else x'' end, \
            case l.level when 'tenant' then '' else c.cluster end, c.tenant, c.bucket >> (l.span - {shortest}), \
            c.status, c.hidden, sum(c.count), sum(c.high), sum(c.low) \
         from changed as c join tally_level as l on case l.level when 'tenant' then true \
            when 'cluster' then c.cluster <> '' else c.policy <> x'' end \
         where true group by 1, 2, 3, 4, 5, 6, 7, 8 on conflict do update set count = count + excluded.count, \
         stored_high = stored_high + excluded.stored_high, stored_low = stored_low + excluded.stored_low"
    ));
    sql.query().execute(&mut *connection).await?;
    let mut sql = Sql::new("delete from tally_tail where seq <= ");
    sql.bind(newest);
    sql.query().execute(connection).await?;
    Ok(())
}
