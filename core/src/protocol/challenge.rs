//! `WWW-Authenticate` (RFC 9110 section 11.6.1), as servers really write it.

use alloc::string::String;
use alloc::vec::Vec;

/// Longer lines are ignored.
const MAX_LINE: usize = 16 * 1024;
/// Challenges of one answer; the rest is ignored.
const MAX_CHALLENGES: usize = 32;
/// Parameters of one challenge; the rest is ignored.
const MAX_PARAMS: usize = 64;

/// One challenge: a scheme and its parameters (RFC 9110 section 11.3).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Challenge {
    /// The scheme as the server wrote it. Schemes are compared without case.
    pub scheme: String,
    /// Names in lower case, and values without their quotes, in the order they came. What is not
    /// UTF-8 in a value is replaced.
    pub params: Vec<(String, String)>,
}

impl Challenge {
    /// A parameter by its name in lower case. One that is given twice with different values is
    /// not given: RFC 6750 section 3 forbids it, and nobody can say which one is meant.
    pub fn param(&self, name: &str) -> Option<&str> {
        let mut values = self.params.iter().filter(|(n, _)| n == name).map(|(_, value)| value);
        let first = values.next()?;
        values.all(|value| value == first).then_some(first)
    }

    /// Whether this is a challenge of that scheme.
    pub fn is_scheme(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }
}

/// The challenges of an answer, from all its `WWW-Authenticate` lines.
///
/// Each line is read on its own, so that a broken one costs no other. The grammar is that of
/// RFC 9110 section 11, with what servers make of it besides: semicolons for commas, values
/// without quotes or in single ones, missing commas, strings without a name, quotes inside
/// quotes. What cannot be read is skipped to where the next parameter can begin. A string that
/// does not end is dropped; a `token68` is read over.
///
/// ```
/// use regrant_core::protocol::challenges;
///
/// let line = br#"Basic realm="simple", Bearer error="invalid_token""#;
/// let challenges = challenges([&line[..]]);
/// assert_eq!(challenges[1].scheme, "Bearer");
/// assert_eq!(challenges[1].param("error"), Some("invalid_token"));
/// ```
pub fn challenges<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Vec<Challenge> {
    let mut all = Vec::new();
    for line in lines {
        if line.len() <= MAX_LINE {
            all.extend(Line { rest: line }.challenges());
        }
        all.truncate(MAX_CHALLENGES);
        if all.len() == MAX_CHALLENGES {
            break;
        }
    }
    all
}

/// What is left of a line.
struct Line<'a> {
    rest: &'a [u8],
}

impl<'a> Line<'a> {
    fn challenges(mut self) -> Vec<Challenge> {
        let mut found: Vec<Challenge> = Vec::new();
        // A scheme stands at the beginning or after a separator, nowhere else.
        let mut fresh = true;
        while !self.rest.is_empty() {
            let skipped = self.take(|byte| is_blank(byte) || is_separator(byte));
            fresh |= skipped.iter().copied().any(is_separator);
            let word = self.take(is_token_char);
            if word.is_empty() {
                // A string without a name, or what begins nothing: an apostrophe opens no string.
                match self.rest.first() {
                    Some(b'"') => _ = self.value(),
                    _ => _ = self.take(|byte| !is_blank(byte) && !is_separator(byte)),
                }
            } else if self.takes_equals() {
                let value = self.value();
                if let (Some(challenge), Some(value)) = (found.last_mut(), value)
                    && challenge.params.len() < MAX_PARAMS
                {
                    challenge.params.push((lossy(word).to_ascii_lowercase(), lossy(&value)));
                }
            } else if fresh && self.follows_a_scheme() {
                if found.len() == MAX_CHALLENGES {
                    break;
                }
                found.push(Challenge { scheme: lossy(word), params: Vec::new() });
            }
            fresh = false;
        }
        found
    }

    fn take(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|&byte| !wanted(byte)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// Takes an equals sign with the blanks around it, which RFC 9110 section 11.2 allows; takes
    /// nothing if there is none.
    fn takes_equals(&mut self) -> bool {
        let before = self.rest;
        self.take(is_blank);
        if let Some(rest) = self.rest.strip_prefix(b"=") {
            self.rest = rest;
            self.take(is_blank);
            true
        } else {
            self.rest = before;
            false
        }
    }

    /// Takes a value: a quoted string (RFC 9110 section 5.6.4), or all up to a blank or a
    /// separator. `None` if the string does not end. Takes at least one byte unless a separator
    /// or the end comes first.
    fn value(&mut self) -> Option<Vec<u8>> {
        let Some(&quote @ (b'"' | b'\'')) = self.rest.first() else {
            return Some(self.take(|byte| !is_blank(byte) && !is_separator(byte)).to_vec());
        };
        let mut value = Vec::new();
        let mut bytes = self.rest.iter().copied().enumerate().skip(1);
        while let Some((at, byte)) = bytes.next() {
            match byte {
                byte if byte == quote => {
                    self.rest = &self.rest[at + 1..];
                    return Some(value);
                }
                b'\\' if quote == b'"' => value.extend(bytes.next().map(|(_, byte)| byte)),
                byte => value.push(byte),
            }
        }
        self.rest = &[];
        None
    }

    /// Whether what comes next can follow a scheme: the end, a separator, a parameter, a string,
    /// or a `token68`, which is taken.
    fn follows_a_scheme(&mut self) -> bool {
        let blanks = self.take(is_blank);
        if !self.is_in_element() {
            return true;
        }
        if blanks.is_empty() || self.rest.starts_with(b"\"") {
            return !blanks.is_empty();
        }
        let mut ahead = Line { rest: self.rest };
        if !ahead.take(is_token_char).is_empty() && ahead.takes_equals() && ahead.is_in_element() {
            return true;
        }
        let mut ahead = Line { rest: self.rest };
        ahead.take(is_token68_char);
        ahead.take(|byte| byte == b'=');
        ahead.take(is_blank);
        if ahead.is_in_element() {
            return false;
        }
        self.rest = ahead.rest;
        true
    }

    /// Whether something stands before the next separator.
    fn is_in_element(&self) -> bool {
        self.rest.first().is_some_and(|&byte| !is_separator(byte))
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b',' | b';')
}

/// RFC 9110 section 5.6.2.
fn is_token_char(byte: u8) -> bool {
    // A single quote is one as well, but here it opens a string.
    byte.is_ascii_alphanumeric() || b"!#$%&*+-.^_`|~".contains(&byte)
}

/// RFC 9110 section 11.2.
fn is_token68_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::vec;

    /// Every challenge as `scheme name=value ...`.
    fn read(line: &str) -> Vec<String> {
        challenges([line.as_bytes()])
            .iter()
            .map(|challenge| {
                challenge.params.iter().fold(challenge.scheme.clone(), |text, (name, value)| {
                    format!("{text} {name}=<{value}>")
                })
            })
            .collect()
    }

    #[test]
    fn the_example_of_rfc_9110_is_two_challenges() {
        assert_eq!(
            read(
                r#"Basic realm="simple", Newauth realm="apps", type=1, title="Login to \"apps\"""#
            ),
            ["Basic realm=<simple>", r#"Newauth realm=<apps> type=<1> title=<Login to "apps">"#],
        );
    }

    #[test]
    fn names_lose_their_case_and_blanks_around_equals_are_nothing() {
        assert_eq!(
            read("BEARER\tReAlm =  \"x\" ,error= invalid_token ,"),
            ["BEARER realm=<x> error=<invalid_token>"],
        );
    }

    #[test]
    fn empty_elements_are_nothing() {
        assert_eq!(read(", ,, Bearer ,, realm=x,,"), ["Bearer realm=<x>"]);
        assert_eq!(read(" , ,,"), Vec::<String>::new());
        assert_eq!(read(""), Vec::<String>::new());
    }

    #[test]
    fn schemes_stand_alone_or_with_a_token68() {
        assert_eq!(read("Negotiate, NTLM"), ["Negotiate", "NTLM"]);
        assert_eq!(
            read("Negotiate YII/wY==, Bearer error=\"x\""),
            ["Negotiate", "Bearer error=<x>"],
        );
        assert_eq!(read("Negotiate oWs="), ["Negotiate"]);
    }

    #[test]
    fn a_separator_can_be_a_semicolon_or_be_missing() {
        assert_eq!(read("Bearer a=\"1\"; b=\"2\""), ["Bearer a=<1> b=<2>"]);
        assert_eq!(read("Bearer a=1 b=2 \"c\" d=4"), ["Bearer a=<1> b=<2> d=<4>"]);
        assert_eq!(read("Bearer scope=read write, error=x"), ["Bearer scope=<read> error=<x>"]);
    }

    #[test]
    fn values_go_without_quotes_or_in_single_ones() {
        assert_eq!(
            read("Bearer u=https://a.example/x?y=1, acr=urn:a:b, r='a, b'"),
            ["Bearer u=<https://a.example/x?y=1> acr=<urn:a:b> r=<a, b>"],
        );
        assert_eq!(read("Bearer realm=, error=x"), ["Bearer error=<x>"]);
    }

    #[test]
    fn strings_without_a_name_are_passed_over() {
        assert_eq!(
            read(r#"OAuth "Platform" "invalid_token" "It, is", error="x""#),
            ["OAuth error=<x>"]
        );
        assert_eq!(read(r#"Bearer "a, error=b", realm=c"#), ["Bearer realm=<c>"]);
    }

    #[test]
    fn a_backslash_escapes_in_double_quotes_alone() {
        assert_eq!(read(r#"Bearer d="C:\\\"x", error=e"#), [r#"Bearer d=<C:\"x> error=<e>"#]);
        assert_eq!(read(r"Bearer d='C:\', error=e"), [r"Bearer d=<C:\> error=<e>"]);
    }

    #[test]
    fn quotes_inside_quotes_cost_the_rest_of_that_value_alone() {
        assert_eq!(
            read(r#"Bearer error="e", error_description="Bad "token", expected 3 parts", u="x""#),
            ["Bearer error=<e> error_description=<Bad > u=<x>"],
        );
    }

    #[test]
    fn an_apostrophe_in_stray_text_opens_no_string() {
        let line = r#"Bearer d="Bad "token", don't panic", error="e""#;
        assert_eq!(read(line), ["Bearer d=<Bad > error=<e>"]);
    }

    #[test]
    fn a_string_that_does_not_end_is_dropped_with_its_line() {
        let lines: [&[u8]; 2] = [b"Bearer realm=\"x\", error=\"e", b"DPoP error=\"f\""];
        let found = challenges(lines);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].param("realm"), found[0].param("error")), (Some("x"), None));
        assert_eq!(found[1].param("error"), Some("f"));
        assert_eq!(read("Bearer a=\"x\\"), ["Bearer"]);
    }

    #[test]
    fn a_parameter_without_a_challenge_belongs_to_none() {
        assert_eq!(read("error=\"invalid_token\""), Vec::<String>::new());
        assert_eq!(read("error=\"a\", Bearer realm=x"), ["Bearer realm=<x>"]);
    }

    #[test]
    fn a_parameter_that_contradicts_itself_is_not_given() {
        let lines: [&[u8]; 1] = [b"Bearer error=a, error=b, scope=s, scope=s, Bearer error=c"];
        let found = challenges(lines);
        assert_eq!(found[0].param("error"), None);
        assert_eq!(found[0].param("scope"), Some("s"));
        assert_eq!(found[1].param("error"), Some("c"));
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced_and_cost_nothing_else() {
        let lines: [&[u8]; 1] = [b"Bearer realm=\"r\xe9\x01\", \xff\xfe, error=\"e\""];
        let found = challenges(lines);
        assert_eq!(found[0].param("realm"), Some("r\u{fffd}\u{1}"));
        assert_eq!(found[0].param("error"), Some("e"));
    }

    #[test]
    fn what_exceeds_a_limit_is_ignored() {
        let long = format!("Bearer error=\"{}\"", "a".repeat(MAX_LINE));
        assert_eq!(read(&long), Vec::<String>::new());
        let many = "A x=1, ".repeat(MAX_CHALLENGES) + "B y=2";
        assert_eq!(read(&many), vec!["A x=<1>"; MAX_CHALLENGES]);
        let wide = format!("A {}", "x=1, ".repeat(MAX_PARAMS + 1));
        assert_eq!(challenges([wide.as_bytes()])[0].params.len(), MAX_PARAMS);
        let lines = vec![&b"A, A"[..]; 100];
        assert_eq!(challenges(lines).len(), MAX_CHALLENGES);
    }
}
