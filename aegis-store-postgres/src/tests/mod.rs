//! What only this crate can see of itself: its statements and its schemas.

#[path = "../../tests/it/database.rs"]
#[expect(dead_code, reason = "shared with the tests from outside")]
mod database;
mod schema;
mod statements;
mod upgrade;
