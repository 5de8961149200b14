//! `import`: a login that somebody else made.

use std::fs::File;
use std::io::{IsTerminal as _, Read as _, stdin};
use std::path::Path;

use regrant::{Answer, Client, ClientAuthentication, Grant, Origin, Secret};
use regrant_core::Record;
use regrant_core::protocol::{TokenReply, read_token_reply};
use serde_json::{Value, json};

use super::{Context, origin, url};
use crate::args::{Auth, Import};
use crate::error::Failure;
use crate::time;

/// The longest token response that is read, as at a refresh: 1 MiB.
const LONGEST: u64 = 1 << 20;

/// The longest client secret: 64 KiB, which also holds a key that somebody names by mistake.
const LONGEST_SECRET: u64 = 1 << 16;

pub(super) async fn run(import: &Import, context: &Context) -> Result<(), Failure> {
    let client = client(import, context.global.profile.as_deref())?;
    let origins = import.apis.iter().map(|api| origin(api)).collect::<Result<Vec<_>, _>>()?;
    let grant = grant(&response(context)?)?;

    let store = context.store().await?;
    let opened = context.session(&store)?;
    let installed = opened.session().install(client, origins.clone(), grant.clone()).await;
    opened.close_after(installed.map_err(Failure::from)).await?;

    let generation = read_back(context, &grant).await?;
    let account = &context.global.account;
    let now = time::now();
    let expires_at = grant.expires_in.map(|lifetime| now + lifetime);
    let mut prose = format!("Imported {account:?}, good for {}.", list(&origins));
    match expires_at {
        Some(at) => prose += &format!(" The token expires at {}.", time::with_distance(at, now)),
        None => prose += " The server does not say when the token expires.",
    }
    if grant.refresh_token.is_none() {
        context.output.note(
            "this token response has no refresh token: when the token ends, a login is needed",
        );
    }
    let answer = json!({
        "account": account,
        "generation": generation,
        "expires_at": time::json(expires_at),
        "scope": grant.scope,
        "has_refresh_token": grant.refresh_token.is_some(),
        "origins": origins.iter().map(Origin::to_string).collect::<Vec<_>>(),
        "store": store.url(),
    });
    context.output.answer(&prose, &answer)?;
    Ok(())
}

/// Loads it again, past everything that this process remembers.
async fn read_back(context: &Context, grant: &Grant) -> Result<u64, Failure> {
    let store = context.store().await?;
    let record = store.load(&context.global.account).await?;
    let is_there = |record: &Record| {
        record.slot().is_some_and(|slot| slot.access_token.is(&grant.access_token))
    };
    match record {
        Some(record) if is_there(&record) => Ok(record.generation),
        Some(_) | None => Err(Failure::other(
            "internal",
            "another login or logout came at the same moment and took the place of this one",
        )
        .remedy("see `regrant status`, and import again if that is not what you want")),
    }
}

fn client(import: &Import, profile: Option<&str>) -> Result<Client, Failure> {
    url(&import.token_endpoint, "the token endpoint")?;
    if let Some(endpoint) = &import.revocation_endpoint {
        url(endpoint, "the revocation endpoint")?;
    }
    if let Some(issuer) = &import.issuer {
        url(issuer, "the issuer")?;
    }
    if import.client_id.is_empty() {
        return Err(Failure::usage("the client id is empty"));
    }
    let secret = import.client_secret_file.as_deref().map(secret).transpose()?;
    let mut client = Client::new(&import.token_endpoint, &import.client_id);
    client.authentication = match (import.auth, &secret) {
        (None | Some(Auth::Basic), Some(_)) => ClientAuthentication::ClientSecretBasic,
        (Some(Auth::Post), Some(_)) => ClientAuthentication::ClientSecretPost,
        (None | Some(Auth::None), None) => ClientAuthentication::None,
        (Some(Auth::Basic | Auth::Post), None) => {
            return Err(Failure::usage("this way to authenticate needs a client secret")
                .remedy("name a file with --client-secret-file"));
        }
        (Some(Auth::None), Some(_)) => {
            return Err(Failure::usage("a public client has no secret")
                .remedy("leave --client-secret-file or --auth none away"));
        }
    };
    client.client_secret = secret;
    client.revocation_endpoint.clone_from(&import.revocation_endpoint);
    client.issuer.clone_from(&import.issuer);
    client.profile = profile.map(str::to_owned);
    Ok(client)
}

/// A secret in a file, without the end of its line.
fn secret(path: &Path) -> Result<Secret, Failure> {
    let unreadable = "the file of the client secret cannot be read";
    let mut text = String::new();
    let read = File::open(path)
        .and_then(|file| file.take(LONGEST_SECRET + 1).read_to_string(&mut text))
        .map_err(|error| Failure::usage(unreadable).because(&error));
    let secret = Secret::new(text);
    read?;
    let trimmed = secret.expose().trim_end_matches(['\r', '\n']);
    if trimmed.is_empty() || secret.expose().len() as u64 > LONGEST_SECRET {
        return Err(Failure::usage(
            "the file of the client secret is empty, or longer than 64 KiB",
        ));
    }
    Ok(Secret::new(trimmed.to_owned()))
}

/// What stands on standard input.
fn response(context: &Context) -> Result<Secret, Failure> {
    let input = stdin().lock();
    if input.is_terminal() {
        context.output.note("reading a token response (JSON) from standard input");
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
fn grant(response: &Secret) -> Result<Grant, Failure> {
    let body = response.expose().as_bytes();
    let content_type = Some("application/json");
    let reply = TokenReply { status: 200, content_type, body, ..TokenReply::default() };
    match read_token_reply(&reply) {
        // What a refresh brings is kept whatever it looks like; what a person gives is checked.
        (Answer::Granted(grant), _)
            if grant.refresh_token.as_ref().is_some_and(|t| !is_text(t)) =>
        {
            Err(Failure::usage("`refresh_token` has characters that no token has")
                .remedy("give the token response as the authorization server wrote it"))
        }
        (Answer::Granted(grant), _) if grant.token_type.eq_ignore_ascii_case("bearer") => Ok(grant),
        (Answer::Granted(_), _) => Err(Failure::usage("regrant sends bearer tokens only")
            .remedy("ask the authorization server for a token_type of Bearer")),
        (
            Answer::Unusable { .. } | Answer::Refused(_) | Answer::Failed(_) | Answer::NonceWanted,
            rule,
        ) => Err(Failure::usage(malformed(response, rule))
            .remedy("give the token response of a login (RFC 6749 section 5.1) on standard input")),
    }
}

/// Visible ASCII alone (RFC 6749 appendix A.17).
fn is_text(token: &Secret) -> bool {
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
        let code: String = code.chars().filter(|c| !c.is_control()).take(64).collect();
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

fn list(origins: &[Origin]) -> String {
    origins.iter().map(Origin::to_string).collect::<Vec<_>>().join(", ")
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
            let failure = grant(&Secret::new(text.to_owned())).unwrap_err();
            let shown = failure.to_prose();
            assert!(shown.contains(says) && !shown.contains("canary"), "{text}: {shown}");
            assert_eq!(failure.exit, Exit::Usage);
        }
    }

    #[test]
    fn a_token_response_is_read_as_at_a_refresh() {
        let text = "{\"access_token\":\"a\",\"token_type\":\"bearer\",\"expires_in\":\"60\"}";
        let grant = grant(&Secret::new(text.to_owned())).unwrap();
        assert_eq!(grant.expires_in, Some(std::time::Duration::from_secs(60)));
    }
}
