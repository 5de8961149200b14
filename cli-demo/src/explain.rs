//! A page for every code that an error or a status can carry.

mod login_pages;
mod pages;

use regrant_storage::Protection;

use login_pages::LOGIN_PAGES;
use pages::PAGES;

/// What there is to say about one code.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) code: &'static str,
    /// What happened, as an error says it: no capital, no full stop.
    pub(crate) what: &'static str,
    /// What it means and why it comes up.
    pub(crate) why: &'static str,
    /// What to do.
    pub(crate) remedy: &'static str,
    /// The exit code that comes with it; `None` for what is no error by itself.
    pub(crate) exit: Option<u8>,
}

/// All pages, in the order in which they are listed.
pub(crate) fn pages() -> impl Iterator<Item = &'static Page> {
    PAGES.iter().chain(LOGIN_PAGES)
}

/// The page of this code; `-` counts as `_`, and case does not count.
pub(crate) fn page(code: &str) -> Option<&'static Page> {
    let code = code.trim().to_ascii_lowercase().replace('-', "_");
    pages().find(|page| page.code == code)
}

/// What happened, in a few words.
pub(crate) fn what(code: &str) -> &'static str {
    page(code).map_or("something went wrong", |page| page.what)
}

/// What to do, in a sentence.
pub(crate) fn remedy(code: &str) -> &'static str {
    page(code).map_or("see `regrant explain`", |page| page.remedy)
}

/// What a key protects from, in a clause.
pub(crate) fn meaning(protection: Protection) -> &'static str {
    match protection {
        Protection::OsKeychain => "a copy of the store is of no use without the keychain",
        Protection::Passphrase => {
            "a copy of the store is as safe as the passphrase is hard to guess"
        }
        Protection::None => "protects nothing from those who get this file with the store",
        // The enum may grow.
        _ => "what it protects from, a newer version knows",
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use regrant::{Cause, LoginReason, StoreFault};
    use std::collections::BTreeSet;

    /// Every fault that a store can have.
    pub(crate) const STORE_FAULTS: &[StoreFault] = &[
        StoreFault::Unavailable,
        StoreFault::Locked,
        StoreFault::Corrupt,
        StoreFault::UnknownFormat,
        StoreFault::WrongKey,
        StoreFault::KeyMissing,
        StoreFault::WrongKeySource,
        StoreFault::ReadOnly,
        StoreFault::Full,
        StoreFault::RolledBack,
    ];

    #[test]
    fn every_reason_cause_and_fault_has_its_page() {
        let reasons = LoginReason::ALL.iter().map(|reason| reason.as_str());
        let causes = Cause::ALL.iter().map(|cause| cause.as_str());
        let faults = STORE_FAULTS.iter().map(|fault| fault.as_str());
        let missing: Vec<_> =
            reasons.chain(causes).chain(faults).filter(|code| page(code).is_none()).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn no_page_is_there_twice_or_empty() {
        let codes: BTreeSet<_> = pages().map(|page| page.code).collect();
        assert_eq!(codes.len(), pages().count());
        for page in pages() {
            assert!(page.why.ends_with('.') && page.why.len() > 40, "{}", page.code);
            assert!(!page.what.ends_with('.') && !page.remedy.is_empty(), "{}", page.code);
        }
    }

    #[test]
    fn a_code_is_found_however_it_is_typed() {
        assert_eq!(page(" Rotation-Lost ").unwrap().code, "rotation_lost");
        assert!(page("eaten_by_a_dog").is_none());
    }
}
