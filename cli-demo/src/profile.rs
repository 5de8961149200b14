//! `--profile`: the name of a built-in profile, or a file.

use std::fs::File;
use std::io::Read as _;

use regrant::{Profile, ProfileError};

use crate::error::Failure;

/// The longest file that is read: one byte more than the longest profile.
const LONGEST: u64 = (64 << 10) + 1;

/// What the record keeps, and the profile that it is: a name, or the whole text of a file, so that
/// the credential does not depend on it.
pub(crate) fn chosen(option: Option<&str>) -> Result<Option<(String, Profile)>, Failure> {
    let Some(option) = option else { return Ok(None) };
    match Profile::of(option) {
        Ok(profile) => return Ok(Some((option.to_owned(), profile))),
        Err(ProfileError::Unknown) => {}
        Err(error) => return Err(Failure::usage(&error.to_string())),
    }
    let text = File::open(option).and_then(|file| {
        let mut text = String::new();
        file.take(LONGEST).read_to_string(&mut text)?;
        Ok(text)
    });
    let text = text.map_err(|error| {
        Failure::usage(&format!("{option:?} is no built-in profile and no file that can be read"))
            .because(&error)
            .remedy("`regrant profiles` lists the built-in ones")
    })?;
    let text = text.trim();
    if !text.starts_with('{') {
        return Err(Failure::usage(&format!("the file {option:?} holds no profile: no JSON object")));
    }
    let profile = Profile::of(text).map_err(|error| Failure::usage(&error.to_string()))?;
    Ok(Some((text.to_owned(), profile)))
}
