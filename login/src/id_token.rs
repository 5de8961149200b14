//! The two claims of an ID token that tell whether an answer was meant for this login.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::token::TokenError;

#[derive(Deserialize)]
struct Body<'a> {
    id_token: Option<&'a str>,
}

#[derive(Deserialize)]
struct Claims {
    iss: Option<String>,
    aud: Option<Audience>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// Checks issuer and audience (OpenID Connect Core section 3.1.3.7) of the ID token in this
/// answer, if there is one and the issuer is known. The signature needs no check, for the token
/// came straight from the token endpoint. What cannot be read, such as an encrypted one, is left
/// alone: nothing else is taken from it either.
pub(crate) fn check(body: &[u8], client_id: &str, issuer: Option<&str>) -> Result<(), TokenError> {
    let (Some(issuer), Some(claims)) = (issuer, claims(body)) else { return Ok(()) };
    if claims.iss.as_deref() != Some(issuer) {
        return Err(TokenError::IdTokenIssuer { expected: issuer.to_owned() });
    }
    let is_ours = match claims.aud {
        Some(Audience::One(one)) => one == client_id,
        Some(Audience::Several(several)) => several.iter().any(|one| one == client_id),
        None => false,
    };
    if is_ours { Ok(()) } else { Err(TokenError::IdTokenAudience) }
}

fn claims(body: &[u8]) -> Option<Claims> {
    let id_token = serde_json::from_slice::<Body<'_>>(body).ok()?.id_token?;
    let payload = id_token.split('.').nth(1)?.trim_end_matches('=');
    let payload = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?);
    serde_json::from_slice(&payload).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(claims: &str) -> Result<(), TokenError> {
        let payload = BASE64_URL_SAFE_NO_PAD.encode(claims);
        let body = format!(r#"{{"access_token":"a","id_token":"e30.{payload}.c2ln"}}"#);
        check(body.as_bytes(), "app", Some("https://as.example"))
    }

    #[test]
    fn an_id_token_of_this_issuer_for_this_client_is_good() {
        for aud in [r#""app""#, r#"["other","app"]"#] {
            let claims = format!(r#"{{"iss":"https://as.example","aud":{aud},"sub":"u"}}"#);
            assert!(checked(&claims).is_ok(), "{aud}");
        }
    }

    #[test]
    fn an_id_token_of_another_issuer_or_for_another_client_is_not() {
        for claims in [r#"{"aud":"app"}"#, r#"{"iss":"https://as.example/","aud":"app"}"#] {
            let refused = checked(claims);
            assert!(matches!(refused, Err(TokenError::IdTokenIssuer { .. })), "{claims}");
        }
        for aud in [r#""application""#, r#"["other"]"#, "[]", "null"] {
            let claims = format!(r#"{{"iss":"https://as.example","aud":{aud}}}"#);
            assert!(matches!(checked(&claims), Err(TokenError::IdTokenAudience)), "{aud}");
        }
    }

    #[test]
    fn what_is_no_readable_id_token_is_left_alone() {
        for body in [r#"{"access_token":"a"}"#, r#"{"id_token":"a.b.c.d.e"}"#, "a=b"] {
            assert!(check(body.as_bytes(), "app", Some("https://as.example")).is_ok(), "{body}");
        }
        let unknown_issuer = r#"{"id_token":"e30.e30.c2ln"}"#;
        assert!(check(unknown_issuer.as_bytes(), "app", None).is_ok());
    }
}
