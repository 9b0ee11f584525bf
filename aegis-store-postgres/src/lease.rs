//! Leases, judged by the database's clock.

use std::time::Duration;

use aegis_core::seams::{Claim, Fence, Generation, HolderId, Lease, LeaseName, StoreError};
use sqlx::{Row, postgres::PgRow};

use crate::{
    error::{self, Fate},
    statement::{Statement, signed, unsigned},
    store::PostgresStore,
};

const CLAIM: &str = "claim a lease";
const RELEASE: &str = "give a lease back";

/// How often a claim is made that met another one.
const ATTEMPTS: u32 = 10;

/// Renews it for who holds it, or grants it anew if nobody does, or says who does.
///
/// A renewal is a statement part of its own: it leaves the generation alone, so that it waits for no
/// commit that rests on the lease. Whoever takes a lease over waits for those. Who finds it held
/// writes nothing, and is in nobody's way; one that was given back has ended long ago, which is no
/// time that could be counted.
const CLAIM_TEXT: &str = "with renewed as ( \
        update lease set expires_at = store_now() + $3::bigint * interval '1 microsecond' \
        where name = $1 and holder = $2 and expires_at > store_now() returning generation), \
    granted as ( \
        insert into lease as l (name, generation, holder, expires_at) \
        select $1, 1, $2, store_now() + $3::bigint * interval '1 microsecond' \
        where not exists (select from renewed) and not exists ( \
            select from lease where name = $1 and holder <> $2 and expires_at > store_now()) \
        on conflict (name) do update \
        set generation = l.generation + 1, holder = excluded.holder, expires_at = excluded.expires_at \
        where l.expires_at <= store_now() returning generation) \
    select generation, null::text as holder, null::bigint as remaining from renewed \
    union all select generation, null, null from granted \
    union all select null, holder, case when isfinite(expires_at) \
            then (extract(epoch from expires_at - store_now()) * 1000000)::bigint else 0 end \
        from lease where name = $1 and not exists (select from renewed) and not exists (select from granted)";

pub(crate) fn claim(name: &LeaseName, holder: &HolderId, ttl: Duration) -> Statement {
    let micros = i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX);
    // A thousand years are for ever, and are still an instant of the database.
    let micros = micros.min(1_000 * 365 * 24 * 3_600 * 1_000_000);
    Statement::new(CLAIM_TEXT).with(name.as_str()).with(holder.0.as_str()).with(micros)
}

pub(crate) fn release(fence: &Fence) -> Statement {
    Statement::new("update lease set expires_at = '-infinity' where name = $1 and generation = $2")
        .with(fence.name.as_str())
        .with(signed(fence.generation.0))
}

impl PostgresStore {
    pub(crate) async fn claim_lease(
        &self,
        name: &LeaseName,
        holder: &HolderId,
        ttl: Duration,
    ) -> Result<Claim, StoreError> {
        let statement = claim(name, holder, ttl);
        for _ in 0..ATTEMPTS {
            let rows = match self.acquire_reserved(CLAIM).await?.fetch(&statement).await {
                // Two who claim what nobody ever held meet in the index that fences look into.
                Err(error) if error::fate(&error) == Fate::Refused => continue,
                rows => rows.map_err(|error| error::write(CLAIM, error))?,
            };
            if let Some(answer) =
                rows.first().map(|row| answer(row, name, holder, ttl)).transpose()?.flatten()
            {
                return Ok(answer);
            }
        }
        Err(error::contended(CLAIM))
    }

    pub(crate) async fn release_lease(&self, fence: &Fence) -> Result<(), StoreError> {
        let released = self.acquire_reserved(RELEASE).await?.execute(&release(fence)).await;
        released.map(drop).map_err(|error| error::write(RELEASE, error))
    }
}

/// What the row says; `None` if it tells of ourselves, which was true no more a moment later.
fn answer(row: &PgRow, name: &LeaseName, own: &HolderId, ttl: Duration) -> Result<Option<Claim>, StoreError> {
    let read = |error| error::read(CLAIM, error);
    if let Some(generation) = row.try_get::<Option<i64>, _>("generation").map_err(read)? {
        let generation = Generation(unsigned(CLAIM, generation)?);
        let fence = Fence { name: name.clone(), generation };
        return Ok(Some(Claim::Granted(Lease { fence, valid_for: ttl })));
    }
    let by = HolderId(row.try_get("holder").map_err(read)?);
    let remaining: i64 = row.try_get("remaining").map_err(read)?;
    let remaining = Duration::from_micros(u64::try_from(remaining).unwrap_or(0));
    Ok((by != *own && !remaining.is_zero()).then_some(Claim::Held { by, remaining }))
}
