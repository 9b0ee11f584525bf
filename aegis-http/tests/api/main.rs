//! The API over the memory store, a scripted driver and a manual clock.
#![expect(clippy::unwrap_used, reason = "tests")]

mod envelope;
mod world;
