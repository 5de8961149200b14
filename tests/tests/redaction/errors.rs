//! Every error of what reads other people's words, provoked with secrets wherever it takes
//! something in. Those of sessions are in `sessions`.

use std::collections::BTreeSet;
use std::time::Duration;

use regrant::Secret;
use regrant_core::protocol::Profile;
use regrant_core::{ClientAuthentication, Origin, Record};
use regrant_login::{
    BrowserError, BrowserLogin, ClientCredentialsError, DeviceError, DeviceLogin, DocumentError,
    Endpoint, EndpointError, Endpoints, Http, LoggedIn, LoginRequest, Reach, ResourceMetadata,
    ResourceMetadataError, ServerMetadata, ServerMetadataError, TokenError, client_credentials,
    open_browser,
};
use regrant_storage_file::JsonMap;

use crate::canary::Canaries;
use crate::heard::Since;
use crate::logins::browse;
use crate::loopback::{Answer, Loopback, Received, answer, json};
use crate::shown::Shown;
use crate::source;

/// What takes nothing in that could be a secret, each with the reason.
const BARE: [(&str, &str); 10] = [
    ("regrant_login::BrowserError::Listen", "the system's error about a port"),
    ("regrant_login::BrowserError::PkceUnsupported", "says nothing"),
    ("regrant_login::BrowserError::TimedOut", "says nothing"),
    ("regrant_login::BrowserError::Unsupported", "says nothing"),
    ("regrant_login::DeviceError::Expired", "says nothing"),
    ("regrant_login::DeviceError::Unsupported", "says nothing"),
    ("regrant_login::DocumentError::TooLong", "says nothing"),
    ("regrant_login::HttpError::TimedOut", "a host, which has no secrets"),
    ("regrant_login::HttpError::Unsendable", "a host, which has no secrets"),
    ("regrant_login::OpenError::NotStarted", "the name of a program and the system's error"),
];

struct Provoked {
    canaries: Canaries,
    shown: Shown,
    http: Http,
}

/// A request for what is at this path of a server that answers like this.
type Says = fn(&Canaries, &str, &Received) -> Answer;

impl Provoked {
    fn secret(&self) -> String {
        self.canaries.token("secret of the input")
    }

    fn url(&self) -> String {
        url_of(&self.canaries)
    }

    fn server(&self, says: Says) -> Loopback {
        let canaries = self.canaries.clone();
        Loopback::start(move |origin, received| says(&canaries, origin, received))
    }

    fn request(&self) -> LoginRequest {
        let mut request = LoginRequest::new("client");
        request.authentication = ClientAuthentication::ClientSecretBasic;
        request.client_secret = Some(Secret::new(self.canaries.phrase("client secret")));
        request
    }

    fn of_core(&self) {
        for text in [
            format!("ftp://{}", self.secret()),
            format!("http://as.example/{}", self.secret()),
            "http://as.example".to_owned(),
            // A slash would end the host and the port.
            format!("https://{}", self.secret().replace('/', "")),
            format!("https://as.example:{}", self.secret().replace('/', "")),
            format!("https://as.example/{}", self.secret()),
            self.url(),
            self.secret(),
        ] {
            self.shown.error(&Origin::parse(&text).unwrap_err());
        }
        // Somebody takes a credential file for a profile.
        let (secret, long) = (self.secret(), self.secret().repeat(2_000));
        for text in [
            secret.clone(),
            format!("{{\"access_token\":\"{secret}\"}}"),
            format!("{{\"name\":\"n\",\"token\":\"{secret}\"}}"),
            format!("{{\"name\":\"n\",\"{secret}\":1}}"),
            format!("{{\"name\":\"n\",\"token\":{{\"rotation\":\"{secret}\"}}}}"),
            format!("{{\"name\":[\"{secret}\"]}}"),
            format!("{{\"{secret}"),
            format!("{{\"name\":\"{long}\"}}"),
            r#"{"name":"n","token":{"rules":[{"name":"r","when":{},"class":"NeedsLogin"}]}}"#
                .into(),
        ] {
            self.shown.error(&Profile::of(&text).unwrap_err());
        }
        for text in [
            format!("{{\"format\":1,\"client\":\"{secret}\"}}"),
            format!(
                "{{\"format\":1,\"refresh_token\":[\"{secret}\"],\"incarnation\":\"{secret}\"}}"
            ),
            format!("{{\"format\":99,\"refresh_token\":\"{secret}\"}}"),
            format!("\"{secret}"),
        ] {
            self.shown.error(&Record::decode(text.as_bytes()).unwrap_err());
        }
    }

    fn of_files(&self) {
        let map = ["access_token=/a", "refresh_token=/r", "expires_at=/e"];
        let map = JsonMap::parse(map).unwrap();
        self.shown.value(&map);
        let secret = self.secret();
        for text in [
            format!("{{\"a\":\"{secret}\""),
            format!("{{\"a\":[\"{secret}\"]}}"),
            format!("{{\"a\":\"a\",\"r\":{{\"{secret}\":\"{secret}\"}}}}"),
            format!("{{\"a\":\"a\",\"e\":\"{secret}\"}}"),
            format!("{{\"a\":\"{secret}\",\"e\":99999999999999999}}"),
            secret.clone(),
        ] {
            self.shown.error(&map.read(text.as_bytes()).unwrap_err());
        }
        let read = map.read(format!("{{\"a\":\"{secret}\",\"r\":\"{secret}\"}}").as_bytes());
        self.shown.value(&read.unwrap());
        // RFC 6901 section 3.
        let pointer = secret.replace('~', "~0");
        for entries in [
            vec![secret.clone()],
            vec![format!("{secret}=/a")],
            vec![format!("access_token={secret}")],
            vec![format!("expires_at=/{pointer}:h")],
            vec![format!("scope=/{pointer}")],
            vec![format!("access_token=/{pointer}"), "access_token=/a".to_owned()],
            vec![format!("access_token=/{pointer}"), format!("refresh_token=/{pointer}")],
        ] {
            self.shown.error(&JsonMap::parse(&entries).unwrap_err());
        }
    }

    async fn of_urls(&self) {
        for text in [
            format!("https://as.example/ ?{}", self.secret()),
            format!("http://as.example/?{}", self.secret()),
            self.url(),
            format!("https://as.example/#{}", self.secret()),
        ] {
            self.shown.error(&Endpoint::parse(&text).unwrap_err());
            self.shown.error(&open_browser(&text).unwrap_err());
            let endpoints = Endpoints { token: &text, ..Endpoints::default() };
            self.shown.error(&ServerMetadata::explicit(&endpoints).unwrap_err());
            let refused = ServerMetadata::discover(&self.http, &text).await.unwrap_err();
            self.shown.error(&refused);
            let refused = ResourceMetadata::discover(&self.http, &text).await.unwrap_err();
            self.shown.error(&refused);
        }
        let private = format!("https://10.1.2.3/?{}", self.secret());
        let refused = ResourceMetadata::discover(&self.http, &private).await.unwrap_err();
        if let ResourceMetadataError::Resource { source, .. } = &refused {
            self.shown.error(source);
            if let EndpointError::Address(address) = source {
                self.shown.error(address);
            }
        }
        let endpoints = Endpoints { token: &private, ..Endpoints::default() };
        let metadata = ServerMetadata::explicit(&endpoints).unwrap();
        self.refused(client_credentials(&self.http, &metadata, &self.request()).await);
        let good = format!("https://as.example/?{}", self.secret());
        self.shown.value(&Endpoint::parse(&good).unwrap());
        let refused = ServerMetadata::discover(&self.http, &good).await.unwrap_err();
        self.shown.error(&refused);
    }

    /// Documents at well-known places that are none, or somebody else's.
    async fn of_documents(&self) {
        let says: [Says; 11] = [
            |canaries, _, _| answer(404, &[], &canaries.token("body")),
            |canaries, origin, _| {
                let to = format!("{origin}/?{}", canaries.token("location"));
                answer(302, &[("location", &to)], "")
            },
            |canaries, _, _| answer(503, &[], &canaries.token("body")),
            |canaries, _, _| answer(200, &[("content-type", "text/html")], &canaries.token("body")),
            |canaries, _, _| json(200, &format!("{{\"issuer\":\"{}", canaries.token("body"))),
            |canaries, _, _| json(200, &format!("{{\"issuer\":[\"{}\"]}}", canaries.token("body"))),
            |canaries, _, _| {
                let url = url_of(canaries);
                json(200, &format!("{{\"issuer\":\"{url}\",\"resource\":\"{url}\"}}"))
            },
            |canaries, origin, _| {
                json(200, &format!("{{\"issuer\":\"{origin}\",\"x\":\"{}\"}}", canaries.token("x")))
            },
            |canaries, origin, _| {
                let url = url_of(canaries);
                let servers = format!("\"authorization_servers\":[\"{url}\"]");
                let body = format!("{{\"issuer\":\"{origin}\",\"resource\":\"{origin}\",");
                json(200, &format!("{body}\"token_endpoint\":\"{url}\",{servers}}}"))
            },
            |canaries, _, _| {
                let url = url_of(canaries);
                let line = format!("Bearer resource_metadata=\"{url}\"");
                answer(401, &[("www-authenticate", &line)], &canaries.token("body"))
            },
            |_, _, _| None,
        ];
        for says in says {
            let server = self.server(says);
            if let Err(error) = ServerMetadata::discover(&self.http, &server.origin()).await {
                if let ServerMetadataError::Document { source, .. } = &error {
                    self.shown.error(source);
                    if let DocumentError::Http(source) = source {
                        self.shown.error(source);
                    }
                }
                self.shown.error(&error);
            }
            if let Err(error) = ResourceMetadata::discover(&self.http, &server.origin()).await {
                self.shown.error(&error);
            }
        }
        // A server elsewhere that names this machine is not contacted here: it has no test's name.
        let local: EndpointError = EndpointError::Local;
        self.shown.error(&local);
    }

    /// Token requests of a program that logs in as itself, and of a device.
    async fn of_logins(&self) {
        let says: [Says; 8] = [
            |canaries, origin, _| json(200, &granting(canaries, origin, "client")),
            |_, _, received| json(400, &quoting("invalid_grant", received)),
            |_, _, received| json(400, &quoting("invalid_client", received)),
            |canaries, _, _| json(200, &granting(canaries, "https://other.example", "client")),
            |canaries, origin, _| json(200, &granting(canaries, origin, "another")),
            |_, _, received| json(400, &quoting("access_denied", received)),
            |canaries, origin, received| {
                let code = canaries.token("device code");
                let uri = url_of(canaries);
                let _ = (origin, received);
                json(
                    200,
                    &format!(
                        "{{\"device_code\":\"{code}\",\"user_code\":\"X\",\"verification_uri\":\"{uri}\",\
                     \"expires_in\":9}}"
                    ),
                )
            },
            |_, _, _| None,
        ];
        for says in says {
            let server = self.server(says);
            let metadata = self.metadata(&server);
            let request = self.request();
            self.refused(client_credentials(&self.http, &metadata, &request).await);
            let error = DeviceLogin::begin(&self.http, &metadata, &request).await.unwrap_err();
            self.shown.error(&error);
        }
        let announces: Says = |canaries, origin, received| {
            if received.path() != "/device" {
                return json(400, &quoting("access_denied", received));
            }
            let code = canaries.token("device code");
            json(
                200,
                &format!(
                    "{{\"device_code\":\"{code}\",\"user_code\":\"X\",\
                 \"verification_uri\":\"{origin}/v\",\"expires_in\":9,\"interval\":1}}"
                ),
            )
        };
        let server = self.server(announces);
        let login = DeviceLogin::begin(&self.http, &self.metadata(&server), &self.request()).await;
        let denied: DeviceError = login.unwrap().wait().await.unwrap_err();
        self.shown.error(&denied);
    }

    fn refused(&self, ended: Result<LoggedIn, ClientCredentialsError>) {
        match ended {
            Ok(logged_in) => self.shown.value(&logged_in),
            Err(ClientCredentialsError::Token(error)) => {
                if let TokenError::Http(error) = &error {
                    self.shown.error(error);
                }
                self.shown.error(&error);
                self.shown.error(&ClientCredentialsError::Token(error));
            }
            Err(error) => self.shown.error(&error),
        }
    }

    fn metadata(&self, server: &Loopback) -> ServerMetadata {
        let origin = server.origin();
        let at = |path: &str| format!("{origin}{path}");
        let (token, authorize, device) = (at("/token"), at("/authorize"), at("/device"));
        let metadata = ServerMetadata::explicit(&Endpoints {
            token: &token,
            authorization: Some(&authorize),
            device_authorization: Some(&device),
            issuer: Some(&origin),
            ..Endpoints::default()
        });
        metadata.unwrap()
    }

    /// What servers send browsers back with.
    async fn of_redirects(&self) {
        let refuses: Says = |_, _, received| json(400, &quoting("invalid_grant", received));
        let server = self.server(refuses);
        let mut metadata = self.metadata(&server);
        let other = self.url();
        for (announced, fields) in [
            (false, vec![("error", "access_denied")]),
            (false, vec![("error", "server_error")]),
            (false, vec![("code", "")]),
            (true, vec![]),
            (false, vec![("iss", other.as_str())]),
            (false, vec![]),
        ] {
            metadata.authorization_response_iss_parameter_supported = announced;
            let request = self.request();
            let login = BrowserLogin::begin(&self.http, &metadata, &request, None).await.unwrap();
            let asked = login.authorization_url().query_pairs().into_owned();
            let asked: std::collections::BTreeMap<String, String> = asked.collect();
            let mut back = url::Url::parse(&asked["redirect_uri"]).unwrap();
            let code = self.canaries.token("authorization code");
            back.query_pairs_mut().append_pair("state", &asked["state"]).extend_pairs(&fields);
            if !fields.iter().any(|(name, _)| *name == "code") {
                back.query_pairs_mut().append_pair("code", &code);
            }
            let browser = tokio::task::spawn_blocking(move || assert!(browse(&back).is_none()));
            let error: BrowserError = login.wait(Duration::from_secs(20)).await.unwrap_err();
            browser.await.unwrap();
            if let BrowserError::Token(TokenError::Http(error)) = &error {
                self.shown.error(error);
            }
            self.shown.error(&error);
        }
    }

    /// Requests that cannot be made.
    async fn of_requests(&self) {
        let server = self.server(|_, _, _| None);
        let metadata = self.metadata(&server);
        let good = self.request();
        let with = |change: &dyn Fn(&mut LoginRequest)| {
            let mut request = good.clone();
            change(&mut request);
            request
        };
        let no_profile = format!("{{\"name\":[\"{}\"]}}", self.secret());
        for request in [
            with(&|request| request.client_id.clear()),
            with(&|request| request.client_secret = None),
            with(&|request| request.authentication = ClientAuthentication::PrivateKeyJwt),
            with(&|request| request.resources.push(format!("https://a/#{}", self.secret()))),
            with(&|request| request.parameters.push(("client_secret".into(), self.secret()))),
            with(&|request| request.profile = Some(no_profile.clone())),
        ] {
            let refused = client_credentials(&self.http, &metadata, &request).await.unwrap_err();
            if let ClientCredentialsError::Request(error) = &refused {
                self.shown.error(error);
            }
            self.shown.error(&refused);
            let begun = BrowserLogin::begin(&self.http, &metadata, &request, None).await;
            self.shown.error(&begun.unwrap_err());
            let begun = DeviceLogin::begin(&self.http, &metadata, &request).await;
            self.shown.error(&begun.unwrap_err());
        }
    }
}

/// A URL with secrets in every place that can hold one.
fn url_of(canaries: &Canaries) -> String {
    let [user, password, query] = ["user", "password", "query"].map(|what| {
        let secret = canaries.token(&format!("{what} of a URL"));
        url::form_urlencoded::byte_serialize(secret.as_bytes()).collect::<String>()
    });
    format!("https://{user}:{password}@b.example/path?token={query}")
}

/// An error that quotes the request.
fn quoting(code: &str, received: &Received) -> String {
    let description = format!("{:?} {}", received.authorization, received.body);
    serde_json::json!({ "error": code, "error_description": description }).to_string()
}

/// A grant with an ID token of this issuer for this client.
fn granting(canaries: &Canaries, issuer: &str, client: &str) -> String {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    let claims = serde_json::json!({
        "iss": issuer, "aud": client, "sub": "user", "x": canaries.token("ID token"),
    });
    let claims = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
    let body = serde_json::json!({
        "access_token": canaries.token("access token"), "token_type": "Bearer",
        "id_token": format!("e30.{claims}.c2ln"),
    });
    body.to_string()
}

#[tokio::test]
async fn sh_02_debug_and_error_chain_leaks() {
    // Installed already by another test of this process is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let since = Since::now();
    let provoked = Provoked {
        canaries: Canaries::default(),
        shown: Shown::default(),
        http: Http::new(Reach::Public).unwrap(),
    };
    provoked.of_core();
    provoked.of_files();
    provoked.of_urls().await;
    provoked.of_documents().await;
    provoked.of_logins().await;
    provoked.of_redirects().await;
    provoked.of_requests().await;
    let searcher = provoked.canaries.searcher();
    searcher.assert_absent("logs", since.said());
    searcher.assert_absent("errors", provoked.shown.all());
    let bare: BTreeSet<_> = BARE.iter().map(|(name, _)| *name).collect();
    source::assert_all_shown(
        &["regrant_core", "regrant_login", "regrant_storage_file"],
        &provoked.shown.names(),
        &bare,
    );
}
