//! A passphrase that a person types.

use std::io::{self, IsTerminal as _, stderr};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use regrant::{Secret, StoreError, StoreFault};
use regrant_storage::{Key, KeyRing, KeySource, NewKey, Passphrase, Protection};

use crate::error::Failure;
use crate::signal;

/// Whether somebody may be asked for what a store needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    Asks,
    /// The command is one that never asks.
    Never,
}

/// A [`KeyRing`] of a passphrase that is asked for when it is needed, once.
#[derive(Debug)]
pub(crate) struct Asked {
    answer: Mutex<Answer>,
    prompt: &'static str,
}

#[derive(Clone, Debug, Default)]
enum Answer {
    #[default]
    NotAsked,
    Given(Passphrase),
    /// Why there is none. Nobody is asked again: whoever declined once has decided.
    Declined(&'static str),
}

impl Asked {
    /// For the passphrase that a store has, or gets as its first.
    pub(super) fn for_store() -> Self {
        Self { answer: Mutex::default(), prompt: "Passphrase of the credential store: " }
    }

    /// For one that replaces another.
    pub(super) fn for_change() -> Self {
        Self { answer: Mutex::default(), prompt: "New passphrase of the credential store: " }
    }

    /// Asks for the passphrase of a new store, twice, before anything waits for it.
    pub(crate) async fn for_new_store(&self) -> Result<(), StoreError> {
        self.passphrase(true).await.map(drop)
    }

    async fn passphrase(&self, is_new: bool) -> Result<Passphrase, StoreError> {
        match self.answer.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            Answer::Given(passphrase) => return Ok(passphrase),
            Answer::Declined(why) => return Err(locked(why)),
            Answer::NotAsked => {}
        }
        let text = self.prompt;
        let typed = signal::at_terminal(move || ask(text, is_new)).await;
        let mut answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        // What is wrong with a terminal helps nobody; another try may.
        match typed.unwrap_or(Err("no passphrase was given")) {
            Ok(text) => {
                let passphrase = Passphrase::new(text);
                *answer = Answer::Given(passphrase.clone());
                Ok(passphrase)
            }
            Err(why) => {
                *answer = Answer::Declined(why);
                Err(locked(why))
            }
        }
    }
}

#[async_trait]
impl KeyRing for Asked {
    fn opens(&self, source: &KeySource) -> bool {
        *source == Passphrase::source()
    }

    async fn load(&self, source: &KeySource, parameters: &[u8]) -> Result<Option<Key>, StoreError> {
        self.passphrase(false).await?.load(source, parameters).await
    }

    async fn create(&self) -> Result<NewKey, StoreError> {
        self.passphrase(true).await?.create().await
    }

    fn protection(&self, _source: &KeySource) -> Protection {
        Protection::Passphrase
    }
}

/// In the place of a passphrase that nobody can be asked for.
#[derive(Debug)]
pub(super) struct Unasked;

#[async_trait]
impl KeyRing for Unasked {
    fn opens(&self, source: &KeySource) -> bool {
        *source == Passphrase::source()
    }

    async fn load(&self, _: &KeySource, _: &[u8]) -> Result<Option<Key>, StoreError> {
        Err(locked("the store is sealed with a passphrase, and none was given"))
    }

    async fn create(&self) -> Result<NewKey, StoreError> {
        Err(locked("no passphrase was given"))
    }

    fn protection(&self, _source: &KeySource) -> Protection {
        Protection::Passphrase
    }
}

/// Whether a person sees what is asked, and can answer. Standard input and output may be a
/// program's meanwhile.
pub(super) fn has_terminal() -> bool {
    stderr().is_terminal()
}

pub(super) fn must_have_terminal() -> Result<(), Failure> {
    if has_terminal() {
        return Ok(());
    }
    Err(Failure::usage("there is no terminal to ask for a passphrase on")
        .remedy("hand it over on a descriptor: --key passphrase-fd:N"))
}

fn ask(text: &str, is_new: bool) -> io::Result<Result<Secret, &'static str>> {
    let typed = prompt(text)?;
    if typed.expose().is_empty() {
        return Ok(Err("the passphrase is empty"));
    }
    if is_new && !prompt("The same once more: ")?.is(&typed) {
        return Ok(Err("the two passphrases differ"));
    }
    Ok(Ok(typed))
}

fn prompt(text: &str) -> io::Result<Secret> {
    rpassword::prompt_password(text).map(Secret::new)
}

fn locked(why: &'static str) -> StoreError {
    StoreError::new(StoreFault::Locked, why)
}
