//! What the servers say of themselves, and where a challenge says so.
#![expect(clippy::unwrap_used, reason = "a test that is not as expected panics")]

mod common;

use common::{client, header, json_of, start};
use regrant_sandbox::{ApiConfig, Config, Demand, Rejection};
use serde_json::json;

#[tokio::test]
async fn a_login_client_finds_all_it_needs_in_either_place() {
    let sandbox = start(Config::default());
    let issuer = sandbox.issuer_url();
    let metadata = json_of(format!("{issuer}/.well-known/oauth-authorization-server")).await;
    let discovery = json_of(format!("{issuer}/.well-known/openid-configuration")).await;
    assert_eq!(metadata, discovery);
    for (name, value) in [
        ("issuer", json!(issuer)),
        ("authorization_endpoint", json!(sandbox.authorization_endpoint())),
        ("device_authorization_endpoint", json!(sandbox.device_authorization_endpoint())),
        ("token_endpoint", json!(sandbox.token_endpoint())),
        ("response_types_supported", json!(["code"])),
        ("code_challenge_methods_supported", json!(["S256"])),
        ("authorization_response_iss_parameter_supported", json!(true)),
        ("scopes_supported", json!(["admin", "offline_access", "read", "write"])),
        ("protected_resources", json!([sandbox.api_url("api")])),
        (
            "grant_types_supported",
            json!([
                "authorization_code",
                "refresh_token",
                "urn:ietf:params:oauth:grant-type:device_code",
                "client_credentials",
            ]),
        ),
    ] {
        assert_eq!(metadata[name], value, "{name}");
    }
    assert_eq!(metadata.get("dpop_signing_alg_values_supported"), None);
    assert_eq!(sandbox.stats().metadata_requests, 2);
}

#[tokio::test]
async fn an_api_names_itself_as_it_was_asked_about() {
    let sandbox = start(Config::default());
    let origin = sandbox.api_url("api");
    for path in ["", "/", "/things", "/a/b"] {
        let url = format!("{origin}/.well-known/oauth-protected-resource{path}");
        let metadata = json_of(url).await;
        assert_eq!(metadata["resource"], format!("{origin}{path}"));
        assert_eq!(metadata["authorization_servers"], json!([sandbox.issuer_url()]));
        assert_eq!(
            metadata["scopes_supported"],
            json!(["admin", "offline_access", "read", "write"])
        );
    }
    let api = sandbox.stats().api("api");
    assert_eq!((api.metadata_requests, api.requests), (4, 0));
    let other = format!("{origin}/.well-known/oauth-protected-resources");
    assert_eq!(client().get(other).send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_challenge_leads_to_the_metadata_if_the_api_says_so() {
    let demand = Demand::Scope { scope: "admin".to_owned() };
    let api = ApiConfig::named("api").resource_metadata().demand(demand);
    let sandbox = start(Config { apis: vec![api], ..Config::default() });
    let origin = sandbox.api_url("api");
    let challenge = |path: &str, token: Option<&str>| {
        let request = client().get(format!("{origin}{path}"));
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        async move { header(&request.send().await.unwrap(), "www-authenticate") }
    };
    let metadata = format!("{origin}/.well-known/oauth-protected-resource");
    let anonymous = challenge("/", None).await.unwrap();
    assert_eq!(anonymous, format!("Bearer realm=\"sandbox\", resource_metadata=\"{metadata}\""));
    let dead = challenge("/a?b=c", Some("dead")).await.unwrap();
    let expected = format!(
        "Bearer realm=\"sandbox\", error=\"invalid_token\", \
         error_description=\"The access token expired\", resource_metadata=\"{metadata}/a\""
    );
    assert_eq!(dead, expected);
    assert_eq!(json_of(format!("{metadata}/a")).await["resource"], format!("{origin}/a"));
    let token = common::access(&sandbox.issue());
    let forbidden = challenge("/a", Some(&token)).await.unwrap();
    assert!(forbidden.ends_with(&format!("resource_metadata=\"{metadata}/a\"")), "{forbidden}");
    sandbox.reject_as("api", Rejection::NoChallenge);
    assert_eq!(challenge("/a", Some("dead")).await, None);
}
