//! Logins by regrant itself, from the URL of an API to a token that it accepts.

use std::time::Duration;

use regrant::{ClientAuthentication, LoginReason, Policy};
use regrant_login::{
    BrowserError, BrowserLogin, DeviceError, DeviceLogin, Http, LoggedIn, LoginRequest, Reach,
    ResourceMetadata, ServerMetadata, client_credentials,
};
use serde_json::json;

use crate::provider::{Provider, SOON};
use crate::user::User;

/// What is known of a provider by its API alone.
struct Known {
    http: Http,
    server: ServerMetadata,
    resource: String,
}

impl Known {
    async fn of(provider: &Provider) -> Self {
        let http = Http::new(Reach::Public).unwrap();
        let api = format!("{}/me", provider.api());
        let about = ResourceMetadata::discover(&http, &api).await.unwrap();
        assert_eq!(about.authorization_servers, [provider.issuer()]);
        let server =
            ServerMetadata::discover(&http, &about.authorization_servers[0]).await.unwrap();
        Self { http, server, resource: about.resource }
    }

    fn request(&self, client_id: &str) -> LoginRequest {
        let mut request = LoginRequest::new(client_id);
        request.scope = Some("read write".to_owned());
        request.resources = vec![self.resource.clone()];
        request
    }
}

/// What was brought by the login is good for a call, and for the refresh after the next rejection.
async fn serves(provider: &Provider, logged_in: LoggedIn) -> User {
    let user = User::unknown(provider, Policy::default()).await;
    assert_eq!(user.needs_login().await.0, LoginReason::NotLoggedIn);
    let LoggedIn { client, grant, .. } = logged_in;
    user.session.install(client, [provider.origin()], grant).await.unwrap();
    user.call().await.unwrap();
    provider.kill_access_tokens().await;
    user.call().await.unwrap();
    user
}

/// Alice's browser, which goes wherever it is sent, that is, in the end to the login's listener.
fn browser() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().cookie_store(true).build().unwrap()
}

#[tokio::test]
async fn a_login_with_the_browser_needs_the_url_of_an_api_alone() {
    let Some(provider) = Provider::start(json!({})).await else { return };
    let known = Known::of(&provider).await;
    let request = known.request("public");
    let login = BrowserLogin::begin(&known.http, &known.server, &request, None).await.unwrap();
    let page = browser().get(login.authorization_url().clone()).send();
    let (page, logged_in) = tokio::join!(page, login.wait(SOON));
    assert_eq!(page.unwrap().status().as_u16(), 200, "alice is told how it went");
    let user = serves(&provider, logged_in.unwrap()).await;
    assert_eq!(provider.refreshes().await, json!({ "granted": 1 }));
    user.close().await;
}

#[tokio::test]
async fn a_login_that_its_user_refuses_is_denied() {
    let Some(provider) = Provider::start(json!({ "pages": true })).await else { return };
    let known = Known::of(&provider).await;
    let request = known.request("public");
    let login = BrowserLogin::begin(&known.http, &known.server, &request, None).await.unwrap();
    let url = login.authorization_url().clone();
    let clicks = async {
        let browser = browser();
        let mut page = browser.get(url).send().await.unwrap();
        // She says who she is, and then that the program may not.
        for answer in ["yes", "no"] {
            let form = page.url().clone();
            page = browser.post(form).form(&[("answer", answer)]).send().await.unwrap();
        }
    };
    let (logged_in, ()) = tokio::join!(login.wait(SOON), clicks);
    let error = logged_in.unwrap_err();
    eprintln!("user: {error}");
    let BrowserError::Denied { description } = error else { panic!("{error:?}") };
    assert_eq!(description.as_deref(), Some("alice said no"));
}

#[tokio::test]
async fn a_login_on_another_device_waits_until_its_user_agrees() {
    let Some(provider) = Provider::start(json!({})).await else { return };
    let known = Known::of(&provider).await;
    let request = known.request("public");
    let login = DeviceLogin::begin(&known.http, &known.server, &request).await.unwrap();
    eprintln!("user: enter {} at {}", login.user_code(), login.verification_uri().as_str());
    assert_eq!(login.expires_in(), Duration::from_secs(600));
    provider.control("/approve-device", &json!({ "user_code": login.user_code() })).await;
    let user = serves(&provider, login.wait().await.unwrap()).await;
    assert_eq!(provider.refreshes().await, json!({ "granted": 1 }));
    user.close().await;
}

#[tokio::test]
async fn a_login_on_another_device_that_its_user_refuses_is_denied() {
    let Some(provider) = Provider::start(json!({})).await else { return };
    let known = Known::of(&provider).await;
    let request = known.request("public");
    let login = DeviceLogin::begin(&known.http, &known.server, &request).await.unwrap();
    provider.control("/deny-device", &json!({ "user_code": login.user_code() })).await;
    let error = login.wait().await.unwrap_err();
    eprintln!("user: {error}");
    assert!(matches!(error, DeviceError::Denied), "{error:?}");
}

#[tokio::test]
async fn a_confidential_client_logs_its_user_in_by_its_secret() {
    let Some(provider) = Provider::start(json!({})).await else { return };
    let known = Known::of(&provider).await;
    for client_id in ["basic", "post"] {
        let registered = provider.client(client_id);
        let mut request = known.request(client_id);
        request.authentication = registered.authentication;
        request.client_secret = registered.client_secret;
        let login = BrowserLogin::begin(&known.http, &known.server, &request, None).await.unwrap();
        let page = browser().get(login.authorization_url().clone()).send();
        let (_, logged_in) = tokio::join!(page, login.wait(SOON));
        serves(&provider, logged_in.unwrap()).await.close().await;
    }
    assert_eq!(provider.refreshes().await, json!({ "granted": 2 }));
}

#[tokio::test]
async fn a_program_on_its_own_behalf_asks_again_when_its_token_is_rejected() {
    let Some(provider) = Provider::start(json!({})).await else { return };
    let known = Known::of(&provider).await;
    let mut request = known.request("machine");
    request.authentication = ClientAuthentication::ClientSecretBasic;
    request.client_secret = provider.client("machine").client_secret;
    let logged_in = client_credentials(&known.http, &known.server, &request).await.unwrap();
    serves(&provider, logged_in).await.close().await;
    assert_eq!(provider.requests("client_credentials").await, json!({ "granted": 2 }));
    assert_eq!(provider.refreshes().await, json!(null));
}
