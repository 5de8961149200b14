//! How an item is reached in the keychain of each system.

#[cfg(target_os = "macos")]
#[path = "platform/macos.rs"]
mod system;
#[cfg(target_os = "windows")]
#[path = "platform/windows.rs"]
mod system;
#[cfg(all(unix, not(target_os = "macos")))]
#[path = "platform/secret_service.rs"]
mod system;
#[cfg(not(any(unix, windows)))]
compile_error!("regrant-storage-keyring knows the keychains of Linux, macOS and Windows");

pub(crate) use system::{Silence, reach, refusal};

/// Under which service the items stand.
const SERVICE: &str = "regrant";
