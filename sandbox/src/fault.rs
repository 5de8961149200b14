//! What can go wrong at an endpoint, and the script that says when.

use std::{collections::VecDeque, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;

/// One thing that goes wrong with one request to the token or the revocation endpoint.
///
/// "Before commit" is before the server has judged the request: nothing has changed there.
/// "After commit" is after it: a rotation has happened, and only the answer is lost.
///
/// On a command line a fault is spelled `NAME` or `NAME:ARGUMENT`; [`FromStr`] takes these, with
/// `_` for `-` as well:
///
/// | spelling | fault |
/// |---|---|
/// | `503` or `server-error` | [`Fault::ServerError`] |
/// | `429`, `429:RETRY_AFTER` | [`Fault::RateLimit429`] |
/// | `NNN`, `NNN:RETRY_AFTER` | [`Fault::Status`] with an empty JSON object |
/// | `status-after-commit:NNN` | [`Fault::StatusAfterCommit`] |
/// | `reset`, `reset-after-commit` | [`Fault::Reset`], [`Fault::ResetAfterCommit`] |
/// | `hang:MS`, `hang-after-commit:MS`, `slow:MS` | [`Fault::Hang`], [`Fault::HangAfterCommit`], [`Fault::SlowThen`] |
/// | `cut-body` | [`Fault::CutBody`] |
/// | `html` | [`Fault::Html`] |
/// | `invalid_grant`, `invalid_client`, `error:CODE` | [`Fault::InvalidGrant`], [`Fault::InvalidClient`], [`Fault::Error`] |
/// | `ok-with-error:CODE` | [`Fault::OkWithError`] |
/// | `claims-challenge`, `claims-challenge:CLAIMS` | [`Fault::ClaimsChallenge`] |
/// | `use_dpop_nonce` | [`Fault::UseDpopNonce`] |
/// | `redirect:URL` | [`Fault::Redirect`] |
/// | `no-refresh-token` | [`Fault::NoRefreshToken`] |
///
/// [`Fault::Raw`] has no spelling there. In JSON a fault is one of these spellings as a string, or
/// an object such as
/// `{"raw":{"status":200,"headers":[["content-type","text/plain"]],"body":"..."}}`.
///
/// ```
/// use regrant_sandbox::Fault;
///
/// let fault: Fault = "429:60".parse()?;
/// assert_eq!(fault, Fault::RateLimit429 { retry_after: Some("60".to_owned()) });
/// assert!("reset-sideways".parse::<Fault>().is_err());
/// # Ok::<(), regrant_sandbox::ParseFaultError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", remote = "Self")]
pub enum Fault {
    /// This status and body, before commit.
    Status {
        /// The status code.
        code: u16,
        /// The value of `Retry-After`, if there is one.
        #[serde(default)]
        retry_after: Option<String>,
        /// The body.
        #[serde(default)]
        body: String,
        /// The value of `Content-Type`.
        #[serde(default = "json_content_type")]
        content_type: String,
    },
    /// 503 without `Retry-After`, before commit.
    ServerError,
    /// 429, before commit.
    #[serde(rename = "rate-limit-429")]
    RateLimit429 {
        /// The value of `Retry-After`, if there is one.
        #[serde(default)]
        retry_after: Option<String>,
    },
    /// The connection is reset without an answer, before commit.
    Reset,
    /// The connection is reset without an answer, after commit.
    ResetAfterCommit,
    /// This status with an empty JSON object, after commit: a gateway that gave up.
    StatusAfterCommit {
        /// The status code.
        code: u16,
    },
    /// Nothing happens for so long, then the connection is reset; never committed.
    Hang {
        /// Milliseconds.
        ms: u64,
    },
    /// Committed, then nothing for so long, then the answer, to whoever still listens.
    HangAfterCommit {
        /// Milliseconds.
        ms: u64,
    },
    /// The answer with a `Content-Length` greater than what is sent, then the end; after commit.
    CutBody,
    /// 200 with an HTML page, before commit: a captive portal.
    Html,
    /// 400 `invalid_grant`, before commit: the refresh token stays as it is.
    InvalidGrant,
    /// 401 `invalid_client`, before commit.
    InvalidClient,
    /// 400 with this error code, before commit.
    Error {
        /// The value of `error`.
        code: String,
    },
    /// 200 with this error code, before commit, as GitHub does.
    OkWithError {
        /// The value of `error`.
        code: String,
    },
    /// 400 `invalid_grant` with a `claims` member, before commit, as Entra does: a login that asks
    /// for these claims is wanted.
    ClaimsChallenge {
        /// The value of `claims`.
        #[serde(default = "any_claims")]
        claims: String,
    },
    /// 400 `use_dpop_nonce` with a nonce that was not given before (RFC 9449, section 8), before
    /// commit, whether the client uses DPoP or not.
    UseDpopNonce,
    /// 307 to this place, before commit.
    Redirect {
        /// The value of `Location`.
        to: String,
    },
    /// A grant that leaves out the refresh token, and does not rotate.
    NoRefreshToken,
    /// The right answer, judged after so many milliseconds.
    SlowThen(u64),
    /// Any answer at all, before commit.
    Raw {
        /// The status code.
        status: u16,
        /// Field lines, in order; a name may come more than once.
        #[serde(default)]
        headers: Vec<(String, String)>,
        /// The body.
        #[serde(default)]
        body: String,
    },
}

impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Fault {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(spelling) => spelling.parse().map_err(D::Error::custom),
            value => Self::deserialize(value).map_err(D::Error::custom),
        }
    }
}

fn json_content_type() -> String {
    "application/json".to_owned()
}

/// What Entra asks for after a policy has changed: a token that was issued later than that.
fn any_claims() -> String {
    r#"{"access_token":{"nbf":{"essential":true,"value":"1700000000"}}}"#.to_owned()
}

/// A spelling that is no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseFaultError {
    /// No fault has this name.
    #[error("no fault is named {name:?}")]
    UnknownName {
        /// The name.
        name: String,
    },
    /// This fault takes an argument, and it is missing or is not what it should be.
    #[error("the fault {name:?} takes {expected} after a colon")]
    Argument {
        /// The fault.
        name: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// This fault takes no argument.
    #[error("the fault {name:?} takes no argument")]
    NoArgument {
        /// The fault.
        name: String,
    },
}

impl FromStr for Fault {
    type Err = ParseFaultError;

    fn from_str(spelling: &str) -> Result<Self, Self::Err> {
        let (name, argument) = match spelling.split_once(':') {
            Some((name, argument)) => (name.trim(), Some(argument.trim())),
            None => (spelling.trim(), None),
        };
        let wrong = |expected| ParseFaultError::Argument { name: name.to_owned(), expected };
        let text = |expected| match argument {
            Some(argument) if !argument.is_empty() => Ok(argument.to_owned()),
            Some(_) | None => Err(wrong(expected)),
        };
        let ms = || {
            let text = text("milliseconds")?;
            text.parse::<u64>().map_err(|_| wrong("milliseconds"))
        };
        let bare = |fault| match argument {
            None => Ok(fault),
            Some(_) => Err(ParseFaultError::NoArgument { name: name.to_owned() }),
        };
        if let Some(code) = status_code(name) {
            let retry_after = argument.map(str::to_owned);
            return Ok(match (code, retry_after) {
                (429, retry_after) => Self::RateLimit429 { retry_after },
                (503, None) => Self::ServerError,
                (code, retry_after) => Self::Status {
                    code,
                    retry_after,
                    body: "{}".to_owned(),
                    content_type: json_content_type(),
                },
            });
        }
        match name.replace('_', "-").as_str() {
            "server-error" => bare(Self::ServerError),
            "status-after-commit" => {
                let code = text("a status code")?;
                let code = status_code(&code).ok_or_else(|| wrong("a status code"))?;
                Ok(Self::StatusAfterCommit { code })
            }
            "reset" => bare(Self::Reset),
            "reset-after-commit" => bare(Self::ResetAfterCommit),
            "hang" => Ok(Self::Hang { ms: ms()? }),
            "hang-after-commit" => Ok(Self::HangAfterCommit { ms: ms()? }),
            "slow" => Ok(Self::SlowThen(ms()?)),
            "cut-body" => bare(Self::CutBody),
            "html" => bare(Self::Html),
            "invalid-grant" => bare(Self::InvalidGrant),
            "invalid-client" => bare(Self::InvalidClient),
            "error" => Ok(Self::Error { code: text("an error code")? }),
            "ok-with-error" => Ok(Self::OkWithError { code: text("an error code")? }),
            "claims-challenge" => {
                let claims = argument.map_or_else(any_claims, str::to_owned);
                Ok(Self::ClaimsChallenge { claims })
            }
            "use-dpop-nonce" => bare(Self::UseDpopNonce),
            "redirect" => Ok(Self::Redirect { to: text("a URL")? }),
            "no-refresh-token" => bare(Self::NoRefreshToken),
            _ => Err(ParseFaultError::UnknownName { name: name.to_owned() }),
        }
    }
}

/// The name of the fault, without its argument.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { code, .. } => write!(f, "{code}"),
            Self::ServerError => f.write_str("503"),
            Self::RateLimit429 { .. } => f.write_str("429"),
            Self::Reset => f.write_str("reset"),
            Self::ResetAfterCommit => f.write_str("reset-after-commit"),
            Self::StatusAfterCommit { code } => write!(f, "status-after-commit:{code}"),
            Self::Hang { ms } => write!(f, "hang:{ms}"),
            Self::HangAfterCommit { ms } => write!(f, "hang-after-commit:{ms}"),
            Self::CutBody => f.write_str("cut-body"),
            Self::Html => f.write_str("html"),
            Self::InvalidGrant => f.write_str("invalid_grant"),
            Self::InvalidClient => f.write_str("invalid_client"),
            Self::Error { code } => write!(f, "error:{code}"),
            Self::OkWithError { code } => write!(f, "ok-with-error:{code}"),
            Self::ClaimsChallenge { .. } => f.write_str("claims-challenge"),
            Self::UseDpopNonce => f.write_str("use_dpop_nonce"),
            Self::Redirect { .. } => f.write_str("redirect"),
            Self::NoRefreshToken => f.write_str("no-refresh-token"),
            Self::SlowThen(ms) => write!(f, "slow:{ms}"),
            Self::Raw { status, .. } => write!(f, "raw:{status}"),
        }
    }
}

fn status_code(text: &str) -> Option<u16> {
    text.parse().ok().filter(|code| (200..=599).contains(code))
}

/// Which endpoint a fault is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// `POST /token`.
    #[default]
    Token,
    /// `POST /revoke`.
    Revocation,
}

/// The faults to come at one endpoint: a queue, then one for ever.
#[derive(Debug, Default)]
pub(crate) struct FaultScript {
    pub(crate) queue: VecDeque<Fault>,
    pub(crate) always: Option<Fault>,
}

impl FaultScript {
    pub(crate) fn next_fault(&mut self) -> Option<Fault> {
        self.queue.pop_front().or_else(|| self.always.clone())
    }

    pub(crate) fn clear(&mut self) {
        self.queue.clear();
        self.always = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_spelling_is_read() {
        for (spelling, fault) in [
            ("503", Fault::ServerError),
            ("server_error", Fault::ServerError),
            ("429", Fault::RateLimit429 { retry_after: None }),
            ("429:60", Fault::RateLimit429 { retry_after: Some("60".to_owned()) }),
            (
                "502:7",
                Fault::Status {
                    code: 502,
                    retry_after: Some("7".to_owned()),
                    body: "{}".to_owned(),
                    content_type: json_content_type(),
                },
            ),
            ("status-after-commit:504", Fault::StatusAfterCommit { code: 504 }),
            ("reset", Fault::Reset),
            ("reset-after-commit", Fault::ResetAfterCommit),
            ("hang:10000", Fault::Hang { ms: 10_000 }),
            ("hang-after-commit:10000", Fault::HangAfterCommit { ms: 10_000 }),
            ("slow:5", Fault::SlowThen(5)),
            ("cut-body", Fault::CutBody),
            ("html", Fault::Html),
            ("invalid_grant", Fault::InvalidGrant),
            ("invalid_client", Fault::InvalidClient),
            ("error:slow_down", Fault::Error { code: "slow_down".to_owned() }),
            ("ok-with-error:x", Fault::OkWithError { code: "x".to_owned() }),
            ("claims-challenge", Fault::ClaimsChallenge { claims: any_claims() }),
            (
                r#"claims_challenge:{"id_token":{}}"#,
                Fault::ClaimsChallenge { claims: r#"{"id_token":{}}"#.to_owned() },
            ),
            ("use_dpop_nonce", Fault::UseDpopNonce),
            (
                "redirect:http://127.0.0.1:1/x",
                Fault::Redirect { to: "http://127.0.0.1:1/x".to_owned() },
            ),
            ("no-refresh-token", Fault::NoRefreshToken),
        ] {
            assert_eq!(spelling.parse(), Ok(fault), "{spelling}");
        }
    }

    #[test]
    fn json_takes_a_spelling_or_an_object_and_gives_what_it_takes() {
        let faults: Vec<Fault> = serde_json::from_str(
            r#"["429:60", "reset_after_commit", {"hang":{"ms":5}}, {"slow-then":7},
                {"raw":{"status":204}}, {"status":{"code":500}}]"#,
        )
        .unwrap();
        assert_eq!(faults[0], Fault::RateLimit429 { retry_after: Some("60".to_owned()) });
        assert_eq!(faults[1], Fault::ResetAfterCommit);
        let json = serde_json::to_string(&faults).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Fault>>(&json).unwrap(), faults);
    }

    #[test]
    fn what_is_no_fault_says_what_belongs_there() {
        for (spelling, message) in [
            ("", "no fault is named \"\""),
            ("999", "no fault is named \"999\""),
            ("hang", "the fault \"hang\" takes milliseconds after a colon"),
            ("hang:soon", "the fault \"hang\" takes milliseconds after a colon"),
            ("redirect:", "the fault \"redirect\" takes a URL after a colon"),
            ("html:1", "the fault \"html\" takes no argument"),
        ] {
            assert_eq!(spelling.parse::<Fault>().unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn the_queue_comes_before_the_fault_for_ever() {
        let mut script = FaultScript::default();
        script.queue.push_back(Fault::Reset);
        script.always = Some(Fault::Html);
        let served = [script.next_fault(), script.next_fault(), script.next_fault()];
        assert_eq!(served, [Some(Fault::Reset), Some(Fault::Html), Some(Fault::Html)]);
    }
}
