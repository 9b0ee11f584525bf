//! Sugar over the store's required methods.

use std::future::Future;

use super::{Scope, Store, StoreError};
use crate::model::{Stored, Versioned};

mod sealed {
    pub trait Sealed {}
    impl<S: super::Store + ?Sized> Sealed for S {}
}

/// Sugar over [`Store`]; implemented for every store.
pub trait StoreExt: Store + sealed::Sealed {
    /// One entity by its typed id, or `None`.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    fn find<T: Stored>(
        &self,
        scope: &Scope,
        id: T::Key,
    ) -> impl Future<Output = Result<Option<Versioned<T>>, StoreError>> + Send {
        let key = T::key_of(id);
        async move {
            let found = self.get(scope, &key).await?;
            Ok(found.and_then(|(version, entity)| {
                T::from_entity(entity).map(|value| Versioned { version, value })
            }))
        }
    }
}

impl<S: Store + ?Sized> StoreExt for S {}
