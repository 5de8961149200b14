//! A process that uses the ring, with an environment of its own, and an end. It is asked for one
//! thing after another, line by line.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::service::{LONG, SecretService, lines};

/// What it runs in: `none`, `current_thread` or `multi_thread`.
pub(crate) const RUNTIME: &str = "REGRANT_TEST_RUNTIME";
/// The deadline of its ring in milliseconds.
pub(crate) const DEADLINE: &str = "REGRANT_TEST_DEADLINE";
/// Where it writes what all have to say.
pub(crate) const LOG: &str = "REGRANT_TEST_LOG";
/// What its answers begin with; the test framework says things too.
pub(crate) const ANSWER: &str = "answer: ";

/// Such a process, as the test sees it.
pub(crate) struct Client {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Client {
    /// In this session, with no runtime and a deadline that no test comes to.
    pub(crate) fn of(session: &SecretService) -> Self {
        Self::with(session, "none", LONG)
    }

    pub(crate) fn with(session: &SecretService, runtime: &str, deadline: Duration) -> Self {
        Self::start(&mut Self::command(session, runtime, deadline))
    }

    fn command(session: &SecretService, runtime: &str, deadline: Duration) -> Command {
        let mut command = session.command(std::env::current_exe().unwrap());
        command.args(["--exact", "child::child", "--nocapture"]);
        command.env(RUNTIME, runtime).env(DEADLINE, deadline.as_millis().to_string());
        command
    }

    /// One that writes into a file whatever it and its libraries have to say.
    pub(crate) fn logging(session: &SecretService, log: &Path) -> Self {
        let mut command = Self::command(session, "none", LONG);
        command.env(LOG, log);
        Self::start(&mut command)
    }

    fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take();
        let lines = lines(child.stdout.take().unwrap());
        Self { child, input, lines }
    }

    /// Says it, without waiting for the answer.
    pub(crate) fn say(&mut self, words: &str) {
        writeln!(self.input.as_mut().unwrap(), "{words}").unwrap();
    }

    /// What it answers next.
    pub(crate) fn answer(&mut self) -> String {
        loop {
            let line = self.lines.recv_timeout(LONG).expect("an answer in time");
            // The name of the test stands before the first one.
            if let Some((_, answer)) = line.split_once(ANSWER) {
                return answer.to_owned();
            }
        }
    }

    pub(crate) fn ask(&mut self, words: &str) -> String {
        self.say(words);
        self.answer()
    }

    /// The name of a key that it makes.
    pub(crate) fn create(&mut self) -> String {
        let answer = self.ask("create");
        let (name, source) = answer.split_once(' ').unwrap();
        assert_eq!(source, "keychain", "{answer}");
        name.to_owned()
    }

    /// Ends it as a program ends that has nothing more to do.
    pub(crate) fn end(mut self) {
        drop(self.input.take());
        loop {
            match self.lines.recv_timeout(LONG) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(error) => panic!("it does not end: {error}"),
            }
        }
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
