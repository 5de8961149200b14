//! A user with an empty home, at servers that quote all that they are sent.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;

use tempfile::TempDir;

use crate::authority::{Authority, CLIENT};
use crate::canary::Canaries;

/// What a run came to.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: Vec<u8>,
    pub(crate) err: Vec<u8>,
}

pub(crate) struct User {
    home: TempDir,
    pub(crate) authority: Authority,
    pub(crate) canaries: Canaries,
    /// What stands in every environment of this user.
    environment: Vec<(&'static str, OsString)>,
    /// What every run is started by.
    before: Vec<OsString>,
    /// The first word of each run.
    used: Mutex<BTreeSet<String>>,
}

impl User {
    pub(crate) fn new(store: &str) -> Self {
        let canaries = Canaries::default();
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name).into_os_string();
        fs::create_dir(home.path().join("tmp")).unwrap();
        let mut environment = vec![
            ("HOME", home.path().into()),
            ("PATH", std::env::var_os("PATH").unwrap_or_default()),
            ("TMPDIR", at("tmp")),
            ("XDG_CACHE_HOME", at("cache")),
            ("XDG_CONFIG_HOME", at("config")),
            ("XDG_DATA_HOME", at("data")),
            ("XDG_RUNTIME_DIR", at("runtime")),
            // As loud as it gets, by every name that one may try.
            ("REGRANT_LOG", "trace,hyper=trace,reqwest=trace,sqlx=trace,zbus=trace".into()),
            ("RUST_LOG", "trace".into()),
            ("RUST_BACKTRACE", "full".into()),
        ];
        if !store.is_empty() {
            environment.push((
                "REGRANT_STORE",
                store.replace("HOME", home.path().to_str().unwrap()).into(),
            ));
        }
        Self {
            authority: Authority::start(&canaries),
            home,
            canaries,
            environment,
            before: Vec::new(),
            used: Mutex::default(),
        }
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// One more variable of the environment.
    pub(crate) fn with(&mut self, name: &'static str, value: impl Into<OsString>) {
        self.environment.push((name, value.into()));
    }

    /// Every run is started by this program.
    pub(crate) fn run_by(&mut self, before: Vec<OsString>) {
        self.before = before;
    }

    pub(crate) fn used(&self) -> BTreeSet<String> {
        self.used.lock().unwrap().clone()
    }

    /// A file of the user's own, outside the home that is searched.
    pub(crate) fn file(&self, folder: &TempDir, name: &str, text: &str) -> String {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The command with these arguments, and with `lines` to be read on descriptor 3.
    pub(crate) fn command(&self, arguments: &[&str], lines: &str) -> Command {
        self.used.lock().unwrap().insert(arguments[0].to_owned());
        // The shell is not the command's child, and its here-document stands in no argument of it.
        let mut command = Command::new("sh");
        let script = "exec 3<\"$1\"; rm \"$1\"; shift; exec \"$@\"";
        let handed = self.home().join("tmp/handed");
        fs::write(&handed, format!("{lines}\n")).unwrap();
        command.args(["-c", script, "sh"]).arg(handed).args(&self.before);
        command.arg(env!("CARGO_BIN_EXE_regrant")).args(arguments).arg("--debug");
        command.env_clear().envs(self.environment.iter().cloned());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn finished(mut child: Child, input: &str) -> Ran {
        let mut pipe = child.stdin.take().unwrap();
        // A command that fails before it reads closes the pipe.
        let _ = pipe.write_all(input.as_bytes());
        drop(pipe);
        let output = child.wait_with_output().unwrap();
        Ran { code: output.status.code(), out: output.stdout, err: output.stderr }
    }

    /// Runs it; nothing secret may be in what it prints.
    #[track_caller]
    pub(crate) fn run_handed(&self, arguments: &[&str], input: &str, lines: &str) -> Ran {
        let ran = Self::finished(self.command(arguments, lines).spawn().unwrap(), input);
        self.silent(arguments, &ran.out);
        self.silent(arguments, &ran.err);
        ran
    }

    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str], input: &str) -> Ran {
        self.run_handed(arguments, input, "")
    }

    #[track_caller]
    fn silent(&self, arguments: &[&str], bytes: &[u8]) {
        self.canaries.assert_absent(&format!("what {arguments:?} prints"), bytes);
    }

    /// Runs what prints these secrets where they are its answer; its standard error may hold none.
    #[track_caller]
    pub(crate) fn run_for(&self, arguments: &[&str], input: &str, answer: &[&str]) -> Ran {
        let ran = Self::finished(self.command(arguments, "").spawn().unwrap(), input);
        self.silent(arguments, &ran.err);
        let seen = self.canaries.searcher().sightings(&ran.out);
        assert!(seen.iter().all(|one| answer.contains(&one.what.as_str())), "{seen:?}");
        ran
    }

    /// Runs what prints an access token, which it must.
    #[track_caller]
    pub(crate) fn run_for_a_token(&self, arguments: &[&str]) {
        let ran = self.run_for(arguments, "", &["access token"]);
        assert_eq!(ran.code, Some(0), "{}", String::from_utf8_lossy(&ran.err));
        assert!(!self.canaries.searcher().sightings(&ran.out).is_empty(), "{arguments:?}");
    }

    /// A login whose user does in a browser what the command asks for. What it prints is the URL,
    /// with the state in it.
    pub(crate) fn log_in(&self, arguments: &[&str]) -> Ran {
        let mut child = self.command(arguments, "").spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut err = Vec::new();
        let mut line = Vec::new();
        while said.read_until(b'\n', &mut line).unwrap() > 0 {
            err.append(&mut line.clone());
            let text = String::from_utf8(std::mem::take(&mut line)).unwrap();
            if let Some(url) =
                text.trim().strip_prefix("http").filter(|url| url.contains("code_challenge"))
            {
                let url = format!("http{url}");
                thread::spawn(move || browse(&browse(&url).unwrap()));
                break;
            }
        }
        said.read_to_end(&mut err).unwrap();
        let output = child.wait_with_output().unwrap();
        let ran = Ran { code: output.status.code(), out: output.stdout, err };
        let searcher = self.canaries.searcher();
        searcher.assert_absent("the output of a login", &ran.out);
        let mut seen = searcher.sightings(&ran.err);
        // The URL is there to be opened.
        seen.retain(|one| !matches!(one.what.as_str(), "state" | "complete URI"));
        assert!(seen.is_empty(), "{arguments:?}: {seen:?}");
        ran
    }

    /// `import`, with a client secret from a file.
    pub(crate) fn import(&self, secret: &str) -> Ran {
        let response = serde_json::json!({
            "access_token": self.canaries.token("access token"),
            "refresh_token": self.canaries.token("refresh token"),
            "token_type": "Bearer",
            "expires_in": 3_600,
            "id_token": self.canaries.token("ID token"),
        });
        let (token, revoke) = (self.authority.url("/token"), self.authority.url("/revoke"));
        let api = self.authority.origin();
        let arguments = [
            "import",
            "--token-endpoint",
            &token,
            "--client-id",
            CLIENT,
            "--api",
            &api,
            "--revocation-endpoint",
            &revoke,
            "--client-secret-file",
            secret,
        ];
        self.run(&arguments, &response.to_string())
    }

    /// Nothing secret is in any file under the home, but for the key file, which is the key.
    #[track_caller]
    pub(crate) fn files_are_silent(&self) {
        let searcher = self.canaries.searcher();
        let found = files(self.home());
        assert!(!found.is_empty());
        for file in found {
            searcher.assert_absent(&file.display().to_string(), fs::read(&file).unwrap());
        }
    }
}

/// Goes there as a browser does; gives where it is sent.
fn browse(url: &str) -> Option<String> {
    let url = url::Url::parse(url).unwrap();
    let address = (url.host_str().unwrap(), url.port().unwrap());
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let target = &url[url::Position::BeforePath..];
    write!(stream, "GET {target} HTTP/1.1\r\nhost: loopback\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    // The listener closes as soon as it has what it waits for.
    let _ = stream.read_to_string(&mut answer);
    answer.lines().find_map(|line| line.strip_prefix("location: ")).map(str::to_owned)
}

/// All files below a folder. Sockets and the like are none.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}
