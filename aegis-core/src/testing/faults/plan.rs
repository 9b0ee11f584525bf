//! What goes wrong, and when.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::seams::Clock;

/// One way in which a call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// Nothing happens, and the answer is `Unavailable`.
    Refuse,
    /// It happens, and the answer is `Indeterminate`. A read is answered with `Unavailable`.
    LoseAnswer,
    /// It happens, and the answer is `Unavailable` all the same, which no backend should say.
    Lie,
    /// It happens so much later.
    Delay(Duration),
    /// It happens twice in a row; the first answer counts.
    Duplicate,
    /// A read answers what it answered the last time.
    Stale,
}

crate::model::machine_labels! {
    /// The kinds of calls that can go wrong.
    FaultPoint {
        /// Any read of a store.
        StoreRead = "store_read",
        /// A commit.
        Commit = "commit",
        /// A claim of a lease.
        Claim = "claim",
        /// The return of a lease.
        Release = "release",
        /// A note of progress.
        Progress = "progress",
        /// The sealing of events.
        Seal = "seal",
        /// The move of a reader's cursor.
        AdvanceReader = "advance_reader",
        /// The cut that lets the log's beginning go.
        CutLog = "cut_log",
        /// The pruning of a store.
        Prune = "prune",
        /// A driver's namespaces, previews, browsing and inventory.
        DriverRead = "driver_read",
        /// The start of an operation.
        Start = "start",
        /// The observation of an operation.
        Observe = "observe",
        /// The cancellation of an operation.
        Cancel = "cancel",
        /// Any read of object storage.
        StorageRead = "storage_read",
        /// The writing of an object.
        Put = "put",
        /// The deletion of an object.
        Delete = "delete",
    }
}

impl FaultPoint {
    /// Whether such a call changes something that lasts.
    #[must_use]
    pub const fn is_durable_write(self) -> bool {
        match self {
            Self::Commit
            | Self::Claim
            | Self::Release
            | Self::Seal
            | Self::AdvanceReader
            | Self::CutLog
            | Self::Prune
            | Self::Start
            | Self::Cancel
            | Self::Put
            | Self::Delete => true,
            Self::StoreRead | Self::Progress | Self::DriverRead | Self::Observe | Self::StorageRead => false,
        }
    }

    /// Whether such a call only asks.
    const fn is_read(self) -> bool {
        matches!(self, Self::StoreRead | Self::DriverRead | Self::Observe | Self::StorageRead)
    }

    /// Whether `fault` can happen to such a call.
    const fn can_have(self, fault: Fault) -> bool {
        match fault {
            Fault::Stale => self.is_read(),
            Fault::Refuse | Fault::LoseAnswer | Fault::Lie | Fault::Delay(_) | Fault::Duplicate => true,
        }
    }
}

/// A fault that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Happened {
    /// To which kind of call.
    pub point: FaultPoint,
    /// To which of them, from 1.
    pub call: u64,
    /// What.
    pub fault: Fault,
}

/// What goes wrong, and when: by chance from a seed, to order, or all at once in a crash.
///
/// Clones are handles to the same plan. The same seed and the same calls give the same faults.
#[derive(Clone)]
pub struct FaultPlan {
    pub(super) clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
}

struct State {
    random: StdRng,
    chances: Vec<(f64, Fault, BTreeSet<FaultPoint>)>,
    orders: BTreeMap<(FaultPoint, u64), Fault>,
    calls: BTreeMap<FaultPoint, u64>,
    happened: Vec<Happened>,
    writes: u64,
    crash_after: Option<u64>,
}

/// What a call is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// What it should.
    Go,
    /// What it should, with a fault.
    Fault(Fault),
    /// Nothing: the process is dead.
    Dead,
}

impl FaultPlan {
    /// A plan by which nothing goes wrong until it is told to; chances are drawn from `seed`, delays
    /// pass on `clock`.
    #[must_use]
    pub fn seeded(seed: u64, clock: Arc<dyn Clock>) -> Self {
        let state = State {
            random: StdRng::seed_from_u64(seed),
            chances: Vec::new(),
            orders: BTreeMap::new(),
            calls: BTreeMap::new(),
            happened: Vec::new(),
            writes: 0,
            crash_after: None,
        };
        Self { clock, state: Arc::new(Mutex::new(state)) }
    }

    /// With `fault` happening to each call that can have it with this probability, from 0 to 1.
    #[must_use]
    pub fn with_probability(self, probability: f64, fault: Fault) -> Self {
        self.with_probability_at(FaultPoint::ALL.iter().copied(), probability, fault)
    }

    /// With `fault` happening to each call of these kinds with this probability, from 0 to 1.
    #[must_use]
    pub fn with_probability_at(
        self,
        points: impl IntoIterator<Item = FaultPoint>,
        probability: f64,
        fault: Fault,
    ) -> Self {
        let points = points.into_iter().filter(|point| point.can_have(fault)).collect();
        self.state().chances.push((probability.clamp(0.0, 1.0), fault, points));
        self
    }

    /// With `fault` happening to call number `call` of its kind, from 1.
    #[must_use]
    pub fn at(self, point: FaultPoint, call: u64, fault: Fault) -> Self {
        self.state().orders.insert((point, call), fault);
        self
    }

    /// The process dies once `writes` more durable writes have taken effect: nobody hears of the
    /// last one, and every later call is answered with `Unavailable`, without effect.
    pub fn crash_after(&self, writes: u64) {
        let mut state = self.state();
        state.crash_after = Some(state.writes.saturating_add(writes));
    }

    /// Whether the process is dead.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.state().is_dead()
    }

    /// Another process takes its place: calls are answered again.
    pub fn revive(&self) {
        self.state().crash_after = None;
    }

    /// Nothing goes wrong any more: no chances, no orders, no crash.
    pub fn heal(&self) {
        let mut state = self.state();
        state.chances.clear();
        state.orders.clear();
        state.crash_after = None;
    }

    /// How many durable writes took effect.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.state().writes
    }

    /// Every fault that happened, in order.
    #[must_use]
    pub fn happened(&self) -> Vec<Happened> {
        self.state().happened.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides on one more call.
    pub(super) fn judge(&self, point: FaultPoint) -> Verdict {
        let mut state = self.state();
        if state.is_dead() {
            return Verdict::Dead;
        }
        let count = state.calls.entry(point).or_default();
        *count += 1;
        let call = *count;
        let ordered = state.orders.remove(&(point, call));
        let Some(fault) = ordered.or_else(|| state.draw(point)) else { return Verdict::Go };
        state.happened.push(Happened { point, call, fault });
        Verdict::Fault(fault)
    }

    /// Notes that a call took effect; whether the process lives to hear of it.
    pub(super) fn took_effect(&self, point: FaultPoint) -> bool {
        let mut state = self.state();
        if point.is_durable_write() {
            state.writes = state.writes.saturating_add(1);
        }
        !state.is_dead()
    }

    /// Whether a read may be answered as before.
    pub(super) fn may_be_stale(&self) -> bool {
        let state = self.state();
        let by_chance = state.chances.iter().any(|(_, fault, _)| *fault == Fault::Stale);
        by_chance || state.orders.values().any(|fault| *fault == Fault::Stale)
    }
}

impl State {
    fn is_dead(&self) -> bool {
        self.crash_after.is_some_and(|writes| self.writes >= writes)
    }

    /// The first chance that comes up. Every chance is drawn, so that one does not shift the others.
    fn draw(&mut self, point: FaultPoint) -> Option<Fault> {
        let Self { random, chances, .. } = self;
        let mut drawn = None;
        for (probability, fault, points) in chances {
            let comes_up = points.contains(&point) && random.random_bool(*probability);
            drawn = drawn.or(comes_up.then_some(*fault));
        }
        drawn
    }
}

impl fmt::Debug for FaultPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("FaultPlan")
            .field("writes", &state.writes)
            .field("happened", &state.happened.len())
            .field("is_dead", &state.is_dead())
            .finish_non_exhaustive()
    }
}
