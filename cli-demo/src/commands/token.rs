//! `token`: a live access token, for scripts.

use std::time::Duration;

use regrant::{
    AccessError, Event, LoginReason, Origin, Policy, Secret, Session, Timestamp, TokenId,
};
use regrant_core::Record;
use serde_json::json;
use tokio::time::timeout;

use super::{Context, first_origin};
use crate::args::Token;
use crate::error::Failure;
use crate::time;

/// How long a refresh ahead of need is waited for: 5 s, an answer of a healthy server ten times
/// over.
const AHEAD: Duration = Duration::from_secs(5);

/// A token to print.
struct Live {
    token: Secret,
    token_type: String,
    id: TokenId,
    expires_at: Option<Timestamp>,
}

pub(super) async fn run(asked: &Token, context: &Context) -> Result<(), Failure> {
    if asked.curl && context.output.is_json() {
        return Err(Failure::usage("--curl and --json ask for two different answers")
            .remedy("leave one of them away"));
    }
    let store = context.store().await?;
    let Some(record) = store.load(&context.global.account).await? else {
        return Err(Failure::needs_login(LoginReason::NotLoggedIn, None));
    };
    let rejected = match &asked.rejected {
        Some(fingerprint) => {
            let fingerprinter = store.vault().fingerprinter().await?;
            let current = record.slot().map(|slot| &slot.access_token);
            // Of an older token it is known already that it is no good.
            let named = |token| fingerprinter.fingerprint(token).eq_ignore_ascii_case(fingerprint);
            current.is_some_and(named).then(|| record.token_id())
        }
        None => None,
    };
    let opened = context.session(&store).await?;
    let live = live(opened.session(), &record, rejected).await;
    let live = opened.close_after(live).await?;

    if context.output.is_json() {
        let fingerprint = store.vault().fingerprinter().await?.fingerprint(&live.token);
        context.output.object(&json!({
            "access_token": live.token.expose(),
            "token_type": live.token_type,
            "generation": live.id.generation,
            "fingerprint": fingerprint,
            "expires_at": time::json(live.expires_at),
        }))?;
    } else if asked.curl {
        context.output.line(&curl(&live))?;
    } else {
        context.output.line(live.token.expose())?;
    }
    Ok(())
}

/// A token that is live as far as anybody knows, and newer than the rejected one.
async fn live(
    session: &Session,
    record: &Record,
    rejected: Option<TokenId>,
) -> Result<Live, Failure> {
    let origin = first_origin(record)?;
    let access = match rejected {
        Some(id) => {
            // A report about a record that is not loaded yet would go nowhere.
            session.status().await;
            session.disown(id, origin);
            session.access_newer(origin, id).await
        }
        None => {
            until_refreshed_ahead(session).await;
            session.access(origin).await
        }
    };
    let access = access.map_err(Failure::from)?;
    if access.is_stale() {
        drop(access);
        return Err(stale(session, origin).await);
    }
    let token_type = match access.token_type() {
        // Some APIs compare the scheme's case.
        bearer if bearer.eq_ignore_ascii_case("bearer") => "Bearer".to_owned(),
        other => other.to_owned(),
    };
    let (token, id) = (access.token().clone(), access.id());
    drop(access);
    let status = session.status().await;
    let expires_at = status.and_then(|status| {
        let record = status.record.filter(|record| record.token_id() == id)?;
        record.slot()?.expires_at(status.at)
    });
    Ok(Live { token, token_type, id, expires_at })
}

/// Close to its expiry, the session refreshes the token by itself while the old one goes on. What a
/// script is given should last, and with some servers the old one ends with the refresh: so this
/// waits for what comes of it.
async fn until_refreshed_ahead(session: &Session) {
    let mut events = session.events();
    let Some(status) = session.status().await else { return };
    if !status.record.is_some_and(|record| is_due(&record, status.at)) {
        return;
    }
    let ended = async {
        while let Some(Ok(event)) = events.next().await {
            match event {
                Event::Refreshed { .. }
                | Event::Adopted { .. }
                | Event::NotSaved { .. }
                | Event::TryFailed { .. }
                | Event::Delayed { .. }
                | Event::LoginNeeded { .. }
                | Event::StoreFailed { .. }
                | Event::Waiting { .. } => return,
                // The rest leads up to one of these.
                _ => {}
            }
        }
    };
    // Whatever keeps it from ending, the old token is good for a moment still.
    let _ = timeout(AHEAD, ended).await;
}

/// Whether the session refreshes this now, ahead of need. It does so earlier than this by some
/// chance of its own.
fn is_due(record: &Record, now: Timestamp) -> bool {
    let Some(slot) = record.slot() else { return false };
    let (Some(lifetime), Some(expires_at)) = (slot.lifetime_ms, slot.expires_at(now)) else {
        return false;
    };
    let leeway = Policy::default().leeway.min(Duration::from_millis(lifetime) / 10);
    let delayed = record.cool_down.as_ref().is_some_and(|cool_down| cool_down.until > now);
    record.is_renewable() && !delayed && expires_at - leeway <= now
}

/// The token has expired and no better one can be had now. A call would let the server decide; a
/// script that gets a token takes it for a live one.
async fn stale(session: &Session, origin: &Origin) -> Failure {
    let cool_down = session.status().await.and_then(|status| status.record?.cool_down);
    match cool_down {
        Some(cool_down) => Failure::delayed(cool_down.cause, cool_down.code, Some(cool_down.until)),
        None => match session.access(origin).await {
            Err(error) => error.into(),
            Ok(_) => AccessError::TimedOut.into(),
        },
    }
}

/// A line of curl's configuration; within quotes it escapes quote and backslash by a backslash.
fn curl(live: &Live) -> String {
    let value = format!("{} {}", live.token_type, live.token.expose());
    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
    format!("header = \"Authorization: {value}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_any_characters_stays_one_value_for_curl() {
        let live = Live {
            token: Secret::new("a\"b\\c".to_owned()),
            token_type: "Bearer".to_owned(),
            id: TokenId::default(),
            expires_at: None,
        };
        assert_eq!(curl(&live), r#"header = "Authorization: Bearer a\"b\\c""#);
    }
}
