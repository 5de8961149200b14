//! The authorization endpoint (RFC 6749, section 3.1) and the page that it may show.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{RawQuery, State},
    response::Response,
};
use http::{HeaderMap, StatusCode, header};
use url::{Host, Url};

use crate::{
    answer::Reply,
    authorization::{AccessRequest, joined, words},
    codes::{AuthorizationRequest, is_challenge},
    config::{Config, Consent},
    event::SandboxEvent,
    form::Form,
    mint, pages,
    refusal::Denial,
    shared::{Addresses, Inner, Shared},
    stats::RequestKind,
};

const DENIED: Denial = Denial("access_denied", "The user denied the request");

pub(crate) async fn ask(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    let now = shared.clock.now_ms();
    let reply = shared.update(|inner| {
        inner.stats.authorization_requests += 1;
        inner.emit(SandboxEvent::AuthorizationRequested);
        judge(inner, &shared.addresses, &query.unwrap_or_default(), now)
    });
    shared.record(RequestKind::Authorization, None, Some(reply.status.as_u16()));
    reply.into_response()
}

/// A button of the page was pressed.
pub(crate) async fn decide(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let now = shared.clock.now_ms();
    let reply = shared.update(|inner| {
        if pages::is_foreign(&headers) {
            return pages::foreign();
        }
        let form = Form::parse(&headers, &body).ok();
        let request = form.as_ref().and_then(|form| form.value("request"));
        let request = request.and_then(|name| inner.codes.decide(name, now));
        let Some(request) = request else {
            return pages::problem("It was decided already, or it took too long.");
        };
        let decision = form.as_ref().and_then(|form| form.value("decision"));
        answer(inner, &shared.addresses, request, decision == Some("approve"), now)
    });
    reply.into_response()
}

fn judge(inner: &mut Inner, addresses: &Addresses, query: &str, now: u64) -> Reply {
    // What is wrong up to here is never told by a redirect (RFC 6749, section 4.1.2.1).
    let form = match Form::parse_query(query) {
        Ok(form) => form,
        Err(error) => return pages::problem(error.description()),
    };
    if form.value("client_id") != Some(&inner.config.client_id) {
        return pages::problem("The client is unknown.");
    }
    let Some(redirect_uri) = form.value("redirect_uri") else {
        return pages::problem("The redirect URI is missing.");
    };
    let Some(destination) = destination(&inner.config, redirect_uri) else {
        return pages::problem("The redirect URI is not one of this client.");
    };
    let state = form.value("state");
    let request = match read(&form, redirect_uri, &inner.config, addresses) {
        Ok(request) => request,
        Err(denial) => return redirect(destination, Err(denial), state, addresses),
    };
    match inner.config.login {
        Consent::Approve => answer(inner, addresses, request, true, now),
        Consent::Deny => answer(inner, addresses, request, false, now),
        Consent::Ask => {
            let name = mint::random();
            let scope = joined(&request.authorization.scope);
            let place = destination.origin().ascii_serialization();
            let page = pages::consent(&name, &request.client_id, &scope, &place);
            inner.codes.ask(name, request, now);
            page
        }
    }
}

/// Where the answer goes: `http` on a loopback address with any port (RFC 8252, section 7.3), or
/// what is listed.
fn destination(config: &Config, redirect_uri: &str) -> Option<Url> {
    let url = Url::parse(redirect_uri).ok()?;
    let on_loopback = url.scheme() == "http"
        && match url.host()? {
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
            // A name may lead elsewhere (RFC 8252, section 8.3).
            Host::Domain(_) => false,
        };
    let bare = url.username().is_empty() && url.password().is_none();
    let known = on_loopback && bare || config.redirect_uris.contains(redirect_uri);
    // RFC 6749, section 3.1.2: no fragment, listed or not.
    (known && url.fragment().is_none()).then_some(url)
}

fn read(
    form: &Form,
    redirect_uri: &str,
    config: &Config,
    addresses: &Addresses,
) -> Result<AuthorizationRequest, Denial> {
    match form.value("response_type") {
        Some("code") => {}
        Some(_) => return Err(Denial("unsupported_response_type", "Only code is supported")),
        None => return Err(Denial("invalid_request", "The response type is missing")),
    }
    let challenge = form.value("code_challenge");
    match (challenge, form.value("code_challenge_method")) {
        (Some(challenge), Some("S256")) if is_challenge(challenge) => {}
        (Some(_), Some("S256")) => {
            return Err(Denial("invalid_request", "The code challenge is no SHA-256 hash"));
        }
        // RFC 7636, section 4.3: without a method it is plain.
        (Some(_), _) => {
            return Err(Denial("invalid_request", "The code challenge method must be S256"));
        }
        // A confidential client may leave it out (RFC 9700, section 2.1.1).
        (None, _) if config.client_secret.is_some() => {}
        (None, _) => return Err(Denial("invalid_request", "The code challenge is missing")),
    }
    let mut authorization = AccessRequest::read(form, config, addresses)?.authorization(config)?;
    // The user of a sandbox can do whatever is asked for.
    authorization.acr_values = form.value("acr_values").map(words).unwrap_or_default();
    Ok(AuthorizationRequest {
        client_id: config.client_id.clone(),
        redirect_uri: redirect_uri.to_owned(),
        state: form.value("state").map(str::to_owned),
        challenge: challenge.map(str::to_owned),
        authorization,
    })
}

fn answer(
    inner: &mut Inner,
    addresses: &Addresses,
    request: AuthorizationRequest,
    approved: bool,
    now: u64,
) -> Reply {
    inner.emit(SandboxEvent::LoginDecided { approved });
    // The configuration may have changed since the page was shown; the request was good then.
    let Ok(destination) = Url::parse(&request.redirect_uri) else {
        return pages::problem("The redirect URI is not one of this client.");
    };
    let state = request.state.clone();
    let outcome = if approved {
        let code = mint::authorization_code();
        inner.codes.issue(code.clone(), request, now);
        inner.stats.codes_issued += 1;
        Ok(code)
    } else {
        Err(DENIED)
    };
    redirect(destination, outcome, state.as_deref(), addresses)
}

/// The authorization response, with its issuer (RFC 9207, section 2).
fn redirect(
    mut to: Url,
    outcome: Result<String, Denial>,
    state: Option<&str>,
    addresses: &Addresses,
) -> Reply {
    {
        let mut query = to.query_pairs_mut();
        match outcome {
            Ok(code) => query.append_pair("code", &code),
            Err(Denial(error, description)) => {
                query.append_pair("error", error).append_pair("error_description", description)
            }
        };
        if let Some(state) = state {
            query.append_pair("state", state);
        }
        query.append_pair("iss", &addresses.issuer);
    }
    // 303, so that a form is not sent on to the client (RFC 9700, section 4.12).
    Reply::new(StatusCode::SEE_OTHER, "text/plain", "").with(header::LOCATION, Some(to.as_str()))
}
