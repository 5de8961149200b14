//! What came of an input, in words: no tokens, no random names, every time as a distance from the
//! moment before the input.

use std::fmt::Write as _;
use std::time::Duration;

use regrant_core::{
    Access, Action, Event, Machine, Over, Record, Refresh, Timestamp, TokenId, Use,
};
use regrant_world::origin;

use crate::rows::name_of;
use crate::scene::{ANOTHER, Said, Scene};

/// A moment, as a distance.
pub(crate) fn moment(at: Timestamp, base: Timestamp) -> String {
    let seconds = |length: Duration| length.as_millis() as f64 / 1_000.0;
    if at == Timestamp::NEVER {
        "never".into()
    } else if at >= base {
        format!("+{}s", seconds(at.since(base)))
    } else {
        format!("-{}s", seconds(base.since(at)))
    }
}

fn token(id: TokenId) -> String {
    if id.slot == 0 { format!("g{}", id.generation) } else { format!("{id:?}") }
}

/// What callers may do, origin by origin; a stranger is named only where the answer is not that
/// the token is not for it.
pub(crate) fn view(machine: &Machine, base: Timestamp) -> String {
    let mut words = Vec::new();
    for name in ["x", "y", "z"] {
        let answer = match machine.view().access(&origin(name)) {
            Use::Token { id, stale, report, .. } => {
                let stale = if stale { " stale" } else { "" };
                let report = if report { " reporting" } else { "" };
                format!("{}{stale}{report}", token(id))
            }
            Use::Wait => "wait".into(),
            Use::Login(reason) => format!("login ({reason})"),
            Use::Blocked { why, retry_at } => {
                format!("blocked ({why:?}) until {}", moment(retry_at, base))
            }
            Use::Foreign if name == "z" => continue,
            Use::Foreign => "foreign".into(),
        };
        words.push(format!("{name} {answer}"));
    }
    let view = machine.view();
    if let Some(fault) = view.unsaved() {
        words.push(format!("unsaved ({fault:?})"));
    }
    if let Some(holder) = view.holder() {
        words.push(format!("held by {}", holder.pid.unwrap_or(0)));
    }
    words.join(", ")
}

/// The facts of a record, one an entry.
pub(crate) fn facts(record: &Record, base: Timestamp) -> Vec<String> {
    let at = |stamp| moment(stamp, base);
    let mut facts = vec![format!("i{}", record.incarnation.0[0])];
    facts.push(match (record.access(), record.token_id()) {
        (Access::None, _) => format!("no access token, g{}", record.generation),
        (Access::Trusted, id) => format!("{} trusted", token(id)),
        (Access::Probation, id) => format!("{} on probation", token(id)),
        (Access::Rejected, id) => format!("{} rejected", token(id)),
    });
    if let Some(slot) = record.slot() {
        let length =
            slot.lifetime_ms.map_or("no lifetime".into(), |ms| format!("{} s", ms / 1_000));
        let scope = slot.scope.as_deref().unwrap_or("no scope");
        let claims = if slot.with_claims { ", with claims" } else { "" };
        let name = slot.access_token.expose().trim_start_matches("access-");
        facts.push(format!("access of {name} ({length}, {scope}{claims})"));
    }
    // Each token's text says where it came from.
    let held = record.refresh_token.as_ref();
    let name = held.map(|held| held.expose().trim_start_matches("refresh-"));
    facts.push(name.map_or("no refresh token".into(), |name| format!("refresh of {name}")));
    facts.push(match &record.refresh {
        Refresh::Usable => "refresh usable".into(),
        Refresh::InDoubt { since } => format!("refresh in doubt since {}", at(*since)),
        Refresh::Dead { reason, .. } => format!("refresh dead ({reason})"),
        Refresh::Absent => "refresh absent".into(),
    });
    facts.push(record.attempt.as_ref().map_or("no attempt".into(), |intent| {
        let whose = if intent.owner == ANOTHER { "another's" } else { "own" };
        let raised = if intent.raised { " raised" } else { "" };
        format!("{whose}{raised} attempt until {}", at(intent.deadline))
    }));
    if let Some(until) = record.in_flight_until {
        facts.push(format!("in flight until {}", at(until)));
    }
    facts.push(record.cool_down.as_ref().map_or("no cool-down".into(), |cool_down| {
        let ahead = if cool_down.ahead_only { " of tries ahead" } else { "" };
        let (cause, streak) = (cool_down.cause, cool_down.streak);
        format!("cool-down{ahead} until {} ({cause:?}, streak {streak})", at(cool_down.until))
    }));
    let marks = record.marks.iter().map(|mark| {
        let still = if mark.still { " still" } else { "" };
        let weak = if mark.weak { " weak" } else { "" };
        let who = mark.origin.host().trim_end_matches(".example");
        let (what, streak) = (token(mark.rejected), mark.streak);
        format!("{who}{still}{weak} {what} until {} streak {streak}", at(mark.until))
    });
    facts.push(format!("marks [{}]", marks.collect::<Vec<_>>().join(", ")));
    if record.budget.full_at > base {
        facts.push(format!("budget full at {}", at(record.budget.full_at)));
    }
    let origins = record.origins.iter().map(|o| o.host().trim_end_matches(".example"));
    facts.push(format!("for {}", origins.collect::<Vec<_>>().join(" ")));
    if !record.client.token_endpoint.ends_with("/token") {
        facts.push("another endpoint".into());
    }
    facts
}

/// An action, with what matters of it.
fn action(action: &Action, scene: &Scene, base: Timestamp) -> String {
    match action {
        Action::Acquire | Action::Release | Action::Load => name_of(action).into(),
        Action::Save { record, over } => {
            let stored = scene.stored.as_ref().map(|(record, _)| record);
            let known = stored.map(|record| facts(record, base)).unwrap_or_default();
            let mut news = facts(record, base);
            news.retain(|fact| !known.contains(fact));
            let over = match over {
                Over::Absent => " where nothing is",
                Over::Version(_) => "",
                Over::Damaged => " over damage",
            };
            format!("save{over} {{{}}}", news.join("; "))
        }
        Action::Ask { client, refresh_token, claims } => {
            let stored = scene.stored.as_ref().and_then(|(record, _)| record.refresh_token.clone());
            let with = match (refresh_token, stored) {
                (None, _) => " with client credentials",
                (Some(sent), Some(stored)) if sent.is(&stored) => "",
                (Some(_), _) => " with another refresh token",
            };
            let claims = if claims.is_some() { " for claims" } else { "" };
            let there = if client.token_endpoint.ends_with("/token") { "" } else { " elsewhere" };
            format!("ask{there}{with}{claims}")
        }
        Action::Revoke { hint, .. } => format!("revoke the {hint}"),
    }
}

/// An event as it is debugged, with names for what is long.
fn event(event: &Event, base: Timestamp) -> String {
    if let Event::StateChanged { from, to, trigger, .. } = event {
        let from = from.map_or("not loaded".into(), |from| from.to_string());
        return format!("{from} -> {to} by {trigger}");
    }
    let mut text = format!("{event:?}");
    for name in ["x", "y", "z"] {
        text = text.replace(&format!("{:?}", origin(name)), name);
    }
    for (start, name) in [("Timestamp(", true), ("TokenId { slot: 0, generation: ", false)] {
        while let Some(at) = text.find(start) {
            let digits: String =
                text[at + start.len()..].chars().take_while(char::is_ascii_digit).collect();
            let number = digits.parse().unwrap();
            let word = if name {
                moment(Timestamp::from_millis(number), base)
            } else {
                token(TokenId { slot: 0, generation: number })
            };
            let tail = if name { ")" } else { " }" };
            text = text.replace(&format!("{start}{digits}{tail}"), &word);
        }
    }
    text
}

/// All that was said, in order.
pub(crate) fn said(scene: &Scene, base: Timestamp) -> Vec<String> {
    let word = |said: &Said| match said {
        Said::Act { action: act, deadline } => {
            let mut text = action(act, scene, base);
            // Whatever goes to the store has 5 s.
            if *deadline != scene.now + Duration::from_secs(5) {
                write!(text, " by {}", moment(*deadline, base)).unwrap();
            }
            text
        }
        Said::Told(told) => event(told, base),
        Said::Answered(Ok(())) => "answered".into(),
        Said::Answered(Err(fault)) => format!("answered with {fault:?}"),
        Said::Stopped => "stopped".into(),
    };
    scene.said.iter().map(word).collect()
}

/// What was said, by its names alone.
pub(crate) fn names(scene: &Scene) -> Vec<String> {
    let word = |said: &Said| match said {
        Said::Act { action, .. } => name_of(action).to_owned(),
        Said::Told(Event::StateChanged { to, .. }) => format!("-> {to}"),
        Said::Told(event) => {
            let text = format!("{event:?}");
            text.split([' ', '{']).next().unwrap_or_default().to_owned()
        }
        Said::Answered(Ok(())) => "answered".into(),
        Said::Answered(Err(fault)) => format!("answered with {fault:?}"),
        Said::Stopped => "stopped".into(),
    };
    scene.said.iter().map(word).collect()
}
