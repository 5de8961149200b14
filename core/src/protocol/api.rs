//! What an API's answer says about the token that the request carried.

use alloc::vec::Vec;
use core::fmt;

use super::challenge::{Challenge, challenges};
use super::is_one_nonce;
use super::members::Members;
use crate::grant::{Strength, Verdict};

/// How much of a body is read. One that is cut off there is not JSON and so gives no evidence.
const MAX_BODY: usize = 64 * 1024;
/// The schemes under which OAuth tokens are challenged for.
const OAUTH_SCHEMES: [&str; 4] = ["Bearer", "DPoP", "OAuth", "PoP"];

/// An answer of an API, and what of the request it is read against.
#[derive(Clone, Copy, Default)]
pub struct ApiReply<'a> {
    /// The scheme under which the request carried a token; `None` if it carried none.
    pub scheme: Option<&'a str>,
    /// The status code.
    pub status: u16,
    /// The `WWW-Authenticate` lines.
    pub www_authenticate: &'a [&'a [u8]],
    /// The `DPoP-Nonce` lines (RFC 9449 section 9).
    pub dpop_nonces: &'a [&'a [u8]],
    /// The `grpc-status` lines, of the header or of the trailers.
    pub grpc_statuses: &'a [&'a [u8]],
    /// The `Content-Type` line.
    pub content_type: Option<&'a str>,
    /// Whether there is a `Retry-After`.
    pub retry_after: bool,
    /// Whether the answer says that no requests are left (`X-RateLimit-Remaining: 0`).
    pub exhausted: bool,
    /// The body, or its first 64 KiB. Only that of a 401 or 403 is looked at.
    pub body: &'a [u8],
}

impl fmt::Debug for ApiReply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Some APIs quote the token in their challenge and in their body.
        f.debug_struct("ApiReply")
            .field("scheme", &self.scheme)
            .field("status", &self.status)
            .field("content_type", &self.content_type)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .finish_non_exhaustive()
    }
}

/// What an API's answer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    /// A token with certain claims is wanted. Until a refresh can ask for them it counts as a
    /// rejection: the one refresh that follows is harmless, and its answer says what is missing.
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

/// Reads an API's answer: what it says about the token, what it is about, and the rule that
/// decided (the table is in the [module's documentation](super)).
///
/// The code that a server gives counts for more than its status, on any 4xx: the RFCs only
/// recommend the pairing (RFC 6750 section 3.1), and servers do not keep to it.
///
/// ```
/// use regrant_core::{Strength, Verdict, protocol::{ApiReply, Class, read_api_reply}};
///
/// let reply = ApiReply {
///     scheme: Some("Bearer"),
///     status: 401,
///     www_authenticate: &[br#"Bearer error="invalid_token""#],
///     ..ApiReply::default()
/// };
/// let (verdict, class, rule) = read_api_reply(&reply);
/// assert_eq!(verdict, Verdict::Rejected(Strength::Strong));
/// assert_eq!((class, rule), (Class::TokenRejected, "challenge"));
/// ```
pub fn read_api_reply(reply: &ApiReply<'_>) -> (Verdict, Class, &'static str) {
    let status = reply.status;
    let Some(used) = reply.scheme else { return of(Class::NotAuth, "no_token_sent") };
    if matches!(status, 407 | 511) {
        return of(Class::NotAuth, "network_status");
    }
    let offered = match status {
        400..500 => challenges(reply.www_authenticate.iter().copied()),
        _ => Vec::new(),
    };
    let nonce_wanted = offered.iter().any(|challenge| {
        challenge.is_scheme("DPoP")
            && challenge.param("error").is_some_and(|code| is_code(code, "use_dpop_nonce"))
    });
    if nonce_wanted && used.eq_ignore_ascii_case("DPoP") && matches!(status, 400 | 401) {
        return if is_one_nonce(reply.dpop_nonces) {
            of(Class::DpopNonce, "dpop_nonce")
        } else {
            of(Class::NotAuth, "dpop_nonce_unusable")
        };
    }

    // The rules of a provider belong here: after what is no matter of the token, and before
    // anything that an API's habits can change.

    if status == 200 && is_grpc(reply.content_type) {
        return match reply.grpc_statuses {
            [b"16"] => of(Class::TokenRejected, "grpc_status"),
            [b"8"] => of(Class::RateLimited, "grpc_status"),
            [b"0"] => (Verdict::Accepted, Class::NotAuth, "grpc_status"),
            _ => of(Class::NotAuth, "grpc_status"),
        };
    }
    match status {
        ..400 => return (Verdict::Accepted, Class::NotAuth, "below_400"),
        429 => return of(Class::RateLimited, "too_many_requests"),
        500.. => return of(Class::NotAuth, "server_error"),
        403 if reply.retry_after || reply.exhausted => {
            return of(Class::RateLimited, "forbidden_for_now");
        }
        _ => {}
    }
    let is_oauth = |challenge: &&Challenge| OAUTH_SCHEMES.iter().any(|s| challenge.is_scheme(s));
    let of_used = offered.iter().filter(|challenge| challenge.is_scheme(used));
    if let Some(class) = class_of(of_used, status) {
        return of(class, "challenge");
    }
    if let Some(class) = class_of(offered.iter().filter(is_oauth), status) {
        return of(class, "other_challenge");
    }
    if let Some(class) = class_of_body(reply) {
        return of(class, "body");
    }
    if status != 401 {
        return of(Class::NotAuth, "other");
    }
    // Another token would be of the same kind.
    let mut oauth = offered.iter().filter(is_oauth).peekable();
    if used.eq_ignore_ascii_case("Bearer")
        && oauth.peek().is_some()
        && oauth.all(|challenge| challenge.is_scheme("DPoP"))
    {
        return of(Class::NotAuth, "scheme_mismatch");
    }
    (Verdict::Rejected(Strength::Weak), Class::TokenRejected, "bare_401")
}

/// A class with the verdict that it brings where its rule knows no better.
fn of(class: Class, rule: &'static str) -> (Verdict, Class, &'static str) {
    let verdict = match class {
        Class::TokenRejected | Class::Revoked | Class::ClaimsChallenge => {
            Verdict::Rejected(Strength::Strong)
        }
        Class::InsufficientScope | Class::StepUp => Verdict::Accepted,
        Class::DpopNonce | Class::RateLimited | Class::NotAuth => Verdict::Silent,
    };
    (verdict, class, rule)
}

/// The class of the challenges' error codes, `None` if none is known. Of several, the one that
/// asks for more than a refresh counts: a refresh would be spent in vain.
fn class_of<'a>(offered: impl Iterator<Item = &'a Challenge>, status: u16) -> Option<Class> {
    let known: Vec<_> =
        offered.filter_map(|challenge| class_of_code(challenge.param("error")?, status)).collect();
    [
        Class::ClaimsChallenge,
        Class::StepUp,
        Class::InsufficientScope,
        Class::TokenRejected,
        Class::NotAuth,
    ]
    .into_iter()
    .find(|class| known.contains(class))
}

/// The class of an `error` in the body, which some APIs give instead of a challenge.
fn class_of_body(reply: &ApiReply<'_>) -> Option<Class> {
    if !matches!(reply.status, 401 | 403) || reply.body.len() > MAX_BODY {
        return None;
    }
    class_of_code(&Members::json(reply.body)?.text("error")?, reply.status)
}

fn class_of_code(code: &str, status: u16) -> Option<Class> {
    const CLASSES: [(&str, Class); 10] = [
        ("insufficient_claims", Class::ClaimsChallenge),
        // RFC 9470 section 3, and its name before there was one.
        ("insufficient_user_authentication", Class::StepUp),
        ("insufficient_authentication_context", Class::StepUp),
        // RFC 6750 section 3.1, and what others call the same.
        ("insufficient_scope", Class::InsufficientScope),
        ("invalid_token", Class::TokenRejected),
        ("expired_token", Class::TokenRejected),
        ("token_expired", Class::TokenRejected),
        ("invalid_grant", Class::TokenRejected),
        ("invalid_request", Class::NotAuth),
        // RFC 9449 section 7.1: the proof is bad, not the token.
        ("invalid_dpop_proof", Class::NotAuth),
    ];
    let (name, class) = CLASSES.into_iter().find(|(name, _)| is_code(code, name))?;
    // A request that is refused with a 401 was refused for its token after all.
    (name != "invalid_request" || status != 401).then_some(class)
}

/// Whether two codes are one: `InvalidToken`, `invalid-token` and `invalid_token` are.
fn is_code(one: &str, other: &str) -> bool {
    let letters = |code: &'_ str| {
        code.trim()
            .bytes()
            .filter(|byte| !matches!(byte, b'_' | b'-'))
            .map(|byte| byte.to_ascii_lowercase())
            .collect::<Vec<_>>()
    };
    letters(one) == letters(other)
}

fn is_grpc(content_type: Option<&str>) -> bool {
    content_type
        .and_then(|line| line.trim().split_at_checked("application/grpc".len()))
        .is_some_and(|(start, _)| start.eq_ignore_ascii_case("application/grpc"))
}
