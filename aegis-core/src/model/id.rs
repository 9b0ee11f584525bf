//! Typed identities: ids that Aegis mints, and names that people give.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

/// Defines ids that Aegis mints: UUIDs, opaque to clients.
macro_rules! minted_ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID that an id source minted.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID inside.
            #[must_use]
            pub const fn as_uuid(&self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(text).map(Self).map_err(|_| ParseIdError)
            }
        }
    )*};
}

minted_ids! {
    /// A backup job.
    JobId,
    /// A backup record: one recovery point in the catalogue.
    RecordId,
    /// A full backup and what depends on it.
    ChainId,
    /// A recovery plan.
    PlanId,
    /// A recovery execution.
    ExecutionId,
    /// A DR policy.
    PolicyId,
    /// A verification of one record.
    VerificationId,
    /// A DR test (drill).
    DrTestId,
    /// One run of the retention planner.
    RetentionRunId,
    /// One attempt at outside work: the idempotency key that a driver sees.
    OperationId,
    /// A changeset; the idempotency key of a commit.
    ChangesetId,
}

/// The text is not an id that Aegis could have minted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id: ids are UUIDs")]
pub struct ParseIdError;

/// Why a name was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("{what} is empty: give it at least one character")]
    Empty {
        /// The kind of name.
        what: &'static str,
    },
    /// Longer than the kind of name may be.
    #[error("{what} is {length} bytes long: use at most {max}")]
    TooLong {
        /// The kind of name.
        what: &'static str,
        /// Bytes given.
        length: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// A character that this kind of name may not have.
    #[error("{what} has the character {character:?}: use {allowed}")]
    Character {
        /// The kind of name.
        what: &'static str,
        /// The first such character.
        character: char,
        /// What may be used instead.
        allowed: &'static str,
    },
}

/// Defines names that people give: validated text, cheap to clone.
macro_rules! given_names {
    ($($(#[$doc:meta])* $name:ident { what: $what:literal, max: $max:literal, allowed: $allowed:literal, $check:expr }),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The most bytes that such a name may have.
            pub const MAX_LENGTH: usize = $max;

            /// Validates `text`.
            ///
            /// # Errors
            /// [`NameError`] (invalid input), saying what to use instead.
            pub fn new(text: impl AsRef<str>) -> Result<Self, NameError> {
                let text = text.as_ref();
                if text.is_empty() {
                    return Err(NameError::Empty { what: $what });
                }
                if text.len() > $max {
                    return Err(NameError::TooLong { what: $what, length: text.len(), max: $max });
                }
                let check: fn(char) -> bool = $check;
                if let Some(character) = text.chars().find(|c| !check(*c)) {
                    return Err(NameError::Character { what: $what, character, allowed: $allowed });
                }
                Ok(Self(Arc::from(text)))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), &*self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = NameError;

            fn try_from(text: &str) -> Result<Self, Self::Error> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::new(text).map_err(de::Error::custom)
            }
        }
    )*};
}

/// Letters, digits and the punctuation that every driver's names get by with.
const fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')
}

given_names! {
    /// The owner of policies, records and plans; no query crosses tenants.
    TenantId { what: "the tenant", max: 63, allowed: "letters, digits, `.`, `-` and `_`", is_plain },
    /// A named protected system, bound to one driver.
    ClusterName { what: "the cluster name", max: 253, allowed: "letters, digits, `.`, `-` and `_`", is_plain },
    /// What can be selected inside a cluster.
    NamespaceName {
        what: "the namespace name", max: 253,
        allowed: "no control characters and none of `*?[]{}!\\`",
        |c| !c.is_control() && !matches!(c, '*' | '?' | '[' | ']' | '{' | '}' | '!' | '\\')
    },
    /// A name that a person gives to a job, plan, policy or hold.
    DisplayName { what: "the name", max: 253, allowed: "no control characters", |c| !c.is_control() },
    /// Who asked for a change: a user, a token, or the engine itself.
    Principal { what: "the principal", max: 253, allowed: "no control characters", |c| !c.is_control() },
}

impl Principal {
    /// The engine acting by itself.
    #[must_use]
    pub fn engine() -> Self {
        Self(Arc::from("aegis"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_which_character_is_wrong_and_what_to_use() {
        let error = ClusterName::new("prod us").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the cluster name has the character ' ': use letters, digits, `.`, `-` and `_`"
        );
    }

    #[test]
    fn names_are_bounded_and_not_empty() {
        assert!(matches!(TenantId::new(""), Err(NameError::Empty { .. })));
        assert!(matches!(TenantId::new("x".repeat(64)), Err(NameError::TooLong { max: 63, .. })));
        assert!(TenantId::new("x".repeat(63)).is_ok());
    }

    #[test]
    fn namespaces_may_be_tables_disks_and_unicode() {
        for name in ["public.users", "vm1/disk0", "dokumente/größe", "app-backend"] {
            assert!(NamespaceName::new(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn names_are_validated_when_read_back() {
        assert!(serde_json::from_str::<ClusterName>("\"a b\"").is_err());
        let name: ClusterName = serde_json::from_str("\"prod\"").unwrap();
        assert_eq!(serde_json::to_string(&name).unwrap(), "\"prod\"");
    }

    #[test]
    fn an_id_that_cannot_exist_is_refused() {
        assert_eq!("job-1".parse::<JobId>(), Err(ParseIdError));
    }
}
