//! The processes of a law: how they are started, and how they and the law talk.
//!
//! A process reports in lines of its stderr that begin with [`MARK`], since libtest writes to
//! stdout; whatever else stands there is kept for the message of a law that is broken. It is told
//! what to do next in lines of its stdin.

use std::io::{BufRead, BufReader, Write as _};
use std::path::PathBuf;
use std::pin::Pin;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::ProcessPlace;

/// What a process of a law is to do.
const PART: &str = "REGRANT_LAW_PART";
/// Where.
const PLACE: &str = "REGRANT_LAW_PLACE";
/// With what.
const WITH: &str = "REGRANT_LAW_WITH";

/// Set when every part must be there: what would be left out then fails.
const REQUIRE_ALL: &str = "REGRANT_REQUIRE_ALL_PARTS";

/// What a process says each time that it finds the place locked.
pub(super) const REFUSED: &str = "refused: the place is locked";

/// Begins every report.
const MARK: &str = "law: ";

/// Whoever is silent for so long is stuck: the longest part takes a few seconds on two cores.
const DEADLINE: Duration = Duration::from_secs(60);

/// A place in the making.
pub type Making<P> = Pin<Box<dyn Future<Output = P>>>;

/// The host on which the processes of a law run. The suites make it.
#[derive(Debug)]
pub struct Host<P> {
    make: fn() -> Making<P>,
    child: String,
}

impl<P: ProcessPlace> Host<P> {
    /// Makes places so, and starts processes as the test `child_of_a_law` of this module
    /// ([`module_path!`]), which calls the function of that name of the suite.
    pub fn new(make: fn() -> Making<P>, module: &str) -> Self {
        // libtest leaves out the name of the crate.
        let within = module.split_once("::").map(|(_, within)| format!("{within}::"));
        Self { make, child: format!("{}child_of_a_law", within.unwrap_or_default()) }
    }

    /// A fresh place.
    pub(crate) async fn place(&self) -> P {
        (self.make)().await
    }

    /// Starts a process that plays this part at this place, and waits until it is ready. It does
    /// nothing then until it is told to go.
    pub(crate) fn ready(&self, place: &P, part: &str, with: &str) -> Process {
        let process = self.start(place, part, with);
        process.reports("ready");
        process
    }

    /// So many at once.
    pub(crate) fn crowd(&self, place: &P, part: &str, count: usize) -> Vec<Process> {
        let start = |index: usize| self.start(place, part, &index.to_string());
        let crowd: Vec<_> = (0..count).map(start).collect();
        for process in &crowd {
            process.reports("ready");
        }
        crowd
    }

    fn start(&self, place: &P, part: &str, with: &str) -> Process {
        let mut command = Command::new(this_program());
        command.args(["--exact", &self.child, "--nocapture", "--test-threads=1"]);
        command.env(PART, part).env(PLACE, place.address()).env(WITH, with);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        Process::started(&mut command, MARK)
    }
}

/// The test binary that runs, also if another has been built in its place.
fn this_program() -> PathBuf {
    if cfg!(target_os = "linux") {
        return "/proc/self/exe".into();
    }
    std::env::current_exe().expect("a test knows its own path")
}

/// A process of a law. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    heard: Receiver<String>,
    /// What it said beside its reports.
    said: Arc<Mutex<String>>,
}

impl Process {
    /// Starts it. Its reports are the lines with this mark.
    pub(super) fn started(command: &mut Command, mark: &'static str) -> Self {
        let mut child = command.spawn().expect("a program that is there can be started");
        let input = child.stdin.take();
        let output = child.stderr.take().expect("stderr is a pipe");
        let (send, heard) = channel();
        let said = Arc::default();
        let copy = Arc::clone(&said);
        std::thread::spawn(move || listen(BufReader::new(output), mark, &send, &copy));
        Self { child, input, heard, said }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next report; `None` when it has ended.
    pub(crate) fn report(&self) -> Option<String> {
        match self.heard.recv_timeout(DEADLINE) {
            Ok(report) => Some(report),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("a process is stuck: {}", self.said()),
        }
    }

    /// Expects the next report to be this.
    #[track_caller]
    pub(crate) fn reports(&self, expected: &str) {
        let report = self.report();
        assert_eq!(report.as_deref(), Some(expected), "a process has failed: {}", self.said());
    }

    /// Its next report within this time, if there is one.
    pub(crate) fn reports_within(&self, time: Duration) -> Option<String> {
        self.heard.recv_timeout(time).ok()
    }

    /// Tells it what to do next. One that has ended does not hear it, which its reports show.
    pub(crate) fn tell(&mut self, line: &str) {
        if let Some(input) = &mut self.input {
            let _ = input.write_all(format!("{line}\n").as_bytes());
        }
    }

    /// Kills it, and gives what it reported until then.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.child.kill().expect("a process of ours can be killed");
        self.remaining()
    }

    /// Expects it to end well, and gives what it reported until then.
    #[track_caller]
    pub(crate) fn ended(mut self) -> Vec<String> {
        let reports = self.remaining();
        let status = self.child.wait().expect("a process of ours can be waited for");
        assert!(status.success(), "a process has failed: {status}: {}", self.said());
        // No failure, but not for nobody to know.
        self.said().lines().filter(|line| *line == REFUSED).for_each(said);
        reports
    }

    /// Waits until it has ended, one way or the other. It is told nothing any more.
    pub(super) fn remaining(&mut self) -> Vec<String> {
        self.input = None;
        let reports = std::iter::from_fn(|| self.report()).collect();
        let _ = self.child.wait();
        reports
    }

    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sorts what a process writes, until it has ended.
fn listen(output: impl BufRead, mark: &str, reports: &Sender<String>, said: &Mutex<String>) {
    for line in output.lines().map_while(Result::ok) {
        match line.strip_prefix(mark) {
            Some(report) => drop(reports.send(report.to_owned())),
            None => {
                let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                said.push_str(&line);
                said.push('\n');
            }
        }
    }
}

/// What a process of a law is asked: its part, the address of the place, and one word more. `None`
/// for a test that nobody asks anything.
pub(crate) fn asked() -> Option<(String, String, String)> {
    let part = std::env::var(PART).ok()?;
    let asked = |name| std::env::var(name).expect("who starts a process tells it everything");
    Some((part, asked(PLACE), asked(WITH)))
}

/// Reports. In one write, so that a killed process has reported all of a line or nothing.
///
/// A write that fails is tried again: in the law of the full disk, that may be the one that
/// fails.
pub(crate) fn told(report: &str) {
    let line = format!("{MARK}{report}\n");
    let mut written = std::io::stderr().write_all(line.as_bytes());
    if written.is_err() {
        written = std::io::stderr().write_all(line.as_bytes());
    }
    written.expect("the law listens");
}

/// Waits for the next line that the law tells; `None` if there will be no more.
pub(crate) fn hears() -> Option<String> {
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line);
    read.ok().filter(|read| *read > 0).map(|_| line.trim_end().to_owned())
}

/// Says that a law, or a part of it, is not tested here; fails where that must not be.
pub(crate) fn left_out(what: &str, missing: &str) {
    assert!(std::env::var_os(REQUIRE_ALL).is_none(), "{what} cannot be tested: {missing}");
    said(&format!("left out: {what}: {missing}"));
}

/// Says something that libtest does not swallow.
pub(crate) fn said(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}
