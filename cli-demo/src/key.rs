//! Where the key comes from that seals a store: what `--key` names, and the ring for it.

mod asked;
mod descriptors;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use regrant_storage::{KeyFile, KeyRing, KeySource, Passphrase};
use regrant_storage_keyring::{Auto, Keychain};
use sha2::{Digest as _, Sha256};

use crate::error::Failure;
use crate::folders;
use crate::store::homeless;

use self::asked::Unasked;
pub(crate) use self::asked::{Asked, Patience};
pub(crate) use self::descriptors::Descriptors;

/// What a source of keys is named by, for those who wrote something else.
const FORMS: &str = "use --key keychain, file:PATH, passphrase-fd:N or prompt, or leave --key away";

/// The source of a key, as an option names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// What the store names; for a new store the keychain if it can be used, else a file.
    Auto,
    Keychain,
    File(PathBuf),
    /// A passphrase in a line on this descriptor.
    Descriptor(u32),
    /// A passphrase that is asked for on the terminal.
    Prompt,
}

impl Choice {
    pub(crate) fn parse(source: &str) -> Result<Self, Failure> {
        match source.split_once(':').unwrap_or((source, "")) {
            ("auto", "") => Ok(Self::Auto),
            ("keychain", "") => Ok(Self::Keychain),
            ("prompt", "") => Ok(Self::Prompt),
            ("file", "") => {
                Err(Failure::usage("the key file has no path").remedy("write --key file:PATH"))
            }
            ("file", path) => Ok(Self::File(PathBuf::from(path))),
            ("passphrase-fd", number) => match number.parse() {
                Ok(number) => Ok(Self::Descriptor(number)),
                Err(_) => Err(Failure::usage("passphrase-fd names no descriptor")
                    .remedy("write --key passphrase-fd:3, with 3< in front of a file")),
            },
            // Not quoted: somebody may take it for the place of the passphrase itself.
            _ => {
                Err(Failure::usage("--key names no source of keys that regrant knows")
                    .remedy(FORMS))
            }
        }
    }

    /// As `--key` takes what a store names.
    pub(crate) fn option_for(recorded: &KeySource) -> String {
        if *recorded == Passphrase::source() {
            return "--key passphrase-fd:N, or --key prompt on a terminal".to_owned();
        }
        format!("--key {recorded}")
    }
}

/// A ring, and what has to be known of it beside.
#[derive(Clone, Debug)]
pub(crate) struct Ring {
    pub(crate) keys: Arc<dyn KeyRing>,
    /// The same, if it asks for a passphrase.
    pub(crate) asked: Option<Arc<Asked>>,
}

impl Ring {
    fn of(keys: impl KeyRing + 'static) -> Self {
        Self { keys: Arc::new(keys), asked: None }
    }

    fn asking(asked: Arc<Asked>) -> Self {
        Self { keys: Arc::clone(&asked) as Arc<dyn KeyRing>, asked: Some(asked) }
    }
}

/// The keys of one run: a passphrase is read or asked for once, however often a store is opened.
#[derive(Debug)]
pub(crate) struct Keys {
    descriptors: Descriptors,
    passphrase: OnceLock<Passphrase>,
    asked: Arc<Asked>,
}

impl Keys {
    pub(crate) fn new(descriptors: Descriptors) -> Self {
        Self { descriptors, passphrase: OnceLock::new(), asked: Arc::new(Asked::for_store()) }
    }

    /// The ring of this choice, for a store at this path that names this source, if any.
    pub(crate) fn ring(
        &self,
        choice: &Choice,
        recorded: Option<&KeySource>,
        store: &Path,
        patience: Patience,
    ) -> Result<Ring, Failure> {
        match choice {
            Choice::Keychain => Ok(Ring::of(keychain(patience))),
            Choice::File(path) => Ok(Ring::of(KeyFile::new(path))),
            Choice::Descriptor(number) => Ok(Ring::of(self.handed(*number)?)),
            Choice::Prompt => {
                asked::must_have_terminal()?;
                Ok(Ring::asking(Arc::clone(&self.asked)))
            }
            Choice::Auto if recorded == Some(&Passphrase::source()) => {
                if patience == Patience::Asks && asked::has_terminal() {
                    return Ok(Ring::asking(Arc::clone(&self.asked)));
                }
                Ok(Ring::of(Unasked))
            }
            Choice::Auto => {
                let file = match recorded.and_then(KeySource::file_path) {
                    Some(path) => KeyFile::new(path),
                    None => KeyFile::new(own_file(store)?),
                };
                Ok(Ring::of(Auto::new(keychain(patience), file)))
            }
        }
    }

    /// The ring of a source that a store is to be moved to.
    pub(crate) fn new_ring(
        &self,
        choice: &Choice,
        store: &Path,
    ) -> Result<Arc<dyn KeyRing>, Failure> {
        match choice {
            Choice::Descriptor(number) => Ok(Arc::new(self.next_handed(*number)?)),
            Choice::Prompt => self.asked_anew(),
            Choice::Auto | Choice::Keychain | Choice::File(_) => {
                Ok(self.ring(choice, None, store, Patience::Asks)?.keys)
            }
        }
    }

    /// A passphrase that is asked for, twice, whatever was asked for before.
    pub(crate) fn asked_anew(&self) -> Result<Arc<dyn KeyRing>, Failure> {
        asked::must_have_terminal()?;
        Ok(Arc::new(Asked::for_change()))
    }

    /// The next passphrase on this descriptor.
    pub(crate) fn next_handed(&self, number: u32) -> Result<Passphrase, Failure> {
        Ok(Passphrase::new(self.descriptors.line(number)?))
    }

    /// The first passphrase on this descriptor.
    fn handed(&self, number: u32) -> Result<Passphrase, Failure> {
        if let Some(known) = self.passphrase.get() {
            return Ok(known.clone());
        }
        let read = self.next_handed(number)?;
        Ok(self.passphrase.get_or_init(|| read).clone())
    }
}

/// The keychain of the user. One that nobody watches has 3 s, in which it answers a hundred times
/// if it asks nobody.
fn keychain(patience: Patience) -> Keychain {
    match patience {
        Patience::Asks => Keychain::new(),
        Patience::Never => Keychain::new().with_deadline(std::time::Duration::from_secs(3)),
    }
}

/// The key file of a new store: under another root than the data, and one for each store, so that
/// a key that is lost or given away concerns that store alone.
fn own_file(store: &Path) -> Result<PathBuf, Failure> {
    Ok(own_file_in(&folders::configuration().ok_or_else(homeless)?, store))
}

fn own_file_in(folder: &Path, store: &Path) -> PathBuf {
    let hash = Sha256::digest(store.as_os_str().as_encoded_bytes());
    // 64 bits: nobody has so many stores that two names meet.
    let name: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    folder.join("keys").join(format!("{name}.key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_by_its_source() {
        for (source, choice) in [
            ("auto", Choice::Auto),
            ("keychain", Choice::Keychain),
            ("file:/a:b", Choice::File("/a:b".into())),
            ("passphrase-fd:3", Choice::Descriptor(3)),
            ("prompt", Choice::Prompt),
        ] {
            assert_eq!(Choice::parse(source).unwrap(), choice);
        }
    }

    #[test]
    fn what_is_no_source_is_not_quoted() {
        let wrong = ["", "canary", "file:", "passphrase:canary", "passphrase-fd:canary", "auto:x"];
        for source in wrong.iter().chain(&["passphrase-fd", "passphrase-fd:-1", "keychain:x"]) {
            let text = Choice::parse(source).unwrap_err().to_prose();
            assert!(!text.contains("canary"), "{text}");
        }
    }

    #[test]
    fn two_stores_have_two_key_files() {
        let folder = Path::new("/config");
        let one = own_file_in(folder, Path::new("/a.db"));
        let two = own_file_in(folder, Path::new("/b.db"));
        assert!(one != two && one.starts_with("/config/keys"), "{one:?}");
    }
}
