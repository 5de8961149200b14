//! What became of a token request.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use super::granting::Granting;
use super::members::{Members, as_json, nests_too_deep};
use super::profile::{Profile, TokenClass, TokenRule};
use super::rule::Evidence;
use super::text::{MAX_RETRY_AFTER, cleaned, quotes, rounded_up};
use super::{Headers, is_form, nonce};
use crate::grant::{Answer, Applied, Failure, Refusal, RefusalKind};
use crate::reason::Cause;
use crate::secret::Secret;
use crate::time::Timestamp;

/// The longest answer that is read. A real one is a few kilobytes.
const MAX_BODY: usize = 1 << 20;

/// An answer of the token endpoint, and what of the request it is read against.
#[derive(Clone, Copy, Default)]
pub struct TokenReply<'a> {
    /// The status code.
    pub status: u16,
    /// The lines of the header.
    pub headers: Headers<'a>,
    /// `Retry-After` (RFC 9110 section 10.2.3) as a length: a date is measured against the
    /// answer's own `Date`, and what is neither form counts as absent.
    pub retry_after: Option<Duration>,
    /// `Date` (RFC 9110 section 6.6.1), against which moments in the answer are measured.
    pub date: Option<Timestamp>,
    /// The body. Whoever reads it from the network may stop after 1 MiB and one byte.
    pub body: &'a [u8],
    /// Whether the request named a scope.
    pub scope_sent: bool,
    /// Whether an access token that is not bound to the client's key is of no use
    /// (RFC 9449 section 5).
    pub dpop_required: bool,
    /// The secrets that the request carried: a code that quotes one of them is withheld.
    pub sent: &'a [&'a Secret],
}

impl fmt::Debug for TokenReply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenReply")
            .field("status", &self.status)
            .field("retry_after", &self.retry_after)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .finish_non_exhaustive()
    }
}

/// What an answer of the token endpoint says.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TokenReading<'p> {
    /// What became of the request.
    pub answer: Answer,
    /// The rule that decided: one of the default table, or a provider's as `profile.rule`.
    pub rule: Cow<'p, str>,
    /// Why it is no grant, for logs: the server's own code, or a word of ours. Cleaned, at most
    /// 256 bytes.
    pub reason: Option<String>,
    /// The nonce for the next proof (RFC 9449 section 8), on any answer.
    pub nonce: Option<String>,
    /// The ID token beside a grant (OpenID Connect Core section 3.1.3.3), as it came.
    pub id_token: Option<Secret>,
    /// The claims that the user must show at a new login, as JSON, where a refusal names some.
    pub claims: Option<String>,
}

/// Reads an answer of the token endpoint to a refresh (the table is in the
/// [module's documentation](super)).
///
/// The two outcomes without an answer are the transport's to report: nothing was sent, which is
/// [`Cause::Unreachable`], and no whole answer came, which is [`Cause::NoAnswer`].
///
/// Lifetimes come from `expires_in`, and from `expires` where that is a length too; else from
/// `expires_at` or `expires_on`, measured against the answer's `Date`.
///
/// ```
/// use regrant_core::{Answer, protocol::{TokenReply, read_token_reply}};
///
/// let body = br#"{"access_token":"a2","token_type":"Bearer","refresh_token":"r2"}"#;
/// let reply = TokenReply { status: 200, body, ..TokenReply::default() };
/// let reading = read_token_reply(&reply, None);
/// let Answer::Granted(grant) = reading.answer else { panic!() };
/// assert_eq!(grant.refresh_token.unwrap().expose(), "r2");
/// assert_eq!(reading.rule, "granted");
/// ```
pub fn read_token_reply<'p>(
    reply: &TokenReply<'_>,
    profile: Option<&'p Profile>,
) -> TokenReading<'p> {
    let members = members(reply);
    let root = profile.and_then(|profile| profile.token.root.as_ref());
    let inner = root.and_then(|root| members.object(root));
    let reading = Reading { reply, members, inner, profile };
    let (answer, rule, reason) = reading.read();
    let (answer, reason) = reading.withheld(answer, reason);
    let reason = reason.or_else(|| match &answer {
        Answer::Refused(refusal) => Some(refusal.code.clone()),
        Answer::Failed(failure) | Answer::Unusable { failure, .. } => failure.code.clone(),
        Answer::Granted(_) | Answer::NonceWanted => None,
    });
    let nonce = nonce(reply.headers).ok().map(Into::into);
    let refused = matches!(answer, Answer::Refused(_));
    let claims = reading.members.text("claims").filter(|_| refused);
    let granted = matches!(answer, Answer::Granted(_));
    let id_token = reading.granting().members.secret("id_token").filter(|_| granted);
    TokenReading { answer, rule, reason, nonce, id_token, claims }
}

/// JSON under whatever name; else a form, where the answer says or does not deny that it is one.
fn members<'a>(reply: &TokenReply<'a>) -> Members<'a> {
    if reply.body.len() > MAX_BODY {
        return Members::default();
    }
    Members::json(reply.body)
        .or_else(|| Members::form(reply.body).filter(|_| is_form(reply.headers)))
        .unwrap_or_default()
}

/// What became of the request, by which rule, and the reason where the answer has no code for it.
type Ruling<'p> = (Answer, Cow<'p, str>, Option<String>);

/// An answer, taken apart.
struct Reading<'r, 'a, 'p> {
    reply: &'r TokenReply<'a>,
    members: Members<'a>,
    /// What the profile's root holds.
    inner: Option<Members<'a>>,
    profile: Option<&'p Profile>,
}

impl<'p> Reading<'_, '_, 'p> {
    fn read(&self) -> Ruling<'p> {
        let status = self.reply.status;
        let code = self.error_code();
        let by_status = || Some(alloc::format!("http_{status}"));
        let fails = |cause, applied, code: Option<&str>, rule, reason: Option<String>| {
            (self.failed(cause, applied, code), Cow::Borrowed(rule), reason)
        };
        if matches!(status, 407 | 511) {
            let reason = Some("network".into());
            return fails(Cause::Unreachable, Applied::No, None, "network_status", reason);
        }
        if let Some(ruling) = self.profile.and_then(|p| self.by_profile(p, code.as_deref())) {
            return ruling;
        }
        if matches!(status, 408 | 425 | 429) || status >= 500 {
            let cause = if status == 429 { Cause::RateLimited } else { Cause::Unavailable };
            let applied = applied_by(status);
            return fails(cause, applied, code.as_deref(), "busy_status", by_status());
        }
        if let Some(code) = code {
            return self.read_code(&code);
        }
        // A 2xx that is no grant leaves open what the server did; any other status says that it
        // did nothing.
        let applied = if status < 300 { Applied::Perhaps } else { Applied::No };
        if self.members.repeats() || self.granting().members.repeats() {
            let reason = Some("duplicate".into());
            return fails(Cause::NotOauth, applied, None, "repeated_member", reason);
        }
        match status {
            ..=299 => match self.granting().read() {
                Ok(grant) => (Answer::Granted(grant), Cow::Borrowed("granted"), None),
                Err((rule, why)) => {
                    let why = self.why_no_grant(why).into();
                    (self.not_granted(rule), Cow::Borrowed(rule), Some(why))
                }
            },
            300..=399 => {
                fails(Cause::EndpointMoved, applied, None, "redirect", Some("redirect".into()))
            }
            401 => fails(Cause::ClientMisconfigured, applied, None, "bare_401", by_status()),
            _ => fails(Cause::NotOauth, applied, None, "bare_4xx", by_status()),
        }
    }

    /// What the provider's own rules say.
    fn by_profile(&self, profile: &'p Profile, code: Option<&str>) -> Option<Ruling<'p>> {
        // What carries an access token is no habit's matter.
        if self.reply.status < 300 && self.granting().access_token().is_some() {
            return None;
        }
        let body = Some(self.reply.body).filter(|body| body.len() <= MAX_BODY).unwrap_or_default();
        let json = as_json(body);
        let evidence = Evidence {
            status: self.reply.status,
            headers: self.reply.headers,
            offered: &[],
            text: json.or_else(|| core::str::from_utf8(body).ok()),
            is_json: json.is_some(),
            is_form: is_form(self.reply.headers),
        };
        let status = self.reply.status;
        // A busy server knows nothing of the grant, and a redirect is somebody else's answer,
        // unless the rule means just that.
        let elsewhere = matches!(status, 300..400 | 408 | 425 | 429 | 500..);
        let rule = profile.token.rules.iter().find(|rule| {
            let ends = rule.class == TokenClass::NeedsLogin;
            let in_place = !(ends && elsewhere) || rule.when.names_status(status);
            in_place && rule.when.holds(&evidence)
        })?;
        let reason = reason_by(rule, &evidence)
            .or_else(|| code.and_then(code_like).map(|code| code.to_ascii_lowercase()))
            .unwrap_or_else(|| alloc::format!("http_{status}"));
        let fails = |cause, applied| self.failed(cause, applied, Some(&reason));
        let answer = match rule.class {
            TokenClass::Transient => fails(Cause::Unavailable, applied_by(self.reply.status)),
            TokenClass::RateLimited => fails(Cause::RateLimited, Applied::No),
            TokenClass::ClientMisconfigured => fails(Cause::ClientMisconfigured, Applied::No),
            TokenClass::Malformed => fails(Cause::UnknownError, Applied::No),
            TokenClass::NeedsLogin => {
                let kind = rule.refusal.unwrap_or(RefusalKind::Dead);
                Answer::Refused(Refusal { code: reason.clone(), kind })
            }
        };
        let name = Cow::Owned(alloc::format!("{}.{}", profile.name(), rule.name));
        Some((answer, name, Some(reason)))
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
    fn read_code(&self, code: &str) -> Ruling<'p> {
        let (answer, rule, reason) = self.ruling_of_code(code);
        let reason = reason.map_or_else(|| cleaned(code).to_ascii_lowercase(), Into::into);
        (answer, Cow::Borrowed(rule), Some(reason))
    }

    fn ruling_of_code(&self, code: &str) -> (Answer, &'static str, Option<&'static str>) {
        let fails = |cause, rule| (self.failed(cause, Applied::No, Some(code)), rule, None);
        let refuses =
            |kind, rule| (Answer::Refused(Refusal { code: cleaned(code), kind }), rule, None);

        if self.reply.status < 300 && self.granting().access_token().is_some() {
            let answer = self.failed(Cause::NotOauth, Applied::Perhaps, Some(code));
            return (answer, "code_and_token", Some("error_and_token"));
        }
        match code.trim().to_ascii_lowercase().as_str() {
            "use_dpop_nonce" => match nonce(self.reply.headers) {
                Ok(_) => (Answer::NonceWanted, "nonce_wanted", None),
                Err(why) => {
                    let (answer, rule, _) = fails(Cause::ClientMisconfigured, "nonce_missing");
                    (answer, rule, Some(why))
                }
            },

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
            _ => {
                let (answer, rule, _) = fails(Cause::UnknownError, "unknown_code");
                (answer, rule, Some("unknown_error"))
            }
        }
    }

    /// The same without codes that quote a secret of the request or of the answer itself: codes are
    /// shown and logged, and some servers send back what they do not like.
    fn withheld(&self, mut answer: Answer, reason: Option<String>) -> (Answer, Option<String>) {
        let own = ["access_token", "refresh_token", "id_token"];
        let own: Vec<_> = own.iter().filter_map(|name| self.members.secret(name)).collect();
        let leaks = |text: &String| {
            let mut secrets = self.reply.sent.iter().copied().chain(&own);
            secrets.any(|secret| quotes(text, secret.expose()))
        };
        match &mut answer {
            Answer::Refused(refusal) if leaks(&refusal.code) => refusal.code = "withheld".into(),
            Answer::Failed(failure) | Answer::Unusable { failure, .. } => {
                failure.code = failure.code.take().filter(|code| !leaks(code));
            }
            Answer::Refused(_) | Answer::Granted(_) | Answer::NonceWanted => {}
        }
        let reason = reason.map(|reason| if leaks(&reason) { "withheld".into() } else { reason });
        (answer, reason)
    }

    /// Where a grant lies, if there is one.
    fn granting(&self) -> Granting<'_, '_> {
        Granting {
            members: self.inner.as_ref().unwrap_or(&self.members),
            profile: self.profile,
            date: self.reply.date,
            dpop_required: self.reply.dpop_required,
        }
    }

    /// Why a success has no access token, in a word that says more where it can.
    fn why_no_grant(&self, why: &'static str) -> &'static str {
        if why != "no_access_token" {
            why
        } else if self.reply.body.len() > MAX_BODY {
            "too_big"
        } else if nests_too_deep(self.reply.body) {
            "too_deep"
        } else {
            why
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
        match self.granting().refresh_token().filter(|_| rule == "token_type") {
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
            code: code.and_then(code_like),
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

/// A code that may be shown. A sentence is none, and could quote what was sent.
fn code_like(code: &str) -> Option<String> {
    let code = cleaned(code);
    let words = code.split(' ').count();
    // Zoho's `Access Denied` is one; the longest registered code has 33 bytes.
    let is_code = words <= 3 && code.split(' ').all(|word| word.len() <= 48);
    Some(code).filter(|code| is_code && !code.is_empty())
}

/// What a provider's rule says for a reason.
fn reason_by(rule: &TokenRule, evidence: &Evidence<'_>) -> Option<String> {
    let there = rule.reason_at.as_ref().and_then(|path| evidence.texts(path).into_iter().next());
    there.or_else(|| rule.reason.clone()).map(|reason| cleaned(&reason))
}
