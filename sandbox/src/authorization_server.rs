//! The authorization server: its routes, and how its answers meet their faults.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::State,
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use http::{HeaderMap, StatusCode, header};
use serde_json::json;
use tokio::time::sleep;

use crate::{
    answer::{Answer, Reply, status_or_500},
    authorize, control, device_login,
    event::SandboxEvent,
    fault::{Endpoint, Fault},
    form::Form,
    judge::{judge_introspection, judge_revocation, judge_token, use_dpop_nonce},
    metadata,
    server::Line,
    shared::{HoldPoint, OpenTokenRequest, Shared},
    stats::RequestKind,
};

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/.well-known/oauth-authorization-server", get(metadata))
        // OpenID Connect Discovery, section 4: many clients look only here.
        .route("/.well-known/openid-configuration", get(metadata))
        .route("/authorize", get(authorize::ask).post(authorize::decide))
        .route("/device_authorization", post(device_login::authorize))
        .route("/device", get(device_login::show).post(device_login::decide))
        .route("/token", post(token))
        .route("/revoke", post(revoke))
        .route("/introspect", post(introspect))
        .merge(control::router())
        .fallback(|| async { (StatusCode::NOT_FOUND, Json(json!({ "error": "not_found" }))) })
        .with_state(shared)
}

async fn metadata(State(shared): State<Arc<Shared>>) -> Response {
    let document = shared.update(|inner| {
        inner.stats.metadata_requests += 1;
        metadata::authorization_server(&inner.config, &shared.addresses)
    });
    Json(document).into_response()
}

async fn token(
    State(shared): State<Arc<Shared>>,
    Extension(line): Extension<Line>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    // A task of its own: a server goes on with a request whose client has left.
    let task = tokio::spawn(answer_token(shared, headers, body));
    deliver(task.await.ok(), &line).await
}

async fn revoke(
    State(shared): State<Arc<Shared>>,
    Extension(line): Extension<Line>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let task = tokio::spawn(answer_revocation(shared, headers, body));
    deliver(task.await.ok(), &line).await
}

async fn introspect(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    judge_introspection(&shared, &headers, &body).into_response()
}

async fn deliver(answer: Option<Answer>, line: &Line) -> Response {
    match answer {
        Some(Answer::Whole(reply)) => reply.into_response(),
        Some(Answer::Cut(reply)) => reply.into_cut_response(),
        Some(Answer::Reset) => line.reset().await,
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn answer_token(shared: Arc<Shared>, headers: HeaderMap, body: Bytes) -> Answer {
    let _open = OpenTokenRequest::new(&shared);
    let (hold, latency) = shared.update(|inner| {
        inner.stats.token_requests += 1;
        inner.emit(SandboxEvent::TokenRequested);
        (inner.armed.pop_front(), inner.config.token_latency_ms)
    });
    let fault = next_fault(&shared, Endpoint::Token);
    if hold == Some(HoldPoint::BeforeCommit) {
        shared.hold().await;
    }
    pause(latency).await;
    let answer = match before_commit(&shared, fault.as_ref()).await {
        Some(answer) => answer,
        None => {
            let rotate = fault != Some(Fault::NoRefreshToken);
            let reply = judge_token(&shared, &headers, &body, rotate);
            if hold == Some(HoldPoint::AfterCommit) {
                shared.hold().await;
            }
            after_commit(fault.as_ref(), reply).await
        }
    };
    let form = Form::parse(&headers, &body).ok();
    let token = form.as_ref().and_then(|form| form.value("refresh_token"));
    shared.record(RequestKind::Token, token, answer.status());
    answer
}

async fn answer_revocation(shared: Arc<Shared>, headers: HeaderMap, body: Bytes) -> Answer {
    shared.update(|inner| inner.stats.revocation_requests += 1);
    let fault = next_fault(&shared, Endpoint::Revocation);
    let answer = match before_commit(&shared, fault.as_ref()).await {
        Some(answer) => answer,
        None => after_commit(fault.as_ref(), judge_revocation(&shared, &headers, &body)).await,
    };
    let form = Form::parse(&headers, &body).ok();
    let token = form.as_ref().and_then(|form| form.value("token"));
    shared.record(RequestKind::Revocation, token, answer.status());
    answer
}

fn next_fault(shared: &Shared, endpoint: Endpoint) -> Option<Fault> {
    shared.update(|inner| {
        let fault = inner.script(endpoint).next_fault()?;
        inner.stats.faults_served += 1;
        inner.emit(SandboxEvent::FaultServed { fault: fault.to_string() });
        Some(fault)
    })
}

async fn pause(ms: u64) {
    if ms > 0 {
        sleep(Duration::from_millis(ms)).await;
    }
}

/// The answer of a fault that keeps the request from being judged.
async fn before_commit(shared: &Shared, fault: Option<&Fault>) -> Option<Answer> {
    let reply = match fault? {
        Fault::Status { code, retry_after, body, content_type } => {
            Reply::new(status_or_500(*code), content_type, body.as_str())
                .with(header::RETRY_AFTER, retry_after.as_deref())
        }
        Fault::ServerError => Reply::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "text/plain",
            "The service is unavailable\n",
        ),
        Fault::RateLimit429 { retry_after } => {
            let status = StatusCode::TOO_MANY_REQUESTS;
            Reply::error(status, "too_many_requests", "Slow down")
                .with(header::RETRY_AFTER, retry_after.as_deref())
        }
        Fault::Reset => return Some(Answer::Reset),
        Fault::Hang { ms } => {
            pause(*ms).await;
            return Some(Answer::Reset);
        }
        Fault::Html => {
            let page = "<!doctype html><title>Welcome</title><p>Sign in to the network";
            Reply::new(StatusCode::OK, "text/html; charset=utf-8", page)
        }
        Fault::InvalidGrant => {
            Reply::error(StatusCode::BAD_REQUEST, "invalid_grant", "The grant is not valid")
        }
        Fault::InvalidClient => Reply::invalid_client(true),
        Fault::Error { code } => Reply::json(StatusCode::BAD_REQUEST, &json!({ "error": code })),
        Fault::OkWithError { code } => Reply::error(StatusCode::OK, code, "The request failed"),
        Fault::ClaimsChallenge { claims } => {
            let body = json!({
                "error": "invalid_grant",
                "error_description": "Another authentication is required",
                "claims": claims,
            });
            Reply::json(StatusCode::BAD_REQUEST, &body)
        }
        Fault::UseDpopNonce => shared.update(|inner| {
            inner.stats.nonce_demands += 1;
            use_dpop_nonce(&inner.proofs.renew_nonce())
        }),
        Fault::Redirect { to } => Reply::new(StatusCode::TEMPORARY_REDIRECT, "text/plain", "")
            .with(header::LOCATION, Some(to)),
        Fault::Raw { status, headers, body } => Reply::raw(*status, headers, body.clone()),
        Fault::SlowThen(ms) => {
            pause(*ms).await;
            return None;
        }
        Fault::ResetAfterCommit
        | Fault::StatusAfterCommit { .. }
        | Fault::HangAfterCommit { .. }
        | Fault::CutBody
        | Fault::NoRefreshToken => return None,
    };
    Some(Answer::Whole(reply))
}

/// What a fault makes of an answer to a request that was judged.
async fn after_commit(fault: Option<&Fault>, reply: Reply) -> Answer {
    match fault {
        Some(Fault::ResetAfterCommit) => Answer::Reset,
        Some(Fault::StatusAfterCommit { code }) => {
            Answer::Whole(Reply::json(status_or_500(*code), &json!({})))
        }
        Some(Fault::HangAfterCommit { ms }) => {
            pause(*ms).await;
            Answer::Whole(reply)
        }
        Some(Fault::CutBody) => Answer::Cut(reply),
        Some(
            Fault::Status { .. }
            | Fault::ServerError
            | Fault::RateLimit429 { .. }
            | Fault::Reset
            | Fault::Hang { .. }
            | Fault::Html
            | Fault::InvalidGrant
            | Fault::InvalidClient
            | Fault::Error { .. }
            | Fault::OkWithError { .. }
            | Fault::ClaimsChallenge { .. }
            | Fault::UseDpopNonce
            | Fault::Redirect { .. }
            | Fault::NoRefreshToken
            | Fault::SlowThen(_)
            | Fault::Raw { .. },
        )
        | None => Answer::Whole(reply),
    }
}
