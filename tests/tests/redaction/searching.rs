//! The search finds what is planted, or all the rest would prove nothing.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};

use crate::canary::Canaries;

/// All that is written of a secret in one way or another.
fn forms(secret: &str) -> Vec<(&'static str, String)> {
    let url: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = vec![
        ("itself", secret.to_owned()),
        ("lower case", secret.to_ascii_lowercase()),
        ("upper case", secret.to_ascii_uppercase()),
        ("a form", format!("a=b&token={url}&c=d")),
        ("percent signs", url.replace('+', "%20")),
        ("hexadecimal", hex.clone()),
        ("hexadecimal in capitals", hex.to_ascii_uppercase()),
        ("JSON", serde_json::json!({ "token": secret }).to_string()),
        ("Debug of text", format!("{secret:?}")),
        ("Debug of bytes", format!("{:?}", secret.as_bytes())),
        ("Debug of bytes in lines", format!("{:#?}", vec![secret.as_bytes()])),
        ("Basic", BASE64_STANDARD.encode(format!("some-client:{url}"))),
        ("a prefix", format!("{}...", &secret[..8])),
        ("a suffix", format!("...{}", &secret[secret.len() - 8..])),
        ("the middle", secret[17..28].to_owned()),
    ];
    // Whatever stands before it shifts base64 by 0, 1 or 2 bytes, and again.
    for before in ["", "x", "xy", "xyz"] {
        let whole = format!("{before}{secret}!");
        forms.push(("base64", BASE64_STANDARD.encode(&whole)));
        forms.push(("base64 for URLs", BASE64_URL_SAFE_NO_PAD.encode(&whole)));
        let prefix = format!("{before}{}", &secret[..8]);
        forms.push(("base64 of a prefix", BASE64_STANDARD_NO_PAD.encode(prefix)));
    }
    forms
}

#[test]
fn each_form_is_found_where_it_is_planted() {
    let canaries = Canaries::default();
    let secrets = [canaries.token("token"), canaries.phrase("phrase")];
    let key = String::from_utf8(canaries.key("key").to_vec()).unwrap();
    let searcher = canaries.searcher();
    for (what, secret) in [("token", &secrets[0]), ("phrase", &secrets[1]), ("key", &key)] {
        for (form, written) in forms(secret) {
            let text = format!("a line of a log\n{written}\nand more");
            let found = searcher.sightings(&text);
            assert!(found.iter().any(|one| one.what == what), "{what}: {form}: {written}");
            assert!(found.iter().all(|one| one.what == what), "{what}: {form}: {found:?}");
        }
    }
}

#[test]
fn what_is_no_secret_is_not_found() {
    let (ours, theirs) = (Canaries::default(), Canaries::default());
    ours.token("token");
    ours.phrase("phrase");
    let secret = theirs.token("another test's");
    for (_, written) in forms(&secret) {
        ours.assert_absent("another test's secret", written);
    }
    let source = include_str!("canary.rs");
    ours.assert_absent("a source", source);
    let next: Vec<_> = (0..100).map(|_| theirs.token("another test's")).collect();
    ours.assert_absent("the next secrets", next.join("\n"));
    // Seven bytes are no prefix yet.
    let short = Canaries::default();
    let secret = short.token("token");
    short.assert_absent("seven bytes", &secret[..7]);
}

#[test]
#[should_panic(expected = "- token, plain, at byte 4, after: say ")]
fn a_sighting_says_where_and_never_the_secret() {
    let canaries = Canaries::default();
    let secret = canaries.token("token");
    canaries.assert_absent("a line", format!("say {secret}"));
}
