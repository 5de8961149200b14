//! The process that refreshes is killed while its token request is out.

use regrant_sandbox::{Grace, GraceKind, HoldPoint};

use super::processes::Processes;
use super::row::{BAD, Lane, PLAIN, WAIT};
use super::says::{Kind, Said};
use super::stage::{API, LANES, Stage};
use super::step::Step;
use super::trouble::Trouble;
use super::watch::{Client, Watch};

/// For how long the server honours a spent refresh token here: 30 s, as is usual where there is a
/// grace. Without one no client could save this.
const GRACE_MS: u64 = 30_000;

/// One process is killed, the next one finds what it left and sends its request again.
pub(super) async fn killed_in_mid_refresh(stage: &Stage) -> Result<Step, Trouble> {
    let timeline = &stage.timeline;
    let title = "4  kill -9 in mid-refresh: the server has rotated, and nobody got the answer.";
    timeline.head(title, LANES)?;
    let mut step = Step::new("killed_in_mid_refresh");
    let grace = Grace { ms: GRACE_MS, kind: GraceKind::Same };
    let same = stage.sandbox.configure(|config| config.grace = Some(grace));
    same.expect("neither ports nor names were changed");
    let task = stage.task(Kind::Regrant, stage.folder(), &stage.sandbox);
    let mut holder = Processes::start(1, &task).await?;
    let pid = holder.pid(0);
    let mut watch = Watch::new(stage.sandbox.events());

    stage.sandbox.reset_stats();
    stage.sandbox.hold(HoldPoint::AfterCommit);
    stage.sandbox.expire_access_tokens();
    holder.order(1).await?;
    {
        let client = &mut Client::Process(&mut holder);
        watch.settle(timeline, client)?;
        timeline.arrow(Lane::Caller, Lane::Client, "GET /notes", PLAIN)?;
        let held = stage.sandbox.wait_until_held();
        let held = watch.during(timeline, client, held).await?;
        let what = "the token request of the process to be killed";
        held.map_err(|source| Trouble::Unseen { what, source })?;
    }
    holder.kill(0).await?;
    let client = &mut Client::Process(&mut holder);
    watch.until_silence(timeline, client, "the end of the killed process").await?;
    let killed = pid.map_or("SIGKILL".to_owned(), |pid| format!("SIGKILL, pid {pid}"));
    timeline.dot(Lane::Client, &killed, BAD)?;
    stage.sandbox.release_held();

    let began = timeline.elapsed();
    let mut next = Processes::start(1, &task).await?;
    timeline.arrow(Lane::Caller, Lane::Client, "GET /notes", PLAIN)?;
    let found = next.found[0].map_or("none".to_owned(), |state| state.to_string());
    timeline.dot(Lane::Client, &format!("finds {found}"), WAIT)?;
    next.order(1).await?;
    next.dismiss();
    let client = &mut Client::Process(&mut next);
    watch.said.clear();
    watch.until_silence(timeline, client, "the end of the next process").await?;
    let status = watch.said.iter().find_map(|said| match said {
        Said::Answered { status } => Some(*status),
        _ => None,
    });
    timeline.arrow(Lane::Client, Lane::Caller, &status.unwrap_or(0).to_string(), PLAIN)?;

    let ended_well = next.ended().await?;
    let stats = stage.stats();
    let waited = timeline.elapsed().saturating_sub(began);
    step.expect("status", status.unwrap_or(0), 200);
    step.expect("state_found", found, "Refreshing");
    step.expect("token_requests", stats.token_requests, 2);
    step.expect("grace_replays", stats.grace_replays, 1);
    step.expect("reuse_detected", stats.reuse_detected, 0);
    step.expect("api_requests", stats.api(API).requests, 2);
    step.expect("ended_well", ended_well, 1);
    step.expect("logins_live", stats.live_families, 1);
    let waited = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
    step.note("recovered_in_ms", waited);
    let summary =
        format!("the next process replayed the lost request; {waited} ms, the login lives");
    timeline.verdict(&step, &summary)?;
    Ok(step)
}
