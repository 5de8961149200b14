//! The key of a regrant store in the keychain of the operating system.
