//! The login keychain of macOS.

use std::error::Error;

use apple_native_keyring_store::keychain::Store;
use keyring::Entry;
use keyring_core::api::CredentialStoreApi as _;
use security_framework::os::macos::keychain::{KeychainUserInteractionLock, SecKeychain};

use super::SERVICE;
use crate::item::Prompt;
use crate::refusal::{Cause, Refusal};

/// While it lives, no keychain call of this process asks anybody.
pub(crate) type Silence = Option<KeychainUserInteractionLock>;

/// The item of this name. Whether it prompts is up to the system, when the item is used.
pub(crate) fn reach(name: &str, prompt: Prompt) -> Result<(Entry, Silence), Refusal> {
    let silence = match prompt {
        Prompt::Allowed => None,
        Prompt::Never => Some(SecKeychain::disable_user_interaction().map_err(|e| refused(&e))?),
    };
    let inner = Store::new()?.build(SERVICE, name, None)?;
    Ok((Entry { inner }, silence))
}

/// Why, if it was the keychain that failed an entry.
pub(crate) fn refusal(error: &(dyn Error + 'static)) -> Refusal {
    match error.downcast_ref() {
        Some(error) => refused(error),
        None => Refusal::Failed(Cause::new("no error of the keychain")),
    }
}

fn refused(error: &security_framework::base::Error) -> Refusal {
    let code = error.code();
    let cause = || Cause::new(format!("OSStatus {code}"));
    match code {
        // errSecInteractionNotAllowed: locked, and this session or this call may not ask.
        -25308 => Refusal::Locked,
        // errSecUserCanceled
        -128 => Refusal::Dismissed,
        // errSecAuthFailed, errSecNoAccessForItem
        -25293 | -25243 => Refusal::Denied(cause()),
        // errSecNoDefaultKeychain, errSecNoSuchKeychain
        -25307 | -25294 => Refusal::NoCollection,
        _ => Refusal::Failed(cause()),
    }
}
