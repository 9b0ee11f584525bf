//! When backups run: schedules, and what bends them.

mod blackout;
mod cron;
mod fields;
mod frequency;
mod options;
mod seconds;
mod zone;

use serde::{Deserialize, Serialize};

pub use blackout::BlackoutWindow;
pub use cron::{CronError, CronExpression};
pub use fields::{CronField, CronFields, SlotKind};
pub use frequency::{BoundsError, Frequency, Minute, MonthDay, TimeOfDay, Weekday};
pub use options::{CatchUp, Overlap, ScheduleOptions};
pub use seconds::{Seconds, SecondsError};
pub use zone::{ZoneError, ZoneName, zone_data_version};

/// The nominal times of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// Each `period` of elapsed time after the policy's creation. It has no zone.
    Every {
        /// The time from one slot to the next.
        period: Seconds,
    },
    /// Where the wall clock of `zone` shows what a cron expression names.
    Cron {
        /// The five fields.
        expression: CronExpression,
        /// Whose wall clock.
        #[serde(default)]
        zone: ZoneName,
    },
    /// Hourly, daily, weekly or monthly by the wall clock of `zone`; the same as its
    /// [cron expression](Frequency::cron).
    Frequency {
        /// How often, and when.
        frequency: Frequency,
        /// Whose wall clock.
        #[serde(default)]
        zone: ZoneName,
    },
}

impl Schedule {
    /// The schedule of a cron expression in a zone.
    #[must_use]
    pub const fn cron(expression: CronExpression, zone: ZoneName) -> Self {
        Self::Cron { expression, zone }
    }

    /// The zone whose wall clock is meant; none for `every`.
    #[must_use]
    pub const fn zone(&self) -> Option<ZoneName> {
        match self {
            Self::Every { .. } => None,
            Self::Cron { zone, .. } | Self::Frequency { zone, .. } => Some(*zone),
        }
    }

    /// The cron expression, written or translated; none for `every`.
    #[must_use]
    pub fn expression(&self) -> Option<CronExpression> {
        match self {
            Self::Every { .. } => None,
            Self::Cron { expression, .. } => Some(expression.clone()),
            Self::Frequency { frequency, .. } => Some(frequency.cron()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Schedule, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn schedules_read_back_as_written() {
        for json in [
            r#"{"kind":"every","period":900}"#,
            r#"{"kind":"cron","expression":"0 2 * * MON-FRI","zone":"Europe/Berlin"}"#,
            r#"{"kind":"frequency","frequency":{"unit":"weekly","day":"monday","time":"02:00"},"zone":"UTC"}"#,
        ] {
            assert_eq!(serde_json::to_string(&read(json).unwrap()).unwrap(), json);
        }
    }

    #[test]
    fn the_zone_defaults_to_utc() {
        let schedule = read(r#"{"kind":"cron","expression":"@daily"}"#).unwrap();
        assert_eq!(schedule.zone(), Some(ZoneName::UTC));
    }

    #[test]
    fn what_cannot_be_a_schedule_is_refused_when_read_back() {
        for json in [
            r#"{"kind":"every","period":0}"#,
            r#"{"kind":"every","period":900,"zone":"UTC"}"#,
            r#"{"kind":"cron","expression":"@daily","timezone":"Europe/Berlin"}"#,
            r#"{"kind":"yearly"}"#,
            r#"{"kind":"cron","expression":"* * *"}"#,
            r#"{"kind":"cron","expression":"@daily","zone":"Nowhere"}"#,
            r#"{"kind":"frequency","frequency":{"unit":"monthly","day":32,"time":"02:00"}}"#,
            r#"{"kind":"frequency","frequency":{"unit":"daily","time":"24:00"}}"#,
        ] {
            assert!(read(json).is_err(), "{json}");
        }
    }
}
