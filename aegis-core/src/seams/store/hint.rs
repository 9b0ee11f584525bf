//! Hints that something may have changed, and how they go from those who commit to those who wait.

use std::{
    collections::BTreeSet,
    fmt, mem,
    pin::Pin,
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
};

use futures::stream::{self, BoxStream, Stream, StreamExt};

use super::{Changeset, Column, LeaseName, Sealed, Value};
use crate::model::ClusterName;

/// What it may be worth to look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StoreHint {
    /// Everything: hints may have been lost.
    Everything,
    /// Events that wait to be sealed.
    Committed,
    /// The sealed log.
    Sealed,
    /// The work of a cluster.
    Work(ClusterName),
}

impl StoreHint {
    /// What follows from a commit, for stores: there is something to seal, and something to do for
    /// every cluster of which something is written by someone else than who holds its lease.
    #[must_use]
    pub fn of_commit(changeset: &Changeset) -> BTreeSet<Self> {
        let clusters: BTreeSet<_> = changeset
            .changes
            .iter()
            .filter_map(|change| {
                let Some(Value::Text(name)) = change.write.entity().value(Column::Cluster) else {
                    return None;
                };
                ClusterName::new(name).ok()
            })
            .collect();
        let is_own = |cluster: &ClusterName| {
            let lease = LeaseName::cluster(cluster);
            changeset.fences.iter().any(|fence| fence.name == lease)
        };
        let work = clusters.into_iter().filter(|cluster| !is_own(cluster)).map(Self::Work);
        (!changeset.is_empty()).then_some(Self::Committed).into_iter().chain(work).collect()
    }

    /// What follows from sealing, for stores.
    #[must_use]
    pub fn of_sealing(sealed: Sealed) -> Option<Self> {
        (sealed.count > 0).then_some(Self::Sealed)
    }

    /// What follows from the return of a lease, for stores: whoever takes it goes on with the work.
    #[must_use]
    pub fn of_release(lease: &LeaseName) -> Option<Self> {
        lease.as_cluster().map(Self::Work)
    }
}

impl fmt::Display for StoreHint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("everything"),
            Self::Committed => f.write_str("committed"),
            Self::Sealed => f.write_str("sealed"),
            Self::Work(cluster) => write!(f, "work {cluster}"),
        }
    }
}

/// A text that says no hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this says no hint")]
pub struct NoHint;

impl FromStr for StoreHint {
    type Err = NoHint;

    fn from_str(text: &str) -> Result<Self, NoHint> {
        match (text, text.split_once(' ')) {
            ("everything", _) => Ok(Self::Everything),
            ("committed", _) => Ok(Self::Committed),
            ("sealed", _) => Ok(Self::Sealed),
            (_, Some(("work", cluster))) => ClusterName::new(cluster).map(Self::Work).map_err(|_| NoHint),
            _ => Err(NoHint),
        }
    }
}

/// Takes hints from those who commit to those who wait in the same process, for stores.
///
/// Who is slow finds each hint once, however often it was given. Who is gone is forgotten.
#[derive(Debug, Default)]
pub struct HintBoard {
    boxes: Mutex<Vec<Weak<HintBox>>>,
}

#[derive(Debug, Default)]
struct HintBox(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    hints: BTreeSet<StoreHint>,
    waker: Option<Waker>,
}

impl HintBoard {
    /// Tells everyone who listens.
    pub fn post(&self, hints: impl IntoIterator<Item = StoreHint>) {
        let hints: Vec<_> = hints.into_iter().collect();
        if hints.is_empty() {
            return;
        }
        let mut wakers = Vec::new();
        self.boxes().retain(|listener| {
            let Some(listener) = listener.upgrade() else { return false };
            let mut waiting = listener.waiting();
            waiting.hints.extend(hints.iter().cloned());
            wakers.extend(waiting.waker.take());
            true
        });
        wakers.into_iter().for_each(Waker::wake);
    }

    /// What is posted from now on, after `first`. Does not end.
    pub fn listen(&self, first: impl IntoIterator<Item = StoreHint>) -> BoxStream<'static, StoreHint> {
        let waiting = Waiting { hints: first.into_iter().collect(), waker: None };
        let own = Arc::new(HintBox(Mutex::new(waiting)));
        self.boxes().push(Arc::downgrade(&own));
        Listener(own).flat_map(stream::iter).boxed()
    }

    fn boxes(&self) -> MutexGuard<'_, Vec<Weak<HintBox>>> {
        self.boxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HintBox {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes all that waits at once, so that no hint holds up another.
struct Listener(Arc<HintBox>);

impl Stream for Listener {
    type Item = BTreeSet<StoreHint>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut waiting = self.0.waiting();
        if waiting.hints.is_empty() {
            waiting.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Some(mem::take(&mut waiting.hints)))
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use uuid::Uuid;

    use super::*;
    use crate::{
        model::{ChangesetId, ClusterState, EventFacts, EventKind, Principal, Timestamp},
        seams::{Fence, Generation},
    };

    fn work(cluster: &str) -> StoreHint {
        StoreHint::Work(ClusterName::new(cluster).unwrap())
    }

    fn heard(stream: &mut BoxStream<'static, StoreHint>) -> Vec<StoreHint> {
        std::iter::from_fn(|| stream.next().now_or_never().flatten()).collect()
    }

    #[test]
    fn a_hint_reads_back_as_it_was_written() {
        for hint in [StoreHint::Everything, StoreHint::Committed, StoreHint::Sealed, work("prod-1")] {
            assert_eq!(hint.to_string().parse(), Ok(hint));
        }
        assert_eq!("work".parse::<StoreHint>(), Err(NoHint));
    }

    #[test]
    fn what_is_written_under_the_lease_of_its_own_cluster_is_no_work_for_others() {
        let state = |cluster: &str| ClusterState::new(ClusterName::new(cluster).unwrap());
        let id = ChangesetId::from_uuid(Uuid::nil());
        let mut changeset = Changeset::new(id, Principal::engine(), Timestamp::MIN);
        assert_eq!(StoreHint::of_commit(&changeset), BTreeSet::new());
        for cluster in ["own", "other"] {
            changeset.insert(state(cluster), EventKind::JobCreated, EventFacts::default());
        }
        let name = LeaseName::cluster(&ClusterName::new("own").unwrap());
        changeset.fence(Fence { name: name.clone(), generation: Generation(1) });
        assert_eq!(StoreHint::of_commit(&changeset), [StoreHint::Committed, work("other")].into());
        assert_eq!(StoreHint::of_release(&name), Some(work("own")));
        assert_eq!(StoreHint::of_release(&LeaseName::sealer()), None);
    }

    #[test]
    fn who_was_slow_finds_each_hint_once() {
        let board = HintBoard::default();
        let mut listener = board.listen([StoreHint::Everything]);
        for _ in 0..100 {
            board.post([StoreHint::Committed, work("one")]);
            board.post([work("two")]);
        }
        assert_eq!(
            heard(&mut listener),
            [StoreHint::Everything, StoreHint::Committed, work("one"), work("two")]
        );
        assert_eq!(heard(&mut listener), []);
    }

    #[test]
    fn who_is_gone_is_forgotten() {
        let board = HintBoard::default();
        drop(board.listen([]));
        let mut staying = board.listen([]);
        board.post([StoreHint::Sealed]);
        assert_eq!(board.boxes().len(), 1);
        assert_eq!(heard(&mut staying), [StoreHint::Sealed]);
    }
}
