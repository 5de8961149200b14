//! One item of the keychain: a key under its own name.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyring::{Entry, Error};
use regrant_core::StoreFault;
use regrant_storage::{Key, StoreError};
use zeroize::Zeroizing;

use crate::platform;
use crate::refusal::Refusal;

/// 32 bytes in base64. Text, since the wallet of KDE takes nothing else.
const TEXT: usize = 44;

/// What an item is called: the id of its key in hexadecimal digits. So no two keys share a name,
/// and what lies under a name is known for the right key or another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ItemName(String);

impl ItemName {
    pub(crate) fn of(key: &Key) -> Self {
        Self(format!("{:032x}", u128::from_be_bytes(*key.id())))
    }

    /// The name in the parameters that a store kept.
    pub(crate) fn parse(parameters: &[u8]) -> Result<Self, StoreError> {
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        match std::str::from_utf8(parameters) {
            Ok(name) if name.len() == 32 && parameters.iter().all(is_digit) => {
                Ok(Self(name.to_owned()))
            }
            // The seal of the store binds them, so they are as they were written.
            _ => Err(StoreError::new(
                StoreFault::UnknownFormat,
                "a newer version made the key of the store: update regrant",
            )),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether somebody may be asked to unlock the keychain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prompt {
    Allowed,
    Never,
}

/// An item, reached anew for each use: a connection that broke is not used again.
pub(crate) struct Item {
    name: ItemName,
    entry: Entry,
    /// Keeps the keychain from asking until the item is dropped.
    _silence: platform::Silence,
}

impl Item {
    pub(crate) fn reach(name: ItemName, prompt: Prompt) -> Result<Self, Refusal> {
        let (entry, silence) = platform::reach(name.as_str(), prompt)?;
        Ok(Self { name, entry, _silence: silence })
    }

    pub(crate) fn name(&self) -> &ItemName {
        &self.name
    }

    pub(crate) fn read(&self) -> Result<Option<Key>, Refusal> {
        match self.entry.get_secret() {
            Ok(text) => self.decoded(&Zeroizing::new(text)).map(Some),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Stores the key, and reads it back: some keychains answer that they have stored what is
    /// gone at once.
    pub(crate) fn write(&self, key: &Key) -> Result<(), Refusal> {
        let mut text = Zeroizing::new([0; TEXT]);
        STANDARD
            .encode_slice(key.expose(), text.as_mut_slice())
            .expect("32 bytes are 44 characters");
        self.entry.set_secret(text.as_slice())?;
        self.read()?.map(drop).ok_or(Refusal::Dropped)
    }

    /// Removes the item; one that is not there is removed already.
    pub(crate) fn remove(&self) -> Result<(), Refusal> {
        match self.entry.delete_credential() {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn decoded(&self, text: &[u8]) -> Result<Key, Refusal> {
        // What decoding 44 characters may write, padding or not.
        let mut bytes = Zeroizing::new([0; 33]);
        let key = match STANDARD.decode_slice(text, bytes.as_mut_slice()) {
            Ok(32) => Key::new(bytes.first_chunk().expect("33 bytes begin with 32")),
            // The error quotes a byte.
            Ok(_) | Err(_) => return Err(Refusal::NotTheKey),
        };
        if ItemName::of(&key) == self.name { Ok(key) } else { Err(Refusal::NotTheKey) }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::any::Any;
    use std::error::Error as _;
    use std::sync::{Arc, Mutex};

    use keyring_core::api::{Credential, CredentialApi};

    use super::*;

    #[test]
    fn a_name_leads_to_the_parameters_and_back() {
        let name = ItemName::of(&Key::random().unwrap());
        assert_eq!(ItemName::parse(name.as_str().as_bytes()).unwrap(), name);
        // Zeros in front are part of it.
        assert!(ItemName::parse(&[b'0'; 32]).is_ok());
        let upper = "A".repeat(32);
        let long = "0".repeat(33);
        for other in [b"".as_slice(), b"keychain", &[0xff; 32], upper.as_bytes(), long.as_bytes()] {
            let error = ItemName::parse(other).unwrap_err();
            assert_eq!(error.kind(), StoreFault::UnknownFormat, "{other:?}");
        }
    }

    #[test]
    fn what_is_written_is_text_and_is_read_back() {
        let key = Key::random().unwrap();
        let keychain = Arc::new(OneItem::default());
        let item = item(&key, keychain.clone());
        assert!(item.read().unwrap().is_none());
        item.write(&key).unwrap();
        assert_eq!(item.read().unwrap().unwrap().expose(), key.expose());
        let OneItem::Keeps(kept) = &*keychain else { unreachable!() };
        assert!(kept.lock().unwrap().as_ref().unwrap().is_ascii());
    }

    #[test]
    fn sk_06_c_a_keychain_that_keeps_nothing_has_not_stored_the_key() {
        let key = Key::random().unwrap();
        let refusal = item(&key, Arc::new(OneItem::Forgets)).write(&key).unwrap_err();
        assert!(matches!(refusal, Refusal::Dropped));
    }

    #[test]
    fn no_error_quotes_what_the_keychain_holds() {
        const CANARY: &str = "canary in a keychain";
        let quotes: [fn() -> Error; 7] = [
            || Error::BadEncoding(CANARY.into()),
            || Error::BadDataFormat(CANARY.into(), CANARY.into()),
            || Error::PlatformFailure(CANARY.into()),
            || Error::NoStorageAccess(CANARY.into()),
            || Error::BadStoreFormat(CANARY.into()),
            || Error::Invalid(CANARY.into(), CANARY.into()),
            || Error::NotSupportedByStore(CANARY.into()),
        ];
        let key = Key::random().unwrap();
        for quote in quotes {
            let item = item(&key, Arc::new(OneItem::Fails(quote)));
            for refusal in [
                item.read().unwrap_err(),
                item.write(&key).unwrap_err(),
                item.remove().unwrap_err(),
            ] {
                let error = StoreError::from(refusal);
                let mut said = format!("{error} {error:?}");
                let mut source = error.source();
                while let Some(error) = source {
                    said.push_str(&format!("{error} {error:?}"));
                    source = error.source();
                }
                let bytes = format!("{:?}", CANARY.as_bytes());
                assert!(!said.contains(CANARY) && !said.contains(&bytes), "{said}");
            }
        }
    }

    pub(crate) fn item(key: &Key, keychain: Arc<Credential>) -> Item {
        let entry = Entry { inner: keyring_core::Entry::new_with_credential(keychain) };
        Item { name: ItemName::of(key), entry, _silence: platform::Silence::default() }
    }

    /// A keychain of one item.
    pub(crate) enum OneItem {
        Keeps(Mutex<Option<Vec<u8>>>),
        /// Says that it has stored what it has not.
        Forgets,
        Fails(fn() -> Error),
    }

    impl Default for OneItem {
        fn default() -> Self {
            Self::Keeps(Mutex::default())
        }
    }

    impl CredentialApi for OneItem {
        fn set_secret(&self, secret: &[u8]) -> keyring::Result<()> {
            match self {
                Self::Keeps(kept) => *kept.lock().unwrap() = Some(secret.to_vec()),
                Self::Forgets => {}
                Self::Fails(error) => return Err(error()),
            }
            Ok(())
        }

        fn get_secret(&self) -> keyring::Result<Vec<u8>> {
            match self {
                Self::Keeps(kept) => kept.lock().unwrap().clone().ok_or(Error::NoEntry),
                Self::Forgets => Err(Error::NoEntry),
                Self::Fails(error) => Err(error()),
            }
        }

        fn delete_credential(&self) -> keyring::Result<()> {
            match self {
                Self::Keeps(kept) => kept.lock().unwrap().take().map(drop).ok_or(Error::NoEntry),
                Self::Forgets => Err(Error::NoEntry),
                Self::Fails(error) => Err(error()),
            }
        }

        fn get_credential(&self) -> keyring::Result<Option<Arc<Credential>>> {
            Ok(None)
        }

        fn get_specifiers(&self) -> Option<(String, String)> {
            None
        }

        fn as_any(&self) -> &dyn Any {
            self
        }

        fn debug_fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("OneItem")
        }
    }
}
