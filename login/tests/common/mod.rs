//! Servers on loopback that say what a test tells them to.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]
#![expect(dead_code, reason = "each file of tests uses a part")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Response, Uri};
use regrant_login::{Endpoints, Http, LoginRequest, Reach, ServerMetadata};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Longer than anything here takes, short enough that a test that hangs fails.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Seen {
    /// The values of a field of the form.
    pub(crate) fn fields(&self, name: &str) -> Vec<String> {
        form(&self.body, name)
    }

    pub(crate) fn field(&self, name: &str) -> Option<String> {
        self.fields(name).into_iter().next()
    }
}

pub(crate) fn form(text: &str, name: &str) -> Vec<String> {
    let pairs = url::form_urlencoded::parse(text.as_bytes());
    pairs.filter(|(n, _)| n == name).map(|(_, value)| value.into_owned()).collect()
}

/// What a server says: status, headers, body.
pub(crate) struct Says(pub(crate) u16, pub(crate) Vec<(&'static str, String)>, pub(crate) Vec<u8>);

pub(crate) fn says_json(value: &Value) -> Says {
    Says(200, vec![("content-type", "application/json".into())], value.to_string().into())
}

pub(crate) fn says_error(code: &str) -> Says {
    Says(
        400,
        vec![("content-type", "application/json".into())],
        json!({"error": code}).to_string().into(),
    )
}

pub(crate) fn says_nothing_here() -> Says {
    Says(404, vec![("content-type", "text/html".into())], b"<html>not found".to_vec())
}

/// A server that answers by a function of the request.
pub(crate) struct Server {
    pub(crate) base: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    pub(crate) async fn start(
        answer: impl Fn(&Seen, &str) -> Says + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answer, noted, at) = (Arc::new(answer), Arc::clone(&seen), base.clone());
        let router = Router::new().fallback(
            move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
                let request = Seen {
                    method: method.to_string(),
                    target: uri.to_string(),
                    headers,
                    body: String::from_utf8(body.to_vec()).unwrap(),
                };
                let Says(status, headers, body) = answer(&request, &at);
                noted.lock().unwrap().push(request);
                let mut response = Response::builder().status(status);
                for (name, value) in headers {
                    response = response.header(name, value);
                }
                std::future::ready(response.body(Body::from(body)).unwrap())
            },
        );
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { base, seen }
    }

    /// A server that answers one path and knows no other.
    pub(crate) async fn with(
        path: &'static str,
        answer: impl Fn(&str) -> Says + Send + Sync + 'static,
    ) -> Self {
        Self::start(
            move |seen, base| {
                if seen.target == path { answer(base) } else { says_nothing_here() }
            },
        )
        .await
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The targets that were asked for.
    pub(crate) fn targets(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.target).collect()
    }

    /// Its endpoints, given by hand.
    pub(crate) fn endpoints(&self) -> ServerMetadata {
        ServerMetadata::explicit(&Endpoints {
            token: &format!("{}/token", self.base),
            authorization: Some(&format!("{}/authorize", self.base)),
            device_authorization: Some(&format!("{}/device", self.base)),
            revocation: Some(&format!("{}/revoke", self.base)),
            issuer: Some(&self.base),
        })
        .unwrap()
    }
}

/// A server below HTTP: after the head of each request it does what it is told with the
/// connection.
pub(crate) async fn raw<F>(act: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> String
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => break,
                }
            }
            // Whether the client stays until the end is its own matter.
            tokio::spawn(act(stream));
        }
    });
    base
}

/// Sends this over a connection of its own and reads to the end.
pub(crate) async fn exchange(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// What a browser's GET is answered with.
pub(crate) async fn visit(port: u16, target: &str) -> String {
    exchange(port, &format!("GET {target} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")).await
}

pub(crate) fn tls_provider() {
    // Installed already by another test of this process is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

pub(crate) fn http() -> Http {
    tls_provider();
    Http::new(Reach::Public).unwrap()
}

/// One that gives up soon.
pub(crate) fn hasty_http() -> Http {
    tls_provider();
    Http::builder(Reach::Public).within(Duration::from_millis(300)).build(|b| b).unwrap()
}

pub(crate) fn request() -> LoginRequest {
    let mut request = LoginRequest::new("app");
    request.scope = Some("openid offline".into());
    request
}

pub(crate) fn grant() -> Value {
    json!({
        "access_token": "canary-access", "token_type": "Bearer", "expires_in": "3600",
        "refresh_token": "canary-refresh", "scope": "openid",
    })
}
