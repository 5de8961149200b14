//! One of a kind: what is open in this process, by its key.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, Weak};

use crate::sync::Mutex;

/// What is open, for as long as somebody holds it.
#[derive(Debug)]
pub(crate) struct Registry<K, T>(Mutex<BTreeMap<K, Weak<T>>>);

/// What can come to its end while somebody still holds it.
pub(crate) trait Ends: fmt::Debug {
    /// Whether it can still be given to somebody.
    fn is_open(&self) -> bool;
}

impl<K, T> Default for Registry<K, T> {
    fn default() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }
}

impl<K: Ord, T: Ends> Registry<K, T> {
    /// The one that is open under this key, or else the one that `start` makes. Nobody is let in
    /// between the look and the start, so two who ask at once get the same one.
    pub(crate) fn open<E>(
        &self,
        key: K,
        start: impl FnOnce() -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        // Whoever panicked in `start` has put nothing in.
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, one| one.strong_count() > 0);
        if let Some(one) = open.get(&key).and_then(Weak::upgrade).filter(|one| one.is_open()) {
            return Ok(one);
        }
        let one = Arc::new(start()?);
        open.insert(key, Arc::downgrade(&one));
        Ok(one)
    }
}
