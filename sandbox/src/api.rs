//! The resource APIs: any method, any path, behind a bearer token (RFC 6750).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};
use serde_json::json;
use url::form_urlencoded;

use crate::{
    answer::status_or_500,
    config::Rejection,
    event::SandboxEvent,
    shared::{Inner, Shared},
    stats::RequestKind,
};

#[derive(Clone)]
struct Api {
    name: Arc<str>,
    shared: Arc<Shared>,
}

pub(crate) fn router(name: &str, shared: Arc<Shared>) -> Router {
    // An API takes a body of any size; it is the client that is under test.
    Router::new()
        .fallback(handle)
        .layer(DefaultBodyLimit::disable())
        .with_state(Api { name: name.into(), shared })
}

/// What became of the token.
enum Verdict {
    Accepted { generation: u64 },
    Rejected(Rejection),
    Anonymous,
}

async fn handle(
    State(api): State<Api>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let token = bearer(&headers);
    let now = api.shared.clock.now_ms();
    let (verdict, latency) =
        api.shared.update(|inner| (judge(inner, &api.name, token, now), latency(inner, &api.name)));
    if latency > 0 {
        tokio::time::sleep(Duration::from_millis(latency)).await;
    }
    let response = match verdict {
        Verdict::Accepted { generation } => answer(&api.name, generation, &method, &uri, body),
        Verdict::Rejected(rejection) => reject(&rejection),
        Verdict::Anonymous => {
            let challenge = [(header::WWW_AUTHENTICATE, "Bearer realm=\"sandbox\"")];
            (StatusCode::UNAUTHORIZED, challenge).into_response()
        }
    };
    let kind = RequestKind::Api(api.name.to_string());
    api.shared.record(kind, token, Some(response.status().as_u16()));
    response
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn latency(inner: &Inner, name: &str) -> u64 {
    inner.config.apis.iter().find(|api| api.name == name).map_or(0, |api| api.latency_ms)
}

fn judge(inner: &mut Inner, name: &str, token: Option<&str>, now: u64) -> Verdict {
    let api = name.to_owned();
    let counters = inner.stats.apis.entry(api.clone()).or_default();
    counters.requests += 1;
    let Some(token) = token else {
        counters.anonymous += 1;
        inner.emit(SandboxEvent::ApiAnonymous { api });
        return Verdict::Anonymous;
    };
    let config = inner.config.apis.iter().find(|api| api.name == name);
    let (audience, rejection) =
        config.map(|api| (api.audience.clone(), api.rejection.clone())).unwrap_or_default();
    let accepted = inner.state.accept(token, name, &audience, now);
    let controls = inner.apis.entry(api.clone()).or_default();
    let listed = controls.accept_only.as_ref().is_none_or(|tokens| tokens.contains(token));
    // Only requests that would be taken count for the runs of a flip.
    let accepted = accepted.filter(|_| {
        listed
            && !controls.reject_all
            && !controls.flip.as_mut().is_some_and(crate::shared::Flip::next_rejects)
    });
    let generation = inner.state.generation_of_access(token);
    let counters = inner.stats.apis.entry(api.clone()).or_default();
    if let Some(generation) = accepted {
        counters.accepted += 1;
        inner.emit(SandboxEvent::ApiAccepted { api, generation });
        Verdict::Accepted { generation }
    } else {
        counters.rejected += 1;
        inner.emit(SandboxEvent::ApiRejected { api, generation });
        Verdict::Rejected(rejection)
    }
}

fn answer(name: &str, generation: u64, method: &Method, uri: &Uri, body: Bytes) -> Response {
    let path = uri.path();
    if path == "/echo" {
        return ([(header::CONTENT_TYPE, "application/octet-stream")], body).into_response();
    }
    if path == "/redirect" {
        let query: BTreeMap<_, _> =
            form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).collect();
        let to = query.get("to").map(|to| [(header::LOCATION, to.to_string())]);
        return match to {
            Some(location) => (StatusCode::FOUND, location).into_response(),
            None => StatusCode::BAD_REQUEST.into_response(),
        };
    }
    let status = path
        .strip_prefix("/status/")
        .and_then(|code| code.parse().ok())
        // An informational status is no answer.
        .map_or(StatusCode::OK, |code: u16| status_or_500(code.max(200)));
    let body = json!({
        "ok": status.as_u16() < 400,
        "api": name,
        "path": path,
        "query": uri.query(),
        "method": method.as_str(),
        "body_len": body.len(),
        "generation": generation,
    });
    (status, axum::Json(body)).into_response()
}

fn reject(rejection: &Rejection) -> Response {
    let challenge = |text: &'static str| [(header::WWW_AUTHENTICATE, text)];
    let body = |code: &str| axum::Json(json!({ "error": code }));
    match rejection {
        Rejection::InvalidToken => (
            StatusCode::UNAUTHORIZED,
            challenge(
                "Bearer realm=\"sandbox\", error=\"invalid_token\", \
                 error_description=\"The access token expired\"",
            ),
            body("invalid_token"),
        )
            .into_response(),
        Rejection::RealmOnly => {
            (StatusCode::UNAUTHORIZED, challenge("Bearer realm=\"sandbox\"")).into_response()
        }
        Rejection::NoChallenge => StatusCode::UNAUTHORIZED.into_response(),
        Rejection::JsonBodyOnly => {
            (StatusCode::UNAUTHORIZED, body("invalid_token")).into_response()
        }
        Rejection::Forbidden403InvalidToken => {
            (StatusCode::FORBIDDEN, challenge("Bearer realm=\"sandbox\", error=\"invalid_token\""))
                .into_response()
        }
        Rejection::InsufficientScope => (
            StatusCode::FORBIDDEN,
            challenge("Bearer realm=\"sandbox\", error=\"insufficient_scope\", scope=\"admin\""),
        )
            .into_response(),
        Rejection::StepUp => (
            StatusCode::UNAUTHORIZED,
            challenge(
                "Bearer realm=\"sandbox\", error=\"insufficient_user_authentication\", \
                 acr_values=\"urn:sandbox:strong\", max_age=\"60\"",
            ),
        )
            .into_response(),
        Rejection::RateLimited { retry_after } => {
            let retry_after: Option<(HeaderName, _)> =
                retry_after.clone().map(|value| (header::RETRY_AFTER, value));
            let status = StatusCode::TOO_MANY_REQUESTS;
            match retry_after {
                Some(line) => (status, [line]).into_response(),
                None => status.into_response(),
            }
        }
    }
}
