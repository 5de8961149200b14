//! JSON Pointers (RFC 6901) into a text that is never parsed whole, so that no token of it is
//! copied.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Whether `accepts` says yes to one of the values that the pointer leads to, each as it was
/// written. A step `*` leads to every element of an array or object; a member that came twice with
/// different values leads nowhere. The text must be JSON, and must not nest too deep.
pub(super) fn leads_to<'t>(
    text: &'t str,
    pointer: &str,
    accepts: &mut dyn FnMut(&'t str) -> bool,
) -> bool {
    let Some(path) = pointer.strip_prefix('/') else { return accepts(text) };
    let (step, rest) = match path.split_once('/') {
        Some((step, _)) => (step, &path[step.len()..]),
        None => (path, ""),
    };
    if step == "*" {
        return elements(text).into_iter().any(|value| leads_to(value.get(), rest, accepts));
    }
    if text.starts_with('[') {
        // A zero or a sign before it is no index (RFC 6901 section 4).
        let at = step.parse().ok().filter(|at: &usize| at.to_string() == step);
        let value = at.and_then(|at| elements(text).into_iter().nth(at));
        return value.is_some_and(|value| leads_to(value.get(), rest, accepts));
    }
    let name = step.replace("~1", "/").replace("~0", "~");
    let mut from = serde_json::Deserializer::from_str(text);
    match Member(&name).deserialize(&mut from) {
        Ok(Some(value)) => leads_to(value, rest, accepts),
        Ok(None) | Err(_) => false,
    }
}

fn elements(text: &str) -> Vec<&RawValue> {
    if text.starts_with('{') {
        return serde_json::from_str::<Values<'_>>(text).map(|values| values.0).unwrap_or_default();
    }
    serde_json::from_str(text).unwrap_or_default()
}

/// The values of an object, whatever their names.
struct Values<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Values<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Values<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut values = Vec::new();
                while let Some((_, value)) = map.next_entry::<IgnoredAny, &RawValue>()? {
                    values.push(value);
                }
                Ok(Values(values))
            }
        }

        from.deserialize_map(Object)
    }
}

/// One member of an object, by its name.
struct Member<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = Option<&'de str>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut found, mut contradicted) = (None, false);
        while let Some(name) = map.next_key::<String>()? {
            if name == self.0 {
                let value = map.next_value::<&RawValue>()?.get();
                contradicted |= found.is_some_and(|first| first != value);
                found = Some(value);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found.filter(|_| !contradicted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str, pointer: &str) -> Vec<String> {
        let mut found = Vec::new();
        leads_to(text, pointer, &mut |value: &str| {
            found.push(value.into());
            false
        });
        found
    }

    #[test]
    fn a_pointer_leads_through_objects_and_arrays() {
        let text = r#"{"a":{"b/c":[1,{"d":"x"},{"d":"y"}]},"~":2}"#;
        assert_eq!(all(text, "/a/b~1c/0"), ["1"]);
        assert_eq!(all(text, "/a/b~1c/*/d"), [r#""x""#, r#""y""#]);
        assert_eq!(all(text, "/~0"), ["2"]);
        assert_eq!(all(text, ""), [text]);
        assert_eq!(all(r#"{"x":{"c":1},"y":{"c":2}}"#, "/*/c"), ["1", "2"]);
    }

    #[test]
    fn what_is_not_there_leads_nowhere() {
        for pointer in ["/b", "/a/b", "/a/0", "/*/*", "/a/b/c"] {
            assert_eq!(all(r#"{"a":1}"#, pointer), Vec::<String>::new(), "{pointer}");
        }
        assert_eq!(all("<html>", "/a"), Vec::<String>::new());
        assert_eq!(all("[]", "/0"), Vec::<String>::new());
    }

    #[test]
    fn an_index_is_a_number_without_a_zero_or_a_sign_before_it() {
        let text = "[0,1,2,3,4,5,6,7,8,9,10]";
        for (pointer, value) in [("/0", "0"), ("/1", "1"), ("/9", "9"), ("/10", "10")] {
            assert_eq!(all(text, pointer), [value], "{pointer}");
        }
        for pointer in ["/00", "/01", "/+0", "/+1", "/-0", "/-1", "/1.0", "/ 1", "/1e0", "/-", "/"]
        {
            assert_eq!(all(text, pointer), Vec::<String>::new(), "{pointer}");
        }
        // In an object each of them is a name.
        assert_eq!(all(r#"{"01":1,"+1":2}"#, "/01"), ["1"]);
        assert_eq!(all(r#"{"01":1,"+1":2}"#, "/+1"), ["2"]);
    }

    #[test]
    fn a_member_that_contradicts_itself_leads_nowhere() {
        assert_eq!(all(r#"{"a":1,"a":2}"#, "/a"), Vec::<String>::new());
        assert_eq!(all(r#"{"a":1,"a":1}"#, "/a"), ["1"]);
    }
}
