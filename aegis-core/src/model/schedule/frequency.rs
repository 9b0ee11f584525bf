//! Schedules in four words, and the small numbers they are made of.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::CronExpression;

/// How often, and when: a cron expression for people who would rather not write one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "unit", rename_all = "snake_case", deny_unknown_fields)]
pub enum Frequency {
    /// Every hour.
    Hourly {
        /// The minute of the hour.
        #[serde(default)]
        minute: Minute,
    },
    /// Every day.
    Daily {
        /// The time of day.
        time: TimeOfDay,
    },
    /// Every week.
    Weekly {
        /// The day of the week.
        day: Weekday,
        /// The time of that day.
        time: TimeOfDay,
    },
    /// Every month that has the day.
    Monthly {
        /// The day of the month.
        day: MonthDay,
        /// The time of that day.
        time: TimeOfDay,
    },
}

impl Frequency {
    /// The cron expression that means the same.
    #[must_use]
    #[expect(clippy::expect_used, reason = "numbers within their fields make a valid expression")]
    pub fn cron(&self) -> CronExpression {
        let text = match self {
            Self::Hourly { minute } => format!("{minute} * * * *"),
            Self::Daily { time } => format!("{} {} * * *", time.minute, time.hour),
            Self::Weekly { day, time } => format!("{} {} * * {}", time.minute, time.hour, day.number()),
            Self::Monthly { day, time } => format!("{} {} {day} * *", time.minute, time.hour),
        };
        CronExpression::new(&text).expect("numbers within their fields make a valid expression")
    }
}

/// A number that lies outside what it counts, or no number at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {what}: use {allowed}")]
pub struct BoundsError {
    text: String,
    what: &'static str,
    allowed: &'static str,
}

impl BoundsError {
    fn new(text: impl fmt::Display, what: &'static str, allowed: &'static str) -> Self {
        Self { text: text.to_string().chars().take(32).collect(), what, allowed }
    }
}

/// Defines small numbers that know their bounds.
macro_rules! bounded {
    ($($(#[$doc:meta])* $name:ident { $min:literal..=$max:literal, $what:literal, $allowed:literal }),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(u8);

        impl $name {
            /// Checks the bounds.
            ///
            /// # Errors
            /// [`BoundsError`] (invalid input) outside them.
            pub fn new(number: u8) -> Result<Self, BoundsError> {
                if ($min..=$max).contains(&number) {
                    return Ok(Self(number));
                }
                Err(BoundsError::new(number, $what, $allowed))
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> u8 {
                self.0
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self($min)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(u8::deserialize(deserializer)?).map_err(de::Error::custom)
            }
        }
    )*};
}

bounded! {
    /// A minute of the hour, 0 to 59.
    Minute { 0..=59, "a minute of the hour", "0 to 59" },
    /// A day of the month, 1 to 31.
    MonthDay { 1..=31, "a day of the month", "1 to 31" },
}

/// A time of day by the wall clock, to the minute, written `HH:MM`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeOfDay {
    hour: u8,
    minute: u8,
}

impl TimeOfDay {
    /// The first minute of the day.
    pub const MIDNIGHT: Self = Self { hour: 0, minute: 0 };

    /// Checks the bounds: hours 0 to 23, minutes 0 to 59.
    ///
    /// # Errors
    /// [`BoundsError`] (invalid input) outside them.
    pub fn new(hour: u8, minute: u8) -> Result<Self, BoundsError> {
        if hour < 24 && minute < 60 {
            return Ok(Self { hour, minute });
        }
        Err(Self::refused(format_args!("{hour:02}:{minute:02}")))
    }

    fn refused(text: impl fmt::Display) -> BoundsError {
        BoundsError::new(text, "a time of day", "HH:MM from 00:00 to 23:59")
    }

    /// Hours since midnight.
    #[must_use]
    pub const fn hour(self) -> u8 {
        self.hour
    }

    /// Minutes since the hour.
    #[must_use]
    pub const fn minute(self) -> u8 {
        self.minute
    }

    /// Minutes since midnight.
    #[must_use]
    pub const fn minute_of_day(self) -> u16 {
        self.hour as u16 * 60 + self.minute as u16
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)
    }
}

impl fmt::Debug for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TimeOfDay({self})")
    }
}

impl FromStr for TimeOfDay {
    type Err = BoundsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = |part: &str| {
            let digits = (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| part.parse::<u8>().ok()).flatten()
        };
        let (hour, minute) = text.split_once(':').ok_or_else(|| Self::refused(text))?;
        match (parse(hour), parse(minute)) {
            (Some(hour), Some(number)) if minute.len() == 2 => Self::new(hour, number),
            _ => Err(Self::refused(text)),
        }
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the days of the week")]
pub enum Weekday {
    Sunday,
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
}

impl Weekday {
    /// All seven, in cron's order.
    pub const ALL: [Self; 7] = [
        Self::Sunday,
        Self::Monday,
        Self::Tuesday,
        Self::Wednesday,
        Self::Thursday,
        Self::Friday,
        Self::Saturday,
    ];

    /// Cron's number: Sunday is 0.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for Weekday {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frequency_is_the_cron_expression_that_means_the_same() {
        let time = TimeOfDay::new(2, 30).unwrap();
        let cases = [
            (Frequency::Hourly { minute: Minute::new(15).unwrap() }, "15 * * * *"),
            (Frequency::Daily { time }, "30 2 * * *"),
            (Frequency::Weekly { day: Weekday::Sunday, time }, "30 2 * * 0"),
            (Frequency::Monthly { day: MonthDay::new(31).unwrap(), time }, "30 2 31 * *"),
        ];
        for (frequency, text) in cases {
            assert_eq!(frequency.cron().as_str(), text);
        }
    }

    #[test]
    fn a_time_of_day_is_hours_and_minutes() {
        assert_eq!("02:30".parse(), TimeOfDay::new(2, 30));
        assert_eq!("2:30".parse(), TimeOfDay::new(2, 30));
        for text in ["24:00", "02:60", "02", "2:3", "+2:30", "02:30:00", "", "ab:cd"] {
            let error = text.parse::<TimeOfDay>().unwrap_err().to_string();
            assert!(error.ends_with("use HH:MM from 00:00 to 23:59"), "{error}");
        }
    }

    #[test]
    fn small_numbers_keep_their_bounds() {
        assert!(Minute::new(60).is_err() && MonthDay::new(0).is_err() && MonthDay::new(32).is_err());
        assert!(serde_json::from_str::<MonthDay>("32").is_err());
    }
}
