//! Readers of the log: where they are, and what they derived on the way.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::{StoreHarness, events, must, must_conflict, samples::tenant, seal};
use crate::{
    model::Position,
    seams::{Conflict, Derived, DerivedKeys, DerivedQuery, DerivedRow, ErrorClass, ReaderStep, Scope, Store},
};

pub(super) fn row(owner: &str, key: &str, document: &str) -> DerivedRow {
    DerivedRow { tenant: tenant(owner), key: key.to_owned(), document: document.into() }
}

/// A step of the reader `figures`.
pub(super) fn step(from: u64, to: u64, derived: impl IntoIterator<Item = DerivedRow>) -> ReaderStep {
    let derived = derived.into_iter().collect();
    ReaderStep { derived, ..ReaderStep::new("figures", Position(from), Position(to)) }
}

async fn derived(store: &dyn Store, reader: &str, owner: &str, keys: DerivedKeys) -> Derived {
    let query = DerivedQuery { reader: reader.to_owned(), tenant: tenant(owner), keys };
    must(store.derived(&query).await, "read what was derived")
}

fn range(from: &str, before: &str) -> DerivedKeys {
    DerivedKeys::Range(from.to_owned(), before.to_owned())
}

fn named(keys: &[&str]) -> DerivedKeys {
    DerivedKeys::Named(keys.iter().map(|key| (*key).to_owned()).collect())
}

/// Keys and documents of everything that `figures` keeps for acme.
pub(super) async fn all(store: &dyn Store) -> (u64, Vec<(String, String)>) {
    let found = derived(store, "figures", "acme", range("", "\u{10ffff}")).await;
    let rows = found.rows.into_iter().map(|row| (row.key, row.document.to_string()));
    (found.position.0, rows.collect())
}

fn texts(rows: &[(&str, &str)]) -> Vec<(String, String)> {
    rows.iter().map(|(key, document)| ((*key).to_owned(), (*document).to_owned())).collect()
}

/// A reader's position is kept per name, and moves from where it is, forward, alone.
pub async fn a_reader_steps_on_from_where_it_is<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let position = async || must(store.reader_position("figures").await, "ask where the reader is");
    assert_eq!(position().await, Position::START);
    must(store.advance_reader(step(0, 5, [])).await, "step on");
    for (from, to) in [(0, 9), (4, 6), (6, 9)] {
        let conflict = must_conflict(store.advance_reader(step(from, to, [])).await, "step from elsewhere");
        let reader = "figures".to_owned();
        assert_eq!(conflict, Conflict::Moved { reader, expected: Position(from), found: Position(5) });
    }
    for to in [5, 3] {
        let refused = store.advance_reader(step(5, to, [])).await.map_err(|error| error.class());
        assert_eq!(refused, Err(ErrorClass::InvalidInput), "a step from 5 to {to}");
    }
    assert_eq!(position().await, Position(5));
    must(store.advance_reader(step(5, 9, [])).await, "step on");
    assert_eq!(position().await, Position(9));
    assert_eq!(must(store.reader_position("figures/ü").await, "ask"), Position::START);
}

/// What is derived replaces what was there, with its step and not without; there is no event of it.
pub async fn what_a_reader_derives_is_kept_with_its_step<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    assert_eq!(all(&*store).await, (0, vec![]));
    must(store.advance_reader(step(0, 5, [row("acme", "a", "1"), row("acme", "b", "1")])).await, "step on");
    assert_eq!(all(&*store).await, (5, texts(&[("a", "1"), ("b", "1")])));
    let odd = "{\"name\": \"ü\",  \"zero\": 1.0}";
    must(store.advance_reader(step(5, 6, [row("acme", "b", odd), row("acme", "c", "2")])).await, "step on");
    let kept = (6, texts(&[("a", "1"), ("b", odd), ("c", "2")]));
    assert_eq!(all(&*store).await, kept);
    let late = step(5, 7, [row("acme", "a", "9"), row("acme", "d", "9")]);
    must_conflict(store.advance_reader(late).await, "step from where the reader was");
    let twice = step(6, 7, [row("acme", "a", "8"), row("acme", "a", "9")]);
    let refused = store.advance_reader(twice).await.map_err(|error| error.class());
    assert_eq!(refused, Err(ErrorClass::InvalidInput));
    assert_eq!(all(&*store).await, kept);
    seal(&*store).await;
    assert_eq!(events(&*store, &Scope::Everyone).await, []);
}

/// Rows are found by name and by half-open range, in order of the bytes of their keys, and belong to
/// one reader and one tenant.
pub async fn derived_rows_are_found_by_their_keys<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let keys = ["day/10", "day/2", "day/Z", "day/a", "day/é", "day0"];
    let mut rows: Vec<_> = keys.iter().rev().map(|key| row("acme", key, key)).collect();
    rows.push(row("globex", "day/2", "globex's"));
    must(store.advance_reader(step(0, 3, rows)).await, "step on");
    let other = ReaderStep { reader: "other".to_owned(), ..step(0, 8, [row("acme", "day/2", "other's")]) };
    must(store.advance_reader(other).await, "step on");
    let found = async |keys| {
        let found = derived(&*store, "figures", "acme", keys).await;
        assert_eq!(found.position, Position(3));
        assert!(found.rows.iter().all(|row| row.tenant == tenant("acme") && *row.key == *row.document));
        found.rows.into_iter().map(|row| row.key).collect::<Vec<_>>()
    };
    assert_eq!(found(range("day/", "day0")).await, ["day/10", "day/2", "day/Z", "day/a", "day/é"]);
    assert_eq!(found(range("day/2", "day/a")).await, ["day/2", "day/Z"]);
    assert!(found(range("day/b", "day/b")).await.is_empty());
    assert!(found(range("z", "a")).await.is_empty());
    assert_eq!(found(named(&["day0", "nothing", "day/2", "day/2"])).await, ["day/2", "day0"]);
    assert!(found(named(&[])).await.is_empty());
    for (reader, owner, position, document) in
        [("figures", "globex", 3, "globex's"), ("other", "acme", 8, "other's")]
    {
        let expected = Derived { position: Position(position), rows: vec![row(owner, "day/2", document)] };
        assert_eq!(derived(&*store, reader, owner, range("a", "z")).await, expected);
    }
    assert_eq!(derived(&*store, "nobody", "acme", range("a", "z")).await, Derived::default());
}

/// Of those who step on from one position at once, one does, and what it derived is what is kept.
pub async fn one_of_many_steps_from_a_position_counts<H: StoreHarness>(harness: &H) {
    const AT_ONCE: u64 = 4;
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    for from in 0..8 {
        let mut tasks = JoinSet::new();
        for n in 0..AT_ONCE {
            let store = Arc::clone(&store);
            let count = row("acme", "count", &format!("{from} {n}"));
            tasks.spawn(async move { (n, store.advance_reader(step(from, from + 1, [count])).await) });
        }
        let (won, lost): (Vec<_>, Vec<_>) =
            tasks.join_all().await.into_iter().partition(|(_, answer)| answer.is_ok());
        lost.into_iter().for_each(|(_, answer)| drop(must_conflict(answer, "lose")));
        let [(winner, _)] = won.as_slice() else { panic!("{} steps from {from} counted", won.len()) };
        assert_eq!(all(&*store).await, (from + 1, texts(&[("count", &format!("{from} {winner}"))])));
    }
}
