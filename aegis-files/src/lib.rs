//! Backup driver of Aegis for directories and files, in restic's repository format.
//!
//! A [`FilesDriver`] protects named sets of paths ([`FileSet`]). Its backups lie in a restic
//! repository at `<location>/repository/`: encrypted (AES-256), deduplicated, compressed (zstd), and
//! readable by any restic client of version 0.14 or later with the same password. A namespace's
//! files lie in a snapshot at `/<namespace>/<absolute path>`.
//!
//! # Kinds of backup
//!
//! Every record is restorable by itself; in a deduplicating repository the kinds differ in what a
//! backup compares with to see what it need not read again:
//!
//! | kind | compares with | reads |
//! |--|--|--|
//! | full | nothing | every file |
//! | incremental | the newest record of the same cluster and namespaces | what has changed since |
//! | differential | the newest full one | what has changed since |
//! | snapshot | as incremental | as incremental |
//!
//! A file has changed if its size, times or inode have. The first backup is a full one, whatever was
//! asked for.
//!
//! # What is kept, and what is not
//!
//! Files, directories, symbolic and hard links, pipes and devices; modes, owners, modification
//! times, extended attributes. Sockets are left out, with a warning. Access times are not kept.
//! Files that can't be read or vanish make a backup *partially failed*: it says which.
//!
//! # Trials
//!
//! What a DR test restores is noted down in `.aegis-trials/` below the first restore root, each entry with
//! its inode before it is put in place, and removed again from these notes: what is not in them, or is not
//! as it was made, stays. A [`Sentinel`] is a check for DR tests: a file that must have come back with the
//! right content or age.
//!
//! # Other clients
//!
//! restic and rustic may read the repository and add to it. Their `prune`, and restic's `forget
//! --prune`, must not be run on it: they know nothing of the backups that run here.

mod backup;
mod browse;
mod clean_up;
mod control;
mod delete;
mod driver;
mod fileset;
mod inventory;
mod lease;
mod naming;
mod operations;
mod prune;
mod repository;
mod restore;
mod secret;
mod sentinel;
mod snapshot;
mod source;
mod tree;
mod trial;
mod verify;

pub use driver::{FilesDriver, FilesDriverBuilder};
pub use fileset::FileSet;
pub use prune::Pruned;
pub use secret::PasswordSource;
pub use sentinel::{Sentinel, SentinelRule};
