//! The conditions of a provider's rule: what must hold of an answer for the rule to decide.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde::Deserialize;

use super::challenge::Challenge;
use super::form;
use super::members::{as_form, string_of};
use super::pointer::leads_to;
use super::{Headers, lines};

/// What must hold of an answer. All of it; what is left out is not looked at.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct When {
    pub(super) status: Vec<u16>,
    header: Vec<HeaderTest>,
    challenge: Option<ChallengeTest>,
    challenge_absent: bool,
    pub(super) json: Vec<JsonTest>,
    pub(super) body_eq: Option<String>,
    pub(super) body_contains: Option<String>,
    content_type: Option<String>,
}

/// A line of a header field.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderTest {
    name: String,
    eq: Option<String>,
    prefix: Option<String>,
}

/// A challenge with some parameters and without others.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChallengeTest {
    scheme: String,
    #[serde(default)]
    has: Vec<String>,
    #[serde(default)]
    lacks: Vec<String>,
}

/// A value of a JSON body, or of a form, whose names are pointers of one step.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JsonTest {
    path: String,
    eq: Option<Scalar>,
    #[serde(default)]
    r#in: Vec<Scalar>,
    prefix: Option<String>,
    suffix: Option<String>,
    contains: Option<String>,
    #[serde(default)]
    null: bool,
}

/// A value to compare with.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Scalar {
    Bool(bool),
    Number(f64),
    Text(String),
}

/// An answer, as far as rules look at it.
pub(super) struct Evidence<'a> {
    pub(super) status: u16,
    pub(super) headers: Headers<'a>,
    pub(super) offered: &'a [Challenge],
    /// The body as text; `None` if it is too long, or no text.
    pub(super) text: Option<&'a str>,
    /// Whether that text is JSON of a depth that is read.
    pub(super) is_json: bool,
    /// Whether it may be a form instead.
    pub(super) is_form: bool,
}

impl When {
    /// What is wrong with the conditions.
    pub(super) fn fault(&self) -> Option<&'static str> {
        let one_test = |test: &JsonTest| {
            let tests = [
                test.eq.is_some(),
                !test.r#in.is_empty(),
                test.prefix.is_some(),
                test.suffix.is_some(),
                test.contains.is_some(),
                test.null,
            ];
            tests.into_iter().filter(|is_there| *is_there).count() == 1
        };
        if !self.json.iter().all(one_test) {
            return Some("a json condition takes one of eq, in, prefix, suffix, contains and null");
        }
        if !self.json.iter().all(|test| test.path.is_empty() || test.path.starts_with('/')) {
            return Some("a path is a JSON Pointer and begins with a slash");
        }
        if self.header.iter().any(|test| test.eq.is_some() == test.prefix.is_some()) {
            return Some("a header condition takes one of eq and prefix");
        }
        None
    }

    /// Whether a text that the server wrote is among the conditions.
    pub(super) fn names_a_text(&self) -> bool {
        let says = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        says(&self.body_eq) || says(&self.body_contains) || self.json.iter().any(JsonTest::says)
    }

    /// Whether the status is among the conditions.
    pub(super) fn names_status(&self, status: u16) -> bool {
        self.status.contains(&status)
    }

    /// Whether the body must be read for it.
    pub(super) fn reads_body(&self) -> bool {
        self.body_eq.is_some() || self.body_contains.is_some() || !self.json.is_empty()
    }

    pub(super) fn holds(&self, evidence: &Evidence<'_>) -> bool {
        let content_type = || lines(evidence.headers, "content-type").next().unwrap_or_default();
        (self.status.is_empty() || self.status.contains(&evidence.status))
            && (!self.challenge_absent || evidence.offered.is_empty())
            && self.header.iter().all(|test| test.holds(evidence.headers))
            && self.challenge.as_ref().is_none_or(|test| test.holds(evidence.offered))
            && self.content_type.as_ref().is_none_or(|wanted| starts_with(content_type(), wanted))
            && self.body_eq.as_ref().is_none_or(|wanted| {
                evidence.text.is_some_and(|text| text.trim().trim_matches('"') == wanted)
            })
            && self.body_contains.as_ref().is_none_or(|wanted| {
                // A page for people may quote anything.
                let page = starts_with(content_type(), "text/html");
                !page && evidence.text.is_some_and(|text| text.contains(wanted.as_str()))
            })
            && self.json.iter().all(|test| test.holds(evidence))
    }
}

fn starts_with(line: &[u8], start: &str) -> bool {
    let line = line.trim_ascii_start();
    line.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start.as_bytes()))
}

impl HeaderTest {
    fn holds(&self, headers: Headers<'_>) -> bool {
        lines(headers, &self.name).any(|line| {
            let line = line.trim_ascii();
            self.eq.as_ref().is_none_or(|wanted| line == wanted.as_bytes())
                && self.prefix.as_ref().is_none_or(|start| starts_with(line, start))
        })
    }
}

impl ChallengeTest {
    fn holds(&self, offered: &[Challenge]) -> bool {
        offered.iter().any(|challenge| {
            challenge.is_scheme(&self.scheme)
                && self.has.iter().all(|name| challenge.param(name).is_some())
                && !self.lacks.iter().any(|name| challenge.param(name).is_some())
        })
    }
}

impl JsonTest {
    /// Whether it wants something of the server's own words.
    fn says(&self) -> bool {
        let parts = [&self.prefix, &self.suffix, &self.contains];
        let one = |scalar: &Scalar| !matches!(scalar, Scalar::Text(text) if text.is_empty());
        self.eq.as_ref().is_some_and(one)
            || self.r#in.iter().any(one)
            || parts.into_iter().flatten().any(|text| !text.is_empty())
    }

    fn holds(&self, evidence: &Evidence<'_>) -> bool {
        evidence.any(&self.path, &mut |value| self.accepts(value))
    }

    /// Whether a value, as it was written, is the one that is looked for.
    fn accepts(&self, value: &str) -> bool {
        if self.null {
            return value == "null";
        }
        let text = string_of(value);
        let text = text.as_deref();
        self.eq.as_ref().is_none_or(|wanted| wanted.is(value, text))
            && (self.r#in.is_empty() || self.r#in.iter().any(|wanted| wanted.is(value, text)))
            && self.prefix.as_deref().is_none_or(|t| text.is_some_and(|text| text.starts_with(t)))
            && self.suffix.as_deref().is_none_or(|t| text.is_some_and(|text| text.ends_with(t)))
            && self.contains.as_deref().is_none_or(|t| text.is_some_and(|text| text.contains(t)))
    }
}

impl Scalar {
    /// Servers write numbers as strings and strings as numbers; both are the same here.
    fn is(&self, value: &str, text: Option<&str>) -> bool {
        match self {
            Self::Bool(wanted) => value == if *wanted { "true" } else { "false" },
            Self::Number(wanted) => {
                text.unwrap_or(value).parse::<f64>().is_ok_and(|number| number == *wanted)
            }
            Self::Text(wanted) => text.unwrap_or(value) == wanted,
        }
    }
}

impl Evidence<'_> {
    /// Whether `accepts` says yes to a value at this place.
    pub(super) fn any(&self, path: &str, accepts: &mut dyn FnMut(&str) -> bool) -> bool {
        if let Some(text) = self.text.filter(|_| self.is_json) {
            return leads_to(text, path, &mut |value| accepts(value));
        }
        let text = self.text.filter(|_| self.is_form).and_then(|text| as_form(text.as_bytes()));
        let (Some(text), Some(name)) = (text, path.strip_prefix('/')) else { return false };
        let mut pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        let value = pairs.find(|(n, _)| *n == name).and_then(|(_, value)| form::decode(value));
        // As JSON would write it.
        value.is_some_and(|value| accepts(&serde_json::Value::String(value).to_string()))
    }

    /// The strings and numbers at this place.
    pub(super) fn texts(&self, path: &str) -> Vec<String> {
        let mut texts = Vec::new();
        self.any(path, &mut |value| {
            let text = string_of(value).or_else(|| {
                value.starts_with(|c: char| c.is_ascii_digit() || c == '-').then(|| value.into())
            });
            if let Some(text) = text {
                texts.push(text);
            } else if value.starts_with('[') {
                leads_to(value, "/*", &mut |item| {
                    texts.extend(string_of(item));
                    false
                });
            }
            false
        });
        texts
    }
}
