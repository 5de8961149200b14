//! What is known of an authorization server's habits: the words the two halves of the crate share.

use serde::{Deserialize, Serialize};

/// What the authorization server does with refresh tokens, as far as its profile says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rotation {
    /// Nobody has said. Treated like rotation whose grace, if any, is short.
    #[default]
    Unknown,
    /// The refresh token stays the same for ever.
    Never,
    /// A spent refresh token is refused, or kills the grant.
    WithoutGrace,
    /// For a while a spent refresh token brings a successor, and earlier successors stay good.
    GraceKeepsEarlier,
    /// For a while a spent refresh token brings a successor, and the earlier successor dies.
    GraceKillsEarlier,
}

impl Rotation {
    /// Whether two requests with one refresh token leave a live grant behind.
    pub(crate) fn survives_two_requests(self) -> bool {
        matches!(self, Self::Never | Self::GraceKeepsEarlier)
    }
}
