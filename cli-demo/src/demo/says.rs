//! What the demo's processes say to each other: one JSON object a line, no secrets.

use std::path::PathBuf;

use regrant::{Event, StateKind};
use serde::{Deserialize, Serialize};

/// What a worker is for. Its first line of input.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Task {
    pub(super) kind: Kind,
    /// Where the credential lies.
    pub(super) folder: PathBuf,
    /// The API to call.
    pub(super) url: String,
}

/// Which client a worker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Regrant,
    Naive,
}

/// What a worker is to do next; it ends when its input does.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) calls: u32,
}

/// What a worker says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "said", rename_all = "snake_case")]
pub(super) enum Said {
    /// It has opened the credential.
    Ready { state: Option<StateName> },
    /// One call got this answer.
    Answered { status: u16 },
    /// One call got none.
    Failed { code: String, message: String },
    /// The state has another name now.
    State { state: StateName },
    /// It sends a token request.
    Asked,
    /// It got a new token and saved it.
    Refreshed,
    /// It took over what another process saved.
    Adopted,
    /// A try failed; the next comes so much later, if one comes.
    TryFailed { cause: String, next_in_ms: Option<u64> },
    /// A login is needed.
    LoginNeeded,
}

/// A state by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "StateKind")]
enum Named {
    Valid,
    ServerRejected,
    Refreshing,
    Retrying,
    NeedsLogin,
}

/// A state that can be written as its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct StateName(#[serde(with = "Named")] pub(super) StateKind);

impl Said {
    /// What a session's event is worth in the timeline, if anything.
    pub(super) fn of(event: &Event, now: regrant::Timestamp) -> Option<Self> {
        match event {
            // What the first load finds is no change.
            Event::StateChanged { from: Some(from), to, .. } if from != to => {
                Some(Self::State { state: StateName(*to) })
            }
            Event::Asked { .. } => Some(Self::Asked),
            Event::Refreshed { .. } => Some(Self::Refreshed),
            Event::Adopted { .. } => Some(Self::Adopted),
            Event::TryFailed { cause, next_try_at, .. } => {
                let millis = |at: regrant::Timestamp| {
                    u64::try_from(at.since(now).as_millis()).unwrap_or(u64::MAX)
                };
                Some(Self::TryFailed {
                    cause: cause.to_string(),
                    next_in_ms: next_try_at.map(millis),
                })
            }
            Event::LoginNeeded { .. } => Some(Self::LoginNeeded),
            // `Event` may grow; the timeline tells what it knows.
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_read_again() {
        for said in [
            Said::Ready { state: Some(StateName(StateKind::Refreshing)) },
            Said::State { state: StateName(StateKind::NeedsLogin) },
            Said::TryFailed { cause: "unreachable".to_owned(), next_in_ms: None },
        ] {
            let line = serde_json::to_string(&said).unwrap();
            assert_eq!(serde_json::from_str::<Said>(&line).unwrap(), said, "{line}");
        }
    }
}
