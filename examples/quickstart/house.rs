//! The data directory: everything that the quickstart makes lies here.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::problem::{Problem, Result};

/// By this file a directory is known as ours, so that nobody else's is ever cleaned.
const MARKER: &str = "README.txt";
const MARKER_TEXT: &str = "\
Aegis' quickstart keeps everything here that it makes:

  backups/        the repository, which restic can read, too, and a manifest for each backup
  repository.key  their password; copy it elsewhere: without it they are lost
  restored/       what was restored last
  scratch/        copies to change
  verify/         where verification restores to; usually empty

Delete the whole directory when you are done.
";

/// The data directory, held by this process alone.
#[derive(Debug)]
pub(crate) struct House {
    root: PathBuf,
    /// What became of the password.
    pub(crate) password: Password,
    /// Held until the process ends, however it ends.
    _lock: File,
}

/// Whether the password was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Password {
    Made,
    Found,
}

impl House {
    /// Opens the data directory, and makes what is missing.
    pub(crate) fn open(asked: &Path) -> Result<Self> {
        make_directory(asked)?;
        let root = asked.canonicalize().map_err(|error| Problem::io("find", asked, &error))?;
        claim(&root)?;
        let lock = lock(&root)?;
        for name in ["backups", "restored", "scratch", "verify"] {
            make_directory(&root.join(name))?;
        }
        let password = ensure_password(&root.join("repository.key"), &root)?;
        Ok(Self { root, password, _lock: lock })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn backups(&self) -> PathBuf {
        self.root.join("backups")
    }

    pub(crate) fn password_file(&self) -> PathBuf {
        self.root.join("repository.key")
    }

    pub(crate) fn restored(&self) -> PathBuf {
        self.root.join("restored")
    }

    pub(crate) fn scratch(&self) -> PathBuf {
        self.root.join("scratch")
    }

    pub(crate) fn verify(&self) -> PathBuf {
        self.root.join("verify")
    }

    /// Removes what an earlier run left in one of our directories.
    pub(crate) fn clear(&self, directory: &Path) -> Result<()> {
        if !directory.starts_with(&self.root) || directory == self.root {
            return Err(Problem::new(format!("{} is not the quickstart's to clear", directory.display())));
        }
        remove(directory).map_err(|error| Problem::io("clear", directory, &error))
    }
}

fn make_directory(path: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| {
        Problem::io("make the directory", path, &error).mend("choose another place with --data-dir DIR")
    })
}

/// Marks the directory as ours, unless it is somebody else's.
fn claim(root: &Path) -> Result<()> {
    let marker = root.join(MARKER);
    match fs::read_to_string(&marker) {
        Ok(text) if text == MARKER_TEXT => return Ok(()),
        // Killed while the marker was written: nothing else was there yet.
        Ok(text) if MARKER_TEXT.starts_with(&text) => {}
        Ok(_) => return Err(foreign(root)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let mut entries = fs::read_dir(root).map_err(|error| Problem::io("read", root, &error))?;
            if entries.next().is_some() {
                return Err(foreign(root));
            }
        }
        Err(error) => return Err(Problem::io("read", &marker, &error)),
    }
    fs::write(&marker, MARKER_TEXT).map_err(|error| {
        Problem::io("write to the data directory", root, &error)
            .mend("choose a writable one with --data-dir DIR")
    })
}

fn foreign(root: &Path) -> Problem {
    Problem::new(format!("{} is in use, and not as the quickstart's data directory", root.display()))
        .mend("name an empty or a new directory with --data-dir DIR")
}

fn lock(root: &Path) -> Result<File> {
    let path = root.join("lock");
    let failed = |error: &io::Error| {
        Problem::io("write to the data directory", root, error)
            .mend("choose a writable one with --data-dir DIR")
    };
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| failed(&error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(Problem::new(format!("another quickstart is running in {}", root.display()))
                .mend("wait for it, or give this one a place of its own with --data-dir DIR"))
        }
        Err(TryLockError::Error(error)) => Err(failed(&error)),
    }
}

/// Makes the password once. It is put in place whole, so that no kill leaves half of one.
fn ensure_password(path: &Path, root: &Path) -> Result<Password> {
    if path.exists() {
        return Ok(Password::Found);
    }
    let begun = root.join("backups/repository/config").exists();
    if begun {
        return Err(Problem::new(format!("the repository's password {} is gone", path.display()))
            .mend("put your copy of it back there; without it the backups can't be read"));
    }
    let draft = root.join("repository.key.new");
    let write = || -> io::Result<()> {
        let mut random = [0_u8; 32];
        File::open("/dev/urandom")?.read_exact(&mut random)?;
        let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        writeln!(file, "{text}")?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        File::open(root)?.sync_all()
    };
    write().map_err(|error| Problem::io("make the password", path, &error))?;
    Ok(Password::Made)
}

/// Removes a tree, directories without write permission included.
fn remove(path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !metadata.is_dir() {
        return fs::remove_file(path);
    }
    if metadata.permissions().mode() & 0o700 != 0o700 {
        fs::set_permissions(path, Permissions::from_mode(0o700))?;
    }
    for entry in fs::read_dir(path)? {
        remove(&entry?.path())?;
    }
    fs::remove_dir(path)
}
