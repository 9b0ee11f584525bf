//! State machines as data: a table of legal steps, and nothing that can go around it.

use std::fmt;

/// The states of one kind of entity, with the table of its legal steps.
///
/// Diagrams, SQL checks and tests are compared with [`TRANSITIONS`](Self::TRANSITIONS); nothing
/// else says what may follow what.
pub trait Machine: Copy + Eq + fmt::Display + 'static {
    /// What can happen to the entity, without its particulars.
    type Step: Copy + Eq + fmt::Debug + 'static;
    /// The kind of entity, as error messages name it.
    const NAME: &'static str;
    /// Every state.
    const ALL: &'static [Self];
    /// Every step.
    const STEPS: &'static [Self::Step];
    /// Every legal step: from, by, to.
    const TRANSITIONS: &'static [(Self, Self::Step, Self)];

    /// The state after `step`.
    ///
    /// # Errors
    /// [`TransitionError`] (class `InvalidTransition`) if the table has no such row.
    fn after(self, step: Self::Step) -> Result<Self, TransitionError> {
        Self::TRANSITIONS
            .iter()
            .find(|(from, by, _)| *from == self && *by == step)
            .map(|(_, _, to)| *to)
            .ok_or_else(|| TransitionError {
                machine: Self::NAME,
                state: self.to_string(),
                step: format!("{step:?}").to_lowercase(),
            })
    }

    /// Whether no step leads out of this state.
    fn is_terminal(self) -> bool {
        Self::TRANSITIONS.iter().all(|(from, _, _)| *from != self)
    }
}

/// A step that the state machine does not have. Class `InvalidTransition`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a {machine} that is {state} can't {step}")]
pub struct TransitionError {
    /// The kind of entity.
    pub machine: &'static str,
    /// The state that it is in.
    pub state: String,
    /// The step that was asked for.
    pub step: String,
}

/// Defines a fieldless enum whose variants have stable labels.
macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $label:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
        )]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $label)] $variant,)*
        }

        impl $name {
            /// Every value, in order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The stable label: what the wire, the database and the logs show.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $label,)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::model::UnknownLabel;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL
                    .iter()
                    .copied()
                    .find(|value| value.as_str() == text)
                    .ok_or_else(|| $crate::model::UnknownLabel::new(text, Self::ALL.iter().map(|v| v.as_str())))
            }
        }
    };
}
pub(crate) use labels;

/// A label that names no value of its kind. Class `InvalidInput`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is none of {known}")]
pub struct UnknownLabel {
    given: String,
    known: String,
}

impl UnknownLabel {
    pub(crate) fn new<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Self {
        Self { given: given.chars().take(64).collect(), known: known.collect::<Vec<_>>().join(", ") }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::{HashSet, VecDeque};

    use super::*;

    /// The legal steps of one state: each with the state that it leads to.
    type Row<M> = (M, &'static [(<M as Machine>::Step, M)]);

    /// Checks what every machine must keep, and its table against a second, hand-written one:
    /// per state, the states that each step leads to.
    pub(crate) fn check<M: Machine + std::hash::Hash + fmt::Debug>(expected: &[Row<M>]) {
        assert_eq!(expected.len(), M::ALL.len(), "every state is listed");
        for (from, rows) in expected {
            for step in M::STEPS {
                let want = rows.iter().find(|(by, _)| by == step).map(|(_, to)| *to);
                assert_eq!(from.after(*step).ok(), want, "{from} by {step:?}");
            }
        }
        let mut reached = HashSet::from([M::ALL[0]]);
        let mut queue = VecDeque::from([M::ALL[0]]);
        while let Some(state) = queue.pop_front() {
            for (_, _, to) in M::TRANSITIONS.iter().filter(|(from, _, _)| *from == state) {
                if reached.insert(*to) {
                    queue.push_back(*to);
                }
            }
        }
        assert_eq!(reached.len(), M::ALL.len(), "every state can be reached: {reached:?}");
        for state in M::ALL {
            assert!(reaches_an_end(*state), "{state} can end");
        }
    }

    fn reaches_an_end<M: Machine + std::hash::Hash>(state: M) -> bool {
        let mut seen = HashSet::from([state]);
        let mut queue = VecDeque::from([state]);
        while let Some(state) = queue.pop_front() {
            if state.is_terminal() {
                return true;
            }
            for (_, _, to) in M::TRANSITIONS.iter().filter(|(from, _, _)| *from == state) {
                if seen.insert(*to) {
                    queue.push_back(*to);
                }
            }
        }
        false
    }
}
