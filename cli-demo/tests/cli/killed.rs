//! Processes that are killed at any moment, or stopped.
#![cfg(unix)]

use std::process::{Child, Command};
use std::time::Duration;

use regrant_sandbox::{Config, Grace, HoldPoint};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::*;

on_every_store! {
    a_hundred_random_kills_on_ten_credentials_lose_none,
    a_stopped_holder_that_is_killed_is_succeeded,
    cp_04_d_a_signal_to_end_in_mid_refresh_loses_nothing,
}

const GRACE: Option<Grace> = Some(Grace { ms: 30_000, kind: regrant_sandbox::GraceKind::Same });

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// A call with one of the accounts, run by tokio so that it can be waited for with a deadline.
fn call(user: &User, account: &str) -> tokio::process::Command {
    let mut command: Command = user.command();
    command.args(["call", user.api(), "--account", account]);
    tokio::process::Command::from(command)
}

/// The moments at which the processes die are random, from before the first load to after the
/// last save; the seed is printed if a next call does not work.
fn a_hundred_random_kills_on_ten_credentials_lose_none(kind: Kind) {
    let seed = std::process::id().into();
    let user = User::on(kind, Config { grace: GRACE, ..Config::default() });
    let accounts: Vec<String> = (0..10).map(|n| format!("account-{n}")).collect();
    for account in &accounts {
        let mut import = user.importing();
        import.args(["--account", account]);
        with_input(import, &user.sandbox.issue().to_string()).exits(0);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut dice = Dice::new(seed);
    let mut cut_short = 0;
    for round in 0..10 {
        user.sandbox.expire_access_tokens();
        cut_short += runtime.block_on(async {
            let mut dying = tokio::task::JoinSet::new();
            for account in &accounts {
                let mut child = call(&user, account).spawn().unwrap();
                let moment = Duration::from_millis(dice.roll(250));
                dying.spawn(async move {
                    let over = tokio::time::timeout(moment, child.wait()).await.is_ok();
                    child.kill().await.unwrap();
                    u32::from(!over)
                });
            }
            dying.join_all().await.into_iter().sum::<u32>()
        });
        let next: Vec<_> = accounts
            .iter()
            .map(|account| user.start(["call", user.api(), "--account", account]))
            .collect();
        for (account, child) in accounts.iter().zip(next) {
            let ran = finished(child);
            assert_eq!(ran.code, 0, "seed {seed}, round {round}, {account}: {ran:#?}");
        }
    }
    assert!(cut_short > 0, "no process was killed before it ended by itself");
    let stats = user.stats();
    assert_eq!((stats.reuse_detected, stats.live_families), (0, 10), "seed {seed}: {stats:#?}");
}

/// On both kinds of stores at once: it takes the patience of a caller.
#[test]
fn a_stopped_holder_is_named_and_goes_on_when_it_is_let() {
    std::thread::scope(|scope| {
        for kind in [Kind::Sqlite, Kind::Folder] {
            scope.spawn(move || stopped(kind));
        }
    });
}

fn stopped(kind: Kind) {
    let user = User::logged_in_on(kind, Config::default());
    user.sandbox.expire_access_tokens();
    user.sandbox.hold(HoldPoint::AfterCommit);
    let holder = user.start(["call", user.api()]);
    wait(user.sandbox.wait_until_held()).unwrap();
    signal(&holder, Signal::STOP);

    let ran = user.run(["call", user.api(), "--json"]).exits(4);
    let error = ran.error();
    assert_eq!(error["code"], "lease_busy", "{ran:?}");
    assert!(ran.out.contains(&holder.id().to_string()), "{ran:?}");
    assert_eq!((user.stats().token_requests, user.stats().reuse_detected), (1, 0));

    user.sandbox.release_held();
    signal(&holder, Signal::CONT);
    finished(holder).exits(0);
    user.call().exits(0);
    let stats = user.stats();
    assert_eq!((stats.token_requests, stats.reuse_detected, stats.live_families), (1, 0, 1));
}

fn a_stopped_holder_that_is_killed_is_succeeded(kind: Kind) {
    let user = User::logged_in_on(kind, Config { grace: GRACE, ..Config::default() });
    user.sandbox.expire_access_tokens();
    user.sandbox.hold(HoldPoint::AfterCommit);
    let mut holder = user.start(["call", user.api()]);
    wait(user.sandbox.wait_until_held()).unwrap();
    signal(&holder, Signal::STOP);
    let waiting = user.start(["call", user.api()]);
    holder.kill().unwrap();
    holder.wait().unwrap();
    user.sandbox.release_held();
    finished(waiting).exits(0);
    let stats = user.stats();
    assert_eq!((stats.token_requests, stats.grace_replays, stats.reuse_detected), (2, 1, 0));
    assert_eq!(stats.live_families, 1);
}

fn cp_04_d_a_signal_to_end_in_mid_refresh_loses_nothing(kind: Kind) {
    for (end, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let user = User::logged_in_on(kind, Config::default());
        user.sandbox.expire_access_tokens();
        user.sandbox.hold(HoldPoint::AfterCommit);
        let call = user.start(["call", user.api()]);
        wait(user.sandbox.wait_until_held()).unwrap();
        signal(&call, end);
        user.sandbox.release_held();
        let ran = finished(call);
        assert!(ran.code == code || ran.code == 0, "{ran:?}");
        user.call().exits(0);
        let stats = user.stats();
        assert_eq!((stats.token_requests, stats.reuse_detected), (1, 0), "{end:?}");
    }
}
