//! Sealed regrant credentials in files, one for each credential.
