//! How requests to the authorization server are judged: each under one hold of the lock, so two
//! that come together are judged one after the other.

use http::{HeaderMap, StatusCode, header};
use serde_json::json;

use crate::{
    answer::Reply,
    config::Config,
    dpop::{DPOP_NONCE, ProofRefusal, Proven, url_of},
    event::SandboxEvent,
    form::{Form, InvalidForm, Unauthenticated, authenticate},
    grants::{TokenRequest, grant_type},
    refusal::Denial,
    shared::{Inner, Shared},
    state::Revoked,
    stats::GrantType,
};

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
        if inner.config.dpop
            && let Some(reply) = unproven(inner, headers)
        {
            return reply;
        }
        let grant_type = match grant_type(&form) {
            Ok(grant_type) => grant_type,
            Err(denial) => return refused(inner, &denial),
        };
        let request = TokenRequest::read(&form, grant_type, inner, &shared.addresses, rotate, now);
        match request.and_then(|request| request.judge(inner)) {
            Ok(mut grant) => {
                if !rotate {
                    grant.refresh = None;
                }
                inner.stats.granted += 1;
                inner.stats.grants.entry(grant_type).or_default().granted += 1;
                inner.stats.grace_replays += u64::from(grant.replay);
                let (generation, replay) = (grant.generation, grant.replay);
                inner.emit(SandboxEvent::Granted { generation, replay });
                Reply::json(StatusCode::OK, &inner.token_response(&grant))
                    .with(header::PRAGMA, Some("no-cache"))
            }
            Err(denial) => denied(inner, grant_type, &denial),
        }
    })
}

/// Counts a refusal by its kind. A device that is to come again is not refused.
fn denied(inner: &mut Inner, grant_type: GrantType, denial: &Denial) -> Reply {
    match denial.0 {
        "authorization_pending" => inner.stats.pending += 1,
        "slow_down" => inner.stats.slow_downs += 1,
        _ => {
            inner.stats.grants.entry(grant_type).or_default().refused += 1;
            return refused(inner, denial);
        }
    }
    bad_request(denial.0, denial.1)
}

/// The answer to a request without a good proof (RFC 9449, section 5).
fn unproven(inner: &mut Inner, headers: &HeaderMap) -> Option<Reply> {
    let proven = Proven { method: "POST", url: url_of(headers, "/token"), token: None };
    match inner.proofs.check_with_nonce(headers, &proven) {
        Ok(()) => None,
        Err(ProofRefusal::Nonce(nonce)) => {
            inner.stats.nonce_demands += 1;
            Some(use_dpop_nonce(&nonce))
        }
        Err(ProofRefusal::Invalid(description)) => {
            Some(refused(inner, &Denial("invalid_dpop_proof", description)))
        }
    }
}

/// RFC 9449, section 8.
pub(crate) fn use_dpop_nonce(nonce: &str) -> Reply {
    bad_request("use_dpop_nonce", "The authorization server requires a nonce in the proof")
        .with(DPOP_NONCE, Some(nonce))
}

/// RFC 7009, section 2: a token that is not known is answered like one that was revoked.
pub(crate) fn judge_revocation(shared: &Shared, headers: &HeaderMap, body: &[u8]) -> Reply {
    shared.update(|inner| {
        let form = match known_client(&inner.config, headers, body) {
            Ok(form) => form,
            Err(error) => return error.reply(),
        };
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
        let form = match known_client(&inner.config, headers, body) {
            Ok(form) => form,
            Err(error) => return error.reply(),
        };
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

/// Why a request gets nothing at an endpoint that counts no refusals.
#[derive(Debug)]
pub(crate) enum Unanswerable {
    Form(InvalidForm),
    Client(Unauthenticated),
    Denied(Denial),
}

impl Unanswerable {
    pub(crate) fn reply(self) -> Reply {
        match self {
            Self::Form(error) => bad_request("invalid_request", error.description()),
            Self::Client(error) => client_error(error),
            Self::Denied(Denial(code, description)) => bad_request(code, description),
        }
    }
}

/// A form that the one client sent.
pub(crate) fn known_client(
    config: &Config,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Form, Unanswerable> {
    let form = Form::parse(headers, body).map_err(Unanswerable::Form)?;
    authenticate(config, headers, &form).map_err(Unanswerable::Client)?;
    Ok(form)
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
