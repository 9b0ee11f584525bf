//! A storage that stops somewhere: for a while, or for good.

use std::{
    fs,
    ops::Range,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use aegis_core::{
    engine::SystemClock,
    model::StorageUri,
    seams::{
        Clock, Immutability, ListOptions, ObjectKey, ObjectMeta, ObjectPage, ObjectStorage,
        ObjectStorageError, ObjectVersion, PutMode, StorageCapabilities, StorageProbe, StorageUsage,
    },
};
use async_trait::async_trait;
use bytes::Bytes;

/// What the gate does.
#[derive(Debug)]
pub enum Gate {
    /// Before something is written below `prefix`, makes the file `reached` and waits for `go`.
    Waits { prefix: &'static str, reached: PathBuf, go: PathBuf },
    /// After so many more writes below `prefix`, everything fails.
    Breaks { prefix: &'static str, after: AtomicI64 },
}

/// A storage behind a gate.
#[derive(Debug)]
pub struct Gated {
    pub inner: Arc<dyn ObjectStorage>,
    pub gate: Gate,
}

impl Gated {
    async fn pass(&self, key: &ObjectKey) -> Result<(), ObjectStorageError> {
        match &self.gate {
            Gate::Waits { prefix, reached, go } if key.as_str().starts_with(prefix) => {
                fs::write(reached, "").unwrap();
                wait_for(go).await;
            }
            Gate::Breaks { prefix, after } if key.as_str().starts_with(prefix) => {
                after.fetch_sub(1, Ordering::SeqCst);
            }
            Gate::Waits { .. } | Gate::Breaks { .. } => {}
        }
        self.answers()
    }

    fn answers(&self) -> Result<(), ObjectStorageError> {
        match &self.gate {
            Gate::Breaks { after, .. } if after.load(Ordering::SeqCst) < 0 => {
                Err(ObjectStorageError::Unavailable {
                    location: self.inner.uri().clone(),
                    action: "reach it".to_owned(),
                    source: "the cable was pulled".into(),
                })
            }
            Gate::Breaks { .. } | Gate::Waits { .. } => Ok(()),
        }
    }
}

/// Waits until `path` exists.
pub async fn wait_for(path: &std::path::Path) {
    let clock = SystemClock::new();
    for _ in 0..60_000 {
        if path.exists() {
            return;
        }
        clock.sleep(Duration::from_millis(2)).await;
    }
    panic!("{} never came", path.display());
}

#[async_trait]
impl ObjectStorage for Gated {
    fn uri(&self) -> &StorageUri {
        self.inner.uri()
    }

    fn capabilities(&self) -> StorageCapabilities {
        self.inner.capabilities()
    }

    async fn put(
        &self,
        key: &ObjectKey,
        bytes: Bytes,
        mode: PutMode,
    ) -> Result<ObjectVersion, ObjectStorageError> {
        self.pass(key).await?;
        self.inner.put(key, bytes, mode).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<(ObjectMeta, Bytes), ObjectStorageError> {
        self.answers()?;
        self.inner.get(key).await
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, ObjectStorageError> {
        self.answers()?;
        self.inner.get_range(key, range).await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, ObjectStorageError> {
        self.answers()?;
        self.inner.head(key).await
    }

    async fn list(&self, options: &ListOptions) -> Result<ObjectPage, ObjectStorageError> {
        self.answers()?;
        self.inner.list(options).await
    }

    async fn folders(&self, prefix: Option<&ObjectKey>) -> Result<Vec<String>, ObjectStorageError> {
        self.inner.folders(prefix).await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), ObjectStorageError> {
        self.answers()?;
        self.inner.delete(key).await
    }

    async fn usage(&self) -> Result<StorageUsage, ObjectStorageError> {
        self.inner.usage().await
    }

    async fn probe(&self) -> Result<StorageProbe, ObjectStorageError> {
        self.inner.probe().await
    }

    async fn immutability(&self, key: &ObjectKey) -> Result<Immutability, ObjectStorageError> {
        self.inner.immutability(key).await
    }
}
