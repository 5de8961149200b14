//! What the options of several commands say of the client.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use regrant::{ClientAuthentication, Secret};

use crate::args::Auth;
use crate::error::Failure;

/// The longest client secret: 64 KiB, which also holds a key that somebody names by mistake.
const LONGEST_SECRET: u64 = 1 << 16;

/// How a client with this secret, or without one, authenticates.
pub(crate) fn authentication(
    auth: Option<Auth>,
    has_secret: bool,
) -> Result<ClientAuthentication, Failure> {
    match (auth, has_secret) {
        (None, true) => Ok(ClientAuthentication::ClientSecretBasic),
        (None, false) => Ok(ClientAuthentication::None),
        (Some(Auth::None), true) => Err(Failure::usage("a public client has no secret")
            .remedy("leave the client secret or --auth none away")),
        (Some(Auth::Basic | Auth::Post | Auth::PrivateKeyJwt), false) => {
            Err(Failure::usage("this way to authenticate needs a client secret")
                .remedy("name a file with --client-secret-file"))
        }
        (Some(auth), _) => Ok(auth.authentication()),
    }
}

/// A secret in a file, without the end of its line.
pub(crate) fn secret(path: &Path) -> Result<Secret, Failure> {
    let unreadable = "the file of the client secret cannot be read";
    let mut text = String::new();
    let read = File::open(path)
        .and_then(|file| file.take(LONGEST_SECRET + 1).read_to_string(&mut text))
        .map_err(|error| Failure::usage(unreadable).because(&error));
    let secret = Secret::new(text);
    read?;
    let trimmed = secret.expose().trim_end_matches(['\r', '\n']);
    if trimmed.is_empty() || secret.expose().len() as u64 > LONGEST_SECRET {
        return Err(Failure::usage(
            "the file of the client secret is empty, or longer than 64 KiB",
        ));
    }
    Ok(Secret::new(trimmed.to_owned()))
}

/// One scope of several options, each of which may have several words; a word is taken once.
pub(crate) fn scope<'w>(options: impl IntoIterator<Item = &'w str>) -> Option<String> {
    let mut words: Vec<&str> = Vec::new();
    for word in options.into_iter().flat_map(str::split_ascii_whitespace) {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    (!words.is_empty()).then(|| words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_the_union_of_its_words() {
        assert_eq!(scope(["b a", " a ", "c"]).as_deref(), Some("b a c"));
        assert_eq!(scope(["", " "]), None);
    }
}
