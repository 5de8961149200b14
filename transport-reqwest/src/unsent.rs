//! Why a request never left, as far as its error can be read.

use std::error::Error;
use std::io;

use regrant::Cause;

/// What kept the request here. HTTP clients have no types for it, so this goes by the kind of the
/// system's error and by words; what nobody knows is unreachable, which is treated alike.
pub(crate) fn cause_of(error: &reqwest::Error) -> Cause {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        // The words of the connector below reqwest, before the resolver's own.
        let text = error.to_string().to_ascii_lowercase();
        if text.starts_with("dns error") {
            return Cause::NameUnresolved;
        }
        // rustls says through the system's errors that what came is no TLS that it takes.
        let refused = error.downcast_ref::<io::Error>().map(io::Error::kind);
        let words = ["certificate", "tls", "ssl"];
        if refused == Some(io::ErrorKind::InvalidData) || words.iter().any(|w| text.contains(w)) {
            return Cause::TlsFailed;
        }
        // A system's error that wraps another hides it from `source`.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    Cause::Unreachable
}
