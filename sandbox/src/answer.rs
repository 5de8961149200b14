//! Answers of the authorization server, and the ways they are lost.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes},
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use hyper::body::Frame;
use serde_json::{Value, json};

/// How many bytes a cut body lacks.
const MISSING: usize = 64;

/// An answer that is whole, or a connection that is reset in its place.
#[derive(Debug)]
pub(crate) enum Answer {
    Whole(Reply),
    /// The first half of the body under a length that promises more, then the end.
    Cut(Reply),
    Reset,
}

impl Answer {
    /// The status that is answered; absent for a reset.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Whole(reply) | Self::Cut(reply) => Some(reply.status.as_u16()),
            Self::Reset => None,
        }
    }
}

/// A status, field lines and a body.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn new(status: StatusCode, content_type: &str, body: impl Into<String>) -> Self {
        let mut headers = HeaderMap::new();
        insert(&mut headers, header::CACHE_CONTROL, "no-store");
        insert(&mut headers, header::CONTENT_TYPE, content_type);
        Self { status, headers, body: body.into() }
    }

    pub(crate) fn json(status: StatusCode, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    /// An error of RFC 6749, section 5.2.
    pub(crate) fn error(status: StatusCode, code: &str, description: &str) -> Self {
        Self::json(status, &json!({ "error": code, "error_description": description }))
    }

    pub(crate) fn invalid_client(challenge: bool) -> Self {
        let reply = Self::error(
            StatusCode::UNAUTHORIZED,
            "invalid_client",
            "The client is unknown or failed authentication",
        );
        let challenge = challenge.then_some("Basic realm=\"sandbox\"");
        reply.with(header::WWW_AUTHENTICATE, challenge)
    }

    /// The same reply with a field line more, if there is a value that can be one.
    pub(crate) fn with(mut self, name: HeaderName, value: Option<&str>) -> Self {
        if let Some(value) = value {
            insert(&mut self.headers, name, value);
        }
        self
    }

    /// Exactly these field lines; those that HTTP cannot carry are left out.
    pub(crate) fn raw(status: u16, lines: &[(String, String)], body: String) -> Self {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
                headers.append(name, value);
            }
        }
        Self { status: status_or_500(status), headers, body }
    }

    pub(crate) fn into_response(self) -> Response {
        (self.status, self.headers, self.body).into_response()
    }

    pub(crate) fn into_cut_response(self) -> Response {
        let promised = self.body.len() + MISSING;
        let half = Bytes::copy_from_slice(&self.body.as_bytes()[..self.body.len() / 2]);
        let mut response = Response::new(Body::new(CutBody { half: Some(half), waited: false }));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(promised));
        response
    }
}

pub(crate) fn status_or_500(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Half a body, then an error, upon which the connection is closed.
#[derive(Debug)]
struct CutBody {
    half: Option<Bytes>,
    waited: bool,
}

impl axum::body::HttpBody for CutBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let body = self.get_mut();
        if let Some(half) = body.half.take() {
            return Poll::Ready(Some(Ok(Frame::data(half))));
        }
        // The connection flushes what it has while the body is not ready.
        if !std::mem::replace(&mut body.waited, true) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionAborted.into())))
    }
}
