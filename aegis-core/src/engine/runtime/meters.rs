//! What the engine counts by the `metrics` crate, for whoever has installed a recorder.

use metrics::{counter, describe_counter, describe_histogram, histogram};

use crate::{model::EventKind, seams::Changeset};

const EVENTS: &str = "aegis_events_total";
const DURATION: &str = "aegis_duration_seconds";
const BYTES: &str = "aegis_bytes_total";
const PANICS: &str = "aegis_loop_panics_total";

/// Says what each figure means, and begins counting at zero: who watches for a change sees the first, too.
pub(super) fn describe() {
    describe_counter!(EVENTS, "Changes that this engine made, by the kind of their event.");
    describe_histogram!(DURATION, "How long what has ended took, by the kind of its event and cluster.");
    describe_counter!(
        BYTES,
        "Bytes that were moved by what has ended, by the kind of its event and cluster."
    );
    describe_counter!(PANICS, "Loops of the engine that panicked and began again.");
    for kind in EventKind::ALL {
        counter!(EVENTS, "kind" => kind.as_str()).increment(0);
    }
    counter!(PANICS).increment(0);
}

/// Counts what was committed.
pub(super) fn count(changeset: &Changeset) {
    for change in &changeset.changes {
        let (kind, facts) = (change.kind.as_str(), &change.facts);
        let cluster = || facts.cluster.as_ref().map_or_else(String::new, ToString::to_string);
        counter!(EVENTS, "kind" => kind).increment(1);
        if let Some(duration) = facts.duration {
            histogram!(DURATION, "kind" => kind, "cluster" => cluster()).record(duration.as_secs_f64());
        }
        if let Some(bytes) = facts.bytes {
            counter!(BYTES, "kind" => kind, "cluster" => cluster()).increment(bytes.0);
        }
    }
}

/// Counts a loop that panicked.
pub(super) fn count_panic() {
    counter!(PANICS).increment(1);
}
