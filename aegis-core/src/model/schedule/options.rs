//! What bends a schedule: spreading, lateness, overlap, quiet hours.

use serde::{Deserialize, Serialize};

use super::{BlackoutWindow, Seconds};

/// How the slots of a schedule become jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleOptions {
    /// Starts are put off by a share of this, the same for every slot of a policy and drawn from
    /// the policy's id, so that policies of one schedule do not all start at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Seconds>,
    /// A slot that could not start within this time of its due start has expired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_window: Option<Seconds>,
    /// What becomes of slots whose time passed while nobody looked.
    pub catch_up: CatchUp,
    /// What becomes of a slot that is due while a job of the policy is active.
    pub overlap: Overlap,
    /// When nothing may start.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blackout: Vec<BlackoutWindow>,
}

/// What becomes of slots whose time passed while nobody looked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatchUp {
    /// They are missed; the next slot runs at its time.
    Skip,
    /// The latest of them runs, once; the others are coalesced into it.
    #[default]
    Latest,
}

/// What becomes of a slot that is due while a job of the policy is active.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It is skipped.
    #[default]
    Skip,
    /// Its job waits for the active one; what falls due meanwhile is coalesced into it.
    QueueOne,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_are_left_out_take_their_defaults() {
        let options: ScheduleOptions = serde_json::from_str("{}").unwrap();
        assert_eq!(options, ScheduleOptions::default());
        assert_eq!(options.catch_up, CatchUp::Latest);
        assert_eq!(options.overlap, Overlap::Skip);
    }

    #[test]
    fn catch_up_and_overlap_take_their_two_values_and_nothing_else() {
        let written = serde_json::to_string(&[Overlap::Skip, Overlap::QueueOne]).unwrap();
        assert_eq!(written, r#"["skip","queue_one"]"#);
        let written = serde_json::to_string(&[CatchUp::Skip, CatchUp::Latest]).unwrap();
        assert_eq!(written, r#"["skip","latest"]"#);
        assert!(serde_json::from_str::<CatchUp>("\"all\"").is_err());
        assert!(serde_json::from_str::<Overlap>("\"replace\"").is_err());
    }
}
