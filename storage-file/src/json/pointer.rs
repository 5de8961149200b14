//! JSON Pointers (RFC 6901): where a member lies.

use std::fmt;
use std::str::FromStr;

use crate::json::map::JsonMapError;

/// Where a member lies in a JSON text (RFC 6901): `/claudeAiOauth/accessToken`.
///
/// `~1` stands for `/` in a name and `~0` for `~`. The whole text has no pointer here, since no
/// member is the whole text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JsonPointer(Vec<String>);

impl JsonPointer {
    /// The names on the way, outermost first; at least one.
    pub(crate) fn names(&self) -> &[String] {
        &self.0
    }

    /// Whether one lies at or within the other.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0) || other.0.starts_with(&self.0)
    }
}

impl FromStr for JsonPointer {
    type Err = JsonMapError;

    fn from_str(text: &str) -> Result<Self, JsonMapError> {
        let names = text.strip_prefix('/').ok_or(JsonMapError::Pointer)?;
        names.split('/').map(name).collect::<Option<_>>().map(Self).ok_or(JsonMapError::Pointer)
    }
}

/// A name without its escapes; `None` for a `~` that escapes nothing (RFC 6901 section 3).
fn name(escaped: &str) -> Option<String> {
    let mut parts = escaped.split('~');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (tilde, rest) = match part.split_at_checked(1)? {
            ("0", rest) => ('~', rest),
            ("1", rest) => ('/', rest),
            _ => return None,
        };
        name.push(tilde);
        name.push_str(rest);
    }
    Some(name)
}

impl fmt::Display for JsonPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escaped = |name: &String| name.replace('~', "~0").replace('/', "~1");
        self.0.iter().try_for_each(|name| write!(f, "/{}", escaped(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_read_as_it_is_written() {
        for (text, names) in [
            ("/a", &["a"][..]),
            ("/a/b c/0", &["a", "b c", "0"]),
            ("/", &[""]),
            ("/~0~1/~01", &["~/", "~1"]),
            ("/日本", &["日本"]),
        ] {
            let pointer: JsonPointer = text.parse().unwrap();
            assert_eq!(pointer.names(), names, "{text}");
            assert_eq!(pointer.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for text in ["", "a", "a/b", "/~", "/~2", "/a~", "#/a", "/~é"] {
            assert_eq!(text.parse::<JsonPointer>(), Err(JsonMapError::Pointer), "{text}");
        }
    }

    #[test]
    fn a_place_within_another_overlaps_it() {
        let pointer = |text: &str| text.parse::<JsonPointer>().unwrap();
        assert!(pointer("/a/b").overlaps(&pointer("/a")));
        assert!(pointer("/a").overlaps(&pointer("/a")));
        assert!(!pointer("/a").overlaps(&pointer("/ab")));
    }
}
