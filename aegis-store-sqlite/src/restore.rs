//! A backup put in the place of a store's file.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use sqlx::Connection;

use crate::{
    OpenError,
    error::Fault,
    migrate::{VERSIONS, recognize},
    open::{beside, check, folder_of, lock, look_at},
    sql::Sql,
};

/// Puts a copy of `backup` in the place of `file`; see [`SqliteStore::restore`](crate::SqliteStore::restore).
pub(crate) async fn restore(backup: &Path, file: &Path) -> Result<(), OpenError> {
    let unreachable = |path: &Path| {
        let file = path.to_owned();
        move |source| OpenError::Unreachable { file, source }
    };
    fs::metadata(backup).map_err(unreachable(backup))?;
    let _ours = lock(file)?;
    let copy = beside(file, "restored");
    remove(&copy).map_err(unreachable(&copy))?;
    let mut reader = look_at(backup).await?;
    if recognize(&mut reader, VERSIONS, backup).await? == 0 {
        return Err(OpenError::NotOurs { file: backup.to_owned() });
    }
    check(&mut reader, "pragma integrity_check(1)", backup).await?;
    let mut sql = Sql::new("vacuum into ");
    let Some(name) = copy.to_str() else {
        let not_utf8 =
            io::Error::new(io::ErrorKind::InvalidInput, "its name is not UTF-8, as SQLite asks for");
        return Err(unreachable(file)(not_utf8));
    };
    sql.bind(name);
    let written = sql.query().execute(&mut reader).await.map_err(Fault::from);
    written.map_err(|fault| OpenError::Store(fault.answer("copy its backup", file)))?;
    // It has changed nothing, so there is nothing that its end could fail to do.
    let _ = reader.close().await;
    replace(&copy, file).map_err(unreachable(file))
}

/// Gives the copy the file's name once it is on the disk. The old write-ahead log goes first: SQLite would
/// take it for the new file's.
fn replace(copy: &Path, file: &Path) -> io::Result<()> {
    let folder = File::open(folder_of(file))?;
    File::open(copy)?.sync_all()?;
    remove(&beside(file, "wal"))?;
    remove(&beside(file, "shm"))?;
    folder.sync_all()?;
    fs::rename(copy, file)?;
    folder.sync_all()
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
