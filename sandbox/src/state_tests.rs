use std::collections::BTreeSet;

use super::{Grant, Minted, Refusal, Revoked, State};
use crate::{
    authorization::{AccessRequest, Authorization, words},
    config::{Config, Grace, GraceKind, Rotation},
    refusal::Excess,
};

/// A state with a clock and numbered tokens.
struct Server {
    state: State,
    config: Config,
    now: u64,
    minted: u32,
}

impl Server {
    fn new(config: Config) -> Self {
        Self { state: State::default(), config, now: 1_000_000, minted: 0 }
    }

    fn with_grace(kind: GraceKind) -> Self {
        Self::new(Config { grace: Some(Grace { ms: 1_000, kind }), ..Config::default() })
    }

    fn mint(&mut self) -> Minted {
        self.minted += 1;
        Minted { access: format!("at{}", self.minted), refresh: format!("rt{}", self.minted) }
    }

    fn login(&mut self) -> Grant {
        let minted = self.mint();
        let allowed = Authorization { scope: words("read write"), ..Authorization::default() };
        self.state.issue(&self.config, allowed.clone(), allowed, minted, self.now)
    }

    fn refresh(&mut self, token: &str) -> Result<Grant, Refusal> {
        self.refresh_for(token, &AccessRequest::default())
    }

    fn refresh_for(&mut self, token: &str, request: &AccessRequest) -> Result<Grant, Refusal> {
        let minted = self.mint();
        self.state.refresh(&self.config, token, request, true, minted, self.now)
    }

    fn takes(&self, access: &str) -> bool {
        self.state.accept(access, "api", &BTreeSet::new(), self.now).is_some()
    }
}

fn refresh_token(grant: &Grant) -> String {
    grant.refresh.clone().unwrap()
}

#[test]
fn a_refresh_spends_its_token_and_raises_the_generation() {
    let mut server = Server::new(Config { reuse_detection: false, ..Config::default() });
    let login = server.login();
    let granted = server.refresh("rt1").unwrap();
    assert_eq!((login.generation, granted.generation), (1, 2));
    assert_eq!(granted.refresh.as_deref(), Some("rt2"));
    assert_eq!(server.refresh("rt1"), Err(Refusal::Reused { revoked: false }));
    assert!(server.refresh("rt2").is_ok(), "a spent token that is only refused harms nobody");
}

#[test]
fn reuse_revokes_the_family_once_with_all_its_tokens() {
    let mut server = Server::new(Config::default());
    server.login();
    let granted = server.refresh("rt1").unwrap();
    assert_eq!(server.refresh("rt1"), Err(Refusal::Reused { revoked: true }));
    assert_eq!(server.refresh("rt1"), Err(Refusal::Reused { revoked: false }));
    assert_eq!(server.refresh(&refresh_token(&granted)), Err(Refusal::Revoked));
    assert!(!server.takes(&granted.access));
    assert_eq!(server.state.live_families(), 0);
}

#[test]
fn reuse_in_one_family_leaves_the_others_alone() {
    let mut server = Server::new(Config::default());
    server.login();
    let other = server.login();
    server.refresh("rt1").unwrap();
    server.refresh("rt1").unwrap_err();
    assert!(server.takes(&other.access));
    assert_eq!(server.state.live_families(), 1);
}

#[test]
fn without_rotation_one_refresh_token_serves_for_ever() {
    let mut server = Server::new(Config { rotation: Rotation::None, ..Config::default() });
    server.login();
    for generation in 2..5 {
        let granted = server.refresh("rt1").unwrap();
        assert_eq!((granted.generation, granted.refresh), (generation, None));
    }
}

#[test]
fn the_same_successor_comes_again_within_the_grace() {
    let mut server = Server::with_grace(GraceKind::Same);
    server.login();
    let first = server.refresh("rt1").unwrap();
    server.now += 1_000;
    let second = server.refresh("rt1").unwrap();
    assert_eq!(first.refresh, second.refresh);
    assert!(second.replay && !first.replay);
    assert_ne!(first.access, second.access);
    assert!(server.takes(&first.access) && server.takes(&second.access));
    server.now += 1;
    assert_eq!(server.refresh("rt1"), Err(Refusal::Reused { revoked: true }));
}

#[test]
fn siblings_all_stay_good() {
    let mut server = Server::with_grace(GraceKind::Siblings);
    server.login();
    let first = server.refresh("rt1").unwrap();
    let second = server.refresh("rt1").unwrap();
    assert_ne!(first.refresh, second.refresh);
    assert!(server.refresh(&refresh_token(&first)).is_ok());
    assert!(server.refresh(&refresh_token(&second)).is_ok());
}

#[test]
fn under_latest_the_earlier_successor_dies_with_its_offspring() {
    let mut server = Server::with_grace(GraceKind::Latest);
    server.login();
    let first = server.refresh("rt1").unwrap();
    let offspring = server.refresh(&refresh_token(&first)).unwrap();
    let latest = server.refresh("rt1").unwrap();
    assert_eq!(server.refresh(&refresh_token(&first)), Err(Refusal::Superseded));
    assert_eq!(server.refresh(&refresh_token(&offspring)), Err(Refusal::Superseded));
    assert!(server.takes(&offspring.access), "access tokens live on");
    assert!(server.refresh(&refresh_token(&latest)).is_ok());
}

#[test]
fn access_tokens_end_by_time_by_rotation_or_by_word() {
    let config = Config { access_ttl_ms: 500, rotation_revokes_access: true, ..Config::default() };
    let mut server = Server::new(config);
    let login = server.login();
    assert!(server.takes(&login.access));
    let granted = server.refresh("rt1").unwrap();
    assert!(!server.takes(&login.access), "ended by rotation");
    server.now += 499;
    assert!(server.takes(&granted.access));
    server.now += 1;
    assert!(!server.takes(&granted.access), "ended by time");
    let again = server.refresh("rt2").unwrap();
    server.state.expire_access();
    assert!(!server.takes(&again.access), "ended by word");
}

#[test]
fn an_unused_refresh_token_expires() {
    let mut server = Server::new(Config { refresh_ttl_ms: Some(100), ..Config::default() });
    server.login();
    server.now += 101;
    assert_eq!(server.refresh("rt1"), Err(Refusal::Expired));
}

#[test]
fn scope_can_be_narrowed_and_never_widened() {
    let mut server = Server::new(Config::default());
    server.login();
    let scope = |scope| AccessRequest { scope: Some(words(scope)), ..AccessRequest::default() };
    assert_eq!(server.refresh_for("rt1", &scope("read")).unwrap().scope, "read");
    let wide = server.refresh_for("rt2", &scope("read admin"));
    assert_eq!(wide, Err(Refusal::Excess(Excess::Scope)));
    assert_eq!(server.refresh("rt2").unwrap().scope, "read write", "the grant kept its scope");
}

#[test]
fn revoking_an_access_token_leaves_the_family_alone() {
    let mut server = Server::new(Config::default());
    let login = server.login();
    assert_eq!(server.state.revoke_token(&login.access), Revoked::AccessToken);
    assert!(!server.takes(&login.access));
    assert_eq!(server.state.revoke_token("rt1"), Revoked::Family { was_live: true });
    assert_eq!(server.state.revoke_token("rt1"), Revoked::Family { was_live: false });
    assert_eq!(server.state.revoke_token("nobody's"), Revoked::Nothing);
    assert_eq!(server.refresh("rt1"), Err(Refusal::Revoked));
}

#[test]
fn resources_can_be_narrowed_and_never_widened() {
    let mut server = Server::new(Config::default());
    let apis = |names: &str| AccessRequest { apis: words(names), ..AccessRequest::default() };
    let allowed = Authorization { apis: words("api mail"), ..Authorization::default() };
    let minted = server.mint();
    server.state.issue(&server.config, allowed.clone(), allowed, minted, server.now);
    assert!(server.takes("at1"));
    let elsewhere = server.refresh_for("rt1", &apis("mail")).unwrap();
    assert!(!server.takes(&elsewhere.access));
    assert_eq!(
        server.refresh_for("rt2", &apis("api files")),
        Err(Refusal::Excess(Excess::Resource))
    );
    let granted = server.refresh("rt2").unwrap();
    assert!(server.takes(&granted.access), "the grant kept its resources");
}
