//! The authorization server of the model: tokens are numbers, and each remembers what the rules
//! want to know of it.

use regrant_core::{Grant, Secret, Timestamp};
use std::time::Duration;

use crate::Kind;

/// What the server makes of a token request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Granted {
        access: usize,
        refresh: Option<usize>,
    },
    Refused,
    /// It cannot serve now, and did nothing.
    Unavailable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Live,
    Spent { successor: usize },
    Dead,
}

#[derive(Clone, Debug)]
pub(super) struct RefreshToken {
    pub(super) text: Secret,
    pub(super) family: usize,
    pub(super) standing: Standing,
    /// How often a sender was told that it is refused.
    pub(super) refusals: u8,
}

#[derive(Clone, Debug)]
pub(super) struct AccessToken {
    pub(super) text: Secret,
    pub(super) live: bool,
    /// The refresh token that came with it, or that brought it.
    pub(super) refresh: usize,
    /// The refresh token that it was granted for; none for a login.
    pub(super) redeemed: Option<usize>,
    /// Whether it was ever stored.
    pub(super) saved: bool,
    /// Whether a rejection of it was reported to a process.
    pub(super) rejected: bool,
    /// The APIs that accepted it, a bit for each.
    pub(super) accepted: u8,
    /// What became of the requests for its successor.
    pub(super) renewal: Renewal,
}

/// What is remembered of the token requests of one generation.
#[derive(Clone, Debug, Default)]
pub(super) struct Renewal {
    /// When the last was sent, and when its intent ends.
    pub(super) last: Option<(Timestamp, Timestamp)>,
    /// How many more may be sent at once.
    pub(super) allowed: u8,
    /// Whether the one replay after an unknown outcome is spent.
    pub(super) replayed: bool,
    /// Whether an answer was not stored when its intent ended, and no client could know of it.
    pub(super) overdue: bool,
}

impl Renewal {
    /// One more may be sent if it is the first replay.
    pub(super) fn outcome_unknown(&mut self) {
        if !std::mem::replace(&mut self.replayed, true) {
            self.allowed = self.allowed.max(1);
        }
    }

    /// One more may be sent: the last did nothing, or its owner is gone.
    pub(super) fn allow(&mut self) {
        self.allowed = self.allowed.max(1);
    }
}

#[derive(Clone, Debug)]
pub(super) struct Server {
    kind: Kind,
    lifetime: Option<Duration>,
    pub(super) down: bool,
    families: usize,
    pub(super) refresh: Vec<RefreshToken>,
    pub(super) access: Vec<AccessToken>,
}

/// The number in a token's text.
pub(super) fn number(token: &Secret) -> usize {
    token.expose()[1..].parse().expect("a token of this server")
}

/// Whether the text is that of a refresh token.
pub(super) fn is_refresh(token: &Secret) -> bool {
    token.expose().starts_with('r')
}

impl Server {
    pub(super) fn new(kind: Kind, lifetime: Option<Duration>) -> Self {
        Self { kind, lifetime, down: false, families: 0, refresh: Vec::new(), access: Vec::new() }
    }

    /// A new family.
    pub(super) fn login(&mut self) -> Grant {
        let refresh = self.issue_refresh(self.families);
        self.families += 1;
        let access = self.issue_access(refresh, None);
        self.grant(access, Some(refresh))
    }

    /// The grant that these tokens make.
    pub(super) fn grant(&self, access: usize, refresh: Option<usize>) -> Grant {
        let mut grant = Grant::bearer(self.access[access].text.clone());
        grant.refresh_token = refresh.map(|at| self.refresh[at].text.clone());
        grant.expires_in = self.lifetime;
        grant
    }

    fn issue_refresh(&mut self, family: usize) -> usize {
        let at = self.refresh.len();
        let text = Secret::new(format!("r{at}"));
        self.refresh.push(RefreshToken { text, family, standing: Standing::Live, refusals: 0 });
        at
    }

    fn issue_access(&mut self, refresh: usize, redeemed: Option<usize>) -> usize {
        let at = self.access.len();
        self.access.push(AccessToken {
            text: Secret::new(format!("a{at}")),
            live: true,
            refresh,
            redeemed,
            saved: false,
            rejected: false,
            accepted: 0,
            renewal: Renewal::default(),
        });
        at
    }

    /// Judges a token request.
    pub(super) fn redeem(&mut self, token: usize) -> Reply {
        if self.down {
            return Reply::Unavailable;
        }
        if !self.would_grant(token) {
            if self.kind == Kind::Strict && matches!(self.standing(token), Standing::Spent { .. }) {
                self.kill(self.refresh[token].family);
            }
            return Reply::Refused;
        }
        let family = self.refresh[token].family;
        let (successor, refresh) = match (self.kind, self.standing(token)) {
            (Kind::NoRotation, _) => (token, None),
            (Kind::GraceSame, Standing::Spent { successor }) => (successor, Some(successor)),
            (kind, standing) => {
                if let (Kind::GraceLatest, Standing::Spent { successor }) = (kind, standing) {
                    self.refresh[successor].standing = Standing::Dead;
                }
                let successor = self.issue_refresh(family);
                self.refresh[token].standing = Standing::Spent { successor };
                (successor, Some(successor))
            }
        };
        let access = self.issue_access(successor, Some(token));
        Reply::Granted { access, refresh }
    }

    fn standing(&self, token: usize) -> Standing {
        self.refresh[token].standing
    }

    /// Whether a request with this refresh token would bring a grant. A grace never ends here.
    pub(super) fn would_grant(&self, token: usize) -> bool {
        match (self.standing(token), self.kind) {
            (Standing::Live, _) => true,
            (Standing::Spent { .. }, Kind::GraceSiblings) => true,
            (Standing::Spent { successor }, Kind::GraceSame | Kind::GraceLatest) => {
                self.standing(successor) == Standing::Live
            }
            (Standing::Spent { .. }, Kind::Strict | Kind::Refuse | Kind::NoRotation)
            | (Standing::Dead, _) => false,
        }
    }

    /// Whether a lost answer loses the grant.
    pub(super) fn forgives_nothing(&self) -> bool {
        matches!(self.kind, Kind::Strict | Kind::Refuse)
    }

    /// Ends a family and its access tokens.
    pub(super) fn kill(&mut self, family: usize) {
        for token in self.refresh.iter_mut().filter(|token| token.family == family) {
            token.standing = Standing::Dead;
        }
        for at in 0..self.access.len() {
            if self.refresh[self.access[at].refresh].family == family {
                self.access[at].live = false;
            }
        }
    }

    /// Every access token expires now.
    pub(super) fn expire(&mut self) {
        for token in &mut self.access {
            token.live = false;
        }
    }

    /// Revokes one token alone.
    pub(super) fn revoke(&mut self, token: &Secret) {
        let at = number(token);
        if is_refresh(token) {
            self.refresh[at].standing = Standing::Dead;
        } else {
            self.access[at].live = false;
        }
    }
}
