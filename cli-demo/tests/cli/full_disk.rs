//! Stores that take nothing more, before a refresh or in the middle of one. A process that may
//! write no file longer than nothing stands for a full disk: to the store it is the same error.
#![cfg(target_os = "linux")]

use std::process::{Child, Command};

use regrant_sandbox::{Config, Grace, GraceKind, HoldPoint};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::support::*;

on_every_store! {
    a_full_disk_spends_no_refresh_token,
    a_disk_that_fills_up_in_mid_refresh_costs_nothing_within_the_grace,
}

const GRACE: Option<Grace> = Some(Grace { ms: 60_000, kind: GraceKind::Same });

/// A call that survives the signal which comes with the limit.
fn call(user: &User, script: &str) -> Command {
    let mut shell = Command::new("sh");
    user.at_home(&mut shell);
    let script = format!("trap '' XFSZ; {script} exec \"$0\" \"$@\"");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_regrant"), "call", user.api()]);
    shell
}

fn fill(child: &Child) {
    let nothing = Rlimit { current: Some(0), maximum: Some(0) };
    prlimit(Some(Pid::from_child(child)), Resource::Fsize, nothing).unwrap();
}

fn a_full_disk_spends_no_refresh_token(kind: Kind) {
    let user = User::logged_in_on(kind, Config::default());
    user.sandbox.expire_access_tokens();
    let mut full = call(&user, "ulimit -f 0;");
    let error = Ran::from(full.arg("--json").output().unwrap()).exits(6).error();
    // SQLite knows a full disk by another number than that of a limit.
    let code = if kind == Kind::Folder { "store_full" } else { "store_unavailable" };
    assert_eq!(error["code"], code, "{error}");
    assert_eq!(error["store"], user.status()["store"]);
    assert_eq!(user.stats().token_requests, 0);
    user.call().exits(0);
    assert_eq!(user.stats().token_requests, 1);
}

fn a_disk_that_fills_up_in_mid_refresh_costs_nothing_within_the_grace(kind: Kind) {
    let user = User::logged_in_on(kind, Config { grace: GRACE, ..Config::default() });
    user.sandbox.expire_access_tokens();
    user.sandbox.hold(HoldPoint::AfterCommit);
    let child = call(&user, "").spawn().unwrap();
    wait(user.sandbox.wait_until_held()).unwrap();
    fill(&child);
    user.sandbox.release_held();
    let ran = finished(child).exits(6);
    assert!(ran.out.contains("\"ok\":true"), "the answer came first: {ran:?}");
    assert!(ran.err.contains("could not be saved"), "{ran:?}");
    assert!(!ran.err.contains("login needed"), "{ran:?}");
    user.call().exits(0);
    let stats = user.stats();
    assert_eq!((stats.token_requests, stats.grace_replays, stats.reuse_detected), (2, 1, 0));
    assert_eq!(user.status()["state"], "Valid");
}
