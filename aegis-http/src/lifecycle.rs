//! Whether requests are taken.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use axum::{
    extract::{Request, State},
    http::{HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{
    app::App,
    error::{AppError, ErrorCode},
};

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
pub struct Lifecycle(Arc<AtomicU8>);

const STARTING: u8 = 0;
const SERVING: u8 = 1;
const DRAINING: u8 = 2;

impl Default for Lifecycle {
    fn default() -> Self {
        Self(Arc::new(AtomicU8::new(SERVING)))
    }
}

impl Lifecycle {
    /// One that takes nothing before [`serve`](Self::serve).
    #[must_use]
    pub fn starting() -> Self {
        Self(Arc::new(AtomicU8::new(STARTING)))
    }

    /// Requests are taken from now on.
    pub fn serve(&self) {
        self.0.store(SERVING, Ordering::Release);
    }

    /// Nothing new is taken from now on.
    pub fn drain(&self) {
        self.0.store(DRAINING, Ordering::Release);
    }

    /// What the server is at.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.0.load(Ordering::Acquire) {
            STARTING => Phase::Starting,
            SERVING => Phase::Serving,
            _ => Phase::Draining,
        }
    }
}

/// Refuses what is new while the server starts or drains.
pub(crate) async fn refuse_unless_serving(State(app): State<App>, request: Request, next: Next) -> Response {
    let message = match app.options.lifecycle.phase() {
        Phase::Serving => return next.run(request).await,
        Phase::Starting => "the service is starting: try again",
        Phase::Draining => "the service is stopping: try again",
    };
    let mut response = AppError::new(ErrorCode::Unavailable, message).into_response();
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
