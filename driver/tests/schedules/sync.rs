//! What `src/sync.rs` names, over parts that loom explores.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

pub(crate) use loom::sync::Mutex;
use loom::sync::atomic::AtomicUsize;
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What arc-swap promises and no more: a load acquires, a store releases. Every version is kept, so
/// that a thread may be given any that the memory model lets it see.
pub(crate) struct ArcSwap<T> {
    /// No thread is ever stopped while it has this lock, so loom has nothing to learn of it.
    versions: std::sync::Mutex<Vec<Arc<T>>>,
    current: AtomicUsize,
}

impl<T> From<Arc<T>> for ArcSwap<T> {
    fn from(first: Arc<T>) -> Self {
        Self { versions: std::sync::Mutex::new(vec![first]), current: AtomicUsize::new(0) }
    }
}

impl<T> ArcSwap<T> {
    pub(crate) fn load(&self) -> Guard<Arc<T>> {
        let current = self.current.load(Ordering::Acquire);
        Guard(Arc::clone(&self.versions.lock().unwrap()[current]))
    }

    pub(crate) fn store(&self, next: Arc<T>) {
        let number = {
            let mut versions = self.versions.lock().unwrap();
            versions.push(next);
            versions.len() - 1
        };
        self.current.store(number, Ordering::Release);
    }
}

impl<T> fmt::Debug for ArcSwap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArcSwap").finish_non_exhaustive()
    }
}

pub(crate) struct Guard<T>(T);

impl<T> Guard<T> {
    pub(crate) fn from_inner(inner: T) -> Self {
        Self(inner)
    }
}

impl<T> Deref for Guard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
