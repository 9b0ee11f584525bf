//! rustic's storage backend over our seam to object storage.

use std::sync::Arc;

use aegis_core::seams::{ListOptions, ObjectKey, ObjectStorage, ObjectStorageError, PutMode};
use bytes::{Bytes, BytesMut};
use rustic_core::{BytesList, ErrorKind, FileType, Id, ReadBackend, RusticError, RusticResult, WriteBackend};
use tokio::runtime::Handle;

use super::{error::Shared, packs::PackCache, session::Session};

/// The folder of the repository below its location.
pub(crate) const FOLDER: &str = "repository";

/// A restic repository at `<location>/repository/`.
///
/// rustic blocks, so this waits for the storage on `runtime` from rustic's threads; it must never
/// be called from one of the runtime's own.
pub(crate) struct StorageBackend {
    storage: Arc<dyn ObjectStorage>,
    runtime: Handle,
    session: Arc<Session>,
    packs: PackCache,
}

impl StorageBackend {
    pub(crate) fn new(storage: Arc<dyn ObjectStorage>, runtime: Handle, session: Arc<Session>) -> Self {
        Self { storage, runtime, session, packs: PackCache::default() }
    }

    fn refuse(&self, action: &str, error: ObjectStorageError) -> Box<RusticError> {
        refusal(action, Arc::new(error))
    }

    fn get(&self, key: &ObjectKey) -> RusticResult<Bytes> {
        let read = self.runtime.block_on(self.storage.get(key));
        read.map(|(_, bytes)| bytes).map_err(|e| self.refuse("read", e))
    }

    /// Lets no write through once the work was cancelled, or has lost a write or its lease.
    fn may_write(&self) -> RusticResult<()> {
        if self.session.control.is_cancelled() {
            return Err(RusticError::new(ErrorKind::Backend, "The work was cancelled."));
        }
        if self.session.has_lost_its_lease() {
            return Err(RusticError::new(ErrorKind::Backend, "The repository's lease was lost."));
        }
        match self.session.failed() {
            Some(failure) => Err(refusal("write", failure)),
            None => Ok(()),
        }
    }

    fn list_folder(&self, tpe: FileType) -> RusticResult<Vec<(Id, u32)>> {
        let mut options = ListOptions { prefix: Some(folder_key(tpe)?), ..ListOptions::default() };
        let mut found = Vec::new();
        loop {
            let page =
                self.runtime.block_on(self.storage.list(&options)).map_err(|e| self.refuse("list", e))?;
            for object in page.objects {
                let name = object.key.as_str().rsplit('/').next().unwrap_or_default();
                let Ok(id) = name.parse::<Id>() else { continue };
                found.push((id, size(object.size, &object.key)?));
            }
            match page.next {
                Some(next) => options.after = Some(next),
                None => return Ok(found),
            }
        }
    }
}

/// rustic's form of a storage error, with the error inside for [`super::error::rustic`].
fn refusal(action: &str, error: Arc<ObjectStorageError>) -> Box<RusticError> {
    RusticError::with_source(ErrorKind::Backend, format!("The storage did not {action}."), Shared(error))
}

fn size(bytes: u64, key: &ObjectKey) -> RusticResult<u32> {
    u32::try_from(bytes).map_err(|cause| {
        RusticError::with_source(
            ErrorKind::Repository,
            format!("`{key}` is too large to be part of it."),
            cause,
        )
    })
}

fn make_key(text: String) -> RusticResult<ObjectKey> {
    ObjectKey::new(text).map_err(|e| RusticError::with_source(ErrorKind::Internal, "Not an object key.", e))
}

fn folder_key(tpe: FileType) -> RusticResult<ObjectKey> {
    make_key(format!("{FOLDER}/{}", tpe.dirname()))
}

/// The key of a repository file, in restic's default layout.
pub(crate) fn file_key(tpe: FileType, id: &Id) -> RusticResult<ObjectKey> {
    let hex = id.to_hex();
    let hex = hex.as_str();
    make_key(match tpe {
        FileType::Config => format!("{FOLDER}/config"),
        FileType::Pack => format!("{FOLDER}/data/{}/{hex}", hex.get(..2).unwrap_or_default()),
        FileType::Index | FileType::Key | FileType::Snapshot => format!("{FOLDER}/{}/{hex}", tpe.dirname()),
    })
}

impl ReadBackend for StorageBackend {
    fn location(&self) -> String {
        self.storage.uri().to_string()
    }

    fn list_with_size(&self, tpe: FileType) -> RusticResult<Vec<(Id, u32)>> {
        if tpe != FileType::Config {
            return self.list_folder(tpe);
        }
        let key = file_key(tpe, &Id::default())?;
        match self.runtime.block_on(self.storage.head(&key)) {
            Ok(meta) => Ok(vec![(Id::default(), size(meta.size, &key)?)]),
            Err(ObjectStorageError::NotFound { .. }) => Ok(Vec::new()),
            Err(error) => Err(self.refuse("list", error)),
        }
    }

    fn read_full(&self, tpe: FileType, id: &Id) -> RusticResult<Bytes> {
        self.get(&file_key(tpe, id)?)
    }

    fn read_partial(
        &self,
        tpe: FileType,
        id: &Id,
        _cacheable: bool,
        offset: u32,
        length: u32,
    ) -> RusticResult<Bytes> {
        let key = file_key(tpe, id)?;
        let range = u64::from(offset)..u64::from(offset) + u64::from(length);
        let read = || {
            let read = self.runtime.block_on(self.storage.get_range(&key, range.clone()));
            read.map_err(|e| self.refuse("read", e))
        };
        if tpe != FileType::Pack {
            return read();
        }
        match self.packs.whole(*id, || self.get(&key))? {
            Some(pack) => slice(&pack, offset, length, &key),
            None => read(),
        }
    }

    fn warmup_path(&self, tpe: FileType, id: &Id) -> String {
        file_key(tpe, id).map(|key| key.to_string()).unwrap_or_default()
    }
}

fn slice(pack: &Bytes, offset: u32, length: u32, key: &ObjectKey) -> RusticResult<Bytes> {
    let range = usize::try_from(offset).ok().zip(usize::try_from(length).ok());
    let range = range.and_then(|(from, length)| Some(from..from.checked_add(length)?));
    match range {
        Some(range) if range.end <= pack.len() => Ok(pack.slice(range)),
        _ => Err(RusticError::new(ErrorKind::Repository, format!("`{key}` is shorter than its index says."))),
    }
}

impl WriteBackend for StorageBackend {
    fn write_bytes(&self, tpe: FileType, id: &Id, _cacheable: bool, content: BytesList) -> RusticResult<()> {
        self.may_write()?;
        if tpe == FileType::Snapshot {
            self.session.run_before_snapshot()?;
        }
        let mode = if tpe == FileType::Config { PutMode::Create } else { PutMode::Overwrite };
        let key = file_key(tpe, id)?;
        match self.runtime.block_on(self.storage.put(&key, join(content), mode)) {
            Ok(_) => Ok(()),
            Err(error) => {
                let error = Arc::new(error);
                self.session.write_failed(&error);
                Err(refusal("write", error))
            }
        }
    }

    fn remove(&self, tpe: FileType, id: &Id, _cacheable: bool) -> RusticResult<()> {
        self.may_write()?;
        let key = file_key(tpe, id)?;
        self.runtime.block_on(self.storage.delete(&key)).map_err(|e| self.refuse("delete", e))
    }
}

/// One piece, giving each part back as soon as it is copied.
fn join(content: BytesList) -> Bytes {
    let size = content.size();
    let mut parts = content.into_vec();
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            let mut whole = BytesMut::with_capacity(size);
            for part in parts.into_iter().chain(last) {
                whole.extend_from_slice(&part);
            }
            whole.freeze()
        }
    }
}
