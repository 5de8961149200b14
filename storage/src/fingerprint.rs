//! Names for secrets that tell nothing of them.

use std::fmt;
use std::sync::Arc;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use regrant_core::Secret;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::blob::Capabilities;
use crate::key::Key;

/// Makes names of tokens that may be printed, logged and given back: 16 hexadecimal digits of a
/// keyed hash (HMAC-SHA256, RFC 2104).
///
/// The key belongs to the store, so the same token has the same fingerprint in every process that
/// opens that store, and another one elsewhere: fingerprints cannot be compared across stores, nor
/// with a list of hashes of known tokens.
#[derive(Clone)]
pub struct Fingerprinter {
    key: Arc<Zeroizing<[u8; 32]>>,
}

impl Fingerprinter {
    /// For a store without a key of its own. Its name is the key, so whoever knows the name can
    /// check a guess at a token; a token that can be guessed has other worries.
    pub fn unsealed(capabilities: &Capabilities) -> Self {
        Self::derived(capabilities.identity.as_bytes(), b"regrant fingerprint 1 unsealed")
    }

    pub(crate) fn of_data_key(key: &Key) -> Self {
        Self::derived(key.expose(), b"regrant fingerprint 1")
    }

    fn derived(from: &[u8], label: &[u8]) -> Self {
        let mut key = Arc::new(Zeroizing::new([0; 32]));
        let bytes = Arc::get_mut(&mut key).expect("nobody else has it yet");
        Hkdf::<Sha256>::new(None, from)
            .expand(label, bytes.as_mut_slice())
            .expect("HKDF-SHA256 gives up to 8,160 bytes");
        Self { key }
    }

    /// The fingerprint of this secret.
    pub fn fingerprint(&self, secret: &Secret) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.as_slice())
            .expect("HMAC takes a key of any length");
        mac.update(secret.expose().as_bytes());
        let hash = mac.finalize().into_bytes();
        // 64 bits: two of one credential's tokens never meet, and nobody compares by eye more.
        hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for Fingerprinter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fingerprinter").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.into())
    }

    fn of(byte: u8) -> Fingerprinter {
        Fingerprinter::of_data_key(&Key::new(&[byte; 32]))
    }

    /// Fingerprints outlive a process: a script keeps one and gives it back.
    #[test]
    fn a_fingerprint_is_what_it_always_was() {
        assert_eq!(of(1).fingerprint(&secret("token")), "a61d04300ff01755");
    }

    #[test]
    fn each_token_and_each_store_has_its_own() {
        let one = of(1).fingerprint(&secret("one"));
        assert_ne!(one, of(1).fingerprint(&secret("two")));
        assert_ne!(one, of(2).fingerprint(&secret("one")));
        assert_eq!(one.len(), 16);
    }

    #[test]
    fn an_unsealed_store_has_its_own_by_its_name() {
        let named = |identity: &str| Capabilities {
            identity: identity.into(),
            volatile: true,
            shared: false,
            size_limit: None,
        };
        let [one, again, other] = ["a", "a", "b"].map(|name| Fingerprinter::unsealed(&named(name)));
        assert_eq!(one.fingerprint(&secret("x")), again.fingerprint(&secret("x")));
        assert_ne!(one.fingerprint(&secret("x")), other.fingerprint(&secret("x")));
    }
}
