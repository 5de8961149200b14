//! The authorization server: one user's logins, their tokens, and windows of grace that close.

use crate::server::Kind;
use crate::sim::ops::Setup;

/// A refresh token by its place in the books.
pub type RefreshToken = usize;
/// An access token by its place in the books.
pub type AccessToken = usize;
/// A login by its place in the books.
pub type Family = usize;

/// What the server holds of a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is good.
    Live,
    /// It was redeemed.
    Spent {
        /// When first.
        at: u64,
        /// The newest that it brought.
        successor: RefreshToken,
    },
    /// It ended unredeemed.
    Dead,
}

/// Why a login has ended at the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By the server's own decision.
    ByServer,
    /// The client revoked it.
    Revoked,
    /// A spent refresh token was presented.
    ByReuse,
}

#[derive(Clone, Debug)]
struct Refresh {
    family: Family,
    standing: Standing,
}

#[derive(Clone, Copy, Debug)]
struct Access {
    family: Family,
    /// When an API stops to accept it.
    until: u64,
}

/// What the server makes of a token request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// A grant.
    Granted {
        /// The new access token.
        access: AccessToken,
        /// The refresh token that comes with it, if one does.
        refresh: Option<RefreshToken>,
        /// The refresh token that this killed.
        killed: Option<RefreshToken>,
    },
    /// `invalid_grant`.
    Refused,
}

/// The authorization server and its books.
#[derive(Clone, Debug)]
pub struct Authority {
    kind: Kind,
    grace: u64,
    ends: bool,
    life: u64,
    replaces: bool,
    refresh: Vec<Refresh>,
    access: Vec<Access>,
    ended: Vec<Option<Ended>>,
    /// Until when everybody is refused.
    pub refuses_until: u64,
}

impl Authority {
    /// A server with nobody logged in.
    pub fn new(setup: &Setup) -> Self {
        Self {
            kind: setup.kind,
            grace: setup.grace,
            ends: setup.ends == 1 || setup.kind == Kind::Strict,
            life: setup.life,
            replaces: setup.replaces == 1,
            refresh: Vec::new(),
            access: Vec::new(),
            ended: Vec::new(),
            refuses_until: 0,
        }
    }

    /// The user logs in.
    pub fn login(&mut self, now: u64) -> (AccessToken, RefreshToken) {
        self.ended.push(None);
        let family = self.ended.len() - 1;
        (self.new_access(family, now), self.new_refresh(family))
    }

    fn new_access(&mut self, family: Family, now: u64) -> AccessToken {
        if self.replaces {
            self.expire_family(family, now);
        }
        self.access.push(Access { family, until: now + self.life });
        self.access.len() - 1
    }

    fn new_refresh(&mut self, family: Family) -> RefreshToken {
        self.refresh.push(Refresh { family, standing: Standing::Live });
        self.refresh.len() - 1
    }

    /// Judges a token request.
    pub fn redeem(&mut self, token: RefreshToken, now: u64) -> Judgement {
        let Refresh { family, standing } = self.refresh[token].clone();
        if now < self.refuses_until || self.ended[family].is_some() {
            return Judgement::Refused;
        }
        match standing {
            Standing::Live if self.kind == Kind::NoRotation => {
                let access = self.new_access(family, now);
                Judgement::Granted { access, refresh: None, killed: None }
            }
            Standing::Live => self.rotate(token, family, now, now, None),
            Standing::Spent { at, successor } if now - at <= self.grace => {
                let live = self.refresh[successor].standing == Standing::Live;
                match self.kind {
                    Kind::GraceSame if live => {
                        let access = self.new_access(family, now);
                        Judgement::Granted { access, refresh: Some(successor), killed: None }
                    }
                    Kind::GraceSiblings => self.rotate(token, family, at, now, None),
                    Kind::GraceLatest if live => {
                        self.refresh[successor].standing = Standing::Dead;
                        self.rotate(token, family, at, now, Some(successor))
                    }
                    Kind::Strict
                    | Kind::Refuse
                    | Kind::GraceSame
                    | Kind::GraceLatest
                    | Kind::NoRotation => self.reuse(family, now),
                }
            }
            Standing::Spent { .. } | Standing::Dead => self.reuse(family, now),
        }
    }

    fn rotate(
        &mut self,
        token: RefreshToken,
        family: Family,
        first: u64,
        now: u64,
        killed: Option<RefreshToken>,
    ) -> Judgement {
        let access = self.new_access(family, now);
        let successor = self.new_refresh(family);
        self.refresh[token].standing = Standing::Spent { at: first, successor };
        Judgement::Granted { access, refresh: Some(successor), killed }
    }

    fn reuse(&mut self, family: Family, now: u64) -> Judgement {
        if self.ends {
            self.end(family, Ended::ByReuse, now);
        }
        Judgement::Refused
    }

    /// Ends a login.
    pub fn end(&mut self, family: Family, why: Ended, now: u64) {
        self.ended[family].get_or_insert(why);
        for token in self.refresh.iter_mut().filter(|token| token.family == family) {
            if token.standing == Standing::Live {
                token.standing = Standing::Dead;
            }
        }
        self.expire_family(family, now);
    }

    /// Every access token expires.
    pub fn expire(&mut self, now: u64) {
        for token in &mut self.access {
            token.until = token.until.min(now);
        }
    }

    fn expire_family(&mut self, family: Family, now: u64) {
        for token in self.access.iter_mut().filter(|token| token.family == family) {
            token.until = token.until.min(now);
        }
    }

    /// Revokes a refresh token, and the login with it (RFC 7009 section 2.1).
    pub fn revoke_refresh(&mut self, token: RefreshToken, now: u64) {
        self.end(self.refresh[token].family, Ended::Revoked, now);
    }

    /// Revokes an access token alone.
    pub fn revoke_access(&mut self, token: AccessToken, now: u64) {
        self.access[token].until = self.access[token].until.min(now);
    }

    /// Whether an honest API accepts it.
    pub fn accepts(&self, token: AccessToken, now: u64) -> bool {
        self.access.get(token).is_some_and(|token| now < token.until)
    }

    /// Whether there is such an access token.
    pub fn issued(&self, token: AccessToken) -> bool {
        token < self.access.len()
    }

    /// Whether it would bring a grant for the first time.
    pub fn is_live(&self, token: RefreshToken) -> bool {
        self.refresh[token].standing == Standing::Live
    }

    /// The good refresh tokens of a login, newest first.
    pub fn live(&self, family: Family) -> impl Iterator<Item = RefreshToken> {
        let newest_first = self.refresh.iter().enumerate().rev();
        newest_first
            .filter(move |(_, token)| token.family == family && token.standing == Standing::Live)
            .map(|(at, _)| at)
    }

    /// The newest login.
    pub fn newest(&self) -> Option<Family> {
        self.ended.len().checked_sub(1)
    }

    /// Which login a refresh token belongs to.
    pub fn family(&self, token: RefreshToken) -> Family {
        self.refresh[token].family
    }

    /// Why a login has ended here, if it has.
    pub fn ended(&self, family: Family) -> Option<Ended> {
        self.ended[family]
    }
}
