//! The demo's processes, as the demo sees them: this same program, started again.

use std::process::Stdio;
use std::time::Duration;

use regrant::StateKind;
use serde::Serialize;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::timeout;

use super::says::{Order, Said, StateName, Task};
use super::trouble::Trouble;

/// The hidden command that makes this program a worker.
pub(crate) const WORKER: &str = "demo-worker";

/// Processes start, answer and end within this: 60 s, for machines with much else to do.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// What was heard of a process: a word, or nothing any more.
#[derive(Debug)]
pub(super) struct Heard {
    /// From 0.
    pub(super) process: usize,
    pub(super) said: Option<Said>,
}

/// Running processes. They are killed when this is dropped.
#[derive(Debug)]
pub(super) struct Processes {
    running: Vec<Process>,
    /// The state that each found in the store.
    pub(super) found: Vec<Option<StateKind>>,
    heard: UnboundedReceiver<Heard>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    input: Option<ChildStdin>,
}

impl Processes {
    /// Starts so many processes with one task, and waits until each has opened its credential.
    pub(super) async fn start(count: usize, task: &Task) -> Result<Self, Trouble> {
        let program = std::env::current_exe().map_err(Trouble::Spawn)?;
        let (ears, heard) = mpsc::unbounded_channel();
        let mut running = Vec::new();
        for number in 0..count {
            let mut child = Command::new(&program)
                .arg(WORKER)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .map_err(Trouble::Spawn)?;
            let input = child.stdin.take();
            if let Some(output) = child.stdout.take() {
                tokio::spawn(listen(number, output, ears.clone()));
            }
            running.push(Process { child, input });
        }
        let mut processes = Self { running, found: vec![None; count], heard };
        processes.write(task).await?;
        let mut ready = 0;
        while ready < count {
            let heard = processes.next("the start of the processes").await?;
            match heard.said {
                Some(Said::Ready { state }) => {
                    processes.found[heard.process] = state.map(|StateName(state)| state);
                    ready += 1;
                }
                Some(_) => {}
                None => return Err(Trouble::Ended { process: heard.process + 1 }),
            }
        }
        Ok(processes)
    }

    pub(super) fn count(&self) -> usize {
        self.running.len()
    }

    /// Lets each process make so many calls more.
    pub(super) async fn order(&mut self, calls: u32) -> Result<(), Trouble> {
        self.write(&Order { calls }).await
    }

    /// What is heard next, of whichever process.
    pub(super) async fn next(&mut self, what: &'static str) -> Result<Heard, Trouble> {
        let late = Trouble::Late { what, seconds: PATIENCE.as_secs() };
        let heard = timeout(PATIENCE, self.heard.recv()).await.map_err(|_| late)?;
        // All have ended, and that was said before.
        heard.ok_or(Trouble::Ended { process: self.running.len() })
    }

    /// Tells every process that this was all. They save, and end.
    pub(super) fn dismiss(&mut self) {
        for process in &mut self.running {
            process.input = None;
        }
    }

    /// Ends one process as `kill -9` does, and waits until it is gone.
    pub(super) async fn kill(&mut self, process: usize) -> Result<(), Trouble> {
        let killed = self.running[process].child.kill().await;
        killed.map_err(|source| Trouble::Pipe { process: process + 1, source })
    }

    /// Waits until all have ended, and says how many ended well.
    pub(super) async fn ended(&mut self) -> Result<usize, Trouble> {
        let mut well = 0;
        for (number, process) in self.running.iter_mut().enumerate() {
            let what = "the end of the processes";
            let late = Trouble::Late { what, seconds: PATIENCE.as_secs() };
            let status = timeout(PATIENCE, process.child.wait()).await.map_err(|_| late)?;
            let status = status.map_err(|source| Trouble::Pipe { process: number + 1, source })?;
            well += usize::from(status.success());
        }
        Ok(well)
    }

    pub(super) fn pid(&self, process: usize) -> Option<u32> {
        self.running[process].child.id()
    }

    async fn write(&mut self, words: &impl Serialize) -> Result<(), Trouble> {
        let mut line = serde_json::to_vec(words).map_err(|_| Trouble::Order)?;
        line.push(b'\n');
        for (number, process) in self.running.iter_mut().enumerate() {
            let Some(input) = &mut process.input else { continue };
            let written = async {
                input.write_all(&line).await?;
                input.flush().await
            };
            written.await.map_err(|source| Trouble::Pipe { process: number + 1, source })?;
        }
        Ok(())
    }
}

async fn listen(process: usize, output: ChildStdout, ears: UnboundedSender<Heard>) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(said) = serde_json::from_str(&line) else { break };
        if ears.send(Heard { process, said: Some(said) }).is_err() {
            return;
        }
    }
    // Nobody may be listening any more.
    let _ = ears.send(Heard { process, said: None });
}
