//! A line of a batch: an HTTP answer as a JSON object, or what happened in its place.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::answer::{Asked, HttpAnswer, longest_body};
use crate::args::Kind;

/// The longest header line that is made: 1 MiB. Readers ignore one of more than 16 KiB, and a
/// profile, whose conditions can be longer, has 64.
const LONGEST_LINE: usize = 1 << 20;

/// A line that was read.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) id: Value,
    pub(super) came: Came,
    pub(super) asked: Asked,
    pub(super) profile: Named,
}

/// What came of a request.
#[derive(Debug)]
pub(super) enum Came {
    Answer(HttpAnswer),
    /// No whole answer, in the transport's word.
    Nothing(String),
}

/// Which profile a line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// It says nothing of it.
    Unsaid,
    /// None at all.
    None,
    Profile(String),
}

/// Why a line is none. Nothing of the line is quoted.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineError {
    #[error("it is not JSON, or nests too deep: error at column {column}")]
    NotJson { column: usize },
    #[error("it is longer than 32 MiB")]
    TooLong,
    #[error("it is no JSON object")]
    NoObject,
    #[error("a member is not as it should be: {what}")]
    Member { what: &'static str },
}

/// A line that cannot be read, with its name as far as it has one.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) id: Value,
    pub(super) why: LineError,
}

impl Broken {
    pub(super) fn too_long() -> Self {
        Self { id: Value::Null, why: LineError::TooLong }
    }
}

#[derive(Deserialize)]
struct Members {
    #[serde(default)]
    status: Option<u16>,
    #[serde(default)]
    headers: Option<Map<String, Value>>,
    #[serde(default)]
    headers_gen: Option<BTreeMap<String, Plan>>,
    #[serde(default)]
    headers_latin1: Option<bool>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    body_b64: Option<String>,
    #[serde(default)]
    body_gen: Option<Plan>,
    #[serde(default)]
    transport: Option<String>,
    #[serde(default)]
    ctx: Option<Context>,
    #[serde(default)]
    profile: Option<String>,
}

/// A text that would be long if it were written out.
#[derive(Deserialize)]
struct Plan {
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    unit: String,
    #[serde(default)]
    count: u64,
    #[serde(default)]
    suffix: String,
}

#[derive(Default, Deserialize)]
struct Context {
    #[serde(default)]
    had_token: Option<bool>,
    #[serde(default)]
    scheme: Option<String>,
    #[serde(default)]
    sent_scope: Option<bool>,
    #[serde(default)]
    require_dpop: Option<bool>,
}

/// Reads a line.
pub(super) fn read(text: &[u8], kind: Kind) -> Result<Line, Broken> {
    let value: Value = serde_json::from_slice(text).map_err(|error| Broken {
        id: Value::Null,
        why: LineError::NotJson { column: error.column() },
    })?;
    let Value::Object(mut object) = value else {
        return Err(Broken { id: Value::Null, why: LineError::NoObject });
    };
    let id = object.remove("id").unwrap_or_default();
    let says_profile = object.contains_key("profile");
    match checked(object, kind) {
        Ok((came, asked, profile)) => {
            let profile = match profile {
                Some(name) => Named::Profile(name),
                None if says_profile => Named::None,
                None => Named::Unsaid,
            };
            Ok(Line { id, came, asked, profile })
        }
        Err(why) => Err(Broken { id, why }),
    }
}

fn checked(
    object: Map<String, Value>,
    kind: Kind,
) -> Result<(Came, Asked, Option<String>), LineError> {
    // The error of serde may quote a value.
    let mut members = Members::deserialize(Value::Object(object))
        .map_err(|_| member("a value is of the wrong type"))?;
    let ctx = members.ctx.take().unwrap_or_default();
    let scheme = ctx.scheme.unwrap_or_else(|| "Bearer".to_owned());
    let asked = Asked {
        scheme: Some(scheme).filter(|_| ctx.had_token != Some(false)),
        sent_scope: ctx.sent_scope.unwrap_or(false),
        dpop_required: ctx.require_dpop.unwrap_or(false),
    };
    let profile = members.profile.take();
    if let Some(word) = members.transport.take() {
        return Ok((Came::Nothing(word), asked, profile));
    }
    let status = members.status.filter(|status| (100..1000).contains(status));
    let status = status.ok_or_else(|| member("`status` is no status code"))?;
    let headers = members.headers()?;
    let mut body = members.body(longest_body(kind))?;
    body.truncate(longest_body(kind));
    let answer = HttpAnswer { status, headers, body };
    Ok((Came::Answer(answer), asked, profile))
}

impl Members {
    fn headers(&self) -> Result<Vec<(String, Vec<u8>)>, LineError> {
        let mut lines = Vec::new();
        for (name, value) in self.headers.iter().flatten() {
            let values = match value {
                Value::Array(values) => values.as_slice(),
                value => std::slice::from_ref(value),
            };
            for value in values {
                lines.push((name.clone(), self.line(value)?));
            }
        }
        let generated = self.headers_gen.iter().flatten();
        lines.extend(generated.map(|(name, plan)| (name.clone(), plan.made(LONGEST_LINE))));
        Ok(lines)
    }

    fn line(&self, value: &Value) -> Result<Vec<u8>, LineError> {
        let text = match value {
            Value::String(text) => text.as_str().into(),
            Value::Number(number) => Cow::Owned(number.to_string()),
            _ => return Err(member("a header is no string and no list of strings")),
        };
        if self.headers_latin1 != Some(true) {
            return Ok(text.as_bytes().to_vec());
        }
        let byte = |c: char| u8::try_from(u32::from(c));
        text.chars()
            .map(byte)
            .collect::<Result<_, _>>()
            .map_err(|_| member("a header is not Latin-1"))
    }

    fn body(&mut self, longest: usize) -> Result<Vec<u8>, LineError> {
        if let Some(body) = self.body.take() {
            return Ok(body.into_bytes());
        }
        if let Some(encoded) = &self.body_b64 {
            return STANDARD.decode(encoded).map_err(|_| member("`body_b64` is not Base64"));
        }
        Ok(self.body_gen.as_ref().map(|plan| plan.made(longest)).unwrap_or_default())
    }
}

impl Plan {
    /// What it describes, or its first `longest` bytes.
    fn made(&self, longest: usize) -> Vec<u8> {
        let mut made = self.prefix.clone().into_bytes();
        let mut left = if self.unit.is_empty() { 0 } else { self.count };
        while left > 0 && made.len() < longest {
            made.extend_from_slice(self.unit.as_bytes());
            left -= 1;
        }
        made.extend_from_slice(self.suffix.as_bytes());
        made.truncate(longest);
        made
    }
}

fn member(what: &'static str) -> LineError {
    LineError::Member { what }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_no_longer_than_its_reader_wants() {
        let plan = |count| Plan {
            prefix: "[".to_owned(),
            unit: "ab".to_owned(),
            count,
            suffix: "]".to_owned(),
        };
        assert_eq!(plan(2).made(100), b"[abab]");
        assert_eq!(plan(u64::MAX).made(6), b"[ababa");
        let endless = Plan { unit: String::new(), ..plan(u64::MAX) };
        assert_eq!(endless.made(6), b"[]");
    }

    #[test]
    fn a_line_that_says_no_profile_differs_from_one_that_says_none() {
        let profile = |text: &str| read(text.as_bytes(), Kind::Token).unwrap().profile;
        assert_eq!(profile(r#"{"status":200}"#), Named::Unsaid);
        assert_eq!(profile(r#"{"status":200,"profile":null}"#), Named::None);
        assert_eq!(profile(r#"{"status":200,"profile":"x"}"#), Named::Profile("x".to_owned()));
    }
}
