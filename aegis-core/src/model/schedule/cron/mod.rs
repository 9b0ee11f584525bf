//! Cron expressions: what is accepted, what is refused, and what to write instead.

mod check;

use std::{fmt, str::FromStr, sync::Arc};

use croner::parser::{CronParser, Seconds, Year};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{CronField, CronFields};
use check::Checked;

/// A valid cron expression of five fields (minute, hour, day of month, month, day of week) or one
/// of `@hourly @daily @midnight @weekly @monthly @yearly @annually`, which fires at least once.
///
/// Kept in its canonical text: one blank between fields, names in upper case, nicknames in lower
/// case. Two are equal if their texts are.
#[derive(Clone)]
pub struct CronExpression {
    text: Arc<str>,
    fields: CronFields,
}

impl CronExpression {
    /// The most bytes that an expression may have.
    pub const MAX_LENGTH: usize = 512;

    /// Validates `text`.
    ///
    /// # Errors
    /// [`CronError`] (invalid input), saying what is wrong in which field and what to write instead.
    pub fn new(text: &str) -> Result<Self, CronError> {
        let refused = |fault| CronError { text: text.chars().take(Self::MAX_LENGTH).collect(), fault };
        let checked = check::check(text).map_err(refused)?;
        let fields = fields(&checked).map_err(refused)?;
        if !fields.can_fire() {
            return Err(refused(Fault::NeverFires));
        }
        Ok(Self { text: Arc::from(checked.text), fields })
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What the fields name.
    #[must_use]
    pub const fn fields(&self) -> &CronFields {
        &self.fields
    }
}

/// Has croner resolve the fields of an expression that passed [`check::check`].
fn fields(checked: &Checked) -> Result<CronFields, Fault> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    let pattern = parser
        .parse(&checked.fields.join(" "))
        .map_err(|error| Fault::Unreadable(error.to_string()))?
        .pattern;
    let [_, hour, day, _, weekday] = &checked.fields;
    let bits = |values: Vec<u16>| values.into_iter().fold(0u64, |bits, value| bits | 1 << value);
    let narrow = |bits: u64| u32::try_from(bits).unwrap_or(u32::MAX);
    let hours = narrow(bits(pattern.hours.values()));
    Ok(CronFields {
        minutes: bits(pattern.minutes.values()),
        hours,
        days: narrow(bits(pattern.days.values())),
        months: u16::try_from(bits(pattern.months.values())).unwrap_or(u16::MAX),
        weekdays: u8::try_from(bits(pattern.days_of_week.values()) & 0x7f).unwrap_or(u8::MAX),
        days_restricted: day != "*",
        weekdays_restricted: weekday != "*",
        interval: hour == "*" || (hour.starts_with("*/") && !hour.contains(',')) || hours == 0x00ff_ffff,
    })
}

/// A cron expression was refused.
///
/// Its text says what is wrong, in which field, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronError {
    text: String,
    fault: Fault,
}

impl CronError {
    /// The field at fault, if it is one field's.
    #[must_use]
    pub const fn field(&self) -> Option<CronField> {
        match &self.fault {
            Fault::Field { field, .. } => Some(*field),
            Fault::Length
            | Fault::Count(_)
            | Fault::Blank(_)
            | Fault::Nickname
            | Fault::Reboot
            | Fault::NeverFires
            | Fault::Unreadable(_) => None,
        }
    }
}

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fault {
    Length,
    Count(usize),
    Blank(char),
    Nickname,
    Reboot,
    NeverFires,
    Unreadable(String),
    Field { field: CronField, item: String, problem: Problem },
}

/// What is wrong with one item of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Problem {
    EmptyItem,
    StarInList,
    Special { character: char, mend: &'static str },
    NameOf(CronField),
    NotANumber,
    OutOfBounds,
    StepWithoutRange { mend: String },
    StepZero,
    StepTooLarge { mend: String },
    Reversed { mend: String },
}

impl fmt::Display for CronError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a usable cron expression: {}", self.text, self.fault)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => {
                write!(f, "it is too long: use at most {} bytes", CronExpression::MAX_LENGTH)
            }
            Self::Count(found) => {
                write!(f, "it has {found} field{}: ", if *found == 1 { "" } else { "s" })?;
                f.write_str("write exactly five (minute, hour, day of month, month, day of week)")?;
                f.write_str(if *found > 5 { " and leave out seconds and year" } else { "" })
            }
            Self::Blank(c) => {
                write!(f, "it has the blank U+{:04X}: use plain spaces", u32::from(*c))
            }
            Self::Nickname => f.write_str(
                "there is no such nickname: use @hourly, @daily, @midnight, @weekly, @monthly, @yearly, \
                 @annually or five fields",
            ),
            Self::Reboot => f.write_str(
                "@reboot names no time: run the policy by hand after a restart, or use a time such as @daily",
            ),
            Self::NeverFires => f.write_str(
                "it never fires, since no month that it names has such a day: name a day that one of them has, \
                 such as 28",
            ),
            Self::Unreadable(reason) => write!(f, "it cannot be read ({reason}): write it in simpler terms"),
            Self::Field { field, item, problem } => {
                write!(f, "in the {field} field, `{item}` ")?;
                problem.describe(*field, f)
            }
        }
    }
}

impl Problem {
    fn describe(&self, field: CronField, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (min, max) = field.bounds();
        match self {
            Self::EmptyItem => f.write_str("has an empty list item: take out the comma or fill it in"),
            Self::StarInList => f.write_str("names everything beside other items: write `*` alone"),
            Self::Special { character, mend } => {
                write!(f, "uses `{character}`, which has no meaning here: {mend}")
            }
            Self::NameOf(other) => write!(f, "is the name of a {}: write it in that field", other.noun()),
            Self::NotANumber => {
                write!(f, "is not a {}: use {min} to {max}", field.noun())?;
                field
                    .names()
                    .first()
                    .zip(field.names().last())
                    .map_or(Ok(()), |(first, last)| write!(f, " or {first} to {last}"))
            }
            Self::OutOfBounds => write!(f, "is out of bounds: use {min} to {max}"),
            Self::StepWithoutRange { mend } => write!(f, "steps without a range: write `{mend}`"),
            Self::StepZero => f.write_str("steps by 0: use a step of at least 1"),
            Self::StepTooLarge { mend } => {
                write!(f, "steps over the whole field ({} values): write `{mend}`", field.size())
            }
            Self::Reversed { mend } => write!(f, "is a reversed range: write `{mend}`"),
        }
    }
}

impl CronField {
    /// What one of its numbers is called.
    const fn noun(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day of the month",
            Self::Month => "month",
            Self::DayOfWeek => "weekday",
        }
    }
}

impl std::error::Error for CronError {}

impl PartialEq for CronExpression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for CronExpression {}

impl std::hash::Hash for CronExpression {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Display for CronExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for CronExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CronExpression({:?})", &*self.text)
    }
}

impl FromStr for CronExpression {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl Serialize for CronExpression {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for CronExpression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::new(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
