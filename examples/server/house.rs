//! The data directory: everything that the server makes by itself lies here.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use aegis::{files::PasswordSource, model::StorageBackend};
use rand::{TryRngCore, rngs::OsRng};

use crate::{
    config::Storage,
    problem::{Problem, Result},
};

/// The data directory, held by this process alone.
#[derive(Debug)]
pub(crate) struct House {
    root: PathBuf,
    /// Held until the process ends, however it ends.
    _lock: File,
}

/// A repository's password, and whether it was there.
#[derive(Debug)]
pub(crate) enum Password {
    /// It is kept elsewhere.
    Named(PasswordSource),
    /// It lies in the data directory.
    Found(PathBuf),
    /// It was made now.
    Made(PathBuf),
}

impl House {
    /// Opens the data directory, and makes it if it is missing.
    ///
    /// # Errors
    /// It can't be made or written, or another server is running in it.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        let unwritable = |tried: &str, error: &io::Error| {
            Problem::io(tried, root, error).mend("choose another place with --data-dir DIR")
        };
        let made = DirBuilder::new().recursive(true).mode(0o700).create(root);
        made.map_err(|error| unwritable("make the data directory", &error))?;
        let root = root.canonicalize().map_err(|error| unwritable("find", &error))?;
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(root.join("lock"));
        let file = file.map_err(|error| unwritable("write to the data directory", &error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { root, _lock: file }),
            Err(TryLockError::WouldBlock) => {
                Err(Problem::new(format!("another server is running in {}", root.display()))
                    .mend("stop that one, or give this one a place of its own with --data-dir DIR"))
            }
            Err(TryLockError::Error(error)) => Err(unwritable("lock", &error)),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.root.join("aegis.db")
    }

    /// Where verification restores to.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.root.join("scratch")
    }

    /// The password of a storage: where it was named, else in a file that is made once.
    ///
    /// # Errors
    /// The file can't be made, or is gone though there are backups.
    pub(crate) fn password(&self, name: &str, storage: &Storage) -> Result<Password> {
        if let Some(named) = &storage.password {
            return Ok(Password::Named(named.clone()));
        }
        let path = self.root.join(format!("{name}.key"));
        if path.exists() {
            return Ok(Password::Found(path));
        }
        let local = storage.uri.backend() == StorageBackend::Local;
        if local && Path::new("/").join(storage.uri.path()).join("repository/config").exists() {
            return Err(Problem::new(format!("the password {} of {} is gone", path.display(), storage.uri))
                .mend("put your copy of it back there; without it the backups can't be read"));
        }
        self.make_password(&path).map_err(|error| Problem::io("make the password", &path, &error))?;
        Ok(Password::Made(path))
    }

    /// Puts it in place whole, so that no kill leaves half of one.
    fn make_password(&self, path: &Path) -> io::Result<()> {
        let draft = path.with_extension("key.new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        io::Write::write_all(&mut file, format!("{}\n", random_text()?).as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        File::open(&self.root)?.sync_all()
    }
}

impl Password {
    pub(crate) fn source(&self) -> PasswordSource {
        match self {
            Self::Named(source) => source.clone(),
            Self::Found(path) | Self::Made(path) => PasswordSource::File(path.clone()),
        }
    }
}

/// 256 random bits in hexadecimal digits.
pub(crate) fn random_text() -> io::Result<String> {
    let mut bytes = [0_u8; 32];
    OsRng.try_fill_bytes(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn storage(folder: &Path) -> Storage {
        let uri = format!("file://{}/backups/", folder.display()).parse().unwrap();
        Storage { uri, options: <_>::default(), password: None, tenants: Vec::new() }
    }

    #[test]
    fn a_second_server_in_the_same_directory_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let first = House::open(folder.path()).unwrap();
        let refused = House::open(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("another server is running") && refused.contains("--data-dir"), "{refused}");
        drop(first);
        House::open(folder.path()).unwrap();
    }

    #[test]
    fn a_password_is_made_once_and_readable_by_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let house = House::open(folder.path()).unwrap();
        let Password::Made(path) = house.password("primary", &storage(folder.path())).unwrap() else {
            panic!()
        };
        let made = fs::read_to_string(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let again = house.password("primary", &storage(folder.path())).unwrap();
        assert!(matches!(again, Password::Found(_)));
        assert_eq!(fs::read_to_string(&path).unwrap(), made);
    }

    #[test]
    fn no_new_password_is_made_where_there_are_backups() {
        let folder = tempfile::tempdir().unwrap();
        let house = House::open(folder.path()).unwrap();
        fs::create_dir_all(folder.path().join("backups/repository")).unwrap();
        fs::write(folder.path().join("backups/repository/config"), "").unwrap();
        let refused = house.password("repository", &storage(folder.path())).unwrap_err().to_string();
        assert!(refused.contains("repository.key") && refused.contains("put your copy"), "{refused}");
    }
}
