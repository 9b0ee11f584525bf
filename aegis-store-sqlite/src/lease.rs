//! Leases: the newest grant of each, judged by the store's clock.

use std::time::Duration;

use aegis_core::seams::{Claim, Fence, Generation, Grant, HolderId, LeaseName, Monotonic};
use sqlx::{Row, SqliteConnection};

use crate::{
    clock::{micros, reading},
    error::Fault,
    rows::unsigned,
    sql::{Arg, Sql},
};

/// Grants or renews a lease, unless another holds it.
pub(crate) async fn claim(
    connection: &mut SqliteConnection,
    name: &LeaseName,
    holder: &HolderId,
    ttl: Duration,
    now: Monotonic,
) -> Result<Claim, Fault> {
    let mut grant = newest(connection, name).await?;
    let claim = grant.claim(name, holder, ttl, now);
    if matches!(claim, Claim::Granted(_)) {
        keep(connection, name, &grant, now).await?;
    }
    Ok(claim)
}

/// Gives a lease back if `fence` is its newest grant.
pub(crate) async fn release(
    connection: &mut SqliteConnection,
    fence: &Fence,
    now: Monotonic,
) -> Result<(), Fault> {
    let mut grant = newest(connection, &fence.name).await?;
    grant.release(fence);
    keep(connection, &fence.name, &grant, now).await
}

/// The newest grant of a lease.
pub(crate) async fn newest(connection: &mut SqliteConnection, name: &LeaseName) -> Result<Grant, Fault> {
    let mut sql = Sql::new("select generation, holder, expires_at from lease where name = ");
    sql.bind(name.as_str());
    let Some(row) = sql.query().fetch_optional(connection).await? else { return Ok(Grant::NEVER) };
    let holder: Option<String> = row.try_get(1)?;
    let until = reading(row.try_get(2)?);
    Ok(Grant {
        generation: Generation(unsigned(row.try_get(0)?)?),
        held: holder.map(|holder| (HolderId(holder), until)),
    })
}

async fn keep(
    connection: &mut SqliteConnection,
    name: &LeaseName,
    grant: &Grant,
    now: Monotonic,
) -> Result<(), Fault> {
    let generation = i64::try_from(grant.generation.0).unwrap_or(i64::MAX);
    let (holder, until) = match &grant.held {
        Some((holder, until)) => (Arg::from(holder.0.as_str()), micros(*until)),
        None => (Arg::Null, micros(now)),
    };
    let mut sql = Sql::new("insert into lease (name, generation, holder, granted_at, expires_at) values ");
    sql.row([name.as_str().into(), generation.into(), holder, micros(now).into(), until.into()]);
    sql.push(
        " on conflict (name) do update set generation = excluded.generation, holder = excluded.holder, \
         granted_at = excluded.granted_at, expires_at = excluded.expires_at",
    );
    sql.query().execute(connection).await?;
    Ok(())
}
