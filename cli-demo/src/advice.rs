//! What to do about a store that cannot be used, by what the store itself says.

use regrant::StoreFault;
use regrant_storage::{KeySource, Passphrase};
use regrant_storage_keyring::Keychain;

use crate::error::Failure;
use crate::key::Choice;
use crate::store::{Place, Store};

/// What is known of a store without its key.
#[derive(Debug)]
pub(crate) struct Advice {
    url: String,
    key: Option<(KeySource, &'static str)>,
    /// Where a new store would get its key from.
    new_key: Option<KeySource>,
}

impl Advice {
    pub(crate) fn of(store: &Store, place: &Place) -> Self {
        let source = store.recorded().source();
        let key = source.map(|source| (source.clone(), store.protection(source).as_str()));
        Self { url: store.url(), key, new_key: place.key_source() }
    }

    /// The same failure, with a remedy for this store where there is a better one than the
    /// code's, and with what can be said of the store.
    pub(crate) fn on(&self, failure: Failure) -> Failure {
        let mut failure = failure;
        if let Some(remedy) = self.remedy(failure.code) {
            failure = failure.remedy(remedy);
        }
        failure = failure.beside("store", &self.url);
        if let Some((source, protection)) = &self.key {
            failure = failure.beside("key_source", source.as_str());
            failure = failure.beside("protection", *protection);
        }
        failure
    }

    fn remedy(&self, code: &str) -> Option<String> {
        let is = |fault: StoreFault| code == fault.as_str();
        let recorded = self.key.as_ref().map(|(source, _)| source);
        if is(StoreFault::WrongKeySource) {
            let option = Choice::option_for(recorded?);
            return Some(format!("leave --key away, or name what the store names: {option}"));
        }
        let source = recorded.or(self.new_key.as_ref())?;
        if *source == Passphrase::source() {
            if is(StoreFault::Locked) {
                let option = Choice::option_for(source);
                return Some(format!("give the passphrase of the store: {option}"));
            }
            let remedy = "give the passphrase that the store was sealed with";
            return is(StoreFault::WrongKey).then(|| remedy.to_owned());
        }
        let remedy = if *source != Keychain::source() {
            let path = source.file_path().filter(|_| is(StoreFault::KeyMissing))?;
            return Some(format!(
                "restore {}, or move the store away and log in again",
                path.display()
            ));
        } else if is(StoreFault::Locked) {
            "unlock the keychain, then run the command again"
        } else if is(StoreFault::Unavailable) {
            "run the command in the session of a desktop with a keychain, or start the keychain; a \
             store that needs none is --store file:FOLDER"
        } else if is(StoreFault::KeyMissing) {
            "restore the keychain that had the key, or move the store away and log in again"
        } else {
            return None;
        };
        Some(remedy.to_owned())
    }
}
