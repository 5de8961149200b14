//! Signals to the processes of a law, where there are signals.

use super::host::Process;

/// Stops it, and says whether that can be done here.
pub(crate) fn stop(process: &Process) -> bool {
    system::send(process.id(), system::STOP)
}

/// Lets one that was stopped go on.
pub(crate) fn go_on(process: &Process) {
    assert!(system::send(process.id(), system::CONT), "what was stopped can go on");
}

/// Asks it to end.
pub(crate) fn terminate(process: &Process) {
    system::send(process.id(), system::TERM);
}

/// Kills a process that may not be our child, if it is still there.
pub(crate) fn kill(process: u32) {
    system::send(process, system::KILL);
}

/// Whether it is still there.
pub(crate) fn lives(process: u32) -> bool {
    system::lives(process)
}

#[cfg(unix)]
mod system {
    use rustix::process::{Pid, Signal, kill_process, test_kill_process};

    pub(super) const STOP: Signal = Signal::STOP;
    pub(super) const CONT: Signal = Signal::CONT;
    pub(super) const TERM: Signal = Signal::TERM;
    pub(super) const KILL: Signal = Signal::KILL;

    pub(super) fn send(process: u32, signal: Signal) -> bool {
        kill_process(pid(process), signal).is_ok()
    }

    pub(super) fn lives(process: u32) -> bool {
        test_kill_process(pid(process)).is_ok()
    }

    fn pid(process: u32) -> Pid {
        let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
        pid.expect("a process id is positive")
    }
}

#[cfg(not(unix))]
mod system {
    pub(super) const STOP: () = ();
    pub(super) const CONT: () = ();
    pub(super) const TERM: () = ();
    pub(super) const KILL: () = ();

    pub(super) fn send(_: u32, (): ()) -> bool {
        false
    }

    pub(super) fn lives(_: u32) -> bool {
        false
    }
}
