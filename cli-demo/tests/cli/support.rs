//! A user with an empty home, and a sandbox.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use regrant_sandbox::{Config, Sandbox, Stats};
use serde_json::Value;
use tempfile::TempDir;

/// What a run of the command came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Standard output, which must be one JSON object.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let value = serde_json::from_str(&self.out);
        value.unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// The `error` of a run with `--json`.
    #[track_caller]
    pub(crate) fn error(&self) -> Value {
        self.json()["error"].clone()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("it was not killed"),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// The kinds of stores that need nothing but a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Folder,
}

/// Makes a test of each function, on each kind of store.
macro_rules! on_every_store {
    ($($(#[$attribute:meta])* $name:ident),* $(,)?) => {
        mod sqlite {
            $($(#[$attribute])* #[test] fn $name() { super::$name(super::Kind::Sqlite); })*
        }
        mod folder {
            $($(#[$attribute])* #[test] fn $name() { super::$name(super::Kind::Folder); })*
        }
    };
}
pub(crate) use on_every_store;

pub(crate) struct User {
    home: TempDir,
    kind: Kind,
    pub(crate) sandbox: Sandbox,
}

impl User {
    pub(crate) fn new(config: Config) -> Self {
        Self::on(Kind::Sqlite, config)
    }

    /// Whose store is of this kind if nothing else is said.
    pub(crate) fn on(kind: Kind, config: Config) -> Self {
        Self { home: tempfile::tempdir().unwrap(), kind, sandbox: Sandbox::start(config).unwrap() }
    }

    /// With the credential of a login, and nothing counted yet.
    pub(crate) fn logged_in(config: Config) -> Self {
        Self::logged_in_on(Kind::Sqlite, config)
    }

    pub(crate) fn logged_in_on(kind: Kind, config: Config) -> Self {
        let user = Self::on(kind, config);
        user.import().exits(0);
        user.sandbox.reset_stats();
        user
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.home().join("data/regrant/credentials.db")
    }

    /// The folder of sealed files.
    pub(crate) fn folder(&self) -> PathBuf {
        self.home().join("data/regrant/credentials")
    }

    /// The file, or one of the files, that a credential lies in.
    pub(crate) fn record(&self) -> PathBuf {
        match self.kind {
            Kind::Sqlite => self.database(),
            Kind::Folder => {
                let records = files(&self.folder()).into_iter().filter(|file| {
                    let name = file.file_name().unwrap().to_str().unwrap();
                    name.ends_with(".rgnt") && name != "data-key.rgnt"
                });
                let records: Vec<_> = records.collect();
                assert_eq!(records.len(), 1, "{records:?}");
                records[0].clone()
            }
        }
    }

    /// The only key file there is.
    pub(crate) fn key_file(&self) -> PathBuf {
        let keys = fs::read_dir(self.home().join("config/regrant/keys")).unwrap();
        let keys: Vec<_> = keys.map(|key| key.unwrap().path()).collect();
        assert_eq!(keys.len(), 1, "{keys:?}");
        keys[0].clone()
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_regrant"));
        self.at_home(&mut command);
        command
    }

    pub(crate) fn at_home(&self, command: &mut Command) {
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("REGRANT_") {
                command.env_remove(name);
            }
        }
        command.env("HOME", self.home());
        command.env("XDG_DATA_HOME", self.home().join("data"));
        command.env("XDG_CONFIG_HOME", self.home().join("config"));
        // The keychain of whoever runs the tests is none of theirs.
        command.env_remove("DBUS_SESSION_BUS_ADDRESS").env_remove("DISPLAY");
        command.env("XDG_RUNTIME_DIR", self.home().join("runtime"));
        if cfg!(any(windows, target_os = "macos")) {
            let key = self.home().join("config/regrant/keys/test.key");
            command.env("REGRANT_KEY", format!("file:{}", key.display()));
        }
        if self.kind == Kind::Folder {
            command.env("REGRANT_STORE", format!("file:{}", self.folder().display()));
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    }

    /// The command with these lines to be read on descriptor 3.
    #[cfg(unix)]
    pub(crate) fn handed(&self, lines: &str) -> Command {
        let mut shell = Command::new("sh");
        self.at_home(&mut shell);
        // A here-document, so that what is handed over stands in no argument list.
        let script = format!("exec \"$0\" \"$@\" 3<<'END'\n{lines}\nEND\n");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_regrant")]);
        shell
    }

    pub(crate) fn run<const N: usize>(&self, arguments: [&str; N]) -> Ran {
        self.command().args(arguments).output().unwrap().into()
    }

    pub(crate) fn start<const N: usize>(&self, arguments: [&str; N]) -> Child {
        self.command().args(arguments).spawn().unwrap()
    }

    /// A call of the API, as one does it.
    pub(crate) fn call(&self) -> Ran {
        self.run(["call", self.api()])
    }

    pub(crate) fn api(&self) -> &str {
        self.sandbox.api_url("api")
    }

    /// The command that imports, without its input.
    pub(crate) fn importing(&self) -> Command {
        self.importing_by(self.command())
    }

    /// The same, run in this way.
    pub(crate) fn importing_by(&self, mut command: Command) -> Command {
        command.args(["import", "--token-endpoint", self.sandbox.token_endpoint()]);
        command.args(["--client-id", "sandbox-client", "--api", self.api()]);
        command.args(["--revocation-endpoint", self.sandbox.revocation_endpoint()]);
        command
    }

    /// A login that is imported in this way.
    pub(crate) fn import_by(&self, command: Command) -> Ran {
        with_input(self.importing_by(command), &self.sandbox.issue().to_string())
    }

    pub(crate) fn import(&self) -> Ran {
        with_input(self.importing(), &self.sandbox.issue().to_string())
    }

    pub(crate) fn status(&self) -> Value {
        self.run(["status", "--json"]).exits(0).json()
    }

    pub(crate) fn stats(&self) -> Stats {
        self.sandbox.stats()
    }

    /// How many token requests and API requests have come.
    pub(crate) fn requests(&self) -> (u64, u64) {
        let stats = self.stats();
        (stats.token_requests, stats.apis.values().map(|api| api.requests).sum())
    }

    /// Waits until the token has expired by the clock here. The command looks at the same clock
    /// for each answer, so this asks until the answer is the one; the token lives a second.
    pub(crate) fn until_expired(&self) {
        for _ in 0..10_000 {
            let printed = self.run(["status"]).exits(0).out;
            let expires = printed.lines().find(|line| line.starts_with("expires")).unwrap();
            // "0s ago" rounds down, so a second has gone by here for certain.
            if expires.contains("ago)") && !expires.contains("(0s ago)") {
                return;
            }
        }
        panic!("the token does not expire");
    }
}

/// Whether these programs are there, each with the Debian package that brings it. If one is not,
/// what is left out is said aloud, or fails where nothing may be left out.
#[cfg(target_os = "linux")]
pub(crate) fn has_parts(what: &str, programs: &[(&str, &str)]) -> bool {
    let is_missing = |(program, _): &&(&str, &str)| !Path::new(program).exists();
    let missing: Vec<_> = programs.iter().filter(is_missing).collect();
    if !missing.is_empty() {
        left_out(what, &format!("{missing:?}"));
    }
    missing.is_empty()
}

/// Says that something is not tested here, and fails where nothing may be left out.
#[cfg(target_os = "linux")]
#[expect(clippy::print_stderr, reason = "what is left out must be seen")]
pub(crate) fn left_out(what: &str, missing: &str) {
    let said = format!("left out: {what}, missing {missing}");
    assert!(std::env::var_os("REGRANT_REQUIRE_ALL_PARTS").is_none(), "{said}");
    eprintln!("{said}");
}

/// What makes system calls fail, or seem to succeed, with the Debian package that brings it.
#[cfg(target_os = "linux")]
pub(crate) const STRACE: (&str, &str) = ("/usr/bin/strace", "strace");

/// A run of the command whose system calls are changed as these options of strace say.
#[cfg(target_os = "linux")]
pub(crate) fn under_strace(user: &User, options: &[&str], arguments: &[&str]) -> Ran {
    traced(user, options).args(arguments).output().unwrap().into()
}

/// The command with changed system calls, without its arguments. What it does is in no log.
#[cfg(target_os = "linux")]
pub(crate) fn traced(user: &User, options: &[&str]) -> Command {
    let mut command = Command::new(STRACE.0);
    user.at_home(&mut command);
    command.args(["-f", "-qq", "-o", "/dev/null"]);
    command.args(options.iter().flat_map(|option| ["-e", option]));
    command.arg(env!("CARGO_BIN_EXE_regrant"));
    command
}

pub(crate) fn with_input(mut command: Command, input: &str) -> Ran {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    // A command that fails before it reads closes the pipe.
    let _ = pipe.write_all(input.as_bytes());
    drop(pipe);
    child.wait_with_output().unwrap().into()
}

pub(crate) fn finished(child: Child) -> Ran {
    child.wait_with_output().unwrap().into()
}

/// Runs a wait of the sandbox.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// All files below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// SplitMix64.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}
