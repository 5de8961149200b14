//! The tests that are named by a row of the list: in the source, and in the binaries made of it.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use cargo_metadata::Message;

use super::listed::{Key, Listed};
use crate::workspace::Workspace;

/// A test, or in the source a function that is one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Test {
    pub(super) package: String,
    /// The binary it is in; of the source nobody knows.
    target: String,
    /// With the modules it lies in, as the test harness names it; of the source the name alone.
    pub(super) path: String,
    /// What it is named by: an id or a schedule.
    pub(super) row: String,
    pub(super) is_listed: bool,
}

impl Test {
    pub(super) fn new(package: &str, target: &str, path: &str, listed: &Listed) -> Option<Self> {
        let (row, is_listed) = match listed.key(function(path))? {
            Key::Row(row) => (row, true),
            Key::Unlisted(id) => (id, false),
        };
        let (package, target, path) = (package.to_owned(), target.to_owned(), path.to_owned());
        Some(Self { package, target, path, row, is_listed })
    }

    pub(super) fn function(&self) -> &str {
        function(&self.path)
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.package, self.target, self.path)
    }
}

fn function(path: &str) -> &str {
    path.rsplit("::").next().unwrap_or(path)
}

/// The functions in the source of the workspace that are named by a row or by an id.
///
/// Some tests exist once for each backend, made by a macro of a function: that has the name too.
pub(super) fn declared(workspace: &Workspace, listed: &Listed) -> anyhow::Result<BTreeSet<Test>> {
    let mut found = BTreeSet::new();
    let packages = workspace.metadata().workspace_packages();
    let folders: Vec<PathBuf> = packages.iter().map(|package| folder_of(package)).collect();
    for (package, folder) in packages.iter().zip(&folders) {
        for file in rust_files(folder, &folders)? {
            let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            found.extend(
                functions(&text).filter_map(|name| Test::new(&package.name, "?", name, listed)),
            );
        }
    }
    Ok(found)
}

fn folder_of(package: &cargo_metadata::Package) -> PathBuf {
    package.manifest_path.parent().map(|folder| folder.as_std_path().to_owned()).unwrap_or_default()
}

/// The files of a package, without those of packages that lie within it.
fn rust_files(folder: &Path, packages: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let (mut files, mut left) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let is_skipped = packages.contains(&path)
                || path.ends_with("target")
                || path.ends_with("node_modules");
            if path.is_dir() && !is_skipped {
                left.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                files.push(path);
            }
        }
    }
    Ok(files)
}

/// The names after `fn`, on lines that are no comments.
fn functions(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let line = line.trim_start();
        let (before, after) = line.split_once("fn ")?;
        let is_code = !before.contains("//") && (before.is_empty() || before.ends_with(' '));
        let end = after.find(|c: char| !c.is_alphanumeric() && c != '_')?;
        is_code.then_some(&after[..end])
    })
}

/// A program made of tests.
#[derive(Debug)]
pub(super) struct Binary {
    package: String,
    target: String,
    /// Where its package lies, and where cargo would run it.
    pub(super) folder: PathBuf,
    pub(super) executable: PathBuf,
}

impl Binary {
    /// Those of its tests that are named by a row or by an id.
    pub(super) fn tests(&self, listed: &Listed) -> anyhow::Result<Vec<Test>> {
        let mut command = Command::new(&self.executable);
        command.args(["--list", "--format", "terse"]).current_dir(&self.folder);
        let output = command.output().with_context(|| self.executable.display().to_string())?;
        if !output.status.success() {
            bail!("{} does not list its tests", self.executable.display());
        }
        let text = String::from_utf8(output.stdout).context("names of tests")?;
        let paths = text.lines().filter_map(|line| line.strip_suffix(": test"));
        Ok(paths.filter_map(|path| Test::new(&self.package, &self.target, path, listed)).collect())
    }
}

/// Builds the tests of the workspace, as they are built to be run all: what was built for that is
/// not built again.
pub(super) fn built(workspace: &Workspace) -> anyhow::Result<Vec<Binary>> {
    let form = "--message-format=json-render-diagnostics";
    let mut build = workspace.cargo(&["test", "--workspace", "--no-run", form]);
    let mut build = build.stdout(Stdio::piped()).spawn().context("cargo could not be started")?;
    let output = BufReader::new(build.stdout.take().context("cargo has no output")?);
    let mut binaries = Vec::new();
    for message in Message::parse_stream(output) {
        let Message::CompilerArtifact(artifact) = message? else { continue };
        let (true, Some(executable)) = (artifact.profile.test, artifact.executable) else {
            continue;
        };
        let package = &workspace.metadata()[&artifact.package_id];
        binaries.push(Binary {
            package: package.name.to_string(),
            target: artifact.target.name,
            folder: folder_of(package),
            executable: executable.into_std_path_buf(),
        });
    }
    if !build.wait()?.success() {
        bail!("the tests do not compile");
    }
    Ok(binaries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_of_a_source_are_found_wherever_they_stand() {
        let text = "\
async fn one() {\n\
    fn inner() {}\n\
    pub(crate) fn two(kind: Kind) {}\n\
    // fn commented() {}\n\
    /// as fn documented() is\n\
    let x = often(fn_like);\n\
            fn in_a_macro<'a>() {\n";
        let names: Vec<_> = functions(text).collect();
        assert_eq!(names, ["one", "inner", "two", "in_a_macro"]);
    }

    #[test]
    fn a_test_is_named_by_its_function_and_not_by_its_modules() {
        let listed = Listed::rows("| SA-01 |\n| `a_mark_ends` |\n");
        let test = Test::new("p", "t", "sa::sqlite::sa_01_one", &listed).unwrap();
        assert_eq!((test.row.as_str(), test.function()), ("SA-01", "sa_01_one"));
        assert!(Test::new("p", "t", "sa_01_module::one", &listed).is_none());
        assert!(!Test::new("p", "t", "sa_02_two", &listed).unwrap().is_listed);
        assert_eq!(Test::new("p", "t", "traces::a_mark_ends", &listed).unwrap().row, "a_mark_ends");
    }
}
