//! Changes of the key that are killed half-way.
#![cfg(unix)]

use std::process::{Child, Command};
use std::time::Duration;

use regrant_sandbox::Config;

use crate::support::*;

/// How often each is killed.
const ROUNDS: u64 = 30;

/// Lets a child run until it ends or this moment comes; `true` if it was killed.
fn cut_short(child: Child, moment: Duration) -> bool {
    let mut child = child;
    let pid = rustix::process::Pid::from_child(&child);
    let (over, is_over) = std::sync::mpsc::channel::<()>();
    let killer = std::thread::spawn(move || {
        // The channel breaks when the child has ended.
        let is_late =
            is_over.recv_timeout(moment) == Err(std::sync::mpsc::RecvTimeoutError::Timeout);
        if is_late {
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
        is_late
    });
    // Its process id is its own until it is waited for, so the killer comes first.
    let piped = (child.stdout.take(), child.stderr.take());
    std::io::Read::read_to_end(&mut piped.0.unwrap(), &mut Vec::new()).unwrap();
    drop(over);
    let was_killed = killer.join().unwrap();
    child.wait().unwrap();
    was_killed
}

#[test]
fn a_rekey_that_is_killed_leaves_a_store_that_opens() {
    for kind in [Kind::Sqlite, Kind::Folder] {
        let seed = std::process::id().into();
        let mut dice = Dice::new(seed);
        let user = User::on(kind, Config::default());
        for account in ["default", "a", "b", "c", "d"] {
            let mut import = user.command();
            import.args(["--account", account]);
            user.import_by(import).exits(0);
        }
        let mut killed = 0;
        for round in 0..ROUNDS {
            let key = format!("file:{}", user.home().join(format!("{}.key", round % 3)).display());
            let rekey = user.start(["key", "rekey", "--to", &key]);
            let moment = Duration::from_millis(dice.roll(60));
            killed += u32::from(cut_short(rekey, moment));
            // Which reads every credential.
            let ran = user.run(["doctor", "--offline"]);
            assert_eq!(ran.code, 0, "seed {seed}, round {round}, {kind:?}: {ran:#?}");
        }
        assert!(killed > 0, "no rekey was killed before it ended by itself");
        user.run(["key", "rekey"]).exits(0);
        user.call().exits(0);
    }
}

#[test]
fn a_change_of_the_passphrase_that_is_killed_leaves_the_old_one_or_the_new_one() {
    let seed = u64::from(std::process::id()) + 1;
    let mut dice = Dice::new(seed);
    let user = User::on(Kind::Folder, Config::default());
    let with = |lines: &str, arguments: &[&str]| -> Command {
        let mut command = user.handed(lines);
        command.args(["--key", "passphrase-fd:3"]).args(arguments);
        command
    };
    let mut now = "passphrase".to_owned();
    user.import_by(with(&now, &[])).exits(0);
    let opens = |passphrase: &str| -> bool {
        let ran: Ran = with(passphrase, &["token"]).output().unwrap().into();
        assert!(ran.code == 0 || (ran.code == 6 && ran.err.contains("wrong_key")), "{ran:?}");
        ran.code == 0
    };
    let mut killed = 0;
    for round in 0..ROUNDS {
        let new = format!("passphrase {round}");
        let change = with(&format!("{now}\n{new}"), &["key", "change-passphrase"]);
        let child = { change }.spawn().unwrap();
        let moment = Duration::from_millis(150 + dice.roll(600));
        killed += u32::from(cut_short(child, moment));
        if opens(&new) {
            now = new;
        } else {
            assert!(opens(&now), "seed {seed}, round {round}");
        }
    }
    assert!(killed > 0, "no change was killed before it ended by itself");
}
