//! How callers are known, and the roles that they have.

use std::{fmt, str::FromStr};

use aegis_core::model::{Principal, TenantId};
use serde::{Deserialize, Serialize};

use super::Tokens;

/// What a caller may do; each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Read.
    Viewer,
    /// Back up, restore, verify, drill, hold.
    Operator,
    /// Approve what others want to restore.
    Approver,
    /// Edit policies, delete records, run retention.
    Admin,
}

impl Role {
    /// Every role, the least first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Approver, Self::Admin];

    /// As configuration writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no role: use viewer, operator, approver or admin")]
pub struct UnknownRole(String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| UnknownRole(text.chars().take(64).collect()))
    }
}

/// Who a caller is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Whose things they see.
    pub tenant: TenantId,
    /// Under which name they act.
    pub principal: Principal,
    /// What they may do.
    pub role: Role,
}

/// How callers are known.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Access {
    /// Everyone who can reach the port is the admin of the tenant `default`. Only requests that
    /// name this machine by a loopback name are answered, so that no web page that is open on it
    /// can use it: listen on a loopback address alone.
    #[default]
    Open,
    /// By bearer tokens.
    Tokens(Tokens),
    /// By a layer of the embedder's own, which puts an [`Identity`] into the extensions of each
    /// request; one without is not signed in.
    Embedder,
}
