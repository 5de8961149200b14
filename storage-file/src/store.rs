//! The store, which does its work where it may wait for a disk.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use blocking::Task;
use regrant_storage::{Blob, BlobStore, Capabilities, Entry, Expected, Name, Saved, StoreError};

use crate::folder::Folder;

/// Sealed credentials in a folder, each in a file of its own. The first save makes the folder.
#[derive(Debug)]
pub struct FileStore {
    folder: Arc<Folder>,
}

impl FileStore {
    /// The store in this folder. Finds out where the path leads, through symlinks, and touches
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`StoreFault::Unavailable`](regrant_core::StoreFault::Unavailable), if the path cannot be
    /// followed.
    pub async fn open(folder: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = folder.as_ref().to_owned();
        let folder = run(move || Folder::resolve(&path)).await?;
        Ok(Self { folder: Arc::new(folder) })
    }

    /// The folder's real path. It may not be there yet.
    pub fn folder(&self) -> &Path {
        &self.folder.path
    }

    /// Where the lock files of a [`FileLease`](regrant_storage::FileLease) belong: the same
    /// folder, for every process that opens it.
    pub fn lock_folder(&self) -> PathBuf {
        self.folder.path.clone()
    }

    /// Does this with the folder, on another thread.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Folder) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let folder = Arc::clone(&self.folder);
        run(move || work(&folder)).await
    }
}

#[async_trait]
impl BlobStore for FileStore {
    async fn load(&self, name: &Name) -> Result<Option<Blob>, StoreError> {
        let name = name.clone();
        self.run(move |folder| folder.load(&name)).await
    }

    async fn save(&self, blob: &Blob, expected: Expected) -> Result<Saved, StoreError> {
        let blob = blob.clone();
        self.run(move |folder| folder.save(&blob, expected)).await
    }

    async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        self.run(Folder::list).await
    }

    async fn replace(&self, blob: &Blob) -> Result<Saved, StoreError> {
        let blob = blob.clone();
        self.run(move |folder| folder.replace(&blob)).await
    }

    async fn set_aside(&self, blob: &Blob) -> Result<(), StoreError> {
        let blob = blob.clone();
        self.run(move |folder| folder.set_aside(&blob)).await
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            identity: self.folder.identity(),
            volatile: false,
            shared: false,
            size_limit: None,
        }
    }
}

/// Runs this where it may wait, to its end, also if the future that waits for it is dropped.
async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    Owned(Some(blocking::unblock(work))).await
}

/// A task that is cancelled by nobody: half of a queue of saves would be lost with its callers.
struct Owned<T>(Option<Task<T>>);

impl<T> Future for Owned<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let task = self.0.as_mut().expect("a task is there until it is dropped");
        Pin::new(task).poll(context)
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.detach();
        }
    }
}
