//! `regrant sandbox`, as people start it who test their own client.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use regrant_sandbox::Config;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, LOCATION, WWW_AUTHENTICATE};
use reqwest::redirect::Policy;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use crate::support::*;

/// SHA-256 of a verifier (RFC 7636, appendix B).
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A process that waits for a signal, and ends with this.
struct Running(Child);

impl Running {
    /// What it prints, up to the line that begins like this.
    fn printed_to(&mut self, last: &str) -> String {
        let mut out = BufReader::new(self.0.stdout.take().unwrap());
        let mut printed = String::new();
        while !printed.lines().any(|line| line.starts_with(last)) {
            assert!(out.read_line(&mut printed).unwrap() > 0, "it ended: {printed}");
        }
        printed
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Errors say that it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The servers of a process.
struct Served {
    _running: Running,
    /// What `--json` prints of them.
    urls: Value,
}

impl Served {
    fn with<const N: usize>(flags: [&str; N]) -> Self {
        Self::on(Stdio::null(), &flags)
    }

    fn on(input: Stdio, flags: &[&str]) -> Self {
        let user = User::new(Config::default());
        let mut command = user.command();
        command.args(["sandbox", "--json"]).args(flags).stdin(input).stderr(Stdio::inherit());
        let mut running = Running(command.spawn().unwrap());
        let urls = serde_json::from_str(&running.printed_to("{")).unwrap();
        Self { _running: running, urls }
    }

    fn url(&self, name: &str) -> &str {
        self.urls[name].as_str().unwrap()
    }

    /// Begins a login in the browser.
    fn authorize(&self, redirect_uri: &str) -> Answer {
        let mut query = Serializer::new(String::new());
        query.append_pair("response_type", "code").append_pair("client_id", "sandbox-client");
        query.append_pair("redirect_uri", redirect_uri);
        query.append_pair("code_challenge", CHALLENGE).append_pair("code_challenge_method", "S256");
        let url = format!("{}?{}", self.url("authorization_endpoint"), query.finish());
        asked(Method::GET, &url, &[], "")
    }

    /// Begins a login on a device.
    fn device(&self, scope: &str) -> Value {
        let form = [("client_id", "sandbox-client"), ("scope", scope)];
        post(self.url("device_authorization_endpoint"), &form).json()
    }

    /// Calls an API with the token of the login that was printed.
    fn call(&self, api: &str) -> Answer {
        self.call_with(api, self.urls["login"]["access_token"].as_str().unwrap())
    }

    fn call_with(&self, api: &str, token: &str) -> Answer {
        let url = format!("{}/path", self.urls["apis"][api].as_str().unwrap());
        asked(Method::GET, &url, &[(AUTHORIZATION.as_str(), &format!("Bearer {token}"))], "")
    }

    /// Tells the servers something at a control endpoint.
    fn control(&self, name: &str, told: &Value) -> Answer {
        let url = format!("{}/_sandbox/{name}", self.url("issuer"));
        let headers = [(CONTENT_TYPE.as_str(), "application/json")];
        asked(Method::POST, &url, &headers, &told.to_string())
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: impl reqwest::header::AsHeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

fn asked(method: Method, url: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    // Fails only if a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
        let mut request = client.request(method, url).body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, body: response.text().await.unwrap() }
    })
}

fn post(url: &str, form: &[(&str, &str)]) -> Answer {
    let body = Serializer::new(String::new()).extend_pairs(form).finish();
    let headers = [(CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded")];
    asked(Method::POST, url, &headers, &body)
}

/// Where a native client has its browser sent back to.
const LOOPBACK: &str = "http://127.0.0.1:9/callback";

#[test]
fn a_sandbox_prints_where_each_login_begins() {
    let served = Served::with([]);
    let issuer = served.url("issuer");
    for (member, path) in [
        ("authorization_endpoint", "/authorize"),
        ("device_authorization_endpoint", "/device_authorization"),
        ("verification_uri", "/device"),
    ] {
        assert_eq!(served.url(member), format!("{issuer}{path}"));
    }
    let page = asked(Method::GET, served.url("verification_uri"), &[], "");
    assert!(page.status == 200 && page.body.contains("Code on the device"), "{page:?}");
    assert_eq!(served.device("read")["verification_uri"], served.url("verification_uri"));
}

#[test]
fn the_prose_of_a_sandbox_names_the_same_places() {
    let user = User::new(Config::default());
    let prose = Running(user.start(["sandbox"])).printed_to("login ");
    let value = |name: &str| {
        let line = prose.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in {prose}")).trim().to_owned()
    };
    let issuer = value("issuer ");
    assert_eq!(value("authorization "), format!("{issuer}/authorize"));
    assert_eq!(value("device logins "), format!("{issuer}/device_authorization"));
    assert_eq!(value("device page "), format!("{issuer}/device"));
}

#[test]
fn a_login_in_the_browser_is_approved_asked_about_or_denied() {
    for flags in [&[][..], &["--login", "approve"]] {
        let answer = Served::on(Stdio::null(), flags).authorize(LOOPBACK);
        assert!(answer.status == 303 && answer.header(LOCATION).contains("?code="), "{answer:?}");
    }
    let answer = Served::with(["--login", "ask"]).authorize(LOOPBACK);
    assert!(answer.status == 200 && answer.body.contains("value=\"approve\""), "{answer:?}");
    let answer = Served::with(["--login", "deny"]).authorize(LOOPBACK);
    assert!(answer.header(LOCATION).contains("?error=access_denied"), "{answer:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn on_a_terminal_somebody_is_asked_unless_the_flag_says_otherwise() {
    use std::fs::OpenOptions;
    use std::os::unix::fs::OpenOptionsExt as _;

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
    let terminal = || {
        let flags = rustix::fs::OFlags::NOCTTY.bits().cast_signed();
        OpenOptions::new().read(true).write(true).custom_flags(flags).open(&name).unwrap()
    };
    let answer = Served::on(terminal().into(), &[]).authorize(LOOPBACK);
    assert!(answer.status == 200 && answer.body.contains("value=\"deny\""), "{answer:?}");
    let answer = Served::on(terminal().into(), &["--login", "approve"]).authorize(LOOPBACK);
    assert_eq!(answer.status, 303, "{answer:?}");
}

#[test]
fn the_browser_is_sent_back_to_every_uri_that_was_named() {
    let (web, app) = ("https://app.example/callback", "com.example.app:/callback");
    let served = Served::with(["--redirect-uri", web, "--redirect-uri", app]);
    for uri in [web, app, LOOPBACK] {
        let answer = served.authorize(uri);
        let back = format!("{uri}?code=");
        assert!(answer.header(LOCATION).starts_with(&back), "{uri}: {answer:?}");
    }
    assert_eq!(served.authorize("https://app.example/callback/").status, 400);
}

#[test]
fn further_scopes_are_those_that_were_named() {
    let served = Served::with(["--scopes", "audit billing"]);
    assert!(served.device("read audit billing")["device_code"].is_string());
    assert_eq!(served.device("admin")["error"], "invalid_scope");
    assert_eq!(Served::with(["--scopes", ""]).device("offline_access")["error"], "invalid_scope");
}

#[test]
fn a_device_is_told_its_interval_and_how_long_its_code_is_good() {
    let begun = Served::with([]).device("read");
    assert_eq!((&begun["interval"], &begun["expires_in"]), (&json!(5), &json!(1_800)));
    let served = Served::with(["--device-interval", "1500ms", "--device-code-ttl", "2m"]);
    let begun = served.device("read");
    assert_eq!((&begun["interval"], &begun["expires_in"]), (&json!(2), &json!(120)));
}

#[test]
fn a_client_with_dpop_gets_nothing_without_a_proof() {
    let served = Served::with(["--dpop"]);
    assert_eq!(served.urls["login"]["token_type"], "DPoP");
    let token = served.urls["login"]["refresh_token"].as_str().unwrap();
    let form = [("grant_type", "refresh_token"), ("client_id", "sandbox-client")];
    let form = [&form[..], &[("refresh_token", token)]].concat();
    let refused = post(served.url("token_endpoint"), &form);
    assert_eq!(refused.json()["error"], "invalid_dpop_proof");
    let rejected = served.call("api");
    assert_eq!(rejected.status, 401);
    assert!(rejected.header(WWW_AUTHENTICATE).starts_with("DPoP "), "{rejected:?}");
}

#[test]
fn the_challenges_of_every_api_name_its_metadata() {
    let served = Served::with(["--resource-metadata", "--api", "mail", "--api", "files"]);
    for api in ["mail", "files"] {
        let challenge = served.call_with(api, "dead");
        let (_, url) =
            challenge.header(WWW_AUTHENTICATE).split_once("resource_metadata=\"").unwrap();
        let document = asked(Method::GET, url.trim_end_matches('"'), &[], "").json();
        assert_eq!(
            document["resource"],
            format!("{}/path", served.urls["apis"][api].as_str().unwrap())
        );
    }
    let challenge = Served::with([]).call_with("api", "dead");
    assert!(!challenge.header(WWW_AUTHENTICATE).contains("metadata"), "{challenge:?}");
}

#[test]
fn every_api_demands_what_was_named() {
    for (demand, status, header, value) in [
        ("scope:admin audit", 403, "www-authenticate", "scope=\"admin audit\""),
        ("acr:urn:mfa phr", 401, "www-authenticate", "acr_values=\"urn:mfa phr\""),
        // {"a":{}} in Base64.
        ("claims:{\"a\":{}}", 401, "www-authenticate", "claims=\"eyJhIjp7fX0=\""),
        ("429:90", 429, "retry-after", "90"),
        ("403:90", 403, "retry-after", "90"),
    ] {
        let served = Served::with(["--demand", demand, "--api", "mail", "--api", "files"]);
        for api in ["mail", "files"] {
            let answer = served.call(api);
            assert_eq!(answer.status, status, "{demand}: {answer:?}");
            assert!(answer.header(header).contains(value), "{demand}: {answer:?}");
        }
    }
    let answer = Served::with(["--demand", "429"]).call("api");
    assert_eq!((answer.status, answer.header("retry-after")), (429, ""), "{answer:?}");
    assert_eq!(Served::with(["--demand", "scope:write"]).call("api").status, 200);
}

#[test]
fn a_login_is_fresh_enough_until_its_age_is_over() {
    let served = Served::with(["--demand", "max-age:300"]);
    assert_eq!(served.call("api").status, 200);
    served.control("clock", &json!({ "advance_ms": 301_000 }));
    let answer = served.call("api");
    assert_eq!(answer.status, 401);
    assert!(answer.header(WWW_AUTHENTICATE).contains("max_age=\"300\""), "{answer:?}");
}

#[test]
fn a_token_is_taken_once_it_is_old_enough() {
    let served = Served::with(["--minimum-age", "10m"]);
    assert_eq!(served.call("api").status, 401);
    served.control("clock", &json!({ "advance_ms": 600_000 }));
    assert_eq!(served.call("api").status, 200);
}

#[test]
fn an_api_can_say_in_its_body_alone_that_a_token_is_dead() {
    let answer = Served::with(["--rejection", "ok-false"]).call_with("api", "dead");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json(), json!({ "ok": false, "error": "token_expired" }));
}

#[test]
fn a_value_that_is_none_is_2_and_the_forms_are_said() {
    let user = User::new(Config::default());
    for (flag, value, forms) in [
        ("--login", "maybe", "approve, ask, deny"),
        ("--redirect-uri", "/callback", "https://app.example/callback"),
        ("--scopes", "\"admin\"", "separated by spaces"),
        ("--device-interval", "soon", "90s, 2h 30m or 250ms"),
        ("--device-code-ttl", "-1s", "cannot be negative"),
        ("--minimum-age", "old", "90s, 2h 30m or 250ms"),
        ("--clock-offset", "9223372036854775807", "longer than a clock is wide"),
        ("--demand", "role:admin", "scope:SCOPES, acr:VALUES, max-age:SECONDS, claims:JSON, 429,"),
        ("--demand", "403", "403:SECONDS"),
        ("--demand", "429:soon", "429:60"),
        ("--demand", "claims:[]", "JSON object"),
        ("--rejection", "politely", "ok-false"),
    ] {
        let argument = format!("{flag}={value}");
        let ran = user.run(["sandbox", &argument]).exits(2);
        assert!(ran.err.contains(forms) && ran.out.is_empty(), "{argument}: {ran:?}");
        let error = user.run(["sandbox", &argument, "--json"]).exits(2).error();
        assert_eq!(error["code"], "usage", "{argument}");
    }
    user.run(["sandbox", "--demand", "429", "--demand", "acr:phr"]).exits(2);
}
