//! Names and addresses that a login contacts, and those that it does not.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use common::{Server, says_json, tls_provider};
use regrant_login::{
    AddressRefused, DocumentError, Http, HttpError, Network, Reach, ServerMetadata,
    ServerMetadataError,
};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde_json::json;

/// Gives these addresses for any name, one after the other; the last holds from then on.
struct Names(Mutex<Vec<IpAddr>>);

impl Resolve for Names {
    fn resolve(&self, _: Name) -> Resolving {
        let mut left = self.0.lock().unwrap();
        let address = if left.len() > 1 { left.remove(0) } else { left[0] };
        let found = vec![SocketAddr::new(address, 0)];
        Box::pin(std::future::ready(Ok(Box::new(found.into_iter()) as Addrs)))
    }
}

fn http(reach: Reach, addresses: &[&str]) -> Http {
    tls_provider();
    let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
    Http::builder(reach).resolver(Arc::new(Names(Mutex::new(addresses)))).build(|b| b).unwrap()
}

async fn refused(http: &Http, issuer: &str) -> AddressRefused {
    match ServerMetadata::discover(http, issuer).await {
        Err(ServerMetadataError::Document {
            source: DocumentError::Http(HttpError::Address(refused)),
            ..
        }) => refused,
        other => panic!("{issuer}: {other:?}"),
    }
}

async fn server() -> Server {
    Server::start(|seen, base| {
        // As it was asked for, by name or by address.
        let base = match seen.headers["host"].to_str().unwrap() {
            host if host.starts_with("localhost") => base.replace("127.0.0.1", "localhost"),
            _ => base.to_owned(),
        };
        says_json(&json!({"issuer": base, "token_endpoint": format!("{base}/token")}))
    })
    .await
}

#[tokio::test]
async fn a_name_that_means_a_private_address_is_not_contacted() {
    for (address, network) in [
        ("10.0.0.1", Network::Private),
        ("fd00::1", Network::Private),
        ("::ffff:192.168.0.1", Network::Private),
        ("169.254.169.254", Network::Special),
        ("127.0.0.1", Network::Loopback),
        ("::1", Network::Loopback),
    ] {
        let error = refused(&http(Reach::Public, &[address]), "https://as.example").await;
        let expected = AddressRefused { host: "as.example".into(), network };
        assert_eq!(error, expected, "{address}");
    }
}

#[tokio::test]
async fn a_name_cannot_come_to_mean_another_address() {
    let server = server().await;
    let issuer = server.base.replace("127.0.0.1", "localhost");
    let http = http(Reach::Public, &["127.0.0.1", "10.0.0.1"]);
    assert!(ServerMetadata::discover(&http, &issuer).await.is_ok());
    assert_eq!(refused(&http, &issuer).await.network, Network::Private);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn localhost_is_nowhere_else_even_if_private_networks_are_allowed() {
    let error = refused(&http(Reach::Private, &["10.0.0.1"]), "http://localhost:1").await;
    assert_eq!(error.network, Network::Private);
}

#[tokio::test]
async fn a_program_s_own_settings_do_not_open_the_way_for_names() {
    tls_provider();
    let proxy = Server::start(|_, base| says_json(&json!({"issuer": base}))).await;
    let through = |reach| {
        Http::builder(reach)
            .resolver(Arc::new(Names(Mutex::new(vec!["10.0.0.1".parse().unwrap()]))))
            .build(|b| {
                b.proxy(reqwest::Proxy::all(&proxy.base).unwrap())
                    .redirect(reqwest::redirect::Policy::limited(9))
            })
            .unwrap()
    };
    // A proxy would look the name up itself.
    let error = refused(&through(Reach::Public), "https://as.example").await;
    assert_eq!(error.network, Network::Private);
    assert!(proxy.seen().is_empty());
    let by_proxy = ServerMetadata::discover(&through(Reach::Private), "https://as.example").await;
    assert!(by_proxy.is_err());
    assert_eq!(proxy.seen()[0].method, "CONNECT");
}

#[tokio::test]
async fn loopback_needs_no_name() {
    let server = server().await;
    tls_provider();
    let http = Http::new(Reach::Public).unwrap();
    assert!(ServerMetadata::discover(&http, &server.base).await.is_ok());
    let by_name = server.base.replace("127.0.0.1", "localhost");
    assert!(ServerMetadata::discover(&http, &by_name).await.is_ok());
}
