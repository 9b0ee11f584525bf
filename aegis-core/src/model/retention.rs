//! What a policy says about how long its records stay.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::BackupKind;

/// How many records each tier keeps, and for how long all of them stay. Zero is "not asked for".
///
/// The rules are a union: what any of them keeps, stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeepRules {
    /// All records less than this many times 24 hours older than the newest usable one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
    /// The newest records.
    pub keep_last: u32,
    /// The newest record of each of this many hours.
    pub hourly: u32,
    /// The newest record of each of this many days.
    pub daily: u32,
    /// The newest record of each of this many ISO weeks.
    pub weekly: u32,
    /// The newest record of each of this many months.
    pub monthly: u32,
    /// The newest record of each of this many quarters.
    pub quarterly: u32,
    /// The newest record of each of this many years.
    pub yearly: u32,
}

impl KeepRules {
    /// Whether no rule is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn counts(&self) -> [(&'static str, u32); 7] {
        [
            ("keep_last", self.keep_last),
            ("hourly", self.hourly),
            ("daily", self.daily),
            ("weekly", self.weekly),
            ("monthly", self.monthly),
            ("quarterly", self.quarterly),
            ("yearly", self.yearly),
        ]
    }

    fn validate(&self) -> Result<(), RetentionRulesError> {
        if self.days == Some(0) {
            return Err(RetentionRulesError::NoDays);
        }
        let bounded = [("days", self.days.unwrap_or(0), RetentionRules::MAX_DAYS)]
            .into_iter()
            .chain(self.counts().map(|(rule, count)| (rule, count, RetentionRules::MAX_COUNT)));
        for (rule, given, max) in bounded {
            if given > max {
                return Err(RetentionRulesError::TooLarge { rule, given, max });
            }
        }
        Ok(())
    }
}

/// When a run stops and asks a person: it would expire more than `share_percent` of a group's
/// records *and* more than `count` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Breaker {
    /// Per cent of the group's records, 1 to 100.
    pub share_percent: u8,
    /// Records.
    pub count: u32,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { share_percent: 50, count: 5 }
    }
}

/// The retention rules of a policy. The calendar tiers are read in the policy's time zone.
///
/// Read back strictly: a rule of an unknown name is refused, since what it was to keep would go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct RetentionRules {
    /// What is kept.
    #[serde(flatten)]
    pub keep: KeepRules,
    /// This many of the newest usable records stay, whatever the other rules say.
    pub min_keep: u32,
    /// Kinds of backup with rules of their own, in place of `keep`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub by_kind: BTreeMap<BackupKind, KeepRules>,
    /// When a run needs a person's consent.
    pub breaker: Breaker,
    /// How long an expired record waits before its data is removed.
    pub grace: Duration,
}

/// [`RetentionRules`] as they are written: the rules of `keep` lie beside the others.
#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    min_keep: u32,
    #[serde(default)]
    by_kind: BTreeMap<BackupKind, KeepRules>,
    #[serde(default)]
    breaker: Breaker,
    grace: Option<Duration>,
    #[serde(flatten)]
    keep: serde_json::Map<String, serde_json::Value>,
}

impl TryFrom<Written> for RetentionRules {
    type Error = serde_json::Error;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        Ok(Self {
            keep: serde_json::from_value(written.keep.into())?,
            min_keep: written.min_keep,
            by_kind: written.by_kind,
            breaker: written.breaker,
            grace: written.grace.unwrap_or(Self::DEFAULT_GRACE),
        })
    }
}

impl Default for RetentionRules {
    /// No rule at all, which [`validate`](Self::validate) refuses: start from here and set some.
    fn default() -> Self {
        Self {
            keep: KeepRules::default(),
            min_keep: 0,
            by_kind: BTreeMap::new(),
            breaker: Breaker::default(),
            grace: Self::DEFAULT_GRACE,
        }
    }
}

impl RetentionRules {
    /// The grace time where none is named: 24 hours.
    pub const DEFAULT_GRACE: Duration = Duration::from_secs(24 * 3600);
    /// The longest grace time: 366 days.
    pub const MAX_GRACE: Duration = Duration::from_secs(366 * 24 * 3600);
    /// The most days: a hundred years.
    pub const MAX_DAYS: u32 = 36_525;
    /// The most records that a tier or `min_keep` may ask for.
    pub const MAX_COUNT: u32 = 100_000;

    /// Everything for `days` times 24 hours.
    #[must_use]
    pub fn days(days: u32) -> Self {
        Self { keep: KeepRules { days: Some(days), ..KeepRules::default() }, ..Self::default() }
    }

    /// The `count` newest records.
    #[must_use]
    pub fn last(count: u32) -> Self {
        Self { keep: KeepRules { keep_last: count, ..KeepRules::default() }, ..Self::default() }
    }

    /// The rules for records of `kind`.
    #[must_use]
    pub fn keep_for(&self, kind: BackupKind) -> &KeepRules {
        self.by_kind.get(&kind).unwrap_or(&self.keep)
    }

    /// Whether nothing is asked for, so that everything would go.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keep.is_empty() && self.min_keep == 0 && self.by_kind.is_empty()
    }

    /// Checks the rules as a whole.
    ///
    /// # Errors
    /// [`RetentionRulesError`] (invalid input), saying how to mend it.
    pub fn validate(&self) -> Result<(), RetentionRulesError> {
        if self.is_empty() {
            return Err(RetentionRulesError::Empty);
        }
        if self.keep.is_empty() && self.min_keep == 0 {
            return Err(RetentionRulesError::OtherKinds);
        }
        self.keep.validate()?;
        for (kind, keep) in &self.by_kind {
            if keep.is_empty() {
                return Err(RetentionRulesError::EmptyKind { kind: *kind });
            }
            keep.validate()?;
        }
        if self.min_keep > Self::MAX_COUNT {
            let given = self.min_keep;
            return Err(RetentionRulesError::TooLarge { rule: "min_keep", given, max: Self::MAX_COUNT });
        }
        if !(1..=100).contains(&self.breaker.share_percent) {
            return Err(RetentionRulesError::Share { given: self.breaker.share_percent });
        }
        if self.grace > Self::MAX_GRACE {
            return Err(RetentionRulesError::Grace { days: self.grace.as_secs() / 86_400 });
        }
        Ok(())
    }
}

/// Why retention rules were refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RetentionRulesError {
    /// Not one rule is set.
    #[error("the retention rules are empty and would delete everything: set `days`, `min_keep` or a tier")]
    Empty,
    /// The rules of one kind of backup are empty.
    #[error(
        "the retention rules for {kind} backups are empty: set `days` or a tier, or leave the kind out so that the policy's rules hold"
    )]
    EmptyKind {
        /// The kind of backup.
        kind: BackupKind,
    },
    /// Only some kinds have rules, and nothing is said of the others.
    #[error(
        "the retention rules name some kinds of backup only and would delete all others: set `days`, `min_keep` or a tier for them"
    )]
    OtherKinds,
    /// `days: 0`.
    #[error("`days` is 0 and would keep nothing: leave it out, or give at least 1")]
    NoDays,
    /// More than anyone can mean.
    #[error("`{rule}` is {given}: use at most {max}")]
    TooLarge {
        /// The rule.
        rule: &'static str,
        /// What it says.
        given: u32,
        /// What it may say.
        max: u32,
    },
    /// A share that is none.
    #[error("the breaker's share is {given} per cent: use 1 to 100")]
    Share {
        /// What was given.
        given: u8,
    },
    /// A grace time longer than a year.
    #[error("the grace time is {days} days: use at most 366")]
    Grace {
        /// Whole days given.
        days: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_rule_set_is_refused_when_saved_with_a_mend() {
        let error = RetentionRules::default().validate().unwrap_err();
        assert_eq!(
            error.to_string(),
            "the retention rules are empty and would delete everything: set `days`, `min_keep` or a tier"
        );
    }

    #[test]
    fn min_keep_alone_is_a_valid_rule_set() {
        assert_eq!(RetentionRules { min_keep: 1, ..RetentionRules::default() }.validate(), Ok(()));
    }

    #[test]
    fn figures_nobody_can_mean_are_refused() {
        assert_eq!(RetentionRules::days(0).validate(), Err(RetentionRulesError::NoDays));
        assert!(matches!(
            RetentionRules::days(40_000).validate(),
            Err(RetentionRulesError::TooLarge { rule: "days", .. })
        ));
        let breaker = Breaker { share_percent: 0, count: 5 };
        let rules = RetentionRules { breaker, ..RetentionRules::days(1) };
        assert_eq!(rules.validate(), Err(RetentionRulesError::Share { given: 0 }));
        let rules = RetentionRules { grace: Duration::MAX, ..RetentionRules::days(1) };
        assert!(matches!(rules.validate(), Err(RetentionRulesError::Grace { .. })));
    }

    #[test]
    fn a_kind_with_no_rules_of_its_own_is_refused_not_read_as_delete_all() {
        let by_kind = BTreeMap::from([(BackupKind::Full, KeepRules::default())]);
        let rules = RetentionRules { by_kind, ..RetentionRules::days(1) };
        assert!(matches!(rules.validate(), Err(RetentionRulesError::EmptyKind { .. })));
    }

    #[test]
    fn rules_for_some_kinds_only_are_refused_not_read_as_delete_the_others() {
        let by_kind = BTreeMap::from([(BackupKind::Full, KeepRules { yearly: 7, ..KeepRules::default() })]);
        let rules = RetentionRules { by_kind, ..RetentionRules::default() };
        assert_eq!(rules.validate(), Err(RetentionRulesError::OtherKinds));
        assert_eq!(RetentionRules { min_keep: 1, ..rules }.validate(), Ok(()));
    }

    #[test]
    fn rules_read_back_as_written_and_absent_ones_are_the_defaults() {
        let rules = RetentionRules {
            keep: KeepRules { days: Some(30), weekly: 4, ..KeepRules::default() },
            by_kind: BTreeMap::from([(BackupKind::Full, KeepRules { yearly: 7, ..KeepRules::default() })]),
            ..RetentionRules::default()
        };
        let json = serde_json::to_string(&rules).unwrap();
        assert_eq!(serde_json::from_str::<RetentionRules>(&json).unwrap(), rules);
        let sparse: RetentionRules = serde_json::from_str(r#"{"days":30}"#).unwrap();
        assert_eq!(sparse, RetentionRules::days(30));
    }

    #[test]
    fn a_rule_of_an_unknown_name_is_refused_when_read_back() {
        for json in [
            r#"{"days":30,"monthy":12}"#,
            r#"{"days":30,"by_kind":{"full":{"yearly":7,"weeks":4}}}"#,
            r#"{"days":30,"breaker":{"share":50}}"#,
        ] {
            let error = serde_json::from_str::<RetentionRules>(json).unwrap_err().to_string();
            assert!(error.contains("unknown field"), "{error}");
        }
    }
}
