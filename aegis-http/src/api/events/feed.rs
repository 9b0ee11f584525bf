//! The feed of live events: the log is read once, however many listen.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use aegis_core::{
    engine::{Aegis, EngineError, Tenant},
    model::{Position, SealedEvent, TenantId},
    seams::{Monotonic, StoreError},
};
use axum::extract::ws::Utf8Bytes;
use futures::{
    StreamExt, future,
    stream::{BoxStream, ReadyChunks},
};
use tokio::sync::{Mutex as Turns, watch};

use crate::api::audit::EventPage;

/// The most events of one frame.
const FRAME: usize = 500;
/// How many events are kept at hand for those who are a little behind.
const KEPT: usize = 4096;
/// How long events gather before the next frame: what goes out is sent once per listener.
const GATHER: Duration = Duration::from_millis(50);
/// A feed that nobody read for so long begins anew at the end of the log.
const STALE: Duration = Duration::from_secs(10);
/// How long a store that did not answer is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// What was sealed last, for all who listen.
///
/// There is no task behind it: one of those who listen reads on for all of them, and when it leaves,
/// another does. Whoever is further behind than what is kept reads the log by itself.
pub(crate) struct Feed {
    engine: Aegis,
    window: watch::Sender<Window>,
    reading: Turns<Option<Reading>>,
    /// When someone last had the turn to read.
    read_at: Mutex<Monotonic>,
}

/// Where the log is read.
struct Reading {
    events: ReadyChunks<BoxStream<'static, Result<SealedEvent, StoreError>>>,
    /// When something was read last.
    published_at: Option<Monotonic>,
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").finish_non_exhaustive()
    }
}

/// Every event after one position, up to another.
#[derive(Debug, Default)]
struct Window {
    from: Position,
    to: Position,
    batches: VecDeque<Batch>,
    events: usize,
}

/// Events that were read together.
#[derive(Debug)]
struct Batch {
    from: Position,
    to: Position,
    events: usize,
    of: HashMap<TenantId, Part>,
}

/// A tenant's events of a batch, and the frame that all its listeners are sent.
#[derive(Debug, Default)]
struct Part {
    events: Vec<SealedEvent>,
    frame: OnceLock<Utf8Bytes>,
}

/// What someone who has heard everything up to a position finds in the window.
enum Found {
    /// A frame, and up to where one has heard everything then.
    Frame(Utf8Bytes, Position),
    /// Nothing new up to here.
    Nothing(Position),
    /// The window begins later. Whoever reads the log now hears everything up to here at least.
    Behind(Position),
}

impl Batch {
    fn new(from: Position, events: Vec<SealedEvent>) -> Self {
        let to = events.last().map_or(from, |event| event.position);
        let mut batch = Self { from, to, events: events.len(), of: HashMap::new() };
        for sealed in events {
            let Some(tenant) = &sealed.event.tenant else { continue };
            batch.of.entry(tenant.clone()).or_default().events.push(sealed);
        }
        batch
    }

    /// What the tenant has here after a position: one frame for all who heard what came before.
    fn frame(&self, tenant: &TenantId, after: Position) -> Option<Utf8Bytes> {
        let part = self.of.get(tenant)?;
        if after <= self.from {
            return Some(part.frame.get_or_init(|| frame(&part.events, self.to)).clone());
        }
        let first = part.events.partition_point(|event| event.position <= after);
        let rest = part.events.get(first..).filter(|rest| !rest.is_empty())?;
        Some(frame(rest, self.to))
    }
}

fn frame(events: &[SealedEvent], next: Position) -> Utf8Bytes {
    EventPage::new(events, next).to_json().into()
}

impl Window {
    fn at(position: Position) -> Self {
        Self { from: position, to: position, ..Self::default() }
    }

    fn push(&mut self, batch: Batch) {
        self.to = batch.to;
        self.events += batch.events;
        self.batches.push_back(batch);
        while self.events > KEPT && self.batches.len() > 1 {
            let Some(oldest) = self.batches.pop_front() else { break };
            self.events -= oldest.events;
            self.from = oldest.to;
        }
    }

    fn after(&self, tenant: &TenantId, after: Position) -> Found {
        if after < self.from {
            return Found::Behind(self.to);
        }
        let first = self.batches.partition_point(|batch| batch.to <= after);
        let mut frames = self.batches.range(first..).filter_map(|batch| {
            let frame = batch.frame(tenant, after)?;
            Some(Found::Frame(frame, batch.to))
        });
        frames.next().unwrap_or(Found::Nothing(after.max(self.to)))
    }
}

impl Feed {
    pub(crate) fn new(engine: Aegis) -> Self {
        let read_at = Mutex::new(engine.clock().monotonic());
        let window = watch::Sender::new(Window::default());
        Self { engine, window, reading: Turns::new(None), read_at }
    }

    /// Someone who listens to a tenant's events after a position.
    pub(crate) fn listen(self: &Arc<Self>, tenant: Tenant, after: Position) -> Listener {
        Listener { window: self.window.subscribe(), feed: Arc::clone(self), tenant, after }
    }

    /// Reads what comes next for all who listen, when it is one's turn.
    ///
    /// Cancel safe: whoever has the next turn goes on.
    async fn read_on(&self) {
        let mut turn = self.reading.lock().await;
        let clock = self.engine.clock();
        let now = clock.monotonic();
        if now.since(*self.read_at()) > STALE {
            *turn = None;
        }
        let _noted = Turn(self);
        let Some(reading) = &mut *turn else {
            *turn = self.begin().await;
            return;
        };
        let waited = reading.published_at.map_or(GATHER, |at| now.since(at));
        if waited < GATHER {
            clock.sleep(GATHER.saturating_sub(waited)).await;
        }
        let Some(read) = reading.events.next().await else {
            *turn = None;
            return;
        };
        reading.published_at = Some(clock.monotonic());
        self.publish(read);
    }

    /// Begins at the end of the log: who waits for what came before reads it by themselves.
    async fn begin(&self) -> Option<Reading> {
        match self.engine.head().await {
            Ok(head) => {
                self.window.send_replace(Window::at(head));
                let events = self.engine.subscribe(head).ready_chunks(FRAME);
                Some(Reading { events, published_at: None })
            }
            Err(error) => {
                tracing::warn!(%error, "live events wait for the store");
                self.engine.clock().sleep(PAUSE).await;
                None
            }
        }
    }

    fn publish(&self, read: Vec<Result<SealedEvent, StoreError>>) {
        let sealed = |event: Result<_, _>| {
            event.inspect_err(|error| tracing::warn!(%error, "live events wait for the store")).ok()
        };
        let events: Vec<SealedEvent> = read.into_iter().filter_map(sealed).collect();
        if !events.is_empty() {
            self.window.send_modify(|window| window.push(Batch::new(window.to, events)));
        }
    }

    fn read_at(&self) -> std::sync::MutexGuard<'_, Monotonic> {
        self.read_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Someone's turn to read; notes when it ended, however it did.
struct Turn<'a>(&'a Feed);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.read_at() = self.0.engine.clock().monotonic();
    }
}

/// Someone who listens. What they have not heard is where they are, and nothing else is kept.
#[derive(Debug)]
pub(crate) struct Listener {
    feed: Arc<Feed>,
    window: watch::Receiver<Window>,
    tenant: Tenant,
    after: Position,
}

impl Listener {
    /// Up to where everything was heard: where to go on after a break.
    pub(crate) const fn position(&self) -> Position {
        self.after
    }

    /// A frame that tells where one is.
    pub(crate) fn greeting(&self) -> Utf8Bytes {
        frame(&[], self.after)
    }

    /// The next frame: everything of the tenant's after the one before, nothing twice.
    ///
    /// Cancel safe: a frame that was not answered comes again.
    ///
    /// # Errors
    /// `NotFound` if the log does not reach back so far; others if the store does not do its part.
    pub(crate) async fn next(&mut self) -> Result<Utf8Bytes, EngineError> {
        loop {
            let found = self.window.borrow_and_update().after(self.tenant.id(), self.after);
            match found {
                Found::Frame(frame, to) => {
                    self.after = to;
                    return Ok(frame);
                }
                Found::Behind(to) => {
                    if let Some(frame) = self.catch_up(to).await? {
                        return Ok(frame);
                    }
                }
                Found::Nothing(to) => {
                    self.after = to;
                    let (changed, read) = (self.window.changed(), self.feed.read_on());
                    let _ = future::select(std::pin::pin!(changed), std::pin::pin!(read)).await;
                }
            }
        }
    }

    /// The next events from the log itself. If they are the last, `sealed` was in it at least.
    async fn catch_up(&mut self, sealed: Position) -> Result<Option<Utf8Bytes>, EngineError> {
        let events = self.tenant.events(self.after, FRAME).await?;
        let last = events.last().map_or(self.after, |event| event.position);
        self.after = if events.len() < FRAME { last.max(sealed) } else { last };
        Ok((!events.is_empty()).then(|| frame(&events, self.after)))
    }
}
