//! The two claims of an ID token that tell whether an answer was meant for this login.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use regrant_core::Secret;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::token::TokenError;

#[derive(Default, Deserialize)]
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
/// came straight from the token endpoint. An encrypted one is left alone: nothing is taken from it
/// either. Any other that cannot be read is nobody's.
pub(crate) fn check(
    id_token: Option<&Secret>,
    client_id: &str,
    issuer: Option<&str>,
) -> Result<(), TokenError> {
    let (Some(issuer), Some(id_token)) = (issuer, id_token) else { return Ok(()) };
    // RFC 7516 section 3.1: what is encrypted has five parts.
    if id_token.expose().split('.').count() == 5 {
        return Ok(());
    }
    let claims = claims(id_token.expose()).unwrap_or_default();
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

fn claims(id_token: &str) -> Option<Claims> {
    let payload = id_token.split('.').nth(1)?.trim_end_matches('=');
    let payload = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?);
    serde_json::from_slice(&payload).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(claims: &str) -> Result<(), TokenError> {
        let payload = BASE64_URL_SAFE_NO_PAD.encode(claims);
        let id_token = Secret::new(format!("e30.{payload}.c2ln"));
        check(Some(&id_token), "app", Some("https://as.example"))
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
    fn what_cannot_be_read_is_nobodys() {
        let iss = r#""iss":"https://as.example","aud":"app""#;
        for claims in [
            &format!(r#"{{{iss},"iss":"https://as.example"}}"#),
            &format!("\u{feff}{{{iss}}}"),
            r#"{"iss":"https://as.example","aud":7}"#,
            "[]",
            "",
        ] {
            assert!(checked(claims).is_err(), "{claims}");
        }
        for id_token in ["", "a", "a.b", "a.b.c", "a.b.c.d"] {
            let id_token = Secret::new(id_token.to_owned());
            assert!(check(Some(&id_token), "app", Some("https://as.example")).is_err());
        }
    }

    #[test]
    fn an_encrypted_one_or_one_of_an_unknown_issuer_is_left_alone() {
        let encrypted = Secret::new("a.b.c.d.e".to_owned());
        assert!(check(Some(&encrypted), "app", Some("https://as.example")).is_ok());
        let any = Secret::new("e30.e30.c2ln".to_owned());
        assert!(check(Some(&any), "app", None).is_ok());
        assert!(check(None, "app", Some("https://as.example")).is_ok());
    }
}
