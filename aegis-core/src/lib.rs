//! The model, rules, seams and engine of Aegis, an embeddable disaster-recovery control plane.

#[cfg(feature = "runtime")]
pub mod engine;
pub mod guide;
pub mod model;
pub mod rules;
pub mod seams;
#[cfg(feature = "testing")]
pub mod testing;
