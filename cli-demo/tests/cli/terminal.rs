//! What is asked for on a terminal.
#![cfg(target_os = "linux")]

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Duration;

use regrant_sandbox::Config;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::support::*;

/// What no prompt takes unless something is wrong.
const LONG: Duration = Duration::from_secs(60);

/// The one that makes a terminal that of a process, with the Debian package that brings it.
const PROGRAMS: [(&str, &str); 1] = [("/usr/bin/setsid", "util-linux")];

/// A terminal, and what was printed on it.
struct Terminal {
    keyboard: File,
    printed: Receiver<Vec<u8>>,
    seen: String,
}

/// What a run on a terminal came to.
#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    screen: String,
    /// Whether it shows again what is typed.
    echoes: bool,
}

impl Terminal {
    fn echoes(&self) -> bool {
        let modes = rustix::termios::tcgetattr(&self.keyboard).unwrap().local_modes;
        modes.contains(rustix::termios::LocalModes::ECHO)
    }

    /// Waits until this was printed.
    fn expect(&mut self, text: &str) {
        while !self.seen.contains(text) {
            let more = self.printed.recv_timeout(LONG);
            let more = more.unwrap_or_else(|_| panic!("no {text:?} in {:?}", self.seen));
            self.seen += &String::from_utf8_lossy(&more);
        }
        // The same prompt may come again.
        let end = self.seen.find(text).unwrap() + text.len();
        self.seen.drain(..end);
    }

    /// Types a line once nothing of it is shown any more: the prompt comes a moment earlier.
    fn type_in(&mut self, line: &str) {
        while self.echoes() {
            match self.printed.try_recv() {
                Ok(more) => self.seen += &String::from_utf8_lossy(&more),
                Err(TryRecvError::Empty) => std::thread::yield_now(),
                Err(TryRecvError::Disconnected) => panic!("it ended before {:?}", self.seen),
            }
        }
        self.keyboard.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}

/// Runs the command on a terminal of its own, whose user answers each prompt with the line beside
/// it. Standard output is a pipe, as in `$(regrant token)`.
fn on_terminal(user: &User, arguments: &[&str], input: &str, answers: &[(&str, &str)]) -> Said {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
    let theirs = || {
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = rustix::fs::OFlags::NOCTTY.bits().cast_signed();
        OpenOptions::new().read(true).write(true).custom_flags(flags).open(&name).unwrap()
    };
    let mut command = Command::new(PROGRAMS[0].0);
    user.at_home(&mut command);
    command.env("BROWSER", browser(user));
    // The terminal becomes its own by standard input; what it reads is another thing.
    let data = user.home().join("input");
    std::fs::write(&data, input).unwrap();
    let script = format!("exec \"$0\" \"$@\" <'{}'", data.display());
    command.args(["--ctty", "sh", "-c", &script, env!("CARGO_BIN_EXE_regrant")]).args(arguments);
    command.stdin(theirs()).stderr(theirs()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(command);

    let mut screen = File::from(ours);
    let keyboard = screen.try_clone().unwrap();
    let (print, printed) = channel();
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        // It breaks when the last process has closed the terminal.
        while let Ok(length @ 1..) = screen.read(&mut bytes) {
            if print.send(bytes[..length].to_vec()).is_err() {
                return;
            }
        }
    });
    let mut terminal = Terminal { keyboard, printed, seen: String::new() };
    let mut shown = String::new();
    for (prompt, answer) in answers {
        terminal.expect(prompt);
        shown += prompt;
        terminal.type_in(answer);
    }
    let mut output = child.stdout.take().unwrap();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let mut out = String::new();
        tell.send(output.read_to_string(&mut out).map(|_| out))
    });
    let Ok(out) = told.recv_timeout(LONG) else {
        child.kill().unwrap();
        panic!("it waits for another answer");
    };
    let out = out.unwrap();
    let code = child.wait().unwrap().code().expect("it was not killed");
    let echoes = terminal.echoes();
    while let Ok(more) = terminal.printed.recv_timeout(LONG) {
        terminal.seen += &String::from_utf8_lossy(&more);
    }
    std::fs::remove_file(data).unwrap();
    Said { code, out, screen: shown + &terminal.seen, echoes }
}

/// The user's browser, if there is one.
fn browser(user: &User) -> PathBuf {
    user.home().join("browser")
}

const PASSPHRASE: &str = "Passphrase of the credential store: ";
const AGAIN: &str = "The same once more: ";
const NEW: &str = "New passphrase of the credential store: ";

fn import<'a>(user: &'a User, key: &'a str) -> Vec<&'a str> {
    let endpoint = user.sandbox.token_endpoint();
    let line = ["import", "--token-endpoint", endpoint, "--client-id", "sandbox-client"];
    line.into_iter().chain(["--api", user.api(), "--key", key]).collect()
}

#[test]
fn a_passphrase_is_asked_for_twice_when_a_store_is_made_and_once_to_open_it() {
    if !has_parts("a test on a terminal", &PROGRAMS) {
        return;
    }
    let user = User::new(Config::default());
    let response = user.sandbox.issue().to_string();
    let import = import(&user, "prompt");
    let differ = [(PASSPHRASE, "canary one"), (AGAIN, "canary two")];
    let said = on_terminal(&user, &import, &response, &differ);
    assert_eq!(said.code, 6, "{said:?}");
    assert!(said.screen.contains("differ"), "{said:?}");
    assert!(files(user.home()).is_empty(), "nothing was saved");

    let said = on_terminal(&user, &import, &response, &[(PASSPHRASE, "canary"), (AGAIN, "canary")]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(!said.screen.contains("canary"), "it is not shown: {said:?}");

    for key in ["auto", "prompt"] {
        let said = on_terminal(&user, &["token", "--key", key], "", &[(PASSPHRASE, "canary")]);
        assert_eq!((said.code, said.out.lines().count()), (0, 1), "{said:?}");
    }
    let said = on_terminal(&user, &["token"], "", &[(PASSPHRASE, "another")]);
    assert_eq!(said.code, 6, "{said:?}");
    assert!(said.screen.contains("wrong_key"), "{said:?}");
}

#[test]
fn a_new_passphrase_is_asked_for_after_the_old_one() {
    if !has_parts("a test on a terminal", &PROGRAMS) {
        return;
    }
    let user = User::logged_in(Config::default());
    let change = &["key", "change-passphrase"];
    let to_prompt = &["key", "rekey", "--to", "prompt"];
    let said = on_terminal(&user, to_prompt, "", &[(NEW, "first"), (AGAIN, "first")]);
    assert_eq!(said.code, 0, "{said:?}");
    // Who mistypes the old one is not asked for a new one.
    let said = on_terminal(&user, change, "", &[(PASSPHRASE, "mistyped")]);
    assert_eq!(said.code, 6, "{said:?}");
    let answers = [(PASSPHRASE, "first"), (NEW, "second"), (AGAIN, "second")];
    let said = on_terminal(&user, change, "", &answers);
    assert_eq!(said.code, 0, "{said:?}");
    let said = on_terminal(&user, &["token"], "", &[(PASSPHRASE, "second")]);
    assert_eq!(said.code, 0, "{said:?}");
    // Which asks nobody by itself, on a terminal either.
    let said = on_terminal(&user, &["status"], "", &[]);
    assert_eq!(said.code, 6, "{said:?}");
    assert!(said.screen.contains("passphrase-fd:N"), "{said:?}");
}

/// Ctrl-C is a character there, which the prompt reads.
#[test]
fn whoever_gives_up_at_a_prompt_is_asked_once_and_left_with_a_whole_terminal() {
    if !has_parts("a test on a terminal", &PROGRAMS) {
        return;
    }
    let user = User::logged_in(Config::default());
    let to_prompt = &["key", "rekey", "--to", "prompt"];
    on_terminal(&user, to_prompt, "", &[(NEW, "first"), (AGAIN, "first")]);
    for command in ["token", "logout", "reconsider"] {
        let said = on_terminal(&user, &[command], "", &[(PASSPHRASE, "\u{3}")]);
        assert_eq!(said.code, 130, "{said:?}");
        assert_eq!(said.screen.matches(PASSPHRASE).count(), 1, "{said:?}");
        assert!(said.echoes, "the terminal is as it was: {said:?}");
        let said = on_terminal(&user, &[command], "", &[(PASSPHRASE, "")]);
        assert_eq!(said.code, 6, "{said:?}");
        assert_eq!(said.screen.matches(PASSPHRASE).count(), 1, "{said:?}");
    }
    assert_eq!(user.requests(), (0, 0));
}

#[test]
fn on_a_terminal_a_login_opens_the_browser_itself() {
    let curl = ("/usr/bin/curl", "curl");
    if !has_parts("a login in the browser that the command opens", &[PROGRAMS[0], curl]) {
        return;
    }
    let user = User::new(Config::default());
    let script = browser(&user);
    std::fs::write(&script, "#!/bin/sh\nexec curl -sL --noproxy '*' \"$1\"\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();
    let login = ["login", "--issuer", user.sandbox.issuer_url(), "--client-id", "sandbox-client"];
    let login = [&login[..], &["--api", user.api()]].concat();
    let said = on_terminal(&user, &login, "", &[]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("Logged in") && said.screen.contains("/authorize?"), "{said:?}");
    user.call().exits(0);
}
