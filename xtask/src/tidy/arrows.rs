//! Which package of the workspace may depend on which.

use cargo_metadata::{DependencyKind, Metadata};

use super::tree::Tree;
use super::{Verdict, Violation};

/// One package depends on another of the workspace.
#[derive(Debug)]
pub(super) struct Arrow {
    from: String,
    to: String,
    /// A build dependency ships as a normal one does; a development dependency does not.
    is_dev: bool,
    manifest: String,
    line: usize,
}

const REMEDY: &str = "remove the dependency, or change the table in xtask/src/tidy/arrows.rs if \
                      the rooms of the workspace have changed";

/// What ships may be used by what ships.
fn is_allowed(arrow: &Arrow) -> bool {
    let Arrow { from, to, is_dev, .. } = arrow;
    if matches!(to.as_str(), "regrant-tests" | "xtask" | "regrant-cli") {
        return false;
    }
    if to == "regrant-world" {
        return from == "regrant-tests";
    }
    if *is_dev && matches!(to.as_str(), "regrant-sandbox" | "regrant-storage") {
        return true;
    }
    let core = to == "regrant-core";
    let storage = to == "regrant-storage";
    let driver = to == "regrant";
    match from.as_str() {
        "regrant-core" | "regrant-sandbox" => false,
        // The proofs of the core are built again in seconds after each change of it.
        "regrant-storage" | "regrant-login" | "regrant-world" => core,
        "regrant" => core || storage,
        "regrant-reqwest" | "regrant-tower" => core || storage || driver,
        "regrant-cli" | "regrant-tests" | "xtask" => true,
        // Sealed records beside a key in the keychain are the files of the other backend.
        "regrant-storage-keyring" => core || storage || to == "regrant-storage-file",
        backend if backend.starts_with("regrant-storage-") => core || storage,
        _ => false,
    }
}

pub(super) fn check(arrows: &[Arrow]) -> Verdict {
    let violations = arrows.iter().filter(|arrow| !is_allowed(arrow)).map(|arrow| {
        let kind = if arrow.is_dev { "in development " } else { "" };
        let what = format!("{} may not depend {kind}on {}", arrow.from, arrow.to);
        Violation::at(&arrow.manifest, arrow.line, what, REMEDY)
    });
    Verdict {
        measured: format!("{} arrows between packages of the workspace", arrows.len()),
        violations: violations.collect(),
    }
}

pub(super) fn read(metadata: &Metadata, tree: &Tree) -> Vec<Arrow> {
    let packages = metadata.workspace_packages();
    let is_ours = |name: &str| packages.iter().any(|package| package.name.as_str() == name);
    let mut arrows = Vec::new();
    for package in &packages {
        let manifest = package.manifest_path.strip_prefix(&metadata.workspace_root).map_or_else(
            |_| package.manifest_path.to_string(),
            |path| path.as_str().replace('\\', "/"),
        );
        for dependency in package.dependencies.iter().filter(|other| is_ours(&other.name)) {
            let is_dev = dependency.kind == DependencyKind::Development;
            let line = line_of(tree.text(&manifest).unwrap_or_default(), &dependency.name, is_dev);
            arrows.push(Arrow {
                from: package.name.to_string(),
                to: dependency.name.clone(),
                is_dev,
                manifest: manifest.clone(),
                line,
            });
        }
    }
    arrows
}

/// Where a manifest names a dependency; line 1 if it does so in a way not looked for.
fn line_of(manifest: &str, name: &str, is_dev: bool) -> usize {
    let mut in_section = false;
    for (index, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            in_section =
                line.contains("dependencies") && line.contains("dev-dependencies") == is_dev;
        } else if in_section
            && line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '.', '=']))
        {
            return index + 1;
        }
    }
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrow(from: &str, to: &str, is_dev: bool) -> Arrow {
        let (from, to) = (from.to_owned(), to.to_owned());
        Arrow { from, to, is_dev, manifest: "room/Cargo.toml".to_owned(), line: 3 }
    }

    #[test]
    fn the_arrows_of_the_design_are_allowed() {
        let normal = [
            ("regrant-storage", "regrant-core"),
            ("regrant-storage-sqlite", "regrant-storage"),
            ("regrant", "regrant-storage"),
            ("regrant-reqwest", "regrant"),
            ("regrant-cli", "regrant-storage-sqlite"),
            ("regrant-cli", "regrant-sandbox"),
            ("regrant-tests", "regrant-reqwest"),
            ("regrant-tests", "regrant-world"),
            ("regrant-world", "regrant-core"),
            ("xtask", "regrant-core"),
        ];
        let dev = [
            ("regrant-reqwest", "regrant-sandbox"),
            ("regrant-storage-sqlite", "regrant-storage"),
            ("regrant-storage", "regrant-storage"),
        ];
        let arrows = normal.map(|(from, to)| arrow(from, to, false));
        assert!(check(&arrows).violations.is_empty());
        let arrows = dev.map(|(from, to)| arrow(from, to, true));
        assert!(check(&arrows).violations.is_empty());
    }

    #[test]
    fn every_other_arrow_is_reported() {
        let forbidden = [
            arrow("regrant-core", "regrant-storage", false),
            arrow("regrant-storage", "regrant", false),
            arrow("regrant-storage-sqlite", "regrant", false),
            arrow("regrant", "regrant-reqwest", false),
            arrow("regrant", "regrant-sandbox", false),
            arrow("regrant-sandbox", "regrant-core", false),
            arrow("regrant", "regrant-reqwest", true),
            arrow("regrant-cli", "regrant-tests", true),
            arrow("regrant", "regrant-world", true),
            arrow("regrant-world", "regrant-storage", false),
            arrow("regrant-reqwest", "xtask", true),
            arrow("a-new-room", "regrant-core", false),
        ];
        let violations = check(&forbidden).violations;
        assert_eq!(violations.len(), forbidden.len());
        assert!(
            violations[0]
                .to_string()
                .starts_with("room/Cargo.toml:3: regrant-core may not depend on regrant-storage; ")
        );
    }

    #[test]
    fn a_dependency_is_found_in_its_own_section() {
        let manifest = "\
[dependencies]
regrant-storage-sqlite.workspace = true
regrant-storage.workspace = true
[dev-dependencies]
regrant-storage = { workspace = true }
";
        assert_eq!(line_of(manifest, "regrant-storage", false), 3);
        assert_eq!(line_of(manifest, "regrant-storage", true), 5);
    }
}
