//! The steps that one session plays: a login, a rejection, an outage, a revocation.

use std::time::Duration;

use regrant::{AccessError, Policy, StateKind, SystemClocks, TimeSource as _};
use regrant_sandbox::{Endpoint, Fault};

use super::caller::{Caller, NoAnswer};
use super::row::{BAD, GOOD, Lane, WAIT};
use super::stage::{API, LANES, Stage, inventory};
use super::step::Step;
use super::trouble::Trouble;
use super::watch::{Client, Watch};

/// The way of a token that a server rejected.
pub(super) const WAY: [StateKind; 4] =
    [StateKind::ServerRejected, StateKind::Refreshing, StateKind::Retrying, StateKind::Valid];

/// Calls that are made where none must reach a server.
const CALLS_IN_VAIN: u64 = 10;

/// A login is installed, and a call goes through.
pub(super) async fn login(stage: &Stage) -> Result<(Step, Caller), Trouble> {
    let title = "1  A login. The clock of the servers is two hours ahead of ours.";
    stage.timeline.head(title, LANES)?;
    let mut step = Step::new("login");
    let caller = stage.open(Policy::default()).await?;
    let mut events = caller.session().events();
    let client = &mut Client::Session(&mut events);
    let mut watch = Watch::new(stage.sandbox.events());

    let response = stage.sandbox.issue();
    let config = stage.sandbox.config();
    let installing = caller.install(stage.sandbox.token_endpoint(), &config.client_id, &response);
    watch.during(&stage.timeline, client, installing).await??;
    let answer = stage.call(&caller, &mut watch, client).await?;
    watch.settle(&stage.timeline, client)?;

    let stats = stage.stats();
    step.expect("status", answer.unwrap_or(0), 200);
    step.expect("token_requests", stats.token_requests, 0);
    step.expect("api_requests", stats.api(API).requests, 1);
    step.expect("logins_live", stats.live_families, 1);
    step.note("announced_expires_in_s", response["expires_in"].clone());
    let found = inventory(stage.folder())?;
    step.note("files", found.files);
    step.expect("files_open_to_others", found.open_to_others, 0);
    step.expect("files_with_readable_tokens", found.with_readable_tokens, 0);
    let summary =
        format!("{} files on disk: no token to read in them, nobody else may", found.files);
    stage.timeline.verdict(&step, &summary)?;
    Ok((step, caller))
}

/// The server says "expired" an hour early by our clock, and the caller never notices.
pub(super) async fn server_says_expired(
    stage: &Stage,
    caller: &Caller,
) -> Result<(Step, Vec<StateKind>), Trouble> {
    let title = "2  The server says \"expired\". By our clock the token has an hour to live.";
    stage.timeline.head(title, LANES)?;
    let mut step = Step::new("server_says_expired");
    let mut events = caller.session().events();
    let client = &mut Client::Session(&mut events);
    let mut watch = Watch::new(stage.sandbox.events());
    let left = local_time_left(caller).await;
    step.note("local_seconds_left", left.as_secs());
    let minutes = format!("our clock: {} min", left.as_secs().div_ceil(60));

    stage.sandbox.reset_stats();
    stage.sandbox.expire_access_tokens();
    watch.settle(&stage.timeline, client)?;
    stage.timeline.dot(Lane::Client, &minutes, GOOD)?;
    let answer = stage.call(caller, &mut watch, client).await?;
    let valid = |watch: &Watch| watch.states.last() == Some(&StateKind::Valid);
    watch.until(&stage.timeline, client, "the state Valid", valid).await?;
    watch.settle(&stage.timeline, client)?;

    let stats = stage.stats();
    step.expect("status", answer.unwrap_or(0), 200);
    step.expect("token_requests", stats.token_requests, 1);
    step.expect("api_requests", stats.api(API).requests, 2);
    step.expect("api_rejected", stats.api(API).rejected, 1);
    step.expect("states", names(&watch.states), names(&WAY));
    let summary = "1 token request, 2 API requests; the caller saw a 200";
    stage.timeline.verdict(&step, summary)?;
    Ok((step, watch.states))
}

/// What the outage goes by: the same rules as always, with seconds in the place of a minute.
pub(super) fn short_waits() -> Policy {
    let mut policy = Policy::default();
    // Two tries, not six: the outage is meant to outlast the attempt.
    policy.tries = 2;
    // Three seconds, not sixty: somebody is watching.
    policy.cool_down = Duration::from_secs(3);
    policy
}

/// The authorization server is away: "not now", never "log in".
pub(super) async fn outage_is_no_logout(stage: &Stage, caller: &Caller) -> Result<Step, Trouble> {
    let title = "5  The authorization server is away. That is no reason to log in.";
    stage.timeline.head(title, LANES)?;
    let mut step = Step::new("outage_is_no_logout");
    let before = caller.refresh_token().await;
    let mut events = caller.session().events();
    let client = &mut Client::Session(&mut events);
    let mut watch = Watch::new(stage.sandbox.events());

    stage.sandbox.reset_stats();
    stage.sandbox.always(Endpoint::Token, Some(Fault::ServerError));
    stage.sandbox.expire_access_tokens();
    watch.settle(&stage.timeline, client)?;
    let answer = stage.call(caller, &mut watch, client).await?;
    let told = answer.err();
    step.expect("told", told.as_ref().map_or("200", NoAnswer::code), "delayed");
    if let Some(NoAnswer::Access(AccessError::Delayed { retry_at, .. })) = told {
        let millis = retry_at.since(SystemClocks.wall()).as_millis();
        stage.timeline.remark(&format!("not now, again in {millis} ms"))?;
        step.note("again_in_ms", u64::try_from(millis).unwrap_or(u64::MAX));
    }
    let during = stage.stats();
    for _ in 0..CALLS_IN_VAIN {
        let answer = watch.during(&stage.timeline, client, caller.call()).await?;
        let told = answer.err();
        step.expect("told", told.as_ref().map_or("200", NoAnswer::code), "delayed");
    }
    let after = stage.stats();
    let vain = requests(&after) - requests(&during);
    step.expect("requests_during_the_cool_down", vain, 0);
    stage.timeline.dot(Lane::Caller, "10 calls more: nothing is sent", WAIT)?;
    let now = caller.refresh_token().await;
    let kept = matches!((&before, &now), (Some((g, ours)), Some((h, theirs))) if g == h && ours.is(theirs));
    step.expect("refresh_token_kept", kept, true);
    step.expect("state", state(caller).await, "ServerRejected");

    stage.sandbox.always(Endpoint::Token, None);
    stage.timeline.dot(Lane::Server, "is back", GOOD)?;
    let third = stage.sandbox.wait_for_token_requests(3);
    let third = watch.during(&stage.timeline, client, third).await?;
    let what = "a third token request, by itself, after the cool-down";
    third.map_err(|source| Trouble::Unseen { what, source })?;
    let answer = stage.call(caller, &mut watch, client).await?;
    let valid = |watch: &Watch| watch.states.last() == Some(&StateKind::Valid);
    watch.until(&stage.timeline, client, "the state Valid", valid).await?;
    watch.settle(&stage.timeline, client)?;

    let stats = stage.stats();
    step.expect("status_when_it_is_back", answer.unwrap_or(0), 200);
    step.expect("token_requests", stats.token_requests, 3);
    step.expect("granted", stats.granted, 1);
    step.expect("api_requests", stats.api(API).requests, 2);
    step.expect("logins_live", stats.live_families, 1);
    let summary = "\"not now\" and never \"log in\"; the tokens were kept";
    stage.timeline.verdict(&step, summary)?;
    Ok(step)
}

/// The grant is revoked at the server: one token request, then a login is needed.
pub(super) async fn revoked(stage: &Stage, caller: &Caller) -> Result<Step, Trouble> {
    let title = "6  The user revokes the grant at the server. Now a login is needed.";
    stage.timeline.head(title, LANES)?;
    let mut step = Step::new("revoked");
    let mut events = caller.session().events();
    let client = &mut Client::Session(&mut events);
    let mut watch = Watch::new(stage.sandbox.events());

    stage.sandbox.reset_stats();
    stage.sandbox.revoke_all();
    watch.settle(&stage.timeline, client)?;
    let answer = stage.call(caller, &mut watch, client).await?;
    let told = answer.err();
    step.expect("told", told.as_ref().map_or("200", NoAnswer::code), "needs_login");
    if let Some(NoAnswer::Access(AccessError::NeedsLogin { reason, .. })) = &told {
        step.expect("reason", reason.to_string(), "refused");
    }
    let first = stage.stats();
    for _ in 0..CALLS_IN_VAIN {
        let answer = watch.during(&stage.timeline, client, caller.call()).await?;
        let told = answer.err();
        step.expect("told", told.as_ref().map_or("200", NoAnswer::code), "needs_login");
    }
    stage.timeline.dot(Lane::Caller, "10 calls more: nothing is sent", BAD)?;
    watch.settle(&stage.timeline, client)?;

    let stats = stage.stats();
    step.expect("token_requests", stats.token_requests, 1);
    step.expect("api_requests", stats.api(API).requests, 1);
    step.expect("requests_of_10_calls_more", requests(&stats) - requests(&first), 0);
    step.expect("state", state(caller).await, "NeedsLogin");
    let summary = "1 token request; 10 further calls sent nothing at all";
    stage.timeline.verdict(&step, summary)?;
    Ok(step)
}

/// Everything that reached a server.
fn requests(stats: &regrant_sandbox::Stats) -> u64 {
    stats.token_requests + stats.revocation_requests + stats.api(API).requests
}

fn names(states: &[StateKind]) -> Vec<String> {
    states.iter().map(ToString::to_string).collect()
}

async fn state(caller: &Caller) -> String {
    caller.state().await.map_or("none".to_owned(), |state| state.to_string())
}

/// How long the token is good for by the local clock alone.
async fn local_time_left(caller: &Caller) -> Duration {
    let left = async {
        let status = caller.session().status().await?;
        let expires_at = status.record?.slot()?.expires_at(status.at)?;
        Some(expires_at.since(status.at))
    };
    left.await.unwrap_or_default()
}
