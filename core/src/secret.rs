//! Text that must not be seen: tokens and client secrets.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use serde::{Deserialize, Deserializer, Serializer};
use zeroize::Zeroizing;

/// A token or a client secret.
///
/// Clones share one buffer, which is wiped when the last of them is dropped. There is no
/// `Display`, no comparison by `==` and no `Serialize`; `Debug` prints the length alone. Read it
/// with [`Secret::expose`], at the one place that needs the bytes.
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    /// Takes the text over without copying it. Text that was copied before is the caller's to wipe.
    pub fn new(text: String) -> Self {
        Self(Arc::new(Zeroizing::new(text)))
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether both hold the same text. Not constant in time: for one's own tokens only.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || *self.0 == *other.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

/// How a secret lies in a record. For `#[serde(with = "...")]` on fields of the record alone, so
/// that `Secret` itself cannot be serialized by accident.
pub(crate) mod at_rest {
    use super::{Deserialize, Deserializer, Secret, Serializer, String};

    pub(crate) fn serialize<S: Serializer>(secret: &Secret, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(secret.expose())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
        String::deserialize(from).map(Secret::new)
    }
}

/// The same for a secret that may be absent.
pub(crate) mod at_rest_option {
    use super::{Deserialize, Deserializer, Secret, Serializer, String};

    pub(crate) fn serialize<S: Serializer>(
        secret: &Option<Secret>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match secret {
            Some(secret) => to.serialize_some(secret.expose()),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Secret>, D::Error> {
        Ok(Option::<String>::deserialize(from)?.map(Secret::new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn debug_prints_the_length_alone() {
        let secret = Secret::new("canary-token".into());
        assert_eq!(format!("{secret:?}"), "Secret(12 bytes)");
        assert_eq!(format!("{secret:#?}"), "Secret(12 bytes)");
    }
}
