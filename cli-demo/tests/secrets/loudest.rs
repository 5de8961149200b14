//! Every command, at the loudest log, through every answer.

use std::collections::BTreeSet;
use std::process::Command;

use tempfile::TempDir;

use crate::authority::{CLIENT, Judges, Says};
use crate::user::User;

/// What a store's key comes from, as options, and the lines that are handed over for it.
type Key<'a> = (&'a [&'a str], &'a str);

/// Every command there is, once at least, on this store.
pub(crate) fn everything(user: &User, (key, lines): Key<'_>) {
    let elsewhere = tempfile::tempdir().unwrap();
    let secret = user.file(&elsewhere, "secret", &user.canaries.phrase("client secret"));
    let run = |arguments: &[&str]| user.run_handed(&[arguments, key].concat(), "", lines).code;
    broken_imports(user, &secret, (key, lines), &elsewhere);
    imports(user, &secret, (key, lines), &elsewhere);
    let url = user.authority.url("/things");
    user.authority.expire();
    assert_eq!(run(&["call", &url]), Some(0));
    user.authority.judges(Judges::InTheBody);
    user.authority.expire();
    assert_eq!(run(&["call", &url, "--repeat", "4", "--concurrency", "2"]), Some(0));
    user.authority.judges(Judges::RejectsAll);
    // What the API says is the answer of `call`; with `--json`, none of it is.
    run(&["call", &url, "--json", "--no-replay", "-X", "POST", "-d", "body"]);
    user.authority.judges(Judges::WantsScope);
    run(&["call", &url, "--json"]);
    user.authority.judges(Judges::ByToken);
    imports(user, &secret, (key, lines), &elsewhere);
    for arguments in [
        &["status"][..],
        &["status", "--json"],
        &["accounts", "--json"],
        &["allow", "https://api.example"],
        &["client", "set", "--scope", "read", "--client-secret-file", &secret],
        &["client", "show", "--json"],
        &["client", "show"],
        &["key", "show"],
        &["doctor"],
        &["reconsider"],
    ] {
        run(arguments);
    }
    user.files_are_silent();
    assert_eq!(run(&["logout"]), Some(0));
    user.files_are_silent();
}

/// The ways to log in.
fn logins(user: &User) {
    let elsewhere = tempfile::tempdir().unwrap();
    let secret = user.file(&elsewhere, "secret", &user.canaries.phrase("client secret"));
    let (issuer, api) = (user.authority.origin(), user.authority.origin());
    let login = |arguments: &[&str]| {
        let by = ["login", "--issuer", &issuer, "--client-id", CLIENT, "--api", &api];
        user.log_in(&[&by[..], &["--client-secret-file", &secret], arguments].concat()).code
    };
    assert_eq!(login(&["--no-browser"]), Some(0));
    assert_eq!(login(&["--device", "--auth", "post"]), Some(0));
    assert_eq!(login(&["--client-credentials", "--auth", "post"]), Some(0));
    for says in Says::FAILURES {
        user.authority.says([says]);
        assert_ne!(login(&["--client-credentials", "--auth", "post", "--json"]), Some(0));
    }
    user.authority.says([Says::Refuses]);
    assert_ne!(login(&["--no-browser"]), Some(0));
}

/// A token response with two secrets, which also is another program's file.
fn tokens(user: &User) -> String {
    let (access, refresh) =
        (user.canaries.token("access token"), user.canaries.token("refresh token"));
    let tokens = serde_json::json!({ "a": access, "r": refresh, "access_token": access,
        "refresh_token": refresh, "token_type": "Bearer" });
    tokens.to_string()
}

/// `import` at this user's servers.
fn importing<'a>(token: &'a str, api: &'a str, secret: &'a str) -> Vec<&'a str> {
    let by = ["import", "--token-endpoint", token, "--client-id", CLIENT, "--api", api];
    [&by[..], &["--client-secret-file", secret]].concat()
}

/// A token response, and another program's file.
fn imports(user: &User, secret: &str, (key, lines): Key<'_>, elsewhere: &TempDir) {
    let (token, api) = (user.authority.url("/token"), user.authority.origin());
    let by = [&importing(&token, &api, secret)[..], key].concat();
    let foreign = user.file(elsewhere, "foreign.json", &tokens(user));
    let map = ["--from-file", &foreign, "--map", "access_token=/a", "--map", "refresh_token=/r"];
    assert_eq!(user.run_handed(&[&by[..], &map].concat(), "", lines).code, Some(0));
    assert_eq!(user.run_handed(&by, &tokens(user), lines).code, Some(0));
}

/// What is cut, what is of another type, and what is not there.
fn broken_imports(user: &User, secret: &str, (key, lines): Key<'_>, elsewhere: &TempDir) {
    let (token, api) = (user.authority.url("/token"), user.authority.origin());
    let by = [&importing(&token, &api, secret)[..], key].concat();
    let refresh = user.canaries.token("refresh token");
    for broken in [
        tokens(user)[..60].to_owned(),
        format!("{{\"access_token\":[\"{refresh}\"],\"a\":[\"{refresh}\"]}}"),
        format!("{{\"refresh_token\":\"{refresh}\",\"r\":\"{refresh}\"}}"),
        refresh,
    ] {
        assert_ne!(user.run_handed(&by, &broken, lines).code, Some(0));
        let foreign = user.file(elsewhere, "foreign.json", &broken);
        let map = ["--from-file", &foreign, "--map", "access_token=/a"];
        assert_ne!(user.run_handed(&[&by[..], &map].concat(), "", lines).code, Some(0));
    }
}

/// What `classify` says of answers that hold tokens.
fn classified(user: &User) {
    let token = user.canaries.token("access token");
    let refresh = user.canaries.token("refresh token");
    let granted = format!("{{\"access_token\":\"{token}\",\"refresh_token\":\"{refresh}\"}}");
    let head = format!(
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer error=\"invalid_token\", \
         error_description=\"{token}\"\r\nSet-Cookie: session={refresh}\r\n"
    );
    for (kind, input) in [
        ("token", format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{granted}")),
        ("token", format!("HTTP/1.1 200 OK\r\n\r\n{}", &granted[..70])),
        ("resource", format!("{head}\r\n{granted}")),
        ("resource", granted),
    ] {
        user.run(&["classify", "--kind", kind], &input);
        // What came in is a part of the answer for programs: they are given it to keep it.
        user.run_for(&["classify", "--kind", kind, "--json"], &input, &["refresh token"]);
    }
}

/// The commands that `--help` lists.
pub(crate) fn commands() -> BTreeSet<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_regrant")).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    // A name stands at two blanks, its description further on.
    let names = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

#[test]
fn sh_01_d_the_command_on_sqlite() {
    let user = User::new("");
    everything(&user, (&[], ""));
    logins(&user);
    classified(&user);
    for arguments in [&["explain"][..], &["profiles"], &["key", "rekey"]] {
        assert_eq!(user.run(arguments, "").code, Some(0), "{arguments:?}");
    }
    for arguments in [&["token"][..], &["token", "--json"], &["token", "--curl"]] {
        user.run_for_a_token(arguments);
    }
    user.files_are_silent();
    let mut used = user.used();
    // These two have a test of their own, and `help` is clap's.
    used.extend(["demo", "sandbox", "help"].map(str::to_owned));
    assert_eq!(commands().difference(&used).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn sh_01_e_the_command_on_files_under_a_passphrase() {
    let user = User::new("file:HOME/data/credentials");
    let passphrase = user.canaries.phrase("passphrase");
    everything(&user, (&["--key", "passphrase-fd:3"], &passphrase));
    let new = user.canaries.phrase("passphrase");
    let lines = format!("{passphrase}\n{new}");
    let change = ["key", "change-passphrase", "--key", "passphrase-fd:3"];
    assert_eq!(user.run_handed(&change, "", &lines).code, Some(0));
    let status = ["status", "--key", "passphrase-fd:3"];
    assert_eq!(user.run_handed(&status, "", &new).code, Some(0));
    // The old one opens nothing any more.
    assert_ne!(
        user.run_handed(
            &["call", "--key", "passphrase-fd:3", &user.authority.url("/x")],
            "",
            &passphrase
        )
        .code,
        Some(0)
    );
    user.files_are_silent();
}

/// A refresh that meets each answer. They wait between their tries, and all at once.
#[test]
fn sh_01_h_each_answer_of_the_token_endpoint() {
    let calls = Says::FAILURES.map(|says| {
        std::thread::spawn(move || {
            let user = User::new("");
            let elsewhere = tempfile::tempdir().unwrap();
            let secret = user.file(&elsewhere, "secret", &user.canaries.phrase("client secret"));
            assert_eq!(user.import(&secret).code, Some(0));
            user.authority.says([says; 6]);
            user.authority.expire();
            let url = user.authority.url("/things");
            assert_ne!(user.run(&["call", &url, "--json"], "").code, Some(0), "{says:?}");
            user.run(&["status"], "");
            user.files_are_silent();
        })
    });
    for (says, call) in Says::FAILURES.iter().zip(calls) {
        assert!(call.join().is_ok(), "{says:?}");
    }
}
