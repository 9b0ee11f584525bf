//! One connection that asks again and again, as both sides are asked.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use axum::{
    body::{Body, Bytes, to_bytes},
    http::{Method, Request, StatusCode, header},
};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::Sizes;

/// The tokens that it has: for everything, and for the service's figures.
pub(crate) const TOKEN: &str = "a-token-of-the-bench";
pub(crate) const METRICS: &str = "a-token-for-figures";

/// What is asked, by the number of the call.
pub(crate) type Ask = Arc<dyn Fn(u64) -> Question + Send + Sync>;

/// One request.
pub(crate) struct Question {
    method: Method,
    path: String,
    body: &'static str,
    expected: StatusCode,
}

impl Question {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), body: "", expected: StatusCode::OK }
    }

    pub(crate) fn post(path: impl Into<String>, body: &'static str) -> Self {
        Self { method: Method::POST, path: path.into(), body, expected: StatusCode::CREATED }
    }

    fn token(&self) -> &'static str {
        if self.path == "/metrics" { METRICS } else { TOKEN }
    }

    pub(crate) fn reads(&self) -> bool {
        self.method == Method::GET
    }
}

/// A connection that is kept.
pub(crate) struct Client {
    sender: SendRequest<Body>,
    host: String,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { sender, host: address.to_string() }
    }

    /// The body of the answer, which must be the expected one.
    pub(crate) async fn ask(&mut self, question: Question) -> Bytes {
        let token = question.token();
        let request = Request::builder()
            .method(question.method)
            .uri(&question.path)
            .header(header::HOST, &self.host)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(question.body))
            .unwrap();
        self.sender.ready().await.unwrap();
        let answer = self.sender.send_request(request).await.unwrap();
        let status = answer.status();
        let body = to_bytes(Body::new(answer.into_body()), usize::MAX).await.unwrap();
        assert_eq!(status, question.expected, "{}: {}", question.path, String::from_utf8_lossy(&body));
        body
    }
}

/// How many answers a second all the callers together get.
pub(crate) async fn rate(address: SocketAddr, sizes: &Sizes, first: u64, ask: &Ask) -> f64 {
    let mut clients = Vec::new();
    for _ in 0..sizes.callers {
        clients.push(Client::connect(address).await);
    }
    let (began, stretch) = (Instant::now(), sizes.stretch);
    let callers = (0u64..).zip(clients).map(|(caller, mut client)| {
        let ask = Arc::clone(ask);
        tokio::spawn(async move {
            let mut done = 0u64;
            while began.elapsed() < stretch {
                client.ask(ask((first + caller).wrapping_mul(1 << 20) + done)).await;
                done += 1;
            }
            done
        })
    });
    let callers: Vec<_> = callers.collect();
    let mut done = 0;
    for caller in callers {
        done += caller.await.unwrap();
    }
    done as f64 / began.elapsed().as_secs_f64()
}
