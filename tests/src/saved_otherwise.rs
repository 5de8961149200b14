//! Stores whose saves are watched, held up, or cut off.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use regrant_storage::{Blob, BlobStore, Capabilities, Entry, Expected, Name, Saved, StoreError};

/// What becomes of a save.
#[async_trait]
pub trait Saves: Debug + Send + Sync {
    /// Saves `blob` in `inner`, or does what a test wants in its place.
    ///
    /// # Errors
    ///
    /// Those of the save in `inner`, or what a test wants.
    async fn save(
        &self,
        inner: &dyn BlobStore,
        blob: &Blob,
        expected: Expected,
    ) -> Result<Saved, StoreError>;
}

/// A store that does all that the inner one does, and saves as `saves` wants.
#[derive(Debug)]
pub struct SavedOtherwise<S> {
    inner: Arc<dyn BlobStore>,
    saves: S,
}

impl<S: Saves> SavedOtherwise<S> {
    /// The store in `inner`.
    pub fn new(inner: Arc<dyn BlobStore>, saves: S) -> Self {
        Self { inner, saves }
    }
}

#[async_trait]
impl<S: Saves> BlobStore for SavedOtherwise<S> {
    async fn load(&self, name: &Name) -> Result<Option<Blob>, StoreError> {
        self.inner.load(name).await
    }

    async fn save(&self, blob: &Blob, expected: Expected) -> Result<Saved, StoreError> {
        self.saves.save(&*self.inner, blob, expected).await
    }

    async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        self.inner.list().await
    }

    async fn replace(&self, blob: &Blob) -> Result<Saved, StoreError> {
        self.inner.replace(blob).await
    }

    async fn set_aside(&self, blob: &Blob) -> Result<(), StoreError> {
        self.inner.set_aside(blob).await
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}
