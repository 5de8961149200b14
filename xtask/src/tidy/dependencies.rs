//! A dependency is one line with its reason beside it.

use super::tree::Text;
use super::{Verdict, Violation};

pub(super) fn check(texts: &[Text]) -> Verdict {
    let mut violations = Vec::new();
    let mut count = 0;
    for Text { path, text } in texts {
        if path == "Cargo.toml" {
            let entries = entries(text, |section| section == "[workspace.dependencies]");
            let foreign = entries.iter().filter(|entry| !entry.has_key("path"));
            for entry in foreign {
                count += 1;
                if entry.reason.is_empty() {
                    let what = format!("`{}` has no reason", entry.name);
                    let remedy = "end its line with `# what it is for`";
                    violations.push(Violation::at(path, entry.line, what, remedy));
                }
            }
        } else if path.matches('/').count() == 1 && path.ends_with("/Cargo.toml") {
            // A folder with a workspace of its own (fuzzing, benchmarks) names what it needs.
            if text.lines().any(|line| line.starts_with("[workspace")) {
                continue;
            }
            let entries = entries(text, |section| section.ends_with("dependencies]"));
            let own = entries.iter().filter(|entry| !entry.has_key("workspace"));
            for entry in own {
                let what = format!("`{}` does not come from the workspace", entry.name);
                let remedy = "name it in the root's [workspace.dependencies], with its reason";
                violations.push(Violation::at(path, entry.line, what, remedy));
            }
        }
    }
    Verdict { measured: format!("{count} dependencies in the list of the workspace"), violations }
}

struct Entry<'a> {
    name: &'a str,
    value: String,
    reason: &'a str,
    line: usize,
}

impl Entry<'_> {
    /// Whether the value has this key: `name.key = ..` or `name = { key = .. }`.
    fn has_key(&self, key: &str) -> bool {
        let mut words = self.value.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '_');
        words.any(|word| word == key)
    }
}

/// The `name = value # reason` of the sections wanted; a value may run over several lines.
fn entries(manifest: &str, is_wanted: impl Fn(&str) -> bool) -> Vec<Entry<'_>> {
    let mut found: Vec<Entry<'_>> = Vec::new();
    let mut wanted = false;
    let mut open = 0_usize;
    for (index, line) in manifest.lines().enumerate() {
        let (code, comment) = split_comment(line);
        if open == 0 && code.trim_start().starts_with('[') {
            wanted = is_wanted(code.trim());
            continue;
        }
        if !wanted || (open == 0 && code.trim().is_empty()) {
            continue;
        }
        if open == 0 {
            let (key, value) = code.split_once('=').unwrap_or((code, ""));
            let key = key.trim();
            let (name, dotted) = key.split_once('.').unwrap_or((key, ""));
            let value = format!("{dotted} {}", outside_quotes(value));
            found.push(Entry { name, value, reason: comment, line: index + 1 });
        } else if let Some(entry) = found.last_mut() {
            entry.value.push_str(&outside_quotes(code));
            if entry.reason.is_empty() {
                entry.reason = comment;
            }
        }
        for c in outside_quotes(code).chars() {
            match c {
                '[' | '{' => open += 1,
                ']' | '}' => open = open.saturating_sub(1),
                _ => {}
            }
        }
    }
    found
}

fn split_comment(line: &str) -> (&str, &str) {
    let mut quoted = false;
    for (index, c) in line.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '#' if !quoted => return (&line[..index], line[index + 1..].trim()),
            _ => {}
        }
    }
    (line, "")
}

fn outside_quotes(text: &str) -> String {
    text.split('"').step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<(usize, String)> {
        let texts = [Text { path: path.to_owned(), text: text.to_owned() }];
        let violations = check(&texts).violations.into_iter();
        violations.map(|violation| (violation.line.unwrap_or(0), violation.what)).collect()
    }

    #[test]
    fn a_dependency_without_a_reason_is_reported() {
        let manifest = "\
[workspace.dependencies]
# a heading is no reason
regrant-core = { path = \"core\" }
bytes = \"1\" # bodies
http = \"1\"
url = \"2\" #
odd = { version = \"1\", features = [\"a#b\"] }
long = { version = \"1\", features = [
    \"one\",
] } # its reason

[profile.release]
lto = \"thin\"
";
        assert_eq!(
            found("Cargo.toml", manifest),
            [
                (5, "`http` has no reason".to_owned()),
                (6, "`url` has no reason".to_owned()),
                (7, "`odd` has no reason".to_owned()),
            ]
        );
    }

    #[test]
    fn a_dependency_from_outside_the_workspace_s_list_is_reported() {
        let manifest = "\
[dependencies]
serde.workspace = true
tokio = { workspace = true, features = [\"rt\"] }
rand = \"1\"

[target.'cfg(unix)'.dev-dependencies]
rustix = { version = \"1\" } # files
";
        assert_eq!(
            found("driver/Cargo.toml", manifest),
            [
                (4, "`rand` does not come from the workspace".to_owned()),
                (7, "`rustix` does not come from the workspace".to_owned()),
            ]
        );
    }

    #[test]
    fn a_folder_with_a_workspace_of_its_own_is_left_alone() {
        let manifest = "[workspace]\n[dependencies]\nlibfuzzer-sys = \"0.4\"\n";
        assert_eq!(found("fuzz/Cargo.toml", manifest), []);
    }
}
