//! The API over the memory store, a scripted driver and a manual clock.
#![expect(clippy::unwrap_used, reason = "tests")]

mod approving;
mod editing;
mod envelope;
mod figures;
mod ids;
mod keeping;
mod limits;
mod lists;
mod live;
mod operations;
mod policies;
mod reference;
mod repeating;
mod shapes;
mod socket;
mod world;
