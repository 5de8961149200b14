//! What each corpus begins with: the answers of real providers that the core's tests read, the
//! built-in profiles, records as they are written, and short stories for the machine.

mod records;
mod stories;

use std::collections::BTreeMap;

use regrant_core::protocol::Profile;
use serde_json::Value;

const RESOURCE: &str = include_str!("../../core/tests/fixtures/resource-responses.jsonl");
const TOKEN: &str = include_str!("../../core/tests/fixtures/token-responses.jsonl");
const RULES: &str = include_str!("../../core/tests/fixtures/profile-rules.jsonl");

/// Answers that a profile is tried with: two of each kind of its provider are enough to reach its
/// rules, and keep the corpus small.
const ANSWERS: usize = 2;

/// One file of a corpus.
#[derive(Debug)]
pub struct Seed {
    /// The target, which names the folder.
    pub target: &'static str,
    /// The name of the file.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// All of them, the same at each call.
pub fn seeds() -> Vec<Seed> {
    let mut all = Vec::new();
    let mut add = |target, name: &str, bytes: Vec<u8>| {
        all.push(Seed { target, name: name.to_owned(), bytes });
    };
    let mut answers: BTreeMap<(String, bool), Vec<Vec<u8>>> = BTreeMap::new();
    for (text, is_api) in [(RESOURCE, true), (TOKEN, false), (RULES, false)] {
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).expect("a fixture is JSON");
            let is_api = is_api || line["kind"] == "resource";
            let Some(message) = message(&line, is_api) else { continue };
            let name = said(&line["id"]);
            add(if is_api { "api_reply" } else { "token_reply" }, name, message.clone());
            if let Some(provider) = provider(&line) {
                let own = answers.entry((provider.to_owned(), is_api)).or_default();
                if own.len() < ANSWERS {
                    own.push(message);
                }
            }
            for (number, challenge) in header(&line, "www-authenticate").iter().enumerate() {
                add("challenge", &format!("{name}-{number}"), challenge.as_bytes().to_vec());
            }
            if let (Some(path), Some(body)) = (path_of(&line), line["body"].as_str()) {
                add("pointer", name, format!("{path}\n{body}").into_bytes());
            }
        }
    }
    for name in Profile::names() {
        let text: Value = Profile::text(name)
            .and_then(|text| serde_json::from_str(text).ok())
            .expect("a built-in profile is JSON");
        add("profile", name, text.to_string().into_bytes());
        let of = |is_api| answers.get(&(name.to_owned(), is_api)).into_iter().flatten();
        for (number, answer) in of(true).chain(of(false)).enumerate() {
            let whole = [text.to_string().as_bytes(), b"\n\n", answer].concat();
            add("profile", &format!("{name}-{number}"), whole);
        }
    }
    for (name, text) in ENCODINGS {
        add("encodings", name, text.as_bytes().to_vec());
    }
    for (name, bytes) in ENVELOPES {
        add("envelope", name, bytes.to_vec());
    }
    for (name, bytes) in records::records() {
        add("record", name, bytes);
    }
    for (name, bytes) in stories::stories() {
        add("machine", name, bytes);
    }
    all
}

const ENCODINGS: [(&str, &str); 4] = [
    ("plain", "refresh-token\nclient\nsecret\nread write\n{}\nhttps://api.example"),
    ("reserved", "r+/=&%1\na:b\ns:1/é&=\na b\n{\"a\":1}\nhttps://a.example?x=1&y=2\nurn:b"),
    ("empty", "\n\n\n\n"),
    ("beyond", "日本🦀\u{202e}\0\t\r\n%zz\n%\n+\n\u{feff}"),
];

const ENVELOPES: [(&str, &[u8]); 8] = [
    ("undamaged", b""),
    ("a-flipped-bit", &[0, 0, 40, 1]),
    ("flipped-and-flipped-back", &[0, 0, 40, 1, 0, 0, 40, 1]),
    ("cut-short", &[1, 0, 100, 0]),
    ("another-name", &[12, 0, 0, 0]),
    ("an-older-revision", &[9, 0, 0, 3]),
    ("another-source-of-the-key", &[0x80, 0, 8, 1]),
    ("a-tombstone-without-a-key", &[1, 0, 0, 0, 11, 0, 0, 1]),
];

/// The answer as text; none for one that is too long, or no text.
fn message(line: &Value, is_api: bool) -> Option<Vec<u8>> {
    let status = line["status"].as_u64().filter(|status| *status > 0)?;
    let body = line["body"].as_str().filter(|body| body.len() < 4096)?;
    let context = &line["ctx"];
    let mut text = status.to_string();
    if is_api && context["had_token"] != false {
        text += &format!(" scheme={}", context["scheme"].as_str().unwrap_or("Bearer"));
    }
    if context["require_dpop"] == true {
        text += " want=dpop";
    }
    if let Some(provider) = provider(line) {
        text += &format!(" profile={provider}");
    }
    text += "\n";
    for name in line["headers"].as_object()?.keys() {
        for value in header(line, name) {
            text += &format!("{name}: {value}\n");
        }
    }
    Some(format!("{text}\n{body}").into_bytes())
}

fn said(value: &Value) -> &str {
    value.as_str().expect("a fixture has an id")
}

/// The name of the line's profile.
fn provider(line: &Value) -> Option<&str> {
    let name = line["profile"].as_str().or(line["provider"].as_str())?;
    Profile::text(name).map(|_| name)
}

fn header<'l>(line: &'l Value, name: &str) -> Vec<&'l str> {
    let fields = line["headers"].as_object().into_iter().flatten();
    let named = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
    named
        .flat_map(|(_, value)| match value {
            Value::Array(values) => values.iter().filter_map(Value::as_str).collect(),
            value => Vec::from_iter(value.as_str()),
        })
        .collect()
}

/// A path by which the profile of the line's provider looks into bodies.
fn path_of(line: &Value) -> Option<String> {
    let text = Profile::text(provider(line)?)?;
    let path = text.split("\"path\"").nth(1)?.split('"').nth(1)?;
    Some(path.replace('*', "0"))
}
