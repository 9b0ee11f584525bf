//! A positive number of whole seconds.

use std::{fmt, num::NonZeroU32, time::Duration};

use serde::{Deserialize, Serialize};

/// A duration of whole seconds, at least one: a schedule's period, a jitter, a start window.
///
/// Written as a number. At most `u32::MAX` seconds, some 136 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seconds(NonZeroU32);

impl Seconds {
    /// `seconds` as a duration.
    ///
    /// # Errors
    /// [`SecondsError`] (invalid input) for zero.
    pub const fn new(seconds: u32) -> Result<Self, SecondsError> {
        match NonZeroU32::new(seconds) {
            Some(seconds) => Ok(Self(seconds)),
            None => Err(SecondsError),
        }
    }

    /// How many seconds.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// The same as a [`Duration`].
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::new(self.0.get() as u64, 0)
    }

    /// The same in microseconds.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0.get() as i64 * 1_000_000
    }
}

impl From<Seconds> for Duration {
    fn from(seconds: Seconds) -> Self {
        seconds.duration()
    }
}

impl TryFrom<Duration> for Seconds {
    type Error = SecondsError;

    fn try_from(duration: Duration) -> Result<Self, Self::Error> {
        if duration.subsec_nanos() != 0 {
            return Err(SecondsError);
        }
        Self::new(u32::try_from(duration.as_secs()).map_err(|_| SecondsError)?)
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0)
    }
}

/// Not a positive number of whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a usable duration: give whole seconds, from 1 to 4294967295")]
pub struct SecondsError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_whole_and_not_zero() {
        assert_eq!(Seconds::new(0), Err(SecondsError));
        assert_eq!(Seconds::try_from(Duration::from_millis(1_500)), Err(SecondsError));
        assert_eq!(Seconds::try_from(Duration::from_secs(90)).unwrap().get(), 90);
        assert!(serde_json::from_str::<Seconds>("0").is_err());
        assert_eq!(serde_json::to_string(&Seconds::new(900).unwrap()).unwrap(), "900");
    }
}
