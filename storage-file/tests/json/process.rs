//! Processes: this test binary again, in a part. They report in lines of stdout and are told what
//! to do next in lines of stdin.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use regrant_core::{Over, Record};
use regrant_storage::{Kept, TokenStore as _};

use crate::support::*;

const PART: &str = "REGRANT_TEST_PART";
const FILE: &str = "REGRANT_TEST_FILE";

/// Begins every report, since libtest writes to the same stream.
const MARK: &str = "reports: ";

/// Whoever is silent for so long is stuck: the longest part takes a few seconds on two cores.
const DEADLINE: Duration = Duration::from_secs(60);

/// Says that a test, or a part of it, is left out; fails where that must not be.
pub(crate) fn left_out(what: &str, missing: &str) {
    let required = std::env::var_os("REGRANT_REQUIRE_ALL_PARTS").is_some();
    assert!(!required, "{what} cannot be tested: {missing}");
    said(&format!("left out: {what}: {missing}"));
}

/// Says something that libtest does not swallow.
pub(crate) fn said(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// A process in this part, on this file.
pub(crate) fn part(part: &str, file: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "process::plays_its_part", "--nocapture", "--test-threads=1"]);
    command.env(PART, part).env(FILE, file);
    command
}

/// A process that runs. It is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    input: ChildStdin,
    reports: Receiver<String>,
    errors: Receiver<String>,
}

impl Process {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let reports = lines(child.stdout.take().unwrap(), |line| {
            line.split_once(MARK).map(|(_, report)| report.to_owned())
        });
        let errors = lines(child.stderr.take().unwrap(), |line| Some(line.to_owned()));
        Self { input: child.stdin.take().unwrap(), child, reports, errors }
    }

    /// The next report; `None` when there will be no more.
    pub(crate) fn report(&self) -> Option<String> {
        next(&self.reports)
    }

    #[track_caller]
    pub(crate) fn reports(&self, expected: &str) {
        assert_eq!(self.report().as_deref(), Some(expected));
    }

    /// Lets a process go on that was stopped.
    #[cfg(target_os = "linux")]
    pub(crate) fn go_on(pid: u32) {
        let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
    }

    /// Waits for a line on stderr with this in it; `false` if there is none.
    pub(crate) fn writes(&self, text: &str) -> bool {
        std::iter::from_fn(|| next(&self.errors)).any(|line| line.contains(text))
    }

    pub(crate) fn tell(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// All further reports, once it has ended well.
    pub(crate) fn ended(mut self) -> Vec<String> {
        let reports: Vec<_> = std::iter::from_fn(|| self.report()).collect();
        let status = self.child.wait().unwrap();
        let errors: Vec<_> = std::iter::from_fn(|| next(&self.errors)).collect();
        assert!(status.success(), "{status}: {}", errors.join("\n"));
        reports
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn next(lines: &Receiver<String>) -> Option<String> {
    match lines.recv_timeout(DEADLINE) {
        Ok(line) => Some(line),
        Err(RecvTimeoutError::Disconnected) => None,
        Err(RecvTimeoutError::Timeout) => panic!("a process is stuck"),
    }
}

fn lines(
    from: impl Read + Send + 'static,
    which: impl Fn(&str) -> Option<String> + Send + 'static,
) -> Receiver<String> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if let Some(line) = which(&line)
                && send.send(line).is_err()
            {
                break;
            }
        }
    });
    receive
}

fn reports(report: &str) {
    // In one write, so that what is heard is a whole report; and once more, if it was this one
    // that was to fail.
    let line = format!("{MARK}{report}\n");
    let mut out = std::io::stdout();
    out.write_all(line.as_bytes()).or_else(|_| out.write_all(line.as_bytes())).unwrap();
}

fn hears() -> String {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

#[tokio::test]
async fn plays_its_part() {
    let Ok(part) = std::env::var(PART) else { return };
    let file = PathBuf::from(std::env::var_os(FILE).unwrap());
    let words: Vec<&str> = part.split(' ').collect();
    match words.as_slice() {
        ["notes", name] => save_notes(&file, name).await,
        ["refreshes", name] => save_tokens(&file, name).await,
        ["saves"] => save_once(&file).await,
        ["loads"] => load_once(&file).await,
        ["rewrites", way, count] => rewrite(&file, way, count.parse().unwrap()),
        ["tears"] => tear(&file),
        ["reads"] => {
            let found: serde_json::Value =
                serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
            reports(&found["oauth"].to_string());
        }
        _ => panic!("nobody plays {part}"),
    }
}

/// How often each of regrant's processes saves.
pub(crate) const SAVES: usize = 20;

/// Saves facts, each time over what is there, and counts those that were done in the record.
async fn save_notes(file: &Path, name: &str) {
    reports("ready");
    hears();
    let store = open(file).await;
    let mut saved = 0;
    while saved < SAVES {
        let found = match store.load(ACCOUNT).await {
            Ok(found) => found.expect("somebody is logged in all the time"),
            Err(error) => return reports(&format!("error {} {error}", error.kind())),
        };
        let mut record = found.record.clone();
        record.unknown.insert(name.to_owned(), (saved + 1).into());
        match store.save(ACCOUNT, &record, &at(&found)).await {
            Ok(Kept::Done(_)) => saved += 1,
            Ok(Kept::Mismatch(_)) => {}
            Err(error) => return reports(&format!("error {} {error}", error.kind())),
        }
    }
    reports("done");
}

/// Saves new tokens, each time over what is there, and says over which.
async fn save_tokens(file: &Path, name: &str) {
    reports("ready");
    hears();
    let store = open(file).await;
    let mut saved = 0;
    while saved < SAVES {
        let found = match store.load(ACCOUNT).await {
            Ok(found) => found.expect("somebody is logged in all the time"),
            Err(error) => return reports(&format!("error {} {error}", error.kind())),
        };
        let new = format!("own-{name}-{saved}");
        match store.save(ACCOUNT, &refreshed(&found.record, &new), &at(&found)).await {
            Ok(Kept::Done(_)) => {
                reports(&format!("saved {new} over {}", token(&found.record)));
                saved += 1;
            }
            Ok(Kept::Mismatch(_)) => {}
            Err(error) => return reports(&format!("error {} {error}", error.kind())),
        }
    }
}

/// Loads, waits, and saves the next tokens over what it loaded then.
async fn save_once(file: &Path) {
    let store = open(file).await;
    let found = store.load(ACCOUNT).await.unwrap().unwrap();
    let next: Record = refreshed(&found.record, "own-next");
    wait_to_be_disturbed();
    match store.save(ACCOUNT, &next, &at(&found)).await {
        Ok(Kept::Done(_)) => reports("done"),
        Ok(Kept::Mismatch(Some(found))) => reports(&format!("mismatch {}", token(&found.record))),
        Ok(Kept::Mismatch(None)) => reports("mismatch"),
        Err(error) => reports(&format!("{} {:?} {error}", error.kind(), error.outcome())),
    }
}

/// Waits, and loads for the first time.
async fn load_once(file: &Path) {
    let store = open(file).await;
    wait_to_be_disturbed();
    let found = store.load(ACCOUNT).await.unwrap().unwrap().record;
    reports(&format!("{} {}", found.incarnation, found.generation));
}

fn wait_to_be_disturbed() {
    // Where nothing forbids it, nothing needs to be allowed.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_ptracer(rustix::process::PTracer::Any);
    reports(&format!("ready {}", std::process::id()));
    hears();
}

/// The other program: reads its file now and then, and writes it with its next tokens.
fn rewrite(file: &Path, way: &str, count: usize) {
    reports("ready");
    hears();
    for number in 1..=count {
        write(file, way, &format!("foreign-{number}"));
    }
    reports(&format!("foreign-{count}"));
}

/// Writes the file as programs do: over itself, or from a draft.
pub(crate) fn write(file: &Path, way: &str, token: &str) {
    match way {
        "in-place" => fs::write(file, written(token)).unwrap(),
        "renamed" => {
            let draft = file.with_extension("draft");
            fs::write(&draft, written(token)).unwrap();
            fs::rename(&draft, file).unwrap();
        }
        _ => panic!("nobody writes {way}"),
    }
}

/// The other program in the middle of writing, until it is told to go on.
fn tear(file: &Path) {
    let text = written("foreign-torn");
    let (first, second) = text.split_at(text.len() / 2);
    let mut file = fs::File::create(file).unwrap();
    file.write_all(first.as_bytes()).unwrap();
    reports("torn");
    hears();
    file.write_all(second.as_bytes()).unwrap();
    reports("whole");
}

/// Whether system calls can be disturbed here. Says what is left out where they cannot.
pub(crate) fn strace_is_there(what: &str) -> bool {
    let asked = Command::new("strace").arg("-V").stdout(Stdio::null()).status();
    let is_there = cfg!(target_os = "linux") && asked.is_ok_and(|status| status.success());
    if !is_there {
        left_out(what, "strace is missing");
    }
    is_there
}

/// A process that has loaded and will save, and the `strace` that disturbs it.
pub(crate) fn disturbed(file: &Path, call: &str, how: &str) -> Option<(Process, Process, u32)> {
    disturbed_in("saves", file, call, how)
}

/// A process in a part that waits, to one kind of whose system calls `strace` does this
/// (`signal=KILL:when=2`, `error=ENOSPC`) from here on, counting for each thread. `None`, after it
/// was said, if this host lets nobody trace.
pub(crate) fn disturbed_in(
    part_of_it: &str,
    file: &Path,
    call: &str,
    how: &str,
) -> Option<(Process, Process, u32)> {
    let process = Process::start(part(part_of_it, file));
    let ready = process.report().unwrap();
    let pid = ready.strip_prefix("ready ").unwrap();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-p", pid, "-e", &format!("trace={call}")]);
    strace.args(["-e", &format!("inject={call}:{how}")]);
    let strace = Process::start(strace);
    match next(&strace.errors).unwrap_or_default() {
        answer if answer.contains("attached") => Some((process, strace, pid.parse().unwrap())),
        answer => {
            assert!(answer.contains("not permitted"), "strace: {answer}");
            left_out("a save that is disturbed", "this host lets nobody trace");
            None
        }
    }
}

/// What is in the file now, to the other program.
pub(crate) fn token_in(file: &Path) -> String {
    let found: serde_json::Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let access = found["oauth"]["access"].as_str().unwrap();
    access.strip_suffix(" access").unwrap().to_owned()
}

/// The record that is there now, in this process.
pub(crate) async fn loaded(file: &Path) -> Record {
    open(file).await.load(ACCOUNT).await.unwrap().unwrap().record
}

/// Saves further, as whoever comes next does.
pub(crate) async fn save_further(file: &Path) {
    let store = open(file).await;
    let found = store.load(ACCOUNT).await.unwrap();
    let (next, over) = match &found {
        Some(found) => (login(9, Some(&found.record)), at(found)),
        None => (login(9, None), Over::Absent),
    };
    done(store.save(ACCOUNT, &next, &over).await.unwrap());
    assert_same(&loaded(file).await, &next);
}
