//! Tokens are where they belong, and nowhere else.

use std::fs;
use std::process::Command;

use regrant_sandbox::{ApiConfig, Config, Fault, Rejection};

use crate::support::*;

on_every_store! {
    no_token_is_in_any_output_or_file_at_the_loudest_log,
    #[cfg(unix)]
    files_are_their_owner_s_alone_under_any_umask,
}

const SECRET: &str = "canary-client-secret";

/// Everything that must not be seen: all tokens of the sandbox begin like this.
fn secrets() -> [&'static str; 3] {
    ["sandbox_at_", "sandbox_rt_", SECRET]
}

#[track_caller]
fn holds_no_secret(what: &str, bytes: &[u8]) {
    for secret in secrets() {
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{secret} in {what}: {}", String::from_utf8_lossy(bytes));
    }
}

fn no_token_is_in_any_output_or_file_at_the_loudest_log(kind: Kind) {
    let config = Config {
        client_secret: Some(SECRET.to_owned()),
        apis: vec![ApiConfig::named("api").rejection(Rejection::JsonBodyOnly)],
        ..Config::default()
    };
    let user = User::on(kind, config);
    let elsewhere = tempfile::tempdir().unwrap();
    let secret = elsewhere.path().join("secret");
    fs::write(&secret, SECRET).unwrap();
    let quiet = |mut command: Command, input: &str| {
        command.env("REGRANT_LOG", "trace,hyper=trace,reqwest=trace,sqlx=trace").arg("--debug");
        let ran = with_input(command, input);
        holds_no_secret("standard output", ran.out.as_bytes());
        holds_no_secret("standard error", ran.err.as_bytes());
        ran
    };
    let run = |arguments: &[&str]| {
        let mut command = user.command();
        command.args(arguments);
        quiet(command, "")
    };

    let import = || {
        let mut import = user.importing();
        import.arg("--client-secret-file").arg(&secret);
        quiet(import, &user.sandbox.issue().to_string()).exits(0);
    };
    import();
    user.sandbox.expire_access_tokens();
    let ran = run(&["call", user.api()]).exits(0);
    assert!(ran.err.contains("Refreshing") && ran.err.contains("token rejected"), "{ran:?}");
    assert!(!ran.err.contains("hyper"), "{ran:?}");
    user.sandbox.expire_access_tokens();
    user.sandbox.inject(Fault::CutBody);
    user.sandbox.inject(Fault::Html);
    run(&["call", user.api(), "--json"]);
    run(&["status"]).exits(0);
    run(&["status", "--json"]).exits(0);
    run(&["accounts"]).exits(0);
    import();
    user.sandbox.revoke_all();
    run(&["call", user.api()]).exits(3);
    run(&["reconsider"]).exits(3);
    for file in files(user.home()) {
        holds_no_secret(&file.display().to_string(), &fs::read(&file).unwrap());
    }
    run(&["logout"]).exits(0);
    for file in files(user.home()) {
        holds_no_secret(&file.display().to_string(), &fs::read(&file).unwrap());
    }
}

#[test]
fn without_a_word_about_logs_there_are_none() {
    let user = User::new(Config::default());
    let imported = user.import().exits(0);
    // Where the key of the new store is.
    assert_eq!(imported.err.lines().count(), 1, "{imported:?}");
    user.sandbox.expire_access_tokens();
    assert_eq!(user.call().exits(0).err, "");
    let mut wrong = user.command();
    let ran = Ran::from(wrong.env("REGRANT_LOG", "regrant=loud").arg("status").output().unwrap());
    assert!(ran.exits(0).err.contains("REGRANT_LOG"));
}

#[cfg(unix)]
fn files_are_their_owner_s_alone_under_any_umask(kind: Kind) {
    use std::os::unix::fs::PermissionsExt as _;
    let user = User::on(kind, Config::default());
    let token = user.home().join("response");
    fs::write(&token, user.sandbox.issue().to_string()).unwrap();
    let script = format!(
        "umask 000
        '{regrant}' import --token-endpoint '{endpoint}' --client-id sandbox-client \
            --api '{api}' < '{token}' || exit
        rm '{token}'
        '{regrant}' call '{api}' || exit
        '{regrant}' token --rejected \"$('{regrant}' status | sed -n 's/^fingerprint *//p')\"",
        regrant = env!("CARGO_BIN_EXE_regrant"),
        endpoint = user.sandbox.token_endpoint(),
        api = user.api(),
        token = token.display(),
    );
    let mut shell = Command::new("sh");
    user.at_home(&mut shell);
    Ran::from(shell.args(["-c", &script]).output().unwrap()).exits(0);
    assert_eq!(user.stats().token_requests, 1);

    let found = files(user.home());
    assert!(found.len() >= 3, "{found:?}");
    for file in found {
        let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&file) & 0o777, 0o600, "{file:?}");
        for folder in file.ancestors().skip(1).take_while(|folder| *folder != user.home()) {
            assert_eq!(mode(folder) & 0o777, 0o700, "{folder:?}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_is_no_error() {
    let user = User::logged_in(Config::default());
    let mut shell = Command::new("sh");
    user.at_home(&mut shell);
    let script = "\"$0\" explain | head -n 1; \"$0\" explain > /dev/full";
    let ran =
        Ran::from(shell.args(["-c", script, env!("CARGO_BIN_EXE_regrant")]).output().unwrap());
    assert!(!ran.err.contains("panicked"), "{ran:?}");
    if cfg!(target_os = "linux") {
        // A full disk under the output is one.
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.err.contains("cannot be written"), "{ran:?}");
    }
}
