//! The values of `sandbox`, as they are written on the command line. Each refusal says the form.

use jiff::SignedDuration;
use regrant_sandbox::{Demand, Grace, GraceKind};
use serde_json::Value;
use url::Url;

/// In milliseconds.
pub(super) fn signed_millis(text: &str) -> Result<i64, &'static str> {
    let seconds = text.parse::<i64>().map(SignedDuration::from_secs);
    let duration = seconds.or_else(|_| text.parse::<SignedDuration>());
    let duration = duration.map_err(|_| "write a duration such as 90s, 2h 30m or 250ms")?;
    i64::try_from(duration.as_millis()).map_err(|_| "this duration is longer than a clock is wide")
}

/// The same, for what cannot be negative.
pub(super) fn millis(text: &str) -> Result<u64, &'static str> {
    u64::try_from(signed_millis(text)?).map_err(|_| "this duration cannot be negative")
}

/// `30s`, or with what a replay gets, `latest:30s`.
pub(super) fn grace(text: &str) -> Result<Grace, &'static str> {
    let (kind, length) = match text.split_once(':') {
        None => (GraceKind::default(), text),
        Some(("same", length)) => (GraceKind::Same, length),
        Some(("siblings", length)) => (GraceKind::Siblings, length),
        Some(("latest", length)) => (GraceKind::Latest, length),
        Some(_) => return Err("the kind of a grace is same, siblings or latest"),
    };
    Ok(Grace { ms: millis(length)?, kind })
}

/// RFC 6749, section 3.1.2. Kept as it was written, for that is how it is compared.
pub(super) fn redirect_uri(text: &str) -> Result<String, &'static str> {
    let is_good = Url::parse(text).is_ok_and(|url| url.fragment().is_none());
    let form = "write an absolute URI without a fragment, such as https://app.example/callback";
    is_good.then(|| text.to_owned()).ok_or(form)
}

/// Any number of scopes.
pub(super) fn scopes(text: &str) -> Result<String, &'static str> {
    let form = "write scopes, separated by spaces, without quotes and backslashes";
    are_words(text).then(|| text.to_owned()).ok_or(form)
}

pub(super) fn demand(text: &str) -> Result<Demand, &'static str> {
    match text.split_once(':') {
        None if text == "429" => Ok(Demand::RateLimit429 { retry_after: None }),
        Some(("scope", scope)) => Ok(Demand::Scope { scope: words(scope)? }),
        Some(("acr", values)) => {
            Ok(Demand::Authentication { acr_values: words(values)?, max_age: None })
        }
        Some(("max-age", age)) => {
            Ok(Demand::Authentication { acr_values: String::new(), max_age: Some(seconds(age)?) })
        }
        Some(("claims", claims)) => Ok(Demand::Claims { claims: object(claims)? }),
        Some(("429", wait)) => {
            Ok(Demand::RateLimit429 { retry_after: Some(seconds(wait)?.to_string()) })
        }
        Some(("403", wait)) => Ok(Demand::RateLimit403 { retry_after: seconds(wait)?.to_string() }),
        None | Some(_) => Err("a demand is scope:SCOPES, acr:VALUES, max-age:SECONDS, \
                               claims:JSON, 429, 429:SECONDS or 403:SECONDS"),
    }
}

fn words(text: &str) -> Result<String, &'static str> {
    let is_good = are_words(text) && !text.trim().is_empty();
    let form = "write scope:SCOPES or acr:VALUES: words, separated by spaces, without quotes and \
                backslashes";
    is_good.then(|| text.to_owned()).ok_or(form)
}

fn seconds(text: &str) -> Result<u64, &'static str> {
    text.parse().map_err(|_| "write whole seconds: max-age:300, 429:60 or 403:60")
}

fn object(text: &str) -> Result<Value, &'static str> {
    let value = serde_json::from_str(text).ok().filter(Value::is_object);
    value.ok_or("write claims: and a JSON object, such as claims:{\"access_token\":{\"acr\":null}}")
}

/// Scope tokens (RFC 6749, section 3.3) and spaces: what a challenge can carry.
fn are_words(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        assert_eq!(millis("90"), Ok(90_000));
        assert_eq!(millis("2h 30m"), Ok(9_000_000));
        assert_eq!(millis("250ms"), Ok(250));
        assert_eq!(signed_millis("-2h"), Ok(-7_200_000));
        assert_eq!(signed_millis("-7200"), Ok(-7_200_000));
        assert!(millis("-1s").is_err() && millis("soon").is_err());
        let wide = i64::MAX.to_string();
        assert!(millis(&wide).is_err_and(|error| error.contains("longer")));
    }

    #[test]
    fn a_grace_has_a_length_and_perhaps_a_kind() {
        assert_eq!(grace("30s"), Ok(Grace { ms: 30_000, kind: GraceKind::Same }));
        assert_eq!(grace("latest:500ms"), Ok(Grace { ms: 500, kind: GraceKind::Latest }));
        assert!(grace("later:1s").is_err() && grace("latest:").is_err());
    }

    #[test]
    fn a_demand_is_read_in_each_of_its_forms() {
        let authentication = |acr_values: &str, max_age| {
            Ok(Demand::Authentication { acr_values: acr_values.to_owned(), max_age })
        };
        let retry_after = "60".to_owned();
        assert_eq!(demand("scope:a b:c"), Ok(Demand::Scope { scope: "a b:c".to_owned() }));
        assert_eq!(demand("acr:urn:mfa phr"), authentication("urn:mfa phr", None));
        assert_eq!(demand("max-age:0"), authentication("", Some(0)));
        let claims = json!({ "access_token": { "acr": null } });
        assert_eq!(demand(&format!("claims:{claims}")), Ok(Demand::Claims { claims }));
        assert_eq!(demand("429"), Ok(Demand::RateLimit429 { retry_after: None }));
        let limited = Demand::RateLimit429 { retry_after: Some(retry_after.clone()) };
        assert_eq!(demand("429:60"), Ok(limited));
        assert_eq!(demand("403:60"), Ok(Demand::RateLimit403 { retry_after }));
    }

    #[test]
    fn what_is_no_demand_is_told_the_forms() {
        for text in ["", "403", "scope", "429:", "429:soon", "max-age:-1", "role:admin"] {
            assert!(demand(text).is_err_and(|error| error.contains("403:")), "{text}");
        }
        for text in ["scope:", "acr: ", "scope:\"a\"", "acr:\u{e9}", "scope:a\n"] {
            assert!(demand(text).is_err_and(|error| error.contains("scope:SCOPES")), "{text}");
        }
        for text in ["claims:", "claims:{", "claims:[]", "claims:\"acr\""] {
            assert!(demand(text).is_err_and(|error| error.contains("JSON object")), "{text}");
        }
    }

    #[test]
    fn a_redirect_uri_is_absolute_and_kept_as_it_was_written() {
        for uri in ["https://App.example", "com.example.app:/callback", "https://a.example/?b=c"] {
            assert_eq!(redirect_uri(uri).as_deref(), Ok(uri));
        }
        for uri in ["", "/callback", "app.example", "https://app.example/#done"] {
            assert!(redirect_uri(uri).is_err(), "{uri}");
        }
    }
}
