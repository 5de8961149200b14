//! Keys in the keychain of the operating system.

use std::time::Duration;

use async_trait::async_trait;
use regrant_storage::{Key, KeyRing, KeySource, NewKey, Protection, StoreError};

use crate::item::{Item, ItemName, Prompt};
use crate::lane::{Caller, Lane};
use crate::refusal::Refusal;

/// How long the keychain may take where nothing else is said. Long enough for somebody to type a
/// password, short enough for a program that nobody watches.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long a keychain may take that is not to ask anybody. Without a prompt it takes some
/// milliseconds; what takes longer than this would do so at every start of the program.
const UNASKED: Duration = Duration::from_secs(3);

/// A [`KeyRing`] of keys in the keychain of the operating system, source `keychain`.
///
/// Each store has an item of its own: service `regrant`, and as account the id of its key, which
/// the store keeps. So a store that is moved keeps its key, and no two stores share one. The item
/// is written once, when the store is made, and read once by each process that opens the store.
///
/// # Deadline and prompts
///
/// A locked keychain may ask the user to unlock it. Whatever it does, a call is answered within
/// the deadline: a prompt that nobody answered by then is an error of kind `Locked`, with its
/// remedy. Calls run in a thread of their own, one at a time, which nobody waits for when the
/// process ends. They need no runtime, and work within any. Clones share the thread.
///
/// The prompt stays open. Calls that come after it wait for its answer, each to its own deadline,
/// and open no second one.
#[derive(Clone, Debug)]
pub struct Keychain {
    deadline: Duration,
    lane: Lane,
}

impl Keychain {
    /// The keychain of the user this process runs as. Not asked before it is used.
    pub fn new() -> Self {
        Self { deadline: DEADLINE, lane: Lane::default() }
    }

    /// With another deadline than 10 s for each call. A program that talks to its user may want
    /// to leave more time for a password.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The name under which a store records a key of the keychain.
    pub fn source() -> KeySource {
        KeySource::new("keychain")
    }

    /// Whether the keychain can be used now without asking anybody: stores a key, reads it back
    /// and removes it, within 3 s.
    ///
    /// On macOS no other keychain call of this process can ask meanwhile either.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of kind `Locked` or `Unavailable`, saying why it cannot be used.
    pub async fn probe(&self) -> Result<(), StoreError> {
        self.ask(self.unasked(), |_| {
            let (item, _) = made(Prompt::Never)?;
            item.remove()
        })
        .await
    }

    /// Removes the key that a store kept these parameters of: when the store itself was removed,
    /// or never came to name the key. What the key sealed is lost. A key that is not there is
    /// removed already.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of kind `Locked` or `Unavailable`, if the keychain cannot be asked;
    /// `UnknownFormat`, if the parameters are a newer version's.
    pub async fn remove(&self, parameters: &[u8]) -> Result<(), StoreError> {
        let name = ItemName::parse(parameters)?;
        self.ask(self.deadline, move |_| Item::reach(name, Prompt::Allowed)?.remove()).await
    }

    /// A key for a new store, if it can be had without asking anybody.
    pub(crate) async fn create_unasked(&self) -> Result<NewKey, StoreError> {
        self.ask(self.unasked(), |caller| create(Prompt::Never, caller)).await
    }

    fn unasked(&self) -> Duration {
        self.deadline.min(UNASKED)
    }

    async fn ask<T: Send + 'static>(
        &self,
        deadline: Duration,
        call: impl FnOnce(&Caller) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, StoreError> {
        let answer = self.lane.ask(deadline, call).await.map_err(Refusal::from);
        Ok(answer.flatten()?)
    }
}

impl Default for Keychain {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl KeyRing for Keychain {
    fn opens(&self, source: &KeySource) -> bool {
        *source == Self::source()
    }

    async fn load(
        &self,
        _source: &KeySource,
        parameters: &[u8],
    ) -> Result<Option<Key>, StoreError> {
        let name = ItemName::parse(parameters)?;
        self.ask(self.deadline, move |_| Item::reach(name, Prompt::Allowed)?.read()).await
    }

    /// A new item each time: of those who create at once nobody overwrites another's, whatever
    /// the keychain does, and the one whose key the store comes to name finds it.
    async fn create(&self) -> Result<NewKey, StoreError> {
        self.ask(self.deadline, |caller| create(Prompt::Allowed, caller)).await
    }

    /// The item is this key's own, so nobody else can name it.
    async fn discard(&self, unused: &NewKey) {
        if self.opens(&unused.source)
            && let Err(error) = self.remove(&unused.parameters).await
        {
            tracing::debug!(kind = %error.kind(), "a key that no store names stays in the keychain");
        }
    }

    fn protection(&self, _source: &KeySource) -> Protection {
        Protection::OsKeychain
    }
}

fn create(prompt: Prompt, caller: &Caller) -> Result<NewKey, Refusal> {
    let (item, key) = made(prompt)?;
    remove_if_late(&item, caller);
    Ok(NewKey { key, source: Keychain::source(), parameters: item.name().as_str().into() })
}

/// A new key in an item of its own.
fn made(prompt: Prompt) -> Result<(Item, Key), Refusal> {
    let key = Key::random().map_err(Refusal::NoKey)?;
    let item = Item::reach(ItemName::of(&key), prompt)?;
    match item.write(&key) {
        Ok(()) => Ok((item, key)),
        Err(refusal) => {
            // It may have been stored all the same.
            let _ = item.remove();
            Err(refusal)
        }
    }
}

/// Removes a new item that nobody waits for any more: no store will ever name it.
fn remove_if_late(item: &Item, caller: &Caller) {
    if caller.is_gone() {
        // If it cannot be removed, it is in nobody's way.
        let _ = item.remove();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::item::tests::{OneItem, item};

    #[test]
    fn a_new_key_that_nobody_waits_for_any_more_is_removed() {
        let key = Key::random().unwrap();
        let item = item(&key, Arc::new(OneItem::default()));
        item.write(&key).unwrap();
        remove_if_late(&item, &Caller::default());
        assert!(item.read().unwrap().is_some());
        remove_if_late(&item, &Caller::that_has_gone());
        assert!(item.read().unwrap().is_none());
    }
}
