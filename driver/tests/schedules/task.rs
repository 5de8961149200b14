//! A session of the model: callers in threads of loom, and a task that owns a real machine.

use std::sync::Arc;
use std::time::Duration;

use loom::future::block_on;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::mpsc::{Receiver, Sender, channel};
use loom::thread::{self, JoinHandle};
use regrant_core::{
    Action, Answer, Client, Grant, Id, Input, Login, Machine, Origin, Outcome, Output, Over,
    Policy, Secret, Stored, Strength, Timestamp, TokenId, Use, Version,
};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::error::AccessError;
use crate::lending::Lending;
use crate::published::{Access, Shared};
use crate::trouble::Trouble;
use crate::waiters::Waiter;

/// What is stored under a token's generation, and what a token endpoint grants.
pub(crate) fn token_of(generation: u64) -> String {
    format!("at-{generation}")
}

pub(crate) fn api() -> Origin {
    Origin::parse("https://api.example").unwrap()
}

pub(crate) fn other() -> Origin {
    Origin::parse("https://other.example").unwrap()
}

enum Command {
    Access {
        origin: Origin,
        than: Option<TokenId>,
        reply: oneshot::Sender<Result<Access, AccessError>>,
    },
    Rejected {
        id: TokenId,
        origin: Origin,
        marked: bool,
    },
    /// A caller has nothing more to say.
    Gone,
}

/// What a caller has of the session. Its methods are those of `Session`, in the same order.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) shared: Arc<Shared>,
    commands: Sender<Command>,
    answers: Arc<Answers>,
}

/// What a channel for answers does besides: whoever got one sees what came before it. Tokio's is no
/// part of the model, so loom is told by this.
#[derive(Default)]
struct Answers(AtomicUsize);

impl Answers {
    fn sync(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

impl Caller {
    pub(crate) fn access(&self, origin: &Origin) -> Access {
        self.shared.try_access(origin).unwrap_or_else(|| self.wait(origin, None))
    }

    pub(crate) fn access_newer(&self, origin: &Origin, than: TokenId) -> Access {
        self.wait(origin, Some(than))
    }

    pub(crate) fn reject(&self, id: TokenId, origin: &Origin) {
        let marked = self.shared.tell_rejection(id);
        self.send(Command::Rejected { id, origin: origin.clone(), marked });
    }

    pub(crate) fn gone(self) {
        self.send(Command::Gone);
    }

    fn wait(&self, origin: &Origin, than: Option<TokenId>) -> Access {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Access { origin: origin.clone(), than, reply });
        // A caller whom nobody wakes is a deadlock, which loom reports.
        let answer = block_on(answer).expect("the task answers everybody");
        self.answers.sync();
        answer.expect("there is a token")
    }

    fn send(&self, command: Command) {
        assert!(self.commands.send(command).is_ok(), "the task outlives its callers");
    }
}

/// Begins a session that has `at-1` at hand, with a task that ends after so many callers.
pub(crate) fn session(callers: usize) -> (Caller, JoinHandle<()>) {
    let shared = Arc::new(Shared::new());
    let (commands, to_do) = channel();
    let lending = Lending::new(Arc::clone(&shared));
    let answers = Arc::new(Answers::default());
    let (host, trouble) = (Host::default(), Trouble::default());
    let mut task = Task { lending, host, trouble, to_do, answers: Arc::clone(&answers) };
    // A mebibyte: the machine is no guest of the 32 KiB that loom gives a thread.
    let thread = thread::Builder::new().stack_size(1 << 20);
    let started = thread.spawn(move || task.run(callers)).unwrap();
    let caller = Caller { shared, commands, answers };
    (caller, started)
}

struct Task {
    lending: Lending,
    host: Host,
    trouble: Trouble,
    to_do: Receiver<Command>,
    answers: Arc<Answers>,
}

impl Task {
    fn run(&mut self, mut callers: usize) {
        let mut machine = Machine::new(Policy::default(), [7; 32], NOW);
        self.host.log_in(&mut machine);
        self.settle(&mut machine);
        while callers > 0 {
            let command = self.to_do.recv().unwrap();
            let is_gone = matches!(command, Command::Gone);
            match command {
                Command::Access { origin, than, reply } => {
                    self.answers.sync();
                    let waiter = Waiter { origin, than, deadline: deadline(), reply };
                    if let Some(waiter) = self.lending.lend(waiter) {
                        let wanted = Input::Wanted { origin: waiter.origin.clone() };
                        self.host.feed(&mut machine, wanted);
                        self.lending.wait(waiter);
                    }
                }
                Command::Rejected { id, origin, marked } => {
                    self.lending.hear(marked);
                    let strength = Strength::Strong;
                    let rejected = Input::Rejected { id, origin, strength, claims: None };
                    self.host.feed(&mut machine, rejected);
                }
                Command::Gone => callers -= 1,
            }
            self.settle(&mut machine);
            // The token request is answered once somebody waits for it, or nobody will.
            let goes = is_gone || self.lending.deadline().is_some();
            while goes && self.host.answer(&mut machine) {
                self.settle(&mut machine);
            }
        }
    }

    fn settle(&mut self, machine: &mut Machine) {
        for _ in 0..8 {
            let changed = self.lending.publish(machine, None);
            if changed && self.lending.deadline().is_some() {
                self.answers.sync();
            }
            self.lending.serve(changed, &self.trouble, deadline() - PATIENCE, NOW);
            let waits = |origin: &Origin| matches!(machine.view().access(origin), Use::Wait);
            let wanted: Vec<_> = self.lending.wanted().into_iter().filter(waits).collect();
            if !changed || wanted.is_empty() {
                return;
            }
            for origin in wanted {
                self.host.feed(machine, Input::Wanted { origin });
            }
        }
        panic!("what is published does not settle");
    }
}

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// In these schedules nobody's patience ends.
const PATIENCE: Duration = Duration::from_secs(30);

#[expect(clippy::disallowed_methods, reason = "no time passes here, and an `Instant` has no zero")]
fn deadline() -> Instant {
    Instant::now() + 2 * PATIENCE
}

/// A store, a lease and a token endpoint that answer at once, the last one when it is asked to.
#[derive(Default)]
struct Host {
    stored: Option<Stored>,
    saves: u64,
    asked: Vec<u64>,
    granted: u64,
}

impl Host {
    fn log_in(&mut self, machine: &mut Machine) {
        self.drain(machine);
        let login = Login {
            incarnation: Id([1; 16]),
            client: Client::new("https://as.example/token", "client"),
            origins: vec![api(), other()],
            grant: self.grant(),
            obtained_at: NOW,
        };
        self.feed(machine, Input::LoggedIn(Box::new(login)));
    }

    fn feed(&mut self, machine: &mut Machine, input: Input) {
        machine.handle_input(input, NOW);
        self.drain(machine);
    }

    /// Answers a token request. False if none is out.
    fn answer(&mut self, machine: &mut Machine) -> bool {
        let Some(id) = self.asked.pop() else { return false };
        let outcome = Outcome::Answered(Answer::Granted(self.grant()));
        self.feed(machine, Input::Done { id, outcome });
        true
    }

    fn grant(&mut self) -> Grant {
        self.granted += 1;
        let mut grant = Grant::bearer(Secret::new(token_of(self.granted)));
        grant.refresh_token = Some(Secret::new(format!("rt-{}", self.granted)));
        grant
    }

    fn drain(&mut self, machine: &mut Machine) {
        let mut done = Vec::new();
        loop {
            match machine.poll_output() {
                Output::Act { id, action, .. } => {
                    done.extend(self.act(id, action).map(|outcome| (id, outcome)));
                }
                Output::Timeout(_) => {
                    let Some((id, outcome)) = done.pop() else { return };
                    machine.handle_input(Input::Done { id, outcome }, NOW);
                }
                Output::Event(_) | Output::Answered(_) | Output::Stopped => {}
            }
        }
    }

    fn act(&mut self, id: u64, action: Action) -> Option<Outcome> {
        Some(match action {
            Action::Acquire => Outcome::Acquired { proves_death: true },
            Action::Release => Outcome::Released,
            Action::Load => Outcome::Loaded(self.stored.clone().map(Box::new)),
            Action::Save { record, over } => {
                let expected = self.stored.as_ref().map(|stored| stored.version.clone());
                assert_eq!(over, expected.map_or(Over::Absent, Over::Version));
                self.saves += 1;
                let version = Version::new(self.saves.to_be_bytes().to_vec());
                self.stored = Some(Stored { record: *record, version: version.clone() });
                Outcome::Saved(version)
            }
            Action::Ask { .. } => {
                self.asked.push(id);
                return None;
            }
            Action::Revoke { .. } => Outcome::Revoked { confirmed: true },
        })
    }
}
