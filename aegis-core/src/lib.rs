//! The model, rules, seams and engine of Aegis, an embeddable disaster-recovery control plane.

pub mod guide;
pub mod model;
pub mod rules;
pub mod seams;
#[cfg(feature = "testing")]
pub mod testing;
