//! The authorization endpoint and the codes that it gives.
#![expect(clippy::unwrap_used, reason = "a test that is not as expected panics")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{
    access, call_status, client, granted, header, post_form, refresh_token, refused, start,
};
use regrant_sandbox::{ApiConfig, Config, Consent, GrantType, RequestKind, Sandbox};
use serde_json::{Value, json};
use url::Url;

/// The example of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const CALLBACK: &str = "http://127.0.0.1:49152/callback";

/// The parameters of a request in which nothing is wrong.
const GOOD: [(&str, &str); 6] = [
    ("client_id", "sandbox-client"),
    ("response_type", "code"),
    ("redirect_uri", CALLBACK),
    ("code_challenge", CHALLENGE),
    ("code_challenge_method", "S256"),
    ("state", "a&b=ü"),
];

/// The good request with some parameters replaced, or left out where empty, or added.
fn authorization_url(sandbox: &Sandbox, changes: &[(&str, &str)]) -> Url {
    let mut url = Url::parse(sandbox.authorization_endpoint()).unwrap();
    let changed: BTreeSet<_> = changes.iter().map(|(name, _)| *name).collect();
    let kept = GOOD.iter().filter(|(name, _)| !changed.contains(name));
    let added = changes.iter().filter(|(_, value)| !value.is_empty());
    url.query_pairs_mut().extend_pairs(kept.chain(added));
    url
}

/// Where an authorization request was redirected to: the place, and what it was told.
async fn redirected(sandbox: &Sandbox, changes: &[(&str, &str)]) -> (String, Answer) {
    let response = client().get(authorization_url(sandbox, changes)).send().await.unwrap();
    assert_eq!(response.status(), 303, "{changes:?}");
    told(&header(&response, "location").unwrap())
}

type Answer = BTreeMap<String, String>;

fn told(location: &str) -> (String, Answer) {
    let mut url = Url::parse(location).unwrap();
    let answer = url.query_pairs().into_owned().collect();
    url.set_query(None);
    (url.to_string(), answer)
}

async fn code(sandbox: &Sandbox, changes: &[(&str, &str)]) -> String {
    redirected(sandbox, changes).await.1.remove("code").unwrap()
}

/// Redeems a code with some parameters replaced, left out or added.
async fn redeem(sandbox: &Sandbox, code: &str, changes: &[(&str, &str)]) -> (u16, Value) {
    let good = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let kept = good.iter().filter(|(name, _)| changes.iter().all(|change| change.0 != *name));
    let added = changes.iter().filter(|(_, value)| !value.is_empty());
    let form: Vec<_> = kept.chain(added).copied().collect();
    post_form(sandbox.token_endpoint(), &form).await
}

async fn redeem_error(sandbox: &Sandbox, code: &str, changes: &[(&str, &str)]) -> String {
    let (status, body) = redeem(sandbox, code, changes).await;
    assert_eq!(status, 400, "{body}");
    body["error"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_login_ends_with_tokens_that_work_and_refresh() {
    let sandbox = start(Config::default());
    let (place, answer) = redirected(&sandbox, &[]).await;
    assert_eq!(place, CALLBACK);
    assert_eq!(answer["state"], "a&b=ü");
    assert_eq!(answer["iss"], sandbox.issuer_url());
    assert!(answer["code"].starts_with("sandbox_code_") && answer.len() == 3, "{answer:?}");
    let (status, tokens) = redeem(&sandbox, &answer["code"], &[]).await;
    assert_eq!((status, &tokens["scope"]), (200, &json!("read write")));
    assert_eq!(call_status(&sandbox, "api", &access(&tokens)).await, 200);
    granted(&sandbox, &refresh_token(&tokens)).await;
    let stats = sandbox.stats();
    assert_eq!((stats.authorization_requests, stats.codes_issued), (1, 1));
    assert_eq!((stats.live_families, stats.granted, stats.token_requests), (1, 2, 2));
    for grant_type in [GrantType::AuthorizationCode, GrantType::RefreshToken] {
        assert_eq!(stats.grant(grant_type).granted, 1, "{grant_type:?}");
    }
    assert_eq!(sandbox.request_log()[0].kind, RequestKind::Authorization);
}

#[tokio::test]
async fn a_redirect_keeps_its_query_and_goes_to_any_port_of_loopback() {
    let sandbox = start(Config::default());
    for (uri, place) in [
        ("http://127.0.0.1:1/a?b=c", "http://127.0.0.1:1/a"),
        ("http://[::1]:65535/", "http://[::1]:65535/"),
    ] {
        let (to, answer) = redirected(&sandbox, &[("redirect_uri", uri)]).await;
        assert_eq!(to, place);
        assert_eq!(answer.get("b").map(String::as_str), uri.contains('b').then_some("c"));
        let code = &answer["code"];
        assert_eq!(redeem(&sandbox, code, &[("redirect_uri", uri)]).await.0, 200);
    }
}

#[tokio::test]
async fn nothing_is_ever_redirected_to_a_place_that_is_not_the_clients() {
    let listed = "com.example.app:/callback".to_owned();
    let redirect_uris = BTreeSet::from([listed.clone()]);
    let sandbox = start(Config { redirect_uris, ..Config::default() });
    assert!(!code(&sandbox, &[("redirect_uri", &listed)]).await.is_empty());
    let good_otherwise = |change| [change].to_vec();
    let mut wrong: Vec<_> = [
        "https://127.0.0.1/callback",
        "http://localhost:49152/callback",
        "http://127.0.0.1.example.com/callback",
        "http://example.com@127.0.0.1/callback",
        "http://127.0.0.1:49152/callback#fragment",
        "https://example.com/callback",
        "com.example.app:/callback/",
        "javascript:alert(1)",
        "/callback",
        "",
    ]
    .into_iter()
    .map(|uri| good_otherwise(("redirect_uri", uri)))
    .collect();
    wrong.push(good_otherwise(("client_id", "another")));
    wrong.push(good_otherwise(("client_id", "")));
    // An error that could be told is not told to such a place either.
    wrong.push(vec![("redirect_uri", "https://example.com/"), ("response_type", "token")]);
    wrong.push(vec![("state", "one"), ("state", "two")]);
    for changes in wrong {
        let response = client().get(authorization_url(&sandbox, &changes)).send().await.unwrap();
        assert_eq!(response.status(), 400, "{changes:?}");
        assert_eq!(header(&response, "location"), None, "{changes:?}");
        assert!(header(&response, "content-type").unwrap().starts_with("text/html"));
    }
    assert_eq!(sandbox.stats().codes_issued, 1);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_by_a_redirect() {
    let sandbox = start(Config::default());
    let short = &CHALLENGE[1..];
    for (change, error) in [
        (("response_type", "token"), "unsupported_response_type"),
        (("response_type", ""), "invalid_request"),
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge", short), "invalid_request"),
        (("code_challenge_method", ""), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("scope", "read everything"), "invalid_scope"),
        (("resource", "https://example.com/"), "invalid_target"),
        (("claims", "not json"), "invalid_request"),
    ] {
        let (place, answer) = redirected(&sandbox, &[change]).await;
        assert_eq!(place, CALLBACK);
        assert_eq!(answer["error"], error, "{change:?}");
        assert_eq!((answer["state"].as_str(), answer.get("code")), ("a&b=ü", None));
        assert_eq!(answer["iss"], sandbox.issuer_url());
    }
    assert_eq!(sandbox.stats().codes_issued, 0);
}

#[tokio::test]
async fn a_confidential_client_may_go_without_pkce_but_not_drop_it_half_way() {
    let sandbox = start(Config { client_secret: Some("s".to_owned()), ..Config::default() });
    let secret = ("client_secret", "s");
    let without = [("code_challenge", ""), ("code_challenge_method", "")];
    let plain = code(&sandbox, &without).await;
    assert_eq!(redeem_error(&sandbox, &plain, &[secret]).await, "invalid_grant");
    assert_eq!(redeem(&sandbox, &plain, &[secret, ("code_verifier", "")]).await.0, 200);
    let with = code(&sandbox, &[]).await;
    let dropped = redeem_error(&sandbox, &with, &[secret, ("code_verifier", "")]).await;
    assert_eq!(dropped, "invalid_grant");
    assert_eq!(redeem(&sandbox, &with, &[]).await.0, 401, "the secret is missing");
    assert_eq!(redeem(&sandbox, &with, &[secret]).await.0, 200);
}

#[tokio::test]
async fn a_code_is_bound_to_what_it_was_issued_for() {
    let sandbox = start(Config::default());
    let code = code(&sandbox, &[]).await;
    let other = "f".repeat(43);
    for change in [
        ("code_verifier", ""),
        ("code_verifier", other.as_str()),
        ("redirect_uri", ""),
        ("redirect_uri", "http://127.0.0.1:49153/callback"),
        ("code", "sandbox_code_unknown"),
    ] {
        assert_eq!(redeem_error(&sandbox, &code, &[change]).await, "invalid_grant", "{change:?}");
    }
    sandbox.configure(|config| config.client_id = "another".to_owned()).unwrap();
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
        ("client_id", "another"),
    ];
    let stolen = client().post(sandbox.token_endpoint()).form(&form).send().await.unwrap();
    assert_eq!(stolen.json::<Value>().await.unwrap()["error"], "invalid_grant");
    sandbox.configure(|config| config.client_id = "sandbox-client".to_owned()).unwrap();
    assert_eq!(redeem(&sandbox, &code, &[]).await.0, 200, "none of these spent it");
    assert_eq!(sandbox.stats().grant(GrantType::AuthorizationCode).refused, 6);
}

#[tokio::test]
async fn a_code_lives_a_minute() {
    let sandbox = start(Config::default());
    let (in_time, late) = (code(&sandbox, &[]).await, code(&sandbox, &[]).await);
    sandbox.advance_clock_ms(50_000);
    assert_eq!(redeem(&sandbox, &in_time, &[]).await.0, 200);
    sandbox.advance_clock_ms(10_000);
    assert_eq!(redeem_error(&sandbox, &late, &[]).await, "invalid_grant");
}

#[tokio::test]
async fn a_second_use_of_a_code_revokes_what_the_first_brought() {
    let sandbox = start(Config::default());
    let code = code(&sandbox, &[]).await;
    let (_, tokens) = redeem(&sandbox, &code, &[]).await;
    let refreshed = granted(&sandbox, &refresh_token(&tokens)).await;
    sandbox.advance_clock_ms(120_000);
    assert_eq!(redeem_error(&sandbox, &code, &[]).await, "invalid_grant");
    assert_eq!(call_status(&sandbox, "api", &access(&refreshed)).await, 401);
    assert_eq!(refused(&sandbox, &refresh_token(&refreshed)).await, "invalid_grant");
    let stats = sandbox.stats();
    assert_eq!((stats.codes_reused, stats.families_revoked, stats.live_families), (1, 1, 0));
}

#[tokio::test]
async fn a_user_who_says_no_is_told_to_the_client() {
    let sandbox = start(Config { login: Consent::Deny, ..Config::default() });
    let (_, answer) = redirected(&sandbox, &[]).await;
    assert_eq!(answer["error"], "access_denied");
    assert_eq!((answer["state"].as_str(), answer.get("code")), ("a&b=ü", None));
}

/// The page of an authorization request, and the name that its buttons send.
async fn page(sandbox: &Sandbox) -> (String, String) {
    let response = client().get(authorization_url(sandbox, &[])).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let policy = header(&response, "content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert_eq!(header(&response, "cache-control").as_deref(), Some("no-store"));
    let page = response.text().await.unwrap();
    let name = page.split("name=\"request\" value=\"").nth(1).unwrap();
    let name = name.split('"').next().unwrap().to_owned();
    (page, name)
}

#[tokio::test]
async fn a_person_is_asked_on_a_page_and_decides_once() {
    let sandbox = start(Config { login: Consent::Ask, ..Config::default() });
    let url = sandbox.authorization_endpoint();
    let press = |name: &str, decision: &str| {
        let form = [("request", name.to_owned()), ("decision", decision.to_owned())];
        let origin = sandbox.issuer_url().to_owned();
        let request = client().post(url).header("origin", origin).form(&form);
        async move { request.send().await.unwrap() }
    };
    let (text, name) = page(&sandbox).await;
    assert!(text.contains("sandbox-client") && text.contains("read write"), "{text}");
    assert!(text.contains("http://127.0.0.1:49152"), "{text}");
    let response = press(&name, "approve").await;
    assert_eq!(response.status(), 303, "a form is not sent on");
    let (_, answer) = told(&header(&response, "location").unwrap());
    assert_eq!(redeem(&sandbox, &answer["code"], &[]).await.0, 200);
    assert_eq!(press(&name, "approve").await.status(), 400, "it was decided");

    let (_, name) = page(&sandbox).await;
    let response = press(&name, "deny").await;
    let (_, answer) = told(&header(&response, "location").unwrap());
    assert_eq!(answer["error"], "access_denied");
    assert_eq!(press("guessed", "approve").await.status(), 400);

    let (_, name) = page(&sandbox).await;
    sandbox.advance_clock_ms(600_000);
    assert_eq!(press(&name, "approve").await.status(), 400, "it took too long");
    assert_eq!(sandbox.stats().codes_issued, 1);
}

#[tokio::test]
async fn a_page_of_another_origin_presses_no_button() {
    let sandbox = start(Config { login: Consent::Ask, ..Config::default() });
    let (_, name) = page(&sandbox).await;
    let form = [("request", name.as_str()), ("decision", "approve")];
    for origin in ["http://example.com", "null"] {
        let post = client().post(sandbox.authorization_endpoint()).header("origin", origin);
        assert_eq!(post.form(&form).send().await.unwrap().status(), 403, "{origin}");
    }
    assert_eq!(sandbox.stats().codes_issued, 0);
}

#[tokio::test]
async fn scope_and_resource_are_those_that_were_asked_for() {
    let apis = vec![ApiConfig::named("mail").audience("urn:mail"), ApiConfig::named("files")];
    let sandbox = start(Config { apis, ..Config::default() });
    let files = format!("{}/some/path", sandbox.api_url("files"));
    let asked = [("scope", "read admin"), ("resource", "urn:mail"), ("resource", files.as_str())];
    let both = code(&sandbox, &asked).await;
    let (_, tokens) = redeem(&sandbox, &both, &[("resource", "urn:mail")]).await;
    assert_eq!(tokens["scope"], "admin read");
    assert_eq!(call_status(&sandbox, "mail", &access(&tokens)).await, 200);
    assert_eq!(call_status(&sandbox, "files", &access(&tokens)).await, 401, "not for this token");

    let refresh = |resource, scope| {
        let (url, token) = (sandbox.token_endpoint(), refresh_token(&tokens));
        async move {
            let form = [
                ("grant_type", "refresh_token"),
                ("refresh_token", token.as_str()),
                ("resource", resource),
                ("scope", scope),
            ];
            post_form(url, &form).await
        }
    };
    assert_eq!(refresh(&files, "write").await.1["error"], "invalid_scope");
    assert_eq!(refresh("urn:elsewhere", "").await.1["error"], "invalid_target");
    let (_, tokens) = refresh(&files, "read").await;
    assert_eq!(tokens["scope"], "read");
    assert_eq!(call_status(&sandbox, "files", &access(&tokens)).await, 200);
    assert_eq!(call_status(&sandbox, "mail", &access(&tokens)).await, 401);

    let one = code(&sandbox, &[("resource", "urn:mail")]).await;
    let more = redeem_error(&sandbox, &one, &[("resource", &files)]).await;
    assert_eq!(more, "invalid_target", "more than was allowed");
    assert_eq!(redeem(&sandbox, &one, &[]).await.0, 200);
}
