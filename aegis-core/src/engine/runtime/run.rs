//! The loops: one per cluster, one per reader of the event log, and one that hears the store's hints and
//! wakes the others. They wait on the clock and on wake-ups alone.

use std::{any::Any, fmt, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt, future, stream};
use tokio::{sync::Notify, task::JoinSet};

use super::{Core, Reader, Worker, backoff::Backoff, meters};
use crate::{engine::Aegis, model::ClusterName, seams::Monotonic};

/// How long a reader of the log lets events gather, and how long after a pass began the next one may
/// begin that was only hinted at: however many hints come, a loop works no more often than that.
const GATHER: Duration = Duration::from_millis(20);
/// How often the log is looked at when no hint came: hints may be lost.
const LOOK: Duration = Duration::from_secs(1);
/// How long a loop that panicked rests, at first and at most. One that ran for longer than that
/// begins with a short rest again.
const RESTART: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// A running engine. Dropping it stops the loops where they are, as a crash would: nothing is lost
/// by it. [`shutdown`](Self::shutdown) is the polite way.
#[derive(Debug)]
#[must_use = "dropping it stops the engine"]
pub struct Running {
    core: Arc<Core>,
    stop: Arc<Notify>,
    loops: JoinSet<()>,
}

impl Running {
    pub(crate) fn start(aegis: &Aegis) -> Self {
        meters::describe();
        let core = Arc::clone(aegis.core());
        let stop = Arc::new(Notify::new());
        let mut loops = JoinSet::new();
        for cluster in core.clusters.keys() {
            loops.spawn(serve_cluster(Arc::clone(&core), cluster.clone(), Arc::clone(&stop)));
        }
        for reader in Reader::all(&core) {
            loops.spawn(serve_reader(Arc::clone(&core), reader, Arc::clone(&stop)));
        }
        loops.spawn(hear_hints(Arc::clone(&core), Arc::clone(&stop)));
        Self { core, stop, loops }
    }

    /// Stops: finishes what a pass has under way, gives leases back, seals the log. Work that runs
    /// in drivers goes on there, and is found again by the next engine. Waits no longer than
    /// [`EngineOptions::drain_timeout`](crate::engine::EngineOptions::drain_timeout).
    pub async fn shutdown(mut self) {
        self.core.closing.store(true, std::sync::atomic::Ordering::Release);
        self.stop.notify_waiters();
        let limit = self.core.clock.sleep(self.core.options.drain_timeout);
        let drained = async { while self.loops.join_next().await.is_some() {} };
        if let future::Either::Right(_) = future::select(Box::pin(drained), limit).await {
            tracing::warn!("shutdown did not wait any longer for what was under way");
        }
    }

    /// Waits until a loop ends, which it only does if it was shut down: one that panics is told of
    /// in the log and begins again, after a pause that grows with each time.
    pub async fn ended(&mut self) {
        if let Some(Err(error)) = self.loops.join_next().await {
            tracing::error!(%error, "a loop of the engine ended");
        }
    }
}

/// The loop of a cluster, begun again after each panic. What a pass left, the next one finds.
async fn serve_cluster(core: Arc<Core>, cluster: ClusterName, stop: Arc<Notify>) {
    let mut restarts = Restarts::new(Arc::clone(&core), Arc::clone(&stop));
    loop {
        let worker = Worker::new(Arc::clone(&core), cluster.clone());
        let Err(panic) = AssertUnwindSafe(cluster_loop(worker, &stop)).catch_unwind().await else { return };
        tell_panic(&cluster, &*panic);
        restarts.pause().await;
    }
}

/// The loop of a reader of the log, begun again after each panic. Its place in the log is in the store.
async fn serve_reader(core: Arc<Core>, mut reader: Reader, stop: Arc<Notify>) {
    let mut restarts = Restarts::new(Arc::clone(&core), Arc::clone(&stop));
    loop {
        let reading = reader_loop(&core, &mut reader, &stop);
        let Err(panic) = AssertUnwindSafe(reading).catch_unwind().await else { return };
        tell_panic(&reader, &*panic);
        restarts.pause().await;
    }
}

/// Hears the store's hints for all the loops, and begins again after each panic and each end.
async fn hear_hints(core: Arc<Core>, stop: Arc<Notify>) {
    let mut restarts = Restarts::new(Arc::clone(&core), Arc::clone(&stop));
    loop {
        let stopped = Box::pin(stop.notified());
        if core.is_closing() {
            return;
        }
        let hearing = core.store.hints().for_each(|hint| {
            core.wake(&hint);
            future::ready(())
        });
        match future::select(Box::pin(AssertUnwindSafe(hearing).catch_unwind()), stopped).await {
            future::Either::Left((Err(panic), _)) => tell_panic(&"hints", &*panic),
            future::Either::Left((Ok(()), _)) => tracing::warn!("the store's hints have ended"),
            future::Either::Right(_) => return,
        }
        restarts.pause().await;
    }
}

fn tell_panic(which: &dyn fmt::Debug, panic: &(dyn Any + Send)) {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let reason = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    tracing::error!(?which, reason, "a loop of the engine panicked and begins again: please report it");
    meters::count_panic();
}

/// The pauses between a loop's panics and its new beginnings.
struct Restarts {
    core: Arc<Core>,
    stop: Arc<Notify>,
    backoff: Backoff,
    begun: Monotonic,
}

impl Restarts {
    fn new(core: Arc<Core>, stop: Arc<Notify>) -> Self {
        let begun = core.clock.monotonic();
        Self { core, stop, backoff: Backoff::new(RESTART.0, RESTART.1), begun }
    }

    /// Waits a while, or until the engine shuts down.
    async fn pause(&mut self) {
        if self.core.clock.monotonic().since(self.begun) > RESTART.1 {
            self.backoff.reset();
        }
        let stopped = self.stop.notified();
        if !self.core.is_closing() {
            let waited = Box::pin(self.backoff.wait(&*self.core.clock));
            drop(future::select(waited, Box::pin(stopped)).await);
        }
        self.begun = self.core.clock.monotonic();
    }
}

async fn cluster_loop(mut worker: Worker, stop: &Notify) {
    let core = Arc::clone(&worker.core);
    let Some(served) = core.clusters.get(&worker.cluster) else { return };
    let mut hints = served.driver.hints().chain(stream::pending());
    while !core.is_closing() {
        let stopped = stop.notified();
        let began = core.clock.monotonic();
        let pause = worker.pass().await;
        if core.is_closing() {
            break;
        }
        let hinted = async {
            served.wake.notified().await;
            core.clock.sleep(GATHER.saturating_sub(core.clock.monotonic().since(began))).await;
        };
        let woken = future::select(Box::pin(hinted), Box::pin(stopped));
        let slept = future::select(woken, core.clock.sleep(pause));
        let checked = future::select(slept, Box::pin(worker.checks.ended()));
        let changed = match future::select(checked, hints.next()).await {
            future::Either::Right((operation, _)) => operation,
            future::Either::Left(_) => None,
        };
        if let Some(operation) = changed {
            worker.hint(operation);
            while let Some(Some(operation)) = hints.next().now_or_never() {
                worker.hint(operation);
            }
        }
    }
    worker.close().await;
}

async fn reader_loop(core: &Core, reader: &mut Reader, stop: &Notify) {
    while !core.is_closing() {
        let stopped = stop.notified();
        let sealed = core.sealed.notified();
        reader.pass(core).await;
        if core.is_closing() {
            break;
        }
        let grown = if reader.is_sealer() { core.committed.notified() } else { sealed };
        let woken = future::select(Box::pin(grown), Box::pin(stopped));
        drop(future::select(woken, core.clock.sleep(LOOK)).await);
        let stopped = stop.notified();
        if !core.is_closing() {
            drop(future::select(core.clock.sleep(GATHER), Box::pin(stopped)).await);
        }
    }
    reader.pass(core).await;
    reader.close(core).await;
}
