//! Logins, from an authorization server or the URL of an API to a credential that works.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use regrant_sandbox::{ApiConfig, Config, Consent};
use serde_json::{Value, json};

use crate::support::*;

/// What no step takes unless something is wrong.
const LONG: Duration = Duration::from_secs(60);

/// Devices that ask as often as a client may.
pub(crate) fn config() -> Config {
    Config { device_interval_ms: 1_000, ..Config::default() }
}

/// A login at the sandbox, without its way.
pub(crate) fn login(user: &User) -> Command {
    let mut command = user.command();
    command.args(["login", "--issuer", user.sandbox.issuer_url(), "--client-id", "sandbox-client"]);
    command.args(["--api", user.api()]);
    command
}

/// A login that runs, and what it has said so far.
pub(crate) struct Running {
    pub(crate) child: Child,
    said: BufReader<std::process::ChildStderr>,
    err: String,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let said = BufReader::new(child.stderr.take().unwrap());
        Self { child, said, err: String::new() }
    }

    /// The next line that stands apart, for people to copy; it begins like this.
    pub(crate) fn shown(&mut self, start: &str) -> String {
        loop {
            let mut line = String::new();
            let length = self.said.read_line(&mut line).unwrap();
            assert!(length > 0, "it ended: {}", self.err);
            self.err += &line;
            if let Some(shown) = line.strip_prefix("  ").filter(|shown| shown.starts_with(start)) {
                return shown.trim_end().to_owned();
            }
        }
    }

    #[cfg(unix)]
    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits until it has ended by itself.
    #[cfg(unix)]
    fn ended(mut self) -> ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        let (tell, told) = mpsc::channel();
        thread::spawn(move || tell.send(self.child.wait()));
        told.recv_timeout(LONG)
            .unwrap_or_else(|_| {
                // Nobody has waited for it, so the number is still its own.
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                panic!("it does not end")
            })
            .unwrap()
    }

    pub(crate) fn finished(mut self) -> Ran {
        self.said.read_to_string(&mut self.err).unwrap();
        let mut ran = Ran::from(self.child.wait_with_output().unwrap());
        ran.err = self.err;
        ran
    }
}

/// Goes where the browser would, to the end of all redirects; gives the page.
fn browse(url: &str) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.get(url).send().await.unwrap().text().await.unwrap()
    })
}

/// Logs in with the browser, whose user does what the sandbox is configured with.
pub(crate) fn by_browser(mut command: Command) -> Ran {
    command.arg("--no-browser");
    let mut running = Running::start(command);
    let url = running.shown("http");
    browse(&url);
    running.finished()
}

/// Logs in with a code that the user approves, or not.
fn by_device(user: &User, mut command: Command, approves: bool) -> Ran {
    command.arg("--device");
    let mut running = Running::start(command);
    running.shown("http");
    let code = running.shown("");
    assert!(user.sandbox.decide_device(&code, approves), "{code}");
    running.finished()
}

#[test]
fn a_login_with_the_browser_is_saved_and_kept_alive() {
    let user = User::new(config());
    let mut command = login(&user);
    command.args(["--scope", "read", "--scope", "write offline_access", "--json"]);
    let ran = by_browser(command).exits(0);
    let said = ran.json();
    assert_eq!((&said["account"], &said["generation"]), (&json!("default"), &json!(1)));
    assert_eq!(said["has_refresh_token"], true);
    assert_eq!(said["origins"], json!([user.api()]));
    let mut scope: Vec<_> = said["scope"].as_str().unwrap().split(' ').collect();
    scope.sort_unstable();
    assert_eq!(scope, ["offline_access", "read", "write"]);
    assert_eq!(said["old_revoked"], Value::Null);
    assert!(said["expires_at"].is_string() && !ran.err.contains("sandbox_"), "{ran:?}");
    user.call().exits(0);
    user.sandbox.expire_access_tokens();
    user.call().exits(0);
    let shown = user.run(["client", "show", "--json"]).exits(0).json();
    assert_eq!(shown["issuer"], user.sandbox.issuer_url());
    assert_eq!(shown["revocation_endpoint"], user.sandbox.revocation_endpoint());
    assert_eq!(shown["scope"], "read write offline_access");
}

#[test]
fn a_login_on_another_device_shows_address_and_code_and_is_saved() {
    let user = User::new(config());
    let ran = by_device(&user, login(&user), true).exits(0);
    assert!(ran.out.starts_with("Logged in as \"default\", good for http"), "{ran:?}");
    assert!(ran.err.contains("enter this code"), "{ran:?}");
    user.call().exits(0);
}

#[test]
fn endpoints_can_be_named_by_hand() {
    let user = User::new(config());
    let mut command = user.command();
    command.args(["login", "--token-endpoint", user.sandbox.token_endpoint()]);
    command.args(["--device-endpoint", user.sandbox.device_authorization_endpoint()]);
    command.args(["--client-id", "sandbox-client", "--api", user.api()]);
    by_device(&user, command, true).exits(0);
    user.call().exits(0);
}

#[test]
fn the_url_of_an_api_is_enough() {
    let apis = vec![ApiConfig::named("api").resource_metadata()];
    let user = User::new(Config { apis, ..config() });
    let url = format!("{}/mcp", user.api());
    let mut command = user.command();
    command.args(["login", "--resource", &url, "--client-id", "sandbox-client", "--json"]);
    let said = by_browser(command).exits(0).json();
    assert_eq!(said["origins"], json!([user.api()]));
    user.run(["call", &url]).exits(0);
    let shown = user.run(["client", "show", "--json"]).exits(0).json();
    assert_eq!(shown["resource"], json!([url]));
}

#[test]
fn a_program_logs_in_as_itself_and_asks_again_when_the_token_is_rejected() {
    let user = User::new(Config { client_secret: Some("hush".to_owned()), ..config() });
    let secret = user.home().join("secret");
    fs::write(&secret, "hush\n").unwrap();
    let mut command = login(&user);
    command.arg("--client-credentials").arg("--client-secret-file").arg(&secret);
    let ran = Ran::from(command.output().unwrap()).exits(0);
    assert_eq!(ran.err.matches("refresh token").count(), 0, "{ran:?}");
    user.call().exits(0);
    user.sandbox.expire_access_tokens();
    user.call().exits(0);
    assert_eq!(
        user.run(["client", "show", "--json"]).exits(0).json()["renewal"],
        "client_credentials"
    );

    fs::write(&secret, "wrong\n").unwrap();
    let mut command = login(&user);
    command.args(["--client-credentials", "--json", "--client-secret-file"]).arg(&secret);
    let error = Ran::from(command.output().unwrap()).exits(7).error();
    assert_eq!(error["server_code"], "invalid_client");
    user.call().exits(0);
}

#[test]
fn without_a_terminal_no_browser_is_opened_and_nothing_is_asked() {
    let user = User::new(config());
    let ran = Ran::from(login(&user).output().unwrap()).exits(2);
    assert!(ran.err.contains("no prompt and no browser without a terminal"), "{ran:?}");
    assert!(ran.err.contains("--device") && ran.err.contains("--no-browser"), "{ran:?}");
    assert!(files(user.home()).is_empty());
}

#[test]
fn a_denied_login_is_3_and_leaves_the_one_before() {
    let user = User::logged_in(Config { login: Consent::Deny, ..config() });
    let mut command = login(&user);
    command.arg("--json");
    assert_eq!(by_browser(command).exits(3).error()["code"], "access_denied");
    let mut command = login(&user);
    command.arg("--json");
    assert_eq!(by_device(&user, command, false).exits(3).error()["code"], "access_denied");
    assert_eq!(user.status()["generation"], 1);
    user.call().exits(0);
}

#[test]
fn a_code_that_expires_is_4() {
    let user = User::new(Config { device_code_ttl_ms: 1_000, ..config() });
    let mut command = login(&user);
    command.args(["--device", "--json"]);
    let error = Ran::from(command.output().unwrap()).exits(4).error();
    assert_eq!(error["code"], "login_timed_out");
    assert!(files(user.home()).is_empty());
}

#[test]
fn an_unknown_client_is_7() {
    let user = User::new(config());
    let mut command = user.command();
    command.args(["login", "--issuer", user.sandbox.issuer_url(), "--client-id", "nobody"]);
    command.args(["--api", user.api(), "--device", "--json"]);
    let error = Ran::from(command.output().unwrap()).exits(7).error();
    assert_eq!(error["server_code"], "invalid_client");
}

#[test]
fn a_login_takes_the_place_of_any_other() {
    for ruin in [logged_out, refused, damaged, with_another_key] {
        let user = User::logged_in_on(Kind::Folder, config());
        ruin(&user);
        by_browser(login(&user)).exits(0);
        user.call().exits(0);
        assert_eq!(user.status()["state"], "Valid");
    }
}

fn logged_out(user: &User) {
    user.run(["logout"]).exits(0);
}

fn refused(user: &User) {
    user.sandbox.revoke_all();
    user.call().exits(3);
}

fn damaged(user: &User) {
    fs::write(user.record(), "nonsense").unwrap();
    user.run(["status"]).exits(6);
}

fn with_another_key(user: &User) {
    fs::write(user.key_file(), [7; 32]).unwrap();
    user.run(["status"]).exits(6);
}

#[test]
fn a_key_that_does_not_open_the_store_is_told_before_anybody_logs_in() {
    // A mistyped passphrase, which is never taken for a new one.
    let user = User::new(config());
    let by = |passphrase: &str| {
        let mut command = user.handed(passphrase);
        command.args(["--key", "passphrase-fd:3"]);
        command
    };
    user.import_by(by("first")).exits(0);
    let asked = user.stats().authorization_requests;
    let login = |mut command: Command, account: &str| -> Ran {
        command.args(["login", "--issuer", user.sandbox.issuer_url(), "--account", account]);
        command.args(["--client-id", "sandbox-client", "--api", user.api(), "--device", "--json"]);
        command.output().unwrap().into()
    };
    for account in ["default", "another"] {
        assert_eq!(login(by("frist"), account).exits(6).error()["code"], "wrong_key");
    }
    // A key file that is gone, of a store that another account needs it for.
    let other = User::logged_in_on(Kind::Folder, config());
    fs::remove_file(other.key_file()).unwrap();
    let error = login(other.command(), "another").exits(6).error();
    assert_eq!(error["code"], "key_missing");
    let device = |user: &User| user.stats().device_authorization_requests;
    assert_eq!((device(&user), device(&other)), (0, 0));
    assert_eq!(user.stats().authorization_requests, asked);
}

#[test]
fn what_could_not_be_saved_is_told_before_anybody_logs_in() {
    let user = User::logged_in_on(Kind::Folder, config());
    fs::remove_file(user.key_file()).unwrap();
    let mut command = login(&user);
    command.args(["--no-browser", "--json"]);
    let ran = Ran::from(command.output().unwrap()).exits(6);
    assert_eq!(ran.error()["code"], "key_missing");
    assert_eq!(ran.err, "");
}

/// What a shell starts in the background ignores Ctrl-C, and so do the children of it (POSIX, "Shell
/// Command Language", 2.11). Where this process does, it catches the signal from now on: what is
/// caught is not inherited, so its children are again as those of a terminal. It stays as deaf as
/// it was itself.
#[cfg(unix)]
fn children_hear_interrupts() {
    use tokio::signal::unix::{SignalKind, signal};
    let interrupt = SignalKind::interrupt();
    // Where nobody tells which signals are ignored, none is taken to be.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.map_or(0, |mask| u64::from_str_radix(mask.trim(), 16).unwrap());
    if ignored & (1 << (interrupt.as_raw_value() - 1)) != 0 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        runtime.block_on(async { signal(interrupt).map(drop) }).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_login_ends_at_once_and_saves_nothing() {
    use rustix::process::Signal;
    use std::os::unix::process::ExitStatusExt as _;
    children_hear_interrupts();
    let user = User::new(config());
    for way in ["--device", "--no-browser"] {
        let mut command = login(&user);
        command.arg(way);
        let mut running = Running::start(command);
        running.shown("http");
        running.signal(Signal::INT);
        let status = running.ended();
        assert_eq!(status.signal(), Some(Signal::INT.as_raw()), "{way}: {status:?}");
        assert!(files(user.home()).is_empty());
    }
}

/// A server that answers every request with this JSON, and its origin.
fn server(answer: impl Fn(&str) -> Value + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let own = origin.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = BufReader::new(stream.try_clone().unwrap()).lines();
            while head.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let body = answer(&own).to_string();
            let length = body.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
            );
            let _ = stream.write_all((head + &body).as_bytes());
        }
    });
    origin
}

fn login_at(user: &User, option: &str, url: &str) -> Ran {
    let mut command = user.command();
    command.args(["login", option, url, "--client-id", "x", "--api", user.api()]);
    command.args(["--device", "--json"]).output().unwrap().into()
}

#[test]
fn metadata_that_is_hostile_or_wrong_is_1_with_a_code_of_its_own() {
    let user = User::new(config());
    let other = server(
        |_| json!({ "issuer": "https://other.example", "token_endpoint": "https://x.example" }),
    );
    let hidden = server(|own| json!({ "issuer": own, "token_endpoint": "ftp://x.example/" }));
    let bare = server(|own| json!({ "issuer": own }));
    let unable = server(|own| json!({ "issuer": own, "token_endpoint": format!("{own}/t") }));
    let private = "https://10.1.2.3";
    for (option, url, code) in [
        ("--issuer", &*other, "issuer_mismatch"),
        ("--issuer", &*hidden, "endpoint_refused"),
        ("--issuer", &*bare, "metadata_malformed"),
        ("--issuer", &*unable, "login_unsupported"),
        ("--issuer", private, "address_refused"),
        ("--resource", private, "address_refused"),
        ("--resource", &*bare, "metadata_malformed"),
    ] {
        let error = login_at(&user, option, url).exits(1).error();
        assert_eq!(error["code"], code, "{error}");
        assert!(!error["remedy"].as_str().unwrap().is_empty());
        user.run(["explain", code]).exits(0);
    }
    let error = login_at(&user, "--issuer", "http://as.example").exits(2).error();
    assert_eq!(error["code"], "usage");
    assert!(files(user.home()).is_empty());
}

#[test]
fn of_several_authorization_servers_the_user_picks_one() {
    let user = User::new(config());
    let issuer = user.sandbox.issuer_url().to_owned();
    let named = issuer.clone();
    let api = server(
        move |own| json!({ "resource": own, "authorization_servers": [named, "http://127.0.0.1:1"] }),
    );
    let error = login_at(&user, "--resource", &api).exits(2).error();
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(&issuer) && message.contains("127.0.0.1:1"), "{message}");
    assert!(error["remedy"].as_str().unwrap().contains("--issuer"), "{error}");

    let mut command = user.command();
    command.args(["login", "--resource", &api, "--issuer", &issuer, "--no-browser"]);
    command.args(["--client-id", "sandbox-client"]);
    let mut running = Running::start(command);
    assert!(running.shown("http").starts_with(user.sandbox.authorization_endpoint()));
    running.child.kill().unwrap();
    running.child.wait().unwrap();
}

#[test]
fn a_server_that_is_away_is_4() {
    let user = User::new(config());
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = login_at(&user, "--issuer", &format!("http://{closed}")).exits(4).error();
    assert_eq!(error["code"], "server_unreachable");
}

#[test]
fn a_command_line_that_says_too_little_or_too_much_is_2() {
    let user = User::new(config());
    let issuer = user.sandbox.issuer_url();
    for wrong in [
        &["--client-id", "x", "--api", "https://api.example"][..],
        &["--issuer", issuer, "--api", "https://api.example"],
        &["--issuer", issuer, "--client-id", "x"],
        &["--issuer", issuer, "--client-id", "x", "--api", "nonsense", "--device"],
        &["--issuer", issuer, "--client-id", "", "--api", "https://api.example", "--device"],
        &[
            "--issuer",
            issuer,
            "--client-id",
            "x",
            "--api",
            "https://a.example",
            "--device",
            "--port",
            "1",
        ],
        &[
            "--issuer",
            issuer,
            "--client-id",
            "x",
            "--api",
            "https://a.example",
            "--device",
            "--auth",
            "basic",
        ],
        &[
            "--issuer",
            issuer,
            "--client-id",
            "x",
            "--api",
            "https://a.example",
            "--device",
            "--parameter",
            "x",
        ],
        &[
            "--issuer",
            issuer,
            "--client-id",
            "x",
            "--api",
            "https://a.example",
            "--device",
            "--parameter",
            "state=x",
        ],
        &[
            "--token-endpoint",
            "ftp://x",
            "--client-id",
            "x",
            "--api",
            "https://a.example",
            "--device",
        ],
    ] {
        let mut command = user.command();
        command.arg("login").args(wrong);
        Ran::from(command.output().unwrap()).exits(2);
    }
    assert_eq!(user.requests(), (0, 0));
    assert!(files(user.home()).is_empty());
}
