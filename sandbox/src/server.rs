//! Listeners on 127.0.0.1, and connections that a handler can cut.

use std::{net, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, StatusCode, header};
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
};

use crate::shared::Shared;

/// The connection that a request came on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line(Arc<Notify>);

impl Line {
    /// Resets the connection without an answer. Never returns: the connection goes, and what
    /// waits on it with it.
    pub(crate) async fn reset(&self) -> Response {
        self.0.notify_one();
        std::future::pending().await
    }
}

/// Binds 127.0.0.1; port 0 takes any free one.
pub(crate) fn bind(port: u16) -> std::io::Result<(net::TcpListener, u16)> {
    let listener = net::TcpListener::bind((net::Ipv4Addr::LOCALHOST, port))?;
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}

/// Serves until the runtime ends.
pub(crate) async fn serve(
    listener: net::TcpListener,
    router: Router,
    shared: Arc<Shared>,
) -> std::io::Result<()> {
    let port = listener.local_addr()?.port();
    let listener = TcpListener::from_std(listener)?;
    let router = router
        .layer(middleware::from_fn_with_state(port, check_host))
        .layer(middleware::from_fn_with_state(shared, date));
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(serve_connection(stream, router.clone()));
            }
            // A client that left before it was accepted, or a lack of descriptors that passes.
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                // Long enough not to spin, too short to be noticed.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

async fn serve_connection(stream: TcpStream, router: Router) {
    let line = Line::default();
    let service = TowerToHyperService::new(router.layer(Extension(line.clone())));
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let reset = tokio::select! {
        result = &mut connection => {
            if let Err(error) = result {
                tracing::debug!(%error, "a connection ended early");
            }
            false
        }
        () = line.0.notified() => true,
    };
    if reset && let Err(error) = connection.into_parts().io.into_inner().set_zero_linger() {
        tracing::warn!(%error, "a connection is closed instead of reset");
    }
}

/// A name that resolves to loopback is not enough: a page in a browser must not reach a sandbox
/// by a name of its own (DNS rebinding).
async fn check_host(State(port): State<u16>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let ours = host.is_some_and(|host| {
        host == format!("127.0.0.1:{port}") || host == format!("localhost:{port}")
    });
    if ours {
        next.run(request).await
    } else {
        let text = "this sandbox answers only to 127.0.0.1 and localhost\n";
        (StatusCode::MISDIRECTED_REQUEST, text).into_response()
    }
}

async fn date(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    // A raw answer may bring a date of its own.
    if !response.headers().contains_key(header::DATE)
        && let Ok(date) = HeaderValue::from_str(&shared.clock.http_date())
    {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}
