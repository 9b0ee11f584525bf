//! What a policy keeps, as answers show it and requests change it.

use std::time::Duration;

use aegis_core::model::{KeepRules, RetentionRules};
use serde::{Deserialize, Serialize};
use serde_json::Number;
use utoipa::ToSchema;

use crate::wire::{Fields, Given};

/// What a policy keeps. A union: what any rule keeps, stays.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Retention)]
pub(crate) struct RetentionBody {
    /// Everything of so many days.
    #[serde(skip_serializing_if = "Option::is_none")]
    days: Option<u32>,
    /// The newest records.
    keep_last: u32,
    /// The newest of each of so many hours.
    hourly: u32,
    /// The newest of each of so many days.
    daily: u32,
    /// The newest of each of so many ISO weeks.
    weekly: u32,
    /// The newest of each of so many months.
    monthly: u32,
    /// The newest of each of so many quarters.
    quarterly: u32,
    /// The newest of each of so many years.
    yearly: u32,
    /// So many usable records stay, whatever the other rules say.
    min_keep: u32,
    /// How long an expired record waits before its data goes.
    grace_hours: u64,
}

impl RetentionBody {
    pub(super) fn of(rules: &RetentionRules) -> Self {
        let keep = rules.keep;
        Self {
            days: keep.days,
            keep_last: keep.keep_last,
            hourly: keep.hourly,
            daily: keep.daily,
            weekly: keep.weekly,
            monthly: keep.monthly,
            quarterly: keep.quarterly,
            yearly: keep.yearly,
            min_keep: rules.min_keep,
            grace_hours: rules.grace.as_secs() / 3600,
        }
    }
}

/// What a policy is to keep: what is left out stays as it was, `null` takes a rule away.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
pub(crate) struct RetentionChange {
    /// Everything of so many days.
    #[serde(default)]
    #[schema(value_type = Option<u32>, minimum = 1)]
    days: Given<Number>,
    /// The newest records.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    keep_last: Given<Number>,
    /// The newest of each of so many hours.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    hourly: Given<Number>,
    /// The newest of each of so many days.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    daily: Given<Number>,
    /// The newest of each of so many ISO weeks.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    weekly: Given<Number>,
    /// The newest of each of so many months.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    monthly: Given<Number>,
    /// The newest of each of so many quarters.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    quarterly: Given<Number>,
    /// The newest of each of so many years.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    yearly: Given<Number>,
    /// So many usable records stay, whatever the other rules say.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    min_keep: Given<Number>,
    /// How long an expired record waits before its data goes; 24 if taken away.
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    grace_hours: Given<Number>,
}

impl RetentionChange {
    /// The rules after the change; what can't be said here stays as it was `before`, too.
    pub(crate) fn apply(&self, fields: &mut Fields, before: RetentionRules) -> RetentionRules {
        let keep = before.keep;
        let mut count = |field, given: &Given<Number>, before| {
            fields.change(field, given).map_or(before, Option::unwrap_or_default)
        };
        let counted = KeepRules {
            days: keep.days,
            keep_last: count("retention.keep_last", &self.keep_last, keep.keep_last),
            hourly: count("retention.hourly", &self.hourly, keep.hourly),
            daily: count("retention.daily", &self.daily, keep.daily),
            weekly: count("retention.weekly", &self.weekly, keep.weekly),
            monthly: count("retention.monthly", &self.monthly, keep.monthly),
            quarterly: count("retention.quarterly", &self.quarterly, keep.quarterly),
            yearly: count("retention.yearly", &self.yearly, keep.yearly),
        };
        let min_keep = count("retention.min_keep", &self.min_keep, before.min_keep);
        let days = fields.change("retention.days", &self.days).unwrap_or(keep.days);
        let grace = fields.change::<u64>("retention.grace_hours", &self.grace_hours);
        let hours = |hours: u64| Duration::from_secs(hours.saturating_mul(3600));
        RetentionRules {
            keep: KeepRules { days, ..counted },
            min_keep,
            grace: grace.map_or(before.grace, |grace| grace.map_or(RetentionRules::DEFAULT_GRACE, hours)),
            ..before
        }
    }
}
