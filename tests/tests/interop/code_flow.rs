//! The authorization code flow by hand (RFC 6749 section 4.1), as any login library does it.

use regrant::{Answer, Grant, Proof, ProofSigner as _, SystemClocks, TimeSource as _};
use regrant_core::protocol::{TokenReply, read_token_reply};
use reqwest::header::LOCATION;
use reqwest::{RequestBuilder, Url, redirect};
use serde_json::json;

use crate::keys::Key;
use crate::provider::Provider;

/// Where the code is sent. Nobody listens there: the browser of these tests stops before it. The
/// provider knows this address with another port (RFC 8252 section 7.3).
const REDIRECT: &str = "http://127.0.0.1:49152/callback";

/// The pair of RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What the provider compares with nothing, and the client with what it sent.
const STATE: &str = "the state of this login";

/// Alice logs in, in a browser of her own.
pub(crate) async fn log_in(provider: &Provider, client_id: &str) -> Grant {
    let code = authorized(provider, client_id).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    let request = authenticated(provider, client_id, &form);
    granted(&read(request).await)
}

/// The same with a proof of this key, to which the tokens are bound from then on (RFC 9449
/// section 5). The provider wants its nonce in it.
pub(crate) async fn log_in_bound(provider: &Provider, key: &Key) -> Grant {
    let code = authorized(provider, "dpop").await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    let endpoint = provider.endpoint("token_endpoint");
    let mut nonce = None;
    for _ in 0..2 {
        let mut proof = Proof::new("POST", endpoint, SystemClocks.wall());
        proof.nonce = nonce.as_deref();
        let proof = key.sign(&proof).await.unwrap();
        let request = authenticated(provider, "dpop", &form).header("DPoP", proof.expose());
        let answer = request.send().await.unwrap();
        if let Some(next) = answer.headers().get("dpop-nonce").filter(|_| nonce.is_none()) {
            nonce = Some(next.to_str().unwrap().to_owned());
            continue;
        }
        let (status, content_type) = (answer.status().as_u16(), "application/json".to_owned());
        return granted(&Reply { status, content_type, body: answer.text().await.unwrap() });
    }
    panic!("the provider wants another nonce each time")
}

async fn authorized(provider: &Provider, client_id: &str) -> String {
    let stop_at_redirect = redirect::Policy::custom(|attempt| match attempt.url().path() {
        "/callback" => attempt.stop(),
        _ => attempt.follow(),
    });
    let browser =
        reqwest::Client::builder().no_proxy().cookie_store(true).redirect(stop_at_redirect);
    let parameters = [
        ("response_type", "code"),
        ("client_id", client_id),
        ("redirect_uri", REDIRECT),
        ("scope", "read write"),
        ("resource", provider.api()),
        ("state", STATE),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let endpoint = provider.endpoint("authorization_endpoint");
    let url = Url::parse_with_params(endpoint, parameters).unwrap();
    let answer = browser.build().unwrap().get(url).send().await.unwrap();
    let status = answer.status();
    let Some(location) = answer.headers().get(LOCATION) else {
        panic!("the provider has no more to say: {status} {}", answer.text().await.unwrap())
    };
    let back = Url::parse(location.to_str().unwrap()).unwrap();
    let parameter = |wanted: &str| {
        let mut pairs = back.query_pairs();
        let found = pairs.find(|(name, _)| name == wanted);
        found.unwrap_or_else(|| panic!("there is no {wanted} in {back}")).1.into_owned()
    };
    assert_eq!(parameter("state"), STATE);
    // RFC 9207: whose code this is.
    assert_eq!(parameter("iss"), provider.issuer());
    parameter("code")
}

/// A token request by one of the provider's clients.
pub(crate) fn authenticated(
    provider: &Provider,
    client_id: &str,
    form: &[(&str, &str)],
) -> RequestBuilder {
    let mut form = form.to_vec();
    let secret = provider.secret(client_id).unwrap_or_default();
    if client_id == "basic" || client_id == "machine" {
        // RFC 6749 section 2.3.1 wants both encoded before they are put together.
        let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let (user, password): (String, String) = (encode(client_id), encode(secret));
        let request = provider.post(provider.endpoint("token_endpoint"), &form);
        return request.basic_auth(user, Some(password));
    }
    form.push(("client_id", client_id));
    let assertion = (client_id == "jwt").then(|| assertion(provider, secret));
    if let Some(assertion) = &assertion {
        form.push(("client_assertion_type", JWT_BEARER));
        form.push(("client_assertion", assertion));
    }
    if client_id == "post" {
        form.push(("client_secret", secret));
    }
    provider.post(provider.endpoint("token_endpoint"), &form)
}

/// A client assertion by hand (RFC 7523 section 3).
fn assertion(provider: &Provider, pem: &str) -> String {
    let (key, now) = (Key::from_pem(pem), SystemClocks.wall().as_millis() / 1_000);
    let claims = json!({
        "iss": "jwt", "sub": "jwt", "aud": provider.issuer(), "jti": key.nonce(),
        "iat": now, "exp": now + 60,
    });
    key.signed(&json!({ "alg": "ES256" }), &claims)
}

/// An answer of the token endpoint.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) body: String,
}

pub(crate) async fn read(request: RequestBuilder) -> Reply {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let content_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
    Reply { status, content_type, body: answer.text().await.unwrap() }
}

/// What regrant makes of it.
pub(crate) fn meant(reply: &Reply) -> Answer {
    let Reply { status, content_type, body } = reply;
    let headers = &[("content-type", content_type.as_bytes())];
    let reply =
        TokenReply { status: *status, headers, body: body.as_bytes(), ..TokenReply::default() };
    read_token_reply(&reply, None).answer
}

fn granted(reply: &Reply) -> Grant {
    match meant(reply) {
        Answer::Granted(grant) => grant,
        other => panic!("{reply:?} means {other:?}"),
    }
}
