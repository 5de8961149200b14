//! Metadata of authorization servers and APIs, good and hostile.

mod common;

use std::time::Duration;

use common::{SOON, Says, Server, hasty_http, http, raw, says_json, says_nothing_here};
use regrant_login::{
    DocumentError, EndpointError, HttpError, ResourceMetadata, ResourceMetadataError,
    ServerMetadata, ServerMetadataError,
};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{interval, timeout};

const RFC_8414: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";
const RFC_9728: &str = "/.well-known/oauth-protected-resource";

fn metadata(base: &str) -> Value {
    json!({
        "issuer": base,
        "authorization_endpoint": format!("{base}/authorize"),
        "token_endpoint": format!("{base}/token"),
        "revocation_endpoint": format!("{base}/revoke"),
        "device_authorization_endpoint": format!("{base}/device"),
        "scopes_supported": ["openid"],
        "code_challenge_methods_supported": ["S256"],
        "grant_types_supported": null,
        "authorization_response_iss_parameter_supported": true,
        "something_else": {"a": [1, 2]},
    })
}

async fn discover(issuer: &str) -> Result<ServerMetadata, ServerMetadataError> {
    ServerMetadata::discover(&http(), issuer).await
}

/// What is wrong with the document that a server gives at the first place.
async fn refused(says: impl Fn(&str) -> Says + Send + Sync + 'static) -> DocumentError {
    let server = Server::with(RFC_8414, says).await;
    match discover(&server.base).await {
        Err(ServerMetadataError::Document { url, source }) => {
            assert_eq!(url, format!("{}{RFC_8414}", server.base));
            assert_eq!(server.seen().len(), 1, "no other place was asked");
            source
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn metadata_is_read() {
    let server = Server::with(RFC_8414, |base| says_json(&metadata(base))).await;
    let found = discover(&server.base).await.unwrap();
    assert_eq!(found.issuer.as_deref(), Some(server.base.as_str()));
    assert_eq!(found.token_endpoint.as_str(), format!("{}/token", server.base));
    assert_eq!(found.scopes_supported.unwrap(), ["openid"]);
    assert_eq!(found.grant_types_supported, None);
    assert!(found.authorization_response_iss_parameter_supported);
    let accept = &server.seen()[0].headers["accept"];
    assert_eq!(accept, "application/json");
}

#[tokio::test]
async fn places_are_asked_in_order_until_one_has_something() {
    let server = Server::start(|seen, base| {
        if seen.target == "/.well-known/openid-configuration/tenant" {
            let mut metadata = metadata(base);
            metadata["issuer"] = format!("{base}/tenant").into();
            says_json(&metadata)
        } else {
            says_nothing_here()
        }
    })
    .await;
    discover(&format!("{}/tenant", server.base)).await.unwrap();
    assert_eq!(
        server.targets(),
        [
            "/.well-known/oauth-authorization-server/tenant",
            "/tenant/.well-known/openid-configuration",
            "/.well-known/openid-configuration/tenant",
        ]
    );
    let nowhere = discover(&server.base).await.unwrap_err();
    assert!(matches!(nowhere, ServerMetadataError::NotFound { .. }), "{nowhere}");
    let openid = Server::with(OPENID, |base| says_json(&metadata(base))).await;
    assert!(discover(&openid.base).await.is_ok());
}

#[tokio::test]
async fn another_issuer_s_metadata_is_refused_by_both_names() {
    let server = Server::with(RFC_8414, |base| {
        let mut metadata = metadata(base);
        metadata["issuer"] = "https://evil.example/\u{1b}[2J".into();
        says_json(&metadata)
    })
    .await;
    let error = discover(&server.base).await.unwrap_err();
    let ServerMetadataError::IssuerDiffers { asked, found } = &error else { panic!("{error}") };
    assert_eq!((asked.as_str(), found.as_str()), (&*server.base, "https://evil.example/[2J"));
    // A slash more is another issuer.
    let slash = discover(&format!("{}/", server.base)).await.unwrap_err();
    assert!(matches!(slash, ServerMetadataError::IssuerDiffers { .. }), "{slash}");
}

#[tokio::test]
async fn a_redirect_leads_nowhere() {
    let other = Server::with(RFC_8414, |base| says_json(&metadata(base))).await;
    for status in [301, 302, 303, 307, 308] {
        let to = format!("{}{RFC_8414}", other.base);
        let error = refused(move |_| Says(status, vec![("location", to.clone())], vec![])).await;
        assert!(matches!(error, DocumentError::Redirected), "{error}");
    }
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn a_server_that_is_busy_is_not_passed_over() {
    for status in [429, 500, 503] {
        let error = refused(move |_| Says(status, vec![], vec![])).await;
        assert!(
            matches!(error, DocumentError::Unavailable { status: s } if s == status),
            "{error}"
        );
    }
}

#[tokio::test]
async fn what_is_no_json_by_its_type_is_not_read() {
    for content_type in ["text/html", "text/plain", "image/png", "application/jsonish", ""] {
        let error = refused(move |base| {
            let body = metadata(base).to_string().into();
            Says(200, vec![("content-type", content_type.into())], body)
        })
        .await;
        assert!(matches!(error, DocumentError::NotJson), "{content_type}: {error}");
    }
    let parameters = Server::with(RFC_8414, |base| {
        let body = metadata(base).to_string().into();
        Says(200, vec![("content-type", "Application/JSON; charset=utf-8".into())], body)
    });
    assert!(discover(&parameters.await.base).await.is_ok());
}

#[tokio::test]
async fn malformed_metadata_is_refused_without_quoting_it() {
    let json = |body: String| {
        move |base: &str| {
            let body = body.replace("BASE", base).into();
            Says(200, vec![("content-type", "application/json".into())], body)
        }
    };
    for body in [
        "",
        "<html>captive portal</html>",
        "[]",
        r#"{"token_endpoint":"BASE/token"}"#,
        r#"{"issuer":"BASE","issuer":"BASE","token_endpoint":"BASE/token"}"#,
        r#"{"issuer":"BASE","token_endpoint":"BASE/token","token_endpoint":"https://evil.example"}"#,
        r#"{"issuer":"BASE","token_endpoint":"BASE/token","scopes_supported":"canary"}"#,
        r#"{"issuer":"BASE","token_endpoint":"BASE/token"} canary"#,
        &"[".repeat(1 << 18),
        &format!(r#"{{"issuer":"BASE","x":{}"#, "[".repeat(1 << 18)),
        &format!(r#"{{"issuer":"BASE","scopes_supported":{}"#, "[".repeat(1 << 18)),
    ] {
        let error = refused(json(body.to_owned())).await;
        assert!(matches!(error, DocumentError::Malformed { .. }), "{error}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
    // What is not read may nest as deep as it likes.
    let (open, close) = ("[".repeat(1 << 18), "]".repeat(1 << 18));
    let deep = format!(r#"{{"issuer":"BASE","token_endpoint":"BASE/token","x":{open}{close}}}"#);
    let deep = Server::with(RFC_8414, json(deep)).await;
    assert!(discover(&deep.base).await.is_ok());
}

#[tokio::test]
async fn metadata_names_a_token_endpoint() {
    let server = Server::with(RFC_8414, |base| says_json(&json!({"issuer": base}))).await;
    let error = discover(&server.base).await.unwrap_err();
    assert!(matches!(error, ServerMetadataError::TokenEndpointMissing), "{error}");
}

#[tokio::test]
async fn endpoints_are_held_to_the_rules_from_a_local_server_too() {
    for (url, is_right) in [
        ("http://as.example/token", (|e| matches!(e, EndpointError::Origin(_))) as fn(_) -> bool),
        ("http://user@127.0.0.1/token", |e| matches!(e, EndpointError::Credentials)),
        ("https://10.0.0.1/token", |e| matches!(e, EndpointError::Address(_))),
        ("https://169.254.169.254/token", |e| matches!(e, EndpointError::Address(_))),
        ("https://as.example/token#f", |e| matches!(e, EndpointError::Fragment)),
    ] {
        let server = Server::with(RFC_8414, |base| {
            let mut metadata = metadata(base);
            metadata["token_endpoint"] = url.into();
            says_json(&metadata)
        });
        let error = discover(&server.await.base).await.unwrap_err();
        let ServerMetadataError::Endpoint { name: "token_endpoint", source, .. } = error else {
            panic!("{url}: {error}")
        };
        assert!(is_right(source), "{url}");
    }
}

#[tokio::test]
async fn an_issuer_out_of_bounds_is_not_asked() {
    for issuer in ["http://as.example", "https://10.0.0.1", "https://as.example#f", "as.example"] {
        let error = discover(issuer).await.unwrap_err();
        assert!(matches!(error, ServerMetadataError::Issuer { .. }), "{issuer}: {error}");
    }
    let error = discover("https://user:canary@as.example").await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    let error = discover("https://as.example?a=b").await.unwrap_err();
    assert!(matches!(error, ServerMetadataError::IssuerQuery { .. }), "{error}");
}

/// What is wrong with a document that is written below HTTP, to one who is in a hurry.
async fn hastily<F>(act: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> DocumentError
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let base = raw(act).await;
    match timeout(SOON, ServerMetadata::discover(&hasty_http(), &base)).await.expect("a deadline") {
        Err(ServerMetadataError::Document { source, .. }) => source,
        other => panic!("{other:?}"),
    }
}

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n";

#[tokio::test]
async fn a_body_without_an_end_is_cut() {
    let base = raw(|mut stream| async move {
        stream.write_all(HEAD).await?;
        loop {
            stream.write_all(&[b' '; 1 << 14]).await?;
        }
    })
    .await;
    let error = timeout(SOON, discover(&base)).await.unwrap().unwrap_err();
    let ServerMetadataError::Document { source, .. } = error else { panic!("{error}") };
    assert!(matches!(source, DocumentError::TooLong), "{source}");
}

#[tokio::test]
async fn sixteen_mebibytes_are_too_long() {
    let error = refused(|base| {
        let mut body = metadata(base).to_string().into_bytes();
        body.resize(16 << 20, b' ');
        Says(200, vec![("content-type", "application/json".into())], body)
    })
    .await;
    assert!(matches!(error, DocumentError::TooLong), "{error}");
}

#[tokio::test]
async fn a_slow_drip_ends_at_the_deadline() {
    let error = hastily(|mut stream| async move {
        stream.write_all(HEAD).await?;
        let mut drip = interval(Duration::from_millis(20));
        loop {
            drip.tick().await;
            stream.write_all(b" ").await?;
            stream.flush().await?;
        }
    })
    .await;
    assert!(matches!(error, DocumentError::Http(HttpError::TimedOut { .. })), "{error}");
}

#[tokio::test]
async fn who_never_answers_is_not_waited_for() {
    let error = hastily(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
        Ok(())
    })
    .await;
    assert!(matches!(error, DocumentError::Http(HttpError::TimedOut { .. })), "{error}");
    let error = hastily(|mut stream| async move { stream.write_all(&HEAD[..20]).await }).await;
    assert!(matches!(error, DocumentError::Http(HttpError::Unreachable { .. })), "{error}");
}

async fn resource(url: &str) -> Result<ResourceMetadata, ResourceMetadataError> {
    ResourceMetadata::discover(&http(), url).await
}

fn api(resource: &str) -> Says {
    says_json(&json!({
        "resource": resource,
        "authorization_servers": ["https://as.example"],
        "scopes_supported": ["read", "write"],
    }))
}

/// An API at `/mcp` whose challenge names `document`, where it describes `described`.
async fn challenging(document: &'static str, described: &'static str) -> Server {
    Server::start(move |seen, base| {
        if seen.target == "/mcp" {
            let line = format!("Bearer scope=\"read\", resource_metadata=\"{base}{document}\"");
            Says(401, vec![("www-authenticate", line)], vec![])
        } else if seen.target == document {
            api(&described.replace("BASE", base))
        } else {
            says_nothing_here()
        }
    })
    .await
}

#[tokio::test]
async fn a_challenge_names_the_metadata_of_an_api() {
    let server = challenging("/about", "BASE/mcp").await;
    let url = format!("{}/mcp", server.base);
    let found = resource(&url).await.unwrap();
    assert_eq!(found.resource, url);
    assert_eq!(found.authorization_servers, ["https://as.example"]);
    assert_eq!(found.scopes_supported.unwrap(), ["read", "write"]);
    assert_eq!(found.challenge_scope.as_deref(), Some("read"));
    assert_eq!(server.targets(), ["/mcp", "/about"]);
    assert!(!server.seen()[0].headers.contains_key("authorization"));
}

#[tokio::test]
async fn an_api_may_be_described_for_its_whole_origin() {
    let server = challenging(RFC_9728, "BASE").await;
    let found = resource(&format!("{}/mcp", server.base)).await.unwrap();
    assert_eq!(found.resource, server.base);
}

#[tokio::test]
async fn another_api_s_metadata_is_refused() {
    for (document, described) in [
        ("/about", "BASE"),
        ("/about", "BASE/mcp/"),
        ("/about", "https://api.example/mcp"),
        (RFC_9728, "BASE/other"),
        (RFC_9728, "https://api.example"),
    ] {
        let server = challenging(document, described).await;
        let error = resource(&format!("{}/mcp", server.base)).await.unwrap_err();
        let differs = matches!(error, ResourceMetadataError::ResourceDiffers { .. });
        assert!(differs, "{document} {described}: {error}");
    }
}

#[tokio::test]
async fn a_challenge_that_leads_elsewhere_is_not_followed() {
    let other = Server::start(|_, base| api(base)).await;
    let to = other.base.clone();
    let server = Server::start(move |_, _| {
        let line = format!("Bearer resource_metadata=\"{to}/about\"");
        Says(401, vec![("www-authenticate", line)], vec![])
    })
    .await;
    let error = resource(&server.base).await.unwrap_err();
    assert!(matches!(error, ResourceMetadataError::Elsewhere { .. }), "{error}");
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn without_a_challenge_the_well_known_places_are_asked() {
    let inserted = Server::start(|seen, base| match seen.target.as_str() {
        "/.well-known/oauth-protected-resource/mcp" => api(&format!("{base}/mcp")),
        _ => says_nothing_here(),
    })
    .await;
    let url = format!("{}/mcp", inserted.base);
    let found = resource(&url).await.unwrap();
    assert_eq!((found.resource, found.challenge_scope), (url, None));

    let root = Server::with(RFC_9728, api).await;
    let found = resource(&format!("{}/mcp", root.base)).await.unwrap();
    assert_eq!(found.resource, root.base);
    let places = ["/mcp", "/.well-known/oauth-protected-resource/mcp", RFC_9728];
    assert_eq!(root.targets(), places);

    let nowhere = Server::start(|_, _| says_nothing_here()).await;
    let error = resource(&nowhere.base).await.unwrap_err();
    assert!(matches!(error, ResourceMetadataError::NotFound { .. }), "{error}");
}

#[tokio::test]
async fn a_document_at_the_root_is_not_about_one_path() {
    let server = Server::with(RFC_9728, |base| api(&format!("{base}/mcp"))).await;
    let error = resource(&format!("{}/mcp", server.base)).await.unwrap_err();
    assert!(matches!(error, ResourceMetadataError::ResourceDiffers { .. }), "{error}");
}

#[tokio::test]
async fn an_api_that_streams_without_an_end_is_not_read() {
    let base = raw(|mut stream| async move {
        stream
            .write_all(b"HTTP/1.1 404 Not Found\r\ncontent-type: text/event-stream\r\n\r\n")
            .await?;
        std::future::pending::<()>().await;
        drop(stream);
        Ok(())
    })
    .await;
    // Each answer never ends: the API's is left alone, that of a document says enough by its head.
    let error = ResourceMetadata::discover(&hasty_http(), &base).await.unwrap_err();
    let ResourceMetadataError::Document { url, .. } = &error else { panic!("{error}") };
    assert_eq!(*url, format!("{base}{RFC_9728}"));
}

#[tokio::test]
async fn an_api_names_no_authorization_server_out_of_bounds() {
    for issuer in
        ["http://as.example", "https://10.0.0.1", "https://u:p@as.example", "javascript:x"]
    {
        let server = Server::with(RFC_9728, move |base| {
            says_json(&json!({
                "resource": base, "authorization_servers": ["https://as.example", issuer],
            }))
        })
        .await;
        let error = resource(&server.base).await.unwrap_err();
        let named = matches!(error, ResourceMetadataError::AuthorizationServer { .. });
        assert!(named, "{issuer}: {error}");
    }
}
