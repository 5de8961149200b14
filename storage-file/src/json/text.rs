//! A JSON text of somebody else, changed member by member: every byte that is not such a member
//! stays as it is.
//!
//! serde_json reads the text and says which slice of it each value is; what is done here is done
//! between those slices. A name that stands twice in one object counts as its last, as most
//! parsers have it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::json::pointer::JsonPointer;

/// A text, whole and wiped when it is dropped.
pub(crate) type Text = Zeroizing<String>;

/// What a level is indented by where the text does not show it.
const INDENT: &str = "  ";

/// A file that has nothing yet; on several lines, as people read it.
pub(crate) const EMPTY: &str = "{\n}\n";

/// A byte order mark, which Windows puts before a text and JSON does not know.
const MARK: char = '\u{feff}';

/// A member cannot lie where the map says: on the way there is no object, and no array with that
/// element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Misplaced;

/// Whether this is a JSON text.
pub(crate) fn is_whole(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text.strip_prefix(MARK).unwrap_or(text)).is_ok()
}

/// The value at this place, a slice of the text; `None` if there is none, or a `null` on the way
/// or at its end. The text must be [whole](is_whole).
pub(crate) fn find<'a>(text: &'a str, at: &JsonPointer) -> Result<Option<&'a str>, Misplaced> {
    let (value, missing) = walk(text, at.names())?;
    Ok(Some(value).filter(|value| missing.is_empty() && *value != "null"))
}

/// The text with this value, which is JSON, at this place. Objects that are missing are made.
pub(crate) fn set(text: &str, at: &JsonPointer, value: &str) -> Result<Text, Misplaced> {
    let names = at.names();
    let (found, missing) = walk(text, names)?;
    let [name, deeper @ ..] = missing else {
        return Ok(replaced(text, found, value));
    };
    if found == "null" {
        return set(&replaced(text, found, "{}"), at, value);
    }
    if deeper.is_empty() {
        return Ok(inserted(text, found, name, value));
    }
    set(&inserted(text, found, name, "{}"), at, value)
}

/// The text without what lies at this place. In an array, whose other elements must keep their
/// numbers, `null` is left.
pub(crate) fn remove(text: &str, at: &JsonPointer) -> Result<Text, Misplaced> {
    let names = at.names();
    let mut text = Zeroizing::new(text.to_owned());
    loop {
        let (found, missing) = walk(&text, names)?;
        if !missing.is_empty() {
            return Ok(text);
        }
        let (above, _) = walk(&text, &names[..names.len() - 1])?;
        match Level::read(above)? {
            Level::Array(_) => return Ok(replaced(&text, found, "null")),
            // The name may stand there twice, and the first must not come back to life.
            Level::Object(members) => text = cut(&text, above, &members, found),
        }
    }
}

/// Follows the names as far as there is something: the value there, and the names that are left.
fn walk<'a, 'n>(text: &'a str, names: &'n [String]) -> Result<(&'a str, &'n [String]), Misplaced> {
    let mut value = text.strip_prefix(MARK).unwrap_or(text).trim();
    for (depth, name) in names.iter().enumerate() {
        let missing = &names[depth..];
        if value == "null" {
            return Ok((value, missing));
        }
        value = match Level::read(value)? {
            Level::Object(members) => match members.into_iter().rfind(|member| member.0 == *name) {
                Some((_, value)) => value,
                None => return Ok((value, missing)),
            },
            // RFC 6901 section 4: an index has no leading zeros. It must be there, since nobody
            // else would count on one more element.
            Level::Array(elements) => {
                let index = name.parse().ok().filter(|index: &usize| index.to_string() == *name);
                index.and_then(|index| elements.get(index).copied()).ok_or(Misplaced)?
            }
        };
    }
    Ok((value, &[]))
}

/// What is directly within one value.
enum Level<'a> {
    Object(Vec<(String, &'a str)>),
    Array(Vec<&'a str>),
}

impl<'a> Level<'a> {
    fn read(value: &'a str) -> Result<Self, Misplaced> {
        serde_json::from_str(value).map_err(|_| Misplaced)
    }
}

impl<'de> Deserialize<'de> for Level<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Values;

        impl<'de> Visitor<'de> for Values {
            type Value = Level<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object or an array")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Level<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    members.push((name, value.get()));
                }
                Ok(Level::Object(members))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Level<'de>, A::Error> {
                let mut elements = Vec::new();
                while let Some(value) = seq.next_element::<&RawValue>()? {
                    elements.push(value.get());
                }
                Ok(Level::Array(elements))
            }
        }

        from.deserialize_any(Values)
    }
}

/// Where a slice of the text begins and ends in it.
fn span(text: &str, slice: &str) -> (usize, usize) {
    let start = slice.as_ptr().addr() - text.as_ptr().addr();
    (start, start + slice.len())
}

/// The three parts in one piece that never grows: a buffer that does leaves its old self behind.
fn joined(parts: [&str; 3]) -> Text {
    let mut text = Zeroizing::new(String::with_capacity(parts.iter().map(|part| part.len()).sum()));
    parts.iter().for_each(|part| text.push_str(part));
    text
}

fn replaced(text: &str, slice: &str, value: &str) -> Text {
    let (start, end) = span(text, slice);
    joined([&text[..start], value, &text[end..]])
}

/// Puts a member at the end of an object, written as the last one is.
fn inserted(text: &str, object: &str, name: &str, value: &str) -> Text {
    let name = serde_json::to_string(name).expect("a name is valid JSON");
    let (start, _) = span(text, object);
    let members = match Level::read(object) {
        Ok(Level::Object(members)) => members,
        Ok(Level::Array(_)) | Err(Misplaced) => Vec::new(),
    };
    let Some((_, last)) = members.last() else {
        let (lead, tail) = first_of_object(text, start);
        let member = joined([&format!("{{{lead}{name}: "), value, &format!("{tail}}}")]);
        return replaced(text, object, &member);
    };
    // Between the value before and this one stand blanks, a comma, blanks, the name, a colon, and
    // blanks. Before the name there is no quote, and after it none.
    let (value_start, value_end) = span(text, last);
    let before = match members.len().checked_sub(2).and_then(|index| members.get(index)) {
        Some((_, value)) => span(text, value).1,
        None => start + 1,
    };
    let between = &text[before..value_start];
    let (lead, rest) = between.split_at(between.find('"').unwrap_or(between.len()));
    let lead = lead.split_once(',').map_or(lead, |(_, blanks)| blanks);
    let colon = &rest[rest.rfind('"').map_or(rest.len(), |quote| quote + 1)..];
    let member = joined([&format!(",{lead}{name}{colon}"), value, ""]);
    joined([&text[..value_end], &member, &text[value_end..]])
}

/// The blanks before and after the only member of the object that begins here.
fn first_of_object(text: &str, start: usize) -> (String, String) {
    if !text.trim_end().contains('\n') {
        return (String::new(), String::new());
    }
    let blanks = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let line = &text[text[..start].rfind('\n').map_or(0, |end| end + 1)..];
    let own = &line[..blanks(line)];
    let second = text.lines().nth(1).map(|line| &line[..blanks(line)]).unwrap_or_default();
    let indent = if second.is_empty() { INDENT } else { second };
    (format!("\n{own}{indent}"), format!("\n{own}"))
}

/// Takes a member out of an object, with its comma.
fn cut(text: &str, object: &str, members: &[(String, &str)], value: &str) -> Text {
    let (object_start, object_end) = span(text, object);
    let (_, value_end) = span(text, value);
    let index = members.iter().position(|member| std::ptr::eq(member.1, value));
    let index = index.expect("the value is one of the object's");
    let end_of = |index: usize| span(text, members[index].1).1;
    let name_after = |end: usize| end + text[end..].find('"').unwrap_or_default();
    let (from, to) = match (index, members.len()) {
        (0, 1) => (object_start + 1, object_end - 1),
        (0, _) => (name_after(object_start + 1), name_after(value_end)),
        (index, _) => (end_of(index - 1), value_end),
    };
    joined([&text[..from], "", &text[to..]])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(pointer: &str) -> JsonPointer {
        pointer.parse().unwrap()
    }

    fn set_to(text: &str, pointer: &str, value: &str) -> String {
        set(text, &at(pointer), value).unwrap().to_string()
    }

    fn removed(text: &str, pointer: &str) -> String {
        remove(text, &at(pointer)).unwrap().to_string()
    }

    #[test]
    fn a_value_is_found_as_it_is_written() {
        let text = "\u{feff} {\"a\":{\"b/c\":[1,{\"d\" : \"\\u00e9\" }]},\"n\":null,\"a2\":1.50}\n";
        assert!(is_whole(text));
        for (pointer, value) in [
            ("/a/b~1c/0", Some("1")),
            ("/a/b~1c/1/d", Some("\"\\u00e9\"")),
            ("/a2", Some("1.50")),
            ("/n", None),
            ("/n/deeper", None),
            ("/a/x/y", None),
        ] {
            assert_eq!(find(text, &at(pointer)), Ok(value), "{pointer}");
        }
        for pointer in ["/a2/x", "/a/b~1c/2", "/a/b~1c/01", "/a/b~1c/+1", "/a/b~1c/-"] {
            assert_eq!(find(text, &at(pointer)), Err(Misplaced), "{pointer}");
            assert_eq!(set(text, &at(pointer), "1").map(drop), Err(Misplaced), "{pointer}");
        }
    }

    #[test]
    fn a_half_written_text_is_not_whole() {
        let text = "{\"a\": [1, {\"b\": \"c\"}], \"d\": 1.5e3}";
        assert!(is_whole(text));
        for end in 0..text.len() {
            assert!(!is_whole(&text[..end]), "{end}");
        }
        assert!(!is_whole(&format!("{text}}}")));
    }

    #[test]
    fn a_new_value_changes_no_other_byte() {
        let text =
            "{ \"z\" :1.0,\n\t\"a\":{\"t\":\"old\",\"é\\u0041\": [ 1 ]} , \"z2\":-0e-0 }\r\n";
        let expected = text.replace("\"old\"", "\"new\"");
        assert_eq!(set_to(text, "/a/t", "\"new\""), expected);
        assert_eq!(set_to(text, "/a/éA/0", "2"), text.replace("[ 1 ]", "[ 2 ]"));
    }

    #[test]
    fn a_member_is_added_as_the_last_one_is_written() {
        for (text, expected) in [
            ("{\"a\":1}", "{\"a\":1,\"t\":7}"),
            ("{ \"a\" : 1 }", "{ \"a\" : 1, \"t\" : 7 }"),
            ("{\"a\": 1, \"b\": 2}\n", "{\"a\": 1, \"b\": 2, \"t\": 7}\n"),
            ("{\n  \"a\": 1\n}", "{\n  \"a\": 1,\n  \"t\": 7\n}"),
            (
                "{\n\t\"a\": 1\n\t, \"b:\\\"\": 2\n}",
                "{\n\t\"a\": 1\n\t, \"b:\\\"\": 2, \"t\": 7\n}",
            ),
            ("{}", "{\"t\": 7}"),
            ("{ }", "{\"t\": 7}"),
            (EMPTY, "{\n  \"t\": 7\n}\n"),
        ] {
            assert_eq!(set_to(text, "/t", "7"), expected, "{text}");
        }
    }

    #[test]
    fn missing_objects_are_made() {
        assert_eq!(set_to("{\"a\":null}", "/a/b/c", "7"), "{\"a\":{\"b\": {\"c\": 7}}}");
        let text = set_to(EMPTY, "/o/t", "7");
        assert_eq!(text, "{\n  \"o\": {\n    \"t\": 7\n  }\n}\n");
        let four = "{\n    \"a\": 1\n}";
        let expected = "{\n    \"a\": 1,\n    \"o\": {\n        \"t\": 7\n    }\n}";
        assert_eq!(set_to(four, "/o/t", "7"), expected);
        assert_eq!(set_to("null", "/t", "7"), "{\"t\": 7}");
    }

    #[test]
    fn a_removed_member_takes_its_comma_along() {
        for (text, expected) in [
            ("{\"t\":1}", "{}"),
            ("{ \"t\":1 , \"b\":2 }", "{ \"b\":2 }"),
            ("{\n  \"t\": 1,\n  \"b\": 2\n}", "{\n  \"b\": 2\n}"),
            ("{\n  \"a\": 1,\n  \"t\": {\"x\": 2}\n}", "{\n  \"a\": 1\n}"),
            ("{\"a\":1, \"t\":2, \"b\":3}", "{\"a\":1, \"b\":3}"),
            ("{\"t\":1,\"a\":2,\"t\":3}", "{\"a\":2}"),
            ("{\"t\":null,\"a\":2}", "{\"a\":2}"),
            ("{\"a\":1}", "{\"a\":1}"),
        ] {
            assert_eq!(removed(text, "/t"), expected, "{text}");
        }
        assert_eq!(removed("{\"a\":[1,2]}", "/a/0"), "{\"a\":[null,2]}");
        assert_eq!(removed("{\"a\":null}", "/a/b"), "{\"a\":null}");
    }

    #[test]
    fn of_a_name_that_stands_twice_the_last_counts() {
        let text = "{\"t\":1,\"t\":2}";
        assert_eq!(find(text, &at("/t")), Ok(Some("2")));
        assert_eq!(set_to(text, "/t", "3"), "{\"t\":1,\"t\":3}");
    }
}
