//! What became of a token request.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use super::is_one_nonce;
use super::members::Members;
use crate::grant::{Answer, Applied, Failure, Grant, Refusal, RefusalKind};
use crate::reason::Cause;

/// The longest answer that is read. A real one is a few kilobytes.
const MAX_BODY: usize = 1 << 20;
/// The longest error code that is kept. Registered codes stay below 40 bytes.
const MAX_CODE: usize = 256;
/// The longest subject that is kept (OpenID Connect Core section 2).
const MAX_SUBJECT: usize = 255;
/// The longest lifetime that is believed, ten years: the rest is arithmetic that overflows.
const MAX_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// The longest wait that a server can ask for, a day: a wrong clock there must not end the
/// credential here.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// An answer of the token endpoint, and what of the request it is read against.
#[derive(Clone, Copy, Default)]
pub struct TokenReply<'a> {
    /// The status code.
    pub status: u16,
    /// The `Content-Type` line.
    pub content_type: Option<&'a str>,
    /// `Retry-After` (RFC 9110 section 10.2.3) as a length: a date is measured against the
    /// answer's own `Date`, and what is neither form counts as absent.
    pub retry_after: Option<Duration>,
    /// The `DPoP-Nonce` lines (RFC 9449 section 8).
    pub dpop_nonces: &'a [&'a [u8]],
    /// The body. Whoever reads it from the network may stop after 1 MiB and one byte.
    pub body: &'a [u8],
    /// Whether the request named a scope.
    pub scope_sent: bool,
    /// Whether an access token that is not bound to the client's key is of no use
    /// (RFC 9449 section 5).
    pub dpop_required: bool,
}

impl fmt::Debug for TokenReply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenReply")
            .field("status", &self.status)
            .field("content_type", &self.content_type)
            .field("retry_after", &self.retry_after)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .finish_non_exhaustive()
    }
}

/// Reads an answer of the token endpoint to a refresh, and names the rule that decided (the
/// table is in the [module's documentation](super)).
///
/// The two outcomes without an answer are the transport's to report: nothing was sent, which is
/// [`Cause::Unreachable`], and no whole answer came, which is [`Cause::NoAnswer`].
///
/// Lifetimes come from `expires_in`, and from `expires` where that is a length too. Absolute
/// times (`expires_at`, `expires_on`) are not read: without the server's clock they say less than
/// the first rejection does.
///
/// ```
/// use regrant_core::{Answer, protocol::{TokenReply, read_token_reply}};
///
/// let body = br#"{"access_token":"a2","token_type":"Bearer","refresh_token":"r2"}"#;
/// let reply = TokenReply { status: 200, body, ..TokenReply::default() };
/// let (Answer::Granted(grant), "granted") = read_token_reply(&reply) else { panic!() };
/// assert_eq!(grant.refresh_token.unwrap().expose(), "r2");
/// ```
pub fn read_token_reply(reply: &TokenReply<'_>) -> (Answer, &'static str) {
    Reading { reply, members: members(reply) }.read()
}

/// JSON under whatever name; else a form, where the answer says or does not deny that it is one.
fn members<'a>(reply: &TokenReply<'a>) -> Members<'a> {
    if reply.body.len() > MAX_BODY {
        return Members::default();
    }
    let essence = reply.content_type.unwrap_or_default().split(';').next().unwrap_or_default();
    let form = ["", "application/x-www-form-urlencoded", "text/plain"]
        .iter()
        .any(|form| essence.trim().eq_ignore_ascii_case(form));
    Members::json(reply.body)
        .or_else(|| Members::form(reply.body).filter(|_| form))
        .unwrap_or_default()
}

/// An answer, taken apart.
struct Reading<'r, 'a> {
    reply: &'r TokenReply<'a>,
    members: Members<'a>,
}

impl Reading<'_, '_> {
    fn read(&self) -> (Answer, &'static str) {
        let status = self.reply.status;
        let code = self.error_code();
        if matches!(status, 407 | 511) {
            return (self.failed(Cause::Unreachable, Applied::No, None), "network_status");
        }

        // The rules of a provider belong here: after the statuses of the network in between, and
        // before anything that a server's habits can change.

        if matches!(status, 408 | 425 | 429) || status >= 500 {
            let cause = if status == 429 { Cause::RateLimited } else { Cause::Unavailable };
            return (self.failed(cause, applied_by(status), code.as_deref()), "busy_status");
        }
        if let Some(code) = code {
            return self.read_code(&code);
        }
        // A 2xx that is no grant leaves open what the server did; any other status says that it
        // did nothing.
        let applied = if status < 300 { Applied::Perhaps } else { Applied::No };
        if self.members.repeats() {
            return (self.failed(Cause::NotOauth, applied, None), "repeated_member");
        }
        match status {
            ..=299 => match granted(&self.members, self.reply.dpop_required) {
                Ok(grant) => (Answer::Granted(grant), "granted"),
                Err(rule) => (self.not_granted(rule), rule),
            },
            300..=399 => (self.failed(Cause::EndpointMoved, applied, None), "redirect"),
            401 => (self.failed(Cause::ClientMisconfigured, applied, None), "bare_401"),
            _ => (self.failed(Cause::NotOauth, applied, None), "bare_4xx"),
        }
    }

    /// The error code: a string `error` (RFC 6749 section 5.2), also on a 2xx, where servers put
    /// it against the RFC; the code inside an `error` object; or a `code` of its own beside a
    /// status that is not a success.
    fn error_code(&self) -> Option<String> {
        let in_object = || {
            let error = self.members.object("error")?;
            ["code", "type", "status"].iter().find_map(|name| error.text(name))
        };
        let beside = || self.members.text("code").filter(|_| self.reply.status >= 300);
        self.members.text("error").or_else(in_object).or_else(beside)
    }

    /// What the error code says. Codes are compared without case and otherwise exactly: a wrong
    /// guess would cost a login.
    fn read_code(&self, code: &str) -> (Answer, &'static str) {
        let fails = |cause, rule| (self.failed(cause, Applied::No, Some(code)), rule);
        let refuses = |kind, rule| (Answer::Refused(Refusal { code: cleaned(code), kind }), rule);

        if self.reply.status < 300 && self.members.states("access_token") {
            let answer = self.failed(Cause::NotOauth, Applied::Perhaps, Some(code));
            return (answer, "code_and_token");
        }
        match code.trim().to_ascii_lowercase().as_str() {
            "use_dpop_nonce" if is_one_nonce(self.reply.dpop_nonces) => {
                (Answer::NonceWanted, "nonce_wanted")
            }
            "use_dpop_nonce" => fails(Cause::ClientMisconfigured, "nonce_missing"),

            "rate_limit_error" | "rate_limit_exceeded" | "slow_down" | "too_many_requests" => {
                fails(Cause::RateLimited, "transient_code")
            }
            "authorization_pending"
            | "internal_error"
            | "internal_failure"
            | "overloaded_error"
            | "request_timeout"
            | "server_error"
            | "service_unavailable"
            | "temporarily_unavailable" => fails(Cause::Unavailable, "transient_code"),

            "account_selection_required"
            | "consent_required"
            | "insufficient_user_authentication"
            | "interaction_required"
            | "login_required"
            | "mfa_required"
            | "unmet_authentication_requirements" => {
                refuses(RefusalKind::Interaction, "interaction_code")
            }
            "refresh_token_reused" => refuses(RefusalKind::Reused, "reuse_code"),
            "access_denied"
            | "bad_refresh_token"
            | "expired_refresh_token"
            | "expired_token"
            | "invalid_grant"
            | "invalid_refresh_token"
            | "invalid_token"
            | "refresh_token_expired"
            | "refresh_token_invalidated"
            | "refresh_token_revoked"
            | "token_expired"
            | "token_revoked" => {
                // Claims say what the user must show to get further with this very grant.
                if self.members.states("claims") {
                    refuses(RefusalKind::Interaction, "interaction_code")
                } else {
                    refuses(RefusalKind::Dead, "refusal_code")
                }
            }

            "invalid_scope" if self.reply.scope_sent => {
                fails(Cause::ClientMisconfigured, "scope_sent")
            }
            "invalid_scope" => refuses(RefusalKind::Dead, "scope_refused"),

            "incorrect_client_credentials"
            | "invalid_client"
            | "invalid_client_metadata"
            | "invalid_dpop_proof"
            | "invalid_request"
            | "invalid_resource"
            | "invalid_target"
            | "redirect_uri_mismatch"
            | "unauthorized_client"
            | "unsupported_grant_type" => fails(Cause::ClientMisconfigured, "client_code"),
            _ => fails(Cause::UnknownError, "unknown_code"),
        }
    }

    /// A failure, with the longer of the two waits that header and body ask for.
    fn failed(&self, cause: Cause, applied: Applied, code: Option<&str>) -> Answer {
        Answer::Failed(self.failure(cause, applied, code))
    }

    /// A success that is no grant. A new refresh token beside an access token that must not be
    /// used is kept all the same.
    fn not_granted(&self, rule: &str) -> Answer {
        let failure = self.failure(Cause::NotOauth, Applied::Perhaps, None);
        match self.members.secret("refresh_token").filter(|_| rule == "token_type") {
            Some(refresh_token) => Answer::Unusable { refresh_token, failure },
            None => Answer::Failed(failure),
        }
    }

    fn failure(&self, cause: Cause, applied: Applied, code: Option<&str>) -> Failure {
        let in_body = self.members.number("retry_after").map(rounded_up);
        let retry_after = self.reply.retry_after.max(in_body);
        Failure {
            cause,
            applied,
            retry_after: retry_after.map(|wait| wait.min(MAX_RETRY_AFTER)),
            code: code.map(cleaned).filter(|code| !code.is_empty()),
        }
    }
}

/// Whether a server that is busy may have acted all the same.
///
/// A gateway's 502 and 504 say that the request went on and no answer came back (RFC 9110
/// sections 15.6.3 and 15.6.5), and so do 520 and 524, Cloudflare's names for the same. The
/// others are the server's own word that it did not serve: 408 means that it never had the whole
/// request (section 15.5.9), 425 that it would not touch it (RFC 8470 section 5.2).
fn applied_by(status: u16) -> Applied {
    match status {
        502 | 504 | 520 | 524 => Applied::Perhaps,
        _ => Applied::No,
    }
}

/// The grant (RFC 6749 section 5.1), or the rule that forbids to take it for one.
fn granted(members: &Members<'_>, dpop_required: bool) -> Result<Grant, &'static str> {
    // VSCHAR (RFC 6749 appendix A.12): whatever else stands in a header would end it.
    let access_token = members
        .secret("access_token")
        .filter(|token| token.expose().bytes().all(|byte| matches!(byte, 0x20..=0x7e)))
        .ok_or("no_grant")?;
    let token_type = match members.text("token_type") {
        None if members.states("token_type") => return Err("token_type"),
        None => "Bearer".to_string(),
        Some(token_type) => token_type,
    };
    let dpop = token_type.eq_ignore_ascii_case("DPoP");
    if !dpop && (dpop_required || !token_type.eq_ignore_ascii_case("Bearer")) {
        return Err("token_type");
    }
    Ok(Grant {
        access_token,
        token_type,
        expires_in: lifetime(members),
        refresh_token: members.secret("refresh_token"),
        scope: members.words("scope"),
        subject: subject(members),
    })
}

/// The lifetime, rounded down. Nonsense is unknown and harms nothing else: a new refresh token
/// may stand beside it. So is zero, by which some servers mean "for ever".
fn lifetime(members: &Members<'_>) -> Option<Duration> {
    let known = |seconds: &f64| *seconds >= 1.0;
    let seconds = members.number("expires_in").filter(known).or_else(|| {
        // Elsewhere `expires` is a moment, which no length comes near.
        members.number("expires").filter(known).filter(|s| *s <= MAX_LIFETIME.as_secs_f64())
    })?;
    // A cast from a float saturates.
    Some(Duration::from_secs(seconds as u64).min(MAX_LIFETIME))
}

/// Whom the grant is for: the `sub` of the ID token, else a `sub` of the answer itself. The ID
/// token's signature is not checked, because it came straight from the token endpoint (OpenID
/// Connect Core section 3.1.3.7).
fn subject(members: &Members<'_>) -> Option<String> {
    let from_id_token = || {
        let id_token = members.secret("id_token")?;
        let payload = base64url(id_token.expose().split('.').nth(1)?)?;
        Members::json(&payload)?.text("sub")
    };
    from_id_token().or_else(|| members.text("sub")).filter(|sub| sub.len() <= MAX_SUBJECT)
}

/// Decodes base64url without padding (RFC 7515 appendix C).
fn base64url(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut bits, mut held) = (0_u32, 0);
    for byte in text.bytes() {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    Some(out)
}

/// A number of seconds, rounded up: a wait must not end early.
fn rounded_up(seconds: f64) -> Duration {
    // The cast rounds down and saturates.
    let whole = seconds as u64;
    Duration::from_secs(whole.saturating_add(u64::from(seconds > whole as f64)))
}

/// A server's text, fit to be shown: at most [`MAX_CODE`] bytes, without control characters and
/// without those that turn the direction of text.
fn cleaned(text: &str) -> String {
    let mut out = String::new();
    for c in text.trim().chars() {
        let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || turns {
            continue;
        }
        if out.len() + c.len_utf8() > MAX_CODE {
            break;
        }
        out.push(c);
    }
    out
}
