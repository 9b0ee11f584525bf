//! Someone who listens to a server's live events.

use std::time::Duration;

use aegis::{engine::SystemClock, seams::Clock};
use futures::{
    StreamExt,
    future::{self, Either},
};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use crate::process::Server;

/// How long a frame may take: the lease of a server that was killed has to end first.
const PATIENCE: Duration = Duration::from_secs(90);

/// A connection to `/api/v1/events`, and what was heard on it.
pub(crate) struct Ear {
    socket: WebSocketStream<TcpStream>,
    /// Every event, in the order in which it came.
    pub(crate) heard: Vec<Value>,
    /// Where to go on from.
    pub(crate) next: u64,
}

impl Ear {
    /// Listens to what comes after a position; to what is new if there is none.
    pub(crate) async fn open(server: &Server, token: &str, after: Option<u64>) -> Self {
        let authority = server.url.strip_prefix("http://").unwrap();
        let query = after.map_or_else(String::new, |after| format!("?after={after}"));
        let uri = format!("ws://{authority}/api/v1/events{query}");
        let mut request = uri.into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        let stream = TcpStream::connect(authority).await.unwrap();
        let (socket, _) = client_async(request, stream).await.unwrap();
        let mut ear = Self { socket, heard: Vec::new(), next: 0 };
        assert!(ear.hear().await, "the first frame tells where it begins");
        ear
    }

    /// The next frame; none if the other side is gone.
    pub(crate) async fn hear(&mut self) -> bool {
        let clock = SystemClock::new();
        loop {
            let next = match future::select(self.socket.next(), clock.sleep(PATIENCE)).await {
                Either::Left((next, _)) => next,
                Either::Right(_) => panic!("nothing was heard for {PATIENCE:?} after {:#?}", self.heard),
            };
            match next {
                Some(Ok(Message::Text(text))) => {
                    let mut frame: Value = serde_json::from_str(&text).unwrap();
                    self.heard.append(frame["events"].as_array_mut().unwrap());
                    self.next = frame["next"].as_u64().unwrap();
                    return true;
                }
                Some(Ok(Message::Ping(_))) => {}
                Some(Ok(_) | Err(_)) | None => return false,
            }
        }
    }

    /// Listens until there is an event of this kind about this thing.
    pub(crate) async fn hear_of(&mut self, kind: &str, id: &str) {
        let is_it = |event: &Value| event["kind"] == kind && event["subject_id"] == id;
        while !self.heard.iter().any(is_it) {
            assert!(self.hear().await, "the server went before {kind} of {id} was heard");
        }
    }

    /// The positions of what was heard.
    pub(crate) fn positions(&self) -> Vec<u64> {
        positions(&self.heard)
    }
}

/// The positions of events.
pub(crate) fn positions(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["position"].as_u64().unwrap()).collect()
}
