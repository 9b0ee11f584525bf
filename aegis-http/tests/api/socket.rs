//! The router over a socket, and those who listen to it.

use std::{net::SocketAddr, time::Duration};

use aegis_core::testing::ManualClock;
use futures::StreamExt;
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinSet,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest, protocol::CloseFrame},
};

use crate::world::World;

/// A served router; it stops with this.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    _server: JoinSet<()>,
}

/// Small, so that one who takes nothing is noticed soon.
const BUFFER: u32 = 4096;

impl World {
    pub(crate) async fn serve(&self) -> Served {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(BUFFER).unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let listener: TcpListener = socket.listen(64).unwrap();
        let address = listener.local_addr().unwrap();
        let router = self.router.clone();
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Served { address, _server: server }
    }
}

/// Someone who listens.
pub(crate) struct Ear(WebSocketStream<TcpStream>);

impl Served {
    /// Connects with a query and, if there is one, a token. The status of a refusal is the error.
    pub(crate) async fn listen(&self, query: &str, token: Option<&str>) -> Result<Ear, u16> {
        let uri = format!("ws://{}/api/v1/events{query}", self.address);
        let mut request = uri.into_client_request().unwrap();
        if let Some(token) = token {
            request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(BUFFER).unwrap();
        let stream = socket.connect(self.address).await.unwrap();
        match client_async(request, stream).await {
            Ok((socket, _)) => Ok(Ear(socket)),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }
}

impl Ear {
    /// The next frame, or the goodbye.
    pub(crate) async fn hear(&mut self) -> Result<Value, Option<CloseFrame>> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => return Err(frame),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    /// The positions of what is heard up to a position, and where to go on. Lets time pass between
    /// frames, since events gather for a while.
    pub(crate) async fn hear_until(&mut self, end: u64, clock: &ManualClock) -> (Vec<u64>, u64) {
        let mut positions = Vec::new();
        loop {
            let frame = self.hear().await.unwrap();
            positions.extend(frame["events"].as_array().unwrap().iter().map(position));
            let next = frame["next"].as_u64().unwrap();
            if next >= end {
                return (positions, next);
            }
            clock.advance(Duration::from_millis(100));
        }
    }
}

pub(crate) fn position(event: &Value) -> u64 {
    event["position"].as_u64().unwrap()
}
