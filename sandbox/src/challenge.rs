//! How an API refuses: challenges (RFC 6750, section 3), statuses and bodies.

use axum::response::{IntoResponse as _, Response};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::json;

use crate::{
    api_config::{Demand, Rejection},
    metadata::DPOP_ALGORITHM,
};

/// The challenges of one API to one request.
#[derive(Debug, Default)]
pub(crate) struct Challenger {
    pub(crate) dpop: bool,
    /// Where the metadata is, if the API says so.
    pub(crate) resource_metadata: Option<String>,
}

impl Challenger {
    /// To a request without a token: no error (RFC 6750, section 3.1).
    pub(crate) fn anonymous(&self) -> Response {
        self.challenge(StatusCode::UNAUTHORIZED, &[])
    }

    pub(crate) fn rejection(&self, rejection: &Rejection) -> Response {
        let unauthorized = StatusCode::UNAUTHORIZED;
        let invalid_token = ("error", "invalid_token");
        let body = axum::Json(json!({ "error": "invalid_token" }));
        match rejection {
            Rejection::InvalidToken => {
                let expired = ("error_description", "The access token expired");
                let mut response = body.into_response();
                *response.status_mut() = unauthorized;
                let challenge = self.challenge(unauthorized, &[invalid_token, expired]);
                response.headers_mut().extend(challenge.headers().clone());
                response
            }
            Rejection::RealmOnly => self.challenge(unauthorized, &[]),
            Rejection::NoChallenge => unauthorized.into_response(),
            Rejection::JsonBodyOnly => (unauthorized, body).into_response(),
            Rejection::Forbidden403InvalidToken => {
                self.challenge(StatusCode::FORBIDDEN, &[invalid_token])
            }
            Rejection::InsufficientScope => self.insufficient_scope("admin"),
            Rejection::StepUp => self.step_up("urn:sandbox:strong", Some(60)),
            Rejection::RateLimited { retry_after } => {
                limited(StatusCode::TOO_MANY_REQUESTS, retry_after.as_deref())
            }
            Rejection::OkFalse => {
                axum::Json(json!({ "ok": false, "error": "token_expired" })).into_response()
            }
        }
    }

    /// To a good token that does not meet a demand.
    pub(crate) fn demand(&self, demand: &Demand) -> Response {
        match demand {
            Demand::Scope { scope } => self.insufficient_scope(scope),
            Demand::Authentication { acr_values, max_age } => self.step_up(acr_values, *max_age),
            Demand::Claims { claims } => {
                let claims = STANDARD.encode(claims.to_string());
                let parameters = [("error", "insufficient_claims"), ("claims", claims.as_str())];
                self.challenge(StatusCode::UNAUTHORIZED, &parameters)
            }
            Demand::RateLimit429 { retry_after } => {
                limited(StatusCode::TOO_MANY_REQUESTS, retry_after.as_deref())
            }
            Demand::RateLimit403 { retry_after } => {
                limited(StatusCode::FORBIDDEN, Some(retry_after))
            }
        }
    }

    fn insufficient_scope(&self, scope: &str) -> Response {
        let parameters = [("error", "insufficient_scope"), ("scope", scope)];
        self.challenge(StatusCode::FORBIDDEN, &parameters)
    }

    /// RFC 9470, section 3.
    fn step_up(&self, acr_values: &str, max_age: Option<u64>) -> Response {
        let max_age = max_age.map(|seconds| seconds.to_string());
        let mut parameters = vec![("error", "insufficient_user_authentication")];
        if !acr_values.is_empty() {
            parameters.push(("acr_values", acr_values));
        }
        if let Some(max_age) = &max_age {
            parameters.push(("max_age", max_age));
        }
        self.challenge(StatusCode::UNAUTHORIZED, &parameters)
    }

    fn challenge(&self, status: StatusCode, parameters: &[(&str, &str)]) -> Response {
        let scheme = if self.dpop { "DPoP" } else { "Bearer" };
        let mut line = format!("{scheme} realm=\"sandbox\"");
        // RFC 9449, section 7.1.
        let algorithms = self.dpop.then_some(("algs", DPOP_ALGORITHM));
        let metadata = self.resource_metadata.as_deref().map(|url| ("resource_metadata", url));
        for (name, value) in parameters.iter().copied().chain(algorithms).chain(metadata) {
            // A quoted-string (RFC 9110, section 5.6.4).
            let value = value.replace('\\', "\\\\").replace('"', "\\\"");
            line += &format!(", {name}=\"{value}\"");
        }
        with_line(status, header::WWW_AUTHENTICATE, &line)
    }
}

fn limited(status: StatusCode, retry_after: Option<&str>) -> Response {
    match retry_after {
        Some(value) => with_line(status, header::RETRY_AFTER, value),
        None => status.into_response(),
    }
}

/// A status with a field line, if HTTP can carry it.
fn with_line(status: StatusCode, name: HeaderName, value: &str) -> Response {
    match HeaderValue::from_str(value) {
        Ok(value) => (status, [(name, value)]).into_response(),
        Err(_) => status.into_response(),
    }
}
