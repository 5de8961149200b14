//! A token response, as the authorization server of a login wrote it.

use std::io::{IsTerminal as _, Read as _, stdin};

use regrant::{Answer, Grant, Secret};
use regrant_core::protocol::{Headers, Profile, TokenReply, cleaned, read_token_reply};
use serde_json::Value;

use crate::error::Failure;
use crate::output::Output;

/// The longest token response that is read, as at a refresh: 1 MiB.
const LONGEST: u64 = 1 << 20;

/// What stands on standard input.
pub(super) fn response(output: Output) -> Result<Secret, Failure> {
    let input = stdin().lock();
    if input.is_terminal() {
        output.note("reading a token response (JSON) from standard input");
    }
    let mut text = String::new();
    let read = input.take(LONGEST + 1).read_to_string(&mut text);
    let text = Secret::new(text);
    read.map_err(|error| Failure::usage("standard input cannot be read").because(&error))?;
    if text.expose().len() as u64 > LONGEST {
        return Err(Failure::usage("the token response is longer than 1 MiB"));
    }
    Ok(text)
}

/// Reads the response as the answer to a refresh is read.
pub(super) fn grant(response: &Secret, profile: Option<&Profile>) -> Result<Grant, Failure> {
    let body = response.expose().as_bytes();
    let headers: Headers<'_> = &[("content-type", b"application/json")];
    let reply = TokenReply { status: 200, headers, body, ..TokenReply::default() };
    let reading = read_token_reply(&reply, profile);
    match reading.answer {
        // What a refresh brings is kept whatever it looks like; what a person gives is checked.
        Answer::Granted(_) if has_unfit_refresh_token(response) => {
            Err(Failure::usage("`refresh_token` has characters that no token has")
                .remedy("give the token response as the authorization server wrote it"))
        }
        Answer::Granted(grant) if grant.token_type.eq_ignore_ascii_case("bearer") => Ok(grant),
        Answer::Granted(_) => Err(Failure::usage("regrant sends bearer tokens only")
            .remedy("ask the authorization server for a token_type of Bearer")),
        Answer::Unusable { .. } | Answer::Refused(_) | Answer::Failed(_) | Answer::NonceWanted => {
            Err(Failure::usage(malformed(response, &reading.rule)).remedy(
                "give the token response of a login (RFC 6749 section 5.1) on standard input",
            ))
        }
    }
}

/// Whether the refresh token is one that no request could carry. The reader drops such a one, or
/// what is wrong at its end, for the old one is better than none; here there is no old one.
fn has_unfit_refresh_token(response: &Secret) -> bool {
    let value: Value = serde_json::from_str(response.expose()).unwrap_or_default();
    let token = value["refresh_token"].as_str();
    token.is_some_and(|token| !is_text(&Secret::new(token.to_owned())))
}

/// Visible ASCII alone (RFC 6749 appendix A.17).
pub(super) fn is_text(token: &Secret) -> bool {
    token.expose().bytes().all(|byte| (0x20..=0x7e).contains(&byte))
}

/// What is missing. Nothing of the input is quoted but an error code: it holds tokens.
fn malformed(response: &Secret, rule: &str) -> String {
    let text = response.expose().trim_start_matches('\u{feff}');
    if text.trim().is_empty() {
        return "standard input is empty where a token response should be".to_owned();
    }
    let Ok(value) = serde_json::from_str::<Value>(text) else {
        return "the token response is not JSON".to_owned();
    };
    let Value::Object(members) = value else {
        return "the token response is JSON, but not an object".to_owned();
    };
    if let Some(Value::String(code)) = members.get("error") {
        let code = cleaned(code);
        return format!("this is an error response ({code}), not a token response");
    }
    match members.get("access_token") {
        None | Some(Value::Null) => "the token response has no `access_token`".to_owned(),
        Some(Value::String(token)) if token.is_empty() => {
            "`access_token` in the token response is empty".to_owned()
        }
        Some(Value::String(_)) if rule == "token_type" => {
            "`token_type` in the token response is none that regrant knows".to_owned()
        }
        Some(Value::String(_)) if rule == "repeated_member" => {
            "the token response has a member twice".to_owned()
        }
        Some(Value::String(_)) => {
            "`access_token` in the token response holds characters that no token has".to_owned()
        }
        Some(_) => "`access_token` in the token response is not a string".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    #[test]
    fn a_malformed_response_says_what_is_missing_and_quotes_no_token() {
        for (text, says) in [
            ("", "empty"),
            ("canary", "not JSON"),
            ("[\"canary\"]", "not an object"),
            ("{\"refresh_token\":\"canary\"}", "no `access_token`"),
            ("{\"access_token\":7}", "not a string"),
            ("{\"access_token\":\"\"}", "is empty"),
            ("{\"access_token\":\"canary\\u0007\"}", "characters"),
            ("{\"access_token\":\"canary\",\"token_type\":\"mac\"}", "`token_type`"),
            ("{\"error\":\"invalid_grant\"}", "invalid_grant"),
            ("{\"access_token\":\"canary1\",\"access_token\":\"canary2\"}", "twice"),
        ] {
            let failure = grant(&Secret::new(text.to_owned()), None).unwrap_err();
            let shown = failure.to_prose();
            assert!(shown.contains(says) && !shown.contains("canary"), "{text}: {shown}");
            assert_eq!(failure.exit, Exit::Usage);
        }
    }

    #[test]
    fn a_token_response_is_read_as_at_a_refresh() {
        let text = "{\"access_token\":\"a\",\"token_type\":\"bearer\",\"expires_in\":\"60\"}";
        let grant = grant(&Secret::new(text.to_owned()), None).unwrap();
        assert_eq!(grant.expires_in, Some(std::time::Duration::from_secs(60)));
    }
}
