//! What only this crate can see of itself: its schemas.

mod schema;
mod upgrade;

use std::{path::Path, sync::Arc};

use aegis_core::{model::Timestamp, testing::ManualClock};
use sqlx::{ConnectOptions, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::{OpenError, SqliteOptions, SqliteStore};

async fn connect(file: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(file).create_if_missing(true).connect().await.unwrap()
}

async fn open(file: &Path) -> Result<SqliteStore, OpenError> {
    let clock = ManualClock::starting_at(Timestamp::from_seconds(1_770_393_600));
    SqliteStore::open(SqliteOptions::new(file), Arc::new(clock)).await
}
