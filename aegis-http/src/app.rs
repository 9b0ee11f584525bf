//! What every handler shares.

use std::{
    ops::Deref,
    sync::{Arc, OnceLock},
};

use aegis_core::engine::Aegis;
use axum::body::Bytes;
use utoipa::openapi::OpenApi;

use crate::{
    auth::{Identity, Role},
    openapi,
    options::HttpOptions,
};

/// What every handler shares. Cloning shares it.
#[derive(Clone, Debug)]
pub(crate) struct App(Arc<Shared>);

/// The insides of [`App`].
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) engine: Aegis,
    pub(crate) options: HttpOptions,
    /// Who everyone is where access is open.
    pub(crate) admin: Option<Identity>,
    /// The OpenAPI document, once the routes are known.
    pub(crate) document: OnceLock<Bytes>,
}

impl App {
    pub(crate) fn new(engine: Aegis, options: HttpOptions) -> Self {
        let named = "default".parse().ok().zip("admin".parse().ok());
        let admin = named.map(|(tenant, principal)| Identity { tenant, principal, role: Role::Admin });
        Self(Arc::new(Shared { engine, options, admin, document: OnceLock::new() }))
    }
}

impl App {
    /// Keeps the document of the routes, to be served.
    pub(crate) fn keep_document(&self, generated: &OpenApi) {
        let document = openapi::complete(generated).and_then(|document| serde_json::to_vec(&document));
        match document {
            Ok(document) => drop(self.document.set(document.into())),
            Err(error) => tracing::error!(%error, "the OpenAPI document can't be written down"),
        }
    }
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
