//! The nonces that servers gave, for the next proof of possession.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;

use crate::origin::Origin;

/// How many servers are remembered: a credential is bound to a few, and what is forgotten costs
/// one challenge.
const MOST: usize = 16;

/// The newest nonce of each server (RFC 9449 sections 8.2 and 9).
///
/// An authorization server's nonces are not those of an API, even where both share an origin: keep
/// one of these for each.
///
/// ```
/// use regrant_core::{Nonces, Origin};
///
/// let api = Origin::parse("https://api.example")?;
/// let mut nonces = Nonces::default();
/// nonces.note(&api, "n-1");
/// nonces.note(&api, "n-2");
/// assert_eq!(nonces.newest(&api), Some("n-2"));
/// # Ok::<(), regrant_core::OriginError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Nonces {
    /// In the order in which they were heard from.
    newest: Vec<(Origin, String)>,
}

impl Nonces {
    /// Takes the nonce of an answer, whatever its status. Of more than sixteen servers, the one
    /// that was not heard from for longest is forgotten.
    pub fn note(&mut self, origin: &Origin, nonce: &str) {
        let mut entry = match self.newest.iter().position(|(known, _)| known == origin) {
            Some(place) => self.newest.remove(place),
            None => (origin.clone(), String::new()),
        };
        if entry.1 != nonce {
            entry.1 = nonce.to_owned();
        }
        if self.newest.len() == MOST {
            self.newest.remove(0);
        }
        self.newest.push(entry);
    }

    /// The nonce that the next proof for this server carries, if it gave one.
    pub fn newest(&self, origin: &Origin) -> Option<&str> {
        let entry = self.newest.iter().find(|(known, _)| known == origin)?;
        Some(&entry.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn api(n: usize) -> Origin {
        Origin::parse(&format!("https://api{n}.example")).unwrap()
    }

    #[test]
    fn the_newest_nonce_of_each_server_counts() {
        let mut nonces = Nonces::default();
        assert_eq!(nonces.newest(&api(0)), None);
        nonces.note(&api(0), "a");
        nonces.note(&api(1), "b");
        nonces.note(&api(0), "c");
        assert_eq!(nonces.newest(&api(0)), Some("c"));
        assert_eq!(nonces.newest(&api(1)), Some("b"));
    }

    #[test]
    fn of_too_many_servers_the_one_not_heard_from_for_longest_is_forgotten() {
        let mut nonces = Nonces::default();
        for n in 0..MOST {
            nonces.note(&api(n), "a");
        }
        nonces.note(&api(0), "a");
        nonces.note(&api(MOST), "a");
        assert_eq!(nonces.newest(&api(1)), None);
        assert_eq!([0, 2, MOST].map(|n| nonces.newest(&api(n))), [Some("a"); 3]);
        assert_eq!(nonces.newest.len(), MOST);
    }
}
