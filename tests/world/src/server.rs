//! An authorization server of a few lines, in seven kinds.

use std::collections::{BTreeMap, BTreeSet};

use regrant_core::{Answer, Applied, Cause, Failure, Grant, Refusal, RefusalKind, Secret};

/// What the server does with a spent refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It kills the family.
    Strict,
    /// It is refused, and nothing else happens.
    Refuse,
    /// The same successor again.
    GraceSame,
    /// Another successor; all live.
    GraceSiblings,
    /// Another successor; the earlier one dies.
    GraceLatest,
    /// Refresh tokens are never spent.
    NoRotation,
}

/// An authorization server that holds one family of tokens.
#[derive(Debug)]
pub struct Server {
    kind: Kind,
    next: u32,
    live_refresh: BTreeSet<String>,
    spent: BTreeMap<String, String>,
    live_access: BTreeSet<String>,
    /// Token requests that were judged.
    pub requests: u32,
    /// Spent refresh tokens that were presented.
    pub reuse: u32,
    /// Tokens that were revoked.
    pub revoked: Vec<String>,
    /// Whom the next grants are for.
    pub subject: Option<String>,
    /// What every token request gets, if not what is right.
    pub fault: Option<Failure>,
    /// Every token request is refused, whatever it carries.
    pub refuse_all: bool,
    /// The announced lifetime, in seconds.
    pub expires_in: Option<u64>,
}

impl Server {
    /// A server with nobody logged in.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            next: 0,
            live_refresh: BTreeSet::new(),
            spent: BTreeMap::new(),
            live_access: BTreeSet::new(),
            requests: 0,
            reuse: 0,
            revoked: Vec::new(),
            subject: None,
            fault: None,
            refuse_all: false,
            expires_in: Some(3_600),
        }
    }

    /// What an answer looks like that says nothing was done.
    pub fn unavailable() -> Failure {
        Failure { cause: Cause::Unavailable, applied: Applied::No, retry_after: None, code: None }
    }

    /// What a request looks like that never arrived.
    pub fn unreachable() -> Failure {
        Failure { cause: Cause::Unreachable, applied: Applied::No, retry_after: None, code: None }
    }

    /// What a lost answer looks like.
    pub fn reset() -> Failure {
        Failure { cause: Cause::NoAnswer, applied: Applied::Perhaps, retry_after: None, code: None }
    }

    /// What an answer looks like that did not come in time.
    pub fn timeout() -> Failure {
        let applied = Applied::PerhapsLater;
        Failure { cause: Cause::NoAnswer, applied, retry_after: None, code: None }
    }

    /// A login: a new family beside what there is.
    pub fn login(&mut self) -> Grant {
        self.grant(true)
    }

    fn fresh(&mut self, prefix: &str) -> String {
        self.next += 1;
        format!("{prefix}{}", self.next)
    }

    fn grant(&mut self, with_refresh: bool) -> Grant {
        let access = self.fresh("at");
        self.live_access.insert(access.clone());
        let mut grant = Grant::bearer(Secret::new(access));
        grant.expires_in = self.expires_in.map(std::time::Duration::from_secs);
        grant.subject.clone_from(&self.subject);
        if with_refresh {
            let refresh = self.fresh("rt");
            self.live_refresh.insert(refresh.clone());
            grant.refresh_token = Some(Secret::new(refresh));
        }
        grant
    }

    /// Judges a token request.
    pub fn redeem(&mut self, refresh_token: &str) -> Answer {
        self.requests += 1;
        if let Some(failure) = &self.fault {
            return Answer::Failed(failure.clone());
        }
        if self.refuse_all {
            return Self::refusal();
        }
        let rotates = self.kind != Kind::NoRotation;
        if self.live_refresh.contains(refresh_token) {
            let grant = self.grant(rotates);
            if rotates {
                self.live_refresh.remove(refresh_token);
                let successor = grant.refresh_token.as_ref().map(|t| t.expose().to_owned());
                self.spent.insert(refresh_token.to_owned(), successor.unwrap_or_default());
            }
            return Answer::Granted(grant);
        }
        let Some(successor) = self.spent.get(refresh_token).cloned() else {
            return Self::refusal();
        };
        self.reuse += 1;
        match self.kind {
            Kind::Strict => {
                self.kill();
                Self::refusal()
            }
            Kind::GraceSame if self.live_refresh.contains(&successor) => {
                let mut grant = self.grant(false);
                grant.refresh_token = Some(Secret::new(successor));
                Answer::Granted(grant)
            }
            Kind::GraceSiblings => Answer::Granted(self.grant(true)),
            Kind::GraceLatest if self.live_refresh.contains(&successor) => {
                self.live_refresh.remove(&successor);
                let grant = self.grant(true);
                let newest = grant.refresh_token.as_ref().map(|t| t.expose().to_owned());
                self.spent.insert(refresh_token.to_owned(), newest.unwrap_or_default());
                Answer::Granted(grant)
            }
            Kind::Refuse | Kind::GraceSame | Kind::GraceLatest | Kind::NoRotation => {
                Self::refusal()
            }
        }
    }

    fn refusal() -> Answer {
        Answer::Refused(Refusal { code: "invalid_grant".into(), kind: RefusalKind::Dead })
    }

    /// Ends the family.
    pub fn kill(&mut self) {
        self.live_refresh.clear();
        self.live_access.clear();
    }

    /// Every access token expires now.
    pub fn expire(&mut self) {
        self.live_access.clear();
    }

    /// Whether an honest API would accept this access token.
    pub fn accepts(&self, access_token: &str) -> bool {
        self.live_access.contains(access_token)
    }

    /// Whether this refresh token is good.
    pub fn is_live(&self, refresh_token: &str) -> bool {
        self.live_refresh.contains(refresh_token)
    }

    /// Revokes one token.
    pub fn revoke(&mut self, token: &str) {
        self.revoked.push(token.to_owned());
        self.live_refresh.remove(token);
        self.live_access.remove(token);
    }
}
