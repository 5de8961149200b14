//! Other machines: one that a login was copied to, and one in another part of the world.

#[cfg(target_os = "linux")]
use std::{fs, process::Command};

use regrant_sandbox::Config;

use crate::support::*;

/// What gives a process a machine's name of its own, with the Debian package that brings it.
#[cfg(target_os = "linux")]
const UNSHARE: (&str, &str) = ("/usr/bin/unshare", "util-linux");

/// The command on a machine that is called otherwise.
#[cfg(target_os = "linux")]
fn elsewhere(user: &User) -> Command {
    let mut command = Command::new(UNSHARE.0);
    user.at_home(&mut command);
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    let script = "hostname elsewhere && exec \"$0\" \"$@\"";
    command.args(["--uts", "sh", "-c", script, env!("CARGO_BIN_EXE_regrant")]);
    command
}

/// A home that is copied to another machine, to the same place there.
#[cfg(target_os = "linux")]
#[test]
fn cx_06_c_the_copy_that_comes_late_says_what_it_is_and_wipes_nothing() {
    let what = "a login on two machines";
    if !has_parts(what, &[UNSHARE]) {
        return;
    }
    // A spent refresh token is refused, and the login goes on elsewhere.
    let user = User::logged_in(Config { reuse_detection: false, ..Config::default() });
    let named = elsewhere(&user).arg("--version").status();
    if !named.is_ok_and(|status| status.success()) {
        return left_out(what, "the right to name a machine");
    }
    let away = tempfile::tempdir().unwrap();
    let (copy, original) = (away.path().join("copy"), away.path().join("original"));
    let copied = Command::new("cp").arg("-a").args([user.home(), &copy]).status();
    assert!(copied.unwrap().success());
    user.sandbox.expire_access_tokens();
    user.call().exits(0);

    fs::rename(user.home(), &original).unwrap();
    fs::rename(&copy, user.home()).unwrap();
    let run =
        |arguments: &[&str]| -> Ran { elsewhere(&user).args(arguments).output().unwrap().into() };
    let before = run(&["status", "--json"]).exits(0).json();
    for _ in 0..3 {
        let error = run(&["call", user.api(), "--json"]).exits(3).error();
        assert_eq!(
            (&error["code"], &error["reason"]),
            (&"needs_login".into(), &"lineage_forked".into())
        );
        assert!(error["message"].as_str().unwrap().contains("another host"), "{error}");
        assert!(error["remedy"].as_str().unwrap().contains("each host separately"), "{error}");
    }
    assert_eq!(user.stats().token_requests, 2, "one of each machine");
    let after = run(&["status", "--json"]).exits(0).json();
    assert_eq!(after["reason"], "lineage_forked");
    assert!(after["refresh_fingerprint"].is_string(), "it was wiped: {after}");
    assert_eq!(before["refresh_fingerprint"], after["refresh_fingerprint"]);

    // Back where it came from nothing has changed.
    fs::rename(user.home(), &copy).unwrap();
    fs::rename(&original, user.home()).unwrap();
    user.call().exits(0);
    user.sandbox.expire_access_tokens();
    user.call().exits(0);
    assert_eq!((user.stats().token_requests, user.stats().reuse_detected), (3, 1));
}

/// Moments are stored and compared in UTC, whatever the clock on the wall shows.
#[test]
fn ck_03_c_the_time_zone_of_a_machine_changes_nothing() {
    /// To the east and to the west, by half an hour more, the furthest there is, and one where it is
    /// always summer.
    const ZONES: [&str; 5] =
        ["UTC", "Asia/Kolkata", "America/New_York", "XXX-14", "EST5EDT,0/0,J365/25"];
    for (at, zone) in ZONES.into_iter().enumerate() {
        let user = User::new(Config::default());
        let mut import = user.command();
        import.env("TZ", zone);
        user.import_by(import).exits(0);
        let run = |zone: &str, arguments: &[&str]| -> Ran {
            user.command().env("TZ", zone).args(arguments).output().unwrap().into()
        };
        let seen = ZONES.map(|other| run(other, &["status", "--json"]).exits(0).json());
        assert!(seen.iter().all(|one| *one == seen[0]), "{seen:#?}");
        let shown = run("UTC", &["status"]).exits(0).out;
        let expires = shown.lines().find(|line| line.starts_with("expires")).unwrap();
        assert!(expires.contains("(in 59m") || expires.contains("(in 1h"), "{zone}: {expires}");
        // It is used until the server ends it, and is refreshed once then.
        let other = ZONES[(at + 1) % ZONES.len()];
        run(other, &["call", user.api()]).exits(0);
        assert_eq!(user.stats().token_requests, 0, "{zone} and {other}");
        user.sandbox.expire_access_tokens();
        run(other, &["call", user.api()]).exits(0);
        run(zone, &["call", user.api()]).exits(0);
        assert_eq!(user.stats().token_requests, 1, "{zone} and {other}");
    }
}
