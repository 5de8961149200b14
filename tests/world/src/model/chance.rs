//! What may happen besides what must, each as often as a run allows.

use std::fmt;

macro_rules! chances {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// Something that happens by choice of the checker.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Chance {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Chance {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// A word for it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

chances! {
    /// A caller wants to send a request to an API.
    Request = "requests",
    /// The access tokens that are out expire at the server.
    Expiry = "expiries",
    /// An API rejects a good token.
    Rejection = "rejections at will",
    /// The authorization server goes away, until the checker lets it come back.
    Outage = "outages",
    /// A token request is lost before the server saw it, and the sender is told.
    LostRequest = "lost requests",
    /// A token request was answered, the answer is lost, and the sender is told.
    LostAnswer = "lost answers",
    /// A message of a token request takes as long as the checker likes.
    LateMessage = "late messages",
    /// A process is killed.
    Crash = "crashes",
    /// A process does not run, until the checker lets it go on.
    Stop = "stops",
    /// The lease is taken from a holder that lives.
    LostLease = "lost leases",
    /// A save fails and changes nothing.
    FailedSave = "failed saves",
    /// A save ends in nobody knows what.
    UnknownSave = "unknown saves",
    /// A load fails.
    FailedLoad = "failed loads",
    /// A load or save takes as long as the checker likes.
    LateOperation = "late operations",
    /// A load has read, and what it read arrives later.
    StaleLoad = "stale loads",
    /// Somebody logs in.
    Login = "logins",
    /// Somebody logs out.
    Logout = "logouts",
    /// A refused refresh token is to be tried once more.
    Reconsider = "reconsiderations",
    /// The server ends the grant.
    Revocation = "revocations",
    /// A process's clock jumps ahead.
    Forward = "clocks ahead",
    /// A process's clock jumps back.
    Backward = "clocks back",
    /// The first record is put back from a backup.
    Restore = "backups restored",
    /// An origin that the credential is not bound to says something about the token.
    Stray = "stray answers",
}

impl fmt::Display for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How often each chance may still be taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Chances([u8; Chance::ALL.len()]);

impl Chances {
    /// These, and none of the others.
    pub const fn of(list: &[(Chance, u8)]) -> Self {
        let mut chances = [0; Chance::ALL.len()];
        let mut at = 0;
        while at < list.len() {
            chances[list[at].0 as usize] = list[at].1;
            at += 1;
        }
        Self(chances)
    }

    /// How often this may still happen.
    pub fn left(&self, chance: Chance) -> u8 {
        self.0[chance as usize]
    }

    /// Whether this may still happen.
    pub fn has(&self, chance: Chance) -> bool {
        self.left(chance) > 0
    }

    /// Takes one. False if there is none left.
    pub fn take(&mut self, chance: Chance) -> bool {
        let left = &mut self.0[chance as usize];
        let taken = *left > 0;
        *left = left.saturating_sub(1);
        taken
    }

    /// How many of these have been taken of `all`.
    pub fn taken(&self, all: &Self, of: &[Chance]) -> u8 {
        of.iter().map(|chance| all.left(*chance).saturating_sub(self.left(*chance))).sum()
    }

    /// What can happen at all, in words.
    pub fn describe(&self) -> String {
        let words: Vec<String> = Chance::ALL
            .iter()
            .filter(|chance| self.has(**chance))
            .map(|chance| format!("{chance} × {}", self.left(*chance)))
            .collect();
        words.join(", ")
    }

    /// As one list of numbers.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.0.iter().map(|left| u64::from(*left))
    }
}
