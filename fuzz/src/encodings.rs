//! Forms and base64, beside those of others.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use regrant_core::protocol::{
    Profile, TokenReply, read_token_reply, revocation_request, token_request,
};
use regrant_core::{Answer, Client, ClientAuthentication, Secret};
use serde_json::json;
use url::form_urlencoded;

/// Texts, one a line: refresh token, client, client's secret, scope, claims, resources.
pub fn encodings(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut texts = text.split('\n');
    let mut next = || texts.next().unwrap_or_default();
    let token = Secret::new(next().to_owned());
    let mut client = Client::new("https://as.example/token", next());
    client.client_secret = Some(Secret::new(next().to_owned()));
    let scope = next();
    let claims = next();
    client.scope = Some(scope.to_owned());
    client.resource = texts.map(str::to_owned).collect();
    for authentication in [
        ClientAuthentication::None,
        ClientAuthentication::ClientSecretBasic,
        ClientAuthentication::ClientSecretPost,
        ClientAuthentication::PrivateKeyJwt,
    ] {
        client.authentication = authentication;
        a_request_is_read_as_it_was_meant(&client, &token, claims);
    }
    what_a_form_says_is_read_back(&client, &token);
    a_subject_comes_out_of_an_id_token(token.expose());
}

fn a_request_is_read_as_it_was_meant(client: &Client, token: &Secret, claims: &str) {
    let request = token_request(client, Some(token), Some(claims), None);
    let mut expected = vec![("grant_type", "refresh_token"), ("refresh_token", token.expose())];
    expected.extend(client.resource.iter().map(|resource| ("resource", resource.as_str())));
    expected.push(("claims", claims));
    let secret = client.client_secret.as_ref().map_or("", Secret::expose);
    match client.authentication {
        ClientAuthentication::None | ClientAuthentication::PrivateKeyJwt => {
            expected.push(("client_id", &client.client_id));
        }
        ClientAuthentication::ClientSecretPost => {
            expected.extend([("client_id", client.client_id.as_str()), ("client_secret", secret)]);
        }
        ClientAuthentication::ClientSecretBasic => {
            let (user, password) = request.basic.as_ref().expect("a client that authenticates so");
            let pair = format!("{user}={}", password.expose());
            assert_eq!(pairs(&pair), [(client.client_id.clone(), secret.to_owned())]);
        }
        _ => return,
    }
    let owned = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    assert_eq!(pairs(request.body.expose()), owned(&expected));
    let basic = client.authentication == ClientAuthentication::ClientSecretBasic;
    assert_eq!(request.basic.is_some(), basic, "a client authenticates in one way");

    let request = revocation_request(client, token, "refresh_token");
    let read = pairs(request.body.expose());
    assert_eq!(read[0], ("token".to_owned(), token.expose().to_owned()));
    let shown = format!("{request:?}");
    assert!(token.expose().len() < 16 || !shown.contains(request.body.expose()), "{shown}");
}

/// A server that answers with what it was sent.
fn what_a_form_says_is_read_back(client: &Client, token: &Secret) {
    static ECHO: LazyLock<Profile> = LazyLock::new(|| {
        let text = r#"{"name":"echo","token":{"access_token_fields":["refresh_token"]}}"#;
        Profile::of(text).expect("a profile")
    });
    let request = token_request(client, Some(token), None, None);
    let reply =
        TokenReply { status: 200, body: request.body.expose().as_bytes(), ..TokenReply::default() };
    let text = token.expose();
    let sendable = !text.trim().is_empty() && text.bytes().all(|byte| matches!(byte, 0x20..=0x7e));
    match read_token_reply(&reply, Some(&ECHO)).answer {
        Answer::Granted(grant) => assert_eq!(grant.access_token.expose(), text),
        answer => assert!(!sendable, "{answer:?}"),
    }
}

fn a_subject_comes_out_of_an_id_token(subject: &str) {
    let payload = json!({ "sub": subject }).to_string();
    for encoded in [URL_SAFE_NO_PAD.encode(&payload), STANDARD.encode(&payload)] {
        let body = json!({ "access_token": "a", "id_token": format!("h.{encoded}.s") }).to_string();
        let reply = TokenReply { status: 200, body: body.as_bytes(), ..TokenReply::default() };
        let Answer::Granted(grant) = read_token_reply(&reply, None).answer else {
            panic!("it grants a token")
        };
        let expected = Some(subject).filter(|sub| (1..=255).contains(&sub.len()));
        assert_eq!(grant.subject.as_deref(), expected);
    }
}

fn pairs(form: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(form.as_bytes()).into_owned().collect()
}
