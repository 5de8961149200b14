//! What happens in a sandbox, as it happens.

use serde::{Deserialize, Serialize};

/// One thing that happened, for a timeline. Carries no token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum SandboxEvent {
    /// A login gave a new family.
    Issued,
    /// A request came to the authorization endpoint.
    AuthorizationRequested,
    /// A device asked for a login.
    DeviceAuthorizationRequested,
    /// Somebody decided about a login in a browser or on a device.
    LoginDecided {
        /// Whether it was allowed.
        approved: bool,
    },
    /// A request came to the token endpoint.
    TokenRequested,
    /// A token request was granted.
    Granted {
        /// The generation of the new tokens in their family; a login gives 1.
        generation: u64,
        /// Whether a spent refresh token was honoured within its grace.
        replay: bool,
    },
    /// A token request was refused.
    Refused {
        /// The value of `error`.
        code: String,
    },
    /// A spent refresh token was presented outside its grace.
    ReuseDetected,
    /// A family was revoked: by reuse, by the revocation endpoint, or by control.
    FamilyRevoked,
    /// The revocation endpoint revoked a token.
    Revoked,
    /// A request met a fault.
    FaultServed {
        /// The fault, as a command line spells it.
        fault: String,
    },
    /// The gate holds a token request.
    Held,
    /// The gate let its token requests go.
    Released,
    /// All access tokens were ended, everywhere or at one API.
    AccessTokensExpired {
        /// The API, if it is only one.
        api: Option<String>,
    },
    /// An API took a token.
    ApiAccepted {
        /// The API.
        api: String,
        /// The generation of the token.
        generation: u64,
    },
    /// An API did not take a token.
    ApiRejected {
        /// The API.
        api: String,
        /// The generation of the token, if the sandbox ever issued it.
        generation: Option<u64>,
    },
    /// An API wanted more than a good token.
    ApiDemanded {
        /// The API.
        api: String,
        /// The generation of the token.
        generation: u64,
    },
    /// A request without a bearer token came to an API.
    ApiAnonymous {
        /// The API.
        api: String,
    },
}
