//! `profiles`: what regrant knows of providers, without any store.

use regrant::{Profile, Rotation};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::args::Profiles;
use crate::error::Failure;
use crate::output::Output;
use crate::profile;

pub(super) fn run(profiles: &Profiles, output: Output) -> Result<(), Failure> {
    match &profiles.name {
        None => list(output),
        Some(name) => {
            let chosen = profile::chosen(name)?;
            output.answer(chosen.text().trim_end(), &members(chosen.text()))
        }
    }
}

fn list(output: Output) -> Result<(), Failure> {
    let built_in: Vec<_> = Profile::names().filter_map(Listed::of).collect();
    let rows: Vec<_> = built_in.iter().map(Listed::to_row).collect();
    let objects: Vec<_> = built_in.iter().map(Listed::to_json).collect();
    output.answer(&rows.join("\n"), &json!({ "profiles": objects }))
}

/// A built-in profile, and the names of its rules by what they are for.
struct Listed {
    profile: Profile,
    rules: Rules,
}

#[derive(Deserialize)]
struct Rules {
    #[serde(default)]
    api: Vec<Rule>,
    #[serde(default)]
    token: TokenRules,
}

#[derive(Default, Deserialize)]
struct TokenRules {
    #[serde(default)]
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    name: String,
}

impl Listed {
    fn of(name: &str) -> Option<Self> {
        let text = Profile::text(name)?;
        let (profile, rules) = (Profile::of(name).ok()?, serde_json::from_str(text).ok()?);
        Some(Self { profile, rules })
    }

    fn to_row(&self) -> String {
        let Rules { api, token } = &self.rules;
        let token = match token.rules.len() {
            0 if self.profile.has_token_rules() => "token fields".to_owned(),
            count => format!("{count} token"),
        };
        let covers = format!("{} API, {token}", api.len());
        let (name, title) = (self.profile.name(), self.profile.title());
        let rotation = words(self.profile.rotation());
        format!("{name:<12}{title:<28}{covers:<22}{rotation}").trim_end().to_owned()
    }

    fn to_json(&self) -> Value {
        let names = |rules: &[Rule]| rules.iter().map(|rule| rule.name.as_str().into()).collect();
        let (api, token): (Vec<Value>, Vec<Value>) =
            (names(&self.rules.api), names(&self.rules.token.rules));
        json!({
            "name": self.profile.name(),
            "title": self.profile.title(),
            "api_rules": api,
            "token_rules": token,
            "rotation": self.profile.rotation(),
        })
    }
}

/// What the authorization server does with refresh tokens, where that is known.
fn words(rotation: Rotation) -> &'static str {
    match rotation {
        Rotation::Never => "never rotates",
        Rotation::WithoutGrace => "rotates, no grace",
        Rotation::GraceKeepsEarlier => "rotates, earlier ones stay good",
        Rotation::GraceKillsEarlier => "rotates, earlier ones die",
        // The enum may grow; of `Unknown` there is nothing to say.
        _ => "",
    }
}

/// A text that was checked to be JSON.
fn members(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}
