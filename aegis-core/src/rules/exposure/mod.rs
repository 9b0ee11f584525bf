//! RPO: how much would be lost if the disaster came now, and how much would have been lost before.
//!
//! A recovery point *reflects* an instant (its recovery point time) and *counts* during another
//! span: from when it became usable to when its deletion began or it was found bad. The exposure
//! at t is t − the newest recovery point time that counts at t. Between events it grows by one
//! second per second; when a newer point becomes usable it falls to that point's age.
//!
//! [`RpoState`] is what a policy keeps of all that for the present, at O(1) per question;
//! [`attainment`] sweeps over the past, exactly and without sampling.

mod attainment;
mod issue;
mod points;
mod spread;
mod staircase;
mod state;
#[cfg(test)]
mod tests;

pub use attainment::{
    Attainment, AttainmentInput, Share, TargetFrom, Violations, Window, attainment, oldest_needed,
};
pub use issue::{RunFacts, hours_rounded_up, rpo_issue};
pub use points::{
    Book, CountingPoint, Exposure, ExposurePoint, exposure_at, exposure_by_location, recovery_point,
    resolve_chains,
};
pub use spread::{ErrorBudget, ExposureSpread, Objective, exposure_spread};
pub use state::{Mend, NewestPoint, RpoState, RpoStatus, RpoVerdict, StateChange};
