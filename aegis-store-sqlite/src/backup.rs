//! A copy of the store's own file, while it is in use.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use aegis_core::seams::StoreError;
use sqlx::SqliteConnection;

use crate::{
    error::Fault,
    open::{beside, folder_of},
    sql::Sql,
};

const ACTION: &str = "back up its file";

/// Why a backup can't be put where it was asked for.
#[derive(Debug, thiserror::Error)]
#[error("{path} {what}")]
struct Misplaced {
    path: String,
    what: &'static str,
}

/// Writes a snapshot to `target`, which must not exist. It appears there whole or not at all.
pub(crate) async fn backup(
    reader: &mut SqliteConnection,
    file: &Path,
    target: &Path,
) -> Result<(), StoreError> {
    let misplaced = |what| StoreError::Malformed {
        reason: Misplaced { path: target.display().to_string(), what }.to_string(),
    };
    if target.exists() {
        return Err(misplaced("exists already: a backup replaces nothing, so name another file"));
    }
    let partial = beside(target, "partial");
    let Some(name) = partial.to_str() else {
        return Err(misplaced("is not UTF-8, as SQLite asks for: name another file"));
    };
    let unwritten = |error: io::Error| StoreError::Unavailable { action: ACTION, source: error.into() };
    // What an earlier try left.
    match fs::remove_file(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unwritten(error)),
        Ok(()) | Err(_) => {}
    }
    let mut sql = Sql::new("vacuum into ");
    sql.bind(name);
    let written = sql.query().execute(reader).await;
    let placed = match written {
        Ok(_) => place(&partial, target).map_err(unwritten),
        Err(error) => Err(Fault::from(error).answer(ACTION, file)),
    };
    // Linked or given up.
    let _ = fs::remove_file(&partial);
    placed
}

/// Gives a file that is written its name, once it is on the disk, replacing nothing.
fn place(partial: &Path, target: &Path) -> io::Result<()> {
    File::open(partial)?.sync_all()?;
    fs::hard_link(partial, target)?;
    File::open(folder_of(target))?.sync_all()
}
