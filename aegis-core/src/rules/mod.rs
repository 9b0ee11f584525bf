//! The rules: pure functions of values and the present instant.

mod anchors;
mod blackout;
mod chain;
pub mod coverage;
pub mod exposure;
pub mod health;
mod lint;
pub mod retention;
pub mod rto;
mod schedule;
pub mod simulation;
mod slots;
mod timetable;
mod words;

pub use anchors::superfluous_anchors;
pub use chain::{Break, ChainCheck, ChainVerification, LogFinding};
pub use lint::{LintCode, LintFinding, PolicyFigures, RunTime, lint};
pub use schedule::{CompiledSchedule, last_until, next_after, schedule_human};
pub use slots::{
    Activity, MAX_RANGES, PUNCTUAL, Settlement, SlotRange, Standing, close, settle, settle_and_close,
    until_now,
};
pub use timetable::{Timetable, Upcoming};
