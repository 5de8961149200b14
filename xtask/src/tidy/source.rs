//! A Rust file, line by line, with its comments and the contents of its literals taken out: enough
//! for rules about words, without a parser.

/// One file.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: String,
    pub(super) lines: Vec<Line>,
    /// Whether the file holds tests only.
    pub(super) is_test: bool,
}

#[derive(Debug)]
pub(super) struct Line {
    /// As it stands in the file.
    pub(super) raw: String,
    /// Without comments; literals are empty.
    pub(super) code: String,
    /// Whether there is something that is neither blank nor comment, the inside of a literal too.
    holds_code: bool,
    /// Whether it belongs to an item under `#[cfg(test)]`.
    in_test_item: bool,
}

impl Source {
    pub(super) fn parse(path: &str, text: &str) -> Self {
        let mut lines = strip(text);
        mark_test_items(&mut lines);
        Self { path: path.to_owned(), lines, is_test: is_test_path(path) }
    }

    /// The lines with their numbers, from 1.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (usize, &Line)> {
        self.lines.iter().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// The lines that ship: none of a test file, and none under `#[cfg(test)]`.
    pub(super) fn shipped(&self) -> impl Iterator<Item = (usize, &Line)> {
        self.numbered().filter(|(_, line)| !self.tests(line))
    }

    pub(super) fn tests(&self, line: &Line) -> bool {
        self.is_test || line.in_test_item
    }

    /// Lines of code: not blank, not comment only, not under `#[cfg(test)]`.
    pub(super) fn code_lines(&self) -> usize {
        self.lines.iter().filter(|line| line.holds_code && !line.in_test_item).count()
    }

    /// The shipped code as one text, in which a line keeps its number.
    pub(super) fn shipped_code(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            if !self.tests(line) {
                text.push_str(&line.code);
            }
            text.push('\n');
        }
        text
    }

    /// All code as one text, tests included.
    pub(super) fn code(&self) -> String {
        self.lines.iter().flat_map(|line| [line.code.as_str(), "\n"]).collect()
    }

    /// The modules that this file declares under `#[cfg(test)]`, as paths without an ending.
    pub(super) fn test_modules(&self) -> Vec<String> {
        let stem = self.path.trim_end_matches(".rs");
        let folder = match stem.rsplit_once('/') {
            Some((folder, "lib" | "main" | "mod")) => folder,
            _ => stem,
        };
        // A path attribute is relative to the folder the file lies in.
        let beside = self.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let declared = self.lines.iter().filter(|line| line.in_test_item).filter_map(|line| {
            if let Some((_, path)) = line.raw.split_once("#[path = \"") {
                return Some(format!("{beside}/{}", path.split_once(".rs\"")?.0));
            }
            let (_, name) = line.code.split_once("mod ")?;
            let name = name.trim().strip_suffix(';')?;
            Some(format!("{folder}/{name}"))
        });
        declared.collect()
    }
}

/// Where a byte of a text lies, as a line from 1.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

/// Where a word stands by itself: no letter, digit or underscore on either side.
pub(super) fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let joins = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).map(|(offset, _)| offset).filter(move |&offset| {
        let opens = !word.starts_with(joins) || !text[..offset].ends_with(joins);
        let closes = !word.ends_with(joins) || !text[offset + word.len()..].starts_with(joins);
        opens && closes
    })
}

fn is_test_path(path: &str) -> bool {
    path.split('/').any(|part| part == "tests" || part == "tests.rs")
}

enum Inside {
    Code,
    LineComment,
    BlockComment { depth: usize },
    Text,
    RawText { hashes: usize },
}

fn strip(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut inside = Inside::Code;
    for raw in text.lines() {
        if matches!(inside, Inside::LineComment) {
            inside = Inside::Code;
        }
        let mut code = String::new();
        let mut holds_code = false;
        let mut rest = raw;
        while let Some(c) = rest.chars().next() {
            let in_comment = matches!(inside, Inside::LineComment | Inside::BlockComment { .. });
            let mut length = c.len_utf8();
            match inside {
                Inside::Code => {
                    if rest.starts_with("//") {
                        inside = Inside::LineComment;
                        length = rest.len();
                    } else if rest.starts_with("/*") {
                        inside = Inside::BlockComment { depth: 1 };
                        length = 2;
                    } else if c == '"' {
                        let hashes = raw_text_hashes(&code);
                        inside = hashes.map_or(Inside::Text, |hashes| Inside::RawText { hashes });
                        code.push('"');
                    } else if let Some(literal) = character_literal(rest) {
                        code.push_str("''");
                        length = literal;
                    } else {
                        code.push(c);
                    }
                    let comments =
                        matches!(inside, Inside::LineComment | Inside::BlockComment { .. });
                    holds_code |= !c.is_whitespace() && !comments;
                }
                Inside::LineComment => length = rest.len(),
                Inside::BlockComment { depth } => {
                    if rest.starts_with("/*") {
                        inside = Inside::BlockComment { depth: depth + 1 };
                        length = 2;
                    } else if rest.starts_with("*/") {
                        inside = match depth {
                            1 => Inside::Code,
                            deeper => Inside::BlockComment { depth: deeper - 1 },
                        };
                        length = 2;
                    }
                }
                Inside::Text => {
                    if c == '\\' {
                        length = rest.chars().take(2).map(char::len_utf8).sum();
                    } else if c == '"' {
                        inside = Inside::Code;
                        code.push('"');
                    }
                }
                Inside::RawText { hashes } => {
                    let end = format!("\"{}", "#".repeat(hashes));
                    if rest.starts_with(&end) {
                        inside = Inside::Code;
                        length = end.len();
                        code.push('"');
                    }
                }
            }
            if matches!(inside, Inside::Text | Inside::RawText { .. }) {
                holds_code |= !in_comment && !c.is_whitespace();
            }
            rest = &rest[length..];
        }
        lines.push(Line { raw: raw.to_owned(), code, holds_code, in_test_item: false });
    }
    lines
}

/// Whether the code before a quote opens a raw literal, and with how many hashes.
fn raw_text_hashes(before: &str) -> Option<usize> {
    let stem = before.trim_end_matches('#');
    let prefix = stem
        .rsplit(|c: char| !c.is_alphanumeric() && c != '_')
        .next()
        .filter(|prefix| ["r", "br", "cr"].contains(prefix));
    prefix.map(|_| before.len() - stem.len())
}

/// The length of a character literal at the start of the text; none for a lifetime.
fn character_literal(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('\'')?;
    if let Some(escape) = inner.strip_prefix('\\') {
        let escaped = escape.chars().next()?.len_utf8();
        let end = escape[escaped..].find('\'')?;
        return Some(1 + 1 + escaped + end + 1);
    }
    let length = inner.chars().next()?.len_utf8();
    inner[length..].starts_with('\'').then_some(1 + length + 1)
}

fn mark_test_items(lines: &mut [Line]) {
    // `any(test, feature = ..)` ships with the feature, so it is not here.
    const MARKS: &[&str] = &["[cfg(test)]", "[cfg(all(test", "[cfg(doctest)]"];
    let mut index = 0;
    while index < lines.len() {
        let code = lines[index].code.trim_start();
        if !MARKS.iter().any(|mark| code.trim_start_matches(['#', '!']).starts_with(mark)) {
            index += 1;
            continue;
        }
        let end = if code.starts_with("#!") { lines.len() } else { end_of_item(lines, index) };
        for line in &mut lines[index..end] {
            line.in_test_item = true;
        }
        index = end;
    }
}

/// The line after the item whose first attribute stands on `start`.
fn end_of_item(lines: &[Line], start: usize) -> usize {
    let mut depth = 0_usize;
    for (index, line) in lines.iter().enumerate().skip(start) {
        for c in line.code.chars() {
            match c {
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' if depth == 0 => return index,
                ')' | ']' => depth -= 1,
                '}' => {
                    depth -= 1;
                    if depth == 0 {
                        return index + 1;
                    }
                }
                ';' | ',' if depth == 0 => return index + 1,
                _ => {}
            }
        }
    }
    lines.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Vec<String> {
        strip(text).into_iter().map(|line| line.code).collect()
    }

    #[test]
    fn comments_are_not_code() {
        let text = "a(); // todo!()\n/* todo!()\n /* b */ still */ c();\n//! doc";
        assert_eq!(code(text), ["a(); ", "", " c();", ""]);
    }

    #[test]
    fn the_inside_of_a_literal_is_not_code() {
        let text = r##"f("todo!() \" // x", r#"a " b"#, b"c", '"', '\'', 'x');"##;
        assert_eq!(code(text), [r##"f("", r#"", b"", '', '', '');"##]);
    }

    #[test]
    fn a_lifetime_is_not_a_character() {
        assert_eq!(
            code("fn f<'a>(x: &'a str) -> &'a str {"),
            ["fn f<'a>(x: &'a str) -> &'a str {"]
        );
    }

    #[test]
    fn a_line_inside_a_literal_counts_as_code_and_a_comment_does_not() {
        let source =
            Source::parse("a.rs", "let x = \"one\n  two\n\";\n\n// three\n/* four\n five */\n");
        assert_eq!(source.code_lines(), 3);
    }

    #[test]
    fn what_stands_under_cfg_test_does_not_ship() {
        let text = "\
fn ships() {}
#[cfg(test)]
#[path = \"x.rs\"]
mod tests {
    fn f() { if x { y(); } }
}
#[cfg(test)]
extern crate std;
#[cfg(any(test, feature = \"conformance\"))]
fn ships_too() {}
";
        let source = Source::parse("a.rs", text);
        let shipped = source.shipped().map(|(number, _)| number).collect::<Vec<_>>();
        assert_eq!(shipped, [1, 9, 10]);
        assert_eq!(source.code_lines(), 3);
    }

    #[test]
    fn a_field_under_cfg_test_ends_at_its_comma() {
        let source =
            Source::parse("a.rs", "struct A {\n    #[cfg(test)]\n    a: u8,\n    b: u8,\n}\n");
        assert_eq!(source.code_lines(), 3);
    }

    #[test]
    fn a_file_that_is_for_tests_altogether_ships_nothing() {
        let source = Source::parse("core/src/pair.rs", "#![cfg(test)]\nfn f() {}\n");
        assert_eq!(source.shipped().count(), 0);
        for path in ["core/src/machine/tests.rs", "core/src/tests/edges.rs", "tests/src/lib.rs"] {
            assert!(Source::parse(path, "").is_test, "{path}");
        }
        assert!(!Source::parse("xtask/src/run_tests.rs", "").is_test);
    }

    #[test]
    fn a_word_is_not_found_inside_another() {
        let text = "sleep(a); asleep(b); sleep_until(c)";
        assert_eq!(words(text, "sleep").collect::<Vec<_>>(), [0]);
    }
}
