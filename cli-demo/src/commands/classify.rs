//! `classify`: what regrant makes of an HTTP answer, and by which rule. No store is opened.

mod answer;
mod line;
mod meaning;
mod printed;

use std::collections::HashMap;
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, stdin};
use std::process::ExitCode;

use regrant::Profile;
use serde_json::{Value, json};

use self::answer::{Asked, HttpAnswer, longest_body};
use self::line::{Broken, Came, Line, Named};
use self::meaning::Meaning;
use super::Context;
use crate::args::{Classify, Kind};
use crate::error::{Exit, Failure};
use crate::output::Output;
use crate::profile;

/// How much of standard input is read for one answer: 4 MiB, the longest body that is looked at
/// and a header as no server sends one.
const LONGEST_INPUT: u64 = 4 << 20;

/// The longest line of a batch: 32 MiB, an answer of 16 MiB with much that is escaped.
const LONGEST_LINE: u64 = 32 << 20;

pub(super) fn run(classify: &Classify, context: &Context) -> Result<ExitCode, Failure> {
    let chosen = profile::named(context.global.profile.as_deref())?;
    let profile = chosen.map(|chosen| chosen.profile);
    let output = context.output;
    if classify.batch {
        return batch(classify.kind, profile.as_ref(), output);
    }
    let asked = Asked {
        scheme: classify.scheme.as_str().map(str::to_owned),
        sent_scope: classify.sent_scope,
        dpop_required: classify.dpop_required,
    };
    let answer = from_standard_input(classify.kind, output)?;
    let meaning = meaning(classify.kind, &answer, &asked, profile.as_ref());
    output.answer(&meaning.to_prose(), &Value::Object(meaning.to_json()))?;
    Ok(ExitCode::SUCCESS)
}

fn from_standard_input(kind: Kind, output: Output) -> Result<HttpAnswer, Failure> {
    let input = stdin().lock();
    if input.is_terminal() {
        output.note("reading an HTTP answer from standard input, as `curl -i` prints it");
    }
    let mut bytes = Vec::new();
    input.take(LONGEST_INPUT).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    let mut answer = printed::read(&bytes).map_err(|error| {
        Failure::usage(error.to_string())
            .remedy("give the answer as `curl -i` prints it, header and body")
    })?;
    answer.body.truncate(longest_body(kind));
    Ok(answer)
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::usage("standard input cannot be read").because(error)
}

/// What it means. A profile that says nothing of this kind of answer changes nothing.
fn meaning(kind: Kind, answer: &HttpAnswer, asked: &Asked, profile: Option<&Profile>) -> Meaning {
    let profile = profile.filter(|profile| speaks_of(profile, kind));
    match kind {
        Kind::Resource => Meaning::of_api(answer, asked, profile),
        Kind::Token => Meaning::of_token(answer, asked, profile),
    }
}

fn speaks_of(profile: &Profile, kind: Kind) -> bool {
    match kind {
        Kind::Resource => profile.has_api_rules(),
        Kind::Token => profile.has_token_rules(),
    }
}

fn batch(kind: Kind, profile: Option<&Profile>, output: Output) -> Result<ExitCode, Failure> {
    let mut input = stdin().lock();
    let mut profiles = HashMap::new();
    let mut exit = Exit::Done;
    let mut text = Vec::new();
    loop {
        text.clear();
        let read = input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut text);
        if read.map_err(|error| unreadable(&error))? == 0 {
            return Ok(exit.into());
        }
        let is_whole = text.ends_with(b"\n") || (text.len() as u64) < LONGEST_LINE;
        if !is_whole {
            input.skip_until(b'\n').map_err(|error| unreadable(&error))?;
        }
        if text.trim_ascii().is_empty() {
            continue;
        }
        let read = if is_whole { line::read(&text, kind) } else { Err(Broken::too_long()) };
        let said = match read {
            Ok(line) => said(&line, kind, profile, &mut profiles),
            Err(broken) => {
                exit = Exit::Other;
                json!({ "id": broken.id, "error": broken.why.to_string() })
            }
        };
        if !output.next_object(&said)? {
            return Ok(exit.into());
        }
    }
}

/// What a line of a batch is answered with.
fn said(
    line: &Line,
    kind: Kind,
    usual: Option<&Profile>,
    profiles: &mut HashMap<String, Option<Profile>>,
) -> Value {
    let (profile, is_known) = match &line.profile {
        Named::Unsaid => (usual, true),
        Named::None => (None, true),
        Named::Profile(name) => {
            let profile = built_in(name, profiles).filter(|profile| speaks_of(profile, kind));
            (profile, profile.is_some())
        }
    };
    let meaning = match (&line.came, kind) {
        (Came::Answer(answer), kind) => meaning(kind, answer, &line.asked, profile),
        (Came::Nothing(word), Kind::Resource) => Meaning::of_silent_api(word),
        (Came::Nothing(word), Kind::Token) => Meaning::of_silent_token_endpoint(word),
    };
    let mut members = meaning.to_json();
    members.insert("id".to_owned(), line.id.clone());
    if !is_known {
        members.insert("profile_known".to_owned(), false.into());
    }
    Value::Object(members)
}

/// The built-in profile of this name, read once. What a batch names otherwise is not remembered,
/// so that its lines cannot fill the memory.
fn built_in<'p>(
    name: &str,
    profiles: &'p mut HashMap<String, Option<Profile>>,
) -> Option<&'p Profile> {
    Profile::text(name)?;
    profiles.entry(name.to_owned()).or_insert_with(|| Profile::of(name).ok()).as_ref()
}
