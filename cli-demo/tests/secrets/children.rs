//! What processes are started with: their arguments and their environments, as the system sees
//! them.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use tempfile::TempDir;

use crate::authority::CLIENT;
use crate::loudest::commands;
use crate::user::{User, files};

/// How long an argument is shown at most: longer than an environment is allowed to be on Linux,
/// which is 128 KiB for one text.
const WHOLE: &str = "131072";

/// Who tells what each process is started with.
const STRACE: &str = "/usr/bin/strace";

/// Every execution of one user, and of what it starts; nothing where there is no `strace`, and a
/// word about it.
#[expect(clippy::print_stderr, reason = "what is left out must be seen")]
fn traced(user: &mut User) -> Option<TempDir> {
    if !Path::new(STRACE).exists() {
        let said = "left out: what processes are started with, missing strace";
        assert!(std::env::var_os("REGRANT_REQUIRE_ALL_PARTS").is_none(), "{said}");
        eprintln!("{said}");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("trace");
    // One file for each process, with the whole environment, and strings as they are.
    let options = ["-ff", "-qq", "-v", "-s", WHOLE, "-e", "trace=execve,execveat", "-o"];
    let mut before: Vec<OsString> = vec![STRACE.into()];
    before.extend(options.map(Into::into));
    before.push(into.into_os_string());
    user.run_by(before);
    Some(folder)
}

/// What was executed: each line is a call with its arguments and its environment.
fn executions(folder: &TempDir) -> Vec<String> {
    let traces = files(folder.path()).into_iter().map(|file| fs::read_to_string(file).unwrap());
    let lines: Vec<_> =
        traces.flat_map(|trace| trace.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    lines.into_iter().filter(|line| line.starts_with("exec")).collect()
}

/// Every way that a secret goes into the command, and every program that it starts.
#[test]
fn sh_03_argv_env_child_exposure() {
    let mut user = User::new("file:HOME/data/credentials");
    let Some(folder) = traced(&mut user) else { return };
    let elsewhere = tempfile::tempdir().unwrap();
    let secret = user.file(&elsewhere, "secret", &user.canaries.phrase("client secret"));
    let passphrase = user.canaries.phrase("passphrase");
    let key = ["--key", "passphrase-fd:3"];
    let url = user.authority.url("/things");
    let (token, api, issuer) =
        (user.authority.url("/token"), user.authority.origin(), user.authority.origin());
    let response = serde_json::json!({
        "access_token": user.canaries.token("access token"),
        "refresh_token": user.canaries.token("refresh token"),
    });
    let import = ["import", "--token-endpoint", &token, "--client-id", CLIENT, "--api", &api];
    let import = [&import[..], &["--client-secret-file", &secret], &key].concat();
    let ran = user.run_handed(&import, &response.to_string(), &passphrase);
    assert_eq!(ran.code, Some(0), "{}", String::from_utf8_lossy(&ran.err));
    user.authority.expire();
    for arguments in [
        &["call", &url, "--concurrency", "2", "--repeat", "2"][..],
        &["status"],
        &["doctor"],
        &["logout"],
    ] {
        user.run_handed(&[arguments, &key].concat(), "", &passphrase);
    }
    let login =
        ["login", "--no-browser", "--issuer", &issuer, "--client-id", CLIENT, "--api", &api];
    let store = format!("sqlite:{}", user.home().join("b.db").display());
    let here = ["--account", "b", "--store", &store];
    let login = [&login[..], &["--client-secret-file", &secret], &here].concat();
    let ran = user.log_in(&login);
    assert_eq!(ran.code, Some(0), "{}", String::from_utf8_lossy(&ran.err));
    user.run_for_a_token(&[&["token", "--curl"][..], &here].concat());

    let executed = executions(&folder);
    assert!(executed.len() >= 7, "{executed:?}");
    user.canaries.assert_absent("arguments and environments", executed.join("\n"));
}

/// The sandbox and the demo have tokens of their own, which all begin in one of these ways.
#[test]
fn sh_03_b_sandbox_and_demo() {
    let mut user = User::new("");
    let client_secret = user.canaries.phrase("client secret");
    let Some(folder) = traced(&mut user) else { return };
    let ran = user.run(&["demo", "--json"], "");
    assert_eq!(ran.code, Some(0), "{}", String::from_utf8_lossy(&ran.err));
    let mut all = executions(&folder).join("\n").into_bytes();
    assert!(String::from_utf8_lossy(&all).contains("demo-worker"), "the demo starts processes");
    all.extend([ran.out, ran.err].concat());

    // What its user puts into the environment is not printed, and not handed on.
    user.with("REGRANT_SANDBOX_SECRET", &client_secret);
    user.run_by(Vec::new());
    let mut child = user.command(&["sandbox"], "").spawn().unwrap();
    let mut said = Vec::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    lines.read_until(b'\n', &mut said).unwrap();
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    said.extend(output.stderr);
    user.canaries.assert_absent("what the sandbox prints", &said);
    all.extend(said);
    let all = String::from_utf8_lossy(&all);
    for start in ["sandbox_at_", "sandbox_rt_"] {
        let at = all.find(start).map(|at| &all[at.saturating_sub(200)..(at + 30).min(all.len())]);
        assert_eq!(at, None, "a token of the sandbox");
    }
    assert!(commands().contains("demo") && commands().contains("sandbox"));
}
