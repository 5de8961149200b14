//! What tells the tokens of one file from every other: without the tokens themselves.

use regrant_core::{Id, Record, Secret};
use sha2::{Digest as _, Sha256};

use crate::json::credential::JsonCredential;

/// The two tokens of a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tokens {
    access: Option<Secret>,
    refresh: Option<Secret>,
}

impl Tokens {
    pub(crate) fn of(credential: &JsonCredential) -> Self {
        Self { access: credential.access_token.clone(), refresh: credential.refresh_token.clone() }
    }

    pub(crate) fn of_record(record: &Record) -> Self {
        Self::of(&JsonCredential::of(record))
    }

    pub(crate) fn is_none(&self) -> bool {
        self.access.is_none() && self.refresh.is_none()
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        let same = |one: &Option<Secret>, other: &Option<Secret>| match (one, other) {
            (Some(one), Some(other)) => one.is(other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        same(&self.access, &other.access) && same(&self.refresh, &other.refresh)
    }

    /// What stands for them in the notes, `None` for no tokens.
    ///
    /// A salted hash is enough, and half of SHA-256: a token has so much randomness that nobody
    /// finds it by trying, and the notes lie beside the tokens themselves.
    pub(crate) fn mark(&self, salt: Id) -> Option<Id> {
        (!self.is_none()).then(|| self.hash(b"regrant json mark 1", &salt.0))
    }

    /// The incarnation of a login that another program made: the same for all who read it.
    pub(crate) fn incarnation(&self) -> Id {
        self.hash(b"regrant json incarnation 1", b"")
    }

    fn hash(&self, purpose: &[u8], salt: &[u8]) -> Id {
        let mut hash = Sha256::new();
        let mut put = |part: Option<&[u8]>| {
            // Lengths and presence, so that no two lists of parts are one text.
            hash.update([u8::from(part.is_some())]);
            let part = part.unwrap_or_default();
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        };
        put(Some(purpose));
        put(Some(salt));
        put(self.access.as_ref().map(|token| token.expose().as_bytes()));
        put(self.refresh.as_ref().map(|token| token.expose().as_bytes()));
        Id(*hash.finalize().first_chunk().expect("SHA-256 has 32 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(access: Option<&str>, refresh: Option<&str>) -> Tokens {
        let secret = |text: &str| Secret::new(text.to_owned());
        Tokens { access: access.map(secret), refresh: refresh.map(secret) }
    }

    #[test]
    fn no_two_pairs_share_a_name() {
        let pairs = [
            tokens(None, None),
            tokens(Some("a"), None),
            tokens(None, Some("a")),
            tokens(Some(""), Some("a")),
            tokens(Some("a"), Some("")),
            tokens(Some("a"), Some("b")),
            tokens(Some("ab"), None),
            tokens(Some("b"), Some("a")),
        ];
        for (index, one) in pairs.iter().enumerate() {
            for (other_index, other) in pairs.iter().enumerate() {
                let same = index == other_index;
                assert_eq!(one.is(other), same, "{index} {other_index}");
                assert_eq!(one.incarnation() == other.incarnation(), same);
                assert_eq!(one.mark(Id([1; 16])) == other.mark(Id([1; 16])), same);
            }
            assert!(one.is_none() || one.mark(Id([1; 16])) != one.mark(Id([2; 16])));
            assert!(one.mark(Id([0; 16])) != Some(one.incarnation()));
        }
    }

    /// Every version of regrant that shares the file must derive the same name.
    #[test]
    fn the_incarnation_is_what_it_always_was() {
        let derived = tokens(Some("access"), Some("refresh")).incarnation();
        assert_eq!(derived.to_string(), "c8eb6e8792c6c01e284604c0332d4729");
    }
}
