//! Reasons with names: why a login is needed, why a token request came to nothing.

use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An enum of plain names that are written as text; a name of a later version reads as the last.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
            /// A name that a later version wrote.
            Unrecognised,
        }

        impl $name {
            /// Every name, for those who document them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable name, as records and the command's output write it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Unrecognised => "unrecognised",
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                Ok(match String::deserialize(from)?.as_str() {
                    $($text => Self::$variant,)+
                    _ => Self::Unrecognised,
                })
            }
        }
    };
}

named! {
    /// Why a login is needed.
    LoginReason {
        /// The store holds no credential of this name.
        NotLoggedIn = "not_logged_in",
        /// The authorization server refused the refresh token.
        Refused = "refused",
        /// The authorization server says that the refresh token was used before.
        ReuseDetected = "reuse_detected",
        /// The refresh token came from another host, and is refused here: the copy there went on.
        LineageForked = "lineage_forked",
        /// A new refresh token was lost on its way here, and the old one is refused.
        RotationLost = "rotation_lost",
        /// The user must act at the authorization server.
        InteractionRequired = "interaction_required",
        /// Somebody logged out, here or in another process.
        LoggedOut = "logged_out",
        /// The authorization server granted a token for somebody else.
        AccountMismatch = "account_mismatch",
        /// The token was rejected and there is no refresh token.
        NoRefreshToken = "no_refresh_token",
    }
}

named! {
    /// Why a token request brought neither a grant nor a refusal.
    Cause {
        /// Nothing was sent: no network, no connection.
        Unreachable = "unreachable",
        /// Nothing was sent: the server's name does not resolve.
        NameUnresolved = "name_unresolved",
        /// Nothing was sent: TLS failed, over a certificate, a clock or a proxy.
        TlsFailed = "tls_failed",
        /// The server said that it cannot serve now.
        Unavailable = "unavailable",
        /// The server asked for fewer requests.
        RateLimited = "rate_limited",
        /// The request went out and no whole answer came.
        NoAnswer = "no_answer",
        /// The answer is not OAuth: a captive portal, a proxy, a wrong URL.
        NotOauth = "not_oauth",
        /// An error code that nobody has described.
        UnknownError = "unknown_error",
        /// The server does not know this client, or refuses its kind of request.
        ClientMisconfigured = "client_misconfigured",
        /// The token endpoint answers with a redirect, which is never followed.
        EndpointMoved = "endpoint_moved",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_a_later_version_is_read_and_does_not_fail() {
        let reason: LoginReason = serde_json::from_str("\"eaten_by_a_dog\"").unwrap();
        assert_eq!(reason, LoginReason::Unrecognised);
    }
}
