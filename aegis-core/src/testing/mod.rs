//! What tests of Aegis, of its backends and of what embeds it are made of (feature `testing`).

mod clock;
pub mod conformance;
mod driver;
mod faults;
pub mod fixtures;
mod object_storage;
mod skip;
mod store;
pub mod strategies;

pub use clock::ManualClock;
pub use driver::{DriverMutation, Effects, MutantDriver, Script, ScriptedDriver};
pub use faults::{Fault, FaultPlan, FaultPoint, FaultyDriver, FaultyStorage, FaultyStore, Happened};
pub use object_storage::{MemoryObjectStorage, MutantObjectStorage, ObjectStorageMutation};
pub use skip::skip;
pub use store::{MutantStore, StoreFilter, StoreMutation, TamperedStore, Tampering};
