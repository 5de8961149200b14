//! An authorization server and an API on one origin that verify proofs of possession as RFC 9449
//! section 4.3 says: signature, method, URL, time, token, nonce, and that each serves once.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD as BASE64};
use http::header::{AUTHORIZATION, DATE, HOST, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, Method, StatusCode, Uri};
use regrant::{SystemClocks, TimeSource as _};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::form_urlencoded;

const DPOP: HeaderName = HeaderName::from_static("dpop");
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// How far the time of a proof may be from the server's: 30 s, less than the tests' wrong clocks.
const WINDOW: i64 = 30;

/// What one of the two wants of nonces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Nonces {
    #[default]
    Unwanted,
    /// The newest, and each good answer brings a newer one.
    Rotated,
    /// Another one each time: no proof is ever good.
    NeverRight,
    /// One that is never taken.
    AlwaysTheSame,
}

/// One of the two.
#[derive(Default)]
pub(crate) struct Place {
    pub(crate) nonces: Nonces,
    newest: Option<String>,
    seen: HashSet<String>,
    /// The claims of the proofs that came, good or bad, and what was answered.
    pub(crate) requests: Vec<(Value, u16)>,
}

pub(crate) struct Guarded {
    /// The public key that all proofs must be signed with.
    key: Vec<u8>,
    /// How far the server's clock is ahead of ours, in seconds.
    pub(crate) ahead: i64,
    /// The secret of the client, which it shows by HTTP Basic.
    pub(crate) client_secret: Option<&'static str>,
    pub(crate) api: Place,
    pub(crate) token: Place,
    pub(crate) live_access: Option<String>,
    pub(crate) live_refresh: Option<String>,
    /// Every proof and every token that was on the wire.
    pub(crate) secrets: HashSet<String>,
    count: u64,
}

#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) url: String,
    state: Arc<Mutex<Guarded>>,
}

/// Why a request is refused: a code of RFC 9449 or RFC 6749, with a nonce or without.
struct Refused(&'static str, Option<String>);

impl Guard {
    pub(crate) async fn start(key: Vec<u8>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(Guarded {
            key,
            ahead: 0,
            client_secret: None,
            api: Place::default(),
            token: Place::default(),
            live_access: None,
            live_refresh: None,
            secrets: HashSet::new(),
            count: 0,
        }));
        let guard = Self { url, state };
        let router = Router::new().fallback(handle).with_state(guard.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        guard
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, Guarded> {
        self.state.lock().unwrap()
    }

    /// How many requests came to the token endpoint and to the API.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let state = self.state();
        (state.token.requests.len(), state.api.requests.len())
    }
}

async fn handle(
    State(guard): State<Guard>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut state = guard.state();
    let proofs: Vec<_> = headers.get_all(DPOP).iter().cloned().collect();
    state.secrets.extend(proofs.iter().map(|proof| proof.to_str().unwrap().to_owned()));
    let claims = match &proofs[..] {
        [proof] => state.verified(proof, &method, &headers, &uri),
        _ => Err("there is not one proof"),
    };
    let shown = claims.clone().unwrap_or_else(Into::into);
    let is_token = uri.path() == "/token";
    let answer = match claims {
        Err(_) => Err(Refused("invalid_dpop_proof", None)),
        Ok(claims) if is_token => state.grant(&claims, &headers, &body),
        Ok(claims) => state.serve(&claims, &headers, &body),
    };
    let status = match (&answer, is_token) {
        (Ok(_), _) => StatusCode::OK,
        (Err(_), true) => StatusCode::BAD_REQUEST,
        (Err(_), false) => StatusCode::UNAUTHORIZED,
    };
    let (mut response, nonce) = match answer {
        Ok((response, nonce)) => (response, nonce),
        Err(Refused(code, nonce)) => {
            let mut response = axum::Json(json!({ "error": code })).into_response();
            if !is_token {
                let challenge = format!("DPoP error=\"{code}\", algs=\"ES256\"");
                response.headers_mut().insert(WWW_AUTHENTICATE, challenge.parse().unwrap());
            }
            (response, nonce)
        }
    };
    if let Some(nonce) = nonce {
        response.headers_mut().insert(DPOP_NONCE, nonce.parse().unwrap());
    }
    let date = SystemTime::UNIX_EPOCH + Duration::from_secs(state.now().try_into().unwrap());
    let date = httpdate::fmt_http_date(date).parse::<HeaderValue>().unwrap();
    response.headers_mut().insert(DATE, date);
    *response.status_mut() = status;
    let place = if is_token { &mut state.token } else { &mut state.api };
    place.requests.push((shown, status.as_u16()));
    response
}

impl Guarded {
    fn now(&self) -> i64 {
        i64::try_from(SystemClocks.wall().as_millis() / 1_000).unwrap() + self.ahead
    }

    fn verified(
        &self,
        proof: &HeaderValue,
        method: &Method,
        headers: &HeaderMap,
        uri: &Uri,
    ) -> Result<Value, &'static str> {
        let proof = proof.to_str().map_err(|_| "not text")?;
        let (message, signature) = proof.rsplit_once('.').ok_or("no signature")?;
        let (head, claims) = message.split_once('.').ok_or("no claims")?;
        let (head, claims) = (json_of(head)?, json_of(claims)?);
        if head["typ"] != "dpop+jwt" || head["alg"] != "ES256" || head["jwk"].get("d").is_some() {
            return Err("the head is wrong");
        }
        let mut point = vec![4];
        point.extend(bytes_of(&head["jwk"]["x"])?);
        point.extend(bytes_of(&head["jwk"]["y"])?);
        if point != self.key {
            return Err("another key");
        }
        let signature = BASE64.decode(signature).map_err(|_| "the signature is not base64url")?;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            .verify(message.as_bytes(), &signature)
            .map_err(|_| "the signature is wrong")?;
        let host = headers[HOST].to_str().unwrap();
        if claims["htm"] != method.as_str() {
            return Err("htm");
        }
        if claims["htu"] != format!("http://{host}{}", uri.path()) {
            return Err("htu");
        }
        let issued_at = claims["iat"].as_i64().ok_or("iat is no whole number")?;
        if (issued_at - self.now()).abs() > WINDOW {
            return Err("iat");
        }
        Ok(claims)
    }

    fn grant(
        &mut self,
        claims: &Value,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<(Response, Option<String>), Refused> {
        if let Some(secret) = self.client_secret {
            let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("app:{secret}")));
            if headers.get(AUTHORIZATION).is_none_or(|shown| *shown != *basic) {
                return Err(Refused("invalid_client", None));
            }
        }
        if claims.get("ath").is_some() {
            return Err(Refused("invalid_dpop_proof", None));
        }
        let nonce = self.token.admit(claims)?;
        let form: BTreeMap<_, _> = form_urlencoded::parse(body).into_owned().collect();
        let shown = form.get("refresh_token");
        if shown.is_none() || shown != self.live_refresh.as_ref() {
            return Err(Refused("invalid_grant", nonce));
        }
        let (access, refresh) = self.issue();
        let grant = json!({
            "access_token": access,
            "refresh_token": refresh,
            "token_type": "DPoP",
            "expires_in": 3_600,
        });
        Ok((axum::Json(grant).into_response(), nonce))
    }

    /// A new pair of tokens; the old ones are dead.
    pub(crate) fn issue(&mut self) -> (String, String) {
        self.count += 1;
        let mint =
            |kind| BASE64.encode(Sha256::digest(format!("{kind} {} {:p}", self.count, self)));
        let (access, refresh) = (mint("access"), mint("refresh"));
        self.secrets.extend([access.clone(), refresh.clone()]);
        (self.live_access, self.live_refresh) = (Some(access.clone()), Some(refresh.clone()));
        (access, refresh)
    }

    fn serve(
        &mut self,
        claims: &Value,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Result<(Response, Option<String>), Refused> {
        let authorization = headers.get(AUTHORIZATION).and_then(|line| line.to_str().ok());
        let token = authorization.and_then(|line| line.strip_prefix("DPoP "));
        let token = token.ok_or(Refused("invalid_token", None))?;
        if claims["ath"] != BASE64.encode(Sha256::digest(token)) {
            return Err(Refused("invalid_dpop_proof", None));
        }
        let nonce = self.api.admit(claims)?;
        if self.live_access.as_deref() != Some(token) {
            return Err(Refused("invalid_token", nonce));
        }
        Ok((body.clone().into_response(), nonce))
    }
}

impl Place {
    /// The nonce for the next proof, if this one is good.
    fn admit(&mut self, claims: &Value) -> Result<Option<String>, Refused> {
        let jti = claims["jti"].as_str().unwrap_or_default();
        if jti.len() < 16 || !self.seen.insert(jti.to_owned()) {
            return Err(Refused("invalid_dpop_proof", None));
        }
        let newer = format!("n-{}", self.seen.len());
        match self.nonces {
            Nonces::Unwanted => return Ok(None),
            Nonces::Rotated
                if claims["nonce"].as_str() == self.newest.as_deref() && self.newest.is_some() =>
            {
                self.newest = Some(newer.clone());
                return Ok(Some(newer));
            }
            Nonces::AlwaysTheSame => self.newest = Some("always".to_owned()),
            Nonces::Rotated if self.newest.is_some() => {}
            Nonces::Rotated | Nonces::NeverRight => self.newest = Some(newer),
        }
        Err(Refused("use_dpop_nonce", self.newest.clone()))
    }
}

fn json_of(part: &str) -> Result<Value, &'static str> {
    let bytes = BASE64.decode(part).map_err(|_| "not base64url")?;
    serde_json::from_slice(&bytes).map_err(|_| "not JSON")
}

fn bytes_of(member: &Value) -> Result<Vec<u8>, &'static str> {
    BASE64.decode(member.as_str().ok_or("no text")?).map_err(|_| "not base64url")
}
