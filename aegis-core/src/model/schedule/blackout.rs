//! When nothing may start.

use serde::{Deserialize, Serialize};

use super::{TimeOfDay, Weekday, ZoneName};
use crate::model::Timestamp;

/// A time in which no scheduled job starts. Jobs that run already go on, and what a person starts
/// by hand starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum BlackoutWindow {
    /// Each week, by the wall clock.
    Weekly {
        /// The days on which it begins; none means every day.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        days: Vec<Weekday>,
        /// When it begins.
        from: TimeOfDay,
        /// When it is over: on the next day if that is not later than `from`.
        until: TimeOfDay,
        /// Whose wall clock: the schedule's if left out, and UTC if that has none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        zone: Option<ZoneName>,
    },
    /// Once, such as a migration or a stocktaking.
    Once {
        /// The first instant of it.
        from: Timestamp,
        /// The first instant after it.
        until: Timestamp,
    },
}
