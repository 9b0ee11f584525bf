//! rustic's progress bars, as our counters.

use std::sync::Arc;

use rustic_core::{Progress, ProgressBars, ProgressType, RusticProgress};

use super::session::Session;

/// Counts bytes into the session's control, and shows nothing.
#[derive(Debug)]
pub(crate) struct Bars(pub(crate) Arc<Session>);

#[derive(Debug)]
struct BytesBar(Arc<Session>);

impl ProgressBars for Bars {
    fn progress(&self, progress_type: ProgressType, _prefix: &str) -> Progress {
        match progress_type {
            ProgressType::Bytes => Progress::new(BytesBar(Arc::clone(&self.0))),
            ProgressType::Spinner | ProgressType::Counter => Progress::hidden(),
        }
    }
}

impl RusticProgress for BytesBar {
    /// A hidden bar would never learn its length.
    fn is_hidden(&self) -> bool {
        false
    }

    /// The source itself sets the totals, items included.
    fn set_length(&self, _len: u64) {}

    fn set_title(&self, _title: &str) {}

    fn inc(&self, inc: u64) {
        self.0.control.add_bytes(inc);
    }

    fn finish(&self) {}
}
