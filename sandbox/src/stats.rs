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
    /// count here, and neither do the answers that ask a client to come again: the next three.
    pub refused: u64,
    /// Polls of devices for which nobody had decided yet.
    pub pending: u64,
    /// Polls of devices that came too fast.
    pub slow_downs: u64,
    /// Answers that demanded a DPoP nonce, injected ones too.
    pub nonce_demands: u64,
    /// What was granted and refused of each kind of grant.
    pub grants: BTreeMap<GrantType, GrantStats>,
    /// How many failed client authentication.
    pub unauthenticated: u64,
    /// Requests at the authorization endpoint; the buttons of its page are none.
    pub authorization_requests: u64,
    /// Authorization codes that were issued.
    pub codes_issued: u64,
    /// Authorization codes that were presented again after they were redeemed.
    pub codes_reused: u64,
    /// Requests at the device authorization endpoint.
    pub device_authorization_requests: u64,
    /// Requests for the metadata of the authorization server, in either place.
    pub metadata_requests: u64,
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

    /// The counters of one kind of grant.
    pub fn grant(&self, grant_type: GrantType) -> GrantStats {
        self.grants.get(&grant_type).copied().unwrap_or_default()
    }
}

/// How a client asks for tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GrantType {
    /// With the code of a browser login (RFC 6749, section 4.1).
    AuthorizationCode,
    /// With its own credentials (RFC 6749, section 4.4).
    ClientCredentials,
    /// With the code of a device (RFC 8628, section 3.4).
    DeviceCode,
    /// With a refresh token (RFC 6749, section 6).
    RefreshToken,
}

/// Counters of one kind of grant. A request that failed before its grant was looked at, for its
/// form, its client or its proof, is in none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct GrantStats {
    /// How many were granted.
    pub granted: u64,
    /// How many were refused.
    pub refused: u64,
}

/// Counters of one API. `requests` is the sum of the next four.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ApiStats {
    /// Requests, whatever became of them, but for those for metadata.
    pub requests: u64,
    /// Requests whose token was taken.
    pub accepted: u64,
    /// Requests whose token was not taken.
    pub rejected: u64,
    /// Requests without a bearer token.
    pub anonymous: u64,
    /// Requests whose token was good and did not meet the demand of the API.
    pub demanded: u64,
    /// Requests for the metadata of the API, which need no token.
    pub metadata_requests: u64,
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
    /// The authorization endpoint.
    Authorization,
    /// The device authorization endpoint.
    DeviceAuthorization,
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
