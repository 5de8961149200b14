//! Why the authorization server says no: each reason with its code and its words.

/// Why a request gets no grant: a code and a description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Denial(pub(crate) &'static str, pub(crate) &'static str);

/// Why a refresh is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Unknown,
    Expired,
    Revoked,
    Superseded,
    /// A spent token, outside any grace; says whether its family was revoked for it just now.
    Reused {
        revoked: bool,
    },
    /// More scope, or other resources, than was granted.
    Excess(Excess),
}

/// What a token request asks for beyond what was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Excess {
    Scope,
    Resource,
}

impl From<Excess> for Refusal {
    fn from(excess: Excess) -> Self {
        Self::Excess(excess)
    }
}

impl From<Excess> for Denial {
    fn from(excess: Excess) -> Self {
        match excess {
            // RFC 6749, section 6.
            Excess::Scope => Self("invalid_scope", "The scope exceeds what was granted"),
            // RFC 8707, section 2.2.
            Excess::Resource => Self("invalid_target", "The resource exceeds what was granted"),
        }
    }
}

impl From<Refusal> for Denial {
    fn from(refusal: Refusal) -> Self {
        // RFC 6749, section 5.2.
        let invalid_grant = |description| Self("invalid_grant", description);
        match refusal {
            Refusal::Unknown => invalid_grant("The refresh token is unknown"),
            Refusal::Expired => invalid_grant("The refresh token expired"),
            Refusal::Revoked => invalid_grant("The grant was revoked"),
            Refusal::Superseded => invalid_grant("The refresh token was replaced by a later one"),
            Refusal::Reused { revoked: true } => {
                invalid_grant("The refresh token was already used; the grant is revoked")
            }
            Refusal::Reused { revoked: false } => {
                invalid_grant("The refresh token was already used")
            }
            Refusal::Excess(excess) => excess.into(),
        }
    }
}

/// Why an authorization code is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CodeRefusal {
    Unknown,
    Expired,
    /// It was redeemed before, for this access token.
    Used {
        access: String,
    },
    Client,
    RedirectUri,
    Verifier,
}

impl From<CodeRefusal> for Denial {
    fn from(refusal: CodeRefusal) -> Self {
        let description = match refusal {
            CodeRefusal::Unknown => "The authorization code is unknown",
            CodeRefusal::Expired => "The authorization code expired",
            CodeRefusal::Used { .. } => {
                "The authorization code was already used; what it brought is revoked"
            }
            CodeRefusal::Client => "The authorization code was issued to another client",
            CodeRefusal::RedirectUri => "The redirect URI is not that of the authorization request",
            CodeRefusal::Verifier => "The code verifier does not fit the code challenge",
        };
        Self("invalid_grant", description)
    }
}

/// Why the poll of a device gets no tokens (RFC 8628, section 3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PollRefusal {
    Unknown,
    Pending,
    SlowDown,
    Expired,
    Denied,
}

impl From<PollRefusal> for Denial {
    fn from(refusal: PollRefusal) -> Self {
        match refusal {
            PollRefusal::Unknown => Self("invalid_grant", "The device code is unknown"),
            PollRefusal::Pending => {
                Self("authorization_pending", "Nobody has entered the user code yet")
            }
            PollRefusal::SlowDown => {
                Self("slow_down", "The device polls too fast; the interval is longer now")
            }
            PollRefusal::Expired => Self("expired_token", "The device code expired"),
            PollRefusal::Denied => Self("access_denied", "The login was denied"),
        }
    }
}
