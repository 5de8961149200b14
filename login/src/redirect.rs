//! Waiting on loopback for the browser to come back (RFC 8252 section 7.3).

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use oauth2::{AuthorizationCode, CsrfToken};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use url::{Url, form_urlencoded};

/// Where the browser comes back to.
const PATH: &str = "/callback";

/// How long one connection may last: 10 s. A browser on this machine needs milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest request head: 64 KiB, more than browsers send and than codes are long.
const LONGEST_HEAD: usize = 64 << 10;

/// How many connections may be open: a browser opens a few, and the program's own files need the
/// rest of its descriptors. The oldest makes room, because whoever has something to say says it
/// at once.
const MOST_CONNECTIONS: usize = 64;

/// How long nobody is let in after that has failed: 50 ms, for descriptors to come free.
const PAUSE: Duration = Duration::from_millis(50);

const DONE: &str = "You can close this page and go back to the program.";
const NOT_THIS: &str = "This is not the answer to a login that is under way. \
                        Go back to the program and log in from there.";

/// A socket on loopback that waits for one redirect.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    redirect_uri: Url,
}

/// What the server sent the browser back with (RFC 6749 section 4.1.2, RFC 9207 section 2).
#[derive(Debug, Default)]
pub(crate) struct Redirect {
    pub(crate) code: Option<AuthorizationCode>,
    pub(crate) issuer: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) error_description: Option<String>,
}

/// What the connections share: which redirect is awaited, and whether it came.
struct Awaited {
    state: CsrfToken,
    came: AtomicBool,
}

impl Listener {
    /// Listens on this port, or on any that is free, by IPv4 or else by IPv6.
    pub(crate) async fn bind(port: Option<u16>) -> io::Result<Self> {
        let port = port.unwrap_or(0);
        let socket = match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(socket) => socket,
            // A port that was given is known to the server by this address.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
            // The error that is told is that of the address which nearly all machines have.
            Err(error) => {
                TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await.map_err(|_| error)?
            }
        };
        let redirect_uri = format!("http://{}{PATH}", socket.local_addr()?);
        let redirect_uri = Url::parse(&redirect_uri).expect("an address and a path are a URL");
        Ok(Self { socket, redirect_uri })
    }

    pub(crate) fn redirect_uri(&self) -> &Url {
        &self.redirect_uri
    }

    /// Takes the one redirect that carries this state. All else is answered and forgotten.
    pub(crate) async fn wait(self, state: CsrfToken) -> Redirect {
        let awaited = Arc::new(Awaited { state, came: AtomicBool::new(false) });
        let (tell, mut told) = mpsc::channel(1);
        let mut connections = JoinSet::new();
        let mut ages: VecDeque<AbortHandle> = VecDeque::new();
        loop {
            tokio::select! {
                Some(redirect) = told.recv() => return redirect,
                Some(_) = connections.join_next() => ages.retain(|one| !one.is_finished()),
                accepted = self.socket.accept() => match accepted {
                    Ok((stream, _)) => {
                        if ages.len() == MOST_CONNECTIONS && let Some(oldest) = ages.pop_front() {
                            oldest.abort();
                        }
                        let serving = serve(stream, Arc::clone(&awaited), tell.clone());
                        ages.push_back(connections.spawn(serving));
                    }
                    Err(error) => {
                        tracing::debug!(target: "regrant", %error, "a browser was not let in");
                        sleep(PAUSE).await;
                    }
                },
            }
        }
    }
}

/// Serves one request, and tells of the redirect once its page is written.
async fn serve(stream: TcpStream, awaited: Arc<Awaited>, tell: mpsc::Sender<Redirect>) {
    let came = Mutex::new(None);
    let service = service_fn(|request| {
        let (response, redirect) = awaited.answer(&request);
        if redirect.is_some() {
            *came.lock().unwrap_or_else(PoisonError::into_inner) = redirect;
        }
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(LONGEST_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // Whether the browser took its page matters to nobody else.
    let _ = timeout(PATIENCE, connection).await;
    if let Some(redirect) = came.into_inner().unwrap_or_else(PoisonError::into_inner) {
        // Nobody listens only if the login was given up.
        let _ = tell.send(redirect).await;
    }
}

impl Awaited {
    fn answer<B>(&self, request: &Request<B>) -> (Response<Full<Bytes>>, Option<Redirect>) {
        if request.uri().path() != PATH {
            return (page(StatusCode::NOT_FOUND, NOT_THIS), None);
        }
        if request.method() != Method::GET {
            let mut response = page(StatusCode::METHOD_NOT_ALLOWED, NOT_THIS);
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET"));
            return (response, None);
        }
        match self.redirect(request.uri().query().unwrap_or_default()) {
            Some(redirect) => (page(StatusCode::OK, DONE), Some(redirect)),
            None => (page(StatusCode::BAD_REQUEST, NOT_THIS), None),
        }
    }

    /// The redirect in this query, if it is the one that is awaited. A parameter that comes twice
    /// makes it none (RFC 6749 section 3.1).
    fn redirect(&self, query: &str) -> Option<Redirect> {
        let mut redirect = Redirect::default();
        let (mut state, mut code) = (None, None);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let member = match &*name {
                "state" => &mut state,
                "code" => &mut code,
                "iss" => &mut redirect.issuer,
                "error" => &mut redirect.error,
                "error_description" => &mut redirect.error_description,
                _ => continue,
            };
            if member.replace(value.into_owned()).is_some() {
                return None;
            }
        }
        // Their hashes are compared, so that the time it takes tells nothing.
        if CsrfToken::new(state?) != self.state || self.came.swap(true, Ordering::AcqRel) {
            return None;
        }
        redirect.code = code.filter(|code| !code.is_empty()).map(AuthorizationCode::new);
        Some(redirect)
    }
}

/// A page that says this and nothing else: no script, nothing of the request, nothing to keep and
/// nowhere to go.
fn page(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Login</title><p>{text}"
    );
    let mut response = Response::new(Full::new(Bytes::from(html)));
    *response.status_mut() = status;
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn awaited() -> Awaited {
        Awaited { state: CsrfToken::new("s".into()), came: AtomicBool::new(false) }
    }

    fn answer(awaited: &Awaited, method: Method, target: &str) -> (u16, Option<Redirect>) {
        let request = Request::builder().method(method).uri(target).body(()).unwrap();
        let (response, redirect) = awaited.answer(&request);
        (response.status().as_u16(), redirect)
    }

    #[test]
    fn one_redirect_with_the_right_state_counts() {
        let awaited = awaited();
        for target in [
            "/callback",
            "/callback?code=c",
            "/callback?code=c&state=",
            "/callback?code=c&state=S",
            "/callback?code=c&state=ss",
            "/callback?code=c&state=s&state=s",
            "/callback?code=a&code=c&state=s",
            "/callback?code=c&state=s&iss=a&iss=b",
            "/callback?error=access_denied&state=x",
        ] {
            let (status, redirect) = answer(&awaited, Method::GET, target);
            assert_eq!((status, redirect.is_none()), (400, true), "{target}");
        }
        let good = "/callback?code=c%2B1&state=s&iss=https%3A%2F%2Fas.example&session=x";
        let (status, redirect) = answer(&awaited, Method::GET, good);
        let redirect = redirect.unwrap();
        assert_eq!(status, 200);
        assert_eq!(redirect.code.unwrap().secret(), "c+1");
        assert_eq!(redirect.issuer.as_deref(), Some("https://as.example"));
        let (status, again) = answer(&awaited, Method::GET, good);
        assert_eq!((status, again.is_none()), (400, true));
    }

    #[test]
    fn other_paths_and_methods_are_told_off_and_forgotten() {
        let awaited = awaited();
        for (method, target, status) in [
            (Method::GET, "/favicon.ico", 404),
            (Method::GET, "/callback/?code=c&state=s", 404),
            (Method::GET, "/?code=c&state=s", 404),
            (Method::POST, "/callback?code=c&state=s", 405),
            (Method::HEAD, "/callback?code=c&state=s", 405),
        ] {
            let (told, redirect) = answer(&awaited, method, target);
            assert_eq!((told, redirect.is_none()), (status, true), "{target}");
        }
        assert!(answer(&awaited, Method::GET, "/callback?code=c&state=s").1.is_some());
    }
}
