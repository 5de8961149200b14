//! The provider's profile that the record names, and what follows from it.

use std::sync::Arc;

use regrant_core::protocol::Profile;
use regrant_core::{Policy, Rotation};
use tracing::warn;

/// What is known of the provider of this credential.
#[derive(Debug)]
pub(crate) struct Provider {
    /// The host's numbers, before any profile.
    base: Policy,
    named: Option<String>,
    profile: Option<Arc<Profile>>,
}

impl Provider {
    pub(crate) fn new(base: Policy) -> Self {
        Self { base, named: None, profile: None }
    }

    pub(crate) fn profile(&self) -> Option<Arc<Profile>> {
        self.profile.clone()
    }

    /// Takes what the record names. Some if that changes the numbers.
    pub(crate) fn follow(&mut self, named: Option<&str>) -> Option<Policy> {
        if self.named.as_deref() == named {
            return None;
        }
        self.named = named.map(str::to_owned);
        self.profile = named.and_then(|named| match Profile::of(named) {
            Ok(profile) => Some(Arc::new(profile)),
            Err(error) => {
                // A later version wrote it; the default rules are safe with any server.
                warn!(target: "regrant", %error, "going on without the profile");
                None
            }
        });
        let mut policy = self.base.clone();
        if let Some(profile) = &self.profile {
            if profile.rotation() != Rotation::Unknown {
                policy.rotation = profile.rotation();
            }
            if let Some(alone) = profile.revokes_token_alone() {
                policy.revokes_token_alone = alone;
            }
        }
        Some(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_changes_the_numbers_and_no_profile_gives_them_back() {
        let mut provider = Provider::new(Policy::default());
        assert!(provider.follow(None).is_none());
        let policy = provider.follow(Some("google")).unwrap();
        assert_eq!(policy.rotation, Rotation::Never);
        assert!(provider.profile().is_some() && provider.follow(Some("google")).is_none());
        let policy = provider.follow(None).unwrap();
        assert_eq!(policy.rotation, Rotation::Unknown);
        assert!(provider.profile().is_none());
    }

    #[test]
    fn a_profile_that_nobody_knows_is_gone_on_without() {
        let mut provider = Provider::new(Policy::default());
        assert!(provider.follow(Some("a later one")).is_some());
        assert!(provider.profile().is_none());
    }
}
