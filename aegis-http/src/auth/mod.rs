//! Who asks, and what they may.

mod access;
mod caller;
mod loopback;
mod token;

pub use access::{Access, Identity, Role, UnknownRole};
pub(crate) use caller::{Admin, Approver, Maybe, Operator, Viewer, bearer, enter};
pub(crate) use loopback::refuse_strangers;
pub use token::{Token, TokenHash, TokenHashError, Tokens};
