//! The members of an answer: a JSON object or a form, read without trusting either.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::form;
use crate::secret::Secret;

/// The members that the default rules read, of answers, of `error` objects, and of ID token
/// payloads. All others are ignored, as RFC 6749 section 5.1 demands, unless a profile names them.
const NAMES: [&str; 19] = [
    "access_token",
    "claims",
    "code",
    "error",
    "expires",
    "expires_at",
    "expires_in",
    "expires_on",
    "id_token",
    "refresh_expires_in",
    "refresh_token",
    "refresh_token_expires_in",
    "retry_after",
    "scope",
    "status",
    "sub",
    "token_type",
    "type",
    "x_refresh_token_expires_in",
];

/// The members that a grant is made of (RFC 6749 section 5.1).
const GRANT: [&str; 6] =
    ["access_token", "error", "expires_in", "refresh_token", "scope", "token_type"];

/// How many members of other names are kept, for profiles that name them: 256, far more than any
/// token answer has.
const MAX_OTHERS: usize = 256;

/// How deep a JSON text may nest. Answers of real servers stay below ten.
const MAX_DEPTH: usize = 32;

/// The members of one object, as slices of the text it was read from.
#[derive(Default)]
pub(super) struct Members<'a> {
    /// `None` for a member that came twice with different values: parsers disagree which one
    /// counts, so neither does (RFC 6749 section 3.2, RFC 8259 section 4).
    found: BTreeMap<Cow<'static, str>, Option<Value<'a>>>,
}

/// A value as it was written.
#[derive(Clone, Copy, PartialEq)]
enum Value<'a> {
    /// JSON, of any type.
    Json(&'a str),
    /// The encoded value of a form.
    Form(&'a str),
}

impl<'a> Members<'a> {
    /// The members of a JSON object; `None` for any other text. A byte order mark is skipped
    /// (RFC 8259 section 8.1).
    pub(super) fn json(body: &'a [u8]) -> Option<Self> {
        serde_json::from_str(shallow(body)?).ok()
    }

    /// The members of a form; `None` for any other text.
    pub(super) fn form(body: &'a [u8]) -> Option<Self> {
        let mut members = Self::default();
        for pair in as_form(body)?.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            members.add(form::decode(name)?, Value::Form(value));
        }
        Some(members)
    }

    fn add(&mut self, name: String, value: Value<'a>) {
        let name = match NAMES.into_iter().find(|known| *known == name) {
            Some(known) => Cow::Borrowed(known),
            None if self.found.len() < MAX_OTHERS => Cow::Owned(name),
            None => return,
        };
        self.found
            .entry(name)
            .and_modify(|first| *first = first.filter(|first| *first == value))
            .or_insert(Some(value));
    }

    fn value(&self, name: &str) -> Option<Value<'a>> {
        *self.found.get(name)?
    }

    /// Whether a member that a grant is made of came twice with different values.
    pub(super) fn repeats(&self) -> bool {
        GRANT.into_iter().any(|name| matches!(self.found.get(name), Some(None)))
    }

    /// Whether the member is there and not empty: a parameter without a value counts as omitted
    /// (RFC 6749 section 3.2), and so does a JSON `null`.
    pub(super) fn states(&self, name: &str) -> bool {
        !matches!(self.value(name), None | Some(Value::Json("null" | "\"\"") | Value::Form("")))
    }

    /// A non-empty string.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.value(name)?.text().filter(|text| !text.is_empty())
    }

    /// A non-empty string that must not be seen.
    pub(super) fn secret(&self, name: &str) -> Option<Secret> {
        self.text(name).map(Secret::new)
    }

    /// A JSON number, or a string that holds a decimal number between blanks. Never negative,
    /// never not a number; what is too large for the type is infinite.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        let number: f64 = match self.value(name)? {
            // Rust's grammar of numbers contains that of JSON.
            Value::Json(text) if !text.starts_with('"') => text.parse().ok()?,
            string => {
                let text = string.text()?;
                let text = text.trim();
                let decimal = text.starts_with(|c: char| c.is_ascii_digit())
                    && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
                text.parse().ok().filter(|_| decimal)?
            }
        };
        (number >= 0.0).then_some(number)
    }

    /// A list of words: a string of them, or an array of strings.
    pub(super) fn words(&self, name: &str) -> Option<String> {
        let words = match self.value(name)? {
            Value::Json(text) if text.starts_with('[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
                let items: Vec<_> =
                    items.iter().filter_map(|item| Value::Json(item.get()).text()).collect();
                items.join(" ")
            }
            string => string.text()?,
        };
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        Some(words).filter(|words| !words.is_empty())
    }

    /// The members of a member that is an object itself.
    pub(super) fn object(&self, name: &str) -> Option<Self> {
        match self.value(name)? {
            Value::Json(text) => serde_json::from_str(text).ok(),
            Value::Form(_) => None,
        }
    }
}

impl Value<'_> {
    /// The string it is, in a buffer that was never larger and is not copied again.
    fn text(self) -> Option<String> {
        match self {
            Self::Json(text) => unescape(text.strip_prefix('"')?.strip_suffix('"')?),
            Self::Form(text) => form::decode(text),
        }
    }
}

/// A body that is JSON, as text without a byte order mark and blanks around it.
pub(super) fn as_json(body: &[u8]) -> Option<&str> {
    let text = shallow(body)?;
    serde_json::from_str::<IgnoredAny>(text).is_ok().then_some(text.trim())
}

/// A body that is a form from end to end, but for the end of its line. A text that merely holds a
/// URL is none: its names would not be names.
pub(super) fn as_form(body: &[u8]) -> Option<&str> {
    let text = core::str::from_utf8(body).ok()?.trim_end_matches(['\r', '\n']);
    let is_name = |name: &str| {
        (1..=64).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.%+".contains(&byte))
    };
    let is_value = |value: &str| {
        !value.bytes().any(|byte| byte.is_ascii_control() || b" <>\"{}".contains(&byte))
    };
    let is_pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        is_name(name) && is_value(value)
    };
    text.split('&').all(is_pair).then_some(text)
}

/// The string that a JSON value is, as it was written.
pub(super) fn string_of(value: &str) -> Option<String> {
    Value::Json(value).text()
}

/// A body that is text and does not nest too deep, without a byte order mark.
fn shallow(body: &[u8]) -> Option<&str> {
    let text = core::str::from_utf8(body).ok()?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    (!is_too_deep(text)).then_some(text)
}

/// Whether the body is text that nests too deep to be read.
pub(super) fn nests_too_deep(body: &[u8]) -> bool {
    core::str::from_utf8(body).is_ok() && shallow(body).is_none()
}

/// Whether brackets nest deeper than [`MAX_DEPTH`]. Strings are skipped; of a text that is not
/// JSON any answer is right.
fn is_too_deep(text: &str) -> bool {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return true;
        }
    }
    false
}

/// What stands between the quotes of a JSON string, once the parser has accepted it; `None` for
/// half of a surrogate pair. Our own, because the parser's scratch buffer is not wiped, and
/// `\/` in a token is common.
fn unescape(text: &str) -> Option<String> {
    let mut out = Zeroizing::new(String::with_capacity(text.len()));
    let mut rest = text;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        out.push_str(plain);
        let mut chars = escaped.chars();
        let escape = chars.next()?;
        rest = chars.as_str();
        out.push(match escape {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let unit = code_unit(&mut rest)?;
                let low = match unit {
                    0xd800..=0xdbff => {
                        rest = rest.strip_prefix("\\u")?;
                        Some(code_unit(&mut rest)?)
                    }
                    _ => None,
                };
                char::decode_utf16([unit].into_iter().chain(low)).next()?.ok()?
            }
            escape => escape,
        });
    }
    out.push_str(rest);
    Some(core::mem::take(&mut *out))
}

fn code_unit(rest: &mut &str) -> Option<u16> {
    let (digits, after) = rest.split_at_checked(4)?;
    *rest = after;
    u16::from_str_radix(digits, 16).ok()
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Members::default();
                while let Some(name) = map.next_key::<String>()? {
                    members.add(name, Value::Json(map.next_value::<&RawValue>()?.get()));
                }
                Ok(members)
            }
        }

        from.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn json(text: &str) -> Members<'_> {
        Members::json(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_string_comes_out_as_the_server_meant_it() {
        let members = json(r#"{"code":"\u0061\/\"\\\n\u00e9\ud83d\ude00z","sub":"plain"}"#);
        assert_eq!(members.text("code").as_deref(), Some("a/\"\\\né😀z"));
        assert_eq!(members.text("sub").as_deref(), Some("plain"));
    }

    #[test]
    fn half_a_surrogate_pair_is_no_string_and_harms_no_other_member() {
        for half in [r"\ud83d", r"\ud83dx", r"\ud83d\n", r"\ud83dA", r"\ude00", r"\ud83d\u+041"] {
            let text = format!("{{\"code\":\"{half}\",\"sub\":\"s\"}}");
            let Some(members) = Members::json(text.as_bytes()) else { continue };
            assert_eq!(members.text("code"), None, "{half}");
            assert_eq!(members.text("sub").as_deref(), Some("s"), "{half}");
        }
    }

    #[test]
    fn an_escaped_name_is_the_name() {
        assert_eq!(json(r#"{"s\u0075b":"s"}"#).text("sub").as_deref(), Some("s"));
    }

    #[test]
    fn null_and_the_empty_string_state_nothing() {
        let members = json(r#"{"sub":null,"code":"","error":0,"scope":" "}"#);
        assert!(!members.states("sub") && !members.states("code") && !members.states("type"));
        assert!(members.states("error"));
        assert_eq!(members.text("code"), None);
        assert_eq!(members.words("scope"), None);
    }

    #[test]
    fn a_member_that_contradicts_itself_is_not_there() {
        let members = json(r#"{"sub":"a","sub":"b","sub":"a","code":"c","code":"c"}"#);
        assert!(!members.repeats() && json(r#"{"scope":"a","scope":"b"}"#).repeats());
        assert_eq!(members.text("sub"), None);
        assert_eq!(members.text("code").as_deref(), Some("c"));
        assert!(!json(r#"{"code":"c","code":"c","x":1,"x":2}"#).repeats());
        assert!(Members::form(b"scope=a&scope=b").unwrap().repeats());
    }

    #[test]
    fn numbers_are_read_in_every_form_that_servers_write() {
        let number = |text: &str| json(&format!("{{\"expires\":{text}}}")).number("expires");
        assert_eq!(number("3600"), Some(3600.0));
        assert_eq!(number("3.6e3"), Some(3600.0));
        assert_eq!(number("\" 3600.5\\t\""), Some(3600.5));
        assert_eq!(number("1e400"), Some(f64::INFINITY));
        for nonsense in [
            "-1",
            "\"-1\"",
            "true",
            "null",
            "{}",
            "[1]",
            "\"\"",
            "\"1e3\"",
            "\"inf\"",
            "\"NaN\"",
            "\"+1\"",
            "\"1.2.3\"",
            "\"0x10\"",
        ] {
            assert_eq!(number(nonsense), None, "{nonsense}");
        }
        assert_eq!(Members::form(b"expires=+60+").unwrap().number("expires"), Some(60.0));
    }

    #[test]
    fn words_come_as_a_string_or_as_an_array() {
        assert_eq!(json(r#"{"scope":" a b "}"#).words("scope").as_deref(), Some("a b"));
        assert_eq!(json(r#"{"scope":["a",1,"b"]}"#).words("scope").as_deref(), Some("a b"));
        assert_eq!(json(r#"{"scope":[]}"#).words("scope"), None);
        assert_eq!(json(r#"{"scope":{}}"#).words("scope"), None);
    }

    #[test]
    fn a_text_with_a_url_in_it_is_no_form() {
        for text in [
            "Moved: https://sso.example/?x=1&error=access_denied&y=2",
            "https://sso.example/?x=1&error=access_denied",
            "<p>no such page /t?x=1&error=invalid_grant&z",
            "",
            "&",
            "a=b&&c=d",
            "a=b c",
        ] {
            assert!(Members::form(text.as_bytes()).is_none(), "{text}");
        }
        let form = Members::form(b"access_token=a%2F1&scope=&refresh_token=r2\r\n").unwrap();
        assert_eq!(form.text("refresh_token").as_deref(), Some("r2"));
        assert_eq!(form.text("access_token").as_deref(), Some("a/1"));
    }

    #[test]
    fn text_nests_thirty_two_levels_and_no_more() {
        let nested = |levels: usize| {
            format!("{{\"x\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1))
        };
        assert!(Members::json(nested(32).as_bytes()).is_some());
        assert!(Members::json(nested(33).as_bytes()).is_none());
        // In a text they neither open nor close.
        let text = "]}".repeat(50);
        let with_text = |levels| format!("[\"{text}\",{}]", nested(levels));
        assert!(as_json(with_text(31).as_bytes()).is_some());
        assert!(as_json(with_text(32).as_bytes()).is_none());
        let side_by_side = format!("{{\"x\":[{}{{}}]}}", "[],{},".repeat(50));
        assert!(Members::json(side_by_side.as_bytes()).is_some());
        let brackets_in_text = format!("{{\"x\":\"\\\"{}\"}}", "[".repeat(100));
        assert!(Members::json(brackets_in_text.as_bytes()).is_some());
    }

    #[test]
    fn of_members_that_no_rule_names_256_are_kept_and_the_known_ones_always() {
        let others: Vec<_> = (0..300).map(|n| format!("\"x{n}\":{n}")).collect();
        let text = format!("{{{},\"sub\":\"s\"}}", others.join(","));
        let members = json(&text);
        assert_eq!(members.number("x0"), Some(0.0));
        assert_eq!(members.number("x255"), Some(255.0));
        assert_eq!(members.number("x256"), None);
        assert_eq!(members.text("sub").as_deref(), Some("s"));
    }

    #[test]
    fn what_is_not_one_object_has_no_members() {
        for text in
            ["", "null", "[]", "1", "{", "{}{}", "{}x", "{\"a\":NaN}", "{\"a\":1,}", "\u{feff}"]
        {
            assert!(Members::json(text.as_bytes()).is_none(), "{text}");
        }
        assert!(Members::json(b"{\"sub\":\"\xff\"}").is_none());
        assert!(Members::json("\u{feff} {} ".as_bytes()).is_some());
    }
}
