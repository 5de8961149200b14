//! What the servers and one session do, brought into one order for the timeline.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use futures_util::FutureExt as _;
use regrant::{Events, StateKind, SystemClocks, TimeSource as _};
use regrant_sandbox::SandboxEvent;
use tokio::sync::broadcast::{self, error::TryRecvError};
use tokio::time::timeout;

use super::processes::{Heard, Processes};
use super::row::{BAD, DIM, FRESH, GOOD, Lane, WAIT};
use super::says::{Said, StateName};
use super::timeline::Timeline;
use super::trouble::Trouble;

/// What is waited for comes within this: 30 s, the patience of a caller.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who tells what the one session does.
pub(super) enum Client<'a> {
    /// The session is in this process.
    Session(&'a mut Events),
    /// It is in another process, the first of these.
    Process(&'a mut Processes),
}

/// Puts the events of the servers and of one session in order.
///
/// They come by two ways, and both are without a time. So what the servers saw waits until the
/// session has said what came before it: a token request comes after it was asked for, an answer
/// to a token after the token was there.
pub(super) struct Watch {
    servers: broadcast::Receiver<SandboxEvent>,
    waiting: VecDeque<SandboxEvent>,
    asked: u64,
    requested: u64,
    /// Whether a grant was shown that the session has not spoken of yet.
    granted: bool,
    /// The states that the session went through, in order.
    pub(super) states: Vec<StateKind>,
    /// What else it said.
    pub(super) said: Vec<Said>,
}

impl Watch {
    /// Watches from now on.
    pub(super) fn new(servers: broadcast::Receiver<SandboxEvent>) -> Self {
        Self {
            servers,
            waiting: VecDeque::new(),
            asked: 0,
            requested: 0,
            granted: false,
            states: Vec::new(),
            said: Vec::new(),
        }
    }

    /// Shows what happens until this is over.
    pub(super) async fn during<T>(
        &mut self,
        timeline: &Timeline,
        client: &mut Client<'_>,
        over: impl Future<Output = T>,
    ) -> Result<T, Trouble> {
        let mut over = std::pin::pin!(over);
        loop {
            tokio::select! {
                biased;
                // An error says that some were missed, or that there will be no more.
                Ok(event) = self.servers.recv() => self.waiting.push_back(event),
                Some(said) = client.next() => self.hear(timeline, said)?,
                done = &mut over => {
                    self.catch_up(timeline, client)?;
                    return Ok(done);
                }
            }
            self.show(timeline)?;
        }
    }

    /// Shows what happens until the session has said this.
    pub(super) async fn until(
        &mut self,
        timeline: &Timeline,
        client: &mut Client<'_>,
        what: &'static str,
        mut wanted: impl FnMut(&Self) -> bool,
    ) -> Result<(), Trouble> {
        let wait = async {
            while !wanted(self) {
                tokio::select! {
                    biased;
                    Ok(event) = self.servers.recv() => self.waiting.push_back(event),
                    Some(said) = client.next() => self.hear(timeline, said)?,
                    else => break,
                }
                self.show(timeline)?;
            }
            Ok(())
        };
        let late = Trouble::Late { what, seconds: PATIENCE.as_secs() };
        timeout(PATIENCE, wait).await.map_err(|_| late)?
    }

    /// Shows what happens until the session says nothing any more.
    pub(super) async fn until_silence(
        &mut self,
        timeline: &Timeline,
        client: &mut Client<'_>,
        what: &'static str,
    ) -> Result<(), Trouble> {
        let wait = async {
            loop {
                tokio::select! {
                    biased;
                    Ok(event) = self.servers.recv() => self.waiting.push_back(event),
                    said = client.next() => match said {
                        Some(said) => self.hear(timeline, said)?,
                        None => return self.settle(timeline, client),
                    },
                }
                self.show(timeline)?;
            }
        };
        let late = Trouble::Late { what, seconds: PATIENCE.as_secs() };
        timeout(PATIENCE, wait).await.map_err(|_| late)?
    }

    /// Shows what has happened so far, also what the session says no word about.
    pub(super) fn settle(
        &mut self,
        timeline: &Timeline,
        client: &mut Client<'_>,
    ) -> Result<(), Trouble> {
        self.catch_up(timeline, client)?;
        for event in std::mem::take(&mut self.waiting) {
            server(timeline, &event)?;
        }
        Ok(())
    }

    fn catch_up(&mut self, timeline: &Timeline, client: &mut Client<'_>) -> Result<(), Trouble> {
        loop {
            match self.servers.try_recv() {
                Ok(event) => self.waiting.push_back(event),
                Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        self.show(timeline)?;
        while let Some(Some(said)) = client.next().now_or_never() {
            self.hear(timeline, said)?;
            self.show(timeline)?;
        }
        Ok(())
    }

    fn show(&mut self, timeline: &Timeline) -> io::Result<()> {
        while let Some(event) = self.waiting.front() {
            let early = match event {
                SandboxEvent::TokenRequested => self.requested == self.asked,
                SandboxEvent::ApiAccepted { .. } | SandboxEvent::ApiRejected { .. } => self.granted,
                _ => false,
            };
            if early {
                return Ok(());
            }
            match event {
                SandboxEvent::TokenRequested => self.requested += 1,
                SandboxEvent::Granted { .. } => self.granted = true,
                _ => {}
            }
            server(timeline, event)?;
            self.waiting.pop_front();
        }
        Ok(())
    }

    fn hear(&mut self, timeline: &Timeline, said: Said) -> io::Result<()> {
        match &said {
            Said::State { state: StateName(state) } => {
                self.granted &= *state != StateKind::Retrying;
                self.states.push(*state);
                timeline.state(*state)?;
            }
            Said::Asked => self.asked += 1,
            Said::Adopted => timeline.dot(Lane::Client, "adopts what is stored", FRESH)?,
            Said::TryFailed { next_in_ms, .. } => {
                let next = next_in_ms
                    .map_or("no further try".to_owned(), |ms| format!("next try in {ms} ms"));
                timeline.dot(Lane::Client, &next, WAIT)?;
            }
            Said::Ready { .. }
            | Said::Refreshed
            | Said::Answered { .. }
            | Said::Failed { .. }
            | Said::LoginNeeded => {}
        }
        self.said.push(said);
        Ok(())
    }
}

impl Client<'_> {
    /// What the session says next; none when it says nothing any more.
    async fn next(&mut self) -> Option<Said> {
        match self {
            Self::Session(events) => loop {
                // What was missed is missing in the timeline.
                let Ok(event) = events.next().await? else { continue };
                if let Some(said) = Said::of(&event, SystemClocks.wall()) {
                    return Some(said);
                }
            },
            Self::Process(processes) => {
                let Heard { said, .. } = processes.next("a word of the process").await.ok()?;
                said
            }
        }
    }
}

/// What the servers saw, as a row.
fn server(timeline: &Timeline, event: &SandboxEvent) -> io::Result<()> {
    let request = |answer: &str, style| {
        timeline.exchange(Lane::Client, Lane::Server, "refresh token", (answer, style))
    };
    match event {
        SandboxEvent::Issued => timeline.dot(Lane::Server, "login: generation 1", GOOD),
        SandboxEvent::Granted { generation, replay: false } => {
            request(&format!("grants generation {generation}"), GOOD)
        }
        SandboxEvent::Granted { generation, replay: true } => {
            request(&format!("replay: generation {generation}"), GOOD)
        }
        SandboxEvent::Refused { code } => request(code, BAD),
        SandboxEvent::FaultServed { fault } => request(fault, WAIT),
        SandboxEvent::Held => timeline.dot(Lane::Server, "keeps the answer back", WAIT),
        SandboxEvent::ReuseDetected => timeline.dot(Lane::Server, "REUSE DETECTED", BAD),
        SandboxEvent::FamilyRevoked => timeline.dot(Lane::Server, "revokes the grant", BAD),
        SandboxEvent::AccessTokensExpired { .. } => {
            timeline.dot(Lane::Server, "ends access tokens", WAIT)
        }
        SandboxEvent::ApiAccepted { generation, .. } => timeline.exchange(
            Lane::Client,
            Lane::Api,
            &format!("generation {generation}"),
            ("200", GOOD),
        ),
        SandboxEvent::ApiRejected { generation, .. } => {
            let sent = generation.map_or("?".to_owned(), |g| format!("generation {g}"));
            timeline.exchange(Lane::Client, Lane::Api, &sent, ("401 invalid_token", BAD))
        }
        SandboxEvent::ApiAnonymous { .. } => {
            timeline.exchange(Lane::Client, Lane::Api, "no token", ("401", DIM))
        }
        // Said by the rows around them.
        SandboxEvent::TokenRequested | SandboxEvent::Released | SandboxEvent::Revoked => Ok(()),
        // `SandboxEvent` may grow; the timeline tells what it knows.
        _ => Ok(()),
    }
}
