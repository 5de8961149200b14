//! What an API's answer is about.

use serde::Deserialize;

/// What an API's answer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[non_exhaustive]
pub enum Class {
    /// The token is refused: another one may pass.
    TokenRejected,
    /// The same, and the API says that it was revoked. No standard code says so; only a
    /// provider's rule does.
    Revoked,
    /// The token is good and does not reach this far (RFC 6750 section 3.1).
    InsufficientScope,
    /// The token is good and the user must authenticate better or anew (RFC 9470).
    StepUp,
    /// A token with certain claims is wanted. It counts as a rejection; the refresh that follows
    /// asks for the claims, and its answer says whether that is enough.
    ClaimsChallenge,
    /// The proof must carry the API's nonce (RFC 9449 section 9).
    DpopNonce,
    /// Fewer requests are wanted.
    RateLimited,
    /// Not about the token.
    NotAuth,
}

impl Class {
    /// The stable name, for logs and events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TokenRejected => "token_rejected",
            Self::Revoked => "revoked",
            Self::InsufficientScope => "insufficient_scope",
            Self::StepUp => "step_up",
            Self::ClaimsChallenge => "claims_challenge",
            Self::DpopNonce => "dpop_nonce",
            Self::RateLimited => "rate_limited",
            Self::NotAuth => "not_auth",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;

    #[test]
    fn a_class_is_named_as_it_is_spelled_in_the_source() {
        for class in [
            Class::TokenRejected,
            Class::Revoked,
            Class::InsufficientScope,
            Class::StepUp,
            Class::ClaimsChallenge,
            Class::DpopNonce,
            Class::RateLimited,
            Class::NotAuth,
        ] {
            let spelled = format!("{class:?}");
            let mut name = String::new();
            for c in spelled.chars() {
                if c.is_ascii_uppercase() && !name.is_empty() {
                    name.push('_');
                }
                name.push(c.to_ascii_lowercase());
            }
            assert_eq!(class.as_str(), name);
        }
    }
}
