//! A check for DR tests: one file of what was restored, compared with what it must be.

use std::{
    ffi::OsString,
    fmt::Write as _,
    fs::File,
    io::{self, Read},
    path::{Component, Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use aegis_core::{
    model::{DisplayName, NamespaceName, Timestamp},
    seams::{DrCheck, DrVerdict, DriverError, RestoredCopy},
};
use async_trait::async_trait;
use rustix::fs::{FileType, Mode, OFlags};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;

use crate::{FilesDriver, clean_up::Territory, restore::place::Place};

/// What a [`Sentinel`]'s file must be like.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SentinelRule {
    /// Its content has this SHA-256.
    Sha256([u8; 32]),
    /// It was modified no longer than this before the recovery point: for a file that something
    /// touches regularly, so that an old copy is told from a new one.
    ModifiedWithin(Duration),
}

impl SentinelRule {
    /// The content is `bytes`.
    #[must_use]
    pub fn content(bytes: &[u8]) -> Self {
        Self::Sha256(Sha256::digest(bytes).into())
    }
}

/// One file of a namespace, which a DR test must have brought back as the rule says.
///
/// No link is followed to it. What can't be looked at is not run, which is never passed.
#[derive(Clone, Debug)]
pub struct Sentinel {
    driver: FilesDriver,
    name: DisplayName,
    namespace: NamespaceName,
    path: PathBuf,
    rule: SentinelRule,
}

impl Sentinel {
    /// A check that DR tests ask for as `name`: the file at `path` below where `namespace` was
    /// restored to by `driver`.
    ///
    /// A namespace with several paths is restored to a folder with one entry for each, by its last
    /// name; `path` begins with that then.
    ///
    /// # Errors
    /// `InvalidInput` if `path` is absolute, empty or has `..` in it.
    pub fn new(
        driver: &FilesDriver,
        name: DisplayName,
        namespace: NamespaceName,
        path: impl Into<PathBuf>,
        rule: SentinelRule,
    ) -> Result<Self, DriverError> {
        let path = path.into();
        if path.file_name().is_none() || !path.components().all(|part| matches!(part, Component::Normal(_))) {
            let error = format!("`{}` can't be the path of a sentinel", path.display());
            return Err(DriverError::invalid_input(error)
                .with_suggestion("name a file by its path within the namespace, without `..`"));
        }
        Ok(Self { driver: driver.clone(), name, namespace, path, rule })
    }

    fn judge(&self, territories: &[Territory], recovery_point_at: Timestamp) -> DrVerdict {
        let path = self.path.display();
        let found = territories.iter().map(|territory| open(territory, &self.path));
        let missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        let mut opened = found.skip_while(|opened| opened.as_ref().err().is_some_and(missing));
        let judged = match opened.next() {
            None => return failed(format!("`{path}` is not there")),
            Some(Err(cause)) => Err(cause),
            Some(Ok(file)) => self.judge_file(file, recovery_point_at),
        };
        judged
            .unwrap_or_else(|cause| DrVerdict::NotRun { reason: format!("could not read `{path}`: {cause}") })
    }

    fn judge_file(&self, file: File, recovery_point_at: Timestamp) -> io::Result<DrVerdict> {
        let path = self.path.display();
        match &self.rule {
            SentinelRule::Sha256(expected) => {
                let found = digest(file)?;
                if found == *expected {
                    return Ok(DrVerdict::Passed);
                }
                let (found, expected) = (hex(&found), hex(expected));
                Ok(failed(format!("`{path}` has the SHA-256 {found} and should have {expected}")))
            }
            SentinelRule::ModifiedWithin(longest) => {
                let age = recovery_point_at.since(modified_at(&file)?);
                if age <= *longest {
                    return Ok(DrVerdict::Passed);
                }
                let (age, longest) = (age.as_secs(), longest.as_secs());
                Ok(failed(format!(
                    "`{path}` was last modified {age} s before the recovery point, and {longest} s are allowed"
                )))
            }
        }
    }
}

#[async_trait]
impl DrCheck for Sentinel {
    fn name(&self) -> &DisplayName {
        &self.name
    }

    async fn check(&self, restored: &RestoredCopy) -> DrVerdict {
        let Some(target) = restored.targets.get(&self.namespace) else {
            return DrVerdict::NotRun { reason: format!("`{}` was not restored", self.namespace) };
        };
        let territories = match self.driver.territories(&self.namespace, target) {
            Ok(territories) => territories,
            Err(error) => return DrVerdict::NotRun { reason: error.to_string() },
        };
        let Ok(runtime) = Handle::try_current() else {
            return DrVerdict::NotRun { reason: "it was asked outside of a tokio runtime".to_owned() };
        };
        let (sentinel, at) = (self.clone(), restored.recovery_point_at);
        let judged = runtime.spawn_blocking(move || sentinel.judge(&territories, at)).await;
        judged.unwrap_or_else(|cause| DrVerdict::NotRun { reason: format!("it broke off: {cause}") })
    }
}

const fn failed(reason: String) -> DrVerdict {
    DrVerdict::Failed { reason }
}

/// Opens the regular file at `path` below a target, following no link.
fn open(territory: &Territory, path: &Path) -> io::Result<File> {
    let mut names: Vec<OsString> = territory.below.clone();
    names.extend(path.iter().map(OsString::from));
    let Some(last) = names.pop() else { return Err(io::ErrorKind::NotFound.into()) };
    let root = Arc::new(Place::trusted(&territory.trusted)?);
    let place = names.iter().try_fold(root, |place, name| place.enter(name, None).map(Arc::new))?;
    // A pipe that nobody writes to must not keep us.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat(place.dir(), &last, flags, Mode::empty())?);
    if FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) != FileType::RegularFile {
        return Err(io::Error::other("it is no regular file"));
    }
    Ok(file)
}

fn digest(mut file: File) -> io::Result<[u8; 32]> {
    let mut hasher = Sha256::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hasher.finalize().into()),
            length => hasher.update(piece.get(..length).unwrap_or_default()),
        }
    }
}

fn modified_at(file: &File) -> io::Result<Timestamp> {
    let stat = rustix::fs::fstat(file)?;
    let micros = i64::try_from(stat.st_mtime_nsec / 1000).unwrap_or_default();
    Ok(Timestamp::from_micros(stat.st_mtime.saturating_mul(1_000_000).saturating_add(micros)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
