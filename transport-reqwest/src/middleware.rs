//! Requests with a live token: sent, rejected, refreshed, sent again.

use async_trait::async_trait;
use http::Extensions;
use http::header::{AUTHORIZATION, HeaderValue};
use regrant::{Access, AccessError, Origin, Session, TokenId, Verdict};
use regrant_core::{Next, Passage};
use reqwest::{ClientBuilder, Request, Response, redirect};
use reqwest_middleware::{ClientWithMiddleware, Result};
use tokio::time::sleep;
use tracing::{debug, info};
use zeroize::Zeroizing;

use crate::answer::judge;
use crate::error::RequestError;
use crate::marks::{Judged, NotReplayable, Rejected, RetryMark};
use crate::origin::origin_of;

/// A client whose requests carry the session's token wherever the credential is bound to, and are
/// sent again with a new one when it is rejected.
///
/// It is [`client_builder`] with a [`Middleware`]; build the two yourself for other settings.
///
/// # Errors
///
/// [`reqwest::Error`], if TLS cannot be set up.
pub fn client(session: Session) -> std::result::Result<ClientWithMiddleware, reqwest::Error> {
    let client = client_builder().build()?;
    Ok(reqwest_middleware::ClientBuilder::new(client).with(Middleware::new(session)).build())
}

/// reqwest's builder, with redirects switched off.
///
/// A client that follows redirects takes the token along within an origin and drops it elsewhere;
/// what such a place answers then counts for nothing, but it is the caller's answer. Without
/// redirects, the caller gets the redirect itself.
pub fn client_builder() -> ClientBuilder {
    reqwest::Client::builder().redirect(redirect::Policy::none())
}

/// Gives requests the session's access token.
///
/// - A request to an origin that the credential is not bound to passes as it is, without a token.
///   So does one that has an `Authorization` header already: that is the caller's business.
/// - Any other leaves with the current token, in a header marked sensitive, or not at all: then
///   the error is a [`RequestError`](crate::RequestError).
/// - When the token is rejected, it is refreshed, once for all who use it, and the request is
///   sent again with the new one, at most twice. The last answer is the caller's.
/// - A request whose body cannot be sent again (a stream), or that carries [`NotReplayable`], is
///   not. The token is refreshed, and the caller gets the rejection with a [`RetryMark`].
/// - Where fresh tokens are rejected too, the caller gets the rejection with [`Rejected`], and
///   later callers an error without a request, until the session tries that origin again.
///
/// Each attempt goes through the middlewares that come after this one; those before it see one
/// request. A middleware that retries by itself belongs before it. The cap of 64 KiB aside, no
/// answer is read before its caller reads it.
///
/// An `http` origin on loopback is reached through a proxy only if the client is told to use one:
/// see [`reqwest::ClientBuilder::no_proxy`].
#[derive(Clone, Debug)]
pub struct Middleware {
    session: Session,
}

impl Middleware {
    /// For the requests of one credential. A client may have several, one for each.
    pub fn new(session: Session) -> Self {
        Self { session }
    }

    /// Sends the request until it has an answer for its caller.
    async fn pass(
        &self,
        mut request: Request,
        origin: &Origin,
        mut access: Access,
        extensions: &mut Extensions,
        next: reqwest_middleware::Next<'_>,
    ) -> Result<Response> {
        let spare = request.try_clone().filter(|_| extensions.get::<NotReplayable>().is_none());
        let mut passage = Passage::new(spare.is_some());
        loop {
            let sent = access.id();
            let scheme = scheme(&access).to_owned();
            let (fresh, profile) = (access.is_fresh(), access.profile().cloned());
            request.headers_mut().insert(AUTHORIZATION, authorization(&access)?);
            // Nothing is lent while the request is out.
            drop(access);
            let response = next.clone().run(request, extensions).await?;
            let (reading, mut response) = judge(response, &scheme, profile.as_deref()).await;
            // An answer from elsewhere counts for nothing.
            let here = origin_of(response.url()).is_some_and(|from| from == *origin);
            let verdict = if here { reading.verdict } else { Verdict::Silent };
            let lag = profile.as_ref().map(|profile| profile.fresh_token_lag());
            if let Some(wait) = passage.lags(fresh, verdict, lag.unwrap_or_default())
                && let Some(again) = spare.as_ref().and_then(Request::try_clone)
                && let Ok(same) = self.session.access(origin).await
            {
                debug!(target: "regrant", ?wait, "the token may be too new for this API");
                sleep(wait).await;
                (request, access) = (again, same);
                continue;
            }
            match &reading.claims {
                Some(claims) if here => self.session.report_claims(sent, origin, claims),
                Some(_) | None => self.session.report(sent, origin, verdict),
            }
            if reading.resource_metadata.is_some() {
                // Not fetched: an API could name any authorization server.
                info!(target: "regrant", %origin, "the API says where it is described");
            }
            response.extensions_mut().insert(Judged { reading });
            let step = passage.answered(sent, verdict);
            if step == Next::Deliver {
                return Ok(response);
            }
            access = match self.newer(origin, sent).await? {
                Ok(access) => access,
                Err(why) => {
                    response.extensions_mut().insert(Rejected { why });
                    return Ok(response);
                }
            };
            let again = spare.as_ref().and_then(Request::try_clone);
            request = match again {
                Some(again) if step == Next::Replay && passage.may_send(access.id()) => again,
                Some(_) | None => {
                    response.extensions_mut().insert(RetryMark);
                    return Ok(response);
                }
            };
        }
    }

    /// A newer token, or the word that fresh ones are rejected too.
    async fn newer(
        &self,
        origin: &Origin,
        than: TokenId,
    ) -> Result<std::result::Result<Access, AccessError>> {
        match self.session.access_newer(origin, than).await {
            Ok(access) => Ok(Ok(access)),
            Err(why @ AccessError::StillRejected { .. }) => Ok(Err(why)),
            Err(error) => Err(RequestError::Access(error).into()),
        }
    }
}

#[async_trait]
impl reqwest_middleware::Middleware for Middleware {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: reqwest_middleware::Next<'_>,
    ) -> Result<Response> {
        if request.headers().contains_key(AUTHORIZATION) {
            return next.run(request, extensions).await;
        }
        let Some(origin) = origin_of(request.url()) else {
            return next.run(request, extensions).await;
        };
        match self.session.access(&origin).await {
            Ok(access) => self.pass(request, &origin, access, extensions, next).await,
            Err(AccessError::Foreign { .. }) => next.run(request, extensions).await,
            Err(error) => Err(RequestError::Access(error).into()),
        }
    }
}

/// RFC 6750 section 2.1 spells the scheme `Bearer`; servers write the type in any case.
fn scheme(access: &Access) -> &str {
    let token_type = access.token_type();
    if token_type.eq_ignore_ascii_case("Bearer") { "Bearer" } else { token_type }
}

fn authorization(access: &Access) -> Result<HeaderValue> {
    let line = Zeroizing::new(format!("{} {}", scheme(access), access.token().expose()));
    let mut value = HeaderValue::from_str(&line).map_err(|_| RequestError::TokenUnfit)?;
    value.set_sensitive(true);
    Ok(value)
}
