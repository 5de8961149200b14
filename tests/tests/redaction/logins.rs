//! The secrets of logins: codes, verifiers, states, ID tokens, cookies, and what the login brings.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use regrant::{ClientAuthentication, Secret};
use regrant_login::{
    BrowserLogin, ClientCredentialsError, DeviceLogin, Http, LoggedIn, LoginRequest, Reach,
    ServerMetadata, client_credentials,
};
use url::Url;

use crate::authority::{Authority, CLIENT, Says};
use crate::canary::Canaries;
use crate::heard::Since;
use crate::shown::Shown;

/// Longer than any login here takes.
const LONG: Duration = Duration::from_secs(20);

/// One login at a server of its own.
struct Place {
    authority: Authority,
    shown: Shown,
    http: Http,
    server: ServerMetadata,
    request: LoginRequest,
    /// What browsers were given to open, in their arguments.
    opened: Arc<Mutex<Vec<String>>>,
}

impl Place {
    async fn new(canaries: &Canaries, shown: &Shown, says: Option<Says>) -> Self {
        // Installed already by another test of this process is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let authority = Authority::start(canaries);
        authority.says(says);
        let http = Http::new(Reach::Public).unwrap();
        let server = ServerMetadata::discover(&http, &authority.origin()).await.unwrap();
        let mut request = LoginRequest::new(CLIENT);
        request.authentication = ClientAuthentication::ClientSecretPost;
        request.client_secret = Some(Secret::new(canaries.phrase("client secret")));
        shown.value(&http);
        shown.value(&server);
        shown.value(&request);
        let opened = Arc::default();
        Self { authority, shown: shown.clone(), http, server, request, opened }
    }

    fn ended<E: std::error::Error + 'static>(&self, ended: Result<LoggedIn, E>) -> bool {
        match ended {
            Ok(logged_in) => {
                self.shown.value(&logged_in);
                true
            }
            Err(error) => {
                self.shown.error(&error);
                false
            }
        }
    }

    async fn by_browser(&self) -> bool {
        let login = BrowserLogin::begin(&self.http, &self.server, &self.request, None);
        let login = login.await.unwrap();
        self.shown.value(&login);
        let url = login.authorization_url().clone();
        self.opened.lock().unwrap().push(url.to_string());
        let browser = tokio::task::spawn_blocking(move || {
            let back = browse(&url).unwrap();
            // Whoever comes by without the state learns nothing and ends nothing.
            let mut without = back.clone();
            without.set_query(Some("code=guessed&state=guessed"));
            assert!(browse(&without).is_none());
            assert!(browse(&back).is_none());
        });
        let ended = self.ended(login.wait(LONG).await);
        browser.await.unwrap();
        ended
    }

    async fn by_device(&self) -> bool {
        let login = DeviceLogin::begin(&self.http, &self.server, &self.request).await.unwrap();
        self.shown.value(&login);
        // The URL with the user's code in it is given to be shown, and shows nothing itself.
        self.shown.value(login.verification_uri_complete().unwrap());
        self.ended(login.wait().await)
    }

    async fn as_itself(&self) -> bool {
        let ended: Result<_, ClientCredentialsError> =
            client_credentials(&self.http, &self.server, &self.request).await;
        self.ended(ended)
    }
}

/// Goes there as a browser does; gives where it is sent.
pub(crate) fn browse(url: &Url) -> Option<Url> {
    let address = (url.host_str().unwrap(), url.port().unwrap());
    let mut stream = TcpStream::connect(address).unwrap();
    let target = &url[url::Position::BeforePath..];
    write!(stream, "GET {target} HTTP/1.1\r\nhost: loopback\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    // The listener closes as soon as it has what it waits for.
    let _ = stream.read_to_string(&mut answer);
    let line = answer.lines().find_map(|line| line.strip_prefix("location: "))?;
    Some(Url::parse(line).unwrap())
}

#[tokio::test]
async fn sh_01_b_secrets_of_logins_in_logs() {
    let since = Since::now();
    let (canaries, shown) = (Canaries::default(), Shown::default());
    let (mut devices, mut opened) = (Vec::new(), Vec::new());
    for says in Says::FAILURES.map(Some).into_iter().chain([Some(Says::Vanishes), None]) {
        let granted = says.is_none();
        let place = Place::new(&canaries, &shown, says).await;
        assert_eq!(place.by_browser().await, granted, "{says:?}");
        opened.append(&mut place.opened.lock().unwrap());
        let place = Place::new(&canaries, &shown, says).await;
        assert_eq!(place.as_itself().await, granted, "{says:?}");
        let place = Place::new(&canaries, &shown, says).await;
        // They wait a second for each poll, and all at once.
        devices.push(async move { (place.by_device().await, place.authority.origin()) });
    }
    for device in devices.into_iter().map(tokio::spawn).collect::<Vec<_>>() {
        device.await.unwrap();
    }
    for what in ["authorization code", "state", "code_verifier", "device code", "complete URI"] {
        assert!(canaries.count(what) > 0, "{what}");
    }
    since.must_hold(&["the token endpoint answered a login", "a metadata document was asked for"]);
    let searcher = canaries.searcher();
    searcher.assert_absent("logs", since.said());
    searcher.assert_absent("what programs are shown", shown.all());
    // Everybody on the machine sees what a browser is started with. The state lets nobody in who
    // lacks the verifier, and the verifier is not there.
    let seen = searcher.sightings(opened.join("\n"));
    assert!(!seen.is_empty() && seen.iter().all(|one| one.what == "state"), "{seen:?}");
}
