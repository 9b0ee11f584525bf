//! Key-value labels for organising jobs, policies and records.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, de};

/// Key-value labels: at most 64, keys of 1 to 253 bytes, values of at most 1,024.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Labels(BTreeMap<String, String>);

/// Why labels were refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelsError {
    /// More than 64.
    #[error("{0} labels were given: use at most {max}", max = Labels::MAX)]
    TooMany(usize),
    /// A key of a wrong length or with control characters.
    #[error("the label key `{0}` must be 1 to 253 bytes without control characters")]
    Key(String),
    /// A value that is too long or has control characters.
    #[error("the value of the label `{0}` must be at most 1024 bytes without control characters")]
    Value(String),
}

impl Labels {
    /// The most labels that a thing may have.
    pub const MAX: usize = 64;

    /// Validates labels.
    ///
    /// # Errors
    /// [`LabelsError`] (invalid input), naming the label.
    pub fn new<K, V>(labels: impl IntoIterator<Item = (K, V)>) -> Result<Self, LabelsError>
    where
        K: Into<String>,
        V: Into<String>,
    {
        let labels: BTreeMap<String, String> =
            labels.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        if labels.len() > Self::MAX {
            return Err(LabelsError::TooMany(labels.len()));
        }
        for (key, value) in &labels {
            if !(1..=253).contains(&key.len()) || key.chars().any(char::is_control) {
                return Err(LabelsError::Key(key.chars().take(64).collect()));
            }
            if value.len() > 1024 || value.chars().any(char::is_control) {
                return Err(LabelsError::Value(key.clone()));
            }
        }
        Ok(Self(labels))
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Every label, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(BTreeMap::<String, String>::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_bounded() {
        assert!(Labels::new([("trigger", "manual")]).is_ok());
        assert_eq!(Labels::new([("", "x")]), Err(LabelsError::Key(String::new())));
        assert_eq!(Labels::new([("k", "x".repeat(1025))]), Err(LabelsError::Value("k".into())));
        assert_eq!(Labels::new((0..65).map(|i| (i.to_string(), ""))), Err(LabelsError::TooMany(65)));
    }
}
