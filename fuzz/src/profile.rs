//! Profiles, and what they make of answers.

use regrant_core::protocol::Profile;

use super::message::Message;
use super::{api_reply, token_reply};

/// Reads a profile up to the first empty line, and after it an answer by its rules.
pub fn profile(data: &[u8]) {
    let end = data.windows(2).position(|two| two == b"\n\n").unwrap_or(data.len());
    let Ok(text) = std::str::from_utf8(&data[..end]) else { return };
    let Ok(profile) = Profile::of(text) else { return };
    assert!(!profile.name().is_empty());
    let mut names: Vec<_> = profile.rules().collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "a rule's name says which rule it is");
    assert!(profile.fresh_token_lag().as_secs() <= 60);
    let again = Profile::of(text).expect("it was a profile a moment ago");
    assert_eq!(format!("{profile:?}"), format!("{again:?}"));

    let message = Message::of(data.get(end + 2..).unwrap_or_default());
    api_reply::check(&message, Some(&profile));
    token_reply::check(&message, Some(&profile));
}
