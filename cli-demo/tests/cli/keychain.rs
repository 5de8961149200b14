//! Stores whose key is in a real keychain: a Secret Service on a bus of its own.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use regrant_sandbox::Config;
use serde_json::json;
use tempfile::TempDir;
use zbus::blocking::{connection, fdo::DBusProxy};

use crate::support::*;

/// What no step of a test takes unless something is wrong.
const LONG: Duration = Duration::from_secs(60);

/// The name under which a keychain is found.
const SECRETS: &str = "org.freedesktop.secrets";

/// The programs, each with the Debian package that brings it.
const PROGRAMS: [(&str, &str); 2] =
    [("/usr/bin/dbus-daemon", "dbus"), ("/usr/bin/gnome-keyring-daemon", "gnome-keyring")];

/// A bus, and a keychain on it. Both end when it is dropped.
struct Session {
    folder: TempDir,
    keychain: Option<Running>,
    _bus: Running,
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Session {
    /// With a keychain that is unlocked. Nothing, and a word about it, if the programs are not
    /// there.
    fn start() -> Option<Self> {
        if !has_parts("a test with a real keychain", &PROGRAMS) {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("bus.conf");
        fs::write(
            &config,
            format!(
                "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" \
                 \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n\
                 <busconfig><type>session</type><listen>{}</listen><auth>EXTERNAL</auth>\
                 <policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>\
                 <allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>",
                address(folder.path()),
            ),
        )
        .unwrap();
        let mut bus = Command::new(PROGRAMS[0].0);
        bus.args(["--nofork", "--nopidfile", "--print-address"]);
        bus.arg(format!("--config-file={}", config.display()));
        let bus = bus.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut bus = Running(bus.unwrap());
        // It prints its address when it can be reached.
        let (tell, told) = mpsc::channel();
        let output = bus.0.stdout.take().unwrap();
        std::thread::spawn(move || tell.send(BufReader::new(output).lines().next()));
        told.recv_timeout(LONG).unwrap().unwrap().unwrap();
        let mut session = Self { folder, keychain: None, _bus: bus };
        session.start_keychain("the password");
        Some(session)
    }

    /// The first password makes a collection; with another one it stays locked.
    fn start_keychain(&mut self, password: &str) {
        self.keychain = None;
        let home = self.folder.path();
        let mut daemon = Command::new(PROGRAMS[1].0);
        daemon.args(["--foreground", "--components=secrets", "--unlock"]);
        daemon.env("HOME", home).env("XDG_RUNTIME_DIR", home);
        for name in ["XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "DISPLAY"] {
            daemon.env_remove(name);
        }
        daemon.env("DBUS_SESSION_BUS_ADDRESS", address(home));
        daemon.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut daemon = Running(daemon.spawn().unwrap());
        // Without a newline, which would be part of the password.
        daemon.0.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
        self.keychain = Some(daemon);
        self.until_there();
    }

    fn stop_keychain(&mut self) {
        self.keychain = None;
    }

    /// Waits until the keychain can be found.
    fn until_there(&self) {
        let address = address(self.folder.path());
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            let connection = connection::Builder::address(address.as_str()).unwrap();
            let connection = connection.build().unwrap();
            let bus = DBusProxy::new(&connection).unwrap();
            let changes = bus.receive_name_owner_changed_with_args(&[(0, SECRETS)]).unwrap();
            if !bus.name_has_owner(SECRETS.try_into().unwrap()).unwrap() {
                changes.map(|change| change.args().unwrap().new_owner().is_some()).find(|is| *is);
            }
            let _ = tell.send(());
        });
        told.recv_timeout(LONG).unwrap();
    }

    /// The command of this user, in this session.
    fn command(&self, user: &User, arguments: &[&str]) -> Command {
        let mut command = user.command();
        command.env("DBUS_SESSION_BUS_ADDRESS", address(self.folder.path())).args(arguments);
        command
    }

    fn run(&self, user: &User, arguments: &[&str]) -> Ran {
        self.command(user, arguments).output().unwrap().into()
    }
}

fn address(folder: &Path) -> String {
    format!("unix:path={}", folder.join("bus").display())
}

on_every_store! {
    the_keychain_keeps_the_key_where_it_can_be_used_and_is_missed_where_it_is_gone,
}

fn the_keychain_keeps_the_key_where_it_can_be_used_and_is_missed_where_it_is_gone(kind: Kind) {
    let Some(mut session) = Session::start() else { return };
    let user = User::on(kind, Config::default());
    user.import_by(session.command(&user, &[])).exits(0);
    let status = session.run(&user, &["status", "--json"]).exits(0).json();
    assert_eq!(
        (&status["key_source"], &status["protection"]),
        (&json!("keychain"), &json!("os-keychain"))
    );
    assert!(!user.home().join("config").exists(), "there is no key file");

    user.sandbox.reset_stats();
    user.sandbox.expire_access_tokens();
    let calls: Vec<_> =
        (0..4).map(|_| session.command(&user, &["call", user.api()]).spawn().unwrap()).collect();
    for call in calls {
        finished(call).exits(0);
    }
    assert_eq!(user.stats().token_requests, 1);
    let ran = session.run(&user, &["key", "rekey"]).exits(0);
    assert!(ran.err.contains("former key in the keychain"), "{ran:?}");
    session.run(&user, &["call", user.api()]).exits(0);
    assert_eq!(session.run(&user, &["key", "show", "--json"]).exits(0).json()["present"], true);

    let requests = user.requests();
    let missed = |session: &Session, code: &str| {
        for arguments in [&["call", user.api()][..], &["status"], &["token"]] {
            let ran = session.run(&user, &[arguments, &["--json"]].concat()).exits(6);
            let error = ran.error();
            assert_eq!((&error["code"], &error["key_source"]), (&json!(code), &json!("keychain")));
            assert!(error["remedy"].as_str().unwrap().contains("keychain"), "{error}");
            assert!(!ran.out.to_lowercase().contains("log in"), "{ran:?}");
        }
        session.run(&user, &["doctor", "--offline"]).exits(6);
    };
    session.stop_keychain();
    missed(&session, "store_unavailable");
    // No bus at all.
    assert_eq!(user.run(["status", "--json"]).exits(6).error()["code"], "store_unavailable");
    session.start_keychain("another password");
    missed(&session, "store_locked");
    assert_eq!(user.requests(), requests);

    session.start_keychain("the password");
    session.run(&user, &["call", user.api()]).exits(0);
}

/// Eight processes on one token that has ended, each of which gets the key from the keychain.
#[test]
fn cx_01_b_processes_that_have_their_key_from_the_keychain_make_one_token_request() {
    let Some(session) = Session::start() else { return };
    let user = User::new(Config { token_latency_ms: 200, ..Config::default() });
    let store = format!("keyring:{}", user.home().join("ring").display());
    user.import_by(session.command(&user, &["--store", &store])).exits(0);
    user.sandbox.reset_stats();
    user.sandbox.expire_access_tokens();
    let call = ["call", user.api(), "--store", &store, "--json"];
    let calls: Vec<_> = (0..8).map(|_| session.command(&user, &call).spawn().unwrap()).collect();
    for call in calls {
        let summary = finished(call).exits(0).json();
        assert_eq!(summary["responses"], json!({ "200": 1 }));
    }
    let stats = user.stats();
    assert_eq!((stats.token_requests, stats.reuse_detected, stats.live_families), (1, 0, 1));
    let status = session.run(&user, &["status", "--store", &store, "--json"]).exits(0).json();
    assert_eq!((&status["generation"], &status["key_source"]), (&json!(2), &json!("keychain")));
}

#[test]
fn a_store_of_the_keychain_lies_in_a_folder_and_moves_to_a_key_file_and_back() {
    let Some(session) = Session::start() else { return };
    let user = User::new(Config::default());
    let folder = user.home().join("ring");
    let store = format!("keyring:{}", folder.display());
    let in_store = ["--store", store.as_str()];
    user.import_by(session.command(&user, &in_store)).exits(0);
    let run = |arguments: &[&str]| session.run(&user, &[arguments, &in_store].concat());
    run(&["call", user.api()]).exits(0);
    let status = run(&["status", "--json"]).exits(0).json();
    assert_eq!(status["store"], format!("keyring:{}", folder.canonicalize().unwrap().display()));
    assert_eq!(status["protection"], "os-keychain");

    // The same folder by another name.
    let file = format!("file:{}", folder.display());
    let in_file = |arguments: &[&str]| -> Ran {
        session.run(&user, &[arguments, &["--store", &file]].concat())
    };
    in_file(&["token"]).exits(0);
    let key = format!("file:{}", user.home().join("moved.key").display());
    in_file(&["key", "rekey", "--to", &key]).exits(0);
    user.run(["token", "--store", &file]).exits(0);
    let error = run(&["token", "--json"]).exits(6).error();
    assert_eq!(error["code"], "wrong_key_source");
    let ran = in_file(&["key", "rekey", "--to", "keychain"]).exits(0);
    assert!(ran.err.contains("moved.key"), "{ran:?}");
    run(&["token"]).exits(0);
}
