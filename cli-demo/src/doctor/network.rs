//! Whether the servers answer, and whether their clocks agree with ours. They are sent nothing
//! but the question: no token, and no client.

use std::time::Duration;

use futures_util::future::join_all;
use http::header::DATE;
use regrant::{Origin, Timestamp};
use regrant_core::Record;
use url::Url;

use super::Check;
use crate::error::Failure;
use crate::time;

/// How long a server may take: 10 s, in which those do that a person would wait for.
const PATIENCE: Duration = Duration::from_secs(10);

/// From how far off on a clock is worth a word: 30 s, where tokens of other programs begin to
/// look expired.
const SKEW: Duration = Duration::from_secs(30);

/// Asks the token endpoint and the origins of this record, all at once.
pub(crate) async fn examine(record: &Record) -> Vec<Check> {
    let endpoint = ("token endpoint".to_owned(), record.client.token_endpoint.clone());
    let origins = record.origins.iter().map(|origin| (format!("API {origin}"), origin.to_string()));
    let asked = [endpoint].into_iter().chain(origins);
    let answers = join_all(asked.map(|(name, url)| async move { (name, ask(&url).await) })).await;
    let mut checks = Vec::new();
    let mut skews = Vec::new();
    for (name, answer) in answers {
        match answer {
            Ok(answer) => {
                checks.push(answer.to_check(name));
                skews.extend(answer.skew);
            }
            Err(failure) => checks.push(Check::failed(name, &failure)),
        }
    }
    checks.extend(clock(skews));
    checks
}

/// Any answer at all.
struct Answer {
    status: u16,
    /// By how much the server's clock is ahead of ours; the flag is for one that is behind.
    skew: Option<(Duration, bool)>,
}

impl Answer {
    fn to_check(&self, name: String) -> Check {
        let what = format!("answers with HTTP {}", self.status);
        match self.status {
            // 501 says that it does not know the question.
            500 | 502..=599 => {
                Check::warning(name, what, "wait; the server says itself that it cannot serve")
            }
            _ => Check::fine(name, what),
        }
    }
}

async fn ask(url: &str) -> Result<Answer, Failure> {
    let url = Url::parse(url)
        .map_err(|error| Failure::network("what the record names is no URL").because(&error))?;
    let mut builder = regrant_reqwest::client_builder().timeout(PATIENCE);
    let is_loopback = Origin::new(
        url.scheme(),
        url.host_str().unwrap_or_default(),
        url.port_or_known_default().unwrap_or(0),
    )
    .is_ok_and(|origin| origin.scheme() == "http");
    if is_loopback {
        builder = builder.no_proxy();
    }
    let client = builder.build().map_err(|error| {
        Failure::other("internal", "the HTTP client cannot be made").because(&error)
    })?;
    let asked_at = time::now();
    let response = client.head(url).send().await.map_err(|error| {
        let what = if error.is_timeout() {
            "no answer within ten seconds"
        } else if error.is_connect() {
            "no connection"
        } else {
            "no answer that is HTTP"
        };
        Failure::network(what)
            .because(&error.without_url())
            .remedy("check the name, the network, the proxy and the certificates of this machine")
    })?;
    let date = response.headers().get(DATE).and_then(|date| date.to_str().ok());
    let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
    let date = date.and_then(|date| date.duration_since(std::time::UNIX_EPOCH).ok());
    let halfway = asked_at + time::now().since(asked_at) / 2;
    let skew = date.map(|date| difference(Timestamp::EPOCH + date, halfway));
    Ok(Answer { status: response.status().as_u16(), skew })
}

fn difference(theirs: Timestamp, ours: Timestamp) -> (Duration, bool) {
    if theirs < ours { (ours.since(theirs), true) } else { (theirs.since(ours), false) }
}

/// What the farthest of them says.
fn clock(skews: Vec<(Duration, bool)>) -> Option<Check> {
    let (length, is_behind) = skews.into_iter().max_by_key(|(length, _)| *length)?;
    if length <= SKEW {
        return Some(Check::fine("clock", "agrees with the servers' to within 30 s"));
    }
    // Seen from the servers, which decide.
    let direction = if is_behind { "ahead of" } else { "behind" };
    Some(Check::warning(
        "clock",
        format!("this machine is {} {direction} the servers", time::length(length)),
        "nothing for regrant's sake, which does not depend on it; for other programs set the clock",
    ))
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    #[test]
    fn a_clock_that_is_off_is_worth_a_warning_and_no_more() {
        let seconds = Duration::from_secs;
        assert!(clock(Vec::new()).is_none());
        assert_eq!(clock(vec![(seconds(30), true)]).unwrap().outcome, Outcome::Fine);
        let check = clock(vec![(seconds(5), false), (seconds(7_200), false)]).unwrap();
        assert_eq!(check.outcome, Outcome::Warning);
        assert!(check.what.contains("2h behind"), "{}", check.what);
        let check = clock(vec![(seconds(31), true)]).unwrap();
        assert!(check.what.contains("31s ahead of"), "{}", check.what);
    }

    #[test]
    fn a_server_that_cannot_serve_has_answered() {
        let outcome = |status| Answer { status, skew: None }.to_check("x".to_owned()).outcome;
        assert_eq!((outcome(405), outcome(503)), (Outcome::Fine, Outcome::Warning));
    }
}
