//! What regrant makes of an answer, and what it would do.

use std::time::Duration;

use regrant::{
    Answer, Applied, Cause, Failure, Grant, Profile, RefusalKind, Secret, Strength, Verdict,
};
use regrant_core::protocol::{Class, challenges, read_api_reply, read_token_reply};
use serde_json::{Map, Value, json};

use super::answer::{Asked, HttpAnswer};
use crate::time;

/// What an answer means: the members of the JSON object, and a sentence for people.
#[derive(Debug)]
pub(super) struct Meaning {
    class: String,
    strength: Option<&'static str>,
    rule: String,
    reason: Option<String>,
    values: Map<String, Value>,
    /// What regrant does about it.
    next: &'static str,
}

/// The words of a transport, or parts of them, after which nothing can have been sent: no name,
/// no connection, no TLS.
const UNSENT: [&str; 6] = ["before_send", "connect_", "dns", "refused", "tls", "unreachable"];

impl Meaning {
    /// Of an API's answer.
    pub(super) fn of_api(answer: &HttpAnswer, asked: &Asked, profile: Option<&Profile>) -> Self {
        let lines = answer.lines();
        let reading = read_api_reply(&answer.api_reply(&lines, asked), profile);
        let offered = answer.headers.iter();
        let offered = offered.filter(|(name, _)| name.eq_ignore_ascii_case("www-authenticate"));
        let offered = challenges(offered.map(|(_, line)| line.as_slice())).len();
        let strength = match reading.verdict {
            Verdict::Rejected(strength) if reading.class == Class::TokenRejected => Some(strength),
            Verdict::Rejected(_) | Verdict::Accepted | Verdict::Silent => None,
        };
        Self {
            class: format!("{:?}", reading.class),
            strength: strength.map(|strength| match strength {
                Strength::Strong => "strong",
                Strength::Weak => "weak",
            }),
            rule: reading.rule.into_owned(),
            reason: reading.reason,
            values: members(json!({
                "retry_after": seconds(reading.retry_after),
                "scope": list(reading.scope),
                "claims": reading.claims,
                "acr_values": list(reading.acr_values),
                "max_age": reading.max_age,
                "nonce": reading.nonce,
                "challenges": offered,
                "resource_metadata": reading.resource_metadata,
            })),
            next: after_api(reading.class, strength),
        }
    }

    /// Of the token endpoint's answer.
    pub(super) fn of_token(answer: &HttpAnswer, asked: &Asked, profile: Option<&Profile>) -> Self {
        let lines = answer.lines();
        let reading = read_token_reply(&answer.token_reply(&lines, asked), profile);
        let mut meaning = Self {
            class: token_class(&reading.answer).to_owned(),
            strength: None,
            rule: reading.rule.into_owned(),
            reason: reading.reason,
            values: Map::new(),
            next: after_token(&reading.answer),
        };
        let ambiguous = match &reading.answer {
            Answer::Granted(grant) => {
                meaning.values = granted(grant);
                false
            }
            Answer::Refused(_) | Answer::NonceWanted => false,
            Answer::Failed(failure) => meaning.failed(failure),
            Answer::Unusable { refresh_token, failure } => {
                let ambiguous = meaning.failed(failure);
                meaning.put("refresh_token", refresh_token.expose().into());
                ambiguous
            }
        };
        meaning.put("ambiguous", ambiguous.into());
        meaning.put("nonce", reading.nonce.into());
        meaning.put("claims", reading.claims.into());
        meaning
    }

    /// Of what happened in the place of an API's answer.
    pub(super) fn of_silent_api(word: &str) -> Self {
        Self::of_nothing(word, format!("{:?}", Class::NotAuth), after_api(Class::NotAuth, None))
    }

    /// Of what happened in the place of the token endpoint's answer.
    pub(super) fn of_silent_token_endpoint(word: &str) -> Self {
        let may_have_been_sent =
            word.contains("after_send") || !UNSENT.iter().any(|unsent| word.contains(unsent));
        let (cause, applied) = match may_have_been_sent {
            true => (Cause::NoAnswer, Applied::Perhaps),
            false => (Cause::Unreachable, Applied::No),
        };
        let failure = Failure { cause, applied, retry_after: None, code: None };
        let answer = Answer::Failed(failure);
        let mut meaning = Self::of_nothing(word, token_class(&answer), after_token(&answer));
        meaning.put("ambiguous", may_have_been_sent.into());
        meaning
    }

    fn of_nothing(word: &str, class: impl Into<String>, next: &'static str) -> Self {
        Self {
            class: class.into(),
            strength: None,
            rule: "no_answer".to_owned(),
            reason: Some(word.to_owned()),
            values: Map::new(),
            next,
        }
    }

    fn put(&mut self, name: &str, value: Value) {
        self.values.insert(name.to_owned(), value);
    }

    /// Whether the server may have acted on the request.
    fn failed(&mut self, failure: &Failure) -> bool {
        self.put("retry_after", seconds(failure.retry_after));
        failure.applied != Applied::No
    }

    /// As a batch writes it. What is not there is left out.
    pub(super) fn to_json(&self) -> Map<String, Value> {
        let mut members = members(json!({
            "class": self.class,
            "strength": self.strength,
            "rule": self.rule,
            "reason": self.reason,
        }));
        members.extend(self.values.clone());
        members.retain(|_, value| !value.is_null());
        members
    }

    /// For people. A token is not shown.
    pub(super) fn to_prose(&self) -> String {
        let mut about = self.class.clone();
        if let Some(strength) = self.strength {
            about += &format!(" ({strength})");
        }
        let mut lines = vec![("about", about), ("regrant", self.next.to_owned())];
        lines.push(("rule", self.rule.clone()));
        lines.extend(self.reason.clone().map(|reason| ("reason", reason)));
        for (name, label) in SHOWN {
            let Some(value) = self.values.get(name) else { continue };
            let text = match value {
                Value::Null | Value::Bool(false) => continue,
                Value::Bool(true) => "the server may have acted on the request".to_owned(),
                Value::Number(number) if SECONDS.contains(&name) => {
                    time::length(Duration::from_secs(number.as_u64().unwrap_or_default()))
                }
                Value::String(text) => text.clone(),
                Value::Array(words) => {
                    words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
                }
                value => value.to_string(),
            };
            lines.push((label, text));
        }
        let lines = lines.into_iter().map(|(name, value)| format!("{name:<15}{value}\n"));
        lines.collect::<String>().trim_end().to_owned()
    }
}

/// The values that people are shown, with their names for them.
const SHOWN: [(&str, &str); 11] = [
    ("scope", "scope"),
    ("claims", "claims"),
    ("acr_values", "wanted login"),
    ("max_age", "not older than"),
    ("retry_after", "wait"),
    ("nonce", "nonce"),
    ("resource_metadata", "described at"),
    ("expires_in", "lives"),
    ("refresh_expires_in", "login lives"),
    ("token_type", "type"),
    ("ambiguous", "uncertain"),
];

/// Those of them that are lengths of time.
const SECONDS: [&str; 4] = ["max_age", "retry_after", "expires_in", "refresh_expires_in"];

fn granted(grant: &Grant) -> Map<String, Value> {
    let scope = grant.scope.as_deref().unwrap_or_default().split_ascii_whitespace();
    members(json!({
        "expires_in": seconds(grant.expires_in),
        "refresh_token": grant.refresh_token.as_ref().map(Secret::expose),
        "refresh_expires_in": seconds(grant.refresh_expires_in),
        "scope": list(scope.map(str::to_owned).collect()),
        "token_type": grant.token_type.to_lowercase(),
    }))
}

/// The name of a class in the fixtures: a wanted nonce passes by itself, as what is transient
/// does, and what cannot be used is no grant.
fn token_class(answer: &Answer) -> &'static str {
    match answer {
        Answer::Granted(grant) if grant.refresh_token.is_some() => "Granted",
        Answer::Granted(_) => "GrantedKeepRefreshToken",
        Answer::Refused(_) => "NeedsLogin",
        Answer::NonceWanted => "Transient",
        Answer::Unusable { .. } => "Malformed",
        Answer::Failed(failure) => match failure.cause {
            Cause::Unreachable
            | Cause::NameUnresolved
            | Cause::TlsFailed
            | Cause::Unavailable
            | Cause::RateLimited
            | Cause::NoAnswer => "Transient",
            Cause::ClientMisconfigured => "ClientMisconfigured",
            Cause::NotOauth | Cause::UnknownError | Cause::EndpointMoved => "Malformed",
            // The enum may grow; an unknown cause never logs anybody out.
            _ => "Malformed",
        },
    }
}

fn after_api(class: Class, strength: Option<Strength>) -> &'static str {
    match (class, strength) {
        (Class::TokenRejected, Some(Strength::Weak)) => {
            "refreshes the token, once until this API accepts one, and sends the request again"
        }
        (Class::TokenRejected, _) => "refreshes the token and sends the request again",
        (Class::Revoked, _) => {
            "asks the authorization server by one refresh; only that server's answer ends the login"
        }
        (Class::InsufficientScope, _) => {
            "hands the answer to the caller: the token is good and does not reach this far"
        }
        (Class::StepUp, _) => {
            "hands the answer to the caller: only a login in the way that is asked for helps"
        }
        (Class::ClaimsChallenge, _) => {
            "asks for a token with these claims, and sends the request again"
        }
        (Class::DpopNonce, _) => "wants the request again, with a new proof that has the nonce",
        (Class::RateLimited, _) => "hands the answer to the caller, who waits; the token is good",
        // `NotAuth`, and what a later version may add.
        _ => "hands the answer to the caller: it says nothing about the token",
    }
}

fn after_token(answer: &Answer) -> &'static str {
    match answer {
        Answer::Granted(grant) if grant.refresh_token.is_some() => {
            "saves the new tokens, then uses them"
        }
        Answer::Granted(_) => "saves the new token, then uses it; the refresh token stays",
        Answer::Refused(refusal) => match refusal.kind {
            RefusalKind::Dead | RefusalKind::Reused => {
                "asks for a login, unless the store has a newer refresh token by now"
            }
            RefusalKind::Interaction => {
                "asks for a login; the refresh token is kept, for the server may take it again"
            }
        },
        Answer::NonceWanted => "sends the request again, with a proof that has the nonce",
        Answer::Unusable { .. } => "keeps the new refresh token, and does not use the access token",
        Answer::Failed(failure) => match (failure.cause, failure.applied) {
            (Cause::ClientMisconfigured | Cause::EndpointMoved, _) => {
                "keeps the tokens, and asks seldom until the client's configuration changes"
            }
            (_, Applied::Perhaps | Applied::PerhapsLater) => {
                "sends the same refresh token once more, soon; nobody is logged out for this"
            }
            (_, Applied::No) => "keeps the tokens and tries again later; nobody is logged out",
        },
    }
}

fn seconds(length: Option<Duration>) -> Value {
    length.map(|length| length.as_secs()).into()
}

fn list(words: Vec<String>) -> Value {
    if words.is_empty() { Value::Null } else { words.into() }
}

fn members(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(members) => members,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_been_sent_is_uncertain() {
        let ambiguous = |word| Meaning::of_silent_token_endpoint(word).values["ambiguous"] == true;
        for word in
            ["timeout_after_send", "reset", "reset_after_send", "truncated_body", "timeout", "x"]
        {
            assert!(ambiguous(word), "{word}");
        }
        for word in [
            "dns",
            "refused",
            "connect_timeout",
            "connect_reset",
            "tls",
            "tls_timeout",
            "dns_error",
        ] {
            assert!(!ambiguous(word), "{word}");
        }
    }

    #[test]
    fn no_prose_of_a_grant_shows_a_token() {
        let answer = HttpAnswer {
            status: 200,
            body: br#"{"access_token":"canary1","refresh_token":"canary2"}"#.to_vec(),
            ..HttpAnswer::default()
        };
        let asked = Asked { scheme: None, sent_scope: false, dpop_required: false };
        let meaning = Meaning::of_token(&answer, &asked, None);
        assert_eq!(meaning.to_json()["refresh_token"], "canary2");
        assert!(!meaning.to_prose().contains("canary"), "{}", meaning.to_prose());
    }
}
