//! A login in the place of another: what becomes of the one before.

use std::fs;
#[cfg(target_os = "linux")]
use std::process::Command;

use regrant_sandbox::{Endpoint, Fault};
use serde_json::Value;

use crate::login::{Running, by_browser, config, login};
use crate::support::*;

#[test]
fn lo_01_b_the_login_before_is_revoked_only_where_that_cannot_end_the_new_one() {
    let user = User::logged_in(config());
    let mut command = login(&user);
    command.arg("--json");
    let ran = by_browser(command).exits(0);
    assert_eq!(ran.json()["old_revoked"], Value::Null);
    assert!(ran.err.contains("not revoked"), "{ran:?}");
    assert_eq!(user.stats().revocation_requests, 0);

    let profile = user.home().join("own.json");
    fs::write(&profile, "{\"name\":\"own\",\"revokes\":\"token\"}").unwrap();
    user.run(["client", "set", "--profile", profile.to_str().unwrap()]).exits(0);
    let live = user.stats().live_families;
    let mut command = login(&user);
    command.arg("--json");
    let ran = by_browser(command).exits(0);
    assert_eq!(ran.json()["old_revoked"], true, "{ran:?}");
    assert_eq!(user.stats().revocation_requests, 1);
    assert_eq!(user.stats().live_families, live, "one came and one ended");
    user.call().exits(0);
}

/// Whose old login may be revoked by itself.
fn revocable(kind: Kind) -> User {
    let user = User::logged_in_on(kind, config());
    let profile = user.home().join("own.json");
    fs::write(&profile, "{\"name\":\"own\",\"revokes\":\"token\"}").unwrap();
    user.run(["client", "set", "--profile", profile.to_str().unwrap()]).exits(0);
    user
}

#[test]
fn lo_01_c_the_login_before_is_revoked_when_the_new_one_is_in_the_store() {
    for kind in [Kind::Sqlite, Kind::Folder] {
        let user = revocable(kind);
        // The revocation stays unanswered, and while it does, the store is looked at.
        let hang = Fault::Hang { ms: 120_000 };
        user.sandbox.always(Endpoint::Revocation, Some(hang));
        let mut command = login(&user);
        command.args(["--device", "--json"]);
        let mut running = Running::start(command);
        running.shown("http");
        let code = running.shown("");
        assert!(user.sandbox.decide_device(&code, true));
        wait(user.sandbox.wait_for(|stats| stats.revocation_requests == 1)).unwrap();
        assert_eq!(user.status()["generation"], 2, "{kind:?}");
        user.call().exits(0);
        assert!(running.child.try_wait().unwrap().is_none(), "it has not waited for the answer");
        running.child.kill().unwrap();
        running.child.wait().unwrap();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn lo_01_d_nothing_is_revoked_for_a_login_that_could_not_be_saved() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let user = revocable(Kind::Folder);
    let mut shell = Command::new("sh");
    user.at_home(&mut shell);
    // A process that may write no file longer than nothing stands for a full disk, and is to
    // survive the signal that comes with it.
    let script = "trap '' XFSZ; exec \"$0\" \"$@\"";
    shell.args(["-c", script, env!("CARGO_BIN_EXE_regrant")]);
    shell.args(login(&user).get_args());
    shell.args(["--device", "--json"]);
    let mut running = Running::start(shell);
    running.shown("http");
    let code = running.shown("");
    let nothing = Rlimit { current: Some(0), maximum: Some(0) };
    prlimit(Some(Pid::from_child(&running.child)), Resource::Fsize, nothing).unwrap();
    assert!(user.sandbox.decide_device(&code, true));
    let ran = running.finished().exits(6);
    assert_eq!(ran.error()["code"], "store_full", "{ran:?}");
    assert_eq!(user.stats().revocation_requests, 0);
    assert_eq!(user.status()["generation"], 1);
    user.call().exits(0);
}
