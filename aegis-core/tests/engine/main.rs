//! The engine over the memory store, a scripted driver and a manual clock.
#![expect(clippy::unwrap_used, reason = "tests")]

mod adversity;
mod attainment;
mod compliance;
mod counting;
mod coverage;
mod crashes;
mod dr_clean_ups;
mod dr_tests;
mod figures;
mod foresight;
mod health;
mod history;
mod jobs;
mod leases;
mod log;
mod log_verification;
mod once;
mod policies;
mod proof;
mod rebuilding;
mod recovery;
mod recovery_time;
mod replicas;
mod retention;
mod retention_groups;
mod roster;
mod starvation;
mod tickets;
mod unsettled;
mod verification;
mod world;
