//! Which events a webhook wants.

use std::str::FromStr;

use aegis_core::model::EventKind;

/// Some kinds of events: one by its name (`job.failed`), all of a thing (`job.*`), or all (`*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPattern(Pattern);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    All,
    Of(String),
    One(EventKind),
}

/// The text names no kind of event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no events: write a kind, as `job.failed`, all of a thing, as `job.*`, or `*`")]
pub struct UnknownEvents(String);

impl EventPattern {
    fn matches(&self, kind: EventKind) -> bool {
        match &self.0 {
            Pattern::All => true,
            Pattern::Of(thing) => kind.as_str().split_once('.').is_some_and(|(of, _)| of == thing),
            Pattern::One(one) => *one == kind,
        }
    }
}

impl FromStr for EventPattern {
    type Err = UnknownEvents;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let pattern = match text.strip_suffix(".*") {
            Some(thing) => Self(Pattern::Of(thing.to_owned())),
            None if text == "*" => Self(Pattern::All),
            None => Self(Pattern::One(text.parse().map_err(|_| UnknownEvents(text.to_owned()))?)),
        };
        let known = EventKind::ALL.iter().any(|kind| pattern.matches(*kind));
        known.then_some(pattern).ok_or_else(|| UnknownEvents(text.to_owned()))
    }
}

/// Which events a webhook wants: those that any of its patterns matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFilter(Vec<EventPattern>);

impl EventFilter {
    /// Every event.
    #[must_use]
    pub fn all() -> Self {
        Self(vec![EventPattern(Pattern::All)])
    }

    /// Whether events of this kind are wanted.
    #[must_use]
    pub fn wants(&self, kind: EventKind) -> bool {
        self.0.iter().any(|pattern| pattern.matches(kind))
    }
}

impl FromIterator<EventPattern> for EventFilter {
    fn from_iter<I: IntoIterator<Item = EventPattern>>(patterns: I) -> Self {
        Self(patterns.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(patterns: &[&str]) -> EventFilter {
        patterns.iter().map(|pattern| pattern.parse::<EventPattern>().unwrap()).collect()
    }

    #[test]
    fn a_pattern_is_one_kind_all_of_a_thing_or_everything() {
        assert!(filter(&["job.failed"]).wants(EventKind::JobFailed));
        assert!(!filter(&["job.failed"]).wants(EventKind::JobCompleted));
        assert!(filter(&["record.*", "job.*"]).wants(EventKind::JobCompleted));
        assert!(!filter(&["job.*"]).wants(EventKind::RecordCreated));
        assert!(EventKind::ALL.iter().all(|kind| filter(&["*"]).wants(*kind)));
    }

    #[test]
    fn what_names_no_events_is_refused() {
        for text in ["", "job", "job.exploded", "jobs.*", "**", ".*"] {
            assert!(text.parse::<EventPattern>().is_err(), "{text}");
        }
    }
}
