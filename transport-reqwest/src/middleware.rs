//! Requests with a live token: sent, rejected, refreshed, sent again.

use std::sync::Arc;

use async_trait::async_trait;
use http::Extensions;
use http::header::{AUTHORIZATION, HeaderValue};
use regrant::{Access, AccessError, Origin, ProofSigner, Secret, Session, Verdict};
use regrant_core::protocol::{ApiReading, Class};
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
use crate::proofs::{Proofs, Proven};

/// The scheme of tokens that are bound to a key.
const DPOP: &str = "DPoP";

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
/// - A token that is bound to a key (RFC 9449) goes out as `DPoP` with a new proof each time, or
///   without a [proof signer](Self::with_proofs) not at all. Where the API wants its nonce in the
///   proof, or finds the proof's time wrong and says its own, the request is sent again at once,
///   one time, with the same token.
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
    proofs: Option<Proofs>,
}

impl Middleware {
    /// For the requests of one credential. A client may have several, one for each.
    pub fn new(session: Session) -> Self {
        Self { session, proofs: None }
    }

    /// With the signer for tokens that are bound to a key (RFC 9449). A session that has bearer
    /// tokens never asks it. Clones share the nonces of the APIs.
    ///
    /// A client that follows redirects would take a proof to where it is not for: use
    /// [`client_builder`].
    #[must_use]
    pub fn with_proofs(self, signer: Arc<dyn ProofSigner>) -> Self {
        Self { proofs: Some(Proofs::new(signer)), ..self }
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
            let bound = (scheme == DPOP).then(|| access.token().clone());
            // Nothing is lent while the request is out.
            drop(access);
            let proven = match bound {
                Some(token) => Some(self.prove(&mut request, origin, &token).await?),
                None => None,
            };
            let response = next.clone().run(request, extensions).await?;
            let (reading, mut response) = judge(response, &scheme, profile.as_deref()).await;
            // An answer from elsewhere counts for nothing.
            let here = origin_of(response.url()).is_some_and(|from| from == *origin);
            let verdict = if here { reading.verdict } else { Verdict::Silent };
            if let Some(proven) = proven.filter(|_| here)
                && self.is_mended(&proven, &reading, &response)
            {
                if passage.nonce_wanted()
                    && let Some(again) = spare.as_ref().and_then(Request::try_clone)
                    && let Ok(current) = self.session.access(origin).await
                {
                    debug!(target: "regrant", %origin, "the request is sent again with a new proof");
                    (request, access) = (again, current);
                    continue;
                }
                if spare.is_none() {
                    response.extensions_mut().insert(RetryMark);
                }
            }
            let lag = profile.as_ref().map(|profile| profile.fresh_token_lag());
            if let Some(wait) = passage.lags(fresh, verdict, lag.unwrap_or_default())
                && let Some(again) = spare.as_ref().and_then(Request::try_clone)
            {
                debug!(target: "regrant", ?wait, "the token may be too new for this API");
                sleep(wait).await;
                // Only now: it can have been replaced meanwhile.
                if let Ok(current) = self.session.access(origin).await {
                    (request, access) = (again, current);
                    continue;
                }
            }
            match &reading.claims {
                Some(claims) if here => self.session.report_claims(sent, origin, claims),
                Some(_) | None => self.session.report(sent, origin, verdict),
            }
            if reading.resource_metadata.is_some() {
                // Not fetched: an API could name any authorization server.
                info!(target: "regrant", %origin, "the API says where it is described");
            }
            let claims = reading.claims.clone();
            response.extensions_mut().insert(Judged { reading });
            let step = passage.answered(sent, verdict);
            if step == Next::Deliver {
                return Ok(response);
            }
            access = match (self.session.access_newer(origin, sent).await, claims) {
                (Ok(access), _) => access,
                (Err(why @ AccessError::StillRejected { .. }), _) => {
                    response.extensions_mut().insert(Rejected { why });
                    return Ok(response);
                }
                (Err(source @ AccessError::NeedsLogin { .. }), Some(claims)) => {
                    return Err(RequestError::ClaimsWanted { claims, source }.into());
                }
                (Err(error), _) => return Err(RequestError::Access(error).into()),
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

    /// Puts a proof on a request with a bound token.
    async fn prove(
        &self,
        request: &mut Request,
        origin: &Origin,
        token: &Secret,
    ) -> std::result::Result<Proven, RequestError> {
        let proofs = self.proofs.as_ref().ok_or(RequestError::NoProofSigner)?;
        Ok(proofs.prove(request, origin.clone(), Some(token)).await?)
    }

    /// Learns from an answer what proofs need. Whether it refuses the proof for something that the
    /// next one will have.
    fn is_mended(&self, proven: &Proven, reading: &ApiReading<'_>, response: &Response) -> bool {
        let Some(proofs) = &self.proofs else { return false };
        let nonce = reading.nonce.as_deref();
        proofs.note(proven, nonce);
        if reading.class == Class::DpopNonce {
            return proven.lacks(nonce);
        }
        let refused = reading.reason.as_deref() == Some("dpop_proof");
        refused && proofs.was_untimely(proven, response.headers())
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

/// RFC 6750 section 2.1 and RFC 9449 section 7.1 spell the schemes so; servers write the type in
/// any case.
fn scheme(access: &Access) -> &str {
    let token_type = access.token_type();
    let known = ["Bearer", DPOP].into_iter().find(|known| known.eq_ignore_ascii_case(token_type));
    known.unwrap_or(token_type)
}

fn authorization(access: &Access) -> Result<HeaderValue> {
    let line = Zeroizing::new(format!("{} {}", scheme(access), access.token().expose()));
    let mut value = HeaderValue::from_str(&line).map_err(|_| RequestError::TokenUnfit)?;
    value.set_sensitive(true);
    Ok(value)
}
