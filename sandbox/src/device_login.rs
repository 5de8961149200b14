//! The device authorization endpoint (RFC 8628, section 3.1) and the page for people.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{RawQuery, State},
    response::Response,
};
use http::{HeaderMap, StatusCode};
use serde_json::json;

use crate::{
    answer::Reply,
    authorization::AccessRequest,
    event::SandboxEvent,
    form::Form,
    judge::{Unanswerable, known_client},
    mint, pages,
    shared::{Inner, Shared},
    stats::RequestKind,
};

pub(crate) async fn authorize(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let reply = shared.update(|inner| {
        inner.stats.device_authorization_requests += 1;
        inner.emit(SandboxEvent::DeviceAuthorizationRequested);
        judge(inner, &shared, &headers, &body).unwrap_or_else(Unanswerable::reply)
    });
    shared.record(RequestKind::DeviceAuthorization, None, Some(reply.status.as_u16()));
    reply.into_response()
}

fn judge(
    inner: &mut Inner,
    shared: &Shared,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Reply, Unanswerable> {
    let now = shared.clock.now_ms();
    let form = known_client(&inner.config, headers, body)?;
    let config = &inner.config;
    let authorization = AccessRequest::read(&form, config, &shared.addresses)
        .and_then(|request| request.authorization(config))
        .map_err(Unanswerable::Denied)?;
    let codes = mint::device_codes();
    let uri = &shared.addresses.verification_uri;
    let body = json!({
        "device_code": codes.device,
        "user_code": codes.user,
        "verification_uri": uri,
        "verification_uri_complete": format!("{uri}?user_code={}", codes.user),
        "expires_in": config.device_code_ttl_ms / 1_000,
        "interval": config.device_interval_ms.div_ceil(1_000),
    });
    inner.devices.begin(config, authorization, codes, now);
    Ok(Reply::json(StatusCode::OK, &body))
}

/// Shows the page; a link of the device may have filled it in.
pub(crate) async fn show(RawQuery(query): RawQuery) -> Response {
    let form = Form::parse_query(&query.unwrap_or_default()).ok();
    let user_code = form.as_ref().and_then(|form| form.value("user_code"));
    pages::device(user_code.unwrap_or_default()).into_response()
}

/// A button of the page was pressed.
pub(crate) async fn decide(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if pages::is_foreign(&headers) {
        return pages::foreign().into_response();
    }
    let form = Form::parse(&headers, &body).ok();
    let value = |name| form.as_ref().and_then(|form| form.value(name));
    let approved = value("decision") == Some("approve");
    let reply = if shared.decide_device(value("user_code").unwrap_or_default(), approved) {
        pages::device_decided(approved)
    } else {
        pages::problem("No device waits for this code.")
    };
    reply.into_response()
}
