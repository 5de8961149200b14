//! What an API's answer says about the token that the request carried.

use alloc::borrow::Cow;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use super::base64;
use super::challenge::{Challenge, challenges};
use super::class::Class;
use super::members::{Members, as_json};
use super::profile::{ApiRule, Profile, ScopeAt};
use super::rule::Evidence;
use super::text::{MAX_RETRY_AFTER, cleaned, is_fit, rounded_up};
use super::{Headers, is_form, lines, nonce};
use crate::grant::{Strength, Verdict};

/// How much of a body is read. One that is cut off there is not JSON and so gives no evidence.
const MAX_BODY: usize = 64 * 1024;
/// The schemes under which OAuth tokens are challenged for.
const OAUTH_SCHEMES: [&str; 4] = ["Bearer", "DPoP", "OAuth", "PoP"];
/// The most scopes, or classes of authentication, that are taken from one answer.
const MAX_WORDS: usize = 256;

/// An answer of an API, and what of the request it is read against.
#[derive(Clone, Copy, Default)]
pub struct ApiReply<'a> {
    /// The scheme under which the request carried a token; `None` if it carried none.
    pub scheme: Option<&'a str>,
    /// The status code.
    pub status: u16,
    /// The lines of the header, and those of the trailers.
    pub headers: Headers<'a>,
    /// `Retry-After` (RFC 9110 section 10.2.3) as a length: a date is measured against the
    /// answer's own `Date`, and what is neither form counts as absent.
    pub retry_after: Option<Duration>,
    /// The body, or its first 64 KiB and one byte. Only that of a 401, 403 or 429 is looked at,
    /// and what [`Profile::reads_body`] names.
    pub body: &'a [u8],
}

impl fmt::Debug for ApiReply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Some APIs quote the token in their challenge and in their body.
        f.debug_struct("ApiReply")
            .field("scheme", &self.scheme)
            .field("status", &self.status)
            .field("retry_after", &self.retry_after)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .finish_non_exhaustive()
    }
}

/// What an API's answer says.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ApiReading<'p> {
    /// What it says about the token.
    pub verdict: Verdict,
    /// What it is about.
    pub class: Class,
    /// The rule that decided: one of the default table, or a provider's as `profile.rule`.
    pub rule: Cow<'p, str>,
    /// Why, for logs: the server's own code, or a word of ours. Cleaned, at most 256 bytes.
    pub reason: Option<String>,
    /// How long the server asks to be left alone, in header or body, at most a day.
    pub retry_after: Option<Duration>,
    /// The scope that is missing, or that the server advises to ask for.
    pub scope: Vec<String>,
    /// The claims that a token must have, decoded: for [`Class::ClaimsChallenge`] alone, and not
    /// even then always.
    pub claims: Option<String>,
    /// The authentication that is wanted, best first (RFC 9470 section 3).
    pub acr_values: Vec<String>,
    /// How old the authentication may be, in seconds (RFC 9470 section 3).
    pub max_age: Option<u64>,
    /// The nonce for the next proof (RFC 9449 section 9), on any answer.
    pub nonce: Option<String>,
    /// Where the API describes itself (RFC 9728 section 5.1). Nothing is fetched from there at run
    /// time: an API could name any authorization server.
    pub resource_metadata: Option<String>,
}

impl ApiReading<'_> {
    /// The same without a loan of the profile.
    pub fn into_owned(self) -> ApiReading<'static> {
        ApiReading { rule: Cow::Owned(self.rule.into_owned()), ..self }
    }
}

/// Reads an API's answer (the table is in the [module's documentation](super)).
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
///     headers: &[("WWW-Authenticate", br#"Bearer error="invalid_token""#)],
///     ..ApiReply::default()
/// };
/// let reading = read_api_reply(&reply, None);
/// assert_eq!(reading.verdict, Verdict::Rejected(Strength::Strong));
/// assert_eq!((reading.class, &*reading.rule), (Class::TokenRejected, "challenge"));
/// ```
pub fn read_api_reply<'p>(reply: &ApiReply<'_>, profile: Option<&'p Profile>) -> ApiReading<'p> {
    let offered = match reply.status {
        400..500 => challenges(lines(reply.headers, "www-authenticate")),
        _ => Vec::new(),
    };
    let body = Some(reply.body).filter(|body| body.len() <= MAX_BODY);
    Reading { reply, offered: &offered, body: body.unwrap_or_default() }.read(profile)
}

/// An answer, taken apart.
struct Reading<'r, 'a> {
    reply: &'r ApiReply<'a>,
    offered: &'r [Challenge],
    /// Empty if it is longer than what is read.
    body: &'a [u8],
}

impl<'r> Reading<'r, '_> {
    fn read<'p>(&self, profile: Option<&'p Profile>) -> ApiReading<'p> {
        let status = self.reply.status;
        let Some(used) = self.reply.scheme else {
            return ApiReading { scope: self.advice(), ..self.of(Class::NotAuth, "no_token_sent") };
        };
        if matches!(status, 407 | 511) {
            return self.of(Class::NotAuth, "network_status");
        }
        let nonce_wanted = self.offered.iter().any(|challenge| {
            challenge.is_scheme("DPoP")
                && challenge.param("error").is_some_and(|code| is_code(code, "use_dpop_nonce"))
        });
        if nonce_wanted && used.eq_ignore_ascii_case("DPoP") && matches!(status, 400 | 401) {
            return match nonce(self.reply.headers) {
                Ok(_) => self.of(Class::DpopNonce, "dpop_nonce"),
                Err(why) => self.because(Class::NotAuth, "dpop_nonce_unusable", why),
            };
        }
        if let Some(reading) = profile.and_then(|profile| self.by_profile(profile)) {
            return reading;
        }
        if status == 200 && is_grpc(self.reply.headers) {
            let statuses: Vec<_> = lines(self.reply.headers, "grpc-status").collect();
            return match statuses[..] {
                [b"16"] => self.of(Class::TokenRejected, "grpc_status"),
                [b"8"] => self.of(Class::RateLimited, "grpc_status"),
                [b"0"] => self.accepted("grpc_status"),
                _ => self.of(Class::NotAuth, "grpc_status"),
            };
        }
        let mut exhausted = lines(self.reply.headers, "x-ratelimit-remaining");
        match status {
            ..400 => return self.accepted("below_400"),
            429 => return self.of(Class::RateLimited, "too_many_requests"),
            500.. => return self.of(Class::NotAuth, "server_error"),
            403 if self.reply.retry_after.is_some()
                || exhausted.any(|line| line.trim_ascii() == b"0") =>
            {
                return self.of(Class::RateLimited, "forbidden_for_now");
            }
            _ => {}
        }
        let of_used = |challenge: &&Challenge| challenge.is_scheme(used);
        if let Some((class, challenge)) = class_of(self.offered.iter().filter(of_used), status) {
            return self.by_challenge(class, challenge, "challenge");
        }
        if let Some((class, challenge)) = class_of(self.offered.iter().filter(is_oauth), status) {
            return self.by_challenge(class, challenge, "other_challenge");
        }
        if let Some(reading) = self.by_body() {
            return reading;
        }
        if status != 401 {
            return self.of(Class::NotAuth, "other");
        }
        // Another token would be of the same kind.
        let mut oauth = self.offered.iter().filter(is_oauth).peekable();
        if used.eq_ignore_ascii_case("Bearer")
            && oauth.peek().is_some()
            && oauth.all(|challenge| challenge.is_scheme("DPoP"))
        {
            return self.because(Class::NotAuth, "scheme_mismatch", "scheme_mismatch");
        }
        ApiReading {
            verdict: Verdict::Rejected(Strength::Weak),
            scope: self.advice(),
            ..self.of(Class::TokenRejected, "bare_401")
        }
    }

    /// The scope that a challenge without a code advises to ask for.
    fn advice(&self) -> Vec<String> {
        let scope = self.offered.iter().filter(is_oauth).find_map(|c| c.param("scope"));
        words(scope.unwrap_or_default(), ' ')
    }

    /// A class with the verdict that it brings where its rule knows no better, and with what any
    /// answer can say besides.
    fn of<'p>(&self, class: Class, rule: &'static str) -> ApiReading<'p> {
        let verdict = match class {
            Class::TokenRejected | Class::Revoked | Class::ClaimsChallenge => {
                Verdict::Rejected(Strength::Strong)
            }
            Class::InsufficientScope | Class::StepUp => Verdict::Accepted,
            Class::DpopNonce | Class::RateLimited | Class::NotAuth => Verdict::Silent,
        };
        let metadata = self.offered.iter().find_map(|c| c.param("resource_metadata"));
        ApiReading {
            verdict,
            class,
            rule: Cow::Borrowed(rule),
            reason: None,
            retry_after: self.retry_after(class),
            scope: Vec::new(),
            claims: None,
            acr_values: Vec::new(),
            max_age: None,
            nonce: nonce(self.reply.headers).ok().map(Into::into),
            resource_metadata: metadata.filter(|url| is_fit(url)).map(Into::into),
        }
    }

    fn because<'p>(&self, class: Class, rule: &'static str, why: &str) -> ApiReading<'p> {
        ApiReading { reason: Some(cleaned(why)), ..self.of(class, rule) }
    }

    fn accepted<'p>(&self, rule: &'static str) -> ApiReading<'p> {
        ApiReading { verdict: Verdict::Accepted, ..self.of(Class::NotAuth, rule) }
    }

    /// What a challenge's code says, with the parameters beside it.
    fn by_challenge<'p>(
        &self,
        class: Class,
        challenge: &Challenge,
        rule: &'static str,
    ) -> ApiReading<'p> {
        let param = |name| challenge.param(name).unwrap_or_default();
        let code = param("error");
        let why = if is_code(code, "invalid_dpop_proof") { "dpop_proof" } else { code };
        let claims = Some(param("claims")).filter(|_| class == Class::ClaimsChallenge);
        ApiReading {
            scope: words(param("scope"), ' '),
            claims: claims.and_then(claims_of),
            acr_values: words(param("acr_values"), ' '),
            max_age: param("max_age").trim().parse().ok(),
            ..self.because(class, rule, why)
        }
    }

    /// What an `error` in the body says, which some APIs give instead of a challenge.
    fn by_body<'p>(&self) -> Option<ApiReading<'p>> {
        if !matches!(self.reply.status, 401 | 403) {
            return None;
        }
        let members = Members::json(self.body)?;
        let code = members.text("error")?;
        let class = class_of_code(&code, self.reply.status)?;
        let scope = members.words("scope").unwrap_or_default();
        Some(ApiReading { scope: words(&scope, ' '), ..self.because(class, "body", &code) })
    }

    /// What the provider's own rules say.
    fn by_profile<'p>(&self, profile: &'p Profile) -> Option<ApiReading<'p>> {
        let text = core::str::from_utf8(self.body).ok();
        let json = as_json(self.body);
        let evidence = Evidence {
            status: self.reply.status,
            headers: self.reply.headers,
            offered: self.offered,
            text: json.or(text),
            is_json: json.is_some(),
            is_form: is_form(self.reply.headers),
        };
        let status = self.reply.status;
        // A busy server knows nothing of the token, unless the rule means just that.
        let busy = matches!(status, 429 | 500..);
        let rule = profile.api.iter().find(|rule| {
            let rejects = matches!(rule.class, Class::TokenRejected | Class::Revoked);
            let in_place = !(rejects && busy) || rule.when.names_status(status);
            in_place && rule.when.holds(&evidence)
        })?;
        let reading = self.of(rule.class, "");
        let verdict = match (reading.verdict, rule.strength) {
            (Verdict::Rejected(_), Some(strength)) => Verdict::Rejected(strength),
            (verdict, _) => verdict,
        };
        Some(ApiReading {
            verdict,
            rule: Cow::Owned(alloc::format!("{}.{}", profile.name(), rule.name)),
            reason: Some(cleaned(&rule.name)),
            scope: self.scope_by(rule, &evidence, profile.scope_separator.unwrap_or(' ')),
            ..reading
        })
    }

    fn scope_by(&self, rule: &ApiRule, evidence: &Evidence<'_>, separator: char) -> Vec<String> {
        let text = evidence.text.unwrap_or_default();
        match &rule.scope {
            None => Vec::new(),
            Some(ScopeAt::Path(path)) => {
                let scopes = evidence.texts(path);
                let mut scopes: Vec<_> =
                    scopes.iter().flat_map(|scope| words(scope, separator)).collect();
                scopes.truncate(MAX_WORDS);
                scopes
            }
            Some(ScopeAt::Challenge) => self.advice(),
            Some(ScopeAt::Between(before, after)) => {
                let inner = text.split_once(before.as_str()).map(|(_, rest)| rest);
                let inner = inner.and_then(|rest| rest.split_once(after.as_str()));
                words(inner.map_or("", |(inner, _)| inner), ',')
            }
            Some(ScopeAt::After(before)) => {
                let rest = text.split_once(before.as_str()).map_or("", |(_, rest)| rest);
                let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\\' | ','));
                words(&rest[..end.unwrap_or(rest.len())], ' ')
            }
        }
    }

    /// The longer of the waits that header and body ask for.
    fn retry_after(&self, class: Class) -> Option<Duration> {
        let in_body = || Members::json(self.body)?.number("retry_after").map(rounded_up);
        let in_body = if class == Class::RateLimited { in_body() } else { None };
        self.reply.retry_after.max(in_body).map(|wait| wait.min(MAX_RETRY_AFTER))
    }
}

fn is_oauth(challenge: &&Challenge) -> bool {
    OAUTH_SCHEMES.iter().any(|scheme| challenge.is_scheme(scheme))
}

/// The words of a list, cleaned, in their order.
fn words(list: &str, separator: char) -> Vec<String> {
    let apart = |c: char| c.is_whitespace() || c == separator;
    list.split(apart).map(cleaned).filter(|word| !word.is_empty()).take(MAX_WORDS).collect()
}

/// The claims of a challenge: JSON, or JSON in base64 or base64url (OpenID Connect CAEP usage and
/// Microsoft's claims challenge). What is neither says nothing.
fn claims_of(param: &str) -> Option<String> {
    let param = param.trim();
    let claims = if param.starts_with('{') {
        param.to_string()
    } else {
        String::from_utf8(base64::decode(param)?).ok()?
    };
    as_json(claims.as_bytes()).filter(|text| text.starts_with('{'))?;
    Some(claims)
}

/// The class of the challenges' error codes, `None` if none is known. Of several, the one that
/// asks for more than a refresh counts: a refresh would be spent in vain.
fn class_of<'a>(
    offered: impl Iterator<Item = &'a Challenge>,
    status: u16,
) -> Option<(Class, &'a Challenge)> {
    let known: Vec<_> = offered
        .filter_map(|challenge| {
            Some((class_of_code(challenge.param("error")?, status)?, challenge))
        })
        .collect();
    [
        Class::ClaimsChallenge,
        Class::StepUp,
        Class::InsufficientScope,
        Class::TokenRejected,
        Class::NotAuth,
    ]
    .into_iter()
    .find_map(|class| known.iter().find(|(known, _)| *known == class).copied())
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

fn is_grpc(headers: Headers<'_>) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    lines(headers, "content-type").next().is_some_and(|line| {
        line.trim_ascii().get(..GRPC.len()).is_some_and(|start| start.eq_ignore_ascii_case(GRPC))
    })
}
