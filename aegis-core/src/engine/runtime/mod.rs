//! The thin layer that carries decisions out: it reads, asks the drivers, commits, waits.

mod anchors;
mod backoff;
mod builder;
mod catalogue;
mod checks;
mod commit;
mod core;
mod delivery;
pub(crate) mod drills;
mod exposure;
mod figures;
mod groups;
mod held;
mod history;
mod keeper;
mod kept;
mod log;
mod manifest;
mod meters;
mod pages;
mod probe;
mod roster;
mod run;
mod steps;
mod subscribe;
mod verifier;
mod worker;

pub use builder::{AegisBuilder, BuildError};
pub use manifest::Manifest;
pub use probe::{Connection, Health};
pub use run::Running;
pub use verifier::LogVerification;

pub(crate) use catalogue::{Catalogue, Restorable, Shelf};
pub(crate) use commit::{Outcome, RETRIES, commit};
pub(crate) use core::{ChainLink, Core, Served};
pub(crate) use delivery::{Refusal, key_of, reader_of};
pub(crate) use figures::{Counter, SECONDS_PER_DAY};
pub(crate) use groups::{GroupSearch, NOTED_WITHIN};
pub(crate) use log::{Reader, unread};
pub(crate) use manifest::{delete_manifest, read_manifests, storage_of};
pub(crate) use roster::{Entry, Roster};
pub(crate) use steps::target_namespaces;
pub(crate) use subscribe::subscribe;
pub(crate) use verifier::verify_log;
pub(crate) use worker::Worker;
