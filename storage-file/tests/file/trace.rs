//! What a process asks of the file system, as strace saw it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{CHILD, WHAT};

/// One call that was done and that changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Mkdir(PathBuf),
    /// A file was opened that may have been new.
    Create(PathBuf),
    Write(PathBuf, Vec<u8>),
    Sync(PathBuf),
    Link(PathBuf, PathBuf),
    Rename(PathBuf, PathBuf),
    Unlink(PathBuf),
}

impl Call {
    /// The call and the ends of the names in it, for people.
    pub(crate) fn summary(&self) -> String {
        let end = |path: &PathBuf| match path.extension() {
            Some(end) => end.to_string_lossy().into_owned(),
            None => "folder".to_owned(),
        };
        match self {
            Self::Mkdir(path) => format!("mkdir {}", end(path)),
            Self::Create(path) => format!("create {}", end(path)),
            Self::Write(path, _) => format!("write {}", end(path)),
            Self::Sync(path) => format!("sync {}", end(path)),
            Self::Link(from, to) => format!("link {} {}", end(from), end(to)),
            Self::Rename(from, to) => format!("rename {} {}", end(from), end(to)),
            Self::Unlink(path) => format!("unlink {}", end(path)),
        }
    }
}

/// Whether strace is there. If not, this is said, and is a failure where every part is required.
pub(crate) fn is_there() -> bool {
    let found = Command::new("strace").arg("-V").stdout(Stdio::null()).status();
    if found.is_ok_and(|status| status.success()) {
        return true;
    }
    left_out("strace is missing; it shows and breaks the system calls of a save");
    false
}

/// Says what is left out and why; a failure where every part is required.
#[expect(clippy::print_stderr, reason = "what is left out is said aloud")]
pub(crate) fn left_out(what: &str) {
    assert!(std::env::var_os("REGRANT_REQUIRE_ALL_PARTS").is_none(), "left out: {what}");
    eprintln!("left out: {what}");
}

/// This test binary again under strace with these options, to run the tests of this name, with
/// this to do and this to work on.
pub(crate) fn strace<'a>(
    options: impl IntoIterator<Item = &'a str>,
    test: &[&str],
    what: &str,
    on: &Path,
) -> Command {
    let mut command = Command::new("strace");
    // Calls of no interest run at full speed.
    command.args(["--follow-forks", "--seccomp-bpf", "--quiet=all"]);
    command.args(options).arg(std::env::current_exe().unwrap()).args(test);
    command.env(CHILD, on).env(WHAT, what).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The calls of a child under this folder, in order, and the log they were read from.
pub(crate) fn record(test: &str, what: &str, on: &Path, below: &Path) -> (Vec<Call>, String) {
    let log = tempfile::NamedTempFile::new().unwrap();
    let to = log.path().to_str().unwrap();
    let calls = "trace=openat,mkdir,write,pwrite64,ftruncate,fsync,fdatasync,\
                 link,linkat,rename,renameat,renameat2,unlink,unlinkat";
    // Strings in full; if one has any byte that is not text, all of it in digits.
    let options = ["-o", to, "-e", calls, "--decode-fds=path", "-x", "-s", "1000000"];
    let test = ["--exact", test, "--nocapture"];
    let status = strace(options, &test, what, on).status().unwrap();
    assert!(status.success(), "the child that was traced has failed");
    let text = std::fs::read_to_string(log.path()).unwrap();
    let calls = parse(&text, below);
    (calls, text)
}

fn parse(log: &str, below: &Path) -> Vec<Call> {
    let mut begun: HashMap<&str, &str> = HashMap::new();
    let mut calls = Vec::new();
    for line in log.lines() {
        let (process, call) = line.split_once(' ').unwrap();
        let call = call.trim_start();
        if let Some(begin) = call.strip_suffix(" <unfinished ...>") {
            begun.insert(process, begin);
            continue;
        }
        let whole = match call.split_once(" resumed>") {
            Some((_, rest)) => format!("{}{rest}", begun.remove(process).unwrap()),
            None => call.to_owned(),
        };
        let Some(call) = parse_call(&whole) else { continue };
        let path = match &call {
            Call::Mkdir(path)
            | Call::Create(path)
            | Call::Write(path, _)
            | Call::Sync(path)
            | Call::Link(path, _)
            | Call::Rename(path, _)
            | Call::Unlink(path) => path,
        };
        if path.starts_with(below) {
            calls.push(call);
        }
    }
    calls
}

fn parse_call(call: &str) -> Option<Call> {
    let (name, rest) = call.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(" = ")?;
    if result.starts_with('-') || result.starts_with('?') {
        return None;
    }
    let paths = || strings(arguments).into_iter().map(|bytes| path(&bytes));
    let mut two = paths().chain([PathBuf::new(), PathBuf::new()]);
    let (one, other) = (two.next()?, two.next()?);
    let file = || {
        let (_, rest) = arguments.split_once('<')?;
        Some(PathBuf::from(rest.split_once('>')?.0))
    };
    Some(match name {
        "mkdir" => Call::Mkdir(one),
        "openat" if arguments.contains("O_CREAT") => Call::Create(one),
        "write" => Call::Write(file()?, strings(arguments).remove(0)),
        "fsync" | "fdatasync" => Call::Sync(file()?),
        "link" | "linkat" => Call::Link(one, other),
        "rename" | "renameat" | "renameat2" => Call::Rename(one, other),
        "unlink" | "unlinkat" => Call::Unlink(one),
        "openat" => return None,
        _ => panic!("a save is not known to do this: {call}"),
    })
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}

/// The strings among the arguments of a call.
fn strings(arguments: &str) -> Vec<Vec<u8>> {
    let quoted = arguments.split('"').skip(1).step_by(2);
    quoted
        .map(|text| match text.strip_prefix("\\x") {
            Some(digits) => {
                digits.split("\\x").map(|two| u8::from_str_radix(two, 16).unwrap()).collect()
            }
            None => text.as_bytes().to_vec(),
        })
        .collect()
}
