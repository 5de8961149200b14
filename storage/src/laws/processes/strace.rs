//! Faults at system calls: `strace`, attached to a process of a law that waits for its start.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs};

use super::host::{Process, left_out};
use super::signals;

/// Whether faults can be injected here; says it where they cannot. `what` is the law.
pub(crate) fn is_there(what: &str) -> bool {
    if !cfg!(target_os = "linux") {
        left_out(what, "system calls are traced on Linux only");
        return false;
    }
    let asked = Command::new("strace").arg("-V").stdout(Stdio::null()).status();
    let is_there = asked.is_ok_and(|status| status.success());
    if !is_there {
        left_out(what, "strace is missing");
    }
    is_there
}

/// In a process of a law: lets another trace it.
pub(crate) fn may_be_traced() {
    // Where nothing forbids it (EINVAL), nothing needs to be allowed.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_ptracer(rustix::process::PTracer::Any);
}

/// An attached `strace`.
#[derive(Debug)]
pub(crate) struct Strace {
    process: Process,
    log: Log,
}

impl Strace {
    /// Attaches to all threads of the process, with these options; `None`, after it was said, if
    /// this host forbids it. Calls are counted from here on, per call and per thread.
    pub(crate) fn attach(to: &Process, what: &str, options: &[String]) -> Option<Self> {
        let log = Log::new();
        let mut command = Command::new("strace");
        // All threads, with the paths of open files and without what is written to them.
        command.args(["-f", "-y", "-s", "0", "-o"]).arg(&log.0);
        command.args(options.iter().flat_map(|option| ["-e", option.as_str()]));
        command.args(["-p", &to.id().to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let process = Process::started(&mut command, "strace: ");
        let answer = process.report().unwrap_or_default();
        if answer.contains("attached") {
            return Some(Self { process, log });
        }
        assert!(answer.contains("not permitted"), "strace: {answer} {}", process.said());
        left_out(what, "this host lets nobody trace");
        None
    }

    /// Lets the process go, if it has not ended, and gives the calls that were traced.
    pub(crate) fn calls(mut self) -> Vec<Call> {
        signals::terminate(&self.process);
        self.process.remaining();
        let log = fs::read_to_string(&self.log.0).expect("strace has written its log");
        calls(&log)
    }
}

/// The file of a log, which goes with this.
#[derive(Debug)]
struct Log(PathBuf);

impl Log {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(env::temp_dir().join(format!("regrant-law-{}-{count}.strace", std::process::id())))
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A system call in a log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// The how manieth of this name in its thread, from 1 on, as `when=` counts.
    pub(crate) nth: usize,
    /// What it was given, and what came of it as far as its line says.
    pub(crate) text: String,
}

impl Call {
    /// Whether it was not made, but given the error that was asked for.
    pub(crate) fn is_injected(&self) -> bool {
        self.text.ends_with("(INJECTED)")
    }
}

/// Reads `1234 fsync(7</tmp/file>) = 0`, and the two halves of a call during which another thread
/// made one.
fn calls(log: &str) -> Vec<Call> {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut calls: Vec<Call> = Vec::new();
    let mut open: BTreeMap<&str, usize> = BTreeMap::new();
    for line in log.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some((_, rest)) = rest.strip_prefix("<... ").and_then(|rest| rest.split_once('>')) {
            if let Some(call) = open.remove(thread) {
                calls[call].text.push_str(rest);
            }
            continue;
        }
        let Some((name, text)) = rest.split_once('(') else { continue };
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            continue;
        }
        let count = counts.entry((thread, name)).or_default();
        *count += 1;
        if text.ends_with("<unfinished ...>") {
            open.insert(thread, calls.len());
        }
        calls.push(Call { name: name.to_owned(), nth: *count, text: text.to_owned() });
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_per_thread_and_name() {
        let log = "\
10 openat(AT_FDCWD</tmp>, \"/tmp/a\", O_RDWR|O_CREAT, 0600) = 7</tmp/a>
10 write(7</tmp/a>, \"\"..., 9 <unfinished ...>
11 write(8</tmp/b>, \"\"..., 9)           = 9
10 <... write resumed>)                   = -1 ENOSPC (No space left on device) (INJECTED)
10 write(7</tmp/a>, \"\"..., 9)           = 9
11 --- SIGCHLD {si_signo=SIGCHLD} ---
11 +++ killed by SIGKILL +++
";
        let calls = calls(log);
        let names: Vec<_> = calls.iter().map(|call| (call.name.as_str(), call.nth)).collect();
        assert_eq!(names, [("openat", 1), ("write", 1), ("write", 1), ("write", 2)]);
        let injected: Vec<_> = calls.iter().map(Call::is_injected).collect();
        assert_eq!(injected, [false, true, false, false]);
    }
}
