//! How requests to the authorization server are judged: each under one hold of the lock, so two
//! that come together are judged one after the other.

use http::{HeaderMap, StatusCode};
use serde_json::json;

use crate::{
    answer::Reply,
    event::SandboxEvent,
    form::{Form, Unauthenticated, authenticate},
    shared::{Inner, Shared, mint},
    state::{Grant, Refusal, Revoked},
};

/// Why a request gets no grant: a code and a description.
struct Denial(&'static str, &'static str);

impl From<Refusal> for Denial {
    fn from(refusal: Refusal) -> Self {
        Self(refusal.code(), refusal.description())
    }
}

pub(crate) fn judge_token(
    shared: &Shared,
    headers: &HeaderMap,
    body: &[u8],
    rotate: bool,
) -> Reply {
    let now = shared.clock.now_ms();
    shared.update(|inner| {
        let form = match Form::parse(headers, body) {
            Ok(form) => form,
            Err(error) => return refused(inner, &Denial("invalid_request", error.description())),
        };
        if let Err(error) = authenticate(&inner.config, headers, &form) {
            return unauthenticated(inner, error);
        }
        match grant(inner, &form, rotate, now) {
            Ok(mut grant) => {
                if !rotate {
                    grant.refresh = None;
                }
                inner.stats.granted += 1;
                inner.stats.grace_replays += u64::from(grant.replay);
                let (generation, replay) = (grant.generation, grant.replay);
                inner.emit(SandboxEvent::Granted { generation, replay });
                Reply::json(StatusCode::OK, &inner.token_response(&grant))
                    .with(http::header::PRAGMA, Some("no-cache"))
            }
            Err(denial) => refused(inner, &denial),
        }
    })
}

fn grant(inner: &mut Inner, form: &Form, rotate: bool, now: u64) -> Result<Grant, Denial> {
    let scope = form.value("scope");
    match form.value("grant_type") {
        Some("refresh_token") => {
            let presented = form
                .value("refresh_token")
                .ok_or(Denial("invalid_request", "The refresh token is missing"))?;
            let config = &inner.config;
            let result = inner.state.refresh(config, presented, scope, rotate, mint(), now);
            if let Err(Refusal::Reused { revoked }) = result {
                inner.stats.reuse_detected += 1;
                inner.emit(SandboxEvent::ReuseDetected);
                inner.family_revoked(revoked);
            }
            let mut grant = result?;
            if grant.refresh.is_none() && inner.config.repeat_refresh_token {
                grant.refresh = Some(presented.to_owned());
            }
            Ok(grant)
        }
        Some("client_credentials") if inner.config.client_secret.is_none() => {
            Err(Denial("unauthorized_client", "A public client has no credentials"))
        }
        Some("client_credentials") => {
            let scope = scope.unwrap_or(&inner.config.scope);
            Ok(inner.state.client_credentials(&inner.config, scope, mint(), now))
        }
        Some(_) => Err(Denial("unsupported_grant_type", "The sandbox has no such grant")),
        None => Err(Denial("invalid_request", "The grant type is missing")),
    }
}

/// RFC 7009, section 2: a token that is not known is answered like one that was revoked.
pub(crate) fn judge_revocation(shared: &Shared, headers: &HeaderMap, body: &[u8]) -> Reply {
    shared.update(|inner| {
        let form = match Form::parse(headers, body) {
            Ok(form) => form,
            Err(error) => return bad_request("invalid_request", error.description()),
        };
        if let Err(error) = authenticate(&inner.config, headers, &form) {
            return client_error(error);
        }
        let Some(token) = form.value("token") else {
            return bad_request("invalid_request", "The token is missing");
        };
        let revoked = inner.state.revoke_token(token);
        match revoked {
            Revoked::Family { was_live } => inner.family_revoked(was_live),
            Revoked::AccessToken | Revoked::Nothing => {}
        }
        if revoked != Revoked::Nothing {
            inner.stats.revocations += 1;
            inner.emit(SandboxEvent::Revoked);
        }
        Reply::new(StatusCode::OK, "text/plain", "")
    })
}

/// RFC 7662, section 2.
pub(crate) fn judge_introspection(shared: &Shared, headers: &HeaderMap, body: &[u8]) -> Reply {
    let now = shared.clock.now_ms();
    shared.read(|inner| {
        let form = match Form::parse(headers, body) {
            Ok(form) => form,
            Err(error) => return bad_request("invalid_request", error.description()),
        };
        if let Err(error) = authenticate(&inner.config, headers, &form) {
            return client_error(error);
        }
        let found = form.value("token").and_then(|token| inner.state.introspect(token, now));
        let body = match found {
            Some((scope, generation, Some(expires_at))) => json!({
                "active": true, "scope": scope, "client_id": inner.config.client_id,
                "exp": expires_at / 1_000, "generation": generation,
            }),
            Some((scope, generation, None)) => json!({
                "active": true, "scope": scope, "client_id": inner.config.client_id,
                "generation": generation,
            }),
            None => json!({ "active": false }),
        };
        Reply::json(StatusCode::OK, &body)
    })
}

fn refused(inner: &mut Inner, Denial(code, description): &Denial) -> Reply {
    inner.stats.refused += 1;
    inner.emit(SandboxEvent::Refused { code: (*code).to_owned() });
    bad_request(code, description)
}

fn unauthenticated(inner: &mut Inner, error: Unauthenticated) -> Reply {
    match error {
        Unauthenticated::Wrong { .. } => {
            inner.stats.unauthenticated += 1;
            inner.emit(SandboxEvent::Refused { code: "invalid_client".to_owned() });
            client_error(error)
        }
        Unauthenticated::TwoMethods => refused(inner, &TWO_METHODS),
    }
}

const TWO_METHODS: Denial =
    Denial("invalid_request", "The client used more than one way to authenticate");

fn client_error(error: Unauthenticated) -> Reply {
    match error {
        Unauthenticated::Wrong { by_header } => Reply::invalid_client(by_header),
        Unauthenticated::TwoMethods => bad_request(TWO_METHODS.0, TWO_METHODS.1),
    }
}

fn bad_request(code: &str, description: &str) -> Reply {
    Reply::error(StatusCode::BAD_REQUEST, code, description)
}
