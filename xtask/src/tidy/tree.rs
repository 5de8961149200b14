//! The files of the workspace, read once.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use super::source::Source;

/// A text file, its path relative to the root and with `/` on every system.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) path: String,
    pub(super) text: String,
}

#[derive(Debug)]
pub(super) struct Tree {
    texts: Vec<Text>,
    sources: Vec<Source>,
}

/// Folders that are never committed.
const SKIPPED: &[&str] = &[".git", "target", "node_modules"];

impl Tree {
    /// Reads every text file below the root. It does not ask git, so that it works in an unpacked
    /// archive too, and sees a file before it is added.
    pub(super) fn read(root: &Path) -> anyhow::Result<Self> {
        let mut texts = Vec::new();
        walk(root, "", &mut texts)?;
        texts.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self::of(texts))
    }

    fn of(texts: Vec<Text>) -> Self {
        let mut sources = texts
            .iter()
            .filter(|text| text.path.ends_with(".rs"))
            .map(|text| Source::parse(&text.path, &text.text))
            .collect::<Vec<_>>();
        let test_modules = sources.iter().flat_map(Source::test_modules).collect::<Vec<_>>();
        for source in &mut sources {
            if test_modules.iter().any(|module| is_of_module(&source.path, module)) {
                source.is_test = true;
            }
        }
        Self { texts, sources }
    }

    pub(super) fn texts(&self) -> &[Text] {
        &self.texts
    }

    pub(super) fn sources(&self) -> &[Source] {
        &self.sources
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.texts.iter().find(|text| text.path == path).map(|text| text.text.as_str())
    }
}

/// `a/b` is `a/b.rs` and everything in `a/b/`.
pub(super) fn is_of_module(path: &str, module: &str) -> bool {
    path.strip_prefix(module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

fn walk(folder: &Path, prefix: &str, texts: &mut Vec<Text>) -> anyhow::Result<()> {
    for entry in
        fs::read_dir(folder).with_context(|| format!("{} is unreadable", folder.display()))?
    {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type()?;
        if kind.is_dir() {
            if !SKIPPED.contains(&name.as_str()) {
                walk(&entry.path(), &format!("{path}/"), texts)?;
            }
        } else if kind.is_file() {
            let bytes = fs::read(entry.path()).with_context(|| format!("{path} is unreadable"))?;
            // What is not UTF-8 is no text, and holds none of the rules.
            if let Ok(text) = String::from_utf8(bytes) {
                texts.push(Text { path, text });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_declared_for_tests_makes_its_files_test_files() {
        let file = |path: &str, text: &str| Text { path: path.to_owned(), text: text.to_owned() };
        let tree = Tree::of(vec![
            file("core/src/machine.rs", "#[cfg(test)]\nmod pair;\nmod job;\n"),
            file("core/src/time.rs", "#[cfg(test)]\n#[path = \"time_tests.rs\"]\nmod tests;\n"),
            file("core/src/time_tests.rs", ""),
            file("core/src/machine/pair.rs", ""),
            file("core/src/machine/pair/clock.rs", ""),
            file("core/src/machine/job.rs", ""),
            file("README.md", ""),
        ]);
        let tests = tree.sources().iter().filter(|source| source.is_test);
        let tests = tests.map(|source| source.path.as_str()).collect::<Vec<_>>();
        assert_eq!(
            tests,
            [
                "core/src/time_tests.rs",
                "core/src/machine/pair.rs",
                "core/src/machine/pair/clock.rs"
            ]
        );
    }
}
