//! Whether requests are taken.

use std::sync::Arc;

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use tokio::sync::watch;

use crate::error::{AppError, ErrorCode};

/// What a server is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not ready yet.
    Starting,
    /// Taking requests.
    Serving,
    /// Finishing what it has, and taking nothing new.
    Draining,
}

/// Says whether requests are taken; serving unless told otherwise. Clones are handles to the same.
///
/// While it does not serve, the API answers 503 and `/readyz` says why; `/livez` and `/health`
/// answer as ever.
#[derive(Clone, Debug)]
pub struct Lifecycle(Arc<watch::Sender<Phase>>);

impl Default for Lifecycle {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Phase::Serving)))
    }
}

impl Lifecycle {
    /// One that takes nothing before [`serve`](Self::serve).
    #[must_use]
    pub fn starting() -> Self {
        Self(Arc::new(watch::Sender::new(Phase::Starting)))
    }

    /// Requests are taken from now on.
    pub fn serve(&self) {
        self.0.send_replace(Phase::Serving);
    }

    /// Nothing new is taken from now on, and whoever listens to events is sent away.
    pub fn drain(&self) {
        self.0.send_replace(Phase::Draining);
    }

    /// What the server is at.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// What is answered to what is new while the server starts or drains.
    pub(crate) fn refusal(&self) -> Option<Response> {
        let message = match self.phase() {
            Phase::Serving => return None,
            Phase::Starting => "the service is starting: try again",
            Phase::Draining => "the service is stopping: try again",
        };
        let mut response = AppError::new(ErrorCode::Unavailable, message).into_response();
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        Some(response)
    }

    /// Waits until the server drains.
    pub(crate) async fn draining(&self) {
        // It can't fail: the sender is here.
        drop(self.0.subscribe().wait_for(|phase| *phase == Phase::Draining).await);
    }
}
