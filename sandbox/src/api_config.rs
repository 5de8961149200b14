//! What one resource API is told.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{authorization::words, state::AccessToken};

/// One resource API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiConfig {
    /// What the sandbox calls it.
    pub name: String,
    /// Its port on 127.0.0.1; 0 takes any free one.
    pub port: u16,
    /// The audiences it answers to. An empty set takes every token, and a token without an
    /// audience is taken everywhere.
    pub audience: BTreeSet<String>,
    /// How it says that a token is no good.
    pub rejection: Rejection,
    /// What it wants besides a token that is good.
    pub demand: Option<Demand>,
    /// How old a token must be before the API takes it, in milliseconds of the sandbox's clock:
    /// more than 0 is an API that learns late of what was issued. A younger one is rejected.
    pub minimum_age_ms: u64,
    /// Whether its challenges name the metadata of the API (RFC 9728, section 5.1). The metadata
    /// itself is always served.
    pub resource_metadata: bool,
    /// How long each answer takes, in milliseconds.
    pub latency_ms: u64,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self::named("api")
    }
}

impl ApiConfig {
    /// An API that takes every token.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            port: 0,
            audience: BTreeSet::new(),
            rejection: Rejection::default(),
            demand: None,
            minimum_age_ms: 0,
            resource_metadata: false,
            latency_ms: 0,
        }
    }

    /// The same API, answering to one audience more.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience.insert(audience.into());
        self
    }

    /// The same API, rejecting in another way.
    #[must_use]
    pub fn rejection(mut self, rejection: Rejection) -> Self {
        self.rejection = rejection;
        self
    }

    /// The same API, wanting more than a good token.
    #[must_use]
    pub fn demand(mut self, demand: Demand) -> Self {
        self.demand = Some(demand);
        self
    }

    /// The same API, naming its metadata in its challenges.
    #[must_use]
    pub fn resource_metadata(mut self) -> Self {
        self.resource_metadata = true;
        self
    }
}

/// How an API says that a token is no good.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// 401 with `error="invalid_token"` (RFC 6750, section 3.1).
    #[default]
    InvalidToken,
    /// 401 with a Bearer challenge that has a realm and no error.
    RealmOnly,
    /// 401 without `WWW-Authenticate`, and without a body.
    NoChallenge,
    /// 401 without `WWW-Authenticate`; the code is only in the JSON body.
    JsonBodyOnly,
    /// 403 with `error="invalid_token"`.
    Forbidden403InvalidToken,
    /// 403 with `error="insufficient_scope"`.
    InsufficientScope,
    /// 401 with `error="insufficient_user_authentication"` (RFC 9470).
    StepUp,
    /// 429.
    RateLimited {
        /// The value of `Retry-After`, if there is one.
        retry_after: Option<String>,
    },
    /// 200 with `{"ok":false,"error":"token_expired"}`, as Slack does.
    OkFalse,
}

/// What an API wants besides a token that is good. A request that does not meet it counts in
/// [`ApiStats::demanded`](crate::ApiStats::demanded).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Demand {
    /// A token with these scopes. Answers 403 `insufficient_scope` (RFC 6750, section 3.1).
    Scope {
        /// Separated by spaces.
        scope: String,
    },
    /// A login with one of these methods, or not so long ago. Answers 401
    /// `insufficient_user_authentication` (RFC 9470, section 3); no refresh helps.
    Authentication {
        /// Separated by spaces; empty for any.
        #[serde(default)]
        acr_values: String,
        /// Seconds.
        #[serde(default)]
        max_age: Option<u64>,
    },
    /// A token that was asked for with these claims, by a refresh or a login. Answers 401
    /// `insufficient_claims` with the claims in Base64, as Entra does.
    Claims {
        /// A JSON object; what was asked for may say more.
        claims: Value,
    },
    /// An end of requests: 429.
    #[serde(rename = "rate_limit_429")]
    RateLimit429 {
        /// The value of `Retry-After`, if there is one.
        #[serde(default)]
        retry_after: Option<String>,
    },
    /// An end of requests: 403 with `Retry-After`, as GitHub does.
    #[serde(rename = "rate_limit_403")]
    RateLimit403 {
        /// The value of `Retry-After`.
        retry_after: String,
    },
}

impl Demand {
    /// Whether a token that is good is good enough.
    pub(crate) fn is_met(&self, token: &AccessToken, now: u64) -> bool {
        let authorization = &token.authorization;
        match self {
            Self::Scope { scope } => words(scope).is_subset(&authorization.scope),
            Self::Authentication { acr_values, max_age } => {
                let acr_values = words(acr_values);
                let strong =
                    acr_values.is_empty() || !acr_values.is_disjoint(&authorization.acr_values);
                let age_ms = now.saturating_sub(token.authenticated_at);
                strong && max_age.is_none_or(|max_age| age_ms <= max_age.saturating_mul(1_000))
            }
            Self::Claims { claims } => {
                authorization.claims.as_ref().is_some_and(|asked| covers(asked, claims))
            }
            Self::RateLimit429 { .. } | Self::RateLimit403 { .. } => false,
        }
    }
}

/// Whether everything in `claims` is in `asked` too.
fn covers(asked: &Value, claims: &Value) -> bool {
    match (asked, claims) {
        (Value::Object(asked), Value::Object(claims)) => claims
            .iter()
            .all(|(name, claim)| asked.get(name).is_some_and(|asked| covers(asked, claim))),
        (asked, claims) => asked == claims,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn claims_are_covered_by_more_and_not_by_less() {
        let nbf = json!({ "access_token": { "nbf": { "essential": true, "value": "1" } } });
        let mut merged = nbf.clone();
        merged["access_token"]["xms_cc"] = json!({ "values": ["cp1"] });
        assert!(covers(&nbf, &nbf) && covers(&merged, &nbf));
        assert!(!covers(&nbf, &merged) && !covers(&json!({}), &nbf));
        assert!(!covers(&json!({ "access_token": { "nbf": null } }), &nbf));
    }
}
