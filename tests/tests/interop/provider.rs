//! The provider's process, and what a test can do to it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use regrant::{Client, ClientAuthentication, Origin, Secret};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Set where every test must run: a part that is missing is a failure then.
const REQUIRE_ALL: &str = "REGRANT_REQUIRE_ALL_PARTS";

/// How long a step may take that waits for nothing but this machine.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A provider that listens, with its API. It ends with this value.
pub(crate) struct Provider {
    child: Child,
    /// What it was told, with the ports it was given, so that another can take its place.
    settings: Value,
    said: Value,
    /// The provider's own description (RFC 8414).
    metadata: Value,
    http: reqwest::Client,
    _state: TempDir,
}

impl Provider {
    /// Starts one; `None`, said aloud, where Node.js or the provider is not installed.
    pub(crate) async fn start(settings: Value) -> Option<Self> {
        if !is_installed() {
            let what = "left out: oidc-provider, which `cargo xtask test` installs";
            assert!(std::env::var_os(REQUIRE_ALL).is_none(), "{what}");
            eprintln!("{what}");
            return None;
        }
        // Built with the whole workspace, reqwest brings no provider of its own.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let state = tempfile::tempdir().unwrap();
        let mut settings = settings;
        settings["state"] = json!(state.path().join("state.json"));
        let (child, said) = listening(&settings);
        for (setting, name) in [("issuer_port", "issuer"), ("api_port", "api")] {
            let url = reqwest::Url::parse(said[name].as_str().unwrap()).unwrap();
            settings[setting] = json!(url.port().unwrap());
        }
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let about =
            format!("{}/.well-known/openid-configuration", said["issuer"].as_str().unwrap());
        let metadata = http.get(about).send().await.unwrap().json().await.unwrap();
        Some(Self { child, settings, said, metadata, http, _state: state })
    }

    /// As with `kill -9`, unless it has done that to itself already.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    /// Another process takes its place: the same ports, and all that the first had remembered.
    pub(crate) fn start_again(&mut self) {
        self.kill();
        (self.child, self.said) = listening(&self.settings);
    }

    pub(crate) fn issuer(&self) -> &str {
        self.said["issuer"].as_str().unwrap()
    }

    pub(crate) fn endpoint(&self, name: &str) -> &str {
        self.metadata[name].as_str().unwrap()
    }

    /// The API, which is also the resource that tokens are for (RFC 8707).
    pub(crate) fn api(&self) -> &str {
        self.said["api"].as_str().unwrap()
    }

    pub(crate) fn origin(&self) -> Origin {
        Origin::parse(self.api()).unwrap()
    }

    /// One of the clients that the provider knows.
    pub(crate) fn client(&self, id: &str) -> Client {
        let mut client = Client::new(self.endpoint("token_endpoint"), id);
        client.revocation_endpoint = Some(self.endpoint("revocation_endpoint").to_owned());
        client.issuer = Some(self.issuer().to_owned());
        client.authentication = match id {
            "basic" => ClientAuthentication::ClientSecretBasic,
            "post" => ClientAuthentication::ClientSecretPost,
            "jwt" => ClientAuthentication::PrivateKeyJwt,
            _ => ClientAuthentication::None,
        };
        client.client_secret = self.secret(id).map(|secret| Secret::new(secret.to_owned()));
        client.dpop = id == "dpop";
        client
    }

    /// What the client shows: a secret, or the private key in its place.
    pub(crate) fn secret(&self, id: &str) -> Option<&str> {
        match id {
            "jwt" => self.said["private_pem"].as_str(),
            _ => self.said["secrets"][id].as_str(),
        }
    }

    /// A request by nobody in particular.
    pub(crate) fn post(&self, url: &str, form: &[(&str, &str)]) -> reqwest::RequestBuilder {
        self.http.post(url).form(form)
    }

    pub(crate) fn get(&self, url: &str) -> reqwest::RequestBuilder {
        self.http.get(url)
    }

    /// What an API would be told of this token (RFC 7662).
    pub(crate) async fn introspected(&self, token: &str) -> Value {
        let endpoint = self.endpoint("introspection_endpoint");
        let request = self.post(endpoint, &[("token", token)]);
        let answer = request.basic_auth("api", self.secret("api")).send().await.unwrap();
        answer.json().await.unwrap()
    }

    /// Does something behind the clients' backs.
    pub(crate) async fn control(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.said["control"].as_str().unwrap());
        let answer = self.http.post(url).json(body).send().await.unwrap();
        let answer = answer.error_for_status().unwrap().json().await.unwrap();
        eprintln!("test: {path} {body}: {answer}");
        answer
    }

    /// The API says "expired" from now on, whatever the clocks of the clients say.
    pub(crate) async fn kill_access_tokens(&self) {
        let answer = self.control("/kill-access-tokens", &json!({})).await;
        assert_ne!(answer["killed"], 0, "there was none to kill");
    }

    /// How often the refresh grant was asked for since the process began, by outcome.
    pub(crate) async fn refreshes(&self) -> Value {
        self.requests("refresh_token").await
    }

    /// The same of any grant.
    pub(crate) async fn requests(&self, grant_type: &str) -> Value {
        self.counters().await["token"][grant_type].clone()
    }

    /// The API's answers so far, by status.
    pub(crate) async fn api_answers(&self) -> Value {
        self.counters().await["api"].clone()
    }

    async fn counters(&self) -> Value {
        let url = format!("{}/counters", self.said["control"].as_str().unwrap());
        self.http.get(url).send().await.unwrap().json().await.unwrap()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.kill();
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("oidc-provider")
}

fn is_installed() -> bool {
    let node = Command::new("node").arg("--version").output();
    node.is_ok_and(|output| output.status.success())
        && folder().join("node_modules/oidc-provider/package.json").is_file()
}

/// A process, and the line by which it says where it listens.
fn listening(settings: &Value) -> (Child, Value) {
    let mut child = Command::new("node")
        .arg("server.mjs")
        .arg(settings.to_string())
        .current_dir(folder())
        // Open for as long as the test lives; its end is the provider's.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    // Said through this process, so that it stands with the output of its test.
    std::thread::spawn(move || {
        log.lines().map_while(Result::ok).for_each(|line| eprintln!("{line}"));
    });
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let _ = out.read_line(&mut line);
        let _ = tell.send(line);
    });
    let line = told.recv_timeout(SOON).expect("the provider says where it listens");
    let said = serde_json::from_str(&line).unwrap_or_else(|_| panic!("it said: {line:?}"));
    (child, said)
}
