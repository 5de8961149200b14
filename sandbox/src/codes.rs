//! Authorization codes, and the requests that wait for somebody's decision. Pure: time and new
//! codes are arguments.

use std::collections::HashMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use crate::{authorization::Authorization, refusal::CodeRefusal};

/// How long a code lives. A client redeems it at once; RFC 6749 allows ten minutes at most.
pub(crate) const CODE_LIFETIME_MS: u64 = 60_000;

/// How long a page waits for its buttons: time for a person to come back to it.
const DECISION_LIFETIME_MS: u64 = 600_000;

/// An authorization request in which nothing is wrong.
#[derive(Clone, Debug)]
pub(crate) struct AuthorizationRequest {
    pub(crate) client_id: String,
    /// As it was written, because the token request must repeat it so.
    pub(crate) redirect_uri: String,
    pub(crate) state: Option<String>,
    /// The S256 challenge (RFC 7636, section 4.2).
    pub(crate) challenge: Option<String>,
    pub(crate) authorization: Authorization,
}

/// What a token request presents with a code.
#[derive(Debug)]
pub(crate) struct Redemption<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) redirect_uri: Option<&'a str>,
    pub(crate) verifier: Option<&'a str>,
}

#[derive(Debug)]
struct Code {
    request: AuthorizationRequest,
    issued_at: u64,
    /// The access token that it was redeemed for.
    access: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Codes {
    codes: HashMap<String, Code>,
    /// Requests on a page, each by a name that only the page knows.
    undecided: HashMap<String, (AuthorizationRequest, u64)>,
}

impl Codes {
    /// Keeps a request until somebody decides.
    pub(crate) fn ask(&mut self, name: String, request: AuthorizationRequest, now: u64) {
        self.undecided.retain(|_, (_, asked_at)| is_within(*asked_at, DECISION_LIFETIME_MS, now));
        self.undecided.insert(name, (request, now));
    }

    /// The request that a decision is about; it can be decided once.
    pub(crate) fn decide(&mut self, name: &str, now: u64) -> Option<AuthorizationRequest> {
        let (request, asked_at) = self.undecided.remove(name)?;
        is_within(asked_at, DECISION_LIFETIME_MS, now).then_some(request)
    }

    pub(crate) fn issue(&mut self, code: String, request: AuthorizationRequest, now: u64) {
        self.codes.insert(code, Code { request, issued_at: now, access: None });
    }

    /// What a code allows (RFC 6749, section 4.1.3). A redemption that fails spends nothing.
    pub(crate) fn redeem(
        &self,
        code: &str,
        presented: &Redemption<'_>,
        now: u64,
    ) -> Result<Authorization, CodeRefusal> {
        let Code { request, issued_at, access } =
            self.codes.get(code).ok_or(CodeRefusal::Unknown)?;
        if request.client_id != presented.client_id {
            return Err(CodeRefusal::Client);
        }
        // Before the lifetime: a second use is an attack however late it comes.
        if let Some(access) = access {
            return Err(CodeRefusal::Used { access: access.clone() });
        }
        if !is_within(*issued_at, CODE_LIFETIME_MS, now) {
            return Err(CodeRefusal::Expired);
        }
        if presented.redirect_uri != Some(&request.redirect_uri) {
            return Err(CodeRefusal::RedirectUri);
        }
        if !is_verified(request.challenge.as_deref(), presented.verifier) {
            return Err(CodeRefusal::Verifier);
        }
        Ok(request.authorization.clone())
    }

    /// Notes what a code was redeemed for, so that a second use can take it back.
    pub(crate) fn spend(&mut self, code: &str, access: &str) {
        if let Some(code) = self.codes.get_mut(code) {
            code.access = Some(access.to_owned());
        }
    }
}

fn is_within(since: u64, lifetime_ms: u64, now: u64) -> bool {
    now.saturating_sub(since) < lifetime_ms
}

/// A verifier without a challenge is refused too: somebody took the challenge out of the
/// authorization request (RFC 9700, section 4.8.2).
fn is_verified(challenge: Option<&str>, verifier: Option<&str>) -> bool {
    match (challenge, verifier) {
        (None, None) => true,
        (Some(challenge), Some(verifier)) => {
            is_verifier(verifier) && URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)) == challenge
        }
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// RFC 7636, section 4.1.
fn is_verifier(text: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    (43..=128).contains(&text.len()) && text.bytes().all(unreserved)
}

/// Whether this can be what S256 made of a verifier: 32 bytes (RFC 7636, section 4.2).
pub(crate) fn is_challenge(text: &str) -> bool {
    URL_SAFE_NO_PAD.decode(text).is_ok_and(|hash| hash.len() == 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_7636_verifies() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert!(is_challenge(challenge) && is_verified(Some(challenge), Some(verifier)));
        assert!(!is_verified(Some(challenge), Some(&verifier.replace('d', "e"))));
        assert!(!is_verified(Some(challenge), None));
        assert!(!is_verified(None, Some(verifier)), "the challenge was taken out");
        assert!(!is_challenge("E9Mel") && !is_challenge(&verifier[1..]));
        assert!(!is_verifier("too-short") && !is_verifier(&"a".repeat(129)));
    }
}
