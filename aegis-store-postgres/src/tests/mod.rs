//! What only this crate can see of itself: its statements, its schemas and its sessions.

#[path = "../../tests/it/database.rs"]
#[expect(dead_code, reason = "shared with the tests from outside")]
mod database;
mod pool;
mod schema;
#[path = "../../tests/it/server.rs"]
mod server;
mod statements;
mod upgrade;
