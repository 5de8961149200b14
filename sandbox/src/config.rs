//! What a sandbox is told before it starts, and what can be changed while it runs.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::fault::Fault;

/// How the authorization server and its APIs behave.
///
/// Every member has a default, so an empty JSON object is a configuration: a public client
/// `sandbox-client`, one API `api`, access tokens of an hour, rotating refresh tokens, reuse
/// detection with family revocation, no grace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Port of the authorization server on 127.0.0.1; 0 takes any free one.
    pub port: u16,
    /// The resource APIs, each on a port, so an origin, of its own.
    pub apis: Vec<ApiConfig>,
    /// The one client that is known.
    pub client_id: String,
    /// Its secret; without one the client is public.
    pub client_secret: Option<String>,
    /// The scope of a login that names none.
    pub scope: String,
    /// How long an access token truly lives, in milliseconds of the sandbox's clock.
    pub access_ttl_ms: u64,
    /// What token responses claim about that lifetime.
    pub announced_expires_in: AnnouncedExpiresIn,
    /// How long a refresh token may lie unused, in milliseconds; absent is for ever.
    pub refresh_ttl_ms: Option<u64>,
    /// `token_type` of token responses.
    pub token_type: String,
    /// Further members of every token response (`id_token`, another subject, nonsense). A member
    /// named here replaces the sandbox's own.
    pub token_response_extra: Map<String, Value>,
    /// Whether a refresh spends its refresh token.
    pub rotation: Rotation,
    /// Whether a spent refresh token, presented outside its grace, revokes its whole family
    /// (RFC 9700, section 4.14.2). Otherwise it is merely refused.
    pub reuse_detection: bool,
    /// For how long, and how, a spent refresh token is still honoured.
    pub grace: Option<Grace>,
    /// Whether a refresh also ends the access tokens that its family got before.
    pub rotation_revokes_access: bool,
    /// Whether an answer without rotation repeats the refresh token instead of leaving it out.
    pub repeat_refresh_token: bool,
    /// What the sandbox adds to the wall clock, in milliseconds.
    pub clock_offset_ms: i64,
    /// How long the token endpoint takes before it judges, in milliseconds.
    pub token_latency_ms: u64,
    /// Faults that the first token requests meet, one each.
    pub faults: Vec<Fault>,
    /// The fault that every token request meets once the queue is empty.
    pub always_fault: Option<Fault>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            port: 0,
            apis: vec![ApiConfig::default()],
            client_id: "sandbox-client".to_owned(),
            client_secret: None,
            scope: "read write".to_owned(),
            access_ttl_ms: 3_600_000,
            announced_expires_in: AnnouncedExpiresIn::default(),
            refresh_ttl_ms: None,
            token_type: "Bearer".to_owned(),
            token_response_extra: Map::new(),
            rotation: Rotation::default(),
            reuse_detection: true,
            grace: None,
            rotation_revokes_access: false,
            repeat_refresh_token: false,
            clock_offset_ms: 0,
            token_latency_ms: 0,
            faults: Vec::new(),
            always_fault: None,
        }
    }
}

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
}

/// Whether a refresh spends its refresh token (RFC 6749, section 6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rotation {
    /// The refresh token stays good, and answers carry none.
    None,
    /// Every refresh gives a new refresh token and spends the old one.
    #[default]
    Rotate,
}

/// A window in which a spent refresh token is still honoured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grace {
    /// Its length, in milliseconds of the sandbox's clock, from when the token was spent.
    pub ms: u64,
    /// What a replay gets.
    #[serde(default)]
    pub kind: GraceKind,
}

/// What the replay of a spent refresh token gets within its grace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GraceKind {
    /// The refresh token that the first request got, with a new access token.
    #[default]
    Same,
    /// Another refresh token; the earlier successors stay good.
    Siblings,
    /// Another refresh token; the earlier successors die, and so does what they begot. Access
    /// tokens live on. A dead successor is refused, and that is not reuse.
    Latest,
}

/// What a token response says in `expires_in`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnnouncedExpiresIn {
    /// The true lifetime, in whole seconds.
    #[default]
    Truth,
    /// Nothing.
    Absent,
    /// This, whatever it is.
    Value(Value),
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
}
