//! Proofs of possession (RFC 9449): read, not verified. What a client says in them is checked, and
//! the signature is not, for the sandbox guards nothing.

use std::collections::HashSet;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName, header};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::mint;

pub(crate) const DPOP: HeaderName = HeaderName::from_static("dpop");
pub(crate) const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// The head of a proof, of which only this is looked at (RFC 9449, section 4.2).
#[derive(Deserialize)]
struct Head {
    typ: String,
    alg: String,
    jwk: Map<String, Value>,
}

#[derive(Deserialize)]
struct Payload {
    jti: String,
    htm: String,
    htu: String,
    iat: f64,
    nonce: Option<String>,
    ath: Option<String>,
}

/// What a proof must be for.
#[derive(Debug)]
pub(crate) struct Proven<'a> {
    pub(crate) method: &'a str,
    /// The URL that the request came to.
    pub(crate) url: String,
    /// The access token that the request carries.
    pub(crate) token: Option<&'a str>,
}

/// Why a proof is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ProofRefusal {
    /// It lacks this nonce.
    Nonce(String),
    Invalid(&'static str),
}

/// The nonce of the authorization server, and what was proven before.
#[derive(Debug, Default)]
pub(crate) struct Proofs {
    nonce: Option<String>,
    seen: HashSet<String>,
}

impl Proofs {
    /// A new nonce, which every proof needs from now on.
    pub(crate) fn renew_nonce(&mut self) -> String {
        self.nonce.insert(mint::random()).clone()
    }

    /// A proof for the authorization server, with its nonce.
    pub(crate) fn check_with_nonce(
        &mut self,
        headers: &HeaderMap,
        proven: &Proven<'_>,
    ) -> Result<(), ProofRefusal> {
        let payload = read(headers, proven).map_err(ProofRefusal::Invalid)?;
        let nonce = self.nonce.get_or_insert_with(mint::random);
        if payload.nonce.as_ref() != Some(nonce) {
            return Err(ProofRefusal::Nonce(nonce.clone()));
        }
        self.once(payload).map_err(ProofRefusal::Invalid)
    }

    /// A proof for an API, which demands no nonce.
    pub(crate) fn check(
        &mut self,
        headers: &HeaderMap,
        proven: &Proven<'_>,
    ) -> Result<(), &'static str> {
        let payload = read(headers, proven)?;
        self.once(payload)
    }

    /// RFC 9449, section 11.1: a proof serves one request.
    fn once(&mut self, payload: Payload) -> Result<(), &'static str> {
        let new = self.seen.insert(payload.jti);
        new.then_some(()).ok_or("The jti of the proof was used before")
    }
}

/// The checks of RFC 9449, section 4.3, but for signature and age.
fn read(headers: &HeaderMap, proven: &Proven<'_>) -> Result<Payload, &'static str> {
    let mut proofs = headers.get_all(DPOP).into_iter();
    let (Some(proof), None) = (proofs.next(), proofs.next()) else {
        return Err("There is not exactly one proof");
    };
    let proof = proof.to_str().map_err(|_| "The proof is no JWT")?;
    let [head, payload, signature]: [&str; 3] =
        proof.split('.').collect::<Vec<_>>().try_into().map_err(|_| "The proof is no JWT")?;
    let head: Head = part(head).ok_or("The head of the proof lacks typ, alg or jwk")?;
    let payload: Payload = part(payload).ok_or("The proof lacks jti, htm, htu or iat")?;
    if head.typ != "dpop+jwt" {
        return Err("The typ of the proof is not dpop+jwt");
    }
    // Symmetric keys prove nothing to whoever does not share them.
    if head.alg == "none" || head.alg.starts_with("HS") || signature.is_empty() {
        return Err("The proof is not signed by a key pair");
    }
    if head.jwk.contains_key("d") {
        return Err("The proof gives its private key away");
    }
    if payload.jti.is_empty() || !payload.iat.is_finite() {
        return Err("The jti or the iat of the proof is empty");
    }
    if payload.htm != proven.method {
        return Err("The htm of the proof is not the method of the request");
    }
    let place = |url: &str| {
        let mut url = Url::parse(url).ok()?;
        url.set_query(None);
        url.set_fragment(None);
        Some(url)
    };
    if place(&payload.htu).is_none() || place(&payload.htu) != place(&proven.url) {
        return Err("The htu of the proof is not the URL of the request");
    }
    let hash = proven.token.map(|token| URL_SAFE_NO_PAD.encode(Sha256::digest(token)));
    if hash.is_some() && payload.ath != hash {
        return Err("The ath of the proof is not the hash of the access token");
    }
    Ok(payload)
}

fn part<T: DeserializeOwned>(encoded: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()
}

/// The URL of a request to this path: the server knows that its host is one of its own.
pub(crate) fn url_of(headers: &HeaderMap, path: &str) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    format!("http://{host}{path}")
}
