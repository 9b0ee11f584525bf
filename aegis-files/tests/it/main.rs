//! The driver from outside: through its public API, over real storage, beside restic itself.

#![allow(
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "the modules of one test binary, which may stop where something is wrong"
)]

mod child;
mod common;
mod conformance;
mod damage;
mod faults;
mod gate;
mod hostile;
mod race;
mod remote;
mod restic;
mod round_trip;
mod trials;
