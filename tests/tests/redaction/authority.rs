//! An authorization server and an API that quote back whatever they were sent, in every place
//! where servers do, and whose every token is a canary.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::canary::Canaries;
use crate::loopback::{self, Answer, Loopback, Received, answer};

/// Whom the client is.
pub(crate) const CLIENT: &str = "canary-free-client";

/// What the token endpoint says. Each but a grant quotes all that it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    /// New tokens, an ID token and a cookie.
    Grants,
    /// The same with another scope than was asked for.
    GrantsOtherScope,
    /// The same for somebody else.
    GrantsOtherSubject,
    /// The same as of a type that binds it to a key (RFC 9449).
    GrantsBound,
    /// A grant of a type that nobody knows.
    GrantsUnknownType,
    /// A grant that no header can carry.
    GrantsUnfit,
    /// `invalid_grant`, with what was sent in its description and its URI.
    Refuses,
    /// `invalid_client`, likewise.
    RefusesClient,
    /// An error code that is the token that was sent.
    TokenAsCode,
    /// An error code of two words, of which one is the token.
    TokenInCode,
    /// A whole sentence in the place of the code, as many servers write it.
    SentenceAsCode,
    /// The same beside a status that says to wait.
    SentenceAsCodeWhileBusy,
    /// A grant whose JSON breaks off.
    CutJson,
    /// A grant whose body is shorter than announced.
    CutBody,
    /// Members of wrong types.
    WrongTypes,
    /// A member twice.
    Twice,
    /// A form that is no grant.
    Form,
    /// A page of HTML.
    Html,
    /// A redirect to where the tokens stand in the URL.
    Redirects,
    /// 500.
    Fails,
    /// 503 and a header that should be a number.
    Unavailable,
    /// 429.
    Limits,
    /// 401 with a challenge.
    Challenges,
    /// 400 that asks for a nonce, which is a quotation.
    WantsNonce,
    /// Nothing, though it has granted.
    Vanishes,
    /// What is no HTTP.
    Babbles,
}

impl Says {
    /// All there are that bring no token.
    pub(crate) const FAILURES: [Self; 21] = [
        Self::GrantsUnknownType,
        Self::GrantsUnfit,
        Self::Refuses,
        Self::RefusesClient,
        Self::TokenAsCode,
        Self::TokenInCode,
        Self::SentenceAsCode,
        Self::SentenceAsCodeWhileBusy,
        Self::CutJson,
        Self::CutBody,
        Self::WrongTypes,
        Self::Twice,
        Self::Form,
        Self::Html,
        Self::Redirects,
        Self::Fails,
        Self::Unavailable,
        Self::Limits,
        Self::Challenges,
        Self::WantsNonce,
        Self::Babbles,
    ];
}

/// What the API says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judges {
    /// 200 to the live token, else a challenge that quotes the token.
    ByToken,
    /// The same without a challenge: the quotation is in the body alone.
    InTheBody,
    /// A code that is the token.
    TokenAsCode,
    /// A challenge to everybody.
    RejectsAll,
    /// A challenge to everybody that wants claims, which only a login brings.
    WantsClaims,
    /// 403, and a scope that is missing.
    WantsScope,
    /// A redirect to where the token stands in the URL.
    Redirects,
    /// 500.
    Fails,
}

/// Both servers, on one origin.
pub(crate) struct Authority {
    pub(crate) canaries: Canaries,
    loopback: Loopback,
    state: Arc<State>,
}

struct State {
    canaries: Canaries,
    /// What is said next; then grants.
    says: Mutex<VecDeque<Says>>,
    judges: Mutex<Judges>,
    live: Mutex<Option<String>>,
    cookie: String,
    /// What stands in ID tokens.
    claim: String,
}

impl Authority {
    pub(crate) fn start(canaries: &Canaries) -> Self {
        let state = Arc::new(State {
            canaries: canaries.clone(),
            says: Mutex::default(),
            judges: Mutex::new(Judges::ByToken),
            live: Mutex::default(),
            cookie: canaries.token("cookie"),
            claim: canaries.token("ID token"),
        });
        let of_server = Arc::clone(&state);
        let loopback = Loopback::start(move |origin, received| of_server.answer(origin, received));
        Self { canaries: canaries.clone(), loopback, state }
    }

    pub(crate) fn origin(&self) -> String {
        self.loopback.origin()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        self.loopback.url(path)
    }

    /// What the token endpoint says to the next requests, before it grants again.
    pub(crate) fn says(&self, says: impl IntoIterator<Item = Says>) {
        self.state.says.lock().unwrap().extend(says);
    }

    pub(crate) fn judges(&self, judges: Judges) {
        *self.state.judges.lock().unwrap() = judges;
    }

    /// Every access token is dead from now on, until the next grant.
    pub(crate) fn expire(&self) {
        *self.state.live.lock().unwrap() = None;
    }
}

impl State {
    fn answer(&self, origin: &str, received: &Received) -> Answer {
        self.learn(received);
        match received.path() {
            "/token" => {
                let says = self.says.lock().unwrap().pop_front().unwrap_or(Says::Grants);
                self.say(says, origin, received)
            }
            "/revoke" => loopback::json(400, &json!({ "error": quoted(received) }).to_string()),
            "/device" => loopback::json(200, &self.device(origin)),
            "/authorize" => self.authorize(received),
            path if path.starts_with("/.well-known/") => {
                loopback::json(200, &metadata(origin).to_string())
            }
            _ => {
                let judges = *self.judges.lock().unwrap();
                self.judge(judges, received)
            }
        }
    }

    /// What clients make themselves is secret too.
    fn learn(&self, received: &Received) {
        for name in ["code_verifier", "client_assertion"] {
            if let Some(text) = received.field(name) {
                self.canaries.planted(name, &text);
            }
        }
    }

    fn grant(&self, origin: &str) -> Value {
        let access = self.canaries.token("access token");
        *self.live.lock().unwrap() = Some(access.clone());
        let encode = |part: String| BASE64_URL_SAFE_NO_PAD.encode(part);
        let claims = json!({
            "iss": origin, "aud": CLIENT, "sub": "user",
            "nonce": self.claim,
        });
        let id_token = format!(
            "{}.{}.{}",
            encode(json!({ "alg": "RS256" }).to_string()),
            encode(claims.to_string()),
            encode(self.claim.clone()),
        );
        json!({
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": 3_600,
            "refresh_token": self.canaries.token("refresh token"),
            "id_token": id_token,
        })
    }

    fn say(&self, says: Says, origin: &str, received: &Received) -> Answer {
        let cookie = format!("session={}; HttpOnly", self.cookie);
        let lines = [("content-type", "application/json"), ("set-cookie", cookie.as_str())];
        let with = |name: &str, value: &str| {
            let mut grant = self.grant(origin);
            grant[name] = value.into();
            answer(200, &lines, &grant.to_string())
        };
        let error = |status, code: &str| {
            let body = json!({
                "error": code,
                "error_description": quoted(received),
                "error_uri": format!("https://as.example/?{}", received.body),
            });
            answer(status, &lines, &body.to_string())
        };
        let token = ["refresh_token", "code", "device_code", "client_secret"];
        let token = token.iter().find_map(|name| received.field(name)).unwrap_or_default();
        let sentence = format!("The token {token} is not known or has expired.");
        match says {
            Says::Grants => answer(200, &lines, &self.grant(origin).to_string()),
            Says::GrantsOtherScope => with("scope", "another scope"),
            Says::GrantsOtherSubject => {
                let claims = json!({ "iss": origin, "aud": CLIENT, "sub": "somebody else" });
                let claims = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
                with("id_token", &format!("e30.{claims}.c2ln"))
            }
            Says::GrantsBound => with("token_type", "DPoP"),
            Says::GrantsUnknownType => with("token_type", "mac"),
            Says::GrantsUnfit => {
                let unfit = format!("{}\u{e9}{}", self.canaries.token("access token"), token);
                with("access_token", &unfit)
            }
            Says::Refuses => error(400, "invalid_grant"),
            Says::RefusesClient => error(401, "invalid_client"),
            Says::TokenAsCode => error(400, &token),
            Says::TokenInCode => error(400, &format!("Unknown {token}")),
            Says::SentenceAsCode => error(400, &sentence),
            Says::SentenceAsCodeWhileBusy => error(503, &sentence),
            Says::CutJson => {
                let grant = self.grant(origin).to_string();
                answer(200, &lines, &grant[..grant.len() - 20])
            }
            Says::CutBody => {
                let mut whole = answer(200, &lines, &self.grant(origin).to_string())?;
                whole.truncate(whole.len() - 20);
                Some(whole)
            }
            Says::WrongTypes => {
                let mut grant = self.grant(origin);
                grant["access_token"] = json!([grant["access_token"]]);
                grant["refresh_token"] = json!({ "token": grant["refresh_token"] });
                grant["error"] = Value::Null;
                answer(200, &lines, &grant.to_string())
            }
            Says::Twice => {
                let grant = self.grant(origin).to_string();
                let again = json!({ "access_token": token }).to_string();
                answer(200, &lines, &format!("{},{}", &grant[..grant.len() - 1], &again[1..]))
            }
            Says::Form => {
                let lines = [("content-type", "application/x-www-form-urlencoded")];
                answer(200, &lines, &received.body)
            }
            Says::Html => {
                let body = format!("<html><p>You sent {} {}", quoted(received), self.grant(origin));
                answer(200, &[("content-type", "text/html")], &body)
            }
            Says::Redirects => {
                let to = format!("{origin}/elsewhere?{}", received.body);
                answer(307, &[("location", &to)], &quoted(received))
            }
            Says::Fails => answer(500, &lines, &quoted(received)),
            Says::Unavailable => answer(503, &[("retry-after", &token)], &quoted(received)),
            Says::Limits => answer(429, &[("retry-after", "1")], &quoted(received)),
            Says::Challenges => {
                let line = format!("Bearer error=\"{token}\", error_description=\"{token}\"");
                answer(401, &[("www-authenticate", &line)], &quoted(received))
            }
            Says::WantsNonce => {
                let body = json!({ "error": "use_dpop_nonce", "error_description": token });
                answer(400, &[("dpop-nonce", &token.replace(['"', '\\'], "-"))], &body.to_string())
            }
            Says::Vanishes => {
                self.grant(origin);
                None
            }
            Says::Babbles => Some(quoted(received).into_bytes()),
        }
    }

    fn judge(&self, judges: Judges, received: &Received) -> Answer {
        let token = received.token().unwrap_or_default();
        let live = self.live.lock().unwrap().as_deref() == Some(token);
        let body = json!({ "error": "invalid_token", "message": quoted(received) }).to_string();
        let line = format!("Bearer error=\"invalid_token\", error_description=\"not {token}\"");
        let challenge = |line: &str| answer(401, &[("www-authenticate", line)], &body);
        match judges {
            Judges::ByToken | Judges::InTheBody | Judges::TokenAsCode if live => {
                // What an API says to its caller is the caller's.
                answer(200, &[], "thing")
            }
            Judges::ByToken | Judges::RejectsAll => challenge(&line),
            Judges::InTheBody => loopback::json(401, &body),
            Judges::TokenAsCode => challenge(&format!("Bearer error=\"{token}\"")),
            Judges::WantsClaims => {
                let claims = BASE64_URL_SAFE_NO_PAD.encode(r#"{"access_token":{"acrs":null}}"#);
                let line = format!(
                    "Bearer error=\"insufficient_claims\", claims=\"{claims}\", x=\"{token}\""
                );
                challenge(&line)
            }
            Judges::WantsScope => {
                let line =
                    format!("Bearer error=\"insufficient_scope\", scope=\"admin\", x={token}");
                answer(403, &[("www-authenticate", &line)], &body)
            }
            Judges::Redirects => {
                answer(302, &[("location", &format!("https://api.example/?t={token}"))], &body)
            }
            Judges::Fails => answer(500, &[], &body),
        }
    }

    fn authorize(&self, received: &Received) -> Answer {
        let query = received.target.split_once('?').unwrap().1.to_owned();
        let asked = url::form_urlencoded::parse(query.as_bytes());
        let asked: std::collections::BTreeMap<_, _> = asked.into_owned().collect();
        self.canaries.planted("state", &asked["state"]);
        let mut to = url::Url::parse(&asked["redirect_uri"]).unwrap();
        to.query_pairs_mut()
            .append_pair("code", &self.canaries.token("authorization code"))
            .append_pair("state", &asked["state"]);
        answer(302, &[("location", to.as_str())], "")
    }

    fn device(&self, origin: &str) -> String {
        let codes = json!({
            "device_code": self.canaries.token("device code"),
            "user_code": "SHOWN",
            "verification_uri": format!("{origin}/verify"),
            // The page with the code in it is for whoever is shown it.
            "verification_uri_complete":
                format!("{origin}/verify?c={}", self.canaries.token("complete URI")),
            "expires_in": 60,
            "interval": 1,
        });
        codes.to_string()
    }
}

fn metadata(origin: &str) -> Value {
    json!({
        "issuer": origin,
        "authorization_endpoint": format!("{origin}/authorize"),
        "token_endpoint": format!("{origin}/token"),
        "device_authorization_endpoint": format!("{origin}/device"),
        "revocation_endpoint": format!("{origin}/revoke"),
    })
}

/// All of a request that is secret.
fn quoted(received: &Received) -> String {
    let all = [&received.authorization, &received.dpop].map(|line| line.as_deref().unwrap_or("-"));
    let token = received.field("refresh_token").unwrap_or_default();
    format!("You sent {} and {} with {token}: {}", all[0], all[1], received.body)
}
