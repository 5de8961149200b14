//! An answer of a server as text, so that people and fuzzers read and change it.
//!
//! The first line says what no answer says itself, as words: the status, and what the target wants
//! besides. Then lines of the header, an empty line, and the body.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use regrant_core::protocol::Profile;

pub(super) struct Message<'a> {
    words: Vec<&'a str>,
    pub(super) headers: Vec<(&'a str, &'a [u8])>,
    pub(super) body: &'a [u8],
}

impl<'a> Message<'a> {
    pub(super) fn of(data: &'a [u8]) -> Self {
        let (first, mut rest) = line(data);
        let first = std::str::from_utf8(first).unwrap_or_default();
        let mut headers = Vec::new();
        loop {
            let (header, after) = line(rest);
            rest = after;
            if header.is_empty() {
                break;
            }
            let colon = header.iter().position(|byte| *byte == b':').unwrap_or(header.len());
            let (name, value) = header.split_at(colon);
            if let Ok(name) = std::str::from_utf8(name) {
                headers.push((name, value.get(1..).unwrap_or_default().trim_ascii()));
            }
        }
        Self { words: first.split(' ').collect(), headers, body: rest }
    }

    pub(super) fn status(&self) -> u16 {
        self.words.first().and_then(|word| word.parse().ok()).unwrap_or(200)
    }

    /// What stands after `name=` in the first line.
    pub(super) fn word(&self, name: &str) -> Option<&'a str> {
        self.words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    /// The built-in profile that the first line names.
    pub(super) fn profile(&self) -> Option<&'static Profile> {
        static ALL: LazyLock<BTreeMap<&str, Profile>> = LazyLock::new(|| {
            let read = |name| (name, Profile::of(name).expect("a built-in profile is one"));
            Profile::names().map(read).collect()
        });
        ALL.get(self.word("profile")?)
    }

    /// `Retry-After` in seconds. Its dates are read by transports, which are not here.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let named = |(name, _): &&(&str, &[u8])| name.eq_ignore_ascii_case("retry-after");
        let (_, value) = self.headers.iter().find(named)?;
        Some(Duration::from_secs(std::str::from_utf8(value).ok()?.parse().ok()?))
    }
}

/// Up to the end of the line, and what follows.
fn line(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len());
    (&text[..end], text.get(end + 1..).unwrap_or_default())
}

/// The lines of a header as another server might send them: names in capitals, and the fields in
/// another order, but the lines of each field in theirs.
pub(super) fn rearranged(headers: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
    let mut lines: Vec<_> =
        headers.iter().map(|(name, line)| (name.to_ascii_uppercase(), line.to_vec())).collect();
    lines.sort_by(|(one, _), (other, _)| other.cmp(one));
    lines
}

pub(super) fn slices(lines: &[(String, Vec<u8>)]) -> Vec<(&str, &[u8])> {
    lines.iter().map(|(name, line)| (name.as_str(), line.as_slice())).collect()
}
