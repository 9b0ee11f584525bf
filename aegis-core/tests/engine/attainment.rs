//! Attainment over a part of the past is what the whole past says of that part, though less is read.

use std::time::Duration;

use aegis_core::{
    engine::PolicyAttainment,
    model::{
        BackupRecord, EventFacts, EventKind, FoundBad, Principal, RecordCopy, RecordLifecycle, RecoveryPoint,
        Rpo, Timestamp,
    },
    rules::exposure::Attainment,
    seams::Changeset,
    testing::fixtures,
};
use proptest::{collection::vec, prelude::*, test_runner::Config};

use crate::world::{START, World, location, new_policy, tenant};

const HOUR: Duration = Duration::from_secs(3600);
const HOURS: u32 = 300;

/// A backup, and what became of it after so many hours.
#[derive(Clone, Debug)]
struct Made {
    /// By the first policy, by the second, or by none.
    by: u8,
    is_elsewhere: bool,
    /// Which of those before it rests on.
    parent: Option<usize>,
    gone: Option<u32>,
    bad: Option<u32>,
}

fn made() -> impl Strategy<Value = Made> {
    let parent = prop_oneof![3 => Just(None), 1 => (0..4_usize).prop_map(Some)];
    let gone = prop_oneof![1 => Just(None), 3 => (1..HOURS / 2).prop_map(Some)];
    let bad = prop_oneof![4 => Just(None), 1 => (1..40_u32).prop_map(Some)];
    (0..3_u8, any::<bool>(), parent, gone, bad).prop_map(|(by, is_elsewhere, parent, gone, bad)| Made {
        by,
        is_elsewhere,
        parent,
        gone,
        bad,
    })
}

fn at(hours: u32) -> Timestamp {
    START.saturating_add(HOUR * hours)
}

fn record(number: usize, of: usize, made: &Made) -> BackupRecord {
    let hour = u32::try_from(number * usize::try_from(HOURS).unwrap() / of).unwrap();
    let fate = |after: Option<u32>| after.map(|after| at(hour + after)).filter(|when| *when <= at(HOURS));
    let elsewhere = "s3://backups/local/elsewhere/".parse().unwrap();
    let number = u64::try_from(number).unwrap();
    BackupRecord {
        parent: made
            .parent
            .and_then(|back| number.checked_sub(u64::try_from(back).unwrap() + 1))
            .map(fixtures::id),
        recovery_point: RecoveryPoint { at: at(hour).saturating_sub(HOUR / 4), clamped: false },
        created_at: at(hour),
        lifecycle: fate(made.gone)
            .map_or(RecordLifecycle::Available, |gone| RecordLifecycle::Deleted { began_at: gone, at: gone }),
        found_bad: fate(made.bad).map(|at| FoundBad { at, reason: "it is torn".to_owned() }),
        copies: vec![RecordCopy {
            location: if made.is_elsewhere { elsewhere } else { location() },
            available_at: at(hour),
            ..fixtures::copy()
        }],
        ..fixtures::record(number)
    }
}

/// What is added up over parts of the time.
fn sums(book: &Attainment) -> [Duration; 5] {
    [book.share.counted, book.share.compliant, book.raw.counted, book.raw.compliant, book.unprotected]
}

fn add_up(parts: &[&PolicyAttainment], book: impl Fn(&PolicyAttainment) -> Attainment) -> Vec<Duration> {
    let parts: Vec<_> = parts.iter().map(|part| sums(&book(part))).collect();
    (0..5).map(|index| parts.iter().map(|part| part[index]).sum()).collect()
}

async fn the_parts_add_up(history: Vec<Made>, middle: u32) {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    let mut policies = Vec::new();
    for name in ["one", "two"] {
        let mut new = new_policy(name, 3600);
        new.rpo = Some(Rpo(5 * HOUR));
        policies.push(me.create_policy(new).await.unwrap().policy);
    }
    world.clock.advance(HOUR * HOURS);
    let mut changeset = Changeset::new(fixtures::id(1), Principal::engine(), START);
    for (number, made) in history.iter().enumerate() {
        let record = BackupRecord {
            policy: policies.get(usize::from(made.by)).map(|policy| policy.id),
            selection: policies[0].namespaces.clone(),
            ..record(number, history.len(), made)
        };
        changeset.insert(record, EventKind::RecordCreated, EventFacts::default());
    }
    world.store.commit(changeset).await.unwrap();
    for policy in policies {
        let over = async |from, to| me.attainment(policy.id, at(from), at(to)).await.unwrap();
        let (whole, before, after) = (over(0, HOURS).await, over(0, middle).await, over(middle, HOURS).await);
        for book in [|of: &PolicyAttainment| of.as_known, |of: &PolicyAttainment| of.restated] {
            assert_eq!(add_up(&[&before, &after], book), add_up(&[&whole], book));
        }
        assert_eq!(after.by_location, whole.by_location);
    }
}

proptest! {
    #![proptest_config(Config { cases: 48, failure_persistence: None, ..Config::default() })]
    #[test]
    fn what_is_read_of_a_part_of_the_past_says_of_it_what_the_whole_past_says(
        history in vec(made(), 1..90),
        middle in 1..HOURS,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(the_parts_add_up(history, middle));
    }
}
