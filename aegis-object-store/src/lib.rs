//! Object storage for Aegis over the object_store crate: local, S3, GCS, Azure.

mod attempt;
mod blocking;
mod local;
mod options;
mod probe;

use std::ops::Range;

pub use local::LocalStorage;
pub use options::Durability;

/// Why a range was refused.
fn past_the_end(range: &Range<u64>) -> String {
    format!("the bytes {}..{} are no range of the object; ask for its size first", range.start, range.end)
}
