//! Provider profiles as the command line names them: by the name of a built-in one, or by a file.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read as _;

use regrant::{Profile, ProfileError};

use crate::error::Failure;

/// The longest file that is read: 64 KiB and a byte, by which the reader knows that there was
/// more than the longest profile has.
const LONGEST: u64 = (64 << 10) + 1;

/// A profile that somebody named.
#[derive(Debug)]
pub(crate) struct Chosen {
    /// What a record keeps: a name, or the whole text of a file, so that the credential does not
    /// depend on the file.
    pub(crate) kept: String,
    pub(crate) profile: Profile,
}

impl Chosen {
    /// The text of the profile.
    pub(crate) fn text(&self) -> &str {
        Profile::text(&self.kept).unwrap_or(&self.kept)
    }
}

/// What `--profile` names, if it was given.
pub(crate) fn named(option: Option<&str>) -> Result<Option<Chosen>, Failure> {
    option.map(chosen).transpose()
}

/// The built-in profile of this name, or that in this file.
pub(crate) fn chosen(name_or_file: &str) -> Result<Chosen, Failure> {
    let shown = format!("{name_or_file:?}");
    if Profile::names().any(|name| name == name_or_file) {
        let profile = Profile::of(name_or_file).map_err(|error| wrong(&shown, &error))?;
        return Ok(Chosen { kept: name_or_file.to_owned(), profile });
    }
    let text = File::open(name_or_file).and_then(|file| {
        let mut text = String::new();
        file.take(LONGEST).read_to_string(&mut text)?;
        Ok(text)
    });
    let text = text.map_err(|error| {
        Failure::usage(format!("{shown} is no built-in profile and no file that can be read"))
            .because(&error)
            .remedy("`regrant profiles` lists the built-in ones")
    })?;
    if text.len() as u64 == LONGEST {
        return Err(wrong(&shown, &ProfileError::TooLong));
    }
    let text = text.trim();
    if !text.starts_with('{') {
        return Err(Failure::usage(format!("the file {shown} holds no profile: no JSON object"))
            .remedy("`regrant profiles github` prints one as an example"));
    }
    let profile = Profile::of(text).map_err(|error| wrong(&shown, &error))?;
    Ok(Chosen { kept: text.to_owned(), profile })
}

fn wrong(shown: &str, error: &ProfileError) -> Failure {
    Failure::usage(format!("the profile {shown} cannot be used"))
        .because(error)
        .remedy("correct the file; `regrant profiles github` prints a profile as an example")
}

/// The name of what a record keeps.
pub(crate) fn name(kept: &str) -> Cow<'_, str> {
    if !kept.trim_start().starts_with('{') {
        return kept.into();
    }
    match Profile::of(kept) {
        Ok(profile) => profile.name().to_owned().into(),
        Err(_) => "one that this version cannot read".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_text_is_shown_by_its_name() {
        assert_eq!(name("slack"), "slack");
        assert_eq!(name(r#"{"name":"own"}"#), "own");
        assert_eq!(
            name(r#"{"name":"own","eaten":"by a dog"}"#),
            "one that this version cannot read"
        );
    }
}
