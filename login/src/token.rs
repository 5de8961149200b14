//! What the token endpoint answers to a login.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::header::{DATE, RETRY_AFTER};
use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse};
use regrant_core::protocol::{Profile, TokenReading, TokenReply, read_token_reply};
use regrant_core::{Answer, Cause, Client, Grant, Timestamp};

use crate::endpoint::Endpoint;
use crate::http::{Http, HttpError, Reply};
use crate::id_token;
use crate::request::{LoginRequest, RequestError};
use crate::server_metadata::ServerMetadata;
use crate::text::shown;

/// What a login brought: all that a session takes in.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoggedIn {
    /// Who asked, and where refreshes go.
    pub client: Client,
    /// The grant. Its lifetime counts from now.
    pub grant: Grant,
}

/// Why a token request of a login brought no grant.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// There was no answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The authorization server refuses this login: the user.
    #[error("the authorization server refuses the login ({code}): log in again")]
    Refused {
        /// Its code.
        code: String,
    },
    /// It brought neither a grant nor a refusal.
    #[error("the login brought no token ({}): {}", code.as_deref().unwrap_or(cause.as_str()), remedy(*cause))]
    Failed {
        /// What happened.
        cause: Cause,
        /// The server's code, where there was one.
        code: Option<String>,
    },
    /// The ID token is another issuer's (OpenID Connect Core section 3.1.3.7): the operator, or
    /// an attack.
    #[error(
        "the ID token is not from {expected}: tell the operator of the authorization server, and \
         do not use the login"
    )]
    IdTokenIssuer {
        /// The issuer that the login went to.
        expected: String,
    },
    /// The ID token is for another client (section 3.1.3.7): the operator, or an attack.
    #[error(
        "the ID token is for another client: tell the operator of the authorization server, and \
         do not use the login"
    )]
    IdTokenAudience,
}

/// A login under way: who asks whom for what.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) http: Http,
    pub(crate) server: ServerMetadata,
    pub(crate) request: LoginRequest,
    profile: Option<Profile>,
}

impl Attempt {
    pub(crate) fn new(
        http: &Http,
        server: &ServerMetadata,
        request: &LoginRequest,
    ) -> Result<Self, RequestError> {
        let profile = request.check()?;
        Ok(Self { http: http.clone(), server: server.clone(), request: request.clone(), profile })
    }

    /// What became of a token request. The only place that reads such an answer.
    pub(crate) fn read(&self, reply: &Reply) -> TokenReading<'_> {
        let headers: Vec<_> =
            reply.headers.iter().map(|(name, line)| (name.as_str(), line.as_bytes())).collect();
        let sent: Vec<_> = reply.sent.iter().chain(&self.request.client_secret).collect();
        let reading = read_token_reply(
            &TokenReply {
                status: reply.status,
                headers: &headers,
                retry_after: retry_after(reply),
                body: &reply.body,
                date: date(reply),
                scope_sent: self.request.scope.is_some(),
                dpop_required: false,
                sent: &sent,
            },
            self.profile.as_ref(),
        );
        let (status, rule) = (reply.status, &*reading.rule);
        tracing::debug!(target: "regrant", status, rule, "the token endpoint answered a login");
        reading
    }

    /// The login that this answer makes.
    pub(crate) fn logged_in(&self, reply: &Reply) -> Result<LoggedIn, TokenError> {
        self.accept(self.read(reply))
    }

    /// The same of an answer that was read.
    pub(crate) fn accept(&self, reading: TokenReading<'_>) -> Result<LoggedIn, TokenError> {
        match reading.answer {
            Answer::Granted(grant) => {
                id_token::check(
                    reading.id_token.as_ref(),
                    &self.request.client_id,
                    self.server.issuer.as_deref(),
                )?;
                Ok(LoggedIn { client: self.request.client(&self.server), grant })
            }
            Answer::Refused(refusal) => Err(TokenError::Refused { code: shown(&refusal.code) }),
            Answer::Unusable { failure, .. } | Answer::Failed(failure) => {
                Err(TokenError::Failed { cause: failure.cause, code: failure.code })
            }
            // A login makes no proofs that could carry one.
            Answer::NonceWanted => Err(TokenError::Failed {
                cause: Cause::ClientMisconfigured,
                code: Some("use_dpop_nonce".to_owned()),
            }),
        }
    }
}

/// `Retry-After` (RFC 9110 section 10.2.3): seconds, or a date against the answer's own `Date`.
/// Without one a date is left alone: it would need a clock, and whoever waits here waits longer
/// each time anyway.
fn retry_after(reply: &Reply) -> Option<Duration> {
    let line = reply.header(RETRY_AFTER)?.trim();
    let seconds = line.parse().ok().map(Duration::from_secs);
    seconds.or_else(|| Some(moment(line)?.since(date(reply)?)))
}

fn date(reply: &Reply) -> Option<Timestamp> {
    moment(reply.header(DATE)?)
}

fn moment(line: &str) -> Option<Timestamp> {
    let time = httpdate::parse_http_date(line.trim()).ok()?;
    Some(Timestamp::EPOCH + time.duration_since(std::time::UNIX_EPOCH).ok()?)
}

/// Carries one message of `oauth2` and keeps the answer, of which `oauth2` learns nothing: it
/// would copy tokens and secrets to where they are not wiped.
pub(crate) struct Courier<'a> {
    http: &'a Http,
    to: &'a Endpoint,
    answer: Mutex<Option<Result<Reply, HttpError>>>,
}

impl<'a> Courier<'a> {
    pub(crate) fn new(http: &'a Http, to: &'a Endpoint) -> Self {
        Self { http, to, answer: Mutex::new(None) }
    }

    /// The answer; an error also if `oauth2` could not write the message.
    pub(crate) fn answer(self) -> Result<Reply, HttpError> {
        let host = || self.to.origin().host().to_owned();
        let answer = self.answer.into_inner().unwrap_or_else(PoisonError::into_inner);
        answer.unwrap_or_else(|| Err(HttpError::Unsendable { host: host() }))
    }
}

impl<'c> AsyncHttpClient<'c> for Courier<'_> {
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Infallible>> + Send + 'c>>;

    fn call(&'c self, message: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let answer = self.http.post(self.to, message).await;
            *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
            Ok(HttpResponse::default())
        })
    }
}

fn remedy(cause: Cause) -> &'static str {
    match cause {
        Cause::Unreachable | Cause::NoAnswer => "check the network and try again",
        Cause::NameUnresolved => "check the name of the server, and the network",
        Cause::TlsFailed => "check the clock of this machine, its proxy and its certificates",
        Cause::Unavailable | Cause::RateLimited => "try again later",
        Cause::ClientMisconfigured => {
            "what the client is configured with does not suit the authorization server"
        }
        Cause::NotOauth | Cause::EndpointMoved => "check the address of the token endpoint",
        _ => "ask the operator of the authorization server",
    }
}
