//! Serving: connections, TLS, and an end that finishes what was begun.

use std::{net::SocketAddr, path::Path, pin::pin, sync::Arc, time::Duration};

use aegis::{engine::SystemClock, seams::Clock};
use axum::Router;
use futures::future::{self, Either};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    config::Tls,
    problem::{Problem, Result},
};

/// How long a client may take to shake hands, and to send the headers of a request.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long requests that are under way may take once the server stops.
const DRAIN: Duration = Duration::from_secs(10);
/// How long to wait after the system gave no connection, as when there are no file descriptors left.
const PAUSE: Duration = Duration::from_millis(100);
/// How many connections there are at a time, unless configured.
pub(crate) const MAX_CONNECTIONS: u32 = 4096;

/// A port that is listened on.
pub(crate) struct Door {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    connections: Arc<Semaphore>,
    pub(crate) address: SocketAddr,
}

impl Door {
    /// Listens on `address`. Nothing is answered yet.
    ///
    /// # Errors
    /// The address can't be had, or the certificate can't be used.
    pub(crate) async fn open(address: SocketAddr, tls: Option<&Tls>, most: u32) -> Result<Self> {
        let refused = |error: std::io::Error| {
            Problem::new(format!("could not listen on {address}: {error}"))
                .mend("stop what listens there, or choose another address with --listen ADDRESS")
        };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let tls = tls.map(acceptor).transpose()?;
        let most = usize::try_from(most).unwrap_or(Semaphore::MAX_PERMITS).min(Semaphore::MAX_PERMITS);
        Ok(Self { listener, tls, connections: Arc::new(Semaphore::new(most)), address })
    }

    /// Answers requests until `stop` ends; then finishes those that were begun, and answers new ones
    /// meanwhile, 10 s at most.
    pub(crate) async fn serve(self, router: Router, stop: impl Future<Output = ()>) {
        let mut tasks = JoinSet::new();
        let (begun, _) = watch::channel(());
        drop(future::select(Box::pin(self.accept(&router, &begun, &mut tasks)), Box::pin(stop)).await);
        let (late, _) = watch::channel(());
        let accepting = Box::pin(self.accept(&router, &late, &mut tasks));
        begun.send_replace(());
        // Each connection holds a receiver for as long as it lasts.
        let drained = future::select(Box::pin(begun.closed()), accepting);
        if let Either::Right(_) = future::select(Box::pin(drained), SystemClock::new().sleep(DRAIN)).await {
            tracing::warn!("shutdown did not wait any longer for requests that are under way");
        }
    }

    /// Takes connections, each in a task of its own, without an end.
    async fn accept(&self, router: &Router, stopping: &watch::Sender<()>, tasks: &mut JoinSet<()>) {
        loop {
            let Ok(permit) = Arc::clone(&self.connections).acquire_owned().await else { return };
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    SystemClock::new().sleep(PAUSE).await;
                    continue;
                }
            };
            while tasks.try_join_next().is_some() {}
            let (router, tls, stop) = (router.clone(), self.tls.clone(), stopping.subscribe());
            tasks.spawn(async move {
                // Answers are small and complete: nothing is gained by waiting for more.
                drop(stream.set_nodelay(true));
                match tls {
                    None => converse(stream, router, stop).await,
                    Some(tls) => {
                        if let Some(stream) = shake_hands(&tls, stream).await {
                            converse(stream, router, stop).await;
                        }
                    }
                }
                drop(permit);
            });
        }
    }
}

async fn shake_hands(tls: &TlsAcceptor, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
    let patience = SystemClock::new();
    match future::select(tls.accept(stream), patience.sleep(PATIENCE)).await {
        Either::Left((Ok(stream), _)) => Some(stream),
        Either::Left((Err(error), _)) => {
            tracing::debug!(%error, "a client did not get through the TLS handshake");
            None
        }
        Either::Right(_) => None,
    }
}

/// The requests of one connection, one after another; once it is to stop, the one that was begun.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    router: Router,
    mut stop: watch::Receiver<()>,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = match future::select(connection.as_mut(), pin!(stop.changed())).await {
        Either::Left((ended, _)) => ended,
        Either::Right(_) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

fn acceptor(files: &Tls) -> Result<TlsAcceptor> {
    let mend =
        "name PEM files with [tls] certificate and key: the certificate first, then those that signed it";
    let bad = |path: &Path, error: &dyn std::fmt::Display| {
        Problem::new(format!("could not use {}: {error}", path.display())).mend(mend)
    };
    let chain: Vec<_> = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect)
        .map_err(|error| bad(&files.certificate, &error))?;
    if chain.is_empty() {
        return Err(bad(&files.certificate, &"there is no certificate in it"));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| bad(&files.key, &error))?;
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
    let mut config = config.map_err(|error| bad(&files.certificate, &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
