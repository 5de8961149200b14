//! No file names a folder of somebody's machine.

use std::path::Path;

use super::tree::Text;
use super::{Verdict, Violation};

const REMEDY: &str = "write it relative to the repository, or with `~`";

/// Where people's folders begin. Without the separators, so that this file does not name one.
const HOMES: &[&str] = &["home", "root", "Users"];

pub(super) fn check(texts: &[Text], root: &Path) -> Verdict {
    let mut needles = HOMES
        .iter()
        .flat_map(|home| [format!("/{home}/"), format!(r":\{home}\"), format!(r":\\{home}\\")])
        .collect::<Vec<_>>();
    needles.extend(this_machine(root));
    let mut violations = Vec::new();
    for Text { path, text } in texts {
        for (index, line) in text.lines().enumerate() {
            if let Some(needle) = needles.iter().find(|needle| names(line, needle)) {
                let what = format!("`{needle}...` is a folder of one machine");
                violations.push(Violation::at(path, index + 1, what, REMEDY));
            }
        }
    }
    Verdict { measured: format!("{} files", texts.len()), violations }
}

/// The folder this workspace lies in. A short one could be anything, and one for temporary files
/// may be an example in the documentation.
fn this_machine(root: &Path) -> Option<String> {
    let deep_enough = root.components().count() > 2;
    (deep_enough && !root.starts_with("/tmp")).then(|| root.to_string_lossy().into_owned())
}

/// Whether the line has the path, and not as the end of another one or of an address.
fn names(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(start, _)| {
        let before = &line[..start];
        let opens = path.starts_with(':')
            || before.ends_with("file://")
            || !before.ends_with(|c: char| c.is_alphanumeric() || "_.-~/}$<>".contains(c));
        let after = &line[start + path.len()..];
        let goes_on = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
        let closes = if path.ends_with(['/', '\\']) {
            after.starts_with(goes_on)
        } else {
            !after.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '-')
        };
        opens && closes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> usize {
        let texts = [Text { path: "README.md".to_owned(), text: format!("{line}\n") }];
        check(&texts, Path::new("/builds/regrant")).violations.len()
    }

    #[test]
    fn a_folder_of_a_person_is_reported() {
        for home in HOMES {
            for line in [
                format!("see /{home}/someone/notes"),
                format!("\"/{home}/.config\""),
                format!("file:///{home}/x"),
                format!(r"C:\{home}\x"),
                format!(r#""C:\\{home}\\x""#),
            ] {
                assert_eq!(found(&line), 1, "{line}");
            }
        }
    }

    #[test]
    fn the_folder_of_this_workspace_is_reported() {
        assert_eq!(found("built in /builds/regrant/target"), 1);
        assert_eq!(found("built in /builds/regrant-two"), 0);
    }

    #[test]
    fn an_address_a_relative_path_and_a_temporary_folder_pass() {
        let home = HOMES[0];
        for line in [
            format!("https://example.com/{home}/x"),
            format!("docs/{home}/x"),
            format!("below `/{home}/` there are people"),
            "/tmp/regrant/x".to_owned(),
        ] {
            assert_eq!(found(&line), 0, "{line}");
        }
    }

    #[test]
    fn a_short_or_temporary_root_is_not_looked_for() {
        assert_eq!(this_machine(Path::new("/src")), None);
        assert_eq!(this_machine(Path::new("/tmp/a/b")), None);
    }
}
