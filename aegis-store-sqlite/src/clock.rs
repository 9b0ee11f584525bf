//! The store's own clock: monotonic, and going on over restarts.

use std::{sync::Arc, time::Duration};

use aegis_core::seams::{Clock, Monotonic};
use sqlx::{Row, SqliteConnection};

use crate::{error::Fault, sql::Sql};

/// Judges leases and ages. Begins at the wall clock's time or at the newest that was ever written,
/// whichever is later, and goes on with the monotonic clock: it never goes back, and a wall clock that
/// jumps while the store is open moves nothing.
#[derive(Debug)]
pub(crate) struct StoreClock {
    clock: Arc<dyn Clock>,
    opened: Monotonic,
    base: Monotonic,
}

impl StoreClock {
    pub(crate) async fn open(
        clock: Arc<dyn Clock>,
        connection: &mut SqliteConnection,
    ) -> Result<Self, Fault> {
        let newest = "select max(coalesce((select max(applied_at) from changeset), 0), \
             coalesce((select max(granted_at) from lease), 0), coalesce((select max(noted_at) from progress), 0))";
        let newest: i64 = Sql::new(newest).query().fetch_one(connection).await?.try_get(0)?;
        let base = reading(newest.max(clock.now().as_micros()));
        Ok(Self { opened: clock.monotonic(), clock, base })
    }

    pub(crate) fn now(&self) -> Monotonic {
        self.base.after(self.clock.monotonic().since(self.opened))
    }
}

/// A reading as it is kept.
pub(crate) fn micros(reading: Monotonic) -> i64 {
    i64::try_from(reading.elapsed().as_micros()).unwrap_or(i64::MAX)
}

/// The reading that was kept.
pub(crate) fn reading(micros: i64) -> Monotonic {
    Monotonic::from_elapsed(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
}
