//! Stores that are opened with a passphrase, handed over on a descriptor.
#![cfg(unix)]

use std::process::Command;

use regrant_sandbox::Config;
use serde_json::json;

use crate::support::*;

const FIRST: &str = "correct horse battery staple";
const SECOND: &str = "a second one";

/// The command with this passphrase on descriptor 3.
fn with(user: &User, passphrase: &str) -> Command {
    let mut command = user.handed(passphrase);
    command.args(["--key", "passphrase-fd:3"]);
    command
}

fn ran(mut command: Command, arguments: &[&str]) -> Ran {
    command.args(arguments).output().unwrap().into()
}

/// A user whose store is sealed with the first passphrase.
fn sealed(kind: Kind) -> User {
    let user = User::on(kind, Config::default());
    let said = user.import_by(with(&user, FIRST)).exits(0);
    assert!(said.err.contains("protection: passphrase"), "{said:?}");
    user.sandbox.reset_stats();
    user
}

on_every_store! {
    a_store_opens_with_its_passphrase_alone,
    a_passphrase_is_changed_for_another,
}

fn a_store_opens_with_its_passphrase_alone(kind: Kind) {
    let user = sealed(kind);
    ran(with(&user, FIRST), &["call", user.api()]).exits(0);
    let status = ran(with(&user, FIRST), &["status", "--json"]).exits(0).json();
    assert_eq!(status["key_source"], "passphrase");
    assert_eq!(status["protection"], "passphrase");

    let error = ran(with(&user, SECOND), &["token", "--json"]).exits(6).error();
    assert_eq!(error["code"], "wrong_key");
    assert!(error["remedy"].as_str().unwrap().contains("passphrase"), "{error}");

    // Nobody is asked where there is no terminal, and `status` asks nobody at all.
    for command in ["token", "status", "reconsider"] {
        let error = user.run([command, "--json"]).exits(6).error();
        assert_eq!(
            (&error["code"], &error["key_source"]),
            (&json!("store_locked"), &json!("passphrase"))
        );
        assert!(error["remedy"].as_str().unwrap().contains("--key passphrase-fd:N"), "{error}");
        assert_eq!(error["store"], status["store"]);
    }
    let shown = user.run(["key", "show", "--json"]).exits(0).json();
    assert_eq!((&shown["source"], &shown["present"]), (&json!("passphrase"), &json!(null)));
    user.run(["accounts"]).exits(0);
    assert!(!user.home().join("config").exists(), "there is no key file");
    assert_eq!(user.requests(), (0, 1));
}

fn a_passphrase_is_changed_for_another(kind: Kind) {
    let user = sealed(kind);
    let both = |lines: &str| ran(with(&user, lines), &["key", "change-passphrase"]);
    let wrong = both(&format!("{SECOND}\n{FIRST}")).exits(6);
    assert!(wrong.err.contains("wrong_key"), "{wrong:?}");
    // The second line is missing, then empty.
    both(FIRST).exits(2);
    both(&format!("{FIRST}\n\n")).exits(2);
    ran(with(&user, FIRST), &["token"]).exits(0);

    both(&format!("{FIRST}\n{SECOND}")).exits(0);
    ran(with(&user, FIRST), &["token"]).exits(6);
    ran(with(&user, SECOND), &["token"]).exits(0);

    let other = user.home().join("other");
    std::fs::write(&other, "third").unwrap();
    let mut command = with(&user, SECOND);
    command.args(["key", "change-passphrase", "--new", "passphrase-fd:0"]);
    Ran::from(command.stdin(std::fs::File::open(other).unwrap()).output().unwrap()).exits(0);
    ran(with(&user, "third"), &["token"]).exits(0);

    let said =
        ran(with(&user, "third"), &["key", "rekey", "--to", "auto", "--json"]).exits(0).json();
    assert_eq!((&said["resealed"], &said["protection"]), (&json!(1), &json!("none")));
    user.call().exits(0);
    let ran = user.run(["key", "change-passphrase"]).exits(2);
    assert!(ran.err.contains("key rekey --to"), "{ran:?}");
}

#[test]
fn a_descriptor_that_brings_no_passphrase_is_a_wrong_usage() {
    let user = sealed(Kind::Sqlite);
    for (key, script) in [
        ("passphrase-fd:3", "exec \"$0\" \"$@\" 3<&-"),
        ("passphrase-fd:3", "exec \"$0\" \"$@\" 3</dev/null"),
        ("passphrase-fd:3", "exec \"$0\" \"$@\" 3>/dev/null"),
        ("passphrase-fd:3", "exec \"$0\" \"$@\" 3</dev/zero"),
        ("passphrase-fd:1", "exec \"$0\" \"$@\""),
        ("passphrase-fd:2", "exec \"$0\" \"$@\""),
        ("passphrase-fd:0", "exec \"$0\" \"$@\""),
        ("prompt", "exec \"$0\" \"$@\""),
    ] {
        let mut shell = Command::new("sh");
        user.at_home(&mut shell);
        shell.args(["-c", script, env!("CARGO_BIN_EXE_regrant")]);
        let ran = ran(shell, &["token", "--key", key, "--json"]).exits(2);
        assert_eq!(ran.error()["code"], "usage", "{script}");
    }
    // What needs no store needs no passphrase either.
    user.run(["explain", "wrong_key", "--key", "passphrase-fd:3"]).exits(0);
}

/// The passphrase is the first line, and the token response the rest.
#[test]
fn standard_input_brings_a_passphrase_and_then_what_else_is_read_there() {
    let user = User::new(Config::default());
    let mut import = user.importing();
    import.args(["--key", "passphrase-fd:0"]);
    with_input(import, &format!("{FIRST}\r\n{}", user.sandbox.issue())).exits(0);
    let mut token = user.command();
    token.args(["token", "--key", "passphrase-fd:0"]);
    with_input(token, FIRST).exits(0);
}

/// A pipe whose writer has gone, and a named one.
#[test]
fn a_pipe_brings_a_passphrase_as_well_as_a_file() {
    let user = sealed(Kind::Sqlite);
    for script in [
        "printf %s 'PASS' | \"$0\" \"$@\" 3<&0 0</dev/null",
        "mkfifo \"$HOME/pipe\"; printf %s 'PASS' >\"$HOME/pipe\" & exec 3<\"$HOME/pipe\"; wait; \
         \"$0\" \"$@\"",
    ] {
        let mut shell = Command::new("sh");
        user.at_home(&mut shell);
        shell.args(["-c", &script.replace("PASS", FIRST), env!("CARGO_BIN_EXE_regrant")]);
        ran(shell, &["token", "--key", "passphrase-fd:3"]).exits(0);
    }
}

#[test]
fn a_passphrase_is_in_no_output_and_no_file() {
    let user = User::new(Config::default());
    let loud = || {
        let mut command = with(&user, FIRST);
        command.env("REGRANT_LOG", "trace");
        command
    };
    let mut said = vec![user.import_by(loud()).exits(0)];
    for arguments in [&["status"][..], &["call", user.api()], &["key", "rekey"], &["doctor"]] {
        said.push(ran(loud(), arguments).exits(0));
    }
    for Ran { out, err, .. } in said {
        assert!(!out.contains(FIRST) && !err.contains(FIRST), "{out}{err}");
    }
    for file in files(user.home()) {
        let bytes = std::fs::read(&file).unwrap();
        let found = bytes.windows(FIRST.len()).any(|window| window == FIRST.as_bytes());
        assert!(!found, "{}", file.display());
    }
}
