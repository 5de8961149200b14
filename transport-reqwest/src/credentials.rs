//! What a client shows at its authorization server besides the token: its secret, an assertion, a
//! proof of possession.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method};
use regrant::{Answer, Applied, Cause, Client, Origin, Secret, SystemClocks, TimeSource as _};
use regrant_core::protocol::{TokenReading, TokenRequest};
use reqwest::Request;
use tracing::warn;
use url::Url;
use zeroize::Zeroizing;

use crate::assertion::{Assertion, AssertionError, AssertionSigner};
use crate::origin::origin_of;
use crate::proofs::{Proofs, Proven};

/// Who signs.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) proofs: Option<Proofs>,
    pub(crate) assertions: Option<Arc<dyn AssertionSigner>>,
}

/// A request that got no answer that could be read to its end.
#[derive(Debug)]
pub(crate) struct NoAnswer {
    pub(crate) cause: Cause,
    pub(crate) applied: Applied,
}

impl NoAnswer {
    /// Nothing was sent, and it would come to the same another time.
    const MISCONFIGURED: Self = Self { cause: Cause::ClientMisconfigured, applied: Applied::No };
    /// Nothing was sent.
    pub(crate) const UNSENT: Self = Self { cause: Cause::Unreachable, applied: Applied::No };
}

/// A request, ready to be sent.
pub(crate) struct Prepared {
    /// Without its body, which knows whether it was sent.
    pub(crate) request: Request,
    pub(crate) body: Bytes,
    pub(crate) proven: Option<Proven>,
}

impl Default for Credentials {
    fn default() -> Self {
        Self { proofs: None, assertions: by_client_key() }
    }
}

/// Who signs assertions where the host does not.
#[cfg(feature = "private-key-jwt")]
fn by_client_key() -> Option<Arc<dyn AssertionSigner>> {
    Some(Arc::new(crate::client_key::ClientKey))
}

#[cfg(not(feature = "private-key-jwt"))]
fn by_client_key() -> Option<Arc<dyn AssertionSigner>> {
    None
}

impl Credentials {
    /// The request with all that the client shows. `proves`: whether it carries a proof.
    pub(crate) async fn prepare(
        &self,
        endpoint: &str,
        client: &Client,
        message: TokenRequest,
        proves: bool,
    ) -> Result<Prepared, NoAnswer> {
        let (url, origin) = endpoint_url(endpoint).ok_or(NoAnswer::MISCONFIGURED)?;
        let message = self.authenticated(message, client).await?;
        let mut request = Request::new(Method::POST, url);
        let headers = request.headers_mut();
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, form);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some((user, password)) = &message.basic {
            let basic = basic(user, password).ok_or(NoAnswer::MISCONFIGURED)?;
            headers.insert(AUTHORIZATION, basic);
        }
        let proven = if proves { Some(self.prove(&mut request, origin).await?) } else { None };
        let body = Bytes::copy_from_slice(message.body.expose().as_bytes());
        Ok(Prepared { request, body, proven })
    }

    /// The message with the assertion that it wants.
    async fn authenticated(
        &self,
        message: TokenRequest,
        client: &Client,
    ) -> Result<TokenRequest, NoAnswer> {
        if !message.assertion_wanted {
            return Ok(message);
        }
        let Some(signer) = &self.assertions else {
            warn!(target: "regrant", "not sent: give the token client an assertion signer");
            return Err(NoAnswer::MISCONFIGURED);
        };
        let signed = signer.sign(&Assertion::new(client, SystemClocks.wall())).await;
        signed.map(|assertion| message.with_assertion(&assertion)).map_err(|error| {
            warn!(target: "regrant", %error, "not sent");
            match error {
                AssertionError::NoKey => NoAnswer::MISCONFIGURED,
                // A key in hardware can be back the next time.
                AssertionError::Signer(_) => NoAnswer::UNSENT,
            }
        })
    }

    async fn prove(&self, request: &mut Request, origin: Origin) -> Result<Proven, NoAnswer> {
        let Some(proofs) = &self.proofs else {
            warn!(target: "regrant", "not sent: give the token client a proof signer");
            return Err(NoAnswer::MISCONFIGURED);
        };
        proofs.prove(request, origin, None).await.map_err(|error| {
            warn!(target: "regrant", %error, "not sent");
            NoAnswer::UNSENT
        })
    }

    /// What the answer to a request with a proof comes to, once it is noted what the next proof
    /// needs.
    pub(crate) fn learned(
        &self,
        proven: &Proven,
        headers: &HeaderMap,
        reading: TokenReading<'_>,
    ) -> Answer {
        let Some(proofs) = &self.proofs else { return reading.answer };
        proofs.note(proven, reading.nonce.as_deref());
        let refused = reading.reason.as_deref() == Some("invalid_dpop_proof");
        if refused && proofs.was_untimely(proven, headers) {
            // The machine's word for another request at once, with another proof.
            return Answer::NonceWanted;
        }
        reading.answer
    }
}

/// An endpoint that may be sent secrets: `https`, or `http` on loopback, and no password in the
/// URL, which reqwest would make a header of.
fn endpoint_url(endpoint: &str) -> Option<(Url, Origin)> {
    let url = Url::parse(endpoint).ok()?;
    let plain = url.username().is_empty() && url.password().is_none();
    let origin = origin_of(&url).filter(|_| plain)?;
    Some((url, origin))
}

/// RFC 6749 section 2.3.1; both parts are encoded already.
fn basic(user: &str, password: &Secret) -> Option<HeaderValue> {
    let pair = Zeroizing::new(format!("{user}:{}", password.expose()));
    let encoded = Zeroizing::new(BASE64_STANDARD.encode(pair.as_bytes()));
    let line = Zeroizing::new(format!("Basic {}", *encoded));
    let mut value = HeaderValue::from_str(&line).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_to_https_and_to_loopback_only() {
        for good in ["https://as.example/token", "http://127.0.0.1:1/t", "http://localhost/t"] {
            assert!(endpoint_url(good).is_some(), "{good}");
        }
        for bad in [
            "http://as.example/token",
            "ftp://as.example/token",
            "https://user:secret@as.example/token",
            "as.example/token",
            "",
        ] {
            assert!(endpoint_url(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn basic_is_sensitive() {
        let value = basic("app", &Secret::new("s3cret".into())).unwrap();
        assert!(value.is_sensitive());
        assert_eq!(value.as_bytes(), b"Basic YXBwOnMzY3JldA==");
        assert_eq!(format!("{value:?}"), "Sensitive");
    }
}
