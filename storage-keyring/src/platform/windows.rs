//! The Credential Manager of Windows, which never asks.

use std::collections::HashMap;
use std::error::Error;

use keyring::Entry;
use keyring_core::api::CredentialStoreApi as _;
use windows_native_keyring_store::Store;

use super::SERVICE;
use crate::item::Prompt;
use crate::refusal::{Cause, Refusal};

/// Nothing has to be kept silent.
pub(crate) type Silence = ();

/// The item of this name. It stays on this machine: the records that its key seals do not roam
/// with the user's profile either.
pub(crate) fn reach(name: &str, _prompt: Prompt) -> Result<(Entry, Silence), Refusal> {
    let local = HashMap::from([("persistence", "Local")]);
    let inner = Store::new()?.build(SERVICE, name, Some(&local))?;
    Ok((Entry { inner }, ()))
}

/// Why, if it was the Credential Manager that failed an entry. Its errors are a number and the
/// system's name for it.
pub(crate) fn refusal(error: &(dyn Error + 'static)) -> Refusal {
    Refusal::Failed(Cause::new(error.to_string()))
}
