//! The guide: one chapter for each subject, whose examples are compiled and run.

#[doc = include_str!("../../docs/schedules.md")]
pub mod schedules {}
