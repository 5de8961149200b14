//! The resource APIs: any method, any path, behind a bearer token (RFC 6750).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, Method, StatusCode, Uri, header};
use serde_json::json;
use url::form_urlencoded;

use crate::{
    answer::status_or_500,
    api_config::{ApiConfig, Demand, Rejection},
    challenge::Challenger,
    dpop::{Proven, url_of},
    event::SandboxEvent,
    metadata,
    shared::{Inner, Shared},
    state::AccessToken,
    stats::{ApiStats, RequestKind},
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
    Demanded(Demand),
    Anonymous,
}

async fn handle(
    State(api): State<Api>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let shared = &api.shared;
    if let Some(path) = metadata::resource_path(uri.path()) {
        let document = shared.update(|inner| {
            counters(inner, &api.name).metadata_requests += 1;
            metadata::protected_resource(inner, &shared.addresses, &api.name, path)
        });
        return axum::Json(document).into_response();
    }
    let now = shared.clock.now_ms();
    let (presented, verdict, challenger, latency) = shared.update(|inner| {
        let presented = presented(inner, &headers, &method, &uri);
        let verdict = judge(inner, &api.name, presented.as_ref(), now);
        let config = inner.config.apis.iter().find(|config| *config.name == *api.name);
        let latency = config.map_or(0, |config| config.latency_ms);
        let resource_metadata = config
            .filter(|config| config.resource_metadata)
            .map(|_| metadata::protected_resource_url(&shared.addresses, &api.name, uri.path()));
        let challenger = Challenger { dpop: inner.config.dpop, resource_metadata };
        (presented, verdict, challenger, latency)
    });
    if latency > 0 {
        tokio::time::sleep(Duration::from_millis(latency)).await;
    }
    let response = match verdict {
        Verdict::Accepted { generation } => answer(&api.name, generation, &method, &uri, body),
        Verdict::Rejected(rejection) => challenger.rejection(&rejection),
        Verdict::Demanded(demand) => challenger.demand(&demand),
        Verdict::Anonymous => challenger.anonymous(),
    };
    let kind = RequestKind::Api(api.name.to_string());
    let token = presented.as_ref().map(|presented| presented.token);
    api.shared.record(kind, token, Some(response.status().as_u16()));
    response
}

/// An access token as it came.
struct Presented<'a> {
    token: &'a str,
    /// Whether it came under the scheme of the client, and for DPoP with a proof.
    proven: bool,
}

fn presented<'a>(
    inner: &mut Inner,
    headers: &'a HeaderMap,
    method: &Method,
    uri: &Uri,
) -> Option<Presented<'a>> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    let is = |name: &str| scheme.eq_ignore_ascii_case(name);
    if !inner.config.dpop {
        return is("bearer").then_some(Presented { token, proven: true });
    }
    // A token that is bound to a key is no bearer token (RFC 9449, section 7.2).
    let url = url_of(headers, uri.path());
    let proven = Proven { method: method.as_str(), url, token: Some(token) };
    let proven = is("dpop") && inner.proofs.check(headers, &proven).is_ok();
    (is("dpop") || is("bearer")).then_some(Presented { token, proven })
}

fn counters<'a>(inner: &'a mut Inner, name: &str) -> &'a mut ApiStats {
    inner.stats.apis.entry(name.to_owned()).or_default()
}

fn judge(inner: &mut Inner, name: &str, presented: Option<&Presented<'_>>, now: u64) -> Verdict {
    let api = name.to_owned();
    counters(inner, name).requests += 1;
    let Some(&Presented { token, proven }) = presented else {
        counters(inner, name).anonymous += 1;
        inner.emit(SandboxEvent::ApiAnonymous { api });
        return Verdict::Anonymous;
    };
    let config = inner.config.apis.iter().find(|config| config.name == name).cloned();
    let ApiConfig { audience, rejection, demand, minimum_age_ms, .. } = config.unwrap_or_default();
    let old_enough = |token: &&AccessToken| now.saturating_sub(token.issued_at) >= minimum_age_ms;
    let taken = inner.state.accept(token, name, &audience, now);
    let taken = taken.filter(old_enough).filter(|_| proven).cloned();
    let controls = inner.apis.entry(api.clone()).or_default();
    let listed = controls.accept_only.as_ref().is_none_or(|tokens| tokens.contains(token));
    // Only requests that would be taken count for the runs of a flip.
    let taken = taken.filter(|_| {
        listed
            && !controls.reject_all
            && !controls.flip.as_mut().is_some_and(crate::shared::Flip::next_rejects)
    });
    let Some(taken) = taken else {
        let generation = inner.state.generation_of_access(token);
        counters(inner, name).rejected += 1;
        inner.emit(SandboxEvent::ApiRejected { api, generation });
        return Verdict::Rejected(rejection);
    };
    let generation = taken.generation;
    if let Some(demand) = demand.filter(|demand| !demand.is_met(&taken, now)) {
        counters(inner, name).demanded += 1;
        inner.emit(SandboxEvent::ApiDemanded { api, generation });
        return Verdict::Demanded(demand);
    }
    counters(inner, name).accepted += 1;
    inner.emit(SandboxEvent::ApiAccepted { api, generation });
    Verdict::Accepted { generation }
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
