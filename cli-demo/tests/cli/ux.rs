//! What people are told, and what they can always do.

use std::fs;
use std::process::Command;

use regrant_sandbox::{ApiConfig, Config, Demand, Endpoint, Fault};
use serde_json::{Value, json};

use crate::damage::unusable;
use crate::support::*;

on_every_store! {
    ux_02_login_logout_gated_on_token,
}

/// What went wrong, as it was told.
#[derive(Debug)]
struct Told {
    what: &'static str,
    exit: i32,
    code: String,
    reason: String,
    message: String,
    remedy: String,
}

impl Told {
    fn of(what: &'static str, ran: &Ran) -> Self {
        let error = ran.error();
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        let (code, reason) = (text("code"), text("reason"));
        Self {
            what,
            exit: ran.code,
            code,
            reason,
            message: text("message"),
            remedy: text("remedy"),
        }
    }

    fn speaks_of_a_login(&self) -> bool {
        let all = format!("{} {}", self.message, self.remedy).to_lowercase();
        ["log in", "regrant login", "login needed"].iter().any(|text| all.contains(text))
    }
}

/// Somebody whose token is rejected, so that a new one is needed.
fn rejected() -> User {
    let user = User::logged_in(Config::default());
    user.sandbox.expire_access_tokens();
    user
}

fn call(what: &'static str, user: &User) -> Told {
    let mut command = user.command();
    // A proxy would answer in the place of the network.
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]
    {
        command.env_remove(name);
    }
    Told::of(what, &command.args(["call", user.api(), "--json"]).output().unwrap().into())
}

fn at_endpoint(what: &'static str, endpoint: impl FnOnce(&User) -> String) -> Told {
    let user = rejected();
    let endpoint = endpoint(&user);
    user.run(["client", "set", "--token-endpoint", &endpoint]).exits(0);
    call(what, &user)
}

fn with_fault(what: &'static str, spelling: &str) -> Told {
    let user = rejected();
    user.sandbox.always(Endpoint::Token, Some(spelling.parse().unwrap()));
    call(what, &user)
}

#[cfg(unix)]
fn locked() -> Told {
    use rustix::fs::{FlockOperation, fcntl_lock};
    let user = rejected();
    let file = fs::OpenOptions::new().read(true).write(true).open(user.database()).unwrap();
    // On all bytes of the file it is one on SQLite's own.
    fcntl_lock(&file, FlockOperation::LockExclusive).unwrap();
    call("store locked", &user)
}

#[cfg(unix)]
#[test]
fn ux_01_wrong_diagnosis_no_remedy() {
    let corrupt = rejected();
    fs::write(corrupt.database(), "nonsense".repeat(200)).unwrap();
    let undecryptable = rejected();
    fs::write(undecryptable.key_file(), [7; 32]).unwrap();
    // Each of these tries for a while, so they do it together.
    let [offline, dns, tls] = std::thread::scope(|scope| {
        let offline = |_: &User| "http://127.0.0.1:1/token".to_owned();
        let dns = |_: &User| "https://nowhere.invalid/token".to_owned();
        // What listens there speaks no TLS.
        let tls = |user: &User| user.sandbox.token_endpoint().replacen("http:", "https:", 1);
        let tries = [
            scope.spawn(move || at_endpoint("offline", offline)),
            scope.spawn(move || at_endpoint("DNS", dns)),
            scope.spawn(move || at_endpoint("TLS", tls)),
        ];
        tries.map(|told| told.join().unwrap())
    });
    let all = [
        (offline, 4, "unreachable"),
        (dns, 4, "name_unresolved"),
        (tls, 4, "tls_failed"),
        (with_fault("5xx", "503:3600"), 4, "unavailable"),
        (with_fault("429", "429:3600"), 4, "rate_limited"),
        (locked(), 6, "store_locked"),
        (call("corrupt", &corrupt), 6, "store_corrupt"),
        (call("undecryptable", &undecryptable), 6, "wrong_key"),
        (with_fault("invalid_grant", "invalid_grant"), 3, "refused"),
        (with_fault("reuse", "error:refresh_token_reused"), 3, "reuse_detected"),
        (with_fault("client config", "invalid_client"), 7, "client_misconfigured"),
    ];
    for (told, exit, reason) in &all {
        assert_eq!((told.exit, &*told.reason), (*exit, *reason), "{told:#?}");
        assert!(!told.message.is_empty() && !told.remedy.is_empty(), "{told:#?}");
        // A damaged store, or one whose key is another, is mended by a login too.
        let mended = *exit == 3 || ["store_corrupt", "wrong_key"].contains(&&*told.code);
        assert_eq!(told.speaks_of_a_login(), mended, "{told:#?}");
    }
    for (at, (one, ..)) in all.iter().enumerate() {
        for (other, ..) in &all[at + 1..] {
            let both = format!("{} and {}", one.what, other.what);
            assert_ne!(one.reason, other.reason, "{both}");
            assert_ne!(one.message, other.message, "{both}");
            assert_ne!(one.remedy, other.remedy, "{both}");
        }
    }
}

#[test]
fn ux_01_b_a_missing_scope_is_told_as_one() {
    let demand = Demand::Scope { scope: "admin".to_owned() };
    let apis = vec![ApiConfig::named("api").demand(demand)];
    let user = User::logged_in(Config { apis, ..Config::default() });
    let ran = user.run(["call", user.api(), "-f", "--json"]).exits(22);
    assert_eq!(ran.json()["scope_missing"], json!(["admin"]));
    let ran = user.call().exits(0);
    assert!(ran.err.contains("--scope \"read write admin\""), "{ran:?}");
    assert!(!ran.err.contains("expired") && !ran.err.contains("login needed"), "{ran:?}");
    assert_eq!(user.stats().token_requests, 0);
}

/// What a newer release wrote.
const NEWER: &str = "newer";

/// A way to spoil a login or its store. The first member says which.
type Ruin = (&'static str, Box<dyn Fn(&User)>);

fn ruins(kind: Kind) -> Vec<Ruin> {
    let mut ruins: Vec<Ruin> = vec![
        ("expired", Box::new(|user| user.sandbox.expire_access_tokens())),
        (
            "revoked",
            Box::new(|user| {
                user.sandbox.revoke_all();
                user.call().exits(3);
            }),
        ),
        ("undecryptable", Box::new(|user| fs::write(user.key_file(), [7; 32]).unwrap())),
    ];
    let whole = fs::read(User::logged_in_on(kind, Config::default()).record()).unwrap();
    for (name, _, bytes) in unusable(kind, &whole) {
        if kind == Kind::Sqlite && name == NEWER {
            continue;
        }
        ruins.push((name, Box::new(move |user| fs::write(user.record(), &bytes).unwrap())));
    }
    ruins
}

/// With a dead token, or a store that nobody can read, a login and a logout work all the same.
fn ux_02_login_logout_gated_on_token(kind: Kind) {
    for (name, ruin) in ruins(kind) {
        let user = User::logged_in_on(kind, Config::default());
        ruin(&user);
        user.sandbox.reset_stats();
        let ran = user.import();
        assert_eq!(ran.code, 0, "{name}: {ran:#?}");
        assert_eq!(user.requests(), (0, 0), "{name}: a login asks nobody");
        assert_eq!(user.status()["state"], "Valid", "{name}");
        user.call().exits(0);

        let user = User::logged_in_on(kind, Config::default());
        ruin(&user);
        user.sandbox.reset_stats();
        let ran = user.run(["logout", "--json"]);
        assert_eq!(ran.code, 0, "{name}: {ran:#?}");
        assert_eq!(ran.json()["logged_out"], true, "{name}");
        assert_eq!(user.requests(), (0, 0), "{name}");
        let error = user.run(["call", user.api(), "--json"]).exits(3).error();
        assert_eq!(error["reason"], "logged_out", "{name}");
        assert_eq!(user.status()["has_refresh_token"], false, "{name}");
    }
    // Where there is no store to be had, both say so.
    let user = User::on(kind, Config::default());
    let place = if kind == Kind::Sqlite { user.database() } else { user.folder() };
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    match kind {
        Kind::Sqlite => fs::create_dir(&place).unwrap(),
        Kind::Folder => fs::write(&place, "").unwrap(),
    }
    let ran = user.import().exits(6);
    assert!(ran.err.contains("store_"), "{ran:?}");
    let error = user.run(["logout", "--json"]).exits(6).error();
    assert!(error["code"].as_str().unwrap().starts_with("store_"), "{error}");
    assert_eq!(user.requests(), (0, 0));
}

/// A whole database of a newer release is nobody's to replace: the release may be at work there, with
/// other accounts. Both say so, and leave it as it is.
#[test]
fn ux_02_b_a_database_of_a_newer_release_is_named_and_left_alone() {
    let user = User::logged_in(Config::default());
    let whole = fs::read(user.database()).unwrap();
    let newer = unusable(Kind::Sqlite, &whole).into_iter().find(|(name, ..)| *name == NEWER);
    let (_, code, bytes) = newer.unwrap();
    fs::write(user.database(), &bytes).unwrap();
    let ran = user.import().exits(6);
    assert!(ran.err.contains(code) && ran.err.contains("--store"), "{ran:?}");
    assert_eq!(user.run(["logout", "--json"]).exits(6).error()["code"], code);
    assert_eq!(fs::read(user.database()).unwrap(), bytes);
    assert_eq!(user.requests(), (0, 0));
    // The newer release finds all of it.
    fs::write(user.database(), whole).unwrap();
    user.call().exits(0);
}

/// A save that the system confirms and does not make.
#[cfg(target_os = "linux")]
#[test]
fn ux_03_login_ok_but_wrong_source_wins() {
    if !has_parts("a save that does not stick", &[STRACE]) {
        return;
    }
    let calls = "rename,renameat,renameat2,link,linkat";
    let (trace, inject) = (format!("trace={calls}"), format!("inject={calls}:retval=0"));
    let import = |user: &User| -> Ran {
        let traced = traced(user, &[&trace, &inject]);
        with_input(user.importing_by(traced), &user.sandbox.issue().to_string())
    };
    let user = User::on(Kind::Folder, Config::default());
    let ran = import(&user).exits(6);
    assert!(ran.out.is_empty(), "{ran:?}");
    assert_eq!(user.status()["reason"], "not_logged_in");

    // Over a login, too, which is left as it is.
    let user = User::logged_in_on(Kind::Folder, Config::default());
    let before = user.status();
    let ran = import(&user).exits(6);
    assert!(ran.err.contains("grant_unsaved") && ran.out.is_empty(), "{ran:?}");
    assert_eq!(user.status()["fingerprint"], before["fingerprint"]);
    user.call().exits(0);
}

/// Which store, which key and which account: what the next command takes is what is named.
#[test]
fn ux_03_b_status_names_where_it_looks() {
    let user = User::new(Config::default());
    let named = format!("file:{}", user.home().join("elsewhere").display());
    let mut import = user.importing();
    import.args(["--store", &named, "--account", "work"]);
    let imported = with_input(import, &user.sandbox.issue().to_string()).exits(0);
    assert!(imported.out.contains("Imported \"work\""), "{imported:?}");
    let looked = |store: Option<&str>, account: Option<&str>| -> Value {
        let mut command = user.command();
        if let Some(store) = store {
            command.env("REGRANT_STORE", store);
        }
        if let Some(account) = account {
            command.env("REGRANT_ACCOUNT", account);
        }
        let ran: Ran = command.args(["status", "--json"]).output().unwrap().into();
        ran.exits(0).json()
    };
    let here = looked(None, None);
    assert_eq!((&here["reason"], &here["account"]), (&json!("not_logged_in"), &json!("default")));
    assert!(here["store"].as_str().unwrap().starts_with("sqlite:"), "{here}");
    let there = looked(Some(&named), None);
    assert_eq!((&there["reason"], &there["account"]), (&json!("not_logged_in"), &json!("default")));
    let found = looked(Some(&named), Some("work"));
    assert_eq!((&found["state"], &found["account"]), (&json!("Valid"), &json!("work")));
    assert!(found["store"].as_str().unwrap().ends_with("elsewhere"), "{found}");
    assert!(found["key_source"].is_string(), "{found}");
}

/// Two logins of one account, in two stores: each command takes the one of the store that it names,
/// and an option counts before the environment.
#[test]
fn ux_03_d_an_older_login_elsewhere_is_not_taken_in_place_of_the_new_one() {
    let user = User::new(Config::default());
    let stores =
        ["older", "newer"].map(|name| format!("file:{}", user.home().join(name).display()));
    let [older, newer] = stores.each_ref().map(String::as_str);
    let in_environment = |store: &str| {
        let mut command = user.command();
        command.env("REGRANT_STORE", store);
        command
    };
    let mut issued = Vec::new();
    for store in [older, newer] {
        let grant = user.sandbox.issue();
        with_input(user.importing_by(in_environment(store)), &grant.to_string()).exits(0);
        issued.push(grant["access_token"].as_str().unwrap().to_owned());
    }
    let token = |mut command: Command| Ran::from(command.arg("token").output().unwrap()).exits(0);
    assert_eq!(token(in_environment(older)).out.trim_end(), issued[0]);
    assert_eq!(token(in_environment(newer)).out.trim_end(), issued[1]);
    let mut named = in_environment(older);
    named.args(["--store", newer]);
    assert_eq!(token(named).out.trim_end(), issued[1]);
    let mut named = in_environment(older);
    let status = Ran::from(named.args(["status", "--json", "--store", newer]).output().unwrap());
    let status = status.exits(0).json();
    assert!(status["store"].as_str().unwrap().ends_with("newer"), "{status}");
    // Where nothing is named there is neither.
    assert_eq!(user.status()["reason"], "not_logged_in");
}

/// Without a terminal nothing is opened and nothing is asked: the exit code says what is needed.
#[cfg(unix)]
#[test]
fn ux_04_headless_needs_login() {
    use std::os::unix::fs::PermissionsExt as _;
    let user = User::logged_in(Config::default());
    let (browser, opened) = (user.home().join("browser"), user.home().join("opened"));
    fs::write(&browser, format!("#!/bin/sh\n: > '{}'\n", opened.display())).unwrap();
    fs::set_permissions(&browser, fs::Permissions::from_mode(0o700)).unwrap();
    let headless = |arguments: &[&str]| -> Ran {
        let mut command: Command = user.command();
        command.env("BROWSER", &browser).args(arguments).output().unwrap().into()
    };
    let interactions = || {
        let stats = user.stats();
        (stats.authorization_requests, stats.device_authorization_requests, stats.codes_issued)
    };

    user.sandbox.expire_access_tokens();
    user.sandbox.inject(Fault::ServerError);
    user.sandbox.always(Endpoint::Token, Some("503:3600".parse().unwrap()));
    let ran = headless(&["call", user.api()]).exits(4);
    assert!(!ran.err.contains("http"), "no URL to go to: {ran:?}");
    assert_eq!(interactions(), (0, 0, 0));
    user.sandbox.clear_faults();

    user.import().exits(0);
    user.sandbox.revoke_all();
    user.sandbox.reset_stats();
    let calls: Vec<_> = (0..10).map(|_| user.start(["call", user.api(), "--json"])).collect();
    for call in calls {
        let error = finished(call).exits(3).error();
        assert_eq!((&error["code"], &error["reason"]), (&json!("needs_login"), &json!("refused")));
    }
    assert_eq!(user.stats().token_requests, 1);
    for arguments in [&["call", user.api()][..], &["token"], &["status"]] {
        headless(arguments);
    }
    assert_eq!(user.stats().token_requests, 1);
    assert_eq!(interactions(), (0, 0, 0));
    assert!(!opened.exists());
}
