//! Rotation, reuse, grace and client authentication over HTTP.
#![expect(clippy::unwrap_used, reason = "a test that is not as expected panics")]

mod common;

use common::{
    access, call_status, client, granted, header, refresh, refresh_token, refused, send_refresh,
    start,
};
use regrant_sandbox::{
    AnnouncedExpiresIn, Config, Grace, GraceKind, GrantType, Login, Rotation, SandboxEvent,
};
use serde_json::{Map, Value, json};

#[tokio::test]
async fn a_login_gives_a_token_response_whose_tokens_say_what_they_are() {
    let sandbox = start(Config::default());
    let tokens = sandbox.issue();
    assert!(access(&tokens).starts_with("sandbox_at_"));
    assert!(refresh_token(&tokens).starts_with("sandbox_rt_"));
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["expires_in"], 3600);
    assert_eq!(tokens["scope"], "read write");
    assert_eq!(call_status(&sandbox, "api", &access(&tokens)).await, 200);
    let narrow = sandbox.issue_for(Login { scope: Some("read".to_owned()), ..Login::default() });
    assert_eq!(narrow["scope"], "read");
    assert_eq!(sandbox.stats().live_families, 2);
}

#[tokio::test]
async fn a_refresh_rotates_and_is_not_to_be_cached() {
    let sandbox = start(Config::default());
    let login = sandbox.issue();
    let response = send_refresh(sandbox.token_endpoint(), &refresh_token(&login)).await.unwrap();
    assert_eq!(header(&response, "cache-control").as_deref(), Some("no-store"));
    assert_eq!(header(&response, "content-type").as_deref(), Some("application/json"));
    let body: Value = response.json().await.unwrap();
    assert_ne!(body["refresh_token"], login["refresh_token"]);
    assert_ne!(body["access_token"], login["access_token"]);
    assert_eq!(call_status(&sandbox, "api", &access(&body)).await, 200);
}

#[tokio::test]
async fn without_rotation_the_refresh_token_stays_and_is_not_repeated() {
    let sandbox = start(Config { rotation: Rotation::None, ..Config::default() });
    let token = refresh_token(&sandbox.issue());
    assert!(granted(&sandbox, &token).await.get("refresh_token").is_none());
    sandbox.configure(|config| config.repeat_refresh_token = true).unwrap();
    assert_eq!(granted(&sandbox, &token).await["refresh_token"], token);
    assert_eq!(sandbox.stats().granted, 2);
}

#[tokio::test]
async fn reuse_revokes_the_family_with_its_access_tokens() {
    let sandbox = start(Config::default());
    let mut events = sandbox.events();
    let first = refresh_token(&sandbox.issue());
    let second = granted(&sandbox, &first).await;
    assert_eq!(refused(&sandbox, &first).await, "invalid_grant");
    assert_eq!(refused(&sandbox, &refresh_token(&second)).await, "invalid_grant");
    assert_eq!(call_status(&sandbox, "api", &access(&second)).await, 401);
    let stats = sandbox.stats();
    assert_eq!((stats.token_requests, stats.granted, stats.refused), (3, 1, 2));
    assert_eq!((stats.reuse_detected, stats.families_revoked, stats.live_families), (1, 1, 0));
    let mut seen = Vec::new();
    while let Ok(event) = events.try_recv() {
        seen.push(event);
    }
    let refused = SandboxEvent::Refused { code: "invalid_grant".to_owned() };
    assert_eq!(
        seen,
        [
            SandboxEvent::Issued,
            SandboxEvent::TokenRequested,
            SandboxEvent::Granted { generation: 2, replay: false },
            SandboxEvent::TokenRequested,
            SandboxEvent::ReuseDetected,
            SandboxEvent::FamilyRevoked,
            refused.clone(),
            SandboxEvent::TokenRequested,
            refused,
            SandboxEvent::ApiRejected { api: "api".to_owned(), generation: Some(2) },
        ]
    );
}

#[tokio::test]
async fn without_reuse_detection_a_spent_token_is_only_refused() {
    let sandbox = start(Config { reuse_detection: false, ..Config::default() });
    let first = refresh_token(&sandbox.issue());
    let second = granted(&sandbox, &first).await;
    assert_eq!(refused(&sandbox, &first).await, "invalid_grant");
    granted(&sandbox, &refresh_token(&second)).await;
    let stats = sandbox.stats();
    assert_eq!((stats.reuse_detected, stats.families_revoked, stats.live_families), (1, 0, 1));
}

async fn replay_within_grace(kind: GraceKind) -> (regrant_sandbox::Sandbox, Value, Value) {
    let sandbox = start(Config { grace: Some(Grace { ms: 60_000, kind }), ..Config::default() });
    let login = refresh_token(&sandbox.issue());
    let first = granted(&sandbox, &login).await;
    let second = granted(&sandbox, &login).await;
    assert_eq!(sandbox.stats().grace_replays, 1);
    sandbox.advance_clock_ms(120_000);
    (sandbox, first, second)
}

#[tokio::test]
async fn a_grace_can_give_the_same_successor_again() {
    let (sandbox, first, second) = replay_within_grace(GraceKind::Same).await;
    assert_eq!(first["refresh_token"], second["refresh_token"]);
    granted(&sandbox, &refresh_token(&second)).await;
}

#[tokio::test]
async fn a_grace_can_give_siblings_that_are_all_live() {
    let (sandbox, first, second) = replay_within_grace(GraceKind::Siblings).await;
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    granted(&sandbox, &refresh_token(&second)).await;
    granted(&sandbox, &refresh_token(&first)).await;
}

#[tokio::test]
async fn a_grace_can_leave_only_the_latest_live() {
    let (sandbox, first, second) = replay_within_grace(GraceKind::Latest).await;
    assert_eq!(refused(&sandbox, &refresh_token(&first)).await, "invalid_grant");
    granted(&sandbox, &refresh_token(&second)).await;
    assert_eq!(sandbox.stats().reuse_detected, 0);
}

#[tokio::test]
async fn a_grace_ends_by_the_clock_of_the_sandbox() {
    let grace = Some(Grace { ms: 1_000, kind: GraceKind::Same });
    let sandbox = start(Config { grace, ..Config::default() });
    let login = refresh_token(&sandbox.issue());
    granted(&sandbox, &login).await;
    sandbox.advance_clock_ms(1_001);
    assert_eq!(refused(&sandbox, &login).await, "invalid_grant");
    assert_eq!(sandbox.stats().families_revoked, 1);
}

#[tokio::test]
async fn of_many_refreshes_at_once_exactly_one_is_granted() {
    let sandbox = start(Config { reuse_detection: false, ..Config::default() });
    let token = refresh_token(&sandbox.issue());
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let (url, token) = (sandbox.token_endpoint().to_owned(), token.clone());
            tokio::spawn(async move { send_refresh(&url, &token).await.unwrap().status().as_u16() })
        })
        .collect();
    let mut granted = 0;
    for task in tasks {
        granted += u32::from(task.await.unwrap() == 200);
    }
    let stats = sandbox.stats();
    assert_eq!((granted, stats.granted, stats.refused, stats.reuse_detected), (1, 1, 19, 19));
}

#[tokio::test]
async fn what_is_announced_may_differ_from_what_is_true() {
    let sandbox = start(Config { access_ttl_ms: 5_000, ..Config::default() });
    for announced in [json!(99_999), json!(-1), json!("3600"), json!(null), json!({})] {
        sandbox
            .configure(|config| {
                config.announced_expires_in = AnnouncedExpiresIn::Value(announced.clone());
            })
            .unwrap();
        assert_eq!(sandbox.issue()["expires_in"], announced);
    }
    let tokens = sandbox.issue();
    assert_eq!(call_status(&sandbox, "api", &access(&tokens)).await, 200);
    sandbox.advance_clock_ms(5_001);
    assert_eq!(call_status(&sandbox, "api", &access(&tokens)).await, 401);
    sandbox.configure(|config| config.announced_expires_in = AnnouncedExpiresIn::Absent).unwrap();
    assert!(sandbox.issue().get("expires_in").is_none());
}

#[tokio::test]
async fn further_members_join_and_replace_those_of_the_answer() {
    let mut extra = Map::new();
    extra.insert("sub".to_owned(), json!("somebody else"));
    extra.insert("token_type".to_owned(), json!("bEARER"));
    let sandbox = start(Config { token_response_extra: extra, ..Config::default() });
    let tokens = granted(&sandbox, &refresh_token(&sandbox.issue())).await;
    assert_eq!(
        (&tokens["sub"], &tokens["token_type"]),
        (&json!("somebody else"), &json!("bEARER"))
    );
}

#[tokio::test]
async fn an_unused_refresh_token_expires() {
    let sandbox = start(Config { refresh_ttl_ms: Some(1_000), ..Config::default() });
    let token = refresh_token(&sandbox.issue());
    sandbox.advance_clock_ms(1_001);
    assert_eq!(refused(&sandbox, &token).await, "invalid_grant");
}

#[tokio::test]
async fn a_confidential_client_authenticates_by_header_or_body_and_not_by_both() {
    let secret = Some("s3cret:&=%".to_owned());
    let sandbox =
        start(Config { client_secret: secret, rotation: Rotation::None, ..Config::default() });
    let token = refresh_token(&sandbox.issue());
    let form = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
    let post = || client().post(sandbox.token_endpoint());
    let encoded = "s3cret%3A%26%3D%25";

    let by_header = post().basic_auth("sandbox-client", Some(encoded)).form(&form);
    assert_eq!(by_header.send().await.unwrap().status(), 200);

    let mut in_body = form.to_vec();
    in_body.extend([("client_id", "sandbox-client"), ("client_secret", "s3cret:&=%")]);
    assert_eq!(post().form(&in_body).send().await.unwrap().status(), 200);

    let both = post().basic_auth("sandbox-client", Some(encoded)).form(&in_body);
    let both = both.send().await.unwrap();
    assert_eq!(both.status(), 400);
    assert_eq!(both.json::<Value>().await.unwrap()["error"], "invalid_request");

    let wrong = post().basic_auth("sandbox-client", Some("wrong")).form(&form);
    let wrong = wrong.send().await.unwrap();
    assert_eq!(wrong.status(), 401);
    assert_eq!(header(&wrong, "www-authenticate").as_deref(), Some("Basic realm=\"sandbox\""));
    assert_eq!(wrong.json::<Value>().await.unwrap()["error"], "invalid_client");

    let (status, body) = refresh(&sandbox, &token).await;
    assert_eq!((status, &body["error"]), (401, &json!("invalid_client")), "a secret is missing");
    let stats = sandbox.stats();
    assert_eq!((stats.granted, stats.unauthenticated, stats.refused), (2, 2, 1));
}

#[tokio::test]
async fn client_credentials_are_for_confidential_clients() {
    let sandbox = start(Config::default());
    let mut form = vec![("grant_type", "client_credentials"), ("client_id", "sandbox-client")];
    let send = |form: Vec<(&'static str, &'static str)>| {
        let request = client().post(sandbox.token_endpoint()).form(&form);
        async move { request.send().await.unwrap().json::<Value>().await.unwrap() }
    };
    assert_eq!(send(form.clone()).await["error"], "unauthorized_client");
    sandbox.configure(|config| config.client_secret = Some("s".to_owned())).unwrap();
    form.push(("client_secret", "s"));
    let tokens = send(form.clone()).await;
    assert!(tokens.get("refresh_token").is_none());
    assert_eq!(call_status(&sandbox, "api", &access(&tokens)).await, 200);
    let with = |name, value| [form.as_slice(), &[(name, value)]].concat();
    assert_eq!(send(with("scope", "admin")).await["scope"], "admin");
    assert_eq!(send(with("scope", "everything")).await["error"], "invalid_scope");
    assert_eq!(send(with("resource", "urn:nowhere")).await["error"], "invalid_target");
    let stats = sandbox.stats().grant(GrantType::ClientCredentials);
    assert_eq!((stats.granted, stats.refused), (2, 3));
}

#[tokio::test]
async fn what_is_not_a_token_request_is_an_invalid_request() {
    let sandbox = start(Config::default());
    let form_type = "application/x-www-form-urlencoded";
    let client_id = "client_id=sandbox-client";
    for (content_type, body, code) in [
        (form_type, "grant_type=refresh_token&grant_type=refresh_token", "invalid_request"),
        (form_type, client_id, "invalid_request"),
        (form_type, &format!("{client_id}&grant_type=refresh_token"), "invalid_request"),
        (form_type, &format!("{client_id}&grant_type=magic"), "unsupported_grant_type"),
        ("application/json", "{}", "invalid_request"),
    ] {
        let request = client()
            .post(sandbox.token_endpoint())
            .header("content-type", content_type)
            .body(body.to_owned());
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 400, "{body}");
        assert_eq!(response.json::<Value>().await.unwrap()["error"], code, "{body}");
    }
    assert_eq!(client().get(sandbox.token_endpoint()).send().await.unwrap().status(), 405);
}

#[tokio::test]
async fn metadata_names_the_endpoints() {
    let sandbox = start(Config::default());
    let url = format!("{}/.well-known/oauth-authorization-server", sandbox.issuer_url());
    let metadata: Value = client().get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(metadata["issuer"], sandbox.issuer_url());
    assert_eq!(metadata["token_endpoint"], sandbox.token_endpoint());
    assert_eq!(metadata["revocation_endpoint"], sandbox.revocation_endpoint());
}

#[tokio::test]
async fn revocation_takes_one_access_token_or_a_whole_family() {
    let sandbox = start(Config::default());
    let tokens = sandbox.issue();
    let revoke = |token: String| {
        let form = [("token", token), ("client_id", "sandbox-client".to_owned())];
        let request = client().post(sandbox.revocation_endpoint()).form(&form);
        async move { request.send().await.unwrap().status().as_u16() }
    };
    assert_eq!(revoke(access(&tokens)).await, 200);
    assert_eq!(call_status(&sandbox, "api", &access(&tokens)).await, 401);
    let tokens = granted(&sandbox, &refresh_token(&tokens)).await;
    assert_eq!(revoke(refresh_token(&tokens)).await, 200);
    assert_eq!(call_status(&sandbox, "api", &access(&tokens)).await, 401);
    assert_eq!(refused(&sandbox, &refresh_token(&tokens)).await, "invalid_grant");
    assert_eq!(revoke("unknown".to_owned()).await, 200);
    let stats = sandbox.stats();
    assert_eq!((stats.revocation_requests, stats.revocations, stats.families_revoked), (3, 2, 1));
}

#[tokio::test]
async fn introspection_tells_live_from_dead() {
    let sandbox = start(Config::default());
    let tokens = sandbox.issue();
    let active = |token: String| {
        let form = [("token", token), ("client_id", "sandbox-client".to_owned())];
        let request = client().post(sandbox.introspection_endpoint()).form(&form);
        async move { request.send().await.unwrap().json::<Value>().await.unwrap()["active"].clone() }
    };
    assert_eq!(active(access(&tokens)).await, true);
    assert_eq!(active(refresh_token(&tokens)).await, true);
    sandbox.expire_access_tokens();
    assert_eq!(active(access(&tokens)).await, false);
    assert_eq!(active(refresh_token(&tokens)).await, true);
    assert!(sandbox.revoke_family(&refresh_token(&tokens)));
    assert_eq!(active(refresh_token(&tokens)).await, false);
}
