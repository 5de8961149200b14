//! What came, counted; and the last requests, without their tokens.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

/// Counters since the start, or since the last reset. `GET /stats` answers with these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Stats {
    /// Requests at the token endpoint, whatever became of them.
    pub token_requests: u64,
    /// Of these, how many were granted; counted at the commit, whether the answer got out or not.
    pub granted: u64,
    /// How many were judged and refused, client authentication aside. Injected refusals do not
    /// count here.
    pub refused: u64,
    /// How many failed client authentication.
    pub unauthenticated: u64,
    /// Spent refresh tokens presented outside any grace.
    pub reuse_detected: u64,
    /// Spent refresh tokens honoured within their grace; these are granted too.
    pub grace_replays: u64,
    /// Families that were live and were revoked, by whatever.
    pub families_revoked: u64,
    /// Requests at the revocation endpoint.
    pub revocation_requests: u64,
    /// Of these, how many revoked a token that was known.
    pub revocations: u64,
    /// Faults that requests met.
    pub faults_served: u64,
    /// Families that are not revoked, now.
    pub live_families: u64,
    /// Token requests that the gate holds, now.
    pub held: u64,
    /// The most token requests that were open at one time.
    pub max_concurrent_token_requests: u64,
    /// Each API by its name.
    pub apis: BTreeMap<String, ApiStats>,
}

impl Stats {
    /// The counters of one API; all zero if there is no such API.
    pub fn api(&self, name: &str) -> ApiStats {
        self.apis.get(name).cloned().unwrap_or_default()
    }
}

/// Counters of one API. `requests` is the sum of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ApiStats {
    /// Requests, whatever became of them.
    pub requests: u64,
    /// Requests whose token was taken.
    pub accepted: u64,
    /// Requests whose token was not taken.
    pub rejected: u64,
    /// Requests without a bearer token.
    pub anonymous: u64,
}

/// Where a logged request went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RequestKind {
    /// The token endpoint.
    Token,
    /// The revocation endpoint.
    Revocation,
    /// An API, by its name.
    Api(String),
}

/// One request, as the log keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RequestRecord {
    /// Where it went.
    pub kind: RequestKind,
    /// When it was answered, in milliseconds since the Unix epoch on the sandbox's clock.
    pub at_ms: u64,
    /// The last characters of the token it carried, never the whole token.
    pub token_suffix: Option<String>,
    /// The status that was answered; absent where the connection was cut instead.
    pub status: Option<u16>,
}

/// How many requests are remembered: enough for any test, little enough for a day of use.
const LOG_LENGTH: usize = 4_096;

/// The last requests.
#[derive(Debug, Default)]
pub(crate) struct RequestLog(VecDeque<RequestRecord>);

impl RequestLog {
    pub(crate) fn push(&mut self, record: RequestRecord) {
        if self.0.len() == LOG_LENGTH {
            self.0.pop_front();
        }
        self.0.push_back(record);
    }

    pub(crate) fn to_vec(&self) -> Vec<RequestRecord> {
        self.0.iter().cloned().collect()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// The last six characters of a sandbox token; of anything else that might be a real secret, none.
pub(crate) fn token_suffix(token: &str) -> Option<String> {
    let random = token.strip_prefix("sandbox_at_").or(token.strip_prefix("sandbox_rt_"))?;
    let start = random.char_indices().rev().nth(5).map_or(0, |(index, _)| index);
    Some(random[start..].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suffix_is_short_and_only_of_sandbox_tokens() {
        assert_eq!(token_suffix("sandbox_at_0123456789").as_deref(), Some("456789"));
        assert_eq!(token_suffix("sandbox_rt_é").as_deref(), Some("é"));
        assert_eq!(token_suffix("a-real-secret"), None);
    }
}
