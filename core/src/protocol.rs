//! What goes to an authorization server, and what servers' answers mean.
//!
//! Everything here is a pure function of bytes: [`token_request`] and [`revocation_request`]
//! write the two messages of a credential's life, [`read_token_reply`] says what became of a
//! token request, [`read_api_reply`] what an API's answer says about the token it was sent. A
//! [`Profile`] says what a provider does in its own way.
//! No input makes them panic, and none makes them work longer than its length: a message past a
//! limit is read as one that says nothing.
//!
//! Both tables are read from the top and the first line that fits decides. Its name is returned
//! beside the answer, for logs and events; a provider's rule is `profile.rule`. ("Not about the token" is [`Class::NotAuth`], "not OAuth"
//! [`Cause::NotOauth`](crate::Cause::NotOauth).) The rules of a provider have their place in each
//! table, after what no provider may change.
//!
//! # Answers of the token endpoint
//!
//! | rule | what came | what it means |
//! |---|---|---|
//! | `network_status` | 407, 511 (RFC 9110 section 15.5.8, RFC 6585 section 6) | the network in between answered; the server was not reached |
//! | | | *the rules of a provider* |
//! | `busy_status` | 408, 425, 429, 500 and above | not now, whatever the body says |
//! | `code_and_token` | below 300 with an error code and an access token | neither a grant nor a refusal |
//! | `nonce_wanted` | `use_dpop_nonce` with one valid nonce (RFC 9449 section 8) | send again with it |
//! | `nonce_missing` | `use_dpop_nonce` without one | this client cannot be served |
//! | `transient_code` | `server_error`, `slow_down` and their kin | not now |
//! | `refusal_code` | `invalid_grant` and its kin (RFC 6749 section 5.2) | the refresh token is dead |
//! | `reuse_code` | `refresh_token_reused` | the same, because it was used before |
//! | `interaction_code` | `interaction_required` and its kin, or a refusal with `claims` | the user must act; the refresh token stays good |
//! | `scope_refused` | `invalid_scope` and no scope was sent | consent was withdrawn: the refresh token is dead |
//! | `scope_sent` | `invalid_scope` and a scope was sent (RFC 6749 section 6) | the request was wrong, not the grant |
//! | `client_code` | `invalid_client` and its kin (RFC 6749 section 5.2) | the client is misconfigured |
//! | `unknown_code` | any other code | unknown: it must not log anybody out |
//! | `repeated_member` | a member we read, twice and different (RFC 6749 section 3.2) | not OAuth |
//! | `token_type` | an access token of a type not understood, or not of the type that was demanded (RFC 6749 section 7.1, RFC 9449 section 5) | the access token must not be used |
//! | `granted` | below 300 with an access token (RFC 6749 section 5.1) | a grant |
//! | `no_grant` | anything else below 300 | not OAuth, and the server may have acted |
//! | `redirect` | 300 to 399 | the endpoint moved; never followed (RFC 9700 section 4.12) |
//! | `bare_401` | 401 without a code | the client is misconfigured: at this endpoint 401 means `invalid_client` (RFC 6749 section 5.2) |
//! | `bare_4xx` | anything else | a proxy's page, a wrong address: not OAuth |
//!
//! # Answers of an API
//!
//! | rule | what came | class |
//! |---|---|---|
//! | `no_token_sent` | any answer to a request without a token | not about the token |
//! | `network_status` | 407, 511 | not about the token |
//! | `dpop_nonce` | DPoP was used; 400 or 401 with `use_dpop_nonce` and one valid nonce (RFC 9449 section 9) | nonce wanted |
//! | `dpop_nonce_unusable` | the same with no nonce, several, or a bad one | not about the token |
//! | | | *the rules of a provider* |
//! | `grpc_status` | gRPC on 200 | by its own status: 16 token rejected, 8 rate limited, any other not about the token, which 0 alone says was accepted |
//! | `below_400` | below 400, whatever it carries (RFC 9110 section 11.6.1) | not about the token, which was accepted |
//! | `too_many_requests` | 429 (RFC 6585 section 4) | rate limited |
//! | `server_error` | 500 and above | not about the token |
//! | `forbidden_for_now` | 403 with `Retry-After`, or with no requests left | rate limited |
//! | `challenge` | an error code in a challenge of the scheme that was used (RFC 6750 section 3, RFC 9449 section 7.1, RFC 9470 section 3) | the code's |
//! | `other_challenge` | the same in a challenge of another OAuth scheme | the code's |
//! | `body` | 401 or 403 with such a code as `error` in a JSON body | the code's |
//! | `scheme_mismatch` | 401, Bearer was used, DPoP alone is offered (RFC 9449 section 7.2) | not about the token |
//! | `bare_401` | any other 401 (RFC 9110 section 15.5.2) | token rejected, weakly |
//! | `other` | the rest | not about the token |
//!
//! # Limits
//!
//! No RFC sets any, so these are choices: a token answer of 1 MiB, 64 KiB of an API's body, JSON
//! 32 levels deep, 16 KiB a header line, 32 challenges with 64 parameters each, a nonce of 1 KiB,
//! an error code of 256 bytes (one that no table knows, of three words of 48 bytes: a longer one is
//! a sentence, and could quote what was sent), a lifetime of ten years, a `Retry-After` of a day.
//! Tokens may be as long as the answer.

mod api;
mod base64;
mod challenge;
mod class;
mod form;
mod granting;
mod members;
mod pointer;
mod profile;
mod request;
mod rule;
mod text;
mod token;

pub use api::{ApiReading, ApiReply, read_api_reply};
pub use challenge::{Challenge, challenges};
pub use class::Class;
pub use profile::{Profile, ProfileError};
pub use request::{TokenRequest, revocation_request, token_request};
pub use text::{cleaned, shown_url};
pub use token::{TokenReading, TokenReply, read_token_reply};

/// The lines of a header, each with its name in whatever case, in the order they came.
pub type Headers<'a> = &'a [(&'a str, &'a [u8])];

/// All lines of one field.
fn lines<'a>(headers: Headers<'a>, name: &str) -> impl Iterator<Item = &'a [u8]> {
    let named = move |line: &&(&str, &[u8])| line.0.eq_ignore_ascii_case(name);
    headers.iter().filter(named).map(|(_, line)| *line)
}

/// The nonce that an answer gives: exactly one `DPoP-Nonce` line of one or more NQCHAR (RFC 9449
/// section 8.1), at most 1 KiB; or why there is none.
fn nonce<'a>(headers: Headers<'a>) -> Result<&'a str, &'static str> {
    let mut nonces = lines(headers, "dpop-nonce");
    let nonce = nonces.next().ok_or("dpop_nonce_missing")?;
    if nonces.next().is_some() {
        return Err("dpop_nonce_ambiguous");
    }
    let quotable = |byte: &u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    let fits = (1..=1024).contains(&nonce.len()) && nonce.iter().all(quotable);
    core::str::from_utf8(nonce).ok().filter(|_| fits).ok_or("dpop_nonce_invalid")
}

/// Whether a body that is not JSON may be a form: where the answer says so, or says nothing else.
fn is_form(headers: Headers<'_>) -> bool {
    let line = lines(headers, "content-type").next().unwrap_or_default();
    let essence = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    ["", "application/x-www-form-urlencoded", "text/plain"]
        .iter()
        .any(|form| essence.eq_ignore_ascii_case(form.as_bytes()))
}
