//! A connection to the server that a test can cut, in either direction, at any message.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
};

/// Where a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The message does not reach the server.
    Request,
    /// The message reaches the server, and nothing comes back any more.
    Answer,
}

#[derive(Debug)]
struct Plan {
    /// How many messages to the server pass yet; none is cut while it is negative.
    left: AtomicI64,
    answer: AtomicBool,
    away: AtomicBool,
    silent: AtomicBool,
    cut: Notify,
}

/// Forwards every connection to the server.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    plan: Arc<Plan>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let plan = Arc::new(Plan {
            left: AtomicI64::new(-1),
            answer: AtomicBool::new(false),
            away: AtomicBool::new(false),
            silent: AtomicBool::new(false),
            cut: Notify::new(),
        });
        let known = Arc::clone(&plan);
        #[expect(clippy::disallowed_methods, reason = "a test's own server")]
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if known.away.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(upstream) = TcpStream::connect(&server).await else { continue };
                tokio::spawn(forward(client, upstream, Arc::clone(&known)));
            }
        });
        Self { port, plan, task }
    }

    /// Lets `messages` more pass to the server and cuts the connection of the next one.
    pub(crate) fn cut_after(&self, messages: i64, what: Cut) {
        self.plan.answer.store(what == Cut::Answer, Ordering::SeqCst);
        self.plan.left.store(messages, Ordering::SeqCst);
    }

    /// How many messages more pass before it cuts.
    pub(crate) fn left(&self) -> i64 {
        self.plan.left.load(Ordering::SeqCst)
    }

    /// Cuts every connection that there is, whatever goes on over it.
    pub(crate) fn cut_now(&self) {
        self.plan.cut.notify_waiters();
    }

    /// Whether it cut since it was last told to.
    pub(crate) fn has_cut(&self) -> bool {
        self.left() < 0
    }

    /// Cuts nothing any more.
    pub(crate) fn heal(&self) {
        self.plan.left.store(-1, Ordering::SeqCst);
        self.plan.away.store(false, Ordering::SeqCst);
        self.plan.silent.store(false, Ordering::SeqCst);
    }

    /// Swallows every message from now on and ends no connection, until it is healed: then those that
    /// it swallowed messages of stay silent, and new ones are forwarded.
    pub(crate) fn fall_silent(&self) {
        self.plan.silent.store(true, Ordering::SeqCst);
    }

    /// Ends every new connection at once, until it is healed.
    pub(crate) fn go_away(&self) {
        self.plan.away.store(true, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(mut client: TcpStream, mut upstream: TcpStream, plan: Arc<Plan>) {
    let (mut out, mut back) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut swallows = false;
    loop {
        tokio::select! {
            () = plan.cut.notified() => return,
            read = client.read(&mut out) => {
                let Ok(length @ 1..) = read else { return };
                swallows |= plan.silent.load(Ordering::SeqCst);
                if swallows {
                    continue;
                }
                let cut = plan.left.load(Ordering::SeqCst) >= 0
                    && plan.left.fetch_sub(1, Ordering::SeqCst) == 0;
                if cut && !plan.answer.load(Ordering::SeqCst) {
                    return;
                }
                if upstream.write_all(&out[..length]).await.is_err() {
                    return;
                }
                if cut {
                    // Read what the server says, so that it is known to have done it, and keep it.
                    let _ = upstream.read(&mut back).await;
                    return;
                }
            }
            read = upstream.read(&mut back) => {
                let Ok(length @ 1..) = read else { return };
                swallows |= plan.silent.load(Ordering::SeqCst);
                if swallows {
                    continue;
                }
                if client.write_all(&back[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}
