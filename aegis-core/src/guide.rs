//! The guide: one chapter for each subject, whose examples are compiled and run.

#[doc = include_str!("../../docs/schedules.md")]
pub mod schedules {}

#[doc = include_str!("../../docs/retention.md")]
pub mod retention {}

#[doc = include_str!("../../docs/rpo.md")]
pub mod rpo {}

#[doc = include_str!("../../docs/rto.md")]
pub mod rto {}

#[doc = include_str!("../../docs/simulation.md")]
pub mod simulation {}

#[cfg(feature = "testing")]
#[doc = include_str!("../../docs/dr-tests.md")]
pub mod dr_tests {}

#[cfg(feature = "testing")]
#[doc = include_str!("../../docs/writing-a-backend.md")]
pub mod writing_a_backend {}
