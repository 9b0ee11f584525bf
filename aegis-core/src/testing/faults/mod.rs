//! Wrappers that make the systems around the engine fail, from a seed or to order.
//!
//! One [`FaultPlan`] serves all wrappers of a test, so that a crash takes all of them at once:
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use aegis_core::testing::{Fault, FaultPlan, FaultPoint, FaultyDriver, ManualClock, ScriptedDriver};
//! use aegis_core::testing::fixtures::START;
//!
//! let clock = Arc::new(ManualClock::starting_at(START));
//! let plan = FaultPlan::seeded(42, Arc::<ManualClock>::clone(&clock))
//!     .with_probability(0.1, Fault::LoseAnswer)
//!     .with_probability(0.1, Fault::Delay(Duration::from_secs(30)))
//!     .at(FaultPoint::Start, 3, Fault::Refuse);
//! let driver = FaultyDriver::new(Arc::new(ScriptedDriver::new(clock)), plan);
//! # let _ = driver;
//! ```

mod call;
mod driver;
mod plan;
mod storage;
mod store;

pub use driver::FaultyDriver;
pub use plan::{Fault, FaultPlan, FaultPoint, Happened};
pub use storage::FaultyStorage;
pub use store::FaultyStore;
