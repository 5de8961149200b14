//! What a sandbox is told before it starts, and what can be changed while it runs.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{api_config::ApiConfig, fault::Fault};

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
    /// Further scopes that a login may ask for. [`Sandbox::issue_for`](crate::Sandbox::issue_for)
    /// takes any.
    pub further_scopes: String,
    /// What `GET /authorize` answers to a request in which nothing is wrong. A device waits for
    /// somebody, whatever this says.
    pub login: Consent,
    /// Where authorization codes may go besides `http` on a loopback address (`127.0.0.1`,
    /// `[::1]`; not a name), where any port and path is good (RFC 8252, section 7.3). Compared byte
    /// for byte.
    pub redirect_uris: BTreeSet<String>,
    /// How long a device code is good, in milliseconds.
    pub device_code_ttl_ms: u64,
    /// How long a device waits between two polls, in milliseconds; announced in whole seconds,
    /// rounded up.
    pub device_interval_ms: u64,
    /// Whether the client uses DPoP (RFC 9449). Then a token request needs a proof with the
    /// nonce that the server demands once, token responses say `DPoP`, and the APIs take a token
    /// only under that scheme with a proof of its own. Proofs are read and their signatures are
    /// not verified.
    pub dpop: bool,
    /// How long an access token truly lives, in milliseconds of the sandbox's clock.
    pub access_ttl_ms: u64,
    /// What token responses claim about that lifetime.
    pub announced_expires_in: AnnouncedExpiresIn,
    /// How long a refresh token may lie unused, in milliseconds; absent is for ever.
    pub refresh_ttl_ms: Option<u64>,
    /// `token_type` of token responses without DPoP.
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
            further_scopes: "admin offline_access".to_owned(),
            login: Consent::default(),
            redirect_uris: BTreeSet::new(),
            // Half an hour, as in the example of RFC 8628, section 3.2.
            device_code_ttl_ms: 1_800_000,
            // What a client assumes that is told nothing (RFC 8628, section 3.2).
            device_interval_ms: 5_000,
            dpop: false,
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

/// What the user of a browser login says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consent {
    /// Yes, at once: a redirect with a code.
    #[default]
    Approve,
    /// Somebody is asked on a page with two buttons.
    Ask,
    /// No, at once: a redirect with `access_denied`.
    Deny,
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
