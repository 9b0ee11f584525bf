//! One listener's connection.

use std::time::Duration;

use aegis_core::{
    engine::EngineError,
    seams::{Clock, ErrorClass, report},
};
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use futures::future::{self, Either};

use super::feed::Listener;
use crate::app::App;

/// How long a connection is quiet before it is asked whether anyone is there.
const QUIET: Duration = Duration::from_secs(30);
/// How often it is asked in vain.
const UNANSWERED: u8 = 2;
/// How long a frame may take to go out: one who takes none for so long is not waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);
/// The close code that says that the log does not reach back so far: read the lists again, and begin
/// at the end.
const GONE: u16 = 4410;

/// Why a connection ends.
enum End {
    /// The other side is gone.
    Left,
    /// The server stops.
    Draining,
    /// The other side takes nothing.
    Slow,
    /// The log can't be read.
    Failed(EngineError),
}

/// Sends frames until either side has enough.
pub(super) async fn serve(mut socket: WebSocket, mut listener: Listener, app: App) {
    let clock = app.engine.clock();
    let end = attend(&mut socket, &mut listener, &app).await;
    let Some((code, reason)) = end.goodbye() else { return };
    let reason = format!("{reason}: go on with after={}", listener.position());
    let goodbye = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
    drop(within(clock, GOODBYE, socket.send(goodbye)).await);
}

async fn attend(socket: &mut WebSocket, listener: &mut Listener, app: &App) -> End {
    let clock = app.engine.clock();
    let mut unanswered = 0;
    let mut next = Message::Text(listener.greeting());
    loop {
        match within(clock, PATIENCE, socket.send(next)).await {
            Some(Ok(())) => {}
            Some(Err(_)) => return End::Left,
            None => return End::Slow,
        }
        next = loop {
            tokio::select! {
                biased;
                () = app.options.lifecycle.draining() => return End::Draining,
                frame = listener.next() => match frame {
                    Ok(frame) => break Message::Text(frame),
                    Err(error) => return End::Failed(error),
                },
                heard = socket.recv() => match heard {
                    Some(Ok(_)) => unanswered = 0,
                    Some(Err(_)) | None => return End::Left,
                },
                () = clock.sleep(QUIET) => {
                    if unanswered >= UNANSWERED {
                        return End::Left;
                    }
                    unanswered += 1;
                    break Message::Ping(Default::default());
                }
            }
        };
    }
}

impl End {
    /// What the other side is told.
    fn goodbye(&self) -> Option<(u16, Utf8Bytes)> {
        let (code, reason) = match self {
            Self::Left => return None,
            Self::Draining => (close_code::AWAY, "the service is stopping"),
            Self::Slow => (close_code::AGAIN, "you take events too slowly"),
            Self::Failed(error) if error.class() == ErrorClass::NotFound => {
                (GONE, "the log does not reach back so far")
            }
            Self::Failed(error) => {
                tracing::warn!(error = %report(error), "a listener's events can't be read");
                (close_code::AGAIN, "the events can't be read now")
            }
        };
        Some((code, reason.into()))
    }
}

/// The answer, if it comes in time.
async fn within<T>(clock: &dyn Clock, limit: Duration, answer: impl Future<Output = T>) -> Option<T> {
    match future::select(std::pin::pin!(answer), clock.sleep(limit)).await {
        Either::Left((answer, _)) => Some(answer),
        Either::Right(_) => None,
    }
}
