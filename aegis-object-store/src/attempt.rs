//! What was tried, so that every error says it, and what an operating system's error means for it.

use std::io;

use aegis_core::{
    model::StorageUri,
    seams::{ObjectKey, ObjectStorageError, Source},
};

/// What is done to a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Open,
    Read,
    Write,
    Delete,
    Inspect,
    List,
    Measure,
    Probe,
}

impl Verb {
    /// Whether it changes what is stored, so that a lost answer is in doubt.
    pub(crate) const fn changes(self) -> bool {
        match self {
            Self::Write | Self::Delete => true,
            Self::Open | Self::Read | Self::Inspect | Self::List | Self::Measure | Self::Probe => false,
        }
    }
}

/// One attempt at one storage: turns causes into the seam's errors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt<'a> {
    pub(crate) location: &'a StorageUri,
    pub(crate) key: Option<&'a ObjectKey>,
    pub(crate) verb: Verb,
}

impl<'a> Attempt<'a> {
    pub(crate) const fn new(location: &'a StorageUri, verb: Verb) -> Self {
        Self { location, key: None, verb }
    }

    pub(crate) const fn on(location: &'a StorageUri, verb: Verb, key: &'a ObjectKey) -> Self {
        Self { location, key: Some(key), verb }
    }

    /// The attempt in words: "read `a/b`".
    pub(crate) fn action(&self) -> String {
        let verb = match self.verb {
            Verb::Open => "open it",
            Verb::Read => "read",
            Verb::Write => "write",
            Verb::Delete => "delete",
            Verb::Inspect => "look at",
            Verb::List => "list objects",
            Verb::Measure => "measure its usage",
            Verb::Probe => "probe it",
        };
        match (self.key, self.verb) {
            (Some(key), Verb::List) => format!("{verb} below `{key}`"),
            (Some(key), _) => format!("{verb} `{key}`"),
            (None, _) => verb.to_owned(),
        }
    }

    fn key_text(&self) -> String {
        self.key.map_or_else(String::new, ToString::to_string)
    }

    pub(crate) fn not_found(&self) -> ObjectStorageError {
        ObjectStorageError::NotFound { location: self.location.clone(), key: self.key_text() }
    }

    pub(crate) fn already_exists(&self) -> ObjectStorageError {
        ObjectStorageError::AlreadyExists { location: self.location.clone(), key: self.key_text() }
    }

    pub(crate) fn conflict(&self) -> ObjectStorageError {
        ObjectStorageError::VersionConflict { location: self.location.clone(), key: self.key_text() }
    }

    pub(crate) fn invalid(&self, reason: impl Into<String>) -> ObjectStorageError {
        ObjectStorageError::InvalidInput {
            location: self.location.clone(),
            action: self.action(),
            reason: reason.into(),
        }
    }

    pub(crate) fn unsupported(&self, action: impl Into<String>) -> ObjectStorageError {
        ObjectStorageError::Unsupported { location: self.location.clone(), action: action.into() }
    }

    pub(crate) fn unauthenticated(&self, source: Source) -> ObjectStorageError {
        let (location, action) = (self.location.clone(), self.action());
        ObjectStorageError::Unauthenticated { location, action, source }
    }

    pub(crate) fn forbidden(&self, source: Source) -> ObjectStorageError {
        let (location, action) = (self.location.clone(), self.action());
        ObjectStorageError::Forbidden { location, action, source }
    }

    pub(crate) fn full(&self, source: Source) -> ObjectStorageError {
        let (location, action) = (self.location.clone(), self.action());
        ObjectStorageError::Full { location, action, source }
    }

    pub(crate) fn unavailable(&self, source: Source) -> ObjectStorageError {
        let (location, action) = (self.location.clone(), self.action());
        ObjectStorageError::Unavailable { location, action, source }
    }

    /// It may have happened, if the attempt changes anything; else it is merely unavailable.
    pub(crate) fn in_doubt(&self, source: Source) -> ObjectStorageError {
        if !self.verb.changes() {
            return self.unavailable(source);
        }
        let (location, action) = (self.location.clone(), self.action());
        ObjectStorageError::Indeterminate { location, action, source }
    }

    pub(crate) fn internal(&self, source: Source) -> ObjectStorageError {
        let (location, action) = (self.location.clone(), self.action());
        ObjectStorageError::Internal { location, action, source }
    }

    /// What an error of the operating system means, when nothing has taken effect yet.
    pub(crate) fn io(&self, error: io::Error) -> ObjectStorageError {
        use io::ErrorKind as Kind;
        match error.kind() {
            // A write makes the folders that it needs: what is missing is the storage.
            Kind::NotFound if self.verb == Verb::Write => self.unavailable(error.into()),
            Kind::NotFound => self.not_found(),
            Kind::NotADirectory if self.verb != Verb::Write => self.not_found(),
            Kind::AlreadyExists => self.already_exists(),
            Kind::StorageFull | Kind::QuotaExceeded => self.full(error.into()),
            Kind::PermissionDenied | Kind::ReadOnlyFilesystem => self.forbidden(error.into()),
            Kind::NotADirectory | Kind::IsADirectory | Kind::DirectoryNotEmpty => self.invalid(
                "an object has the name of a folder, or a folder that of an object; use another key",
            ),
            Kind::InvalidFilename | Kind::InvalidInput | Kind::FileTooLarge => {
                self.invalid(format!("the file system refuses it ({error}); use a shorter key"))
            }
            Kind::Unsupported => {
                self.unsupported(format!("{}: its file system lacks file locks", self.action()))
            }
            Kind::TimedOut
            | Kind::Interrupted
            | Kind::NotConnected
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::NetworkDown
            | Kind::StaleNetworkFileHandle
            | Kind::ResourceBusy => self.unavailable(error.into()),
            // Out of file handles has no kind of its own, and passes.
            _ if is_out_of_handles(&error) => self.unavailable(error.into()),
            _ => self.internal(error.into()),
        }
    }
}

fn is_out_of_handles(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use aegis_core::seams::ErrorClass;
    use rustix::io::Errno;

    use super::*;

    fn io(verb: Verb, errno: Errno) -> ObjectStorageError {
        let location = "file:///srv/backups".parse().unwrap();
        let key = "a/b".parse().unwrap();
        Attempt::on(&location, verb, &key).io(errno.into())
    }

    #[test]
    fn each_error_of_the_system_has_its_class_and_text() {
        let cases = [
            (Errno::NOENT, Verb::Read, ErrorClass::NotFound, "no object `a/b` in file:///srv/backups/"),
            (Errno::NOTDIR, Verb::Read, ErrorClass::NotFound, "no object `a/b` in file:///srv/backups/"),
            (
                Errno::NOENT,
                Verb::Write,
                ErrorClass::Unavailable,
                "file:///srv/backups/ is unavailable: could not write `a/b`",
            ),
            (
                Errno::EXIST,
                Verb::Write,
                ErrorClass::AlreadyExists,
                "object `a/b` in file:///srv/backups/ already exists",
            ),
            (
                Errno::NOSPC,
                Verb::Write,
                ErrorClass::Unavailable,
                "file:///srv/backups/ is full: could not write `a/b`; free space or raise the quota",
            ),
            (
                Errno::DQUOT,
                Verb::Write,
                ErrorClass::Unavailable,
                "file:///srv/backups/ is full: could not write `a/b`; free space or raise the quota",
            ),
            (
                Errno::ROFS,
                Verb::Delete,
                ErrorClass::Forbidden,
                "file:///srv/backups/ does not permit us to delete `a/b`",
            ),
            (
                Errno::ACCESS,
                Verb::Inspect,
                ErrorClass::Forbidden,
                "file:///srv/backups/ does not permit us to look at `a/b`",
            ),
            (
                Errno::STALE,
                Verb::List,
                ErrorClass::Unavailable,
                "file:///srv/backups/ is unavailable: could not list objects below `a/b`",
            ),
            (
                Errno::MFILE,
                Verb::Read,
                ErrorClass::Unavailable,
                "file:///srv/backups/ is unavailable: could not read `a/b`",
            ),
            (Errno::IO, Verb::Read, ErrorClass::Internal, "file:///srv/backups/: could not read `a/b`"),
            (
                Errno::NOTDIR,
                Verb::Write,
                ErrorClass::InvalidInput,
                "can't write `a/b` in file:///srv/backups/: an object has the name of a folder, or a folder \
                 that of an object; use another key",
            ),
        ];
        for (errno, verb, class, text) in cases {
            let error = io(verb, errno);
            assert_eq!((error.class(), error.to_string().as_str()), (class, text), "{errno:?}");
        }
    }

    #[test]
    fn what_is_in_doubt_is_so_only_for_changes() {
        let location = "s3://bucket".parse().unwrap();
        let in_doubt = |verb| Attempt::new(&location, verb).in_doubt("no answer".into()).class();
        assert_eq!(in_doubt(Verb::Write), ErrorClass::Indeterminate);
        assert_eq!(in_doubt(Verb::Delete), ErrorClass::Indeterminate);
        assert_eq!(in_doubt(Verb::Read), ErrorClass::Unavailable);
    }
}
