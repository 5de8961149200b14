//! The login with the browser, with others on the same loopback who mean well or not.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use std::time::Duration;

use common::{SOON, Server, exchange, form, grant, http, request, says_error, says_json, visit};
use oauth2::{PkceCodeChallenge, PkceCodeVerifier};
use regrant_login::{
    BrowserError, BrowserLogin, LoggedIn, RequestError, ServerMetadata, TokenError,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

type Ended = Result<LoggedIn, BrowserError>;

/// A login under way, and what its browser knows.
struct Login {
    server: Server,
    port: u16,
    query: String,
    ended: JoinHandle<Ended>,
}

impl Login {
    async fn begin() -> Self {
        Self::with(|_| ()).await
    }

    async fn with(adjust: impl Fn(&mut ServerMetadata)) -> Self {
        let server = Server::with("/token", |_| says_json(&grant())).await;
        let mut endpoints = server.endpoints();
        adjust(&mut endpoints);
        let mut request = request();
        request.resources = vec!["https://api.example".into()];
        request.parameters = vec![("prompt".into(), "consent".into())];
        let login = BrowserLogin::begin(&http(), &endpoints, &request, None).await.unwrap();
        let url = login.authorization_url().clone();
        assert!(url.as_str().starts_with(&format!("{}/authorize?", server.base)));
        let query = url.query().unwrap().to_owned();
        assert!(!format!("{login:?}").contains(&form(&query, "state")[0]));
        let redirect_uri = url::Url::parse(&form(&query, "redirect_uri")[0]).unwrap();
        assert_eq!(
            (redirect_uri.host_str(), redirect_uri.path()),
            (Some("127.0.0.1"), "/callback")
        );
        let port = redirect_uri.port().unwrap();
        Self { server, port, query, ended: tokio::spawn(login.wait(SOON)) }
    }

    fn state(&self) -> String {
        form(&self.query, "state").remove(0)
    }

    async fn visit(&self, target: &str) -> String {
        visit(self.port, target).await
    }

    async fn redirect(&self, parameters: &str) -> String {
        self.visit(&format!("/callback?state={}&{parameters}", self.state())).await
    }

    async fn ended(self) -> Ended {
        self.ended.await.unwrap()
    }
}

#[tokio::test]
async fn a_user_logs_in() {
    let login = Login::begin().await;
    let query = &login.query;
    let one = |name| {
        let mut values = form(query, name);
        assert_eq!(values.len(), 1, "{name}");
        values.remove(0)
    };
    assert_eq!(one("response_type"), "code");
    assert_eq!(one("client_id"), "app");
    assert_eq!(one("scope"), "openid offline");
    assert_eq!(one("resource"), "https://api.example");
    assert_eq!(one("prompt"), "consent");
    assert_eq!(one("code_challenge_method"), "S256");
    let (challenge, redirect_uri) = (one("code_challenge"), one("redirect_uri"));
    let page = login.redirect("code=canary-code").await;
    assert!(page.starts_with("HTTP/1.1 200 "), "{page}");

    let Login { server, ended, .. } = login;
    let logged_in = ended.await.unwrap().unwrap();
    assert_eq!(logged_in.grant.refresh_token.unwrap().expose(), "canary-refresh");
    assert_eq!(logged_in.client.issuer.as_deref(), Some(server.base.as_str()));
    let [seen] = &server.seen()[..] else { panic!("{:?}", server.targets()) };
    assert_eq!(seen.method, "POST");
    assert_eq!(seen.headers["accept"], "application/json");
    assert_eq!(seen.field("grant_type").unwrap(), "authorization_code");
    assert_eq!(seen.field("code").unwrap(), "canary-code");
    assert_eq!(seen.field("redirect_uri").unwrap(), redirect_uri);
    assert_eq!(seen.field("client_id").unwrap(), "app");
    assert_eq!(seen.field("resource").unwrap(), "https://api.example");
    let verifier = PkceCodeVerifier::new(seen.field("code_verifier").unwrap());
    let expected = PkceCodeChallenge::from_code_verifier_sha256(&verifier);
    assert_eq!(expected.as_str(), challenge);
}

#[tokio::test]
async fn two_logins_have_nothing_in_common() {
    let (one, other) = (Login::begin().await, Login::begin().await);
    for name in ["state", "code_challenge"] {
        let (one, other) = (form(&one.query, name), form(&other.query, name));
        assert_ne!(one, other);
        // 16 random bytes in base64 are 22 characters.
        assert!(one[0].len() >= 22, "{name}");
    }
}

#[tokio::test]
async fn every_page_is_inert_and_says_nothing_of_the_request() {
    let login = Login::begin().await;
    let canary = "code=canary-code&x=%3Cscript%3Ecanary";
    let mut pages = vec![
        login.visit(&format!("/callback?state=canary&{canary}")).await,
        login.visit(&format!("/canary?{canary}")).await,
        exchange(
            login.port,
            "POST /callback HTTP/1.1\r\nhost: canary\r\ncontent-length: 0\r\n\r\n",
        )
        .await,
    ];
    pages.push(login.redirect("code=canary-code&x=canary").await);
    for (page, status) in pages.iter().zip(["400", "404", "405", "200"]) {
        let lower = page.to_ascii_lowercase();
        assert!(lower.starts_with(&format!("http/1.1 {status} ")), "{page}");
        for line in [
            "content-type: text/html; charset=utf-8",
            "cache-control: no-store",
            "content-security-policy: default-src 'none'",
            "referrer-policy: no-referrer",
            "connection: close",
        ] {
            assert!(lower.contains(line), "{line}: {page}");
        }
        assert!(!lower.contains("canary") && !lower.contains("<script"), "{page}");
        assert!(!page.contains(&login.state()), "{page}");
    }
    assert!(login.ended().await.is_ok());
}

#[tokio::test]
async fn nobody_else_ends_the_login() {
    let login = Login::begin().await;
    for target in [
        "/favicon.ico",
        "/",
        "/callback",
        "/callback?code=injected",
        "/callback?code=injected&state=guessed",
        "/callback?error=access_denied&state=guessed",
        "/callback?error=access_denied",
    ] {
        let page = login.visit(target).await;
        assert!(page.starts_with("HTTP/1.1 40"), "{target}: {page}");
        assert!(!login.ended.is_finished(), "{target}");
    }
    for request in ["GARBAGE\r\n\r\n", "GET /callback HTTP/1.1\r\nbroken\r\n\r\n"] {
        exchange(login.port, request).await;
    }
    let twice = format!("code=a&code=b&state={}", login.state());
    assert!(login.visit(&format!("/callback?{twice}")).await.starts_with("HTTP/1.1 400"));
    login.redirect("code=canary-code").await;
    let Login { server, ended, .. } = login;
    assert!(ended.await.unwrap().is_ok());
    assert_eq!(server.seen()[0].field("code").unwrap(), "canary-code");
}

#[tokio::test]
async fn connections_that_never_end_are_in_nobody_s_way() {
    let login = Login::begin().await;
    let mut open = Vec::new();
    // More than are kept open, silent ones and some that have begun to speak.
    for n in 0..100 {
        let mut stream = TcpStream::connect(("127.0.0.1", login.port)).await.unwrap();
        if n % 2 == 0 {
            stream.write_all(b"GET /callback?code=injected").await.unwrap();
        }
        open.push(stream);
    }
    // The oldest made room, and long before its time was over.
    let ended = timeout(Duration::from_secs(5), open[1].read(&mut [0])).await.unwrap();
    assert!(!matches!(ended, Ok(1..)), "{ended:?}");
    let page = login.redirect("code=canary-code").await;
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(login.ended().await.is_ok());
    drop(open);
}

#[tokio::test]
async fn a_head_without_an_end_is_cut() {
    let login = Login::begin().await;
    let mut stream = TcpStream::connect(("127.0.0.1", login.port)).await.unwrap();
    stream.write_all(b"GET /callback HTTP/1.1\r\nx: ").await.unwrap();
    // The listener closes before a mebibyte; writing on fails then.
    let written = async {
        for _ in 0..256 {
            stream.write_all(&[b'x'; 4096]).await?;
        }
        stream.flush().await
    };
    let mut end = Vec::new();
    let cut = written.await.is_err()
        || stream.read_to_end(&mut end).await.is_err()
        || end.starts_with(b"HTTP/1.1 431");
    assert!(cut, "{}", String::from_utf8_lossy(&end));
    login.redirect("code=c").await;
    assert!(login.ended().await.is_ok());
}

#[tokio::test]
async fn a_user_may_say_no() {
    let login = Login::begin().await;
    login.redirect("error=access_denied&error_description=No%1B%5B2J%20thanks").await;
    let Login { server, ended, .. } = login;
    let error = ended.await.unwrap().unwrap_err();
    let BrowserError::Denied { description } = error else { panic!("{error}") };
    assert_eq!(description.as_deref(), Some("No[2J thanks"));
    assert!(server.seen().is_empty());

    let login = Login::begin().await;
    login.redirect("error=invalid_scope&code=canary-code").await;
    let error = login.ended().await.unwrap_err();
    let BrowserError::Refused { code, description: None } = error else { panic!("{error}") };
    assert_eq!(code, "invalid_scope");
}

#[tokio::test]
async fn the_issuer_of_a_redirect_is_the_one_that_was_asked() {
    let announced = |endpoints: &mut ServerMetadata| {
        endpoints.authorization_response_iss_parameter_supported = true;
    };
    let login = Login::with(announced).await;
    login.redirect("code=canary-code").await;
    let Login { server, ended, .. } = login;
    let error = ended.await.unwrap().unwrap_err();
    assert!(matches!(error, BrowserError::IssuerMissing { .. }), "{error}");
    assert!(server.seen().is_empty());

    for adjust in [announced as fn(&mut ServerMetadata), |_| ()] {
        let login = Login::with(adjust).await;
        login.redirect("code=canary-code&iss=https%3A%2F%2Fevil.example").await;
        let Login { server, ended, .. } = login;
        let error = ended.await.unwrap().unwrap_err();
        assert!(matches!(error, BrowserError::IssuerDiffers { .. }), "{error}");
        assert!(server.seen().is_empty());

        let login = Login::with(adjust).await;
        let issuer = login.server.base.clone();
        login.redirect(&format!("code=canary-code&iss={issuer}")).await;
        assert!(login.ended().await.is_ok());
    }
}

#[tokio::test]
async fn a_redirect_without_a_code_is_the_end() {
    let login = Login::begin().await;
    login.redirect("code=").await;
    let error = login.ended().await.unwrap_err();
    assert!(matches!(error, BrowserError::CodeMissing), "{error}");
}

#[tokio::test]
async fn a_code_that_is_refused_is_told() {
    let server = Server::with("/token", |_| says_error("invalid_grant")).await;
    let login = BrowserLogin::begin(&http(), &server.endpoints(), &request(), None).await.unwrap();
    let query = login.authorization_url().query().unwrap().to_owned();
    let redirect_uri = url::Url::parse(&form(&query, "redirect_uri")[0]).unwrap();
    let ended = tokio::spawn(login.wait(SOON));
    let target = format!("/callback?code=c&state={}", form(&query, "state")[0]);
    visit(redirect_uri.port().unwrap(), &target).await;
    let error = ended.await.unwrap().unwrap_err();
    let BrowserError::Token(TokenError::Refused { code }) = error else { panic!("{error}") };
    assert_eq!(code, "invalid_grant");
}

#[tokio::test]
async fn a_user_who_does_not_come_back_is_not_waited_for() {
    let server = Server::with("/token", |_| says_json(&grant())).await;
    let login = BrowserLogin::begin(&http(), &server.endpoints(), &request(), None).await.unwrap();
    let error = login.wait(Duration::from_millis(100)).await.unwrap_err();
    assert!(matches!(error, BrowserError::TimedOut), "{error}");
}

#[tokio::test]
async fn what_a_server_cannot_do_safely_is_not_begun() {
    let server = Server::with("/token", |_| says_json(&grant())).await;
    let begun = async |adjust: fn(&mut ServerMetadata)| {
        let mut endpoints = server.endpoints();
        adjust(&mut endpoints);
        BrowserLogin::begin(&http(), &endpoints, &request(), None).await
    };
    let plain = begun(|m| m.code_challenge_methods_supported = Some(vec!["plain".into()])).await;
    assert!(matches!(plain, Err(BrowserError::PkceUnsupported)));
    let none = begun(|m| m.authorization_endpoint = None).await;
    assert!(matches!(none, Err(BrowserError::Unsupported)));
    let both = |m: &mut ServerMetadata| {
        m.code_challenge_methods_supported = Some(vec!["plain".into(), "S256".into()]);
    };
    assert!(begun(both).await.is_ok());

    let mut request = request();
    request.parameters = vec![("redirect_uri".into(), "https://evil.example".into())];
    let error =
        BrowserLogin::begin(&http(), &server.endpoints(), &request, None).await.unwrap_err();
    let BrowserError::Request(RequestError::ParameterReserved { .. }) = error else {
        panic!("{error}")
    };
}

#[tokio::test]
async fn a_port_may_be_given_and_may_be_taken() {
    let server = Server::with("/token", |_| says_json(&grant())).await;
    let endpoints = server.endpoints();
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let begun = BrowserLogin::begin(&http(), &endpoints, &request(), Some(port)).await;
    assert!(matches!(begun, Err(BrowserError::Listen(_))), "{begun:?}");
    drop(taken);
    let login = BrowserLogin::begin(&http(), &endpoints, &request(), Some(port)).await.unwrap();
    let redirect_uri = format!("redirect_uri=http%3A%2F%2F127.0.0.1%3A{}%2Fcallback", port);
    assert!(login.authorization_url().query().unwrap().contains(&redirect_uri));
}
