//! Where copies of backups lie: storage location URIs.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The kind of storage behind a location.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StorageBackend {
    /// A directory of this machine: `file://`.
    Local,
    /// Amazon S3 or what speaks its protocol: `s3://`.
    S3,
    /// Google Cloud Storage: `gs://`.
    Gcs,
    /// Azure Blob Storage: `az://`.
    AzureBlob,
}

impl StorageBackend {
    /// Every backend.
    pub const ALL: [Self; 4] = [Self::Local, Self::S3, Self::Gcs, Self::AzureBlob];

    /// The stable label, as the HTTP API writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::S3 => "s3",
            Self::Gcs => "gcs",
            Self::AzureBlob => "azure_blob",
        }
    }

    /// The scheme of its URIs.
    #[must_use]
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::Local => "file",
            Self::S3 => "s3",
            Self::Gcs => "gs",
            Self::AzureBlob => "az",
        }
    }
}

impl fmt::Display for StorageBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The address of a storage location: `s3://bucket/prefix/`, `gs://…`, `az://container/…` or
/// `file:///absolute/path/`.
///
/// Normalised: no empty or dot segments, always one slash at the end, never a secret inside.
/// Two locations overlap exactly if one [`contains`](Self::contains) the other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorageUri {
    backend: StorageBackend,
    /// Bucket or container; empty for `file://`.
    bucket: String,
    /// Path below the bucket without a slash at either end; may be empty, but not for `file://`.
    path: String,
}

/// Why a storage location was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageUriError {
    /// No scheme, or one that no backend has.
    #[error("the storage location must begin with file://, s3://, gs:// or az://")]
    Scheme,
    /// A user, password, query or fragment: the places where secrets hide.
    #[error("the storage location must not contain `{0}`: credentials belong into the environment or a file")]
    Forbidden(char),
    /// The bucket's name is missing or not a bucket's name.
    #[error("the bucket of the storage location must be 3 to 63 letters, digits, `.`, `-` or `_`")]
    Bucket,
    /// `file://` with a relative path or a host, or the file system's root itself.
    #[error("a file location must be an absolute path of at least one folder, as in file:///srv/backups/")]
    FilePath,
    /// A `.` or `..` segment or a control character.
    #[error("the path of the storage location must have no `.` or `..` segments and no control characters")]
    Path,
    /// Longer than 1,024 bytes.
    #[error("the storage location is longer than 1024 bytes")]
    TooLong,
}

impl StorageUri {
    /// The kind of storage.
    #[must_use]
    pub const fn backend(&self) -> StorageBackend {
        self.backend
    }

    /// Bucket or container; `None` for a local folder.
    #[must_use]
    pub fn bucket(&self) -> Option<&str> {
        (self.backend != StorageBackend::Local).then_some(&*self.bucket)
    }

    /// The path inside the bucket without slashes at either end; for a local folder, the path
    /// without its leading slash.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The folder `name` below this location.
    ///
    /// # Errors
    /// [`StorageUriError::Path`] or [`StorageUriError::TooLong`] if `name` can't be a path below it.
    pub fn join(&self, name: &str) -> Result<Self, StorageUriError> {
        format!("{self}{name}").parse()
    }

    /// Whether `other` is this location or lies below it.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        self.backend == other.backend
            && self.bucket == other.bucket
            && (self.path.is_empty()
                || other
                    .path
                    .strip_prefix(&self.path)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    }
}

impl FromStr for StorageUri {
    type Err = StorageUriError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > 1024 {
            return Err(StorageUriError::TooLong);
        }
        let (scheme, rest) = text.split_once("://").ok_or(StorageUriError::Scheme)?;
        let backend = StorageBackend::ALL
            .into_iter()
            .find(|backend| backend.scheme() == scheme)
            .ok_or(StorageUriError::Scheme)?;
        let (bucket, path) = match backend {
            StorageBackend::Local => ("", rest.strip_prefix('/').ok_or(StorageUriError::FilePath)?),
            StorageBackend::S3 | StorageBackend::Gcs | StorageBackend::AzureBlob => {
                if let Some(c) = rest.chars().find(|c| matches!(c, '@' | '?' | '#')) {
                    return Err(StorageUriError::Forbidden(c));
                }
                let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
                if !is_bucket(bucket) {
                    return Err(StorageUriError::Bucket);
                }
                (bucket, path)
            }
        };
        let path = normal_path(path)?;
        if backend == StorageBackend::Local && path.is_empty() {
            return Err(StorageUriError::FilePath);
        }
        Ok(Self { backend, bucket: bucket.to_owned(), path })
    }
}

fn is_bucket(bucket: &str) -> bool {
    (3..=63).contains(&bucket.len())
        && bucket.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
        && !bucket.contains("..")
}

fn normal_path(path: &str) -> Result<String, StorageUriError> {
    if path.chars().any(char::is_control) {
        return Err(StorageUriError::Path);
    }
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    if segments.iter().any(|segment| matches!(*segment, "." | "..")) {
        return Err(StorageUriError::Path);
    }
    Ok(segments.join("/"))
}

impl fmt::Display for StorageUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.backend.scheme(), self.bucket)?;
        if !self.path.is_empty() {
            write!(f, "/{}", self.path)?;
        }
        f.write_str("/")
    }
}

impl Serialize for StorageUri {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StorageUri {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> StorageUri {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn is_written_as_the_api_shows_it() {
        assert_eq!(uri("s3://oco-backups/prod-us-east-1").to_string(), "s3://oco-backups/prod-us-east-1/");
        assert_eq!(uri("file:///srv//backups/").to_string(), "file:///srv/backups/");
        assert_eq!(uri("gs://bucket").to_string(), "gs://bucket/");
    }

    #[test]
    fn bad_locations_are_refused_with_the_mend() {
        let cases = [
            ("backups", StorageUriError::Scheme),
            ("sftp://host/x", StorageUriError::Scheme),
            ("s3://key:secret@bucket/x", StorageUriError::Forbidden('@')),
            ("s3://bucket/x?sig=1", StorageUriError::Forbidden('?')),
            ("az://c/x", StorageUriError::Bucket),
            ("s3:///x", StorageUriError::Bucket),
            ("file://host/x", StorageUriError::FilePath),
            ("file:///", StorageUriError::FilePath),
            ("s3://bucket/a/../b", StorageUriError::Path),
            ("file:///srv/\n", StorageUriError::Path),
        ];
        for (text, expect) in cases {
            assert_eq!(text.parse::<StorageUri>(), Err(expect), "{text}");
        }
        assert_eq!(
            format!("s3://bucket/{}", "x".repeat(1024)).parse::<StorageUri>(),
            Err(StorageUriError::TooLong)
        );
    }

    #[test]
    fn containment_respects_segments_buckets_and_backends() {
        assert!(uri("s3://bucket/a").contains(&uri("s3://bucket/a/b")));
        assert!(uri("s3://bucket/a").contains(&uri("s3://bucket/a/")));
        assert!(uri("s3://bucket").contains(&uri("s3://bucket/a")));
        assert!(!uri("s3://bucket/a").contains(&uri("s3://bucket/ab")));
        assert!(!uri("s3://bucket/a/b").contains(&uri("s3://bucket/a")));
        assert!(!uri("s3://bucket/a").contains(&uri("gs://bucket/a")));
    }

    #[test]
    fn joining_never_leaves_the_location() {
        assert_eq!(uri("s3://bucket/a").join("b").unwrap(), uri("s3://bucket/a/b"));
        assert!(uri("s3://bucket/a").join("../b").is_err());
    }
}
