//! Several processes, one refresh token that rotates: regrant, and the naive client beside it.

use std::io;

use regrant_sandbox::{Sandbox, SandboxEvent, Stats};
use serde_json::{Value, json};
use tokio::sync::broadcast;

use super::naive::Naive;
use super::processes::{Heard, Processes};
use super::row::{BAD, FRESH, GOOD, Lane, PLAIN, WAIT};
use super::says::{Kind, Said};
use super::stage::{API, Stage, servers};
use super::step::Step;
use super::timeline::Timeline;
use super::trouble::Trouble;

/// How many processes share the credential.
pub(super) const PROCESSES: usize = 6;

/// What each process may call, round by round, and after how many calls of all of them the server
/// ends the token. It does so in the middle of a round; what the next round adds needs a new one.
const ROUNDS: [(u32, Option<u32>); 4] = [(3, Some(15)), (3, Some(33)), (2, Some(45)), (2, None)];

/// Ten calls by each process.
pub(super) const CALLS: u32 = 60;

/// How often the server ends the token.
const EXPIRIES: u64 = 3;

/// What became of one fleet.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) stats: Stats,
    pub(super) answered: u32,
    pub(super) failed: u32,
    pub(super) must_log_in: u32,
    adopted: u32,
    ended_well: usize,
}

/// Both fleets.
#[derive(Debug)]
pub(super) struct Fleets {
    pub(super) naive: Outcome,
    pub(super) regrant: Outcome,
}

/// The same story twice, each with servers of its own.
pub(super) async fn many_processes(stage: &Stage) -> Result<(Step, Fleets), Trouble> {
    let timeline = &stage.timeline;
    let title =
        "3  Six processes, one rotating refresh token. The server ends the token three times.";
    timeline.head(title, ["6 processes", "regrant", "API", "authorization server"])?;
    stage.sandbox.reset_stats();
    let task = stage.task(Kind::Regrant, stage.folder(), &stage.sandbox);
    let processes = Processes::start(PROCESSES, &task).await?;
    let regrant = play(timeline, &stage.sandbox, processes).await?;

    let title =
        "   The same with a naive client: mutex, local expiry, refresh on 401, tokens in a file.";
    timeline.head(title, ["6 processes", "naive", "API", "authorization server"])?;
    let sandbox = servers()?;
    let folder = tempfile::Builder::new()
        .prefix("regrant-demo-naive-")
        .tempdir()
        .map_err(Trouble::Folder)?;
    let client_id = sandbox.config().client_id;
    Naive::install(folder.path(), sandbox.token_endpoint(), &client_id, &sandbox.issue())?;
    let task = stage.task(Kind::Naive, folder.path(), &sandbox);
    let processes = Processes::start(PROCESSES, &task).await?;
    let naive = play(timeline, &sandbox, processes).await?;

    let mut step = Step::new("many_processes");
    step.expect("token_requests", regrant.stats.token_requests, EXPIRIES);
    step.expect("reuse_detected", regrant.stats.reuse_detected, 0);
    step.expect("answered", regrant.answered, CALLS);
    step.expect("api_accepted", regrant.stats.api(API).accepted, CALLS);
    step.expect("failed", regrant.failed, 0);
    step.expect("must_log_in", regrant.must_log_in, 0);
    step.expect("ended_well", regrant.ended_well, PROCESSES);
    step.expect("logins_live", regrant.stats.live_families, 1);
    step.note("api_rejected", regrant.stats.api(API).rejected);
    step.note("adopted", regrant.adopted);
    // What it comes to is what it comes to: no part of the verdict.
    step.note("naive", naive.json());
    let summary = "3 token requests for 3 expiries, 60 of 60 calls answered, no reuse";
    timeline.verdict(&step, summary)?;
    Ok((step, Fleets { naive, regrant }))
}

impl Outcome {
    fn json(&self) -> Value {
        json!({
            "token_requests": self.stats.token_requests,
            "reuse_detected": self.stats.reuse_detected,
            "families_revoked": self.stats.families_revoked,
            "answered": self.answered,
            "failed": self.failed,
            "must_log_in": self.must_log_in,
        })
    }
}

/// Lets the processes call, and ends the token in the middle of it.
async fn play(
    timeline: &Timeline,
    sandbox: &Sandbox,
    mut processes: Processes,
) -> Result<Outcome, Trouble> {
    let mut scene = Scene::new(sandbox.events(), processes.count());
    for (calls, expire_after) in ROUNDS {
        scene.flush(timeline)?;
        let each = format!("{calls} calls each");
        timeline.arrow(Lane::Caller, Lane::Client, &each, PLAIN)?;
        processes.order(calls).await?;
        if let Some(enough) = expire_after {
            while scene.answered + scene.failed < enough {
                scene.watch(timeline, &mut processes).await?;
            }
            sandbox.expire_access_tokens();
            scene.catch_up(timeline)?;
        }
    }
    processes.dismiss();
    while scene.running > 0 {
        scene.watch(timeline, &mut processes).await?;
    }
    scene.catch_up(timeline)?;
    scene.flush(timeline)?;
    let answered = format!("{} of {CALLS} answered", scene.answered);
    let style = if scene.answered == CALLS { GOOD } else { BAD };
    timeline.dot(Lane::Caller, &answered, style)?;
    let ended_well = processes.ended().await?;
    let must_log_in = scene.must_log_in.iter().filter(|must| **must).count();
    Ok(Outcome {
        stats: sandbox.stats(),
        answered: scene.answered,
        failed: scene.failed,
        must_log_in: u32::try_from(must_log_in).unwrap_or(u32::MAX),
        adopted: scene.adopted,
        ended_well,
    })
}

/// What is happening, with what happens many times summed up to a row.
struct Scene {
    servers: broadcast::Receiver<SandboxEvent>,
    running: usize,
    answered: u32,
    failed: u32,
    adopted: u32,
    must_log_in: Vec<bool>,
    taken: u32,
    rejected: u32,
    adopting: u32,
    /// Whether the next refusal is the answer to a reuse that is shown already.
    reused: bool,
}

impl Scene {
    fn new(servers: broadcast::Receiver<SandboxEvent>, running: usize) -> Self {
        Self {
            servers,
            running,
            answered: 0,
            failed: 0,
            adopted: 0,
            must_log_in: vec![false; running],
            taken: 0,
            rejected: 0,
            adopting: 0,
            reused: false,
        }
    }

    /// Shows what happens next.
    async fn watch(
        &mut self,
        timeline: &Timeline,
        processes: &mut Processes,
    ) -> Result<(), Trouble> {
        tokio::select! {
            biased;
            // An error says that some were missed in the timeline.
            Ok(event) = self.servers.recv() => self.see(timeline, &event)?,
            heard = processes.next("the calls of the processes") => self.hear(timeline, heard?)?,
        }
        Ok(())
    }

    fn catch_up(&mut self, timeline: &Timeline) -> io::Result<()> {
        while let Ok(event) = self.servers.try_recv() {
            self.see(timeline, &event)?;
        }
        Ok(())
    }

    fn see(&mut self, timeline: &Timeline, event: &SandboxEvent) -> io::Result<()> {
        match event {
            SandboxEvent::ApiAccepted { .. } => {
                if self.rejected > 0 {
                    self.flush(timeline)?;
                }
                self.taken += 1;
                return Ok(());
            }
            SandboxEvent::ApiRejected { .. } => {
                if self.taken > 0 {
                    self.flush(timeline)?;
                }
                self.rejected += 1;
                return Ok(());
            }
            _ => {}
        }
        let request = |answer: &str, style| {
            timeline.exchange(Lane::Client, Lane::Server, "refresh token", (answer, style))
        };
        match event {
            SandboxEvent::AccessTokensExpired { .. } => {
                self.flush(timeline)?;
                timeline.dot(Lane::Server, "ends access tokens", WAIT)
            }
            SandboxEvent::Granted { generation, .. } => {
                self.flush(timeline)?;
                request(&format!("grants generation {generation}"), GOOD)
            }
            SandboxEvent::ReuseDetected => {
                self.flush(timeline)?;
                self.reused = true;
                request("REUSE DETECTED", BAD)
            }
            SandboxEvent::FamilyRevoked => timeline.dot(Lane::Server, "revokes the grant", BAD),
            // The same request's answer.
            SandboxEvent::Refused { .. } if std::mem::take(&mut self.reused) => Ok(()),
            SandboxEvent::Refused { code } => {
                self.flush(timeline)?;
                request(code, BAD)
            }
            _ => Ok(()),
        }
    }

    fn hear(&mut self, timeline: &Timeline, Heard { process, said }: Heard) -> io::Result<()> {
        match said {
            Some(Said::Answered { status: 200 }) => self.answered += 1,
            Some(Said::Answered { .. }) => self.failed += 1,
            Some(Said::Failed { code, message }) => {
                self.failed += 1;
                let must = code == "needs_login";
                if must && !self.must_log_in[process] {
                    self.flush(timeline)?;
                    let text = format!("#{}: log in again", process + 1);
                    timeline.dot(Lane::Caller, &text, BAD)?;
                } else if !must {
                    timeline.remark(&message)?;
                }
                self.must_log_in[process] = must;
            }
            Some(Said::Refreshed) => {
                self.flush(timeline)?;
                let text = format!("#{} saves it", process + 1);
                timeline.dot(Lane::Client, &text, FRESH)?;
            }
            Some(Said::Adopted) => {
                self.adopted += 1;
                self.adopting += 1;
            }
            Some(
                Said::Ready { .. }
                | Said::State { .. }
                | Said::Asked
                | Said::TryFailed { .. }
                | Said::LoginNeeded,
            ) => {}
            None => self.running -= 1,
        }
        Ok(())
    }

    /// The rows of what was summed up.
    fn flush(&mut self, timeline: &Timeline) -> io::Result<()> {
        for (count, status, style) in [(self.rejected, 401, BAD), (self.taken, 200, GOOD)] {
            if count > 0 {
                let label = format!("{count} request{}", if count == 1 { "" } else { "s" });
                let answer = format!("{count} × {status}");
                timeline.exchange(Lane::Client, Lane::Api, &label, (&answer, style))?;
            }
        }
        if self.adopting > 0 {
            let text = match self.adopting {
                1 => "1 adopts it".to_owned(),
                several => format!("{several} adopt it"),
            };
            timeline.dot(Lane::Client, &text, FRESH)?;
        }
        (self.rejected, self.taken, self.adopting) = (0, 0, 0);
        Ok(())
    }
}
