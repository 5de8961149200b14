//! The families of tokens: rotation, grace, reuse. Pure: time and new tokens are arguments.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{
    authorization::{AccessRequest, Authorization, joined},
    config::{Config, GraceKind, Rotation},
    refusal::Refusal,
};

/// One login and all that its refresh tokens begot.
#[derive(Debug)]
struct Family {
    authorization: Authorization,
    authenticated_at: u64,
    /// Rises by one with every refresh token and every access token that comes with it.
    generation: u64,
    revoked: bool,
}

#[derive(Debug)]
enum Standing {
    Live,
    Spent {
        at: u64,
        successor: String,
    },
    /// Replaced by a later replay of its parent, without having been used.
    Superseded,
}

#[derive(Debug)]
struct RefreshToken {
    family: u64,
    generation: u64,
    used_at: u64,
    standing: Standing,
}

#[derive(Clone, Debug)]
pub(crate) struct AccessToken {
    /// Absent for client credentials, which have no family.
    family: Option<u64>,
    pub(crate) generation: u64,
    pub(crate) authorization: Authorization,
    /// When somebody logged in for it.
    pub(crate) authenticated_at: u64,
    pub(crate) issued_at: u64,
    expires_at: u64,
    dead: bool,
    expired_at_apis: BTreeSet<String>,
}

/// Two new tokens, made by the caller; what is not needed is dropped.
#[derive(Debug)]
pub(crate) struct Minted {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

/// What a grant gives.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) access: String,
    pub(crate) refresh: Option<String>,
    pub(crate) generation: u64,
    pub(crate) scope: String,
    /// Whether a spent refresh token was honoured.
    pub(crate) replay: bool,
}

/// What a revocation hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Revoked {
    /// A whole family; says whether it was live.
    Family {
        was_live: bool,
    },
    AccessToken,
    Nothing,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    families: BTreeMap<u64, Family>,
    refresh: HashMap<String, RefreshToken>,
    access: HashMap<String, AccessToken>,
}

impl State {
    /// A login: a new family with its first tokens. The access token has what was asked for; the
    /// family, so its refresh tokens, all that was allowed.
    pub(crate) fn issue(
        &mut self,
        config: &Config,
        allowed: Authorization,
        access: Authorization,
        minted: Minted,
        now: u64,
    ) -> Grant {
        let id = self.families.len() as u64;
        let family =
            Family { authorization: allowed, authenticated_at: now, generation: 0, revoked: false };
        self.families.insert(id, family);
        let generation = self.add_refresh(id, minted.refresh.clone(), now);
        let scope = joined(&access.scope);
        self.add_access(config, Some(id), generation, access, minted.access.clone(), now);
        let (access, refresh) = (minted.access, Some(minted.refresh));
        Grant { access, refresh, generation, scope, replay: false }
    }

    /// A token without a refresh token (RFC 6749, section 4.4).
    pub(crate) fn client_credentials(
        &mut self,
        config: &Config,
        access: Authorization,
        minted: Minted,
        now: u64,
    ) -> Grant {
        let scope = joined(&access.scope);
        self.add_access(config, None, 1, access, minted.access.clone(), now);
        Grant { access: minted.access, refresh: None, generation: 1, scope, replay: false }
    }

    /// A refresh (RFC 6749, section 6). `rotate` is false where one answer is to leave the refresh
    /// token as it is, whatever the configuration says.
    pub(crate) fn refresh(
        &mut self,
        config: &Config,
        presented: &str,
        request: &AccessRequest,
        rotate: bool,
        minted: Minted,
        now: u64,
    ) -> Result<Grant, Refusal> {
        let token = self.refresh.get(presented).ok_or(Refusal::Unknown)?;
        let (id, parent) = (token.family, token.generation);
        let spent = match &token.standing {
            Standing::Live => None,
            Standing::Superseded => return Err(Refusal::Superseded),
            Standing::Spent { at, successor } => {
                let in_grace = config.grace.filter(|grace| now.saturating_sub(*at) <= grace.ms);
                let Some(grace) = in_grace else {
                    let revoked = config.reuse_detection && self.revoke(id);
                    return Err(Refusal::Reused { revoked });
                };
                Some((grace.kind, successor.clone()))
            }
        };
        let unused_for = now.saturating_sub(token.used_at);
        let family = &self.families[&id];
        if family.revoked {
            return Err(Refusal::Revoked);
        }
        if config.refresh_ttl_ms.is_some_and(|ttl| unused_for > ttl) {
            return Err(Refusal::Expired);
        }
        let access = family.authorization.narrowed(request)?;
        let replay = spent.is_some();
        let refresh = match spent {
            Some((GraceKind::Same, successor)) => Some(successor),
            Some((GraceKind::Siblings, _)) => Some(minted.refresh),
            Some((GraceKind::Latest, _)) => {
                self.supersede(id, parent);
                self.succeed(presented, &minted.refresh);
                Some(minted.refresh)
            }
            None if rotate && config.rotation == Rotation::Rotate => {
                if let Some(token) = self.refresh.get_mut(presented) {
                    let successor = minted.refresh.clone();
                    token.standing = Standing::Spent { at: now, successor };
                }
                Some(minted.refresh)
            }
            None => None,
        };
        if config.rotation_revokes_access {
            self.end_access_of(id);
        }
        let generation = match &refresh {
            Some(refresh) if !self.refresh.contains_key(refresh) => {
                self.add_refresh(id, refresh.clone(), now)
            }
            Some(_) | None => self.next_generation(id),
        };
        if let Some(token) = self.refresh.get_mut(presented) {
            token.used_at = now;
        }
        let scope = joined(&access.scope);
        self.add_access(config, Some(id), generation, access, minted.access.clone(), now);
        Ok(Grant { access: minted.access, refresh, generation, scope, replay })
    }

    /// Revokes a refresh token's family, or one access token (RFC 7009, section 2.1).
    pub(crate) fn revoke_token(&mut self, token: &str) -> Revoked {
        if let Some(refresh) = self.refresh.get(token) {
            let id = refresh.family;
            return Revoked::Family { was_live: self.revoke(id) };
        }
        match self.access.get_mut(token) {
            Some(access) => {
                access.dead = true;
                Revoked::AccessToken
            }
            None => Revoked::Nothing,
        }
    }

    /// Revokes the family that a refresh token or an access token belongs to; says whether there
    /// was a live one.
    pub(crate) fn revoke_family_of(&mut self, token: &str) -> bool {
        let by_refresh = self.refresh.get(token).map(|refresh| refresh.family);
        let by_access = self.access.get(token).and_then(|access| access.family);
        by_refresh.or(by_access).is_some_and(|id| self.revoke(id))
    }

    /// Revokes every family and every access token; says how many families were live.
    pub(crate) fn revoke_all(&mut self) -> u64 {
        let live = self.live_families();
        for family in self.families.values_mut() {
            family.revoked = true;
        }
        self.expire_access();
        live
    }

    /// Ends every access token now; refresh tokens live on.
    pub(crate) fn expire_access(&mut self) {
        for token in self.access.values_mut() {
            token.dead = true;
        }
    }

    /// Ends every access token in the eyes of one API.
    pub(crate) fn expire_access_at(&mut self, api: &str) {
        for token in self.access.values_mut() {
            token.expired_at_apis.insert(api.to_owned());
        }
    }

    /// An access token that this API takes now.
    pub(crate) fn accept(
        &self,
        token: &str,
        api: &str,
        audience: &BTreeSet<String>,
        now: u64,
    ) -> Option<&AccessToken> {
        let access = self.access.get(token)?;
        let Authorization { audience: addressees, apis, .. } = &access.authorization;
        let addressed =
            (addressees.is_empty() || audience.is_empty() || !addressees.is_disjoint(audience))
                && (apis.is_empty() || apis.contains(api));
        let good =
            self.is_live_access(access, now) && !access.expired_at_apis.contains(api) && addressed;
        good.then_some(access)
    }

    /// The generation of an access token, live or not.
    pub(crate) fn generation_of_access(&self, token: &str) -> Option<u64> {
        self.access.get(token).map(|access| access.generation)
    }

    /// Scope, generation and end of a live token (RFC 7662); a refresh token has no end.
    pub(crate) fn introspect(&self, token: &str, now: u64) -> Option<(String, u64, Option<u64>)> {
        if let Some(access) = self.access.get(token) {
            let live = self.is_live_access(access, now);
            return live.then(|| {
                (joined(&access.authorization.scope), access.generation, Some(access.expires_at))
            });
        }
        let refresh = self.refresh.get(token)?;
        let family = &self.families[&refresh.family];
        let live = matches!(refresh.standing, Standing::Live) && !family.revoked;
        live.then(|| (joined(&family.authorization.scope), refresh.generation, None))
    }

    pub(crate) fn live_families(&self) -> u64 {
        self.families.values().filter(|family| !family.revoked).count() as u64
    }

    fn is_live_access(&self, access: &AccessToken, now: u64) -> bool {
        let revoked = access.family.is_some_and(|id| self.families[&id].revoked);
        !access.dead && !revoked && now < access.expires_at
    }

    fn revoke(&mut self, id: u64) -> bool {
        self.families
            .get_mut(&id)
            .is_some_and(|family| !std::mem::replace(&mut family.revoked, true))
    }

    fn next_generation(&mut self, id: u64) -> u64 {
        self.families.get_mut(&id).map_or(0, |family| {
            family.generation += 1;
            family.generation
        })
    }

    fn add_refresh(&mut self, family: u64, token: String, now: u64) -> u64 {
        let generation = self.next_generation(family);
        let standing = Standing::Live;
        self.refresh.insert(token, RefreshToken { family, generation, used_at: now, standing });
        generation
    }

    fn add_access(
        &mut self,
        config: &Config,
        family: Option<u64>,
        generation: u64,
        authorization: Authorization,
        token: String,
        now: u64,
    ) {
        let row = AccessToken {
            family,
            generation,
            authorization,
            authenticated_at: family.map_or(now, |id| self.families[&id].authenticated_at),
            issued_at: now,
            expires_at: now.saturating_add(config.access_ttl_ms),
            dead: false,
            expired_at_apis: BTreeSet::new(),
        };
        self.access.insert(token, row);
    }

    fn end_access_of(&mut self, family: u64) {
        for token in self.access.values_mut().filter(|token| token.family == Some(family)) {
            token.dead = true;
        }
    }

    /// What came after `parent` in its family dies.
    fn supersede(&mut self, family: u64, parent: u64) {
        let later = |token: &&mut RefreshToken| token.family == family && token.generation > parent;
        for token in self.refresh.values_mut().filter(later) {
            token.standing = Standing::Superseded;
        }
    }

    /// A spent token's successor is now another one; its grace still counts from its first use.
    fn succeed(&mut self, spent: &str, by: &str) {
        if let Some(token) = self.refresh.get_mut(spent)
            && let Standing::Spent { successor, .. } = &mut token.standing
        {
            by.clone_into(successor);
        }
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
