//! What `sandbox` is told.

mod values;

use clap::{Args, ValueEnum};
use regrant_sandbox::{Demand, Fault, Grace};

#[derive(Args, Debug)]
#[command(after_help = "Durations: `90s`, `2h 30m`, `250ms`; a bare number is seconds.")]
pub(crate) struct Sandbox {
    /// Port of the authorization server on 127.0.0.1; 0 takes any free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub(crate) port: u16,
    /// How far the sandbox's clock is ahead of this machine's; negative for behind
    #[arg(
        long = "clock-offset",
        value_name = "DURATION",
        value_parser = values::signed_millis,
        allow_hyphen_values = true
    )]
    pub(crate) clock_offset_ms: Option<i64>,
    /// The client's secret; without one the client is public
    #[arg(long, value_name = "SECRET", env = "REGRANT_SANDBOX_SECRET", hide_env_values = true)]
    pub(crate) client_secret: Option<String>,
    /// The client proves that it has its key (RFC 9449), to the server and to the APIs
    #[arg(long)]
    pub(crate) dpop: bool,
    #[command(flatten)]
    pub(crate) logins: Logins,
    #[command(flatten)]
    pub(crate) tokens: Tokens,
    #[command(flatten)]
    pub(crate) apis: Apis,
}

/// How a login goes.
#[derive(Args, Debug)]
#[command(next_help_heading = "Logins")]
pub(crate) struct Logins {
    /// What becomes of a login in the browser [default: ask if standard input is a terminal, else
    /// approve]
    #[arg(long, value_name = "ANSWER")]
    pub(crate) login: Option<BrowserLogin>,
    /// Where the browser may be sent back to, besides http on a loopback address; compared byte
    /// for byte; can be repeated
    #[arg(long = "redirect-uri", value_name = "URI", value_parser = values::redirect_uri)]
    pub(crate) redirect_uris: Vec<String>,
    /// What a login may ask for besides `read write`; separated by spaces [default: admin
    /// offline_access]
    #[arg(long, value_name = "SCOPES", value_parser = values::scopes)]
    pub(crate) scopes: Option<String>,
    /// How long a device waits between two polls; it is told whole seconds, rounded up [default:
    /// 5s]
    #[arg(long = "device-interval", value_name = "DURATION", value_parser = values::millis)]
    pub(crate) device_interval_ms: Option<u64>,
    /// How long a device code is good [default: 30m]
    #[arg(long = "device-code-ttl", value_name = "DURATION", value_parser = values::millis)]
    pub(crate) device_code_ttl_ms: Option<u64>,
}

/// What the token endpoint gives, and what goes wrong there.
#[derive(Args, Debug)]
#[command(next_help_heading = "Tokens")]
pub(crate) struct Tokens {
    /// How long an access token truly lives [default: 1h]
    #[arg(long = "access-ttl", value_name = "DURATION", value_parser = values::millis)]
    pub(crate) access_ttl_ms: Option<u64>,
    /// What token responses say in `expires_in`: any JSON value, or `absent` [default: the truth]
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    pub(crate) announced_expires_in: Option<String>,
    /// A refresh spends its refresh token (the default)
    #[arg(long, overrides_with = "no_rotate")]
    pub(crate) rotate: bool,
    /// A refresh token stays good
    #[arg(long, overrides_with = "rotate")]
    pub(crate) no_rotate: bool,
    /// A spent refresh token revokes its family (the default)
    #[arg(long, overrides_with = "no_reuse_detection")]
    pub(crate) reuse_detection: bool,
    /// A spent refresh token is merely refused
    #[arg(long, overrides_with = "reuse_detection")]
    pub(crate) no_reuse_detection: bool,
    /// How long a spent refresh token is honoured still, and whether its replay gets the `same`
    /// successor, a `siblings` one, or the `latest` that ends the earlier ones [default: none]
    #[arg(long, value_name = "[KIND:]DURATION", value_parser = values::grace)]
    pub(crate) grace: Option<Grace>,
    /// What a token request meets: `503`, `429:60`, `reset`, `reset-after-commit`, `hang:MS`,
    /// `cut-body`, `html`, `invalid_grant`, `error:CODE`, ...; can be repeated, one request each
    #[arg(long = "fault", value_name = "FAULT")]
    pub(crate) faults: Vec<Fault>,
    /// What every token request after those meets
    #[arg(long, value_name = "FAULT")]
    pub(crate) always_fault: Option<Fault>,
}

/// What each API is like.
#[derive(Args, Debug)]
#[command(next_help_heading = "APIs")]
pub(crate) struct Apis {
    /// An API of this name; can be repeated [default: api]
    #[arg(long = "api", value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// How the APIs say that a token is no good
    #[arg(long, value_name = "HOW", default_value = "invalid-token")]
    pub(crate) rejection: RejectionForm,
    /// What the APIs want besides a good token: `scope:SCOPES`, `acr:VALUES`, `max-age:SECONDS` or
    /// `claims:JSON`; or that they take no more requests: `429`, `429:SECONDS` or `403:SECONDS`
    #[arg(long, value_name = "DEMAND", value_parser = values::demand)]
    pub(crate) demand: Option<Demand>,
    /// How old a token must be before the APIs take it, as where they learn late of new ones
    /// [default: 0]
    #[arg(long = "minimum-age", value_name = "DURATION", value_parser = values::millis)]
    pub(crate) minimum_age_ms: Option<u64>,
    /// Challenges of the APIs name their metadata (RFC 9728)
    #[arg(long)]
    pub(crate) resource_metadata: bool,
}

/// What becomes of a login in the browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BrowserLogin {
    /// It succeeds at once
    Approve,
    /// A page asks, with two buttons
    Ask,
    /// It ends at once with `access_denied`
    Deny,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RejectionForm {
    /// 401 with `error="invalid_token"`
    InvalidToken,
    /// 401 with a challenge that has a realm and no error
    RealmOnly,
    /// 401 without a challenge
    NoChallenge,
    /// 401 whose code is only in the JSON body
    JsonBodyOnly,
    /// 403 with `error="invalid_token"`
    Forbidden,
    /// 403 with `error="insufficient_scope"`
    InsufficientScope,
    /// 401 that asks for another authentication (RFC 9470)
    StepUp,
    /// 429
    RateLimited,
    /// 200 with `"ok":false` in the JSON body
    OkFalse,
}
