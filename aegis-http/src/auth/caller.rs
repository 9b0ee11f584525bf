//! Callers, as handlers ask for them: the extractor's name is the least role that may.

use aegis_core::{
    engine::{EngineError, Tenant},
    seams::ErrorClass,
};
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};

use super::{Access, Identity, Role};
use crate::{
    app::App,
    error::{AppError, ErrorCode},
};

/// Defines one extractor per role.
macro_rules! callers {
    ($($(#[$doc:meta])* $name:ident,)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name(pub(crate) Tenant);

        impl FromRequestParts<App> for $name {
            type Rejection = AppError;

            async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, AppError> {
                let identity = identify(parts, app)?;
                if identity.role < Role::$name {
                    let message = format!("this takes the role {}: you have {}", Role::$name, identity.role);
                    return Err(AppError::new(ErrorCode::Forbidden, message));
                }
                app.count(&identity.tenant, parts)?;
                enter(app, identity).map(Self)
            }
        }
    )*};
}

callers! {
    /// Anyone who may read.
    Viewer,
    /// Anyone who may back up and restore.
    Operator,
    /// Anyone who may approve.
    Approver,
    /// Anyone who may do everything.
    Admin,
}

/// Whoever it is, if they say so: what is answered to everyone, and more fully to those we know.
#[derive(Debug)]
pub(crate) struct Maybe(pub(crate) Option<Tenant>);

impl FromRequestParts<App> for Maybe {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, AppError> {
        let known = identify(parts, app).and_then(|identity| enter(app, identity));
        match known {
            Ok(tenant) => Ok(Self(Some(tenant))),
            Err(_) if !parts.headers.contains_key(header::AUTHORIZATION) => Ok(Self(None)),
            Err(error) => Err(error),
        }
    }
}

fn identify(parts: &Parts, app: &App) -> Result<Identity, AppError> {
    match &app.options.access {
        Access::Open => app.admin.clone().ok_or_else(|| AppError::internal("the admin has no valid name")),
        Access::Tokens(tokens) => {
            let token = bearer(&parts.headers)
                .ok_or_else(|| not_signed_in("send a token: Authorization: Bearer …"))?;
            tokens.find(token).cloned().ok_or_else(|| not_signed_in("this token is not known here"))
        }
        Access::Embedder => {
            let identity = parts.extensions.get::<Identity>().cloned();
            identity.ok_or_else(|| not_signed_in("you are not signed in"))
        }
    }
}

/// The token that a request was sent with.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn not_signed_in(message: &str) -> AppError {
    AppError::new(ErrorCode::Unauthorized, message)
}

/// The engine, as this caller may use it.
pub(crate) fn enter(app: &App, identity: Identity) -> Result<Tenant, AppError> {
    tracing::Span::current().record("tenant", identity.tenant.as_str());
    app.engine.tenant(identity.tenant, identity.principal).map_err(|error: EngineError| match error.class() {
        ErrorClass::NotFound => {
            AppError::new(ErrorCode::Forbidden, "this server serves nothing of your tenant")
        }
        _ => error.into(),
    })
}
