//! The names under which drivers keep what an attempt makes.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{DisplayName, Timestamp};

/// What every generated name begins with.
const PREFIX: &str = "oco-";
/// The longest name that Kubernetes accepts as a label's value, too.
const MAX_LENGTH: usize = 63;

/// The name of what one attempt makes: `oco-<name>-<unix seconds>`, on a collision followed by
/// `-<4 characters>`.
///
/// A valid Kubernetes object name of at most 63 characters, so that every driver can use it, and a
/// single path segment, so that it can name the backup's folder in a storage location. A retry gets
/// a new one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArtifactName(String);

/// The text is not a name that Aegis could have generated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an artifact name: lower-case letters, digits and `-`, at most 63, not at either end")]
pub struct ArtifactNameError(String);

impl ArtifactName {
    /// The name for an attempt at what people call `name`, started at `at`.
    #[must_use]
    pub fn generate(name: &DisplayName, at: Timestamp) -> Self {
        Self::assemble(name, at, "")
    }

    /// The name for when [`generate`](Self::generate)'s is taken; `salt` picks the 4 characters.
    #[must_use]
    pub fn generate_distinct(name: &DisplayName, at: Timestamp, salt: u32) -> Self {
        const ALPHABET: [char; 32] = [
            'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'j', 'k', 'm', 'n', 'p', 'q', 'r', 's', 't', 'u', 'v',
            'w', 'x', 'y', 'z', '2', '3', '4', '5', '6', '7', '8', '9', '0',
        ];
        let mut suffix = String::from("-");
        for shift in [0, 5, 10, 15] {
            suffix.extend(ALPHABET.get(((salt >> shift) & 31) as usize));
        }
        Self::assemble(name, at, &suffix)
    }

    fn assemble(name: &DisplayName, at: Timestamp, suffix: &str) -> Self {
        let tail = format!("-{}{suffix}", at.as_seconds().max(0));
        let mut slug = slug(name.as_str());
        slug.truncate(MAX_LENGTH - PREFIX.len() - tail.len());
        let slug = slug.trim_end_matches('-');
        Self(format!("{PREFIX}{slug}{tail}"))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `text` in lower-case ASCII letters and digits, with single `-` between; never empty.
fn slug(text: &str) -> String {
    let mut slug = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(slug.trim_end_matches('-').len());
    if slug.is_empty() { "backup".to_owned() } else { slug }
}

impl TryFrom<&str> for ArtifactName {
    type Error = ArtifactNameError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        let sound = (1..=MAX_LENGTH).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-');
        if sound {
            Ok(Self(text.to_owned()))
        } else {
            Err(ArtifactNameError(text.chars().take(64).collect()))
        }
    }
}

impl fmt::Display for ArtifactName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ArtifactName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ArtifactName({:?})", self.0)
    }
}

impl Serialize for ArtifactName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ArtifactName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::try_from(&*text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_seconds(1_707_235_200);

    fn generate(name: &str) -> ArtifactName {
        ArtifactName::generate(&DisplayName::new(name).unwrap(), AT)
    }

    #[test]
    fn is_oco_name_and_unix_seconds() {
        assert_eq!(
            generate("manual-backup-prod-2026-02-06").as_str(),
            "oco-manual-backup-prod-2026-02-06-1707235200"
        );
    }

    #[test]
    fn any_name_becomes_a_valid_kubernetes_name() {
        for name in ["Ünïcode  Näme!", "---", "日本", "UPPER_case.dots", &"x-".repeat(100)] {
            let artifact = generate(name);
            assert_eq!(ArtifactName::try_from(artifact.as_str()), Ok(artifact.clone()), "{name}");
            assert!(artifact.as_str().len() <= 63);
        }
        assert_eq!(generate("---").as_str(), "oco-backup-1707235200");
    }

    #[test]
    fn a_collision_adds_four_characters_that_survive_truncation() {
        let name = DisplayName::new("x".repeat(200)).unwrap();
        let one = ArtifactName::generate_distinct(&name, AT, 1);
        let two = ArtifactName::generate_distinct(&name, AT, 2);
        assert_ne!(one, two);
        assert_eq!(one.as_str().len(), 63);
        assert!(one.as_str().ends_with("-1707235200-baaa"), "{one}");
    }

    #[test]
    fn what_could_leave_its_folder_is_refused() {
        for text in ["", "..", "a/b", "-a", "a-", "A"] {
            assert!(ArtifactName::try_from(text).is_err(), "{text}");
        }
    }
}
